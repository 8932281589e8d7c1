//! The options that a client asks for → those that its transfer has (RFC 2347 calls it option negotiation).

use std::time::Duration;

/// Bytes in a block where none were agreed on (RFC 1350 §2).
const BLOCK: u16 = 512;

/// The smallest block that can be asked for (RFC 2348).
const SMALLEST: u64 = 8;

/// What may be agreed on at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes in a block.
    pub block: u16,
    /// Blocks in a window: what one acknowledgement, forged or not, can set off.
    pub window: u16,
}

impl Limits {
    /// For a link whose packets have `mtu` bytes at most.
    ///
    /// A block must fit into one frame of Ethernet, also where both ends can do more: edk2 cannot put
    /// fragments together (edk2#7632), and a ROM has nowhere to put a long one.
    pub fn of_link(mtu: u32) -> Self {
        // Header of IPv4, of UDP, of TFTP.
        const HEADERS: u32 = 20 + 8 + 4;
        let fits = mtu.saturating_sub(HEADERS).clamp(u32::from(BLOCK), 1468);
        Self {
            block: u16::try_from(fits).unwrap_or(BLOCK),
            window: 16,
        }
    }
}

/// What client and server agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NegotiatedOptions {
    /// Bytes in every block but the last.
    pub block: u16,
    /// Blocks that go out before an acknowledgement is waited for (RFC 7440).
    pub window: u16,
    /// After how long the client wants a packet again (RFC 2349), if it said.
    pub timeout: Option<Duration>,
    /// What the OACK says: each name as the client wrote it. Empty if there is none to send.
    pub accepted: Vec<(Vec<u8>, u64)>,
}

/// A value that the option's RFC excludes: ERROR 8, with this text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OutOfBounds {
    #[error("blksize {0} is below 8")]
    Block(u64),
    #[error("windowsize is 0")]
    Window,
}

/// Negotiates the options for a file of `size` bytes.
///
/// Options that are unknown or whose value is no number are left out of the answer, which tells the client that they do
/// not hold (RFC 2347). If an option comes twice, the first counts.
///
/// # Errors
/// The client asks for a value that the option's RFC excludes.
pub fn negotiate(
    asked: &[(&[u8], &[u8])],
    size: u64,
    limits: Limits,
) -> Result<NegotiatedOptions, OutOfBounds> {
    let mut options = NegotiatedOptions {
        block: BLOCK,
        window: 1,
        timeout: None,
        accepted: Vec::new(),
    };
    for (name, value) in asked {
        let again = |(before, _): &(Vec<u8>, u64)| before.eq_ignore_ascii_case(name);
        let Some(value) = number(value) else { continue };
        if options.accepted.iter().any(again) {
            continue;
        }
        let holds = match name.to_ascii_lowercase().as_slice() {
            b"blksize" if value < SMALLEST => return Err(OutOfBounds::Block(value)),
            b"blksize" => {
                options.block = at_most(value, limits.block);
                u64::from(options.block)
            }
            // RFC 2349: the client sends 0 and is told the size. One that sends another value is told the size as well.
            b"tsize" => size,
            // RFC 2349: equal or left out.
            b"timeout" if (1..=255).contains(&value) => {
                options.timeout = Some(Duration::from_secs(value));
                value
            }
            b"windowsize" if value == 0 => return Err(OutOfBounds::Window),
            b"windowsize" => {
                options.window = at_most(value, limits.window);
                u64::from(options.window)
            }
            _ => continue,
        };
        options.accepted.push((name.to_vec(), holds));
    }
    Ok(options)
}

fn at_most(value: u64, limit: u16) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX).min(limit)
}

/// Digits only. A number that does not fit the type becomes the greatest that does.
fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        Some(number.saturating_mul(10).saturating_add(digit))
    })
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    const SIZE: u64 = 290_001;

    fn told(asked: &[(&str, &str)]) -> String {
        let asked: Vec<_> = asked
            .iter()
            .map(|(n, v)| (n.as_bytes(), v.as_bytes()))
            .collect();
        match negotiate(&asked, SIZE, Limits::of_link(1500)) {
            Err(error) => format!("ERROR 8: {error}"),
            Ok(NegotiatedOptions {
                block,
                window,
                timeout,
                accepted,
            }) => {
                let accepted: Vec<_> = accepted
                    .iter()
                    .map(|(n, v)| format!("{}={v}", String::from_utf8_lossy(n)))
                    .collect();
                let timeout = timeout.map_or(String::new(), |t| format!(", {t:?}"));
                format!("{window} × {block}{timeout}; OACK {}", accepted.join(" "))
            }
        }
    }

    #[track_caller]
    fn check(asked: &[(&str, &str)], want: Expect) {
        want.assert_eq(&told(asked));
    }

    #[test]
    fn what_firmware_asks_for() {
        check(&[], expect!["1 × 512; OACK "]);
        // EDK2, first to learn the size, then to read.
        check(
            &[("tsize", "0"), ("blksize", "1468"), ("windowsize", "4")],
            expect!["4 × 1468; OACK tsize=290001 blksize=1468 windowsize=4"],
        );
        // iPXE.
        check(
            &[("blksize", "1432"), ("tsize", "0")],
            expect!["1 × 1432; OACK blksize=1432 tsize=290001"],
        );
        // tftp-hpa and curl.
        check(
            &[("tsize", "0"), ("blksize", "512"), ("timeout", "6")],
            expect!["1 × 512, 6s; OACK tsize=290001 blksize=512 timeout=6"],
        );
        check(
            &[("BLKSIZE", "1024"), ("TSize", "0")],
            expect!["1 × 1024; OACK BLKSIZE=1024 TSize=290001"],
        );
    }

    #[test]
    fn what_is_too_much_is_answered_with_the_most_there_is() {
        let most = "1 × 1468; OACK blksize=1468";
        for value in [
            "1469",
            "8192",
            "65464",
            "65465",
            "65535",
            "2147483648",
            "18446744073709551616",
        ] {
            assert_eq!(told(&[("blksize", value)]), most, "{value}");
        }
        assert_eq!(told(&[("blksize", &"9".repeat(10_000))]), most);
        for value in ["17", "65535", "65536", "4294967297"] {
            assert_eq!(
                told(&[("windowsize", value)]),
                "16 × 512; OACK windowsize=16",
                "{value}"
            );
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        check(
            &[("blksize", "7")],
            expect!["ERROR 8: blksize 7 is below 8"],
        );
        check(
            &[("tsize", "0"), ("blksize", "0")],
            expect!["ERROR 8: blksize 0 is below 8"],
        );
        check(&[("windowsize", "0")], expect!["ERROR 8: windowsize is 0"]);
        check(&[("blksize", "8")], expect!["1 × 8; OACK blksize=8"]);
    }

    #[test]
    fn what_is_no_number_or_not_known_is_left_out() {
        for (name, option) in [
            ("negative", ("blksize", "-1")),
            ("signed", ("blksize", "+1024")),
            ("empty", ("blksize", "")),
            ("words", ("tsize", "big")),
            ("blank", ("windowsize", " 8")),
            ("a timeout of nothing", ("timeout", "0")),
            ("a timeout of 256 s", ("timeout", "256")),
            ("not ours", ("multicast", "")),
            ("not ours", ("rollover", "0")),
            ("not a known one", ("blksize2", "1024")),
        ] {
            assert_eq!(told(&[option]), "1 × 512; OACK ", "{name}");
            assert_eq!(
                told(&[option, ("tsize", "0")]),
                "1 × 512; OACK tsize=290001",
                "{name}"
            );
        }
        check(
            &[("blksize", "1024"), ("BlkSize", "2")],
            expect!["1 × 1024; OACK blksize=1024"],
        );
    }

    #[test]
    fn a_block_fits_the_link() {
        for (name, mtu, block) in [
            ("Ethernet", 1500, 1468),
            ("a VLAN within it", 1496, 1464),
            ("jumbo frames, that a ROM cannot read", 9000, 1468),
            ("loopback", 65_536, 1468),
            ("nonsense", 0, 512),
        ] {
            assert_eq!(Limits::of_link(mtu).block, block, "{name}");
        }
    }
}
