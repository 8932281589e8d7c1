//! Other DHCP and PXE servers on a LAN: a question that costs them nothing, and what the answers tell.
//!
//! The question is a DISCOVER, and nothing follows it: a server that offers an address has given none away
//! until somebody requests it (RFC 2131 §3.1).

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

use crate::base::mac::Mac;
use crate::dhcp::request::options::{Options, code};

/// As what we ask. Servers may answer one and not the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guise {
    /// A machine that only wants an address.
    Plain,
    /// Firmware that netboots, of this architecture in the IANA registry (0 is BIOS, 7 UEFI on x86-64).
    Pxe(u16),
}

impl Guise {
    /// Boot servers may serve only the one kind of firmware or the other.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Pxe(7), Self::Pxe(0)];
}

/// A DHCPDISCOVER (RFC 2131 §4.4.1) that wants its answers by broadcast.
pub fn discover(mac: Mac, xid: u32, guise: Guise) -> Vec<u8> {
    let mut packet = vec![1, 1, 6, 0];
    packet.extend(xid.to_be_bytes());
    packet.extend([0, 0, 0x80, 0]);
    packet.resize(28, 0);
    packet.extend(mac.octets());
    packet.resize(236, 0);
    packet.extend([99, 130, 83, 99]);
    packet.extend([53, 1, 1]);
    // Netmask, router, names, server, boot server and boot file: what a netbooting machine asks for.
    packet.extend([55, 9, 1, 3, 6, 15, 43, 54, 60, 66, 67]);
    packet.extend([57, 2, 5, 220]);
    if let Guise::Pxe(arch) = guise {
        let class = format!("PXEClient:Arch:{arch:05}:UNDI:003016");
        packet.extend([60, 32]);
        packet.extend(class.as_bytes());
        packet.extend([93, 2]);
        packet.extend(arch.to_be_bytes());
        packet.extend([94, 3, 1, 3, 16]);
        // Some servers ignore a PXE client without a GUID (RFC 4578 §2.3); ours is made of the card.
        packet.extend([97, 17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        packet.extend(mac.octets());
    }
    packet.push(255);
    packet.resize(packet.len().max(300), 0);
    packet
}

/// Option 67 (RFC 2132 §9.5).
const BOOT_FILE: u8 = 67;

/// What one answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Option 54, or where the packet came from.
    pub server: Ipv4Addr,
    /// It offers an address.
    pub address: bool,
    /// It says `PXEClient`, or names a file to boot.
    pub pxe: bool,
    pub boot_file: Option<String>,
}

/// Reads an answer to one of these questions. Never panics; nothing for any other packet.
pub fn read(packet: &[u8], from: Ipv4Addr, mac: Mac, xids: &[u32]) -> Option<Offer> {
    let (header, area) = packet.split_first_chunk::<240>()?;
    let xid = u32::from_be_bytes(header[4..8].try_into().ok()?);
    let ours = header[..3] == [2, 1, 6] && header[28..34] == mac.octets() && xids.contains(&xid);
    if !ours || header[236..240] != [99, 130, 83, 99] {
        return None;
    }
    let options = Options::gather(header, area);
    if options.bytes(code::MESSAGE_TYPE) != Some(&[2]) {
        return None;
    }
    // A header field that holds options (RFC 2132 §9.3) holds no name.
    let overloaded = matches!(options.bytes(code::OVERLOAD), Some([1 | 3]));
    let named = options
        .bytes(BOOT_FILE)
        .or((!overloaded).then_some(&header[108..236]));
    let boot_file = named.map(printable).filter(|name| !name.is_empty());
    let class = options.bytes(code::VENDOR_CLASS).unwrap_or_default();
    let server = options
        .bytes(code::SERVER)
        .and_then(|ip| <[u8; 4]>::try_from(ip).ok());
    Some(Offer {
        server: server.map_or(from, Ipv4Addr::from),
        address: header[16..20] != [0; 4],
        pxe: class.starts_with(b"PXEClient") || boot_file.is_some(),
        boot_file,
    })
}

/// Up to the first NUL. What a stranger says goes into logs: one line of printable characters.
fn printable(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    let text = bytes[..end].iter().map(|b| char::from(*b));
    text.filter(|c| ('!'..='~').contains(c)).take(128).collect()
}

/// Another server, by all that it offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rival {
    pub server: Ipv4Addr,
    /// It hands out addresses.
    pub dhcp: bool,
    /// It has something to boot.
    pub pxe: bool,
    pub boot_file: Option<String>,
}

/// `10.77.0.254 (addresses; boots pxelinux.0)`
impl fmt::Display for Rival {
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

/// Who answered, without the appliance itself.
pub fn gather(offers: impl IntoIterator<Item = Offer>, own: &[Ipv4Addr]) -> Vec<Rival> {
    let mut rivals = BTreeMap::new();
    for offer in offers {
        if own.contains(&offer.server) {
            continue;
        }
        let rival = rivals.entry(offer.server).or_insert(Rival {
            server: offer.server,
            dhcp: false,
            pxe: false,
            boot_file: None,
        });
        rival.dhcp |= offer.address;
        rival.pxe |= offer.pxe;
        rival.boot_file = rival.boot_file.take().or(offer.boot_file);
    }
    rivals.into_values().collect()
}

/// Whether the appliance hands out addresses itself, or leaves it to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Proxy,
    Server,
}

/// What somebody should know of the servers that were found: the text of a log line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Concern {
    #[error("no DHCP server answers: machines get no address here, and so do not boot")]
    NoAddresses,
    #[error("another PXE server answers: {0}; machines take whichever they hear first")]
    SecondPxe(Rival),
    #[error("another DHCP server answers: {0}")]
    SecondDhcp(Rival),
}

/// Proxy mode needs a DHCP server beside it, server mode none; nobody needs two that boot machines.
pub fn concerns(mode: Mode, rivals: &[Rival]) -> Vec<Concern> {
    let mut concerns = Vec::new();
    if mode == Mode::Proxy && !rivals.iter().any(|r| r.dhcp) {
        concerns.push(Concern::NoAddresses);
    }
    for rival in rivals {
        if mode == Mode::Server && rival.dhcp {
            concerns.push(Concern::SecondDhcp(rival.clone()));
        } else if rival.pxe {
            concerns.push(Concern::SecondPxe(rival.clone()));
        }
    }
    concerns
}

#[cfg(test)]
mod tests;
