//! The decision and the request → the bytes of a DHCP answer.

use std::net::Ipv4Addr;

use dhcproto::Encodable;
use dhcproto::v4::{DhcpOption, Flags, Message, MessageType, Opcode, UnknownOption};

use crate::decide::Address;
use crate::lease::Settled;
use crate::request::{Arch, Boot, Kind, Request, Stage};

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

impl BootFile {
    fn as_str(&self) -> &str {
        match self {
            Self::Loader(text) | Self::Script(text) => text,
        }
    }

    /// For a log line: the loader's name without its folder, or `boot script`.
    fn words(&self) -> &str {
        match self {
            Self::Loader(path) => path.rsplit('/').next().unwrap_or(path),
            Self::Script(_) => "boot script",
        }
    }
}

/// The loader for firmware that cannot read a script, by architecture.
pub fn loader(arch: Arch) -> Option<&'static str> {
    match arch {
        Arch::Bios => Some("undionly.kpxe"),
        // Not ipxe.efi: its own drivers hang on some I219-V, Realtek and Broadcom cards (ipxe#541, #973).
        Arch::X64 => Some("snponly.efi"),
        Arch::Other(_) => None,
    }
}

/// What `boot` needs; nothing if there is no loader for its architecture. Once iPXE talks it gets the
/// script and never the loader again, or it would load itself for ever.
pub fn boot_file(request: &Request, boot: &Boot, address: &Address) -> Option<BootFile> {
    match boot.stage {
        // iPXE fills in the variables before it asks (`expand_settings` on the boot file name).
        Stage::Ipxe => Some(BootFile::Script(format!(
            "{}/boot.ipxe?mac={}&uuid=${{uuid}}&serial=${{serial:uristring}}&arch=${{buildarch}}&platform=${{platform}}",
            address.http(),
            request.mac
        ))),
        Stage::Firmware => loader(boot.arch)
            .map(|file| BootFile::Loader(format!("{}/{file}", request.mac.dashed()))),
    }
}

/// Proxy mode, port 67: an offer without an address.
///
/// BIOS ROMs take the boot file out of the offer when option 43 says so (PXE 2.1 §2.2.3, sub-option 6 = 8).
/// UEFI must not see option 43: trees of EDK2 from 2014 to 2017 drop an offer that has it
/// (tianocore/edk2#6944); without it the firmware comes again on port 4011.
pub fn proxy_offer(request: &Request, boot: &Boot, file: &BootFile, address: &Address) -> Answer {
    let mut message = answer_to(request, MessageType::Offer, address);
    name_boot_file(&mut message, file, address);
    pxe(&mut message);
    if (boot.stage, boot.arch) == (Stage::Firmware, Arch::Bios) {
        message
            .opts_mut()
            .insert(DhcpOption::VendorExtensions(vec![6, 1, 8, 255]));
    }
    Answer {
        bytes: encode(&message),
        to: relay_or(request, To::Broadcast),
        given: format!("offered {}", file.words()),
    }
}

/// Port 4011: the boot file, acknowledged to the sender. EDK2 asks from port 4011, BIOS ROMs from 68.
pub fn binl_ack(request: &Request, file: &BootFile, address: &Address) -> Answer {
    let mut message = answer_to(request, MessageType::Ack, address);
    message.set_ciaddr(request.ciaddr);
    name_boot_file(&mut message, file, address);
    pxe(&mut message);
    Answer {
        bytes: encode(&message),
        to: To::Sender,
        given: format!("named {} on 4011", file.words()),
    }
}

/// Server mode: what goes out with an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    pub netmask: Ipv4Addr,
    pub router: Option<Ipv4Addr>,
    pub dns: Vec<Ipv4Addr>,
    pub domain: Option<String>,
}

/// Server mode: the answer to what `lease` settled; nothing where it settled on silence.
pub fn server_answer(
    request: &Request,
    settled: &Settled,
    file: Option<&BootFile>,
    network: &Network,
    address: &Address,
) -> Option<Answer> {
    let (kind, lease, words) = match settled {
        Settled::Silence(_) => return None,
        Settled::Nak(why) => {
            let mut message = answer_to(request, MessageType::Nak, address);
            message.opts_mut().insert(DhcpOption::Message(why.clone()));
            message.set_siaddr(Ipv4Addr::UNSPECIFIED);
            let to = relay_or(request, To::Broadcast);
            return Some(Answer {
                bytes: encode(&message),
                to,
                given: format!("nak: {why}"),
            });
        }
        Settled::Offer {
            address,
            lease_time,
        } => (
            MessageType::Offer,
            Some((*address, *lease_time)),
            format!("offered {address}"),
        ),
        Settled::Ack {
            address,
            lease_time,
        } => (
            MessageType::Ack,
            Some((*address, *lease_time)),
            format!("leased {address}"),
        ),
        Settled::Inform => (MessageType::Ack, None, "informed".to_owned()),
    };
    let mut message = answer_to(request, kind, address);
    message.set_siaddr(Ipv4Addr::UNSPECIFIED);
    if request.kind != Kind::Discover {
        message.set_ciaddr(request.ciaddr);
    }
    let options = message.opts_mut();
    options.insert(DhcpOption::SubnetMask(network.netmask));
    if let Some(router) = network.router {
        options.insert(DhcpOption::Router(vec![router]));
    }
    if !network.dns.is_empty() {
        options.insert(DhcpOption::DomainNameServer(network.dns.clone()));
    }
    if let Some(domain) = &network.domain {
        options.insert(DhcpOption::DomainName(domain.clone()));
    }
    if let Some((leased, lease_time)) = lease {
        let seconds = u32::try_from(lease_time.as_secs()).unwrap_or(u32::MAX);
        // RFC 2131 §4.4.5: renew at half of the time, rebind at seven eighths.
        options.insert(DhcpOption::AddressLeaseTime(seconds));
        options.insert(DhcpOption::Renewal(seconds / 2));
        options.insert(DhcpOption::Rebinding(
            u32::try_from(u64::from(seconds) * 7 / 8).unwrap_or(seconds),
        ));
        message.set_yiaddr(leased);
    }
    let mut given = words;
    if let Some(file) = file {
        given = format!("{given} with {}", file.words());
        name_boot_file(&mut message, file, address);
        if matches!(file, BootFile::Script(_)) {
            // iPXE would wait for a proxy offer that never comes (175.176, `no-pxedhcp`).
            message
                .opts_mut()
                .insert(DhcpOption::Unknown(UnknownOption::new(
                    175.into(),
                    vec![176, 1, 1],
                )));
        }
    }
    let client = if request.ciaddr.is_unspecified() {
        To::Broadcast
    } else {
        To::Client(request.ciaddr)
    };
    Some(Answer {
        bytes: encode(&message),
        to: relay_or(request, client),
        given,
    })
}

fn relay_or(request: &Request, to: To) -> To {
    if request.giaddr.is_unspecified() {
        to
    } else {
        To::Relay(request.giaddr)
    }
}

/// What every answer has: RFC 2131 §4.3.1 table 3, and what was sent to be echoed.
fn answer_to(request: &Request, kind: MessageType, address: &Address) -> Message {
    let zero = Ipv4Addr::UNSPECIFIED;
    let chaddr = request.mac.octets();
    let mut message =
        Message::new_with_id(request.xid, zero, zero, address.ip, request.giaddr, &chaddr);
    message.set_opcode(Opcode::BootReply);
    message.set_flags(Flags::new(request.flags));
    let options = message.opts_mut();
    options.insert(DhcpOption::MessageType(kind));
    options.insert(DhcpOption::ServerIdentifier(address.ip));
    if let Some(id) = &request.client_id {
        options.insert(DhcpOption::ClientIdentifier(id.clone()));
    }
    if let Some(guid) = &request.guid {
        options.insert(DhcpOption::ClientMachineIdentifier(guid.clone()));
    }
    message
}

/// Marks the answer as one for PXE; EDK2 and iPXE compare the first nine octets.
fn pxe(message: &mut Message) {
    message
        .opts_mut()
        .insert(DhcpOption::ClassIdentifier(b"PXEClient".to_vec()));
}

/// Names the file in the header, where BIOS ROMs look, and in option 67, where it may be longer.
fn name_boot_file(message: &mut Message, file: &BootFile, address: &Address) {
    message.set_siaddr(address.ip);
    let name = file.as_str().as_bytes();
    // The field is NUL-terminated: 127 octets at most (RFC 2131 §2).
    if name.len() < 128 {
        message.set_fname(name);
    }
    let mut option = name.to_vec();
    if matches!(file, BootFile::Loader(_)) {
        // EDK2 writes a NUL behind option 67 if it finds none, into the option that follows.
        option.push(0);
        message.opts_mut().insert(DhcpOption::TFTPServerName(
            address.ip.to_string().into_bytes(),
        ));
    }
    message.opts_mut().insert(DhcpOption::BootfileName(option));
}

/// RFC 1542 §2.1: at least 300 octets, or some relays and ROMs drop the packet.
fn encode(message: &Message) -> Vec<u8> {
    let mut bytes = message.to_vec().unwrap_or_default();
    if bytes.len() < 300 {
        bytes.resize(300, 0);
    }
    bytes
}

#[cfg(test)]
mod tests;
