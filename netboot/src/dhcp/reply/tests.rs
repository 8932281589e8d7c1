//! Answers, read back by an independent parser.

use std::time::Duration;

use dhcproto::v4::{DhcpOption as O, Message, MessageType, OptionCode};
use dhcproto::{Decodable, Decoder};
use proptest::prelude::*;

use super::*;
use crate::dhcp::lease::{LeaseAnswer, NakReason, NetworkParameters, SilenceReason};
use crate::dhcp::request::ClientMessageType;
use crate::test_support::{self, address};

fn request(boot: Option<NetbootRequest>) -> Request {
    Request {
        flags: 0x8000,
        client_id: Some(vec![1, 0x52, 0x54, 0, 0x12, 0x34, 0x56]),
        guid: Some([&[0][..], &[9; 16]].concat()),
        boot,
        ..test_support::request()
    }
}

fn decoded(answer: &DhcpReply) -> Message {
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

fn file(request: &Request, boot: NetbootRequest) -> BootFile {
    let loader = loaders(boot).first().copied();
    boot_file(request, boot, loader, &address()).expect("has a loader")
}

fn proxy(arch: Arch, client: BootClient) -> (Message, DhcpReply) {
    let boot = NetbootRequest { arch, client };
    let request = request(Some(boot));
    let file = file(&request, boot);
    let answer =
        proxy_offer(&request, boot, &file, OfferForm::Usual, &address()).expect("is written");
    (decoded(&answer), answer)
}

#[test]
fn every_proxy_offer_has_what_pxe_compares() {
    for (name, arch, client) in [
        ("BIOS", Arch::Bios, BootClient::Pxe),
        ("UEFI", Arch::X64, BootClient::Pxe),
        ("iPXE", Arch::X64, BootClient::Ipxe),
    ] {
        let (message, answer) = proxy(arch, client);
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
        assert_eq!(answer.to, ReplyTo::Broadcast, "{name}");
    }
}

#[test]
fn bios_is_told_in_option_43_to_take_the_file_from_the_offer() {
    let (message, answer) = proxy(Arch::Bios, BootClient::Pxe);
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
    let (message, _) = proxy(Arch::X64, BootClient::Pxe);
    assert_eq!(option(&message, OptionCode::VendorExtensions), None);
    assert_eq!(
        named(&message),
        "52-54-00-12-34-56/snponly.efi\0",
        "ends with the NUL that EDK2 would write"
    );
}

#[test]
fn ipxe_gets_the_script_and_never_a_loader() {
    let (message, answer) = proxy(Arch::Bios, BootClient::Ipxe);
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
    let boot = NetbootRequest {
        arch: Arch::Other(2),
        client: BootClient::Pxe,
    };
    assert_eq!(loaders(boot), &[""; 0]);
    assert_eq!(boot_file(&request(None), boot, None, &address()), None);
}

#[test]
fn the_4011_answer_goes_back_to_where_it_came_from() {
    let boot = NetbootRequest {
        arch: Arch::X64,
        client: BootClient::Pxe,
    };
    let asked = Request {
        ciaddr: [10, 77, 0, 50].into(),
        kind: ClientMessageType::Request,
        ..request(Some(boot))
    };
    let file = file(&asked, boot);
    let answer = binl_ack(&asked, boot, &file, OfferForm::Usual, &address()).expect("is written");
    let message = decoded(&answer);
    assert_eq!(answer.to, ReplyTo::Sender);
    assert_eq!(message.opts().msg_type(), Some(MessageType::Ack));
    assert_eq!(message.ciaddr(), asked.ciaddr);
    assert_eq!(named(&message), "52-54-00-12-34-56/snponly.efi\0");
    assert!(option(&message, OptionCode::ClassIdentifier).is_some());
}

fn network() -> NetworkParameters {
    NetworkParameters {
        netmask: [255, 255, 255, 0].into(),
        router: Some([10, 77, 0, 254].into()),
        dns: vec![[10, 77, 0, 254].into()],
        domain: Some("lan".to_owned()),
    }
}

/// The one answer where there is one.
fn server(
    request: &Request,
    settled: &LeaseAnswer,
    file: Option<(NetbootRequest, &BootFile, OfferForm)>,
) -> Option<DhcpReply> {
    let mut answers =
        server_answers(request, settled, file, &network(), None, &address()).expect("is written");
    assert!(answers.len() <= 1, "{answers:?}");
    answers.pop()
}

#[test]
fn server_answers_carry_what_the_rfc_demands_and_go_where_it_says() {
    let leased = Ipv4Addr::new(10, 77, 0, 50);
    let hour = Duration::from_secs(3600);
    let relay = Ipv4Addr::new(10, 77, 0, 9);
    let plain = request(None);
    let renewing = Request {
        kind: ClientMessageType::Request,
        ciaddr: leased,
        ..plain.clone()
    };
    let relayed = Request {
        giaddr: relay,
        ..plain.clone()
    };
    let ack = LeaseAnswer::Ack {
        address: leased,
        lease_time: hour,
    };
    let offer = LeaseAnswer::Offer {
        address: leased,
        lease_time: hour,
    };
    for (name, request, settled, kind, to) in [
        (
            "offer",
            &plain,
            &offer,
            MessageType::Offer,
            ReplyTo::Broadcast,
        ),
        (
            "ack to a client without address",
            &plain,
            &ack,
            MessageType::Ack,
            ReplyTo::Broadcast,
        ),
        (
            "ack to a renewing client",
            &renewing,
            &ack,
            MessageType::Ack,
            ReplyTo::Client(leased),
        ),
        (
            "offer through a relay",
            &relayed,
            &offer,
            MessageType::Offer,
            ReplyTo::Relay(relay),
        ),
        (
            "nak",
            &renewing,
            &LeaseAnswer::Nak(NakReason::WrongNetwork),
            MessageType::Nak,
            ReplyTo::Broadcast,
        ),
    ] {
        let answer = server(request, settled, None).expect(name);
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
    let silence = LeaseAnswer::Silence(SilenceReason::NoLeaseKnown);
    assert_eq!(server(&plain, &silence, None), None);
}

#[test]
fn inform_gets_options_but_no_address_and_no_time() {
    let asked = Request {
        kind: ClientMessageType::Inform,
        ciaddr: [10, 77, 0, 77].into(),
        ..request(None)
    };
    let answer = server(&asked, &LeaseAnswer::Inform, None).expect("answers");
    let message = decoded(&answer);
    assert_eq!(message.yiaddr(), Ipv4Addr::UNSPECIFIED);
    assert_eq!(option(&message, OptionCode::AddressLeaseTime), None);
    assert!(option(&message, OptionCode::SubnetMask).is_some());
    assert_eq!(answer.to, ReplyTo::Client(asked.ciaddr));
}

#[test]
fn ipxe_is_spared_its_wait_for_a_proxy_in_server_mode() {
    let boot = NetbootRequest {
        arch: Arch::X64,
        client: BootClient::Ipxe,
    };
    let asked = request(Some(boot));
    let file = file(&asked, boot);
    let settled = LeaseAnswer::Offer {
        address: [10, 77, 0, 50].into(),
        lease_time: Duration::from_secs(60),
    };
    let answer = server(&asked, &settled, Some((boot, &file, OfferForm::Usual))).expect("answers");
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
        let boot = NetbootRequest { arch, client: if ipxe { BootClient::Ipxe } else { BootClient::Pxe } };
        let request = Request { client_id, guid, flags, ..request(Some(boot)) };
        let file = file(&request, boot);
        let answer = proxy_offer(&request, boot, &file, OfferForm::Usual, &address()).expect("is written");
        let message = decoded(&answer);
        let name = named(&message);
        prop_assert_eq!(name.trim_end_matches('\0'), file.as_str());
        let tail = answer.bytes.iter().rposition(|b| *b != 0).map(|at| answer.bytes[at]);
        prop_assert_eq!(tail, Some(255));
    }
}

#[test]
fn http_boot_gets_its_class_echoed_and_an_absolute_url() {
    let boot = NetbootRequest {
        arch: Arch::X64,
        client: BootClient::Http,
    };
    let (offer, _) = proxy(boot.arch, boot.client);
    assert_eq!(
        option(&offer, OptionCode::ClassIdentifier),
        Some(&O::ClassIdentifier(b"HTTPClient".to_vec())),
        "or EDK2 takes it for plain DHCP"
    );
    let url = "http://10.77.0.1:8080/loaders/52-54-00-12-34-56/snponly.efi";
    assert_eq!(named(&offer), url);
    assert_eq!(option(&offer, OptionCode::TFTPServerName), None);

    let asked = request(Some(boot));
    let file = file(&asked, boot);
    for settled in [
        LeaseAnswer::Offer {
            address: [10, 77, 0, 50].into(),
            lease_time: Duration::from_secs(60),
        },
        LeaseAnswer::Ack {
            address: [10, 77, 0, 50].into(),
            lease_time: Duration::from_secs(60),
        },
    ] {
        let answer =
            server(&asked, &settled, Some((boot, &file, OfferForm::Usual))).expect("answers");
        let message = decoded(&answer);
        assert_eq!(named(&message), url);
        assert!(
            option(&message, OptionCode::ClassIdentifier).is_some(),
            "in OFFER and ACK: {settled:?}"
        );
    }
}

#[test]
fn a_raspberry_pi_finds_its_menu_entry_and_the_server() {
    let (offer, _) = proxy(Arch::Arm64, BootClient::RaspberryPi);
    let Some(O::VendorExtensions(menu)) = option(&offer, OptionCode::VendorExtensions) else {
        panic!("no option 43");
    };
    let name = b"Raspberry Pi Boot";
    let at = menu
        .windows(name.len())
        .position(|w| w == name)
        .expect("the entry");
    assert_eq!(
        menu[at - 5..at],
        [9, 20, 0, 0, 17],
        "sub-option 9: type 0 and a text of 17"
    );
    assert_eq!(offer.siaddr(), address().ip);
    assert_eq!(
        option(&offer, OptionCode::TFTPServerName),
        Some(&O::TFTPServerName(b"10.77.0.1".to_vec()))
    );
    assert_eq!(offer.fname(), None, "the ROM knows its files by itself");
}

#[test]
fn the_forms_differ_in_what_firmware_stumbles_over() {
    for (name, arch, form, discovery, header, options) in [
        ("BIOS", Arch::Bios, OfferForm::Usual, true, true, true),
        (
            "BIOS without 43",
            Arch::Bios,
            OfferForm::Turned,
            false,
            true,
            true,
        ),
        ("UEFI", Arch::X64, OfferForm::Usual, false, true, true),
        (
            "UEFI with 43",
            Arch::X64,
            OfferForm::Turned,
            true,
            true,
            true,
        ),
        (
            "header only",
            Arch::X64,
            OfferForm::InHeader,
            false,
            true,
            false,
        ),
        (
            "options only",
            Arch::X64,
            OfferForm::InOptions,
            false,
            false,
            true,
        ),
    ] {
        let boot = NetbootRequest {
            arch,
            client: BootClient::Pxe,
        };
        let asked = request(Some(boot));
        let file = file(&asked, boot);
        let message =
            decoded(&proxy_offer(&asked, boot, &file, form, &address()).expect("is written"));
        let has = |code: OptionCode| option(&message, code).is_some();
        assert_eq!(has(OptionCode::VendorExtensions), discovery, "{name}");
        assert_eq!(message.fname().is_some(), header, "{name}");
        assert_eq!(has(OptionCode::BootfileName), options, "{name}");
        assert_eq!(has(OptionCode::TFTPServerName), options, "{name}");
        assert_eq!(message.siaddr(), address().ip, "{name}");
    }
}

#[test]
fn a_rom_that_drops_dual_offers_gets_address_and_boot_file_apart() {
    let boot = NetbootRequest {
        arch: Arch::Bios,
        client: BootClient::Pxe,
    };
    let asked = request(Some(boot));
    let file = file(&asked, boot);
    let told = Some((boot, &file, OfferForm::Split));
    let leased = Ipv4Addr::new(10, 77, 0, 50);
    let settled = LeaseAnswer::Offer {
        address: leased,
        lease_time: Duration::from_secs(60),
    };
    let answers =
        server_answers(&asked, &settled, told, &network(), None, &address()).expect("is written");
    let [lease, proxy] = answers.as_slice() else {
        panic!("{answers:?}");
    };
    let (lease, proxy) = (decoded(lease), decoded(proxy));
    assert_eq!(
        (lease.yiaddr(), proxy.yiaddr()),
        (leased, Ipv4Addr::UNSPECIFIED)
    );
    assert_eq!(named(&lease), "");
    assert_eq!(named(&proxy), "52-54-00-12-34-56/undionly.kpxe\0");
    let settled = LeaseAnswer::Ack {
        address: leased,
        lease_time: Duration::from_secs(60),
    };
    let answers =
        server_answers(&asked, &settled, told, &network(), None, &address()).expect("is written");
    assert_eq!(answers.len(), 1, "the file is asked for on port 4011");
}

/// The codes of a packet's option area, in their order, and what stands in `file` and `sname`.
fn codes(packet: &[u8]) -> Vec<u8> {
    let mut codes = Vec::new();
    let mut rest = &packet[240..];
    while let [code, length, after @ ..] = rest
        && *code != 255
    {
        codes.push(*code);
        rest = &after[usize::from(*length)..];
    }
    codes
}

fn offer() -> LeaseAnswer {
    LeaseAnswer::Offer {
        address: [10, 77, 0, 50].into(),
        lease_time: Duration::from_secs(60),
    }
}

#[test]
fn the_parameter_request_list_is_honoured_in_its_order() {
    let relay_agent = vec![2, 1, 9, 1, 2, 7, 7];
    let asked = Request {
        wanted: vec![3, 1, 51, 15, 42],
        relay_agent: Some(relay_agent.clone()),
        giaddr: [10, 77, 0, 9].into(),
        ..request(None)
    };
    let answer = server(&asked, &offer(), None).expect("answers");
    let codes = codes(&answer.bytes);
    assert_eq!(codes[..2], [53, 54], "first of all what the message is");
    assert_eq!(
        codes[2..6],
        [3, 1, 51, 15],
        "then its list, as far as there is something to say"
    );
    assert!(!codes.contains(&6), "not asked for: {codes:?}");
    assert_eq!(codes.last(), Some(&82), "RFC 3046: last");
    let at = answer.bytes.windows(7).position(|w| w == relay_agent);
    assert!(at.is_some(), "octet by octet, in the relay's order");
}

#[test]
fn what_does_not_fit_goes_into_the_header_fields() {
    let guid = [&[0][..], &[9; 16]].concat();
    let asked = Request {
        client_id: Some(vec![7; 255]),
        guid: Some(guid.clone()),
        ..request(None)
    };
    let answer = server(&asked, &offer(), None).expect("answers");
    assert!(answer.bytes.len() <= 576 - 28);
    // dhcproto does not read the fields; our own scanner does.
    let mut echoed = answer.bytes.clone();
    echoed[0] = 1;
    let kind = echoed
        .windows(3)
        .position(|w| w == [53, 1, 2])
        .expect("an offer");
    echoed[kind + 2] = 1;
    let read = crate::dhcp::request::read(&echoed).expect("reads");
    assert_eq!(read.client_id, asked.client_id);
    assert_eq!(read.guid, Some(guid));
    assert!(
        codes(&answer.bytes).contains(&52),
        "and says so in option 52"
    );

    let roomy = Request {
        max_size: Some(1500),
        ..asked
    };
    let answer = server(&roomy, &offer(), None).expect("answers");
    assert!(!codes(&answer.bytes).contains(&52));
}

#[test]
fn a_nak_through_a_relay_is_broadcast_by_it() {
    let asked = Request {
        flags: 0,
        giaddr: [10, 77, 0, 9].into(),
        ..request(None)
    };
    let refused = LeaseAnswer::Nak(NakReason::WrongNetwork);
    let nak = server(&asked, &refused, None).expect("answers");
    assert!(decoded(&nak).flags().broadcast());
    assert_eq!(nak.to, ReplyTo::Relay(asked.giaddr));
}

proptest! {
    /// No answer is larger than the client takes, and what was asked to be echoed comes back.
    #[test]
    fn no_answer_exceeds_what_the_client_takes(
        client_id in prop::option::of(prop::collection::vec(any::<u8>(), 0..400)),
        relay_agent in prop::option::of(prop::collection::vec(any::<u8>(), 1..255)),
        wanted in prop::collection::vec(any::<u8>(), 0..40),
        max_size in prop::option::of(any::<u16>()),
        arch in prop::sample::select(vec![Arch::Bios, Arch::X64, Arch::Arm64]),
        client in prop::sample::select(vec![BootClient::Pxe, BootClient::Http, BootClient::Ipxe, BootClient::RaspberryPi, BootClient::UBoot, BootClient::UBootUefi]),
        form in prop::sample::select(vec![OfferForm::Usual, OfferForm::Turned, OfferForm::Split, OfferForm::InHeader, OfferForm::InOptions]),
    ) {
        let boot = NetbootRequest { arch, client };
        let relayed = relay_agent.is_some();
        let asked = Request {
            client_id, relay_agent, wanted, max_size,
            giaddr: if relayed { [10, 77, 0, 9].into() } else { Ipv4Addr::UNSPECIFIED },
            ..request(Some(boot))
        };
        let file = boot_file(&asked, boot, loaders(boot).first().copied(), &address());
        let told = file.as_ref().map(|file| (boot, file, form));
        let limit = usize::from(max_size.unwrap_or(576)).clamp(576, 1500) - 28;
        let mut answers = server_answers(&asked, &offer(), told, &network(), None, &address()).expect("is written");
        if let Some(file) = &file {
            answers.push(proxy_offer(&asked, boot, file, form, &address()).expect("is written"));
        }
        for answer in answers {
            prop_assert!((300..=limit).contains(&answer.bytes.len()), "{}", answer.bytes.len());
            let message = decoded(&answer);
            prop_assert_eq!(message.opts().msg_type(), Some(MessageType::Offer));
            prop_assert!(option(&message, OptionCode::ServerIdentifier).is_some());
            if let Some(relay) = &asked.relay_agent {
                prop_assert_eq!(codes(&answer.bytes).last().copied(), Some(82));
                let mut tail = vec![82, u8::try_from(relay.len()).expect("short")];
                tail.extend_from_slice(relay);
                tail.push(255);
                let end = answer.bytes.windows(tail.len()).any(|w| w == tail);
                prop_assert!(end, "option 82, octet by octet");
            }
        }
    }
}

/// EDK2's PxeBcDhcp4.c ends option 67 with a NUL of its own where there is none, one octet past its end.
#[test]
fn the_octet_that_edk2_writes_behind_the_file_name_does_no_harm() {
    for form in [
        OfferForm::Usual,
        OfferForm::Turned,
        OfferForm::InOptions,
        OfferForm::Split,
    ] {
        let boot = NetbootRequest {
            arch: Arch::X64,
            client: BootClient::Pxe,
        };
        let asked = request(Some(boot));
        let file = file(&asked, boot);
        for answer in [
            proxy_offer(&asked, boot, &file, form, &address()).expect("is written"),
            binl_ack(&asked, boot, &file, form, &address()).expect("is written"),
        ] {
            let name = named(&decoded(&answer));
            assert!(name.ends_with('\0'), "{form:?}: {name:?}");
        }
    }
}

/// EDK2 takes an offer with `PXEClient` and without option 43 for one of a server that wants to be asked on port 4011.
#[test]
fn in_server_mode_the_class_stands_beside_option_43_or_not_at_all() {
    for arch in [Arch::Bios, Arch::X64, Arch::Arm64] {
        let boot = NetbootRequest {
            arch,
            client: BootClient::Pxe,
        };
        let asked = request(Some(boot));
        let file = file(&asked, boot);
        let offer = LeaseAnswer::Offer {
            address: [10, 77, 0, 50].into(),
            lease_time: Duration::from_secs(60),
        };
        for form in OfferForm::all(boot, true) {
            let told = Some((boot, &file, *form));
            for answer in server_answers(&asked, &offer, told, &network(), None, &address())
                .expect("is written")
            {
                let message = decoded(&answer);
                let class = option(&message, OptionCode::ClassIdentifier).is_some();
                let menu = option(&message, OptionCode::VendorExtensions).is_some();
                let leases = !message.yiaddr().is_unspecified();
                assert!(!leases || class == menu, "{arch:?}, {form:?}");
            }
        }
    }
}

/// Without both, iPXE would ask on port 4011 (dhcp.c); it looks into the header for neither.
#[test]
fn ipxe_takes_the_script_from_the_offer_itself() {
    for arch in [Arch::Bios, Arch::X64, Arch::Arm64] {
        let (message, _) = proxy(arch, BootClient::Ipxe);
        assert_eq!(message.siaddr(), address().ip, "{arch:?}: the next server");
        assert!(named(&message).starts_with("http://"), "{arch:?}: the file");
    }
}

/// EDK2 takes the file from whom the offer is of, whatever next server it names (edk2#8558).
#[test]
fn the_next_server_is_the_one_that_offers() {
    for (arch, client) in [
        (Arch::Bios, BootClient::Pxe),
        (Arch::X64, BootClient::Pxe),
        (Arch::X64, BootClient::Http),
        (Arch::X64, BootClient::Ipxe),
        (Arch::Arm64, BootClient::RaspberryPi),
    ] {
        let (message, _) = proxy(arch, client);
        let server = option(&message, OptionCode::ServerIdentifier);
        let own = O::ServerIdentifier(message.siaddr());
        assert_eq!(server, Some(&own), "{arch:?}, {client:?}");
    }
}
