//! The rules of RFC 2131 §4.3, one row each.

use super::*;
use crate::dhcp::request::{ClientMessageType, Request};
use crate::test_support::{self, mac};

mod crowd;

const HOUR: Duration = Duration::from_secs(3600);

pub(super) fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, last)
}

pub(super) fn reserved(pairs: &[(Mac, Ipv4Addr)]) -> Reservations {
    let mut reservations = Reservations::default();
    for (mac, address) in pairs {
        reservations.reserve(*mac, *address).expect("reserves once");
    }
    reservations
}

pub(super) fn subnet(third: u8, reservations: Reservations) -> Subnet {
    Subnet {
        first: [10, third, 0, 50].into(),
        last: [10, third, 0, 53].into(),
        lease_time: HOUR,
        reservations,
        network: NetworkParameters {
            netmask: [255, 255, 255, 0].into(),
            router: None,
            dns: Vec::new(),
            domain: None,
        },
    }
}

/// 10.77.0.50 to .53, of which the last is kept for card 8; .10 is kept for card 9; 10.78.0.50 to .53 is
/// behind a relay.
pub(super) fn site() -> Site {
    Site {
        server: ip(1),
        lan: subnet(77, reserved(&[(mac(9), ip(10)), (mac(8), ip(53))])),
        relayed: vec![subnet(78, Reservations::default())],
    }
}

pub(super) fn request(kind: ClientMessageType, client: u8) -> Request {
    Request {
        kind,
        mac: mac(client),
        ..test_support::request()
    }
}

pub(super) fn at(seconds: u64) -> Timestamp {
    Timestamp::default().plus(Duration::from_secs(seconds))
}

fn offer(address: impl Into<Ipv4Addr>) -> LeaseAnswer {
    LeaseAnswer::Offer {
        address: address.into(),
        lease_time: HOUR,
    }
}

fn ack(address: impl Into<Ipv4Addr>) -> LeaseAnswer {
    LeaseAnswer::Ack {
        address: address.into(),
        lease_time: HOUR,
    }
}

fn probe(address: Ipv4Addr) -> LeaseAnswer {
    LeaseAnswer::Probe(address)
}

fn ruled(
    leases: &mut Leases,
    request: &Request,
    probe: ProbeResult,
    now: Timestamp,
) -> LeaseOutcome<LeaseAnswer> {
    settle(leases, &site(), request, ClientClass::Enrolled, probe, now)
}

fn say(leases: &mut Leases, request: &Request, now: Timestamp) -> LeaseAnswer {
    ruled(leases, request, ProbeResult::Impossible, now).answer
}

/// DISCOVER, then REQUEST for what was offered.
fn lease_to(leases: &mut Leases, client: u8, now: Timestamp) -> Ipv4Addr {
    let discover = request(ClientMessageType::Discover, client);
    let offer = ruled(leases, &discover, ProbeResult::Impossible, now).answer;
    let LeaseAnswer::Offer { address, .. } = offer else {
        panic!("no offer: {offer:?}")
    };
    let asked = selecting(client, address);
    let LeaseOutcome {
        answer, changes, ..
    } = ruled(leases, &asked, ProbeResult::NotYet, now);
    let lease_time = site().lan.lease_time;
    assert_eq!(
        answer,
        LeaseAnswer::Ack {
            address,
            lease_time
        }
    );
    assert!(
        matches!(changes.last(), Some(LeaseChange::Put(lease)) if lease.address == address),
        "is written down"
    );
    address
}

fn selecting(client: u8, wanted: Ipv4Addr) -> Request {
    Request {
        requested: Some(wanted),
        server: Some(ip(1)),
        ..request(ClientMessageType::Request, client)
    }
}

#[test]
fn an_offer_holds_nothing_durable_and_expires() {
    let mut leases = Leases::default();
    let discover = request(ClientMessageType::Discover, 1);
    let outcome = ruled(&mut leases, &discover, ProbeResult::Impossible, at(0));
    assert_eq!(
        (outcome.answer, outcome.changes),
        (offer(ip(50)), Vec::new())
    );
    assert_eq!(
        say(&mut leases, &request(ClientMessageType::Discover, 2), at(1)),
        offer(ip(51))
    );
    assert_eq!(
        say(
            &mut leases,
            &request(ClientMessageType::Discover, 3),
            at(62)
        ),
        offer(ip(50)),
        "a minute later"
    );
}

#[test]
fn one_machine_takes_one_lease_whatever_its_client_id() {
    let mut leases = Leases::default();
    let first = lease_to(&mut leases, 1, at(0));
    for (name, client_id) in [
        ("PXE ROM", None),
        ("iPXE", Some(vec![1, 2])),
        ("networkd", Some(vec![255, 3])),
    ] {
        let again = Request {
            client_id,
            ..request(ClientMessageType::Discover, 1)
        };
        assert_eq!(say(&mut leases, &again, at(10)), offer(first), "{name}");
    }
    assert_eq!(leases.by_address().len(), 1);
}

#[test]
fn the_address_is_chosen_in_the_order_of_the_rfc() {
    let mut leases = Leases::default();
    assert_eq!(
        say(&mut leases, &request(ClientMessageType::Discover, 9), at(0)),
        offer(ip(10)),
        "a reservation"
    );
    let asks = |wanted| Request {
        requested: Some(ip(wanted)),
        ..request(ClientMessageType::Discover, 1)
    };
    assert_eq!(
        say(&mut leases, &asks(52), at(0)),
        offer(ip(52)),
        "what it asks for"
    );
    assert_eq!(
        say(&mut leases, &asks(53), at(0)),
        offer(ip(52)),
        "reserved for another: the last offer"
    );
    leases = Leases::default();
    assert_eq!(
        say(&mut leases, &asks(1), at(0)),
        offer(ip(50)),
        "never our own address"
    );
    let held = lease_to(&mut leases, 1, at(0));
    assert_eq!(
        say(&mut leases, &asks(52), at(9)),
        offer(held),
        "the current binding before all"
    );
    assert_eq!(
        say(&mut leases, &asks(52), at(9999)),
        offer(held),
        "the former binding, too"
    );
}

#[test]
fn an_exhausted_pool_is_silence_and_the_longest_free_is_taken_first() {
    let mut leases = Leases::default();
    for client in 1..=3 {
        lease_to(&mut leases, client, at(u64::from(client)));
    }
    let full = say(
        &mut leases,
        &request(ClientMessageType::Discover, 4),
        at(10),
    );
    assert_eq!(
        full,
        LeaseAnswer::Silence(SilenceReason::PoolExhausted {
            first: ip(50),
            last: ip(53)
        }),
        "the fourth is reserved"
    );
    assert_eq!(
        say(
            &mut leases,
            &request(ClientMessageType::Discover, 4),
            at(7200)
        ),
        offer(ip(50))
    );
}

#[test]
fn requests_are_settled_by_the_state_of_the_client() {
    let renewing = |client, last| Request {
        ciaddr: ip(last),
        ..request(ClientMessageType::Request, client)
    };
    let reboot = |client, last| Request {
        requested: Some(ip(last)),
        ..request(ClientMessageType::Request, client)
    };
    let away = |client| Request {
        requested: Some([192, 168, 1, 5].into()),
        ..request(ClientMessageType::Request, client)
    };
    let other = Request {
        server: Some(ip(254)),
        ..selecting(1, ip(50))
    };
    for (name, asked, want) in [
        ("selecting what it holds", selecting(1, ip(50)), ack(ip(50))),
        (
            "selecting a free one without an offer",
            selecting(2, ip(51)),
            ack(ip(51)),
        ),
        (
            "selecting one held by another",
            selecting(2, ip(50)),
            LeaseAnswer::Nak(NakReason::NotForClient),
        ),
        (
            "selecting one reserved for another",
            selecting(2, ip(10)),
            LeaseAnswer::Nak(NakReason::NotForClient),
        ),
        (
            "another server was chosen",
            other,
            LeaseAnswer::Silence(SilenceReason::ChoseAnotherServer),
        ),
        ("init-reboot with its lease", reboot(1, 50), ack(ip(50))),
        (
            "init-reboot with another address",
            reboot(1, 51),
            LeaseAnswer::Nak(NakReason::HoldsAnother),
        ),
        (
            "init-reboot from another network",
            away(1),
            LeaseAnswer::Nak(NakReason::WrongNetwork),
        ),
        (
            "init-reboot without a record",
            reboot(2, 51),
            LeaseAnswer::Silence(SilenceReason::NoLeaseKnown),
        ),
        ("renewing", renewing(1, 50), ack(ip(50))),
        (
            "renewing another's",
            renewing(1, 51),
            LeaseAnswer::Nak(NakReason::HoldsAnother),
        ),
        (
            "renewing without a record",
            renewing(2, 51),
            LeaseAnswer::Silence(SilenceReason::NoLeaseKnown),
        ),
        (
            "asking for nothing",
            request(ClientMessageType::Request, 1),
            LeaseAnswer::Silence(SilenceReason::NoAddressRequested),
        ),
    ] {
        let mut leases = Leases::default();
        lease_to(&mut leases, 1, at(0));
        assert_eq!(say(&mut leases, &asked, at(60)), want, "{name}");
    }
}

/// An address whose lease has ended is offered to the next client, and the former one has no say in it.
#[test]
fn a_former_holder_declines_nothing() {
    let mut leases = Leases::default();
    let held = lease_to(&mut leases, 1, at(0));
    let decline = Request {
        requested: Some(held),
        ..request(ClientMessageType::Decline, 1)
    };
    let ended = at(0).plus(site().lan.lease_time);
    let ask = Request {
        requested: Some(held),
        ..request(ClientMessageType::Discover, 2)
    };
    assert_eq!(say(&mut leases, &ask, ended), offer(held));
    assert_eq!(
        say(&mut leases, &decline, ended),
        LeaseAnswer::Silence(SilenceReason::DeclinedUnheld)
    );
    let select = Request {
        kind: ClientMessageType::Request,
        server: Some(site().server),
        ..ask
    };
    let answer = say(&mut leases, &select, ended);
    assert!(
        matches!(answer, LeaseAnswer::Ack { address, .. } if address == held),
        "{answer:?}"
    );
}

#[test]
fn a_declined_address_rests_and_a_released_one_is_remembered() {
    let mut leases = Leases::default();
    let held = lease_to(&mut leases, 1, at(0));
    let decline = Request {
        requested: Some(held),
        ..request(ClientMessageType::Decline, 1)
    };
    let foreign = Request {
        mac: mac(2),
        ..decline.clone()
    };
    assert_eq!(
        say(&mut leases, &foreign, at(1)),
        LeaseAnswer::Silence(SilenceReason::DeclinedUnheld)
    );
    assert_eq!(
        say(&mut leases, &decline, at(1)),
        LeaseAnswer::Silence(SilenceReason::Declined(ip(50)))
    );
    assert_eq!(
        say(&mut leases, &request(ClientMessageType::Discover, 1), at(2)),
        offer(ip(51))
    );
    assert_eq!(
        say(&mut leases, &request(ClientMessageType::Discover, 2), at(3)),
        offer(ip(52))
    );

    let mut leases = Leases::default();
    let held = lease_to(&mut leases, 1, at(0));
    let release = Request {
        ciaddr: held,
        ..request(ClientMessageType::Release, 1)
    };
    assert_eq!(
        say(&mut leases, &release, at(5)),
        LeaseAnswer::Silence(SilenceReason::Released(ip(50)))
    );
    assert_eq!(
        say(&mut leases, &request(ClientMessageType::Discover, 2), at(6)),
        offer(ip(51)),
        "a fresh one first"
    );
    assert_eq!(
        say(&mut leases, &request(ClientMessageType::Discover, 1), at(7)),
        offer(ip(50)),
        "its own again"
    );
}

#[test]
fn a_client_that_chose_another_server_frees_its_offer_at_once() {
    let mut leases = Leases::default();
    for client in 1..=3 {
        let _ = say(
            &mut leases,
            &request(ClientMessageType::Discover, client),
            at(0),
        );
    }
    let other = Request {
        server: Some(ip(254)),
        ..selecting(2, ip(200))
    };
    assert_eq!(
        say(&mut leases, &other, at(1)),
        LeaseAnswer::Silence(SilenceReason::ChoseAnotherServer)
    );
    assert_eq!(
        say(&mut leases, &request(ClientMessageType::Discover, 4), at(1)),
        offer(ip(51))
    );
}

#[test]
fn a_new_address_is_offered_only_after_nobody_answered_for_it() {
    let discover = request(ClientMessageType::Discover, 1);
    let squatter = mac(66);
    let mut leases = Leases::default();
    let mut ask = |probe, now| ruled(&mut leases, &discover, probe, at(now));
    let first = ask(ProbeResult::NotYet, 0);
    assert_eq!(first.answer, probe(ip(50)));
    let second = ask(ProbeResult::Answered(ip(50), squatter), 0);
    assert_eq!(second.answer, probe(ip(51)), "another is proposed");
    let used = LeaseNotice::AddressInUse {
        address: ip(50),
        by: squatter,
    };
    assert_eq!(second.notices, [used]);
    assert!(
        matches!(&second.changes[..], [LeaseChange::Put(rest)] if rest.declined && rest.address == ip(50)),
        "it rests, also after a restart: {:?}",
        second.changes
    );
    let third = ask(ProbeResult::Silent(ip(51)), 0);
    assert_eq!(third.answer, offer(ip(51)));
    assert_eq!(
        ask(ProbeResult::NotYet, 4).answer,
        offer(ip(51)),
        "asked once"
    );
    let later = ask(ProbeResult::NotYet, 3700);
    assert_eq!(
        later.answer,
        probe(ip(51)),
        "and again when the offer is long gone"
    );
}

#[test]
fn the_client_itself_may_answer_for_its_address() {
    let mut leases = Leases::default();
    let discover = request(ClientMessageType::Discover, 1);
    let _ = ruled(&mut leases, &discover, ProbeResult::NotYet, at(0));
    let own = ProbeResult::Answered(ip(50), mac(1));
    let outcome = ruled(&mut leases, &discover, own, at(0));
    assert_eq!(outcome.answer, offer(ip(50)));
    assert_eq!((outcome.changes, outcome.notices), (Vec::new(), Vec::new()));
}

#[test]
fn an_address_that_was_leased_while_the_wire_was_asked_is_no_conflict() {
    let mut leases = Leases::default();
    let discover = request(ClientMessageType::Discover, 1);
    let _ = ruled(&mut leases, &discover, ProbeResult::NotYet, at(0));
    // A minute later the offer is gone, and another client has the address and uses it.
    assert_eq!(say(&mut leases, &selecting(2, ip(50)), at(61)), ack(ip(50)));
    let late = ProbeResult::Answered(ip(50), mac(2));
    let outcome = ruled(&mut leases, &discover, late, at(61));
    assert_eq!(outcome.answer, probe(ip(51)));
    assert_eq!((outcome.changes, outcome.notices), (Vec::new(), Vec::new()));
}

#[test]
fn who_holds_a_lease_is_not_probed_and_neither_is_who_is_behind_a_relay() {
    let mut leases = Leases::default();
    let held = lease_to(&mut leases, 1, at(0));
    let again = request(ClientMessageType::Discover, 1);
    let outcome = ruled(&mut leases, &again, ProbeResult::NotYet, at(9));
    assert_eq!(outcome.answer, offer(held));
    let relayed = Request {
        giaddr: [10, 78, 0, 1].into(),
        ..request(ClientMessageType::Discover, 2)
    };
    let outcome = ruled(&mut leases, &relayed, ProbeResult::NotYet, at(9));
    assert_eq!(outcome.answer, offer([10, 78, 0, 50]));
}

#[test]
fn a_subnet_is_chosen_by_the_relay_and_by_the_address_that_is_renewed() {
    let relay = |giaddr: [u8; 4]| Request {
        giaddr: giaddr.into(),
        ..request(ClientMessageType::Discover, 1)
    };
    let mut leases = Leases::default();
    let linked = Request {
        relay_agent: Some(vec![1, 1, 9, 5, 4, 10, 78, 0, 0]),
        ..relay([192, 168, 9, 9])
    };
    for (name, asked, want) in [
        (
            "on the LAN",
            request(ClientMessageType::Discover, 1),
            offer(ip(50)),
        ),
        ("a relay on the LAN", relay([10, 77, 0, 254]), offer(ip(50))),
        (
            "a relay elsewhere",
            relay([10, 78, 0, 1]),
            offer([10, 78, 0, 50]),
        ),
        (
            "a relay of no subnet",
            relay([10, 79, 0, 1]),
            LeaseAnswer::Silence(SilenceReason::SubnetNotServed),
        ),
        (
            "a relay that names the link (RFC 3527)",
            linked,
            offer([10, 78, 0, 50]),
        ),
    ] {
        assert_eq!(say(&mut leases, &asked, at(0)), want, "{name}");
    }
    let selecting = Request {
        requested: Some([10, 78, 0, 50].into()),
        server: Some(ip(1)),
        kind: ClientMessageType::Request,
        ..relay([10, 78, 0, 1])
    };
    assert_eq!(say(&mut leases, &selecting, at(0)), ack([10, 78, 0, 50]));
    let renewing = Request {
        ciaddr: [10, 78, 0, 50].into(),
        ..request(ClientMessageType::Request, 1)
    };
    assert_eq!(
        say(&mut leases, &renewing, at(60)),
        ack([10, 78, 0, 50]),
        "by unicast, past the relay"
    );
    let moved = Request {
        requested: Some([10, 78, 0, 50].into()),
        ..request(ClientMessageType::Request, 1)
    };
    assert_eq!(
        say(&mut leases, &moved, at(60)),
        LeaseAnswer::Nak(NakReason::WrongNetwork),
        "plugged into the LAN, it reboots with its old address"
    );
}

#[test]
fn one_card_may_have_an_address_in_each_subnet() {
    // The VLANs of one card share its MAC.
    let mut leases = Leases::default();
    let lan = lease_to(&mut leases, 1, at(0));
    let relayed = Request {
        giaddr: [10, 78, 0, 1].into(),
        ..selecting(1, [10, 78, 0, 50].into())
    };
    assert_eq!(say(&mut leases, &relayed, at(1)), ack([10, 78, 0, 50]));
    assert!(leases.holds(lan, mac(1)), "the other stays");
}

#[test]
fn a_reserved_address_that_somebody_sits_on_does_not_leave_its_owner_without_any() {
    let mut leases = Leases::default();
    let discover = request(ClientMessageType::Discover, 9);
    let mut ask = |probe, now| ruled(&mut leases, &discover, probe, at(now)).answer;
    assert_eq!(ask(ProbeResult::NotYet, 0), probe(ip(10)));
    assert_eq!(
        ask(ProbeResult::Answered(ip(10), mac(66)), 0),
        probe(ip(50))
    );
    assert_eq!(ask(ProbeResult::Silent(ip(50)), 0), offer(ip(50)));
    assert_eq!(say(&mut leases, &selecting(9, ip(50)), at(1)), ack(ip(50)));
    let renewing = Request {
        ciaddr: ip(50),
        ..request(ClientMessageType::Request, 9)
    };
    assert_eq!(say(&mut leases, &renewing, at(1800)), ack(ip(50)));
    assert_eq!(
        say(&mut leases, &renewing, at(3700)),
        LeaseAnswer::Nak(NakReason::HoldsAnother),
        "back to its own when that has rested"
    );
    assert_eq!(
        say(
            &mut leases,
            &request(ClientMessageType::Discover, 9),
            at(3701)
        ),
        offer(ip(10))
    );
}

#[test]
fn an_exhausted_pool_is_told_once_and_once_when_it_is_over() {
    let mut leases = Leases::default();
    for client in 1..=3 {
        lease_to(&mut leases, client, at(0));
    }
    let mut told = |client, now| {
        let discover = request(ClientMessageType::Discover, client);
        let outcome = ruled(&mut leases, &discover, ProbeResult::Impossible, at(now));
        outcome.notices
    };
    let (first, last) = (ip(50), ip(53));
    let exhausted = [LeaseNotice::PoolExhausted { first, last }];
    assert_eq!(told(4, 1), exhausted);
    assert_eq!(told(4, 2), [], "the second refusal is no news");
    assert_eq!(told(5, 100), []);
    assert_eq!(told(1, 500), [], "calm, but still full");
    assert_eq!(told(4, 3599), [], "and so it refuses again");
    assert_eq!(told(5, 3601), [], "free again, but not calm for long");
    let recovered = [LeaseNotice::PoolRecovered { first, last }];
    assert_eq!(
        told(1, 3602 + 300),
        recovered,
        "an hour after the leases ended"
    );
    assert_eq!(told(1, 3603 + 300), [], "once");
}

#[test]
fn a_client_may_ask_for_a_shorter_lease_but_not_for_a_longer_one() {
    for (asked, want) in [
        (None, 3600),
        (Some(600), 600),
        (Some(1), 60),
        (Some(u32::MAX), 3600),
    ] {
        let discover = Request {
            lease_time: asked.map(|s| Duration::from_secs(s.into())),
            ..request(ClientMessageType::Discover, 1)
        };
        let outcome = ruled(
            &mut Leases::default(),
            &discover,
            ProbeResult::Impossible,
            at(0),
        );
        let want = LeaseAnswer::Offer {
            address: ip(50),
            lease_time: Duration::from_secs(want),
        };
        assert_eq!(outcome.answer, want, "asked for {asked:?}");
    }
}

/// Its lease is over, and the address was promised to somebody else meanwhile.
#[test]
fn a_former_holder_does_not_take_what_is_offered_to_another() {
    let mut leases = Leases::default();
    let address = lease_to(&mut leases, 1, at(0));
    let wants_it = Request {
        requested: Some(address),
        ..request(ClientMessageType::Discover, 2)
    };
    assert_eq!(say(&mut leases, &wants_it, at(4000)), offer(address));
    let reboots = Request {
        requested: Some(address),
        ..request(ClientMessageType::Request, 1)
    };
    let rebinds = Request {
        ciaddr: address,
        ..request(ClientMessageType::Request, 1)
    };
    for late in [reboots, rebinds] {
        let got = say(&mut leases, &late, at(4001));
        assert_eq!(got, LeaseAnswer::Nak(NakReason::GivenToAnother));
    }
    assert_eq!(
        say(&mut leases, &selecting(2, address), at(4002)),
        ack(address)
    );
}

#[test]
fn two_machines_with_one_client_id_do_not_share_a_lease() {
    let cloned = |client| Request {
        client_id: Some(b"\xffcloned disk image".to_vec()),
        ..request(ClientMessageType::Discover, client)
    };
    let mut leases = Leases::default();
    assert_eq!(say(&mut leases, &cloned(1), at(0)), offer(ip(50)));
    assert_eq!(say(&mut leases, &cloned(2), at(0)), offer(ip(51)));
}

#[test]
fn a_lease_that_could_not_be_written_down_is_taken_back_and_still_offered() {
    let mut leases = Leases::default();
    let outcome = ruled(
        &mut leases,
        &selecting(1, ip(50)),
        ProbeResult::NotYet,
        at(0),
    );
    let [change] = &outcome.changes[..] else {
        panic!("{outcome:?}")
    };
    leases.take_back(change, None, at(0));
    assert!(leases.by_address().is_empty());
    assert_eq!(
        say(&mut leases, &request(ClientMessageType::Discover, 2), at(1)),
        offer(ip(51))
    );
    assert_eq!(say(&mut leases, &selecting(1, ip(50)), at(2)), ack(ip(50)));
}
