//! Ethernet frames ↔ what they carry: UDP over IPv4, and ARP. Used for the few packets that the kernel's own sockets
//! can neither send nor receive: datagrams to a client that has no address yet, and questions who has an address.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::octets;
use crate::base::mac::Mac;

/// The link-layer broadcast address.
pub const EVERYBODY: [u8; 6] = [0xff; 6];

/// EtherTypes (IEEE 802 numbers).
pub const IPV4: u16 = 0x0800;
pub const ARP: u16 = 0x0806;

/// Octets of an Ethernet header, before what the frame carries.
pub const ETHERNET: usize = 14;
const IP: usize = 20;
const UDP: usize = 8;
/// Protocol number of UDP (RFC 790 and its successors).
const PROTOCOL_UDP: u8 = 17;

/// A UDP datagram with the addresses of all layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram<'a> {
    pub from_card: [u8; 6],
    pub to_card: [u8; 6],
    pub from: SocketAddrV4,
    pub to: SocketAddrV4,
    pub payload: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// The whole frame; `None` if the payload is longer than an IPv4 packet can be.
    pub fn frame(&self) -> Option<Vec<u8>> {
        let udp = u16::try_from(UDP + self.payload.len()).ok()?;
        let total = u16::try_from(IP + usize::from(udp)).ok()?;
        let mut frame = Vec::with_capacity(ETHERNET + usize::from(total));
        frame.extend(self.to_card);
        frame.extend(self.from_card);
        frame.extend(IPV4.to_be_bytes());

        // RFC 791 §3.1, with the flag against fragments: DHCP packets fit any Ethernet, and ROMs cannot reassemble.
        frame.extend([0x45, 0]);
        frame.extend(total.to_be_bytes());
        frame.extend([0, 0, 0x40, 0, 64, PROTOCOL_UDP, 0, 0]);
        frame.extend(self.from.ip().octets());
        frame.extend(self.to.ip().octets());
        let sum = checksum(&frame[ETHERNET..], 0);
        frame[ETHERNET + 10..ETHERNET + 12].copy_from_slice(&sum.to_be_bytes());

        let at = frame.len();
        frame.extend(self.from.port().to_be_bytes());
        frame.extend(self.to.port().to_be_bytes());
        frame.extend(udp.to_be_bytes());
        frame.extend([0, 0]);
        frame.extend(self.payload);
        // RFC 768: zero would mean that there is no checksum, so a sum of zero is sent as its complement.
        let sum = match checksum(&frame[at..], pseudo_header(self, udp)) {
            0 => 0xffff,
            sum => sum,
        };
        frame[at + 6..at + 8].copy_from_slice(&sum.to_be_bytes());
        Some(frame)
    }

    /// The datagram in a frame; `None` for fragments, other protocols, and packets that are cut off or do not match
    /// the checksum of their IP header. The UDP checksum is not looked at: in a packet of this very host it may be
    /// missing, because the card would fill it in.
    pub fn read(frame: &'a [u8]) -> Option<Self> {
        let (ethernet, packet) = frame.split_at_checked(ETHERNET)?;
        if ethernet[12..14] != IPV4.to_be_bytes() {
            return None;
        }
        let first = *packet.first()?;
        let header_length = usize::from(first & 0x0f) * 4;
        if first >> 4 != 4 || header_length < IP {
            return None;
        }
        let header = packet.get(..header_length)?;
        let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
        // "More fragments" or an offset: this is not the whole datagram.
        let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3fff != 0;
        if header[9] != PROTOCOL_UDP || fragment || checksum(header, 0) != 0 {
            return None;
        }
        // What follows the packet is padding of the Ethernet frame.
        let udp = packet.get(header_length..total)?;
        let (head, rest) = udp.split_at_checked(UDP)?;
        let length = usize::from(u16::from_be_bytes([head[4], head[5]]));
        let payload = rest.get(..length.checked_sub(UDP)?)?;
        let address = |at: usize| Ipv4Addr::from(octets::<4>(header, at));
        let port = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        Some(Self {
            from_card: octets(ethernet, 6),
            to_card: octets(ethernet, 0),
            from: SocketAddrV4::new(address(12), port(0)),
            to: SocketAddrV4::new(address(16), port(2)),
            payload,
        })
    }
}

/// The frame that asks whether anybody has `address`. Its sender's protocol address is zero, so that nobody takes it for
/// an announcement (RFC 5227 §1.1 "ARP Probe").
pub fn arp_probe(own: Mac, address: Ipv4Addr) -> Vec<u8> {
    let mut frame = Vec::with_capacity(42);
    frame.extend(EVERYBODY);
    frame.extend(own.octets());
    frame.extend(ARP.to_be_bytes());
    // RFC 826: Ethernet, IPv4, the lengths of their addresses, a request.
    frame.extend([0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend(own.octets());
    frame.extend([0; 4]);
    frame.extend([0; 6]);
    frame.extend(address.octets());
    frame
}

/// The address that the sender of an ARP packet says it has, and its card: answers say so, and so do questions
/// (RFC 5227 §2.1.1). `None` for a probe, which names no address of its own.
pub fn arp_sender(frame: &[u8]) -> Option<(Ipv4Addr, Mac)> {
    let arp = frame.get(ETHERNET..ETHERNET + 28)?;
    if frame[12..14] != ARP.to_be_bytes() || arp[..6] != [0, 1, 8, 0, 6, 4] {
        return None;
    }
    let address = Ipv4Addr::from(octets::<4>(arp, 14));
    let mac = Mac::new(octets(arp, 8)).ok()?;
    (!address.is_unspecified()).then_some((address, mac))
}

/// The sum of the pseudo header, which RFC 768 adds to that of the datagram.
fn pseudo_header(datagram: &Datagram<'_>, length: u16) -> u32 {
    let addresses = [datagram.from.ip().octets(), datagram.to.ip().octets()];
    let words = addresses.as_flattened().chunks_exact(2);
    let words = words.map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    words.sum::<u32>() + u32::from(PROTOCOL_UDP) + u32::from(length)
}

/// The complement of the sum of all 16-bit words, carries folded in (RFC 1071). It is zero over octets that contain
/// their own right checksum.
fn checksum(bytes: &[u8], start: u32) -> u16 {
    let mut sum = start;
    for pair in bytes.chunks(2) {
        let low = pair.get(1).copied().unwrap_or(0);
        sum += u32::from(u16::from_be_bytes([pair[0], low]));
    }
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;
    use crate::test_support::mac;

    fn hex(bytes: &[u8]) -> String {
        let octets: Vec<String> = bytes.iter().map(|b| format!("{b:02x}")).collect();
        octets
            .chunks(16)
            .map(|line| line.join(" ") + "\n")
            .collect()
    }

    /// The sums of this frame were checked by tcpdump: "udp sum ok".
    #[test]
    fn a_datagram_to_a_client_without_an_address() {
        let datagram = Datagram {
            from_card: mac(1).octets(),
            to_card: mac(2).octets(),
            from: "10.77.0.1:67".parse().expect("an address"),
            to: "10.77.0.50:68".parse().expect("an address"),
            payload: b"odd",
        };
        let frame = datagram.frame().expect("is short");
        expect![[r#"
            52 54 00 12 34 02 52 54 00 12 34 01 08 00 45 00
            00 1f 00 00 40 00 40 11 26 02 0a 4d 00 01 0a 4d
            00 32 00 43 00 44 00 0b 17 20 6f 64 64
        "#]]
        .assert_eq(&hex(&frame));
        assert_eq!(Datagram::read(&frame), Some(datagram));
    }

    #[test]
    fn a_known_ip_header_has_its_known_checksum() {
        // The worked example that texts about RFC 1071 use.
        let header = [
            0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0, 0, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0,
            0xc7,
        ];
        assert_eq!(checksum(&header, 0), 0xb861);
    }

    #[test]
    fn a_probe_asks_without_an_address_and_an_answer_names_the_card() {
        let probe = arp_probe(mac(1), Ipv4Addr::new(10, 77, 0, 50));
        expect![[r#"
            ff ff ff ff ff ff 52 54 00 12 34 01 08 06 00 01
            08 00 06 04 00 01 52 54 00 12 34 01 00 00 00 00
            00 00 00 00 00 00 0a 4d 00 32
        "#]]
        .assert_eq(&hex(&probe));
        assert_eq!(arp_sender(&probe), None, "a probe claims nothing");
        let mut answer = probe;
        answer[21] = 2;
        answer[22..28].copy_from_slice(&mac(9).octets());
        answer[28..32].copy_from_slice(&[10, 77, 0, 50]);
        let want = Some((Ipv4Addr::new(10, 77, 0, 50), mac(9)));
        assert_eq!(arp_sender(&answer), want);
        answer.resize(60, 0);
        assert_eq!(arp_sender(&answer), want, "padded to the shortest frame");
        for end in 0..42 {
            assert_eq!(arp_sender(&answer[..end]), None, "cut off at {end}");
        }
    }

    #[test]
    fn what_is_no_whole_datagram_is_not_read() {
        let datagram = Datagram {
            from_card: mac(1).octets(),
            to_card: EVERYBODY,
            from: "0.0.0.0:68".parse().expect("an address"),
            to: "255.255.255.255:67".parse().expect("an address"),
            payload: &[7; 300],
        };
        let good = datagram.frame().expect("is short");
        for (name, at, value) in [
            ("another EtherType", 13, 6),
            ("IPv6", 14, 0x65),
            ("a header that is too short", 14, 0x44),
            ("TCP", 23, 6),
            ("a first fragment", 20, 0x20),
            ("a wrong header checksum", 24, good[24] ^ 1),
            ("a UDP length of 7", 39, 7),
        ] {
            let mut odd = good.clone();
            odd[at] = value;
            if at != 39 {
                assert_eq!(Datagram::read(&odd), None, "{name}");
            } else {
                odd[38] = 0;
                assert_eq!(Datagram::read(&odd), None, "{name}");
            }
        }
        let mut padded = good.clone();
        padded.extend([0xaa; 9]);
        assert_eq!(
            Datagram::read(&padded),
            Some(datagram),
            "padding is not payload"
        );
    }

    proptest! {
        #[test]
        fn any_frame_is_read_or_refused(bytes: Vec<u8>) {
            let _ = (Datagram::read(&bytes), arp_sender(&bytes));
        }

        #[test]
        fn what_is_framed_is_read_again(payload: Vec<u8>, from: u32, to: u32, ports: (u16, u16)) {
            let datagram = Datagram {
                from_card: mac(1).octets(),
                to_card: mac(2).octets(),
                from: SocketAddrV4::new(from.into(), ports.0),
                to: SocketAddrV4::new(to.into(), ports.1),
                payload: &payload,
            };
            let frame = datagram.frame().expect("is short");
            prop_assert_eq!(Datagram::read(&frame), Some(datagram));
            let sum = checksum(&frame[34..], pseudo_header(&datagram, u16::try_from(payload.len() + 8).expect("short")));
            prop_assert!(sum == 0 || sum == 0xffff, "the datagram's checksum is right");
        }
    }
}
