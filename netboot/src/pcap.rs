//! UDP packets → a capture file that tcpdump and Wireshark read.
//!
//! Written here and not with a crate: a crate writes the file's two headers, which are the smaller half; the IP and UDP
//! headers, which a socket does not show, have to be made up in any case.

use std::net::SocketAddrV4;

use crate::timestamp::Timestamp;

/// One UDP datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    pub at: Timestamp,
    pub from: SocketAddrV4,
    pub to: SocketAddrV4,
    pub payload: Vec<u8>,
}

/// The classic format, version 2.4 with microseconds (draft-ietf-opsawg-pcap), link type 101: packets begin with
/// their IP header.
pub fn file(packets: &[Packet]) -> Vec<u8> {
    const MAGIC: u32 = 0xa1b2_c3d4;
    const LONGEST: u32 = 65_535;
    const LINKTYPE_RAW: u32 = 101;

    let mut out = Vec::new();
    out.extend(MAGIC.to_le_bytes());
    out.extend(2_u16.to_le_bytes());
    out.extend(4_u16.to_le_bytes());
    // Time zone and accuracy: always 0.
    out.extend([0; 8]);
    out.extend(LONGEST.to_le_bytes());
    out.extend(LINKTYPE_RAW.to_le_bytes());
    for packet in packets {
        let Some(datagram) = datagram(packet) else {
            continue;
        };
        let millis = u64::try_from(packet.at.millis()).unwrap_or(0);
        let seconds = u32::try_from(millis / 1000).unwrap_or(u32::MAX);
        let micros = u32::try_from(millis % 1000 * 1000).unwrap_or(0);
        let length = u32::try_from(datagram.len()).unwrap_or(LONGEST);
        for field in [seconds, micros, length, length] {
            out.extend(field.to_le_bytes());
        }
        out.extend(datagram);
    }
    out
}

/// The packet with an IPv4 header (RFC 791) and a UDP header (RFC 768); nothing for one that no datagram can hold.
fn datagram(packet: &Packet) -> Option<Vec<u8>> {
    const UDP: u8 = 17;

    let udp_length = u16::try_from(packet.payload.len() + 8).ok()?;
    let length = udp_length.checked_add(20)?;
    let (from, to) = (packet.from.ip().octets(), packet.to.ip().octets());

    let mut ip = Vec::with_capacity(usize::from(length));
    // Version 4, five words of header, no service; no identification, "don't fragment".
    ip.extend([0x45, 0]);
    ip.extend(length.to_be_bytes());
    ip.extend([0, 0, 0x40, 0]);
    ip.extend([64, UDP, 0, 0]);
    ip.extend(from);
    ip.extend(to);
    let sum = checksum(&ip).to_be_bytes();
    ip[10..12].copy_from_slice(&sum);

    let mut udp = Vec::with_capacity(usize::from(udp_length));
    udp.extend(packet.from.port().to_be_bytes());
    udp.extend(packet.to.port().to_be_bytes());
    udp.extend(udp_length.to_be_bytes());
    udp.extend([0, 0]);
    udp.extend(&packet.payload);
    // Addresses, protocol and length are summed up as if they stood before the UDP header.
    let mut summed = [&from[..], &to[..], &[0, UDP], &udp_length.to_be_bytes()].concat();
    summed.extend(&udp);
    // 0 would mean that there is no checksum.
    let sum = match checksum(&summed) {
        0 => 0xffff,
        sum => sum,
    };
    udp[6..8].copy_from_slice(&sum.to_be_bytes());
    ip.extend(udp);
    Some(ip)
}

/// The internet checksum (RFC 1071).
fn checksum(octets: &[u8]) -> u16 {
    let words = octets.chunks(2).map(|pair| match pair {
        [high, low] => u16::from_be_bytes([*high, *low]),
        [high] => u16::from_be_bytes([*high, 0]),
        _ => 0,
    });
    let folded = words.fold(0_u16, |sum, word| {
        let (sum, carry) = sum.overflowing_add(word);
        sum + u16::from(carry)
    });
    !folded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(payload: &[u8]) -> Packet {
        Packet {
            at: Timestamp::from_millis(1_775_124_847_123),
            from: SocketAddrV4::new([192, 168, 0, 1].into(), 67),
            to: SocketAddrV4::new([192, 168, 0, 199].into(), 68),
            payload: payload.to_vec(),
        }
    }

    #[test]
    fn a_header_and_its_packet_are_laid_out_to_the_octet() {
        let file = file(&[packet(b"ab")]);
        let (head, record) = file.split_at(24);
        assert_eq!(
            head,
            [
                0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 101,
                0, 0, 0
            ]
        );
        let (when, datagram) = record.split_at(16);
        assert_eq!(when[..4], 1_775_124_847_u32.to_le_bytes());
        assert_eq!(when[4..8], 123_000_u32.to_le_bytes());
        assert_eq!(when[8..], [30, 0, 0, 0, 30, 0, 0, 0]);
        assert_eq!(datagram.len(), 30);
        assert_eq!(
            datagram[20..28],
            [0, 67, 0, 68, 0, 10, datagram[26], datagram[27]]
        );
        assert_eq!(datagram[28..], *b"ab");
    }

    #[test]
    fn a_known_ip_header_has_its_known_checksum() {
        // The worked example that texts about RFC 1071 use.
        let header = [
            0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0, 0, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0,
            0xc7,
        ];
        assert_eq!(checksum(&header), 0xb861);
    }

    #[test]
    fn both_checksums_come_out_right_for_even_and_odd_lengths() {
        for payload in [&b""[..], b"a", b"ab", b"abc", &[0xff; 301]] {
            let datagram = datagram(&packet(payload)).expect("fits");
            // What a receiver does: the sum over everything, its checksum in it, is 0.
            assert_eq!(checksum(&datagram[..20]), 0);
            let mut summed = datagram[12..20].to_vec();
            summed.extend([0, 17]);
            summed.extend(&datagram[24..26]);
            summed.extend(&datagram[20..]);
            assert_eq!(checksum(&summed), 0, "{} octets", payload.len());
        }
    }

    #[test]
    fn what_no_datagram_can_hold_is_left_out() {
        let whole = file(&[packet(&[0; 65_508]), packet(b"x")]);
        assert_eq!(whole.len(), 24 + 16 + 29);
    }
}
