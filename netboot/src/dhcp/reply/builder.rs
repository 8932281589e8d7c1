//! An answer being put together: what every answer has, the order of its options, and the size the client takes.

use std::net::Ipv4Addr;

use dhcproto::Encodable;
use dhcproto::v4::{DhcpOption, Flags, Message, MessageType, Opcode, OptionCode};

use super::BootFile;
use crate::dhcp::request::Request;
use crate::dhcp::request::options::code;

/// RFC 1542 §2.1: with fewer octets some relays and ROMs drop the packet.
const SMALLEST: usize = 300;

/// Octets of IP and UDP headers: option 57 counts them in, the packet does not have them.
const HEADERS: usize = 28;

/// The largest datagram that every client takes (RFC 2131 §2), and the largest on an Ethernet.
const DATAGRAM: std::ops::RangeInclusive<usize> = 576..=1500;

/// Octets of the header and the magic cookie.
const FIXED: usize = 240;

/// Octets of message type and server: in the option area whatever a relay put into its own option, for clients that look
/// into `sname` only when they know what the message is.
const FIRST: usize = 9;

/// Octets of `file` and `sname`, without the end mark that they need when they hold options.
const FILE: usize = 127;
const SNAME: usize = 63;

pub(super) struct Sheet<'a> {
    request: &'a Request,
    header: Message,
    /// Go out whatever the client asked for.
    needed: Vec<Encoded>,
    /// Go out if the client asked for them, or did not say what it wants.
    wished: Vec<Encoded>,
}

/// One option, ready for the wire; a value above 255 octets is several of one code (RFC 3396).
struct Encoded {
    code: u8,
    octets: Vec<u8>,
}

impl<'a> Sheet<'a> {
    /// RFC 2131 §4.3.1 table 3, and what was sent to be echoed.
    pub(super) fn new(request: &'a Request, kind: MessageType, from: Ipv4Addr) -> Self {
        let zero = Ipv4Addr::UNSPECIFIED;
        let chaddr = request.mac.octets();
        let mut header =
            Message::new_with_id(request.xid, zero, zero, zero, request.giaddr, &chaddr);
        header.set_opcode(Opcode::BootReply);
        header.set_flags(Flags::new(request.flags));
        let mut sheet = Self {
            request,
            header,
            needed: Vec::new(),
            wished: Vec::new(),
        };
        sheet.need(DhcpOption::MessageType(kind));
        sheet.need(DhcpOption::ServerIdentifier(from));
        sheet
    }

    pub(super) fn ciaddr(&mut self, address: Ipv4Addr) {
        self.header.set_ciaddr(address);
    }

    pub(super) fn yiaddr(&mut self, address: Ipv4Addr) {
        self.header.set_yiaddr(address);
    }

    pub(super) fn siaddr(&mut self, address: Ipv4Addr) {
        self.header.set_siaddr(address);
    }

    /// RFC 1542 §4.1.2 and RFC 2131 §4.1: a relay must broadcast what its client cannot take otherwise.
    pub(super) fn demand_broadcast(&mut self) {
        self.header
            .set_flags(Flags::new(self.request.flags | 0x8000));
    }

    /// Names the file in the header, where BIOS ROMs look. The field is NUL-terminated: 127 octets at most.
    pub(super) fn file_in_header(&mut self, file: &BootFile) {
        let name = file.as_str().as_bytes();
        if name.len() < 128 {
            self.header.set_fname(name);
        }
    }

    pub(super) fn need(&mut self, option: DhcpOption) {
        self.needed.extend(Encoded::of(&option));
    }

    pub(super) fn wish(&mut self, option: DhcpOption) {
        self.wished.extend(Encoded::of(&option));
    }

    /// The packet: never larger than the client takes, never smaller than relays pass on.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.echo();
        let Self {
            request,
            mut header,
            needed,
            wished,
        } = self;
        let place = |code: u8| request.wanted.iter().position(|wanted| *wanted == code);
        let limit = usize::from(request.max_size.unwrap_or(0));
        let limit = limit.clamp(*DATAGRAM.start(), *DATAGRAM.end()) - HEADERS - FIXED;
        let relay = request.relay_agent.as_deref().map(relay_agent);
        let tail = relay.as_ref().map_or(0, Vec::len) + 1;
        let wished = wished
            .into_iter()
            .filter(|option| request.wanted.is_empty() || place(option.code).is_some());

        // First what must go out, then what was asked for; in the packet, both in the client's order.
        let mut all: Vec<Encoded> = needed.into_iter().collect();
        let mut rest: Vec<Encoded> = wished.collect();
        rest.sort_by_key(|option| place(option.code));
        all.append(&mut rest);
        let whole: usize = all.iter().map(|option| option.octets.len()).sum();
        let mut areas = [
            Area::new(limit.saturating_sub(tail).max(FIRST)),
            Area::new(0),
            Area::new(0),
        ];
        if whole + tail > limit {
            // Option 52 takes three octets, and the fields take options where they are not in use.
            areas[0].room = areas[0].room.saturating_sub(3).max(FIRST);
            areas[1].room = if header.fname().is_none() { FILE } else { 0 };
            areas[2].room = SNAME;
        }
        for option in all {
            if let Some(area) = areas.iter_mut().find(|a| a.room >= option.octets.len()) {
                area.take(option);
            }
        }
        let [main, file, sname] = areas.map(|area| area.lay(&place));
        let overload = u8::from(!file.is_empty()) + 2 * u8::from(!sname.is_empty());
        if !file.is_empty() {
            header.set_fname(&ended(file));
        }
        if !sname.is_empty() {
            header.set_sname(&ended(sname));
        }
        let mut packet = header.to_vec().unwrap_or_default();
        packet.truncate(FIXED);
        packet.extend(main);
        if overload != 0 {
            packet.extend([code::OVERLOAD, 1, overload]);
        }
        packet.extend(relay.unwrap_or_default());
        packet.push(code::END);
        if packet.len() < SMALLEST {
            packet.resize(SMALLEST, code::PAD);
        }
        packet
    }

    /// What was sent to be echoed: option 61 (RFC 6842 §3) and the machine's GUID (RFC 4578 §2.3).
    fn echo(&mut self) {
        let short = |value: &&Vec<u8>| !value.is_empty() && value.len() <= 255;
        if let Some(id) = self.request.client_id.as_ref().filter(short) {
            self.need(DhcpOption::ClientIdentifier(id.clone()));
        }
        if let Some(guid) = self.request.guid.as_ref().filter(short) {
            self.need(DhcpOption::ClientMachineIdentifier(guid.clone()));
        }
    }
}

impl Encoded {
    fn of(option: &DhcpOption) -> Option<Self> {
        let octets = option.to_vec().ok()?;
        Some(Self {
            code: OptionCode::from(option).into(),
            octets,
        })
    }
}

/// RFC 3046 §2.2: all of it, unchanged, as the last option. Not by dhcproto, which sorts its parts.
fn relay_agent(value: &[u8]) -> Vec<u8> {
    let chunks = value.chunks(255).flat_map(|chunk| {
        let length = u8::try_from(chunk.len()).unwrap_or(u8::MAX);
        [code::RELAY_AGENT, length]
            .into_iter()
            .chain(chunk.iter().copied())
    });
    chunks.collect()
}

/// A place for options in a packet.
struct Area {
    room: usize,
    options: Vec<Encoded>,
}

impl Area {
    fn new(room: usize) -> Self {
        Self {
            room,
            options: Vec::new(),
        }
    }

    fn take(&mut self, option: Encoded) {
        self.room -= option.octets.len();
        self.options.push(option);
    }

    /// Message type and server first, as every client expects them; then what the client listed, in its order; then
    /// the rest.
    fn lay(mut self, place: &impl Fn(u8) -> Option<usize>) -> Vec<u8> {
        self.options.sort_by_key(|option| match option.code {
            code::MESSAGE_TYPE => (0, 0),
            code::SERVER => (0, 1),
            other => place(other).map_or((2, 0), |at| (1, at)),
        });
        self.options
            .into_iter()
            .flat_map(|option| option.octets)
            .collect()
    }
}

fn ended(mut options: Vec<u8>) -> Vec<u8> {
    options.push(code::END);
    options
}
