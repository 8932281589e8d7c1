//! A packet's bytes → what a machine asks for, or the reason to ignore it.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::base::mac::{Mac, MacError};
use crate::base::name::HostName;
use crate::dhcp::{header, octets};

mod facts;
mod firmware;
pub(crate) mod options;

pub use facts::Facts;
pub use firmware::{BootClient, NetbootRequest, is_raspberry_pi_card};
use options::{DhcpOptions, code};

/// The DHCP message types (RFC 2132 §9.6) that a client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientMessageType {
    Discover,
    Request,
    Decline,
    Release,
    Inform,
}

/// A DHCP message of a client: the fields that an answer depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub kind: ClientMessageType,
    pub xid: u32,
    pub mac: Mac,
    pub flags: u16,
    pub ciaddr: Ipv4Addr,
    pub giaddr: Ipv4Addr,
    /// Option 50.
    pub requested: Option<Ipv4Addr>,
    /// Option 54.
    pub server: Option<Ipv4Addr>,
    /// Option 12, if it is a name.
    pub host_name: Option<HostName>,
    /// Option 81, byte for byte (RFC 4702).
    pub client_fqdn: Option<Vec<u8>>,
    /// Option 61, byte for byte: echoed (RFC 6842).
    pub client_id: Option<Vec<u8>>,
    /// Option 97, byte for byte: echoed.
    pub guid: Option<Vec<u8>>,
    /// Option 82, byte for byte: echoed as a whole (RFC 3046 §2.2).
    pub relay_agent: Option<Vec<u8>>,
    /// Option 55: the options that it asks for, in its order.
    pub wanted: Vec<u8>,
    /// Option 57: the largest IP datagram that it takes, in octets.
    pub max_size: Option<u16>,
    /// Option 51: how long it would like to keep its address.
    pub lease_time: Option<Duration>,
    /// Absent in a request that does not want to netboot.
    pub boot: Option<NetbootRequest>,
    pub facts: Facts,
}

impl Request {
    /// Whether it cannot take a packet to an address that it does not have yet (RFC 2131 §4.1).
    pub fn wants_broadcast(&self) -> bool {
        self.flags & header::BROADCAST != 0
    }
}

/// Why a packet is ignored, since it is not a request: the text of the log line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    #[error("{0} octets are shorter than a DHCP message")]
    Short(usize),
    #[error("not sent by a client (op {0})")]
    NotAClient(u8),
    #[error("no DHCP magic cookie")]
    Cookie,
    #[error("hardware address of type {0} and length {1}; only Ethernet is served")]
    Hardware(u8, u8),
    #[error("hardware address {0}")]
    Mac(MacError),
    #[error("passed through {0} relays, more than 16")]
    Hops(u8),
    #[error("no DHCP message type (plain BOOTP)")]
    NoType,
    #[error("message type {0} is not one that a client sends")]
    Type(u8),
}

/// Reads a packet. Never panics, whatever the octets are.
///
/// # Errors
/// The octets are not a DHCP message that a client on an Ethernet sends.
pub fn read(packet: &[u8]) -> Result<Request, Ignored> {
    let Some((header, area)) = packet.split_first_chunk::<{ header::LENGTH }>() else {
        return Err(Ignored::Short(packet.len()));
    };
    let [op, htype, hlen, hops, ..] = *header;
    if op != header::BOOT_REQUEST {
        return Err(Ignored::NotAClient(op));
    }
    if !header::has_cookie(header) {
        return Err(Ignored::Cookie);
    }
    if [htype, hlen] != header::ETHERNET {
        return Err(Ignored::Hardware(htype, hlen));
    }
    // RFC 1542 §4.1.1: a packet that passed through this many relays goes in circles.
    if hops > 16 {
        return Err(Ignored::Hops(hops));
    }
    let mac = Mac::new(octets(header, header::CHADDR)).map_err(Ignored::Mac)?;
    let options = DhcpOptions::gather(header, area);
    let kind = match options.bytes(code::MESSAGE_TYPE) {
        Some([1]) => ClientMessageType::Discover,
        Some([3]) => ClientMessageType::Request,
        Some([4]) => ClientMessageType::Decline,
        Some([7]) => ClientMessageType::Release,
        Some([8]) => ClientMessageType::Inform,
        Some([other]) => return Err(Ignored::Type(*other)),
        _ => return Err(Ignored::NoType),
    };
    let boot = NetbootRequest::read(&options, mac);
    let guid = options.bytes(code::GUID);
    Ok(Request {
        kind,
        xid: u32::from_be_bytes(octets(header, header::XID)),
        mac,
        flags: u16::from_be_bytes(octets(header, header::FLAGS)),
        ciaddr: octets::<4>(header, header::CIADDR).into(),
        giaddr: octets::<4>(header, header::GIADDR).into(),
        requested: options.address(code::REQUESTED_ADDRESS),
        server: options.address(code::SERVER),
        host_name: options.host_name(),
        client_fqdn: options.owned(code::CLIENT_FQDN),
        client_id: options.owned(code::CLIENT_ID),
        guid: options.owned(code::GUID),
        relay_agent: options.owned(code::RELAY_AGENT),
        wanted: options.owned(code::PARAMETER_LIST).unwrap_or_default(),
        max_size: options.short(code::MAX_SIZE),
        lease_time: options.seconds(code::LEASE_TIME),
        boot,
        facts: Facts {
            arch: boot.map(|boot| boot.arch),
            vendor_class: options.vendor_class(),
            uuid: guid.and_then(firmware::smbios_uuid),
            serial: guid.and_then(firmware::raspberry_pi_serial),
        },
    })
}

#[cfg(test)]
mod tests;
