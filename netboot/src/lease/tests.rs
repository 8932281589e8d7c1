//! The rules of RFC 2131 §4.3, one row each, and what must hold after any sequence of messages.

use proptest::prelude::*;

use super::*;
use crate::machine::Facts;

fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, last)
}

fn mac(last: u8) -> Mac {
    Mac::new([0x52, 0x54, 0, 0, 0, last]).expect("a MAC")
}

fn pool() -> Pool {
    Pool {
        first: ip(50),
        last: ip(53),
        netmask: [255, 255, 255, 0].into(),
        server: ip(1),
        lease_time: Duration::from_secs(3600),
        reservations: BTreeMap::from([(mac(9), ip(10)), (mac(8), ip(53))]),
    }
}

fn request(kind: Kind, client: u8) -> Request {
    Request {
        kind,
        xid: 1,
        mac: mac(client),
        flags: 0,
        secs: 0,
        ciaddr: Ipv4Addr::UNSPECIFIED,
        giaddr: Ipv4Addr::UNSPECIFIED,
        requested: None,
        server: None,
        host_name: None,
        client_id: None,
        guid: None,
        wanted: Vec::new(),
        boot: None,
        facts: Facts::default(),
    }
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::default().plus(Duration::from_secs(seconds))
}

/// One word for what was settled.
fn words(settled: &Settled) -> String {
    match settled {
        Settled::Offer { address, .. } => format!("offer {address}"),
        Settled::Ack { address, .. } => format!("ack {address}"),
        Settled::Inform => "inform".to_owned(),
        Settled::Nak(why) => format!("nak: {why}"),
        Settled::Silence(why) => format!("silence: {why}"),
    }
}

fn say(leases: &mut Leases, request: &Request, now: Timestamp) -> String {
    words(&settle(leases, &pool(), request, now).0)
}

/// DISCOVER, then REQUEST for what was offered.
fn lease_to(leases: &mut Leases, client: u8, now: Timestamp) -> Ipv4Addr {
    let (offer, _) = settle(leases, &pool(), &request(Kind::Discover, client), now);
    let Settled::Offer { address, .. } = offer else {
        panic!("no offer: {offer:?}")
    };
    let asked = selecting(client, address);
    let (ack, changes) = settle(leases, &pool(), &asked, now);
    assert_eq!(
        ack,
        Settled::Ack {
            address,
            lease_time: pool().lease_time
        }
    );
    assert!(
        matches!(changes.last(), Some(Change::Put(lease)) if lease.address == address),
        "is written down"
    );
    address
}

fn selecting(client: u8, wanted: Ipv4Addr) -> Request {
    Request {
        requested: Some(wanted),
        server: Some(ip(1)),
        ..request(Kind::Request, client)
    }
}

#[test]
fn an_offer_holds_nothing_durable_and_expires() {
    let mut leases = Leases::default();
    let (offer, changes) = settle(&mut leases, &pool(), &request(Kind::Discover, 1), at(0));
    assert_eq!(
        (words(&offer).as_str(), changes),
        ("offer 10.77.0.50", Vec::new())
    );
    assert_eq!(
        say(&mut leases, &request(Kind::Discover, 2), at(1)),
        "offer 10.77.0.51"
    );
    assert_eq!(
        say(&mut leases, &request(Kind::Discover, 3), at(62)),
        "offer 10.77.0.50",
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
            ..request(Kind::Discover, 1)
        };
        assert_eq!(
            say(&mut leases, &again, at(10)),
            format!("offer {first}"),
            "{name}"
        );
    }
    assert_eq!(leases.by_address.len(), 1);
}

#[test]
fn the_address_is_chosen_in_the_order_of_the_rfc() {
    let mut leases = Leases::default();
    assert_eq!(
        say(&mut leases, &request(Kind::Discover, 9), at(0)),
        "offer 10.77.0.10",
        "a reservation"
    );
    let asks = |wanted| Request {
        requested: Some(ip(wanted)),
        ..request(Kind::Discover, 1)
    };
    assert_eq!(
        say(&mut leases, &asks(52), at(0)),
        "offer 10.77.0.52",
        "what it asks for"
    );
    assert_eq!(
        say(&mut leases, &asks(53), at(0)),
        "offer 10.77.0.52",
        "reserved for another: the last offer"
    );
    leases = Leases::default();
    assert_eq!(
        say(&mut leases, &asks(1), at(0)),
        "offer 10.77.0.50",
        "never our own address"
    );
    let held = lease_to(&mut leases, 1, at(0));
    assert_eq!(
        say(&mut leases, &asks(52), at(9)),
        format!("offer {held}"),
        "the current binding before all"
    );
    assert_eq!(
        say(&mut leases, &asks(52), at(9999)),
        format!("offer {held}"),
        "the former binding, too"
    );
}

#[test]
fn an_exhausted_pool_is_silence_and_the_longest_free_is_taken_first() {
    let mut leases = Leases::default();
    for client in 1..=3 {
        lease_to(&mut leases, client, at(u64::from(client)));
    }
    let full = say(&mut leases, &request(Kind::Discover, 4), at(10));
    assert_eq!(
        full, "silence: no address is free in `dhcp.range`",
        "the fourth is reserved"
    );
    assert_eq!(
        say(&mut leases, &request(Kind::Discover, 4), at(7200)),
        "offer 10.77.0.50"
    );
}

#[test]
fn requests_are_settled_by_the_state_of_the_client() {
    let renewing = |client, last| Request {
        ciaddr: ip(last),
        ..request(Kind::Request, client)
    };
    let reboot = |client, last| Request {
        requested: Some(ip(last)),
        ..request(Kind::Request, client)
    };
    let away = |client| Request {
        requested: Some([192, 168, 1, 5].into()),
        ..request(Kind::Request, client)
    };
    let other = Request {
        server: Some(ip(254)),
        ..selecting(1, ip(50))
    };
    for (name, asked, want) in [
        (
            "selecting what it holds",
            selecting(1, ip(50)),
            "ack 10.77.0.50",
        ),
        (
            "selecting a free one without an offer",
            selecting(2, ip(51)),
            "ack 10.77.0.51",
        ),
        (
            "selecting one held by another",
            selecting(2, ip(50)),
            "nak: this address is not for you",
        ),
        (
            "selecting one reserved for another",
            selecting(2, ip(10)),
            "nak: this address is not for you",
        ),
        (
            "another server was chosen",
            other,
            "silence: chose another server",
        ),
        (
            "init-reboot with its lease",
            reboot(1, 50),
            "ack 10.77.0.50",
        ),
        (
            "init-reboot with another address",
            reboot(1, 51),
            "nak: you hold another address",
        ),
        (
            "init-reboot from another network",
            away(1),
            "nak: this address is not of this network",
        ),
        (
            "init-reboot without a record",
            reboot(2, 51),
            "silence: no lease is known; another server may know it",
        ),
        ("renewing", renewing(1, 50), "ack 10.77.0.50"),
        (
            "renewing another's",
            renewing(1, 51),
            "nak: you hold another address",
        ),
        (
            "renewing without a record",
            renewing(2, 51),
            "silence: no lease is known; another server may know it",
        ),
        (
            "asking for nothing",
            request(Kind::Request, 1),
            "silence: asks for no address",
        ),
    ] {
        let mut leases = Leases::default();
        lease_to(&mut leases, 1, at(0));
        assert_eq!(say(&mut leases, &asked, at(60)), want, "{name}");
    }
}

#[test]
fn a_declined_address_rests_and_a_released_one_is_remembered() {
    let mut leases = Leases::default();
    let held = lease_to(&mut leases, 1, at(0));
    let decline = Request {
        requested: Some(held),
        ..request(Kind::Decline, 1)
    };
    let foreign = Request {
        mac: mac(2),
        ..decline.clone()
    };
    assert_eq!(
        say(&mut leases, &foreign, at(1)),
        "silence: declined an address that it does not hold"
    );
    assert_eq!(
        say(&mut leases, &decline, at(1)),
        "silence: declined 10.77.0.50; it rests"
    );
    assert_eq!(
        say(&mut leases, &request(Kind::Discover, 1), at(2)),
        "offer 10.77.0.51"
    );
    assert_eq!(
        say(&mut leases, &request(Kind::Discover, 2), at(3)),
        "offer 10.77.0.52"
    );

    let mut leases = Leases::default();
    let held = lease_to(&mut leases, 1, at(0));
    let release = Request {
        ciaddr: held,
        ..request(Kind::Release, 1)
    };
    assert_eq!(
        say(&mut leases, &release, at(5)),
        "silence: released 10.77.0.50"
    );
    assert_eq!(
        say(&mut leases, &request(Kind::Discover, 2), at(6)),
        "offer 10.77.0.51",
        "a fresh one first"
    );
    assert_eq!(
        say(&mut leases, &request(Kind::Discover, 1), at(7)),
        "offer 10.77.0.50",
        "its own again"
    );
}

#[test]
fn a_relay_of_another_subnet_is_not_served() {
    let relayed = Request {
        giaddr: [10, 78, 0, 1].into(),
        ..request(Kind::Discover, 1)
    };
    let said = say(&mut Leases::default(), &relayed, at(0));
    assert_eq!(said, "silence: relayed from a subnet that is not served");
}

proptest! {
    /// Whatever clients say in whatever order: no address is in two hands, nobody holds two.
    #[test]
    fn no_address_is_ever_in_two_hands(
        messages in prop::collection::vec((0..5u8, 1..10u8, 48..56u8, any::<bool>(), 0..4000u64), 1..60),
    ) {
        let mut leases = Leases::default();
        let mut now = at(0);
        let mut holders: BTreeMap<Ipv4Addr, (Mac, Timestamp)> = BTreeMap::new();
        for (kind, client, last, ours, later) in messages {
            now = now.plus(Duration::from_secs(later));
            let kind = [Kind::Discover, Kind::Request, Kind::Decline, Kind::Release, Kind::Inform]
                [usize::from(kind)];
            let asked = Request {
                requested: Some(ip(last)),
                server: ours.then(|| ip(1)),
                ciaddr: if kind == Kind::Release { ip(last) } else { Ipv4Addr::UNSPECIFIED },
                ..request(kind, client)
            };
            let (settled, _) = settle(&mut leases, &pool(), &asked, now);
            if let Settled::Ack { address, lease_time } = settled {
                let before = holders.insert(address, (asked.mac, now.plus(lease_time)));
                if let Some((holder, until)) = before {
                    let released = !leases.by_address.values().any(|l| l.mac == holder && l.until > now);
                    prop_assert!(holder == asked.mac || until <= now || released, "{address} given twice");
                }
            }
            for client in 1..10 {
                let held = leases.by_address.values().filter(|l| l.mac == mac(client) && !l.declined);
                prop_assert!(held.count() <= 1, "one lease per machine");
            }
        }
    }
}
