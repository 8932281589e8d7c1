//! Questions that real servers understand, answers of real servers, and what they come to.

use proptest::prelude::*;

use super::*;
use crate::base::arch::Arch;
use crate::dhcp::request::{BootClient, ClientMessageType};
use crate::test_support::mac;

const XID: u32 = 0x1234_5678;

fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, last)
}

/// An OFFER with these options after its type; `edit` changes the header.
fn offer(options: &[(u8, &[u8])], edit: impl Fn(&mut [u8])) -> Vec<u8> {
    let mut packet = vec![2, 1, 6, 0];
    packet.extend(XID.to_be_bytes());
    packet.resize(28, 0);
    packet.extend(mac(1).octets());
    packet.resize(236, 0);
    edit(&mut packet);
    packet.extend([99, 130, 83, 99, 53, 1, 2]);
    for (code, value) in options {
        packet.extend([*code, u8::try_from(value.len()).expect("short")]);
        packet.extend(*value);
    }
    packet.push(255);
    packet
}

const ROUTER: (u8, &[u8]) = (54, &[10, 77, 0, 254]);
const BOOTS: (u8, &[u8]) = (54, &[10, 77, 0, 253]);

#[test]
fn the_question_is_one_that_servers_answer() {
    for (probe_as, want) in [
        (ProbeAs::Plain, None),
        (ProbeAs::Pxe(7), Some((Arch::X64, BootClient::Pxe))),
        (ProbeAs::Pxe(0), Some((Arch::Bios, BootClient::Pxe))),
    ] {
        let packet = discover(mac(1), XID, probe_as);
        assert!(packet.len() >= 300, "RFC 1542: {}", packet.len());
        let request = crate::dhcp::request::read(&packet).expect("reads");
        assert_eq!(
            (request.kind, request.xid, request.mac),
            (ClientMessageType::Discover, XID, mac(1))
        );
        assert_eq!(request.flags, 0x8000, "answers by broadcast");
        assert_eq!(
            request.boot.map(|b| (b.arch, b.client)),
            want,
            "{probe_as:?}"
        );
        assert_eq!(request.guid.is_some(), probe_as != ProbeAs::Plain);
    }
}

#[test]
fn answers_tell_what_their_server_does() {
    let address = |header: &mut [u8]| header[16..20].copy_from_slice(&[10, 77, 0, 100]);
    let file = |header: &mut [u8]| header[108..118].copy_from_slice(b"pxelinux.0");
    let nothing = |_: &mut [u8]| {};
    for (name, packet, want) in [
        (
            "a home router",
            offer(&[ROUTER], address),
            "10.77.0.254 (addresses)",
        ),
        (
            "a router that names a boot file in the header",
            offer(&[ROUTER], |h| {
                address(h);
                file(h);
            }),
            "10.77.0.254 (addresses; boots pxelinux.0)",
        ),
        (
            "a proxy with a menu, which names no file",
            offer(&[BOOTS, (60, b"PXEClient"), (43, &[6, 1, 3, 255])], nothing),
            "10.77.0.253 (boots machines)",
        ),
        (
            "a proxy that names a file in option 67",
            offer(
                &[BOOTS, (60, b"PXEClient"), (67, b"snponly.efi\0")],
                nothing,
            ),
            "10.77.0.253 (boots snponly.efi)",
        ),
        (
            "one whose file field holds options",
            offer(&[ROUTER, (52, &[1])], |h| {
                address(h);
                h[108..112].copy_from_slice(&[15, 1, b'x', 255]);
            }),
            "10.77.0.254 (addresses)",
        ),
        (
            "one that does not say who it is",
            offer(&[], address),
            "10.77.0.9 (addresses)",
        ),
        (
            "a name that would write log lines",
            offer(&[BOOTS, (67, b"a\nERROR b\x1b[2J")], nothing),
            "10.77.0.253 (boots aERRORb[2J)",
        ),
    ] {
        let read = read(&packet, ip(9), mac(1), &[1, XID]).expect(name);
        let other_servers = gather([read], &[]);
        assert_eq!(
            other_servers
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
            [want],
            "{name}"
        );
    }
}

#[test]
fn other_packets_are_no_answer() {
    let good = offer(&[ROUTER], |_| {});
    let edit = |at: usize, value: u8| {
        let mut packet = good.clone();
        packet[at] = value;
        packet
    };
    for (name, packet) in [
        ("a request", edit(0, 1)),
        ("another machine's", edit(33, 2)),
        ("to another question", edit(4, 0)),
        ("no cookie", edit(236, 0)),
        ("an ACK", edit(242, 5)),
        ("cut", good[..239].to_vec()),
    ] {
        assert_eq!(read(&packet, ip(9), mac(1), &[XID]), None, "{name}");
    }
    assert!(read(&good, ip(9), mac(1), &[XID]).is_some());
}

#[test]
fn one_server_is_named_once_and_the_appliance_never() {
    let offer = |server: u8, address: bool, boot_file: Option<&str>| ObservedOffer {
        server: ip(server),
        address,
        pxe: boot_file.is_some(),
        boot_file: boot_file.map(str::to_owned),
    };
    let offers = [
        offer(254, true, None),
        offer(1, true, Some("snponly.efi")),
        offer(253, false, Some("a")),
        offer(254, true, Some("b")),
        offer(253, false, Some("c")),
    ];
    let other_servers = gather(offers, &[ip(1)]);
    let words: Vec<String> = other_servers.iter().map(ToString::to_string).collect();
    assert_eq!(
        words,
        ["10.77.0.253 (boots a)", "10.77.0.254 (addresses; boots b)"]
    );
}

#[test]
fn each_mode_has_its_own_worries() {
    let other_server = |dhcp, pxe| OtherServer {
        server: ip(254),
        dhcp,
        pxe,
        boot_file: None,
    };
    const NOBODY: &str = "no DHCP server answers: machines get no address here, and so do not boot";
    const ADDRESSES: &str = "another DHCP server answers: 10.77.0.254 (addresses)";
    const BOTH: &str = "another DHCP server answers: 10.77.0.254 (addresses; boots machines)";
    const PXE: &str = "another PXE server answers: 10.77.0.254 (boots machines); machines take whichever they hear first";
    let pxe_router = "another PXE server answers: 10.77.0.254 (addresses; boots machines); machines take \
                      whichever they hear first";
    for (name, mode, other_servers, want) in [
        ("proxy, alone", DhcpMode::Proxy, vec![], vec![NOBODY]),
        (
            "proxy beside a router",
            DhcpMode::Proxy,
            vec![other_server(true, false)],
            vec![],
        ),
        (
            "proxy beside a PXE server only",
            DhcpMode::Proxy,
            vec![other_server(false, true)],
            vec![NOBODY, PXE],
        ),
        (
            "proxy beside a router that boots",
            DhcpMode::Proxy,
            vec![other_server(true, true)],
            vec![pxe_router],
        ),
        ("server, alone", DhcpMode::Server, vec![], vec![]),
        (
            "server beside a router",
            DhcpMode::Server,
            vec![other_server(true, false)],
            vec![ADDRESSES],
        ),
        (
            "server beside a router that boots",
            DhcpMode::Server,
            vec![other_server(true, true)],
            vec![BOTH],
        ),
        (
            "server beside a PXE proxy",
            DhcpMode::Server,
            vec![other_server(false, true)],
            vec![PXE],
        ),
    ] {
        let words: Vec<String> = concerns(mode, &other_servers)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(words, want, "{name}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_an_answer_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..400), at in 0..300usize) {
        let mut packet = offer(&[ROUTER], |_| {});
        packet.truncate(at);
        packet.extend(bytes);
        let _ = read(&packet, ip(9), mac(1), &[XID]);
    }
}
