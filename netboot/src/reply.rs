//! The decision and the request → the bytes of a DHCP answer.

use std::net::Ipv4Addr;

use crate::decide::Address;
use crate::request::{Boot, Request};

/// Where an answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// 255.255.255.255 port 68, out of the interface the request came in on.
    Broadcast,
    /// The client's own address, port 68.
    Client(Ipv4Addr),
    /// The relay that sent it, port 67.
    Relay(Ipv4Addr),
    /// The address and port that the packet came from (port 4011).
    Sender,
}

/// An answer ready to send.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub bytes: Vec<u8>,
    pub to: To,
    /// For the log: what was given, such as `offer: snponly.efi`.
    pub given: String,
}

/// The file a machine is told to load: the loader's path on TFTP, or the script's URL for iPXE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BootFile {
    /// `52-54-00-12-34-56/snponly.efi`: the machine's own folder, so that TFTP can ask for whom.
    Loader(String),
    Script(String),
}

/// What `boot` needs; nothing if there is no loader for its architecture.
pub fn boot_file(request: &Request, boot: &Boot, address: &Address) -> Option<BootFile> {
    let _ = (request, boot, address);
    unimplemented!()
}

/// Proxy mode, port 67: an offer without an address.
pub fn proxy_offer(request: &Request, boot: &Boot, file: &BootFile, address: &Address) -> Answer {
    let _ = (request, boot, file, address);
    unimplemented!()
}

/// Port 4011: the boot file, acknowledged to the sender.
pub fn binl_ack(request: &Request, boot: &Boot, file: &BootFile, address: &Address) -> Answer {
    let _ = (request, boot, file, address);
    unimplemented!()
}

/// Server mode: what goes out with an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    pub netmask: Ipv4Addr,
    pub router: Option<Ipv4Addr>,
    pub dns: Vec<Ipv4Addr>,
    pub domain: Option<String>,
}

/// Server mode: the answer to a DISCOVER, REQUEST or INFORM that `lease` settled.
pub fn server_answer(
    request: &Request,
    settled: &crate::lease::Settled,
    file: Option<&BootFile>,
    network: &Network,
    address: &Address,
) -> Answer {
    let _ = (request, settled, file, network, address);
    unimplemented!()
}
