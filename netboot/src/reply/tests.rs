//! Answers, read back by an independent parser.

use std::time::Duration;

use dhcproto::v4::{DhcpOption as O, OptionCode};
use dhcproto::{Decodable, Decoder};
use proptest::prelude::*;

use super::*;
use crate::machine::Facts;

fn address() -> Address {
    Address {
        ip: [10, 77, 0, 1].into(),
        http_port: 8080,
        node_port: 8443,
        pin: String::new(),
    }
}

fn request(boot: Option<Boot>) -> Request {
    Request {
        kind: Kind::Discover,
        xid: 7,
        mac: "52:54:00:12:34:56".parse().expect("a MAC"),
        flags: 0x8000,
        secs: 0,
        ciaddr: Ipv4Addr::UNSPECIFIED,
        giaddr: Ipv4Addr::UNSPECIFIED,
        requested: None,
        server: None,
        host_name: None,
        client_id: Some(vec![1, 0x52, 0x54, 0, 0x12, 0x34, 0x56]),
        guid: Some([&[0][..], &[9; 16]].concat()),
        wanted: Vec::new(),
        boot,
        facts: Facts::default(),
    }
}

fn decoded(answer: &Answer) -> Message {
    assert!(answer.bytes.len() >= 300, "padded");
    Message::decode(&mut Decoder::new(&answer.bytes)).expect("decodes")
}

fn option(message: &Message, code: OptionCode) -> Option<&O> {
    message.opts().get(code)
}

/// The name in option 67, its tail of NUL kept.
fn named(message: &Message) -> String {
    match option(message, OptionCode::BootfileName) {
        Some(O::BootfileName(name)) => String::from_utf8(name.clone()).expect("is text"),
        _ => String::new(),
    }
}

fn proxy(arch: Arch, stage: Stage) -> (Message, Answer) {
    let boot = Boot { arch, stage };
    let request = request(Some(boot.clone()));
    let file = boot_file(&request, &boot, &address()).expect("has a loader");
    let answer = proxy_offer(&request, &boot, &file, &address());
    (decoded(&answer), answer)
}

#[test]
fn every_proxy_offer_has_what_pxe_compares() {
    for (name, arch, stage) in [
        ("BIOS", Arch::Bios, Stage::Firmware),
        ("UEFI", Arch::X64, Stage::Firmware),
        ("iPXE", Arch::X64, Stage::Ipxe),
    ] {
        let (message, answer) = proxy(arch, stage);
        assert_eq!(
            message.yiaddr(),
            Ipv4Addr::UNSPECIFIED,
            "{name}: gives no address"
        );
        assert_eq!(message.siaddr(), address().ip, "{name}");
        assert_eq!(message.xid(), 7, "{name}");
        assert_eq!(u16::from(message.flags()), 0x8000, "{name}");
        assert_eq!(
            message.opts().msg_type(),
            Some(MessageType::Offer),
            "{name}"
        );
        let server = option(&message, OptionCode::ServerIdentifier);
        assert_eq!(
            server,
            Some(&O::ServerIdentifier(address().ip)),
            "{name}: option 54 always"
        );
        let class = option(&message, OptionCode::ClassIdentifier);
        assert_eq!(
            class,
            Some(&O::ClassIdentifier(b"PXEClient".to_vec())),
            "{name}"
        );
        let guid = option(&message, OptionCode::ClientMachineIdentifier);
        assert!(guid.is_some(), "{name}: option 97 is echoed");
        assert_eq!(answer.to, To::Broadcast, "{name}");
    }
}

#[test]
fn bios_is_told_in_option_43_to_take_the_file_from_the_offer() {
    let (message, answer) = proxy(Arch::Bios, Stage::Firmware);
    let discovery = option(&message, OptionCode::VendorExtensions);
    assert_eq!(discovery, Some(&O::VendorExtensions(vec![6, 1, 8, 255])));
    assert_eq!(
        message
            .fname()
            .map(|f| f.starts_with(b"52-54-00-12-34-56/undionly.kpxe")),
        Some(true)
    );
    assert_eq!(answer.given, "offered undionly.kpxe");
}

#[test]
fn uefi_never_sees_option_43() {
    let (message, _) = proxy(Arch::X64, Stage::Firmware);
    assert_eq!(option(&message, OptionCode::VendorExtensions), None);
    assert_eq!(
        named(&message),
        "52-54-00-12-34-56/snponly.efi\0",
        "ends with the NUL that EDK2 would write"
    );
}

#[test]
fn ipxe_gets_the_script_and_never_a_loader() {
    let (message, answer) = proxy(Arch::Bios, Stage::Ipxe);
    let url = named(&message);
    assert!(
        url.starts_with("http://10.77.0.1:8080/boot.ipxe?mac=52:54:00:12:34:56&"),
        "{url}"
    );
    assert!(!url.contains('\0') && url.len() < 256, "{url}");
    assert_eq!(answer.given, "offered boot script");
}

#[test]
fn an_architecture_without_a_loader_gets_none() {
    let boot = Boot {
        arch: Arch::Other(11),
        stage: Stage::Firmware,
    };
    assert_eq!(boot_file(&request(None), &boot, &address()), None);
}

#[test]
fn the_4011_answer_goes_back_to_where_it_came_from() {
    let boot = Boot {
        arch: Arch::X64,
        stage: Stage::Firmware,
    };
    let asked = Request {
        ciaddr: [10, 77, 0, 50].into(),
        kind: Kind::Request,
        ..request(Some(boot.clone()))
    };
    let file = boot_file(&asked, &boot, &address()).expect("has a loader");
    let answer = binl_ack(&asked, &file, &address());
    let message = decoded(&answer);
    assert_eq!(answer.to, To::Sender);
    assert_eq!(message.opts().msg_type(), Some(MessageType::Ack));
    assert_eq!(message.ciaddr(), asked.ciaddr);
    assert_eq!(named(&message), "52-54-00-12-34-56/snponly.efi\0");
    assert!(option(&message, OptionCode::ClassIdentifier).is_some());
}

fn network() -> Network {
    Network {
        netmask: [255, 255, 255, 0].into(),
        router: Some([10, 77, 0, 254].into()),
        dns: vec![[10, 77, 0, 254].into()],
        domain: Some("lan".to_owned()),
    }
}

#[test]
fn server_answers_carry_what_the_rfc_demands_and_go_where_it_says() {
    let leased = Ipv4Addr::new(10, 77, 0, 50);
    let hour = Duration::from_secs(3600);
    let relay = Ipv4Addr::new(10, 77, 0, 9);
    let plain = request(None);
    let renewing = Request {
        kind: Kind::Request,
        ciaddr: leased,
        ..plain.clone()
    };
    let relayed = Request {
        giaddr: relay,
        ..plain.clone()
    };
    let ack = Settled::Ack {
        address: leased,
        lease_time: hour,
    };
    let offer = Settled::Offer {
        address: leased,
        lease_time: hour,
    };
    for (name, request, settled, kind, to) in [
        ("offer", &plain, &offer, MessageType::Offer, To::Broadcast),
        (
            "ack to a client without address",
            &plain,
            &ack,
            MessageType::Ack,
            To::Broadcast,
        ),
        (
            "ack to a renewing client",
            &renewing,
            &ack,
            MessageType::Ack,
            To::Client(leased),
        ),
        (
            "offer through a relay",
            &relayed,
            &offer,
            MessageType::Offer,
            To::Relay(relay),
        ),
        (
            "nak",
            &renewing,
            &Settled::Nak("no".to_owned()),
            MessageType::Nak,
            To::Broadcast,
        ),
    ] {
        let answer = server_answer(request, settled, None, &network(), &address()).expect(name);
        let message = decoded(&answer);
        assert_eq!(message.opts().msg_type(), Some(kind), "{name}");
        assert_eq!(answer.to, to, "{name}");
        assert_eq!(message.giaddr(), request.giaddr, "{name}");
        assert!(
            option(&message, OptionCode::ServerIdentifier).is_some(),
            "{name}"
        );
        assert!(
            option(&message, OptionCode::ClassIdentifier).is_none(),
            "{name}: or it would ask 4011"
        );
        for never in [50, 55, 57] {
            assert!(
                option(&message, never.into()).is_none(),
                "{name}: option {never}"
            );
        }
        let time = option(&message, OptionCode::AddressLeaseTime);
        assert_eq!(time.is_some(), kind != MessageType::Nak, "{name}");
    }
    assert_eq!(
        server_answer(
            &plain,
            &Settled::Silence(String::new()),
            None,
            &network(),
            &address()
        ),
        None
    );
}

#[test]
fn inform_gets_options_but_no_address_and_no_time() {
    let asked = Request {
        kind: Kind::Inform,
        ciaddr: [10, 77, 0, 77].into(),
        ..request(None)
    };
    let answer =
        server_answer(&asked, &Settled::Inform, None, &network(), &address()).expect("answers");
    let message = decoded(&answer);
    assert_eq!(message.yiaddr(), Ipv4Addr::UNSPECIFIED);
    assert_eq!(option(&message, OptionCode::AddressLeaseTime), None);
    assert!(option(&message, OptionCode::SubnetMask).is_some());
    assert_eq!(answer.to, To::Client(asked.ciaddr));
}

#[test]
fn ipxe_is_spared_its_wait_for_a_proxy_in_server_mode() {
    let boot = Boot {
        arch: Arch::X64,
        stage: Stage::Ipxe,
    };
    let asked = request(Some(boot.clone()));
    let file = boot_file(&asked, &boot, &address());
    let settled = Settled::Offer {
        address: [10, 77, 0, 50].into(),
        lease_time: Duration::from_secs(60),
    };
    let answer =
        server_answer(&asked, &settled, file.as_ref(), &network(), &address()).expect("answers");
    let message = decoded(&answer);
    let encapsulated = option(&message, 175.into());
    assert_eq!(
        encapsulated,
        Some(&O::Unknown(UnknownOption::new(175.into(), vec![176, 1, 1])))
    );
}

proptest! {
    /// What is sent is what another parser reads, and it ends with an end mark, whatever was asked.
    #[test]
    fn any_request_gets_an_answer_that_decodes(
        client_id in prop::option::of(prop::collection::vec(any::<u8>(), 0..255)),
        guid in prop::option::of(prop::collection::vec(any::<u8>(), 0..255)),
        flags: u16,
        bios: bool,
        ipxe: bool,
    ) {
        let arch = if bios { Arch::Bios } else { Arch::X64 };
        let boot = Boot { arch, stage: if ipxe { Stage::Ipxe } else { Stage::Firmware } };
        let request = Request { client_id, guid, flags, ..request(Some(boot.clone())) };
        let file = boot_file(&request, &boot, &address()).expect("has a loader");
        let answer = proxy_offer(&request, &boot, &file, &address());
        let message = decoded(&answer);
        let name = named(&message);
        prop_assert_eq!(name.trim_end_matches('\0'), file.as_str());
        let tail = answer.bytes.iter().rposition(|b| *b != 0).map(|at| answer.bytes[at]);
        prop_assert_eq!(tail, Some(255));
    }
}
