//! What RFC 2131 demands of a server, one rule for each test: octets in, octets out. The README has the table.

use std::net::Ipv4Addr;
use std::time::Duration;

use dhcproto::v4::{DhcpOption as O, Message, MessageType, OptionCode};
use dhcproto::{Decodable, Decoder};
use netboot::base::address::ApplianceAddress;
use netboot::base::mac::Mac;
use netboot::base::timestamp::Timestamp;
use netboot::dhcp::lease::{
    ClientClass, LeaseAnswer, LeaseChange, LeaseNotice, Leases, NetworkParameters, ProbeResult,
    Reservations, SilenceReason, Site, Subnet, settle,
};
use netboot::dhcp::reply::{ReplyTo, server_answers};
use netboot::dhcp::request;

const DISCOVER: u8 = 1;
const REQUEST: u8 = 3;
const DECLINE: u8 = 4;
const RELEASE: u8 = 7;
const INFORM: u8 = 8;

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const RELAY: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 1);

fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, last)
}

fn mac(last: u8) -> Mac {
    Mac::new([2, 0, 0, 0, 0, last]).expect("a MAC")
}

/// A message of a client: fields of the header, then options.
#[derive(Clone)]
struct Ask {
    octets: Vec<u8>,
}

impl Ask {
    fn new(kind: u8, client: u8) -> Self {
        let mut octets = vec![0; 236];
        octets[..4].copy_from_slice(&[1, 1, 6, 0]);
        octets[4..8].copy_from_slice(&[0xca, 0xfe, 0, client]);
        octets[28..34].copy_from_slice(&mac(client).octets());
        octets.extend([99, 130, 83, 99, 53, 1, kind]);
        Self { octets }
    }

    fn field(mut self, at: usize, value: &[u8]) -> Self {
        self.octets[at..at + value.len()].copy_from_slice(value);
        self
    }

    fn flags(self, flags: u16) -> Self {
        self.field(10, &flags.to_be_bytes())
    }

    fn ciaddr(self, address: Ipv4Addr) -> Self {
        self.field(12, &address.octets())
    }

    fn giaddr(self, address: Ipv4Addr) -> Self {
        self.field(24, &address.octets())
    }

    fn option(mut self, code: u8, value: &[u8]) -> Self {
        self.octets.push(code);
        self.octets
            .push(u8::try_from(value.len()).expect("is short"));
        self.octets.extend(value);
        self
    }

    fn wants(self, address: Ipv4Addr) -> Self {
        self.option(50, &address.octets())
    }

    fn of(self, server: Ipv4Addr) -> Self {
        self.option(54, &server.octets())
    }
}

/// A server without its sockets.
struct Server {
    leases: Leases,
    site: Site,
    now: Timestamp,
    written: Vec<LeaseChange>,
    told: Vec<LeaseNotice>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
enum NoAnswer {
    Unread(request::Ignored),
    Silence(SilenceReason),
    /// Not before the wire was asked for this address.
    Probe(Ipv4Addr),
}

/// The one answer.
#[derive(Debug)]
struct Said {
    message: Message,
    octets: Vec<u8>,
    to: ReplyTo,
}

impl Said {
    fn kind(&self) -> MessageType {
        self.message.opts().msg_type().expect("has a type")
    }

    fn has(&self, code: OptionCode) -> bool {
        self.message.opts().get(code).is_some()
    }
}

impl Server {
    fn new() -> Self {
        let subnet = |first: Ipv4Addr, last: Ipv4Addr| Subnet {
            first,
            last,
            lease_time: Duration::from_secs(3600),
            reservations: Reservations::default(),
            network: NetworkParameters {
                netmask: [255, 255, 255, 0].into(),
                router: Some(Ipv4Addr::from(first.to_bits() & 0xffff_ff00 | 254)),
                dns: vec![ip(254), ip(253)],
                domain: Some("lan".to_owned()),
            },
        };
        Self {
            leases: Leases::default(),
            site: Site {
                server: SERVER,
                lan: subnet(ip(50), ip(59)),
                relayed: vec![subnet([10, 78, 0, 50].into(), [10, 78, 0, 59].into())],
            },
            now: Timestamp::from_millis(1_000_000),
            written: Vec::new(),
            told: Vec::new(),
        }
    }

    fn hears(&mut self, ask: &Ask) -> Result<Said, NoAnswer> {
        self.hears_after(ask, ProbeResult::Impossible)
    }

    fn hears_after(&mut self, ask: &Ask, probe: ProbeResult) -> Result<Said, NoAnswer> {
        let mut packet = ask.octets.clone();
        packet.push(255);
        let request = request::read(&packet).map_err(NoAnswer::Unread)?;
        let outcome = settle(
            &mut self.leases,
            &self.site,
            &request,
            ClientClass::Stranger,
            probe,
            self.now,
        );
        self.written = outcome.changes;
        self.told = outcome.notices;
        let settled = match outcome.answer {
            LeaseAnswer::Silence(why) => return Err(NoAnswer::Silence(why)),
            LeaseAnswer::Probe(address) => return Err(NoAnswer::Probe(address)),
            settled => settled,
        };
        let network = &self.site.subnet(&request).expect("is served").network;
        let address = ApplianceAddress {
            ip: SERVER,
            http_port: 8080,
            node_port: 8443,
            pin: String::new(),
        };
        let answers = server_answers(&request, &settled, None, network, None, &address);
        let mut answers = answers.expect("is written");
        let answer = answers.pop().expect("an answer");
        assert!(answers.is_empty(), "one answer");
        let message = Message::decode(&mut Decoder::new(&answer.bytes)).expect("decodes");
        Ok(Said {
            message,
            octets: answer.bytes,
            to: answer.to,
        })
    }

    fn later(&mut self, seconds: u64) {
        self.now = self.now.plus(Duration::from_secs(seconds));
    }

    /// DISCOVER and REQUEST.
    fn lease_to(&mut self, client: u8) -> Ipv4Addr {
        let offer = self.hears(&Ask::new(DISCOVER, client)).expect("an offer");
        let address = offer.message.yiaddr();
        let ack = self.hears(&Ask::new(REQUEST, client).wants(address).of(SERVER));
        assert_eq!(ack.expect("an answer").kind(), MessageType::Ack);
        address
    }
}

#[test]
fn rule_01_an_answer_copies_xid_flags_giaddr_and_chaddr() {
    let ask = Ask::new(DISCOVER, 7).flags(0x8000).giaddr(RELAY);
    let said = Server::new().hears(&ask).expect("an offer");
    let message = &said.message;
    assert_eq!(said.octets[..4], [2, 1, 6, 0], "a reply, Ethernet, no hops");
    assert_eq!(said.octets[4..8], [0xca, 0xfe, 0, 7]);
    assert_eq!(u16::from(message.flags()), 0x8000);
    assert_eq!(message.giaddr(), RELAY);
    assert_eq!(message.chaddr(), mac(7).octets());
    let odd = Ask::new(DISCOVER, 7).flags(0x1234);
    let said = Server::new().hears(&odd).expect("an offer");
    assert_eq!(u16::from(said.message.flags()), 0x1234);
}

#[test]
fn rule_02_the_address_is_the_current_one_the_former_one_the_one_asked_for_or_a_free_one() {
    let mut server = Server::new();
    let mut offered = |ask: &Ask, later| {
        server.later(later);
        server.hears(ask).expect("an offer").message.yiaddr()
    };
    assert_eq!(
        offered(&Ask::new(DISCOVER, 1).wants(ip(55)), 0),
        ip(55),
        "asked for, and free"
    );
    assert_eq!(
        offered(&Ask::new(DISCOVER, 2).wants(ip(200)), 0),
        ip(50),
        "asked for, no pool"
    );
    assert_eq!(offered(&Ask::new(DISCOVER, 3), 0), ip(51), "any");
    let relayed = offered(&Ask::new(DISCOVER, 4).giaddr(RELAY), 0);
    assert_eq!(
        relayed,
        Ipv4Addr::new(10, 78, 0, 50),
        "any of the relay's subnet"
    );
    let held = server.lease_to(5);
    let again = Ask::new(DISCOVER, 5).wants(ip(58));
    let mut offered = |later| {
        server.later(later);
        server.hears(&again).expect("an offer").message.yiaddr()
    };
    assert_eq!(offered(10), held, "the current one");
    assert_eq!(offered(7200), held, "the former one");
}

#[test]
fn rule_03_what_an_ack_promises_is_to_be_written_down_and_an_offer_promises_nothing() {
    let mut server = Server::new();
    let offer = server.hears(&Ask::new(DISCOVER, 1)).expect("an offer");
    assert_eq!(server.written, []);
    let address = offer.message.yiaddr();
    let asked = Ask::new(REQUEST, 1).wants(address).of(SERVER);
    let _ = server.hears(&asked).expect("an answer");
    let [LeaseChange::Put(lease)] = &server.written[..] else {
        panic!("{:?}", server.written)
    };
    let until = server.now.plus(Duration::from_secs(3600));
    assert_eq!(
        (lease.address, lease.mac, lease.until),
        (address, mac(1), until)
    );
}

#[test]
fn rule_04_an_address_is_offered_after_nobody_answered_for_it() {
    let mut server = Server::new();
    let ask = Ask::new(DISCOVER, 1);
    let first = server.hears_after(&ask, ProbeResult::NotYet);
    assert_eq!(first.expect_err("not yet"), NoAnswer::Probe(ip(50)));
    let second = server.hears_after(&ask, ProbeResult::Answered(ip(50), mac(66)));
    assert_eq!(second.expect_err("another"), NoAnswer::Probe(ip(51)));
    let third = server.hears_after(&ask, ProbeResult::Silent(ip(51)));
    assert_eq!(third.expect("an offer").message.yiaddr(), ip(51));
}

#[test]
fn rule_05_selecting_takes_our_offer_or_leaves_it() {
    let mut server = Server::new();
    let mut ask = |ask: Ask| server.hears(&ask).map(|said| said.kind());
    assert_eq!(ask(Ask::new(DISCOVER, 1)), Ok(MessageType::Offer));
    let other = Ask::new(REQUEST, 1).wants(ip(99)).of(ip(254));
    let chose = NoAnswer::Silence(SilenceReason::ChoseAnotherServer);
    assert_eq!(ask(other), Err(chose));
    let next = Ask::new(DISCOVER, 2).wants(ip(50));
    assert_eq!(ask(next), Ok(MessageType::Offer));
    let ours = Ask::new(REQUEST, 2).wants(ip(50)).of(SERVER);
    assert_eq!(ask(ours), Ok(MessageType::Ack), "what the first left");
    let taken = Ask::new(REQUEST, 1).wants(ip(50)).of(SERVER);
    assert_eq!(ask(taken), Ok(MessageType::Nak));
}

#[test]
fn rule_06_init_reboot_is_answered_by_who_knows_the_client_alone() {
    let mut server = Server::new();
    let held = server.lease_to(1);
    let mut ask = |client, wanted| {
        let said = server.hears(&Ask::new(REQUEST, client).wants(wanted));
        said.map(|said| said.kind())
    };
    assert_eq!(ask(1, held), Ok(MessageType::Ack));
    assert_eq!(
        ask(1, ip(58)),
        Ok(MessageType::Nak),
        "not what is on record"
    );
    assert_eq!(
        ask(1, [192, 168, 1, 5].into()),
        Ok(MessageType::Nak),
        "a wrong network"
    );
    assert!(ask(2, ip(58)).is_err(), "no record: silence");
    assert_eq!(
        ask(2, [192, 168, 1, 5].into()),
        Ok(MessageType::Nak),
        "a wrong network is wrong for everybody"
    );
}

#[test]
fn rule_07_renewing_and_rebinding_extend_the_lease() {
    for (name, ask) in [
        ("renewing", Ask::new(REQUEST, 1).ciaddr(ip(50))),
        (
            "rebinding",
            Ask::new(REQUEST, 1).ciaddr(ip(50)).flags(0x8000),
        ),
    ] {
        let mut server = Server::new();
        assert_eq!(server.lease_to(1), ip(50));
        server.later(1800);
        let said = server.hears(&ask).expect(name);
        assert_eq!(
            (said.kind(), said.to),
            (MessageType::Ack, ReplyTo::Client(ip(50))),
            "{name}"
        );
        assert_eq!(said.message.yiaddr(), ip(50), "{name}");
        let until = server.now.plus(Duration::from_secs(3600));
        assert!(
            matches!(&server.written[..], [LeaseChange::Put(lease)] if lease.until == until),
            "{name}: {:?}",
            server.written
        );
    }
    let stranger = Server::new().hears(&Ask::new(REQUEST, 2).ciaddr(ip(51)));
    assert!(stranger.is_err(), "no record: silence");
}

#[test]
fn rule_08_a_nak_is_broadcast_and_a_relay_is_told_to_broadcast_it() {
    let mut server = Server::new();
    server.lease_to(1);
    let said = server
        .hears(&Ask::new(REQUEST, 1).wants(ip(58)))
        .expect("a NAK");
    assert_eq!(
        (said.kind(), said.to),
        (MessageType::Nak, ReplyTo::Broadcast)
    );
    let away = Ask::new(REQUEST, 1).wants(ip(58)).giaddr(RELAY);
    let said = server.hears(&away).expect("a NAK");
    assert_eq!(
        (said.kind(), said.to),
        (MessageType::Nak, ReplyTo::Relay(RELAY))
    );
    assert_eq!(u16::from(said.message.flags()), 0x8000);
    let message = &said.message;
    assert!(
        [message.ciaddr(), message.yiaddr(), message.siaddr()]
            .iter()
            .all(|a| a.is_unspecified())
    );
    assert!(!said.has(OptionCode::AddressLeaseTime) && said.has(OptionCode::ServerIdentifier));
}

#[test]
fn rule_09_a_declined_address_rests_and_is_told_and_a_released_one_is_free_but_remembered() {
    let mut server = Server::new();
    let held = server.lease_to(1);
    assert!(
        server
            .hears(&Ask::new(DECLINE, 1).wants(held).of(SERVER))
            .is_err(),
        "no answer"
    );
    assert_eq!(
        server.told,
        [LeaseNotice::AddressDeclined {
            address: held,
            by: mac(1)
        }]
    );
    let next = server
        .hears(&Ask::new(DISCOVER, 2).wants(held))
        .expect("an offer");
    assert_ne!(next.message.yiaddr(), held);
    server.later(3601);
    let rested = server
        .hears(&Ask::new(DISCOVER, 3).wants(held))
        .expect("an offer");
    assert_eq!(rested.message.yiaddr(), held);

    let mut server = Server::new();
    let held = server.lease_to(1);
    assert!(
        server
            .hears(&Ask::new(RELEASE, 1).ciaddr(held).of(SERVER))
            .is_err(),
        "no answer"
    );
    let back = server.hears(&Ask::new(DISCOVER, 1)).expect("an offer");
    assert_eq!(back.message.yiaddr(), held, "remembered");
    server.later(61);
    let other = server
        .hears(&Ask::new(DISCOVER, 2).wants(held))
        .expect("an offer");
    assert_eq!(other.message.yiaddr(), held, "free");
}

#[test]
fn rule_10_an_inform_gets_options_and_no_lease() {
    let mut server = Server::new();
    let said = server
        .hears(&Ask::new(INFORM, 1).ciaddr(ip(9)))
        .expect("an ACK");
    assert_eq!(
        (said.kind(), said.to),
        (MessageType::Ack, ReplyTo::Client(ip(9)))
    );
    assert_eq!(said.message.yiaddr(), Ipv4Addr::UNSPECIFIED);
    assert!(said.has(OptionCode::Router) && said.has(OptionCode::SubnetMask));
    for code in [
        OptionCode::AddressLeaseTime,
        OptionCode::Renewal,
        OptionCode::Rebinding,
    ] {
        assert!(!said.has(code), "{code:?}");
    }
    assert_eq!(server.written, []);
}

#[test]
fn rule_11_answers_go_to_the_relay_the_address_everybody_or_the_card() {
    let card = ReplyTo::Unconfigured {
        mac: mac(1),
        address: ip(50),
    };
    for (name, ask, to) in [
        (
            "a relay",
            Ask::new(DISCOVER, 1).giaddr(RELAY).flags(0x8000),
            ReplyTo::Relay(RELAY),
        ),
        (
            "its own address",
            Ask::new(INFORM, 1).ciaddr(ip(50)).flags(0x8000),
            ReplyTo::Client(ip(50)),
        ),
        (
            "broadcast wanted",
            Ask::new(DISCOVER, 1).flags(0x8000),
            ReplyTo::Broadcast,
        ),
        ("an unconfigured client", Ask::new(DISCOVER, 1), card),
    ] {
        assert_eq!(Server::new().hears(&ask).expect(name).to, to, "{name}");
    }
}

#[test]
fn rule_12_an_offer_has_what_it_must_and_not_what_it_must_not() {
    let ask = Ask::new(DISCOVER, 1)
        .option(61, b"\xffany octets\0")
        .option(57, &[2, 64])
        .option(55, &[1, 3, 6, 51]);
    let mut server = Server::new();
    let offer = server.hears(&ask).expect("an offer");
    let asked = Ask::new(REQUEST, 1)
        .wants(ip(50))
        .of(SERVER)
        .option(61, b"\xffany octets\0");
    let ack = server.hears(&asked).expect("an ACK");
    for said in [&offer, &ack] {
        let options = said.message.opts();
        let get = |code| options.get(code);
        assert_eq!(
            get(OptionCode::ServerIdentifier),
            Some(&O::ServerIdentifier(SERVER))
        );
        assert_eq!(
            get(OptionCode::AddressLeaseTime),
            Some(&O::AddressLeaseTime(3600))
        );
        assert_eq!(
            get(OptionCode::Renewal),
            Some(&O::Renewal(1800)),
            "T1 is a half"
        );
        assert_eq!(
            get(OptionCode::Rebinding),
            Some(&O::Rebinding(3150)),
            "T2 is seven eighths"
        );
        let id = O::ClientIdentifier(b"\xffany octets\0".to_vec());
        assert_eq!(get(OptionCode::ClientIdentifier), Some(&id), "RFC 6842");
        for code in [
            OptionCode::RequestedIpAddress,
            OptionCode::ParameterRequestList,
            OptionCode::MaxMessageSize,
        ] {
            assert!(!said.has(code), "{code:?}");
        }
    }
    let plain = Server::new()
        .hears(&Ask::new(DISCOVER, 1))
        .expect("an offer");
    assert!(!plain.has(OptionCode::ClientIdentifier), "never invented");
}

#[test]
fn rule_13_an_answer_is_no_larger_than_the_client_takes_and_no_smaller_than_relays_do() {
    for (name, size, most) in [
        ("nothing said", None, 576),
        ("less than every client must take", Some([0, 100]), 576),
        ("a whole Ethernet", Some([5, 220]), 1500),
    ] {
        let ask = Ask::new(DISCOVER, 1).option(61, &[9; 255]);
        let ask = match size {
            Some(size) => ask.option(57, &size),
            None => ask,
        };
        let said = Server::new().hears(&ask).expect(name);
        assert!(
            said.octets.len() + 28 <= most,
            "{name}: {}",
            said.octets.len()
        );
        assert!(said.octets.len() >= 300, "{name}: {}", said.octets.len());
        assert_eq!(said.octets[236..240], [99, 130, 83, 99], "{name}");
        let tail = said.octets.iter().rev().find(|octet| **octet != 0);
        assert_eq!(tail, Some(&255), "{name}: the end mark");
    }
}

#[test]
fn rule_14_options_in_file_and_sname_count_if_option_52_says_so() {
    let mut ask = Ask::new(DISCOVER, 1).option(52, &[3]);
    ask.octets[108..114].copy_from_slice(&[50, 4, 10, 77, 0, 57]);
    ask.octets[114] = 255;
    ask.octets[44..50].copy_from_slice(&[61, 3, 1, 2, 3, 255]);
    let said = Server::new().hears(&ask).expect("an offer");
    assert_eq!(said.message.yiaddr(), ip(57), "option 50 was in `file`");
    let id = O::ClientIdentifier(vec![1, 2, 3]);
    let got = said.message.opts().get(OptionCode::ClientIdentifier);
    assert_eq!(got, Some(&id), "option 61 was in `sname`");
    let mut without = Ask::new(DISCOVER, 1);
    without.octets[108..114].copy_from_slice(&[50, 4, 10, 77, 0, 57]);
    let said = Server::new().hears(&without).expect("an offer");
    assert_eq!(
        said.message.yiaddr(),
        ip(50),
        "without option 52 they are a name"
    );
}

#[test]
fn rule_15_what_is_no_question_of_a_client_is_not_answered() {
    let good = Ask::new(DISCOVER, 1);
    for (name, ask) in [
        ("an answer", good.clone().field(0, &[2])),
        ("another cookie", good.clone().field(236, &[1])),
        (
            "more relays than there can be",
            good.clone().field(3, &[17]),
        ),
        ("an OFFER", Ask::new(2, 1)),
        ("a broadcast card", good.clone().field(28, &[0xff; 6])),
        (
            "a relay of no subnet of ours",
            good.giaddr([192, 168, 1, 1].into()),
        ),
    ] {
        assert!(Server::new().hears(&ask).is_err(), "{name}");
    }
}

#[test]
fn option_82_comes_back_octet_by_octet_as_the_last() {
    let relay_agent = [2, 3, 9, 9, 9, 1, 2, 7, 7, 2, 1, 5];
    let ask = Ask::new(DISCOVER, 1)
        .giaddr(RELAY)
        .option(82, &relay_agent)
        .option(61, &[1, 2]);
    let said = Server::new().hears(&ask).expect("an offer");
    let mut want = vec![82, 12];
    want.extend(relay_agent);
    want.push(255);
    let end = said
        .octets
        .iter()
        .rposition(|octet| *octet == 255)
        .expect("an end");
    assert_eq!(said.octets[end + 1 - want.len()..=end], want);
}
