//! Builds an answer: what every answer has, the order of its options, and the size that the client takes.

use std::net::Ipv4Addr;

use dhcproto::Encodable;
use dhcproto::v4::{DhcpOption, Flags, Message, MessageType, Opcode, OptionCode};

use super::BootFile;
use crate::dhcp::header;
use crate::dhcp::request::Request;
use crate::dhcp::request::options::code;

/// RFC 1542 §2.1: with fewer octets some relays and ROMs drop the packet.
const SMALLEST: usize = 300;

/// Octets of IP and UDP headers: option 57 counts them in, the packet does not have them.
const HEADERS: usize = 28;

/// The largest datagram that every client takes (RFC 2131 §2), and the largest on an Ethernet.
const DATAGRAM: std::ops::RangeInclusive<usize> = 576..=1500;

/// Octets of message type and server. They stand in the option area however much of it a relay's own option takes:
/// clients look into `sname` only when they know what the message is.
const FIRST: usize = 9;

const END_MARK: usize = 1;

/// Octets of option 52 with its code and length.
const OVERLOAD: usize = 3;

/// Octets of options that `file` and `sname` hold.
const FILE: usize = header::FILE.end - header::FILE.start - END_MARK;
const SNAME: usize = header::SNAME.end - header::SNAME.start - END_MARK;

/// An answer whose header is complete and whose options are being collected.
pub(super) struct ReplyBuilder<'a> {
    request: &'a Request,
    header: Message,
    /// Options that go out whether or not the client asked for them.
    required: Vec<Encoded>,
    /// Options that go out if the client asked for them, or sent no list (option 55).
    if_requested: Vec<Encoded>,
    /// The first option that could not be written; [`ReplyBuilder::finish`] returns it.
    fault: Option<AnswerError>,
}

/// Why an answer cannot be written. Nothing is sent then: an answer without one of its options is another answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    #[error("option {code} of the answer cannot be written: {cause}")]
    Option { code: u8, cause: String },
    #[error("the header of the answer cannot be written: {cause}")]
    Header { cause: String },
}

/// One option, ready for the wire; a value above 255 octets is several of one code (RFC 3396).
struct Encoded {
    code: u8,
    octets: Vec<u8>,
}

impl<'a> ReplyBuilder<'a> {
    /// The header and the first options by RFC 2131 §4.3.1 table 3.
    pub(super) fn new(request: &'a Request, kind: MessageType, from: Ipv4Addr) -> Self {
        let zero = Ipv4Addr::UNSPECIFIED;
        let chaddr = request.mac.octets();
        let mut header =
            Message::new_with_id(request.xid, zero, zero, zero, request.giaddr, &chaddr);
        header.set_opcode(Opcode::BootReply);
        header.set_flags(Flags::new(request.flags));
        let mut reply = Self {
            request,
            header,
            required: Vec::new(),
            if_requested: Vec::new(),
            fault: None,
        };
        reply.require(DhcpOption::MessageType(kind));
        reply.require(DhcpOption::ServerIdentifier(from));
        reply
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
            .set_flags(Flags::new(self.request.flags | header::BROADCAST));
    }

    /// Names the file in the header, where BIOS ROMs look. The field is NUL-terminated: 127 octets at most.
    pub(super) fn file_in_header(&mut self, file: &BootFile) {
        let name = file.as_str().as_bytes();
        if name.len() <= FILE {
            self.header.set_fname(name);
        }
    }

    pub(super) fn require(&mut self, option: DhcpOption) {
        let encoded = self.encoded(OptionCode::from(&option).into(), &option);
        self.required.extend(encoded);
    }

    pub(super) fn if_requested(&mut self, option: DhcpOption) {
        let encoded = self.encoded(OptionCode::from(&option).into(), &option);
        self.if_requested.extend(encoded);
    }

    /// The option's octets. One that cannot be written is kept as the answer's fault.
    fn encoded(&mut self, code: u8, option: &impl Encodable) -> Option<Encoded> {
        match option.to_vec() {
            Ok(octets) => Some(Encoded { code, octets }),
            Err(error) => {
                let cause = error.to_string();
                self.fault
                    .get_or_insert(AnswerError::Option { code, cause });
                None
            }
        }
    }

    /// The packet: never larger than the client takes, never smaller than relays pass on.
    ///
    /// # Errors
    /// An option or the header cannot be written.
    pub(super) fn finish(mut self) -> Result<Vec<u8>, AnswerError> {
        self.echo();
        let Self {
            request,
            header,
            required,
            if_requested,
            fault,
        } = self;
        if let Some(fault) = fault {
            return Err(fault);
        }
        let order = ParameterRequestList(&request.wanted);
        let options = order.selected(required, if_requested);
        let relay_agent = request.relay_agent.as_deref().map(relay_agent);
        let relay_agent = relay_agent.unwrap_or_default();
        let largest = option_octets(request).saturating_sub(relay_agent.len() + END_MARK);
        let areas = OptionAreas::filled(options, largest, header.fname().is_none());
        packet(header, areas.ordered(&order), &relay_agent)
    }

    /// The options that go back as they came: 61 (RFC 6842 §3) and the machine's GUID, 97 (RFC 4578 §2.3).
    fn echo(&mut self) {
        let short = |value: &&Vec<u8>| !value.is_empty() && value.len() <= 255;
        if let Some(id) = self.request.client_id.as_ref().filter(short) {
            self.require(DhcpOption::ClientIdentifier(id.clone()));
        }
        if let Some(guid) = self.request.guid.as_ref().filter(short) {
            self.require(DhcpOption::ClientMachineIdentifier(guid.clone()));
        }
    }
}

/// Header, options and the mark behind them, in the order of the wire. Options in `file` and `sname` end in a mark of
/// their own, and option 52 says that they are there.
fn packet(
    mut header: Message,
    [main, file, sname]: [Vec<u8>; 3],
    relay_agent: &[u8],
) -> Result<Vec<u8>, AnswerError> {
    let overload = u8::from(!file.is_empty()) + 2 * u8::from(!sname.is_empty());
    if !file.is_empty() {
        header.set_fname(&ended(file));
    }
    if !sname.is_empty() {
        header.set_sname(&ended(sname));
    }
    let mut packet = header.to_vec().map_err(|error| AnswerError::Header {
        cause: error.to_string(),
    })?;
    packet.truncate(header::LENGTH);
    packet.extend(main);
    if overload != 0 {
        packet.extend([code::OVERLOAD, 1, overload]);
    }
    packet.extend_from_slice(relay_agent);
    packet.push(code::END);
    if packet.len() < SMALLEST {
        packet.resize(SMALLEST, code::PAD);
    }
    Ok(packet)
}

/// Option 82, unchanged and as the last option (RFC 3046 §2.2). It is not encoded by dhcproto, which sorts its parts.
fn relay_agent(value: &[u8]) -> Vec<u8> {
    let chunks = value.chunks(255).flat_map(|chunk| {
        let length = u8::try_from(chunk.len()).unwrap_or(u8::MAX);
        [code::RELAY_AGENT, length]
            .into_iter()
            .chain(chunk.iter().copied())
    });
    chunks.collect()
}

/// Octets that the options of an answer may take in all, by what the client takes (option 57).
fn option_octets(request: &Request) -> usize {
    let datagram = usize::from(request.max_size.unwrap_or(0));
    datagram.clamp(*DATAGRAM.start(), *DATAGRAM.end()) - HEADERS - header::LENGTH
}

/// The client's list of what it asks for (option 55), whose order the answer follows.
struct ParameterRequestList<'a>(&'a [u8]);

impl ParameterRequestList<'_> {
    fn place(&self, code: u8) -> Option<usize> {
        self.0.iter().position(|wanted| *wanted == code)
    }

    /// What goes out, the most important first: all that is required, then what the client asked for, in its order.
    fn selected(&self, required: Vec<Encoded>, if_requested: Vec<Encoded>) -> Vec<Encoded> {
        let mut requested = if_requested;
        requested.retain(|option| self.0.is_empty() || self.place(option.code).is_some());
        requested.sort_by_key(|option| self.place(option.code));
        let mut options = required;
        options.append(&mut requested);
        options
    }

    /// Message type and server first, as every client expects them; then what the client listed, in its order; then
    /// the rest.
    fn rank(&self, code: u8) -> (u8, usize) {
        match code {
            code::MESSAGE_TYPE => (0, 0),
            code::SERVER => (0, 1),
            other => self.place(other).map_or((2, 0), |at| (1, at)),
        }
    }
}

/// The three places for options: the option area, `file` and `sname`.
struct OptionAreas([OptionArea; 3]);

impl OptionAreas {
    /// The options, each in its place. `largest` octets fit into the option area.
    fn filled(options: Vec<Encoded>, largest: usize, file_is_unused: bool) -> Self {
        let whole: usize = options.iter().map(|option| option.octets.len()).sum();
        let mut areas = if whole <= largest {
            Self::unsplit(largest)
        } else {
            Self::overloaded(largest, file_is_unused)
        };
        areas.fill(options);
        areas
    }

    /// The octets of each area, in the order in which they go out.
    fn ordered(self, order: &ParameterRequestList<'_>) -> [Vec<u8>; 3] {
        self.0.map(|area| area.ordered(order))
    }

    /// The areas where all options fit into the option area, which has room for `largest` octets.
    fn unsplit(largest: usize) -> Self {
        Self([largest.max(FIRST), 0, 0].map(OptionArea::new))
    }

    /// The areas where they do not fit. Option 52 takes its octets from the option area, and `file` and `sname` take
    /// options where they are not in use.
    fn overloaded(largest: usize, file_is_unused: bool) -> Self {
        let main = largest.saturating_sub(OVERLOAD).max(FIRST);
        let file = if file_is_unused { FILE } else { 0 };
        Self([main, file, SNAME].map(OptionArea::new))
    }

    /// Puts each option into the first area with room for it. An option that fits nowhere is left out.
    fn fill(&mut self, options: Vec<Encoded>) {
        for option in options {
            let octets = option.octets.len();
            if let Some(area) = self.0.iter_mut().find(|area| area.room >= octets) {
                area.room -= octets;
                area.options.push(option);
            }
        }
    }
}

/// One place for options, and the octets that are left in it.
struct OptionArea {
    room: usize,
    options: Vec<Encoded>,
}

impl OptionArea {
    fn new(room: usize) -> Self {
        Self {
            room,
            options: Vec::new(),
        }
    }

    /// The octets of all options, in the order in which they go out.
    fn ordered(mut self, order: &ParameterRequestList<'_>) -> Vec<u8> {
        self.options.sort_by_key(|option| order.rank(option.code));
        let octets = self.options.into_iter().flat_map(|option| option.octets);
        octets.collect()
    }
}

fn ended(mut options: Vec<u8>) -> Vec<u8> {
    options.push(code::END);
    options
}

#[cfg(test)]
mod tests {
    use dhcproto::encoder::Encoder;
    use dhcproto::error::{EncodeError, EncodeResult};

    use super::*;
    use crate::test_support::request;

    /// An option that dhcproto refuses to write.
    struct Broken;

    impl Encodable for Broken {
        fn encode(&self, _: &mut Encoder<'_>) -> EncodeResult<()> {
            Err(EncodeError::AddOverflow)
        }
    }

    #[test]
    fn what_cannot_be_written_is_an_error_and_no_shorter_answer() {
        let request = request();
        let reply = || ReplyBuilder::new(&request, MessageType::Offer, Ipv4Addr::LOCALHOST);
        assert!(reply().finish().is_ok());

        let mut without = reply();
        assert!(without.encoded(12, &Broken).is_none());
        assert!(without.encoded(15, &Broken).is_none());
        let error = without.finish().expect_err("an option is missing");
        assert!(
            matches!(error, AnswerError::Option { code: 12, .. }),
            "{error}"
        );
    }
}
