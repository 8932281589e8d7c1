//! A packet's bytes → what a machine asks for, or the reason to ignore it.

use serde::{Deserialize, Serialize};

/// What a machine's firmware can run, as far as policy may see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arch {
    /// x86 BIOS.
    Bios,
    /// x86-64 UEFI.
    X64,
    /// Anything else the registry numbers, by its number.
    #[serde(untagged)]
    Other(u16),
}

use std::net::Ipv4Addr;

use crate::mac::Mac;
use crate::machine::Facts;

/// Which trick a machine needs to get to its boot script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// A PXE ROM or UEFI PXE: give it a loader over TFTP.
    Firmware,
    /// iPXE: give it the script.
    Ipxe,
}

/// The DHCP message type (RFC 2132 §9.6), those that a client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Discover,
    Request,
    Decline,
    Release,
    Inform,
}

/// A DHCP message of a client, as far as anything here looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub kind: Kind,
    pub xid: u32,
    pub mac: Mac,
    pub flags: u16,
    pub secs: u16,
    pub ciaddr: Ipv4Addr,
    pub giaddr: Ipv4Addr,
    /// Option 50.
    pub requested: Option<Ipv4Addr>,
    /// Option 54.
    pub server: Option<Ipv4Addr>,
    /// Option 12, if it is a name.
    pub host_name: Option<crate::name::HostName>,
    /// Option 61, byte for byte: echoed (RFC 6842).
    pub client_id: Option<Vec<u8>>,
    /// Option 97, byte for byte: echoed.
    pub guid: Option<Vec<u8>>,
    /// Option 55.
    pub wanted: Vec<u8>,
    /// Set when it wants to netboot.
    pub boot: Option<Boot>,
    pub facts: Facts,
}

/// The netboot part of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    pub arch: Arch,
    pub stage: Stage,
}

/// Why a packet gets no answer before anybody looks at the machine: the text of the log line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    #[error("shorter than a DHCP message")]
    Short,
}

/// Reads a packet. Never panics, whatever it is given.
pub fn read(packet: &[u8]) -> Result<Request, Ignored> {
    let _ = packet;
    unimplemented!()
}
