//! The bytes of TFTP (RFC 1350 §5; options as RFC 2347 puts them) ↔ what they say.

use std::borrow::Cow;

/// What a client sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet<'a> {
    /// RRQ.
    Read(FileRequest<'a>),
    /// WRQ.
    Write(FileRequest<'a>),
    /// ACK, with the number of the block as it stands on the wire: 16 bits that wrap.
    Acknowledged(u16),
    /// ERROR. The text is the client's own: quote it where it is shown.
    Error { code: u16, text: Cow<'a, str> },
    /// DATA or OACK: a client has no use for them with a server that only sends.
    Answer,
}

/// RRQ or WRQ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRequest<'a> {
    /// Without NULs; otherwise as it came, in whatever encoding.
    pub name: &'a [u8],
    pub mode: TransferMode,
    /// Names and values in the order of the packet, known ones and others.
    pub options: Vec<(&'a [u8], &'a [u8])>,
}

/// RFC 1350 §2; upper and lower case are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferMode {
    /// Bytes as they are.
    Octet,
    /// Text with its line ends translated.
    Netascii,
    /// To a person's mailbox; obsolete since 1992.
    Mail,
    /// None of the three.
    Other,
}

/// Not a TFTP packet. Its text is for the client's screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedPacket {
    #[error("too short for a TFTP packet")]
    Short,
    #[error("{0} is not a TFTP operation")]
    Operation(u16),
    #[error("the request names no transfer mode")]
    NoMode,
}

/// The error codes that are used here (RFC 1350 §5, RFC 2347).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// See the text.
    Undefined = 0,
    NotFound = 1,
    IllegalOperation = 4,
    UnknownTransfer = 5,
    OptionRefused = 8,
}

/// A client that breaks off in the negotiation says 8, or 0 where it was written before RFC 2347.
pub const BREAKS_OFF: [u16; 2] = [ErrorCode::Undefined as u16, ErrorCode::OptionRefused as u16];

/// Longer texts of a client are cut: they are for one line of a log.
const TEXT: usize = 128;

/// Reads a packet. It is patient with what firmware is known to send: NULs after the request or between its
/// parts, an option without a value, a mode whose NUL is missing.
///
/// # Errors
/// It cannot be told what is meant.
pub fn read(bytes: &[u8]) -> Result<Packet<'_>, MalformedPacket> {
    let [high, low, rest @ ..] = bytes else {
        return Err(MalformedPacket::Short);
    };
    let number = |rest: &[u8]| match rest {
        [high, low, ..] => Ok(u16::from_be_bytes([*high, *low])),
        _ => Err(MalformedPacket::Short),
    };
    match u16::from_be_bytes([*high, *low]) {
        1 => Ok(Packet::Read(request(rest)?)),
        2 => Ok(Packet::Write(request(rest)?)),
        4 => Ok(Packet::Acknowledged(number(rest)?)),
        // Some ROMs break off with the operation alone; that is clear enough.
        5 => Ok(Packet::Error {
            code: number(rest).unwrap_or(0),
            text: text(rest.get(2..).unwrap_or_default()),
        }),
        3 | 6 => Ok(Packet::Answer),
        other => Err(MalformedPacket::Operation(other)),
    }
}

fn request(bytes: &[u8]) -> Result<FileRequest<'_>, MalformedPacket> {
    let mut parts = bytes.split(|b| *b == 0);
    let name = parts.next().unwrap_or_default();
    // Empty where more than one NUL follows the name.
    let mode = parts.by_ref().find(|part| !part.is_empty());
    let mode = match mode
        .ok_or(MalformedPacket::NoMode)?
        .to_ascii_lowercase()
        .as_slice()
    {
        b"octet" => TransferMode::Octet,
        b"netascii" => TransferMode::Netascii,
        b"mail" => TransferMode::Mail,
        _ => TransferMode::Other,
    };
    let mut options = Vec::new();
    while let Some(option) = parts.next() {
        // Padding: some clients fill the packet up to 512 bytes.
        if option.is_empty() {
            continue;
        }
        let Some(value) = parts.next() else { break };
        options.push((option, value));
    }
    Ok(FileRequest {
        name,
        mode,
        options,
    })
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end.min(TEXT)])
}

/// The four bytes before a block's content.
pub fn data(number: u16) -> [u8; 4] {
    let [high, low] = number.to_be_bytes();
    [0, 3, high, low]
}

/// OACK (RFC 2347).
pub fn options<'a>(options: impl IntoIterator<Item = (&'a [u8], u64)>) -> Vec<u8> {
    let mut packet = vec![0, 6];
    for (name, value) in options {
        packet.extend(name);
        packet.push(0);
        packet.extend(value.to_string().as_bytes());
        packet.push(0);
    }
    packet
}

/// ERROR. `text` has no NUL.
pub fn error(code: ErrorCode, text: &str) -> Vec<u8> {
    let [high, low] = (code as u16).to_be_bytes();
    [&[0, 5, high, low], text.as_bytes(), &[0]].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asked(bytes: &[u8]) -> FileRequest<'_> {
        match read(bytes) {
            Ok(Packet::Read(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn requests_are_read_in_the_forms_of_firmware() {
        const BLKSIZE: (&[u8], &[u8]) = (b"blksize", b"1468");
        const TSIZE: (&[u8], &[u8]) = (b"tsize", b"0");
        let padded = {
            let mut packet = b"\0\x01file\0octet\0tsize\x000\0".to_vec();
            packet.resize(512, 0);
            packet
        };
        for (name, bytes, options) in [
            ("no options", &b"\0\x01file\0octet\0"[..], &[][..]),
            ("upper case", b"\0\x01file\0OcTeT\0", &[]),
            ("the mode's NUL is missing", b"\0\x01file\0octet", &[]),
            ("one NUL more", b"\0\x01file\0octet\0\0", &[]),
            (
                "a tail of NULs behind the name",
                b"\0\x01file\0\0\0\0octet\0tsize\x000\0",
                &[TSIZE],
            ),
            ("padded to 512 bytes", &padded, &[TSIZE]),
            (
                "a NUL between options",
                b"\0\x01file\0octet\0\0tsize\x000\0\0blksize\x001468\0",
                &[TSIZE, BLKSIZE],
            ),
            (
                "an option without a value",
                b"\0\x01file\0octet\0tsize\x000\0blksize",
                &[TSIZE],
            ),
            (
                "an option with an empty value",
                b"\0\x01file\0octet\0x\0\0tsize\x000\0",
                &[(b"x", b""), TSIZE],
            ),
            (
                "the last value's NUL is missing",
                b"\0\x01file\0octet\0blksize\x001468",
                &[BLKSIZE],
            ),
        ] {
            let asked = asked(bytes);
            assert_eq!(asked.name, b"file", "{name}");
            assert_eq!(asked.mode, TransferMode::Octet, "{name}");
            assert_eq!(asked.options, options, "{name}");
        }
    }

    #[test]
    fn modes_are_told_apart() {
        for (mode, want) in [
            ("netascii", TransferMode::Netascii),
            ("NETASCII", TransferMode::Netascii),
            ("mail", TransferMode::Mail),
            ("binary", TransferMode::Other),
            ("\u{fffd}", TransferMode::Other),
        ] {
            let packet = [b"\0\x01x\0", mode.as_bytes(), b"\0"].concat();
            assert_eq!(asked(&packet).mode, want, "{mode}");
        }
    }

    #[test]
    fn a_name_may_be_any_bytes() {
        assert_eq!(asked(b"\0\x01\xfe\xff\0octet\0").name, b"\xfe\xff");
        assert_eq!(asked(b"\0\x01\0octet\0").name, b"");
    }

    #[test]
    fn what_a_client_says_during_a_transfer_is_read() {
        let error = |code, text| Packet::Error {
            code,
            text: Cow::Borrowed(text),
        };
        let long = [b"\0\x05\0\0".as_slice(), &[b'x'; 10_000]].concat();
        let cut = "x".repeat(TEXT);
        for (name, bytes, want) in [
            ("ACK", &b"\0\x04\x01\x02"[..], Ok(Packet::Acknowledged(258))),
            (
                "ACK with a tail",
                b"\0\x04\x01\x02\0\0",
                Ok(Packet::Acknowledged(258)),
            ),
            ("ACK cut short", b"\0\x04\x01", Err(MalformedPacket::Short)),
            ("ERROR", b"\0\x05\0\x08stop\0", Ok(error(8, "stop"))),
            ("ERROR without text", b"\0\x05\0\x08", Ok(error(8, ""))),
            ("ERROR without code", b"\0\x05", Ok(error(0, ""))),
            ("ERROR with a long text", &long, Ok(error(0, &cut))),
            ("DATA", b"\0\x03\0\x01x", Ok(Packet::Answer)),
            ("OACK", b"\0\x06", Ok(Packet::Answer)),
            (
                "operation 9",
                b"\0\x09file\0octet\0",
                Err(MalformedPacket::Operation(9)),
            ),
            ("operation 0", b"\0\0", Err(MalformedPacket::Operation(0))),
            ("nothing", b"", Err(MalformedPacket::Short)),
            ("one byte", b"\0", Err(MalformedPacket::Short)),
            ("a name alone", b"\0\x01file", Err(MalformedPacket::NoMode)),
            (
                "a name and its NUL",
                b"\0\x01file\0",
                Err(MalformedPacket::NoMode),
            ),
        ] {
            assert_eq!(read(bytes), want, "{name}");
        }
    }

    #[test]
    fn answers_are_built() {
        assert_eq!(data(0xfffe), [0, 3, 0xff, 0xfe]);
        assert_eq!(
            error(ErrorCode::NotFound, "not found"),
            b"\0\x05\0\x01not found\0"
        );
        let accepted = options([(&b"BlkSize"[..], 1468), (b"tsize", 0)]);
        assert_eq!(accepted, b"\0\x06BlkSize\x001468\0tsize\x000\0");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }

        #[test]
        fn any_request_is_read_or_refused(mut bytes: Vec<u8>) {
            bytes.splice(0..0, [0, 1]);
            if let Ok(Packet::Read(request)) = read(&bytes) {
                prop_assert!(!request.name.contains(&0));
                prop_assert!(request.options.iter().all(|(name, _)| !name.is_empty()));
            }
        }
    }
}
