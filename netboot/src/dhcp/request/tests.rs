//! Packets as firmware sends them, packets as nobody should, and any bytes at all.

use crate::base::arch::Arch;
use proptest::prelude::*;

use super::*;

const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];

fn packet(options: &[(u8, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; header::LENGTH];
    bytes[0..4].copy_from_slice(&[1, 1, 6, 0]);
    bytes[4..8].copy_from_slice(&[0xde, 0xad, 0xbe, 0xef]);
    bytes[28..34].copy_from_slice(&MAC);
    bytes[236..240].copy_from_slice(&[99, 130, 83, 99]);
    for (number, value) in options {
        bytes.extend([*number, u8::try_from(value.len()).expect("a short option")]);
        bytes.extend_from_slice(value);
    }
    bytes.push(code::END);
    bytes
}

fn discover(options: &[(u8, &[u8])]) -> Vec<u8> {
    packet(&[&[(code::MESSAGE_TYPE, [1].as_slice())], options].concat())
}

/// Name, options, what is recognised.
type FirmwareRow<'a> = (&'a str, &'a [(u8, &'a [u8])], Option<NetbootRequest>);

const GUID: &[u8] = &[
    0, 0x33, 0x22, 0x11, 0, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 1, 2, 3, 4, 5, 6,
];

#[test]
fn what_asks_to_netboot_is_recognised() {
    let class = b"PXEClient:Arch:00007:UNDI:003001".as_slice();
    let firmware = |arch| {
        Some(NetbootRequest {
            arch,
            client: BootClient::Pxe,
        })
    };
    let ipxe = |arch| {
        Some(NetbootRequest {
            arch,
            client: BootClient::Ipxe,
        })
    };
    let rows: &[FirmwareRow] = &[
        ("an ordinary client", &[(60, b"udhcp 1.35")], None),
        ("no class at all", &[], None),
        (
            "UEFI x64, arch 7",
            &[(60, class), (93, &[0, 7])],
            firmware(Arch::X64),
        ),
        (
            "UEFI x64 that says 9",
            &[(60, class), (93, &[0, 9])],
            firmware(Arch::X64),
        ),
        (
            "BIOS",
            &[(60, b"PXEClient:Arch:00000:UNDI:002001"), (93, &[0, 0])],
            firmware(Arch::Bios),
        ),
        (
            "the first of two architectures",
            &[(60, class), (93, &[0, 7, 0, 0])],
            firmware(Arch::X64),
        ),
        (
            "no option 93, the class says it",
            &[(60, class)],
            firmware(Arch::X64),
        ),
        (
            "neither says it",
            &[(60, b"PXEClient")],
            firmware(Arch::Bios),
        ),
        (
            "ARM64",
            &[(60, b"PXEClient"), (93, &[0, 11])],
            firmware(Arch::Arm64),
        ),
        (
            "U-Boot, by its first releases with a small b",
            &[(60, b"U-boot.armv8"), (93, &[1, 0])],
            Some(NetbootRequest {
                arch: Arch::Other(256),
                client: BootClient::UBoot,
            }),
        ),
        (
            "U-Boot as UEFI",
            &[
                (60, b"PXEClient:Arch:00011:UNDI:003000"),
                (93, &[0, 11]),
                (94, &[1, 0, 0]),
            ],
            Some(NetbootRequest {
                arch: Arch::Arm64,
                client: BootClient::UBootUefi,
            }),
        ),
        (
            "ARM64, and the version of its network interface",
            &[(60, b"PXEClient"), (93, &[0, 11]), (94, &[1, 3, 0])],
            firmware(Arch::Arm64),
        ),
        (
            "iPXE, bare user class",
            &[(60, class), (77, b"iPXE"), (93, &[0, 7])],
            ipxe(Arch::X64),
        ),
        (
            "iPXE, RFC 3004 user class",
            &[(77, b"\x04iPXE"), (93, &[0, 0])],
            ipxe(Arch::Bios),
        ),
        (
            "iPXE as the second class",
            &[(77, b"\x03abc\x04iPXE"), (93, &[0, 0])],
            ipxe(Arch::Bios),
        ),
        ("a user class that is not iPXE", &[(77, b"\x04iPXF")], None),
        ("a user class cut short", &[(77, b"\x09iPXE")], None),
        (
            "user class in two parts (RFC 3396)",
            &[(77, b"iP"), (12, b"x"), (77, b"XE")],
            ipxe(Arch::Bios),
        ),
    ];
    for (name, options, want) in rows {
        let request = read(&discover(options)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(request.boot, *want, "{name}");
    }
}

#[test]
fn an_odd_option_does_not_hide_those_after_it() {
    // dhcproto stops at each of these.
    for (name, number, value) in [
        ("host name that is not UTF-8", 12, [0xff, 0xfe].as_slice()),
        ("requested address of three octets", 50, &[10, 0, 0]),
        ("architecture of one octet", 93, &[7]),
        ("network interface of two octets", 94, &[1, 2]),
        ("empty full name (RFC 4702)", 81, &[0, 0, 0]),
        ("two TFTP servers", 150, &[10, 0, 0, 1, 10, 0, 0, 2]),
    ] {
        let bytes = packet(&[(number, value), (53, &[1]), (60, b"PXEClient"), (97, GUID)]);
        let request = read(&bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(request.boot.is_some() && request.guid.is_some(), "{name}");
    }
}

#[test]
fn the_facts_are_what_smbios_prints() {
    let request = read(&discover(&[
        (60, b"PXEClient\n\x1b[31m"),
        (97, GUID),
        (12, b"Node1.lan\0"),
    ]));
    let request = request.expect("reads");
    assert_eq!(
        request.facts.uuid.as_deref(),
        Some("00112233-4455-6677-8899-010203040506")
    );
    assert_eq!(request.facts.vendor_class.as_deref(), Some("PXEClient[31m"));
    assert_eq!(
        request.host_name.map(|n| n.to_string()).as_deref(),
        Some("node1")
    );
    assert_eq!(request.guid.as_deref(), Some(GUID));
    assert_eq!((request.xid, request.mac.octets()), (0xdead_beef, MAC));
    for (name, guid) in [
        ("short", [0; 5].as_slice()),
        ("zeros", &[0; 17]),
        ("another type", &[1; 17]),
    ] {
        let request = read(&discover(&[(97, guid)])).expect("reads");
        assert_eq!(request.facts.uuid, None, "{name}");
        assert_eq!(
            request.guid.as_deref(),
            Some(guid),
            "{name}: echoed all the same"
        );
    }
}

#[test]
fn options_in_file_and_sname_count_when_option_52_says_so() {
    for (overload, at) in [(1, 108), (2, 44), (3, 44)] {
        let mut bytes = discover(&[(52, &[overload])]);
        bytes[at..at + 12].copy_from_slice(b"\x3c\x09PXEClient\xff");
        assert!(
            read(&bytes).expect("reads").boot.is_some(),
            "overload {overload}"
        );
    }
    let mut bytes = discover(&[]);
    bytes[108..120].copy_from_slice(b"\x3c\x09PXEClient\xff");
    assert!(read(&bytes).expect("reads").boot.is_none(), "no overload");
}

#[test]
fn what_is_not_a_clients_message_is_ignored_with_a_reason() {
    let change = |at: usize, value: u8| {
        let mut bytes = discover(&[]);
        bytes[at] = value;
        bytes
    };
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        (
            "empty",
            Vec::new(),
            "0 octets are shorter than a DHCP message",
        ),
        ("a reply", change(0, 2), "not sent by a client (op 2)"),
        (
            "hlen 17",
            change(2, 17),
            "hardware address of type 1 and length 17; only Ethernet is served",
        ),
        (
            "hlen 255",
            change(2, 255),
            "hardware address of type 1 and length 255; only Ethernet is served",
        ),
        (
            "InfiniBand",
            change(1, 32),
            "hardware address of type 32 and length 6; only Ethernet is served",
        ),
        ("no cookie", change(236, 0), "no DHCP magic cookie"),
        (
            "a group address",
            change(28, 1),
            "hardware address is a group address; network cards do not have one",
        ),
        (
            "plain BOOTP",
            packet(&[]),
            "no DHCP message type (plain BOOTP)",
        ),
        (
            "an offer",
            packet(&[(53, &[2])]),
            "message type 2 is not one that a client sends",
        ),
    ];
    for (name, bytes, want) in cases {
        assert_eq!(read(&bytes).expect_err(name).to_string(), want, "{name}");
    }
}

#[test]
fn a_packet_cut_at_any_length_is_read_or_ignored() {
    let whole = discover(&[(60, b"PXEClient:Arch:00007"), (93, &[0, 7]), (97, GUID)]);
    for length in 0..whole.len() {
        let _ = read(&whole[..length]);
    }
    // A missing end mark alone is forgiven.
    assert!(read(&whole[..whole.len() - 1]).is_ok());
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_ignored(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = read(&bytes);
    }

    #[test]
    fn any_options_behind_a_good_header_are_read_or_ignored(
        area in prop::collection::vec(any::<u8>(), 0..400),
        overload in 0..4u8,
    ) {
        let mut bytes = packet(&[(53, &[1]), (52, &[overload])]);
        bytes.pop();
        bytes.extend(&area);
        bytes[44..200.min(44 + area.len())].copy_from_slice(&area[..area.len().min(156)]);
        let _ = read(&bytes);
    }
}

/// The whole registry as far as it is of use here, by number.
#[test]
fn architectures_are_those_of_the_iana_registry() {
    let known = |number| match number {
        0 | 20 => Arch::Bios,
        6 | 15 => Arch::X86,
        7 | 9 | 16 | 17 => Arch::X64,
        10 | 18 | 21 | 23 => Arch::Arm32,
        11 | 19 | 22 | 24 | 41 => Arch::Arm64,
        27 | 28 => Arch::Riscv64,
        other => Arch::Other(other),
    };
    for number in 0..=u16::MAX {
        assert_eq!(Arch::from_registry(number), known(number), "{number}");
    }
    let started: Vec<u16> = (0..100)
        .filter(|number| Arch::from_registry(*number).kernel().is_some())
        .collect();
    assert_eq!(started, [0, 6, 7, 9, 11, 15, 16, 17, 19, 20, 22, 24, 41]);
}

#[test]
fn raspberry_pi_boards_are_known_by_their_address_blocks() {
    for (card, want) in [
        ("b8:27:eb:00:00:01", true),
        ("dc:a6:32:00:00:01", true),
        ("e4:5f:01:00:00:01", true),
        ("28:cd:c1:00:00:01", true),
        ("d8:3a:dd:00:00:01", true),
        ("2c:cf:67:00:00:01", true),
        ("b8:27:ec:00:00:01", false),
        ("52:54:00:12:34:56", false),
    ] {
        let card = card.parse().expect("a MAC");
        assert_eq!(is_raspberry_pi_card(card), want, "{card}");
    }
}

/// Arithmetic on lengths is where DHCP servers were broken into (CVE-2026-4892 of dnsmasq and its kind).
#[test]
fn an_option_of_any_length_cut_at_any_octet_is_read_or_ignored() {
    for number in [12, 43, 50, 52, 53, 60, 61, 77, 81, 82, 93, 97, 175] {
        for length in 0..=255 {
            let mut whole = discover(&[(60, b"PXEClient"), (93, &[0, 7])]);
            whole.pop();
            let behind = whole.len();
            whole.extend([number, length]);
            whole.extend(std::iter::repeat_n(7, length.into()));
            for end in behind..=whole.len() {
                let read = read(&whole[..end]);
                // What is cut off is not believed; what stands before it is.
                if end < whole.len() {
                    let boot = read.expect("is a DISCOVER").boot.expect("netboots");
                    assert_eq!(boot.arch, Arch::X64, "option {number}, {length}, {end}");
                }
            }
        }
    }
}
