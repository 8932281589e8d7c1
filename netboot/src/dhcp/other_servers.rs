//! Other DHCP and PXE servers on a LAN: a probe that takes no address from them, and what their answers tell.
//!
//! The question is a DISCOVER that no REQUEST follows: a server that offers an address has not leased it before somebody
//! requests it (RFC 2131 §3.1).

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

use crate::base::mac::Mac;
use crate::dhcp::request::options::{DhcpOptions, code};
use crate::dhcp::{header, octets};

/// The kind of client that the question pretends to come from. Servers may answer one and not the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeAs {
    /// A machine that only wants an address.
    Plain,
    /// Firmware that netboots, of this architecture in the IANA registry (0 is BIOS, 7 UEFI on x86-64).
    Pxe(u16),
}

impl ProbeAs {
    /// All kinds that are asked as: a boot server may serve only UEFI, or only BIOS.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Pxe(7), Self::Pxe(0)];
}

/// A DHCPDISCOVER (RFC 2131 §4.4.1) that wants its answers by broadcast.
pub fn discover(mac: Mac, xid: u32, probe_as: ProbeAs) -> Vec<u8> {
    let mut packet = vec![header::BOOT_REQUEST];
    packet.extend(header::ETHERNET);
    packet.resize(header::XID, 0);
    packet.extend(xid.to_be_bytes());
    packet.resize(header::FLAGS, 0);
    packet.extend(header::BROADCAST.to_be_bytes());
    packet.resize(header::CHADDR, 0);
    packet.extend(mac.octets());
    packet.resize(header::FILE.end, 0);
    packet.extend(header::MAGIC_COOKIE);
    packet.extend([code::MESSAGE_TYPE, 1, DHCPDISCOVER]);
    packet.extend([code::PARAMETER_LIST, 9]);
    packet.extend(ASKED_FOR);
    packet.extend([code::MAX_SIZE, 2]);
    packet.extend(ETHERNET_MTU.to_be_bytes());
    if let ProbeAs::Pxe(arch) = probe_as {
        let class = format!("PXEClient:Arch:{arch:05}:UNDI:003016");
        packet.extend([code::VENDOR_CLASS, 32]);
        packet.extend(class.as_bytes());
        packet.extend([code::ARCH, 2]);
        packet.extend(arch.to_be_bytes());
        // UNDI of version 3.16, as in the class (RFC 4578 §2.2).
        packet.extend([code::INTERFACE, 3, 1, 3, 16]);
        // Some servers ignore a PXE client without a GUID (RFC 4578 §2.3); this one is made of the card: type 0, ten
        // zeros, the MAC.
        packet.extend([code::GUID, 17, 0]);
        packet.extend([0; 10]);
        packet.extend(mac.octets());
    }
    packet.push(code::END);
    // RFC 1542 §2.1: some relays drop what is shorter.
    packet.resize(packet.len().max(300), code::PAD);
    packet
}

/// The DHCP message types (RFC 2132 §9.6) of the question and of its answers.
const DHCPDISCOVER: u8 = 1;
const DHCPOFFER: u8 = 2;

/// The options that a netbooting machine asks for.
const ASKED_FOR: [u8; 9] = [
    code::SUBNET_MASK,
    code::ROUTER,
    code::DNS,
    code::DOMAIN,
    code::VENDOR_SPECIFIC,
    code::SERVER,
    code::VENDOR_CLASS,
    code::TFTP_SERVER,
    code::BOOT_FILE,
];

/// Octets of the largest IP datagram on an Ethernet.
const ETHERNET_MTU: u16 = 1500;

/// One answer to the question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedOffer {
    /// Option 54, or where the packet came from.
    pub server: Ipv4Addr,
    /// It offers an address.
    pub address: bool,
    /// It says `PXEClient`, or names a file to boot.
    pub pxe: bool,
    pub boot_file: Option<String>,
}

/// Reads an answer to one of the questions with these transaction ids; `None` for any other packet. Never panics.
pub fn read(packet: &[u8], from: Ipv4Addr, mac: Mac, xids: &[u32]) -> Option<ObservedOffer> {
    let (header, area) = packet.split_first_chunk::<{ header::LENGTH }>()?;
    let xid = u32::from_be_bytes(octets(header, header::XID));
    let [htype, hlen] = header::ETHERNET;
    let ours = header[..3] == [header::BOOT_REPLY, htype, hlen]
        && octets(header, header::CHADDR) == mac.octets()
        && xids.contains(&xid);
    if !ours || !header::has_cookie(header) {
        return None;
    }
    let options = DhcpOptions::gather(header, area);
    if options.bytes(code::MESSAGE_TYPE) != Some(&[DHCPOFFER]) {
        return None;
    }
    // A header field that holds options (RFC 2132 §9.3) holds no name.
    let overloaded = matches!(options.bytes(code::OVERLOAD), Some([1 | 3]));
    let named = options
        .bytes(code::BOOT_FILE)
        .or((!overloaded).then_some(&header[header::FILE]));
    let boot_file = named.map(printable).filter(|name| !name.is_empty());
    let class = options.bytes(code::VENDOR_CLASS).unwrap_or_default();
    let server = options
        .bytes(code::SERVER)
        .and_then(|ip| <[u8; 4]>::try_from(ip).ok());
    Some(ObservedOffer {
        server: server.map_or(from, Ipv4Addr::from),
        address: octets(header, header::YIADDR) != [0; 4],
        pxe: class.starts_with(b"PXEClient") || boot_file.is_some(),
        boot_file,
    })
}

/// The text up to the first NUL, without what is not printable: it goes into logs, and a stranger wrote it.
fn printable(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    let text = bytes[..end].iter().map(|b| char::from(*b));
    text.filter(|c| ('!'..='~').contains(c)).take(128).collect()
}

/// Another server: all of its offers together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherServer {
    pub server: Ipv4Addr,
    /// It hands out addresses.
    pub dhcp: bool,
    /// It has something to boot.
    pub pxe: bool,
    pub boot_file: Option<String>,
}

/// `10.77.0.254 (addresses; boots pxelinux.0)`
impl fmt::Display for OtherServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let boots = match &self.boot_file {
            Some(file) => format!("boots {file}"),
            None => "boots machines".to_owned(),
        };
        let does = [("addresses", self.dhcp), (&boots, self.pxe)];
        let does = does.iter().filter(|(_, is)| *is).map(|(what, _)| *what);
        write!(
            f,
            "{} ({})",
            self.server,
            does.collect::<Vec<_>>().join("; ")
        )
    }
}

/// The servers that answered, without the appliance, whose addresses are `own`.
pub fn gather(
    offers: impl IntoIterator<Item = ObservedOffer>,
    own: &[Ipv4Addr],
) -> Vec<OtherServer> {
    let mut other_servers = BTreeMap::new();
    for offer in offers {
        if own.contains(&offer.server) {
            continue;
        }
        let other_server = other_servers.entry(offer.server).or_insert(OtherServer {
            server: offer.server,
            dhcp: false,
            pxe: false,
            boot_file: None,
        });
        other_server.dhcp |= offer.address;
        other_server.pxe |= offer.pxe;
        other_server.boot_file = other_server.boot_file.take().or(offer.boot_file);
    }
    other_servers.into_values().collect()
}

/// Whether the appliance hands out addresses itself, or leaves it to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DhcpMode {
    Proxy,
    Server,
}

/// What an operator should know of the servers that were found: the text of a log line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Concern {
    #[error("no DHCP server answers: machines get no address here, and so do not boot")]
    NoAddresses,
    #[error("another PXE server answers: {0}; machines take whichever they hear first")]
    SecondPxe(OtherServer),
    #[error("another DHCP server answers: {0}")]
    SecondDhcp(OtherServer),
}

/// Proxy mode needs a DHCP server beside it, server mode must have none, and neither must have a second PXE server.
pub fn concerns(mode: DhcpMode, other_servers: &[OtherServer]) -> Vec<Concern> {
    let mut concerns = Vec::new();
    if mode == DhcpMode::Proxy && !other_servers.iter().any(|r| r.dhcp) {
        concerns.push(Concern::NoAddresses);
    }
    for other_server in other_servers {
        if mode == DhcpMode::Server && other_server.dhcp {
            concerns.push(Concern::SecondDhcp(other_server.clone()));
        } else if other_server.pxe {
            concerns.push(Concern::SecondPxe(other_server.clone()));
        }
    }
    concerns
}

#[cfg(test)]
mod tests;
