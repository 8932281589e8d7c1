//! Strangers in numbers, several LANs, and questions from anywhere.

use super::*;

/// A client that invents cards can use up the strangers' part of a pool, and that is one event.
#[test]
fn strangers_leave_a_part_of_each_pool_to_enrolled_machines() {
    let mut site = site();
    site.lan.last = ip(65);
    let mut leases = Leases::default();
    let mut ask = |request: &Request, standing, now| {
        let ruling = settle(
            &mut leases,
            &site,
            request,
            standing,
            Probe::Impossible,
            at(now),
        );
        let told = ruling.notices;
        (ruling.answer, told)
    };
    let mut refused = 0;
    let mut events = Vec::new();
    for client in 20..220 {
        let (answer, told) = ask(&request(Kind::Discover, client), Standing::Stranger, 0);
        refused += u32::from(
            answer
                == Settled::Silence(SilenceReason::PoolExhausted {
                    first: ip(50),
                    last: ip(63),
                }),
        );
        events.extend(told);
    }
    assert_eq!(refused, 200 - 13, "fourteen, of which one is reserved");
    let (first, last) = (ip(50), ip(63));
    assert_eq!(events, [Notice::PoolExhausted { first, last }]);

    let named = |client, wanted| selecting(client, ip(wanted));
    let not_for_you = Settled::Nak(NakReason::NotForClient);
    let got = ask(&named(220, 64), Standing::Stranger, 1).0;
    assert_eq!(got, not_for_you, "not by asking for it, either");
    let got = ask(&request(Kind::Discover, 1), Standing::Enrolled, 1).0;
    assert_eq!(got, offer(ip(64)));
    let got = ask(&named(1, 64), Standing::Enrolled, 1).0;
    assert_eq!(got, ack(ip(64)));
    // An operator forgets it; its lease is a lease like any other.
    let renewal = Request {
        ciaddr: ip(64),
        ..request(Kind::Request, 1)
    };
    let got = ask(&renewal, Standing::Stranger, 2).0;
    assert_eq!(got, ack(ip(64)));
}

#[test]
fn a_small_pool_is_for_all_alike() {
    for (size, kept) in [(1, 0), (7, 0), (8, 1), (151, 18)] {
        let mut subnet = subnet(77, Reservations::default());
        subnet.last = (subnet.first.to_bits() + size - 1).into();
        let strangers = subnet.last_for(Standing::Stranger).to_bits();
        assert_eq!(subnet.last.to_bits() - strangers, kept, "of {size}");
        assert_eq!(subnet.last_for(Standing::Enrolled), subnet.last);
    }
}

/// A broadcast of a card may be heard on two LANs of one appliance, which share a table.
#[test]
fn an_address_of_one_lan_is_of_no_use_on_another() {
    let other = Site {
        server: [10, 79, 0, 1].into(),
        lan: subnet(79, Reservations::default()),
        relayed: Vec::new(),
    };
    let mut leases = Leases::default();
    let mut ask = |site: &Site, request: &Request| {
        let ruling = settle(
            &mut leases,
            site,
            request,
            Standing::Stranger,
            Probe::Impossible,
            at(0),
        );
        ruling.answer
    };
    let here = site();
    let discover = request(Kind::Discover, 1);
    assert_eq!(ask(&here, &discover), offer(ip(50)));
    assert_eq!(ask(&other, &discover), offer([10, 79, 0, 50]));
    let took = selecting(1, ip(50));
    assert_eq!(
        ask(&other, &took),
        Settled::Silence(SilenceReason::ChoseAnotherServer)
    );
    let intruder = Request {
        requested: Some(ip(50)),
        ..request(Kind::Discover, 2)
    };
    assert_eq!(ask(&here, &intruder), offer(ip(51)), "it is still kept");
    assert_eq!(ask(&here, &took), ack(ip(50)));
    // Plugged into the other LAN, it asks for its address first.
    let moved = Request {
        requested: Some(ip(50)),
        ..request(Kind::Request, 1)
    };
    let foreign = Settled::Nak(NakReason::WrongNetwork);
    assert_eq!(ask(&other, &moved), foreign);
    let rebinding = Request {
        ciaddr: ip(50),
        ..request(Kind::Request, 1)
    };
    assert_eq!(ask(&other, &rebinding), foreign);
}

proptest::proptest! {
    /// Kea fell over a unicast question from a network that it has no subnet for (CVE-2025-40779).
    #[test]
    fn any_question_from_anywhere_is_settled(
        kinds in proptest::collection::vec(0..5usize, 1..20),
        addresses in proptest::array::uniform4(proptest::prelude::any::<[u8; 4]>()),
        near in proptest::array::uniform4(proptest::prelude::any::<bool>()),
        option_82 in proptest::option::of(proptest::collection::vec(proptest::prelude::any::<u8>(), 0..12)),
        seconds: u32,
    ) {
        const KINDS: [Kind; 5] = [Kind::Discover, Kind::Request, Kind::Decline, Kind::Release, Kind::Inform];
        let mut leases = Leases::default();
        // Half of them of a network that is served, or none.
        let own = |at: usize| match (near[at], addresses[at]) {
            (true, [a, .., d]) => Ipv4Addr::new(10, 76 + a % 4, 0, d),
            (false, octets) => octets.into(),
        };
        for (turn, kind) in kinds.into_iter().enumerate() {
            let turn = u8::try_from(turn).expect("is small");
            let asked = Request {
                ciaddr: own(0),
                giaddr: own(1),
                requested: Some(own(2)),
                server: (turn % 2 == 0).then(|| own(3)),
                relay_agent: option_82.clone(),
                lease_time: Some(Duration::from_secs(seconds.into())),
                ..request(KINDS[kind], turn % 7)
            };
            for probe in [Probe::NotYet, Probe::Impossible, Probe::Answered(own(2), mac(99))] {
                let ruling = settle(&mut leases, &site(), &asked, Standing::Stranger, probe, at(turn.into()));
                if let Settled::Offer { address, .. } | Settled::Ack { address, .. } = ruling.answer {
                    let known = site().subnets().any(|subnet| subnet.contains(address));
                    proptest::prop_assert!(known, "{address} is of no subnet");
                }
            }
        }
    }
}
