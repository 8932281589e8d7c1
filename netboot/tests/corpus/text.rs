//! A request and its answers as text for people: fields and options by name. Decodes by itself, so that an error of the
//! core in both directions shows.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use netboot::dhcp::reply::DhcpReply;
use netboot::dhcp::request::Request;

use super::{CorpusPacket, MODES, answers, reading};

/// A reply taken apart.
pub(crate) struct Decoded {
    pub(crate) op: u8,
    pub(crate) xid: u32,
    pub(crate) flags: u16,
    pub(crate) chaddr: [u8; 16],
    addresses: [Ipv4Addr; 4],
    sname: Vec<u8>,
    file: Vec<u8>,
    /// In the order of the packet, those in `file` and `sname` behind; parts of one code side by side are joined.
    pub(crate) options: Vec<(u8, Vec<u8>)>,
    pub(crate) ended: bool,
    /// A pad between two options.
    pub(crate) padded: bool,
}

impl Decoded {
    pub(crate) fn siaddr(&self) -> Ipv4Addr {
        self.addresses[2]
    }

    pub(crate) fn option(&self, code: u8) -> Option<&[u8]> {
        let found = self.options.iter().find(|(known, _)| *known == code);
        found.map(|(_, value)| value.as_slice())
    }
}

pub(crate) fn decoded(bytes: &[u8]) -> Decoded {
    let four = |at: usize| -> [u8; 4] { bytes[at..at + 4].try_into().expect("four octets") };
    assert_eq!(bytes[236..240], [99, 130, 83, 99], "the magic cookie");
    let mut decoded = Decoded {
        op: bytes[0],
        xid: u32::from_be_bytes(four(4)),
        flags: u16::from_be_bytes([bytes[10], bytes[11]]),
        chaddr: bytes[28..44].try_into().expect("sixteen octets"),
        addresses: [12, 16, 20, 24].map(|at| four(at).into()),
        sname: bytes[44..108].to_vec(),
        file: bytes[108..236].to_vec(),
        options: Vec::new(),
        ended: false,
        padded: false,
    };
    decoded.walk(&bytes[240..]);
    let ended = decoded.ended;
    let overload = decoded.option(52).map_or(0, |value| value[0]);
    for (bit, area) in [(1, decoded.file.clone()), (2, decoded.sname.clone())] {
        if overload & bit != 0 {
            // Option 82 stays the last of the option area.
            let relay = decoded.options.pop_if(|(code, _)| *code == 82);
            decoded.walk(&area);
            decoded.options.extend(relay);
        }
    }
    decoded.ended &= ended;
    decoded
}

impl Decoded {
    fn walk(&mut self, mut rest: &[u8]) {
        self.ended = false;
        let mut pads = false;
        loop {
            match rest {
                [255, ..] => {
                    self.ended = true;
                    return;
                }
                [0, after @ ..] => {
                    pads = true;
                    rest = after;
                }
                [code, length, after @ ..] => {
                    self.padded |= pads;
                    let (value, after) = after.split_at(usize::from(*length));
                    match self.options.last_mut() {
                        Some((last, whole)) if last == code => whole.extend(value),
                        _ => self.options.push((*code, value.to_vec())),
                    }
                    rest = after;
                }
                _ => return,
            }
        }
    }
}

/// The golden text of one packet.
pub(crate) fn dump(packet: &CorpusPacket) -> String {
    let mut text = format!("{} octets to port {}\n", packet.bytes.len(), packet.port);
    let request = match reading(packet) {
        Ok(request) => request,
        Err(ignored) => {
            let _ = writeln!(text, "ignored: {ignored}");
            return text;
        }
    };
    text.push_str(&asked(&request));
    for (mode, words) in MODES {
        let answers = answers(packet, mode);
        if answers.is_empty() {
            let _ = writeln!(text, "\n{words}: silence");
        }
        for answer in answers {
            let _ = write!(
                text,
                "\n{words}: {} → {:?}\n{}",
                answer.given,
                answer.to,
                answered(&answer)
            );
        }
    }
    text
}

fn asked(request: &Request) -> String {
    let mut lines = vec![
        format!(
            "{:?} of {}, xid {:08x}, flags {:04x}",
            request.kind, request.mac, request.xid, request.flags
        ),
        match request.boot {
            Some(boot) => format!("netboots: {:?} on {:?}", boot.client, boot.arch),
            None => "does not want to netboot".to_owned(),
        },
    ];
    let mut add = |name: &str, value: Option<String>| {
        lines.extend(value.map(|value| format!("{name} {value}")));
    };
    let address = |address: Ipv4Addr| (!address.is_unspecified()).then(|| address.to_string());
    add("ciaddr", address(request.ciaddr));
    add("giaddr", address(request.giaddr));
    add("wants", request.requested.map(|a| a.to_string()));
    add("of server", request.server.map(|a| a.to_string()));
    add(
        "host name",
        request.host_name.as_ref().map(ToString::to_string),
    );
    add("class", request.facts.vendor_class.clone());
    add("uuid", request.facts.uuid.clone());
    add("serial", request.facts.serial.clone());
    add("client id", request.client_id.as_deref().map(hex));
    add("full name", request.client_fqdn.as_deref().map(hex));
    add("relay agent", request.relay_agent.as_deref().map(hex));
    add(
        "takes",
        request.max_size.map(|size| format!("{size} octets")),
    );
    lines.push(String::new());
    lines.join("\n")
}

fn answered(answer: &DhcpReply) -> String {
    let message = decoded(&answer.bytes);
    let mut text = format!(
        "  {} octets, flags {:04x}\n",
        answer.bytes.len(),
        message.flags
    );
    for (name, address) in ["ciaddr", "yiaddr", "siaddr", "giaddr"]
        .iter()
        .zip(message.addresses)
    {
        if !address.is_unspecified() {
            let _ = writeln!(text, "  {name} {address}");
        }
    }
    let overload = message.option(52).map_or(0, |value| value[0]);
    for (name, bit, field) in [("sname", 2, &message.sname), ("file", 1, &message.file)] {
        let end = field
            .iter()
            .position(|octet| *octet == 0)
            .unwrap_or(field.len());
        if overload & bit == 0 && end > 0 {
            let _ = writeln!(text, "  {name} {}", quoted_text(&field[..end]));
        }
    }
    for (code, value) in &message.options {
        let (name, value) = option(*code, value);
        let _ = writeln!(text, "  {code} {name}: {value}");
    }
    text
}

fn option(code: u8, value: &[u8]) -> (&'static str, String) {
    let number = |value: &[u8]| {
        value
            .iter()
            .fold(0_u64, |sum, octet| sum << 8 | u64::from(*octet))
            .to_string()
    };
    let addresses = |value: &[u8]| {
        let each = value
            .chunks(4)
            .map(|a| <[u8; 4]>::try_from(a).map(|a| Ipv4Addr::from(a).to_string()));
        each.collect::<Result<Vec<_>, _>>()
            .map_or_else(|_| hex(value), |all| all.join(" "))
    };
    match code {
        1 => ("netmask", addresses(value)),
        3 => ("router", addresses(value)),
        6 => ("name servers", addresses(value)),
        12 => ("host name", quoted_text(value)),
        15 => ("domain", quoted_text(value)),
        43 => ("vendor", hex(value)),
        51 => ("lease time", number(value)),
        52 => ("overload", number(value)),
        53 => ("type", kind(value).to_owned()),
        54 => ("server", addresses(value)),
        56 => ("message", quoted_text(value)),
        58 => ("renew after", number(value)),
        59 => ("rebind after", number(value)),
        60 => ("class", quoted_text(value)),
        61 => ("client id", hex(value)),
        66 => ("TFTP server", quoted_text(value)),
        67 => ("boot file", quoted_text(value)),
        81 => ("full name", hex(value)),
        82 => ("relay agent", hex(value)),
        97 => ("GUID", hex(value)),
        175 => ("iPXE", hex(value)),
        _ => ("?", hex(value)),
    }
}

fn kind(value: &[u8]) -> &'static str {
    match value {
        [2] => "OFFER",
        [5] => "ACK",
        [6] => "NAK",
        _ => "?",
    }
}

fn quoted_text(value: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(value))
}

fn hex(value: &[u8]) -> String {
    value.iter().map(|octet| format!("{octet:02x}")).collect()
}
