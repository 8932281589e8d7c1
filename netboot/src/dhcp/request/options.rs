//! The options of a packet, scanned octet by octet: every length is checked, options in `file` and `sname` are read too,
//! and the parts of a repeated option are joined.
//!
//! dhcproto is not used to read: it stops at the first option it finds odd and drops the rest, re-sorts option
//! 82, and panics on a hardware address length above 16.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::base::name::HostName;
use crate::dhcp::header;

pub(crate) mod code {
    //! RFC 2132 and the IANA registry of BOOTP and DHCP options.
    pub(crate) const PAD: u8 = 0;
    pub(crate) const SUBNET_MASK: u8 = 1;
    pub(crate) const ROUTER: u8 = 3;
    pub(crate) const DNS: u8 = 6;
    pub(crate) const HOST_NAME: u8 = 12;
    pub(crate) const DOMAIN: u8 = 15;
    pub(crate) const VENDOR_SPECIFIC: u8 = 43;
    pub(crate) const REQUESTED_ADDRESS: u8 = 50;
    pub(crate) const LEASE_TIME: u8 = 51;
    pub(crate) const OVERLOAD: u8 = 52;
    pub(crate) const MESSAGE_TYPE: u8 = 53;
    pub(crate) const SERVER: u8 = 54;
    pub(crate) const PARAMETER_LIST: u8 = 55;
    pub(crate) const MAX_SIZE: u8 = 57;
    pub(crate) const VENDOR_CLASS: u8 = 60;
    pub(crate) const CLIENT_ID: u8 = 61;
    pub(crate) const TFTP_SERVER: u8 = 66;
    pub(crate) const BOOT_FILE: u8 = 67;
    pub(crate) const USER_CLASS: u8 = 77;
    pub(crate) const CLIENT_FQDN: u8 = 81;
    pub(crate) const RELAY_AGENT: u8 = 82;
    pub(crate) const ARCH: u8 = 93;
    pub(crate) const INTERFACE: u8 = 94;
    pub(crate) const GUID: u8 = 97;
    pub(crate) const END: u8 = 255;
}

/// All options of a packet, repeated ones joined (RFC 3396 §5).
pub(crate) struct DhcpOptions(Vec<(u8, Vec<u8>)>);

impl DhcpOptions {
    /// Walks the option area, then `file` and `sname` if option 52 says that they hold options too
    /// (RFC 2132 §9.3). A missing end mark is forgiven: some ROMs fill the packet to the last octet.
    pub(crate) fn gather(header: &[u8; header::LENGTH], area: &[u8]) -> Self {
        let mut options = Self(Vec::new());
        options.walk(area);
        let overload = options
            .bytes(code::OVERLOAD)
            .and_then(|value| value.first().copied());
        if matches!(overload, Some(1 | 3)) {
            options.walk(&header[header::FILE]);
        }
        if matches!(overload, Some(2 | 3)) {
            options.walk(&header[header::SNAME]);
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

    pub(crate) fn bytes(&self, number: u8) -> Option<&[u8]> {
        self.0
            .iter()
            .find(|(known, _)| *known == number)
            .map(|(_, value)| value.as_slice())
    }

    pub(super) fn owned(&self, number: u8) -> Option<Vec<u8>> {
        self.bytes(number).map(<[u8]>::to_vec)
    }

    pub(super) fn address(&self, number: u8) -> Option<Ipv4Addr> {
        let octets: [u8; 4] = self.bytes(number)?.try_into().ok()?;
        Some(octets.into())
    }

    pub(super) fn short(&self, number: u8) -> Option<u16> {
        Some(u16::from_be_bytes(self.bytes(number)?.try_into().ok()?))
    }

    pub(super) fn seconds(&self, number: u8) -> Option<Duration> {
        let octets: [u8; 4] = self.bytes(number)?.try_into().ok()?;
        Some(Duration::from_secs(u32::from_be_bytes(octets).into()))
    }

    pub(super) fn host_name(&self) -> Option<HostName> {
        let text = std::str::from_utf8(self.bytes(code::HOST_NAME)?).ok()?;
        // Some clients send the whole domain name, some a NUL at the end.
        let label = text.trim_end_matches('\0').split('.').next()?;
        label.to_ascii_lowercase().parse().ok()
    }

    /// Printable characters only: the class goes into logs and tables.
    pub(super) fn vendor_class(&self) -> Option<String> {
        let bytes = self.bytes(code::VENDOR_CLASS)?;
        let printable = bytes
            .iter()
            .map(|b| char::from(*b))
            .filter(|c| (' '..='~').contains(c));
        Some(printable.take(64).collect::<String>()).filter(|class| !class.is_empty())
    }
}
