//! Strangers in numbers, several LANs, and questions from anywhere.

use super::*;

/// A client that invents cards can use up the strangers' part of a pool, and that is one event.
#[test]
fn strangers_leave_a_part_of_each_pool_to_enrolled_machines() {
    let mut site = site();
    site.lan.last = ip(65);
    let mut leases = Leases::default();
    let mut ask = |request: &Request, client_class, now| {
        let outcome = settle(
            &mut leases,
            &site,
            request,
            client_class,
            ProbeResult::Impossible,
            at(now),
        );
        let told = outcome.notices;
        (outcome.answer, told)
    };
    let mut refused = 0;
    let mut events = Vec::new();
    for client in 20..220 {
        let (answer, told) = ask(
            &request(ClientMessageType::Discover, client),
            ClientClass::Stranger,
            0,
        );
        refused += u32::from(
            answer
                == LeaseAnswer::Silence(SilenceReason::PoolExhausted {
                    first: ip(50),
                    last: ip(63),
                }),
        );
        events.extend(told);
    }
    assert_eq!(refused, 200 - 13, "fourteen, of which one is reserved");
    let (first, last) = (ip(50), ip(63));
    assert_eq!(events, [LeaseNotice::PoolExhausted { first, last }]);

    let named = |client, wanted| selecting(client, ip(wanted));
    let not_for_you = LeaseAnswer::Nak(NakReason::NotForClient);
    let got = ask(&named(220, 64), ClientClass::Stranger, 1).0;
    assert_eq!(got, not_for_you, "not by asking for it, either");
    let got = ask(
        &request(ClientMessageType::Discover, 1),
        ClientClass::Enrolled,
        1,
    )
    .0;
    assert_eq!(got, offer(ip(64)));
    let got = ask(&named(1, 64), ClientClass::Enrolled, 1).0;
    assert_eq!(got, ack(ip(64)));
    // An operator forgets it; its lease is a lease like any other.
    let renewal = Request {
        ciaddr: ip(64),
        ..request(ClientMessageType::Request, 1)
    };
    let got = ask(&renewal, ClientClass::Stranger, 2).0;
    assert_eq!(got, ack(ip(64)));
}

#[test]
fn a_small_pool_is_for_all_alike() {
    for (size, kept) in [(1, 0), (7, 0), (8, 1), (151, 18)] {
        let mut subnet = subnet(77, Reservations::default());
        subnet.last = (subnet.first.to_bits() + size - 1).into();
        let strangers = subnet.last_for(ClientClass::Stranger).to_bits();
        assert_eq!(subnet.last.to_bits() - strangers, kept, "of {size}");
        assert_eq!(subnet.last_for(ClientClass::Enrolled), subnet.last);
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
        let outcome = settle(
            &mut leases,
            site,
            request,
            ClientClass::Stranger,
            ProbeResult::Impossible,
            at(0),
        );
        outcome.answer
    };
    let here = site();
    let discover = request(ClientMessageType::Discover, 1);
    assert_eq!(ask(&here, &discover), offer(ip(50)));
    assert_eq!(ask(&other, &discover), offer([10, 79, 0, 50]));
    let took = selecting(1, ip(50));
    assert_eq!(
        ask(&other, &took),
        LeaseAnswer::Silence(SilenceReason::ChoseAnotherServer)
    );
    let intruder = Request {
        requested: Some(ip(50)),
        ..request(ClientMessageType::Discover, 2)
    };
    assert_eq!(ask(&here, &intruder), offer(ip(51)), "it is still kept");
    assert_eq!(ask(&here, &took), ack(ip(50)));
    // Plugged into the other LAN, it asks for its address first.
    let moved = Request {
        requested: Some(ip(50)),
        ..request(ClientMessageType::Request, 1)
    };
    let foreign = LeaseAnswer::Nak(NakReason::WrongNetwork);
    assert_eq!(ask(&other, &moved), foreign);
    let rebinding = Request {
        ciaddr: ip(50),
        ..request(ClientMessageType::Request, 1)
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
        const KINDS: [ClientMessageType; 5] = [ClientMessageType::Discover, ClientMessageType::Request, ClientMessageType::Decline, ClientMessageType::Release, ClientMessageType::Inform];
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
            for probe in [ProbeResult::NotYet, ProbeResult::Impossible, ProbeResult::Answered(own(2), mac(99))] {
                let outcome = settle(&mut leases, &site(), &asked, ClientClass::Stranger, probe, at(turn.into()));
                if let LeaseAnswer::Offer { address, .. } | LeaseAnswer::Ack { address, .. } = outcome.answer {
                    let known = site().subnets().any(|subnet| subnet.contains(address));
                    proptest::prop_assert!(known, "{address} is of no subnet");
                }
            }
        }
    }
}
