//! UDP packets → a capture file that tcpdump and Wireshark read.
//!
//! Written here and not with a crate: a crate writes the file's two headers, which are the smaller half; the IP and UDP
//! headers, which a socket does not show, have to be made up in any case.

use std::net::SocketAddrV4;

use crate::base::timestamp::Timestamp;
use crate::dhcp::ethernet::{Datagram, ETHERNET};

/// One UDP datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapturedPacket {
    pub at: Timestamp,
    pub from: SocketAddrV4,
    pub to: SocketAddrV4,
    pub payload: Vec<u8>,
}

/// The classic format, version 2.4 with microseconds (draft-ietf-opsawg-pcap), link type 101: packets begin with
/// their IP header.
pub fn file(packets: &[CapturedPacket]) -> Vec<u8> {
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

/// The packet with its IPv4 and UDP headers; `None` for a payload that is too long for a datagram.
fn datagram(packet: &CapturedPacket) -> Option<Vec<u8>> {
    let on_a_wire = Datagram {
        from_card: [0; 6],
        to_card: [0; 6],
        from: packet.from,
        to: packet.to,
        payload: &packet.payload,
    };
    Some(on_a_wire.frame()?.split_off(ETHERNET))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(payload: &[u8]) -> CapturedPacket {
        CapturedPacket {
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
    fn what_no_datagram_can_hold_is_left_out() {
        let whole = file(&[packet(&[0; 65_508]), packet(b"x")]);
        assert_eq!(whole.len(), 24 + 16 + 29);
    }
}
