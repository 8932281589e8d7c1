//! A packet's bytes → what a machine asks for, or the reason to ignore it.
//!
//! The options are walked here and not by dhcproto: that stops at the first option it finds odd and
//! drops the rest, and panics on a hardware address length above 16.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::mac::{Mac, MacError};
use crate::machine::Facts;
use crate::name::HostName;

/// What a machine's firmware can run, as far as policy may see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arch {
    /// x86 BIOS.
    Bios,
    /// x86-64 UEFI.
    X64,
    /// Anything else, by its number in the IANA registry of processor architecture types.
    #[serde(untagged)]
    Other(u16),
}

impl Arch {
    /// RFC 4578 §2.1 and the IANA registry. 9 is "EBC" since erratum 4624 swapped it with 7; firmware
    /// that was written by the first text says 9 and means x64.
    fn from_registry(number: u16) -> Self {
        match number {
            0 => Self::Bios,
            7 | 9 => Self::X64,
            other => Self::Other(other),
        }
    }
}

/// Which trick a machine needs to get to its boot script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// A PXE ROM or UEFI PXE: give it a loader over TFTP.
    Firmware,
    /// iPXE: give it the script.
    Ipxe,
}

/// The DHCP message types (RFC 2132 §9.6) that a client sends.
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
    pub host_name: Option<HostName>,
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
    #[error("no DHCP message type (plain BOOTP)")]
    NoType,
    #[error("message type {0} is not one that a client sends")]
    Type(u8),
}

/// Octets before the options: RFC 2131 §2 with the magic cookie.
const HEADER: usize = 240;

mod code {
    //! RFC 2132 and the IANA registry of BOOTP and DHCP options.
    pub(super) const PAD: u8 = 0;
    pub(super) const HOST_NAME: u8 = 12;
    pub(super) const REQUESTED_ADDRESS: u8 = 50;
    pub(super) const OVERLOAD: u8 = 52;
    pub(super) const MESSAGE_TYPE: u8 = 53;
    pub(super) const SERVER: u8 = 54;
    pub(super) const PARAMETER_LIST: u8 = 55;
    pub(super) const VENDOR_CLASS: u8 = 60;
    pub(super) const CLIENT_ID: u8 = 61;
    pub(super) const USER_CLASS: u8 = 77;
    pub(super) const ARCH: u8 = 93;
    pub(super) const GUID: u8 = 97;
    pub(super) const END: u8 = 255;
}

/// Reads a packet. Never panics, whatever it is given.
pub fn read(packet: &[u8]) -> Result<Request, Ignored> {
    let Some((header, area)) = packet.split_first_chunk::<HEADER>() else {
        return Err(Ignored::Short(packet.len()));
    };
    let [op, htype, hlen, _hops, ..] = *header;
    if op != 1 {
        return Err(Ignored::NotAClient(op));
    }
    if header[236..240] != [99, 130, 83, 99] {
        return Err(Ignored::Cookie);
    }
    if (htype, hlen) != (1, 6) {
        return Err(Ignored::Hardware(htype, hlen));
    }
    let mac = Mac::new(octets(header, 28)).map_err(Ignored::Mac)?;
    let options = Options::gather(header, area);
    let kind = match options.bytes(code::MESSAGE_TYPE) {
        Some([1]) => Kind::Discover,
        Some([3]) => Kind::Request,
        Some([4]) => Kind::Decline,
        Some([7]) => Kind::Release,
        Some([8]) => Kind::Inform,
        Some([other]) => return Err(Ignored::Type(*other)),
        _ => return Err(Ignored::NoType),
    };
    let boot = options.boot();
    Ok(Request {
        kind,
        xid: u32::from_be_bytes(octets(header, 4)),
        mac,
        flags: u16::from_be_bytes(octets(header, 10)),
        secs: u16::from_be_bytes(octets(header, 8)),
        ciaddr: octets::<4>(header, 12).into(),
        giaddr: octets::<4>(header, 24).into(),
        requested: options.address(code::REQUESTED_ADDRESS),
        server: options.address(code::SERVER),
        host_name: options.host_name(),
        client_id: options.bytes(code::CLIENT_ID).map(<[u8]>::to_vec),
        guid: options.bytes(code::GUID).map(<[u8]>::to_vec),
        wanted: options
            .bytes(code::PARAMETER_LIST)
            .unwrap_or_default()
            .to_vec(),
        facts: Facts {
            arch: boot.as_ref().map(|boot| boot.arch),
            vendor_class: options.vendor_class(),
            uuid: options.bytes(code::GUID).and_then(smbios_uuid),
            serial: None,
        },
        boot,
    })
}

fn octets<const N: usize>(header: &[u8; HEADER], at: usize) -> [u8; N] {
    let mut octets = [0; N];
    octets.copy_from_slice(&header[at..at + N]);
    octets
}

/// All options of a packet, repeated ones joined (RFC 3396 §5).
struct Options(Vec<(u8, Vec<u8>)>);

impl Options {
    /// Walks the option area, then `file` and `sname` if option 52 says that they hold options too
    /// (RFC 2132 §9.3). A missing end mark is forgiven: some ROMs fill the packet to the last octet.
    fn gather(header: &[u8; HEADER], area: &[u8]) -> Self {
        let mut options = Self(Vec::new());
        options.walk(area);
        let overload = options
            .bytes(code::OVERLOAD)
            .and_then(|value| value.first().copied());
        if matches!(overload, Some(1 | 3)) {
            options.walk(&header[108..236]);
        }
        if matches!(overload, Some(2 | 3)) {
            options.walk(&header[44..108]);
        }
        options
    }

    fn walk(&mut self, mut rest: &[u8]) {
        loop {
            match rest {
                [] | [code::END, ..] => return,
                [code::PAD, after @ ..] => rest = after,
                [number, length, after @ ..] => {
                    // What is cut off by the end of the packet is not believed.
                    let Some((value, after)) = after.split_at_checked(usize::from(*length)) else {
                        return;
                    };
                    self.add(*number, value);
                    rest = after;
                }
                [_] => return,
            }
        }
    }

    fn add(&mut self, number: u8, value: &[u8]) {
        match self.0.iter_mut().find(|(known, _)| *known == number) {
            Some((_, whole)) => whole.extend_from_slice(value),
            None => self.0.push((number, value.to_vec())),
        }
    }

    fn bytes(&self, number: u8) -> Option<&[u8]> {
        self.0
            .iter()
            .find(|(known, _)| *known == number)
            .map(|(_, value)| value.as_slice())
    }

    fn address(&self, number: u8) -> Option<Ipv4Addr> {
        let octets: [u8; 4] = self.bytes(number)?.try_into().ok()?;
        Some(octets.into())
    }

    fn host_name(&self) -> Option<HostName> {
        let text = std::str::from_utf8(self.bytes(code::HOST_NAME)?).ok()?;
        // Some clients send the whole domain name, some a NUL at the end.
        let label = text.trim_end_matches('\0').split('.').next()?;
        label.to_ascii_lowercase().parse().ok()
    }

    /// Printable characters only: the class goes into logs and tables.
    fn vendor_class(&self) -> Option<String> {
        let bytes = self.bytes(code::VENDOR_CLASS)?;
        let printable = bytes
            .iter()
            .map(|b| char::from(*b))
            .filter(|c| (' '..='~').contains(c));
        Some(printable.take(64).collect::<String>()).filter(|class| !class.is_empty())
    }

    /// A machine netboots if its class says PXEClient, or if iPXE is talking.
    fn boot(&self) -> Option<Boot> {
        let class = self.bytes(code::VENDOR_CLASS).unwrap_or_default();
        let ipxe = self.bytes(code::USER_CLASS).is_some_and(is_ipxe);
        if !ipxe && !class.starts_with(b"PXEClient") {
            return None;
        }
        // The option is a list (RFC 4578 §2.1); the first is the one that runs. Without it, the class
        // says it in decimal; without both, the machine is of the time when there was only BIOS.
        let listed = self
            .bytes(code::ARCH)
            .and_then(|value| value.first_chunk::<2>());
        let number = listed
            .map(|pair| u16::from_be_bytes(*pair))
            .or_else(|| arch_of_class(class));
        let stage = if ipxe { Stage::Ipxe } else { Stage::Firmware };
        Some(Boot {
            arch: Arch::from_registry(number.unwrap_or(0)),
            stage,
        })
    }
}

/// iPXE sends its user class bare, not as RFC 3004 wants it; other builds follow the RFC. Both count.
fn is_ipxe(user_class: &[u8]) -> bool {
    let mut rest = user_class;
    if rest.starts_with(b"iPXE") {
        return true;
    }
    while let [length, after @ ..] = rest {
        let Some((class, after)) = after.split_at_checked(usize::from(*length)) else {
            return false;
        };
        if class == b"iPXE" {
            return true;
        }
        rest = after;
    }
    false
}

/// `PXEClient:Arch:00007:UNDI:003016` → 7.
fn arch_of_class(class: &[u8]) -> Option<u16> {
    let digits = class.strip_prefix(b"PXEClient:Arch:")?.get(..5)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The uuid as SMBIOS tools print it: the first three fields are little-endian (RFC 4578 §2.3, SMBIOS
/// §7.2.1). Nothing for another length, or for one that says nothing.
fn smbios_uuid(option: &[u8]) -> Option<String> {
    let [0, uuid @ ..] = option else { return None };
    let [a, b, c, d, e, f, g, h, rest @ ..] = <[u8; 16]>::try_from(uuid).ok()?;
    let all = [a, b, c, d, e, f, g, h].into_iter().chain(rest);
    if all.clone().all(|o| o == 0) || all.clone().all(|o| o == 0xff) {
        return None;
    }
    let [i, j, k, l, m, n, o, p] = rest;
    Some(format!(
        "{d:02x}{c:02x}{b:02x}{a:02x}-{f:02x}{e:02x}-{h:02x}{g:02x}-{i:02x}{j:02x}-{k:02x}{l:02x}{m:02x}{n:02x}{o:02x}{p:02x}"
    ))
}

#[cfg(test)]
mod tests;
