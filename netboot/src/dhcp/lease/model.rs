//! Whatever clients say in whatever order, and whenever the appliance crashes: an address is never leased to two
//! machines at once, and what was promised is kept. The model is what the machines believe, from the answers that
//! reached them.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::tests::{at, request};
use super::*;
use crate::dhcp::request::{ClientMessageType, Request};
use crate::test_support::mac;

/// One thing that happens on the network.
#[derive(Debug, Clone)]
enum NetworkEvent {
    /// A message of client `client`; `last` is the address it speaks of.
    Message {
        kind: ClientMessageType,
        client: u8,
        relayed: bool,
        last: u8,
        ours: bool,
        renews: bool,
    },
    /// Renews, releases or declines the address that it has, if it has one.
    Holder {
        kind: ClientMessageType,
        client: u8,
        relayed: bool,
    },
    /// Asks for what it was offered last.
    Accept {
        client: u8,
    },
    /// The wire answers for the address under way.
    Answered {
        client: u8,
        by: u8,
    },
    /// The appliance dies before the changes of this REQUEST are durable: no ACK leaves.
    Crash {
        client: u8,
    },
    Later {
        seconds: u16,
    },
}

fn steps() -> impl Strategy<Value = Vec<NetworkEvent>> {
    let kind = prop_oneof![
        3 => Just(ClientMessageType::Discover),
        3 => Just(ClientMessageType::Request),
        1 => Just(ClientMessageType::Decline),
        1 => Just(ClientMessageType::Release),
        1 => Just(ClientMessageType::Inform),
    ];
    let message = (
        kind,
        1..10u8,
        any::<bool>(),
        48..59u8,
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(
            |(kind, client, relayed, last, ours, renews)| NetworkEvent::Message {
                kind,
                client,
                relayed,
                last,
                ours,
                renews,
            },
        );
    let held = prop_oneof![
        2 => Just(ClientMessageType::Request),
        1 => Just(ClientMessageType::Decline),
        1 => Just(ClientMessageType::Release),
    ];
    let holder =
        (held, 1..10u8, any::<bool>()).prop_map(|(kind, client, relayed)| NetworkEvent::Holder {
            kind,
            client,
            relayed,
        });
    let step = prop_oneof![
        6 => message,
        3 => holder,
        4 => (1..10u8).prop_map(|client| NetworkEvent::Accept { client }),
        1 => (1..10u8, 1..12u8).prop_map(|(client, by)| NetworkEvent::Answered { client, by }),
        1 => (1..10u8).prop_map(|client| NetworkEvent::Crash { client }),
        2 => prop_oneof![0..61u16, 0..4000u16].prop_map(|seconds| NetworkEvent::Later { seconds }),
    ];
    prop::collection::vec(step, 1..120)
}

/// 10.77.0.50 to .53, of which the last is kept for card 8; .10 is kept for card 9; behind a relay 10.78.0.50 to .57, of
/// which the last is for enrolled machines.
fn site() -> Site {
    let mut site = tests::site();
    site.relayed[0].last = [10, 78, 0, 57].into();
    site
}

/// Clients 1 to 3 are enrolled.
fn client_class(card: Mac) -> ClientClass {
    let enrolled = (1..=3).any(|last| mac(last) == card);
    match enrolled {
        true => ClientClass::Enrolled,
        false => ClientClass::Stranger,
    }
}

#[derive(Default)]
struct Model {
    leases: Leases,
    /// What a restart would find.
    durable: BTreeMap<Ipv4Addr, Lease>,
    now: u64,
    /// What each machine was offered last, or was to be offered after a probe.
    offered: BTreeMap<u8, Request>,
    /// What is offered to whom for sure, in which subnet, until when.
    promised: BTreeMap<(Mac, u8), (Ipv4Addr, Timestamp)>,
    /// The address that each machine believes to have, by subnet, and until when.
    believed: BTreeMap<(Mac, u8), (Ipv4Addr, Timestamp)>,
    /// Addresses that somebody else was seen to use, until when nobody is to have them.
    resting: BTreeMap<Ipv4Addr, Timestamp>,
}

type ModelResult = Result<(), TestCaseError>;

impl Model {
    fn say(&mut self, request: &Request, probe: ProbeResult) -> LeaseAnswer {
        let (site, client_class) = (site(), client_class(request.mac));
        let now = at(self.now);
        let outcome = settle(&mut self.leases, &site, request, client_class, probe, now);
        for change in outcome.changes {
            match change {
                LeaseChange::Put(lease) => _ = self.durable.insert(lease.address, lease),
                LeaseChange::Drop(address) => _ = self.durable.remove(&address),
            }
        }
        outcome.answer
    }

    fn client(&mut self, client: u8, request: &Request, probe: ProbeResult) -> ModelResult {
        let (card, now) = (request.mac, at(self.now));
        let whose = (card, subnet_of(request));
        let had = self.believed.get(&whose).copied();
        let had = had.filter(|(_, until)| *until > now);
        let used = match probe {
            ProbeResult::Answered(address, by) if by != card => Some(address),
            _ => None,
        };
        let nobodys = used.is_some_and(|a| self.leases.is_nobodys(a, card, now));
        let settled = self.say(request, probe);
        if let Some(address) = used {
            self.promised.remove(&whose);
            if nobodys {
                self.resting.insert(address, now.plus(REST));
            }
        }
        match settled {
            LeaseAnswer::Probe(address) | LeaseAnswer::Offer { address, .. } => {
                self.may_go_to(address, card)?;
                let accept = Request {
                    kind: ClientMessageType::Request,
                    requested: Some(address),
                    server: Some(site().server),
                    ..request.clone()
                };
                self.offered.insert(client, accept);
                self.promised.remove(&whose);
                if matches!(settled, LeaseAnswer::Offer { .. }) {
                    let until = now.plus(OFFER);
                    self.promised.insert(whose, (address, until));
                }
            }
            LeaseAnswer::Ack {
                address,
                lease_time,
            } => {
                self.may_go_to(address, card)?;
                self.promised.remove(&whose);
                let until = now.plus(lease_time);
                self.believed.insert(whose, (address, until));
            }
            LeaseAnswer::Nak(_) => _ = self.believed.remove(&whose),
            LeaseAnswer::Inform | LeaseAnswer::Silence(_) => {}
        }
        match request.kind {
            ClientMessageType::Discover => {}
            ClientMessageType::Request | ClientMessageType::Inform => {
                _ = self.promised.remove(&whose);
            }
            ClientMessageType::Release | ClientMessageType::Decline => {
                self.promised.remove(&whose);
                let gone = request.requested.unwrap_or(request.ciaddr);
                if let Some((address, _)) = had.filter(|(address, _)| *address == gone) {
                    self.believed.remove(&whose);
                    self.is_let_go(request.kind, address, card)?;
                }
            }
        }
        Ok(())
    }

    /// Checks that the address is in a pool, that no other machine uses it, and that it is not reserved for another.
    fn may_go_to(&self, address: Ipv4Addr, card: Mac) -> ModelResult {
        let now = at(self.now);
        let rests = self.resting.get(&address).filter(|until| **until > now);
        prop_assert!(rests.is_none(), "{address} rests, and goes to {card}");
        let site = site();
        let subnet = site.subnets().find(|s| s.contains(address));
        let subnet = subnet.expect("is of a subnet");
        let holder = subnet.reservations.holder(address);
        prop_assert!(
            holder.is_none_or(|holder| holder == card),
            "{address} is kept for {holder:?}, and goes to {card}"
        );
        let pool = subnet.first..=subnet.last_for(client_class(card));
        prop_assert!(
            holder.is_some() || pool.contains(&address),
            "{address} is not for {card}"
        );
        Ok(())
    }

    /// What a client gave back is free, and what it declined rests.
    fn is_let_go(&mut self, kind: ClientMessageType, address: Ipv4Addr, card: Mac) -> ModelResult {
        let now = at(self.now);
        let known = self.durable.get(&address).cloned();
        if kind == ClientMessageType::Release {
            let free = known.as_ref().is_none_or(|lease| lease.until <= now);
            prop_assert!(free, "{card} gave {address} back: {known:?}");
        } else {
            self.resting.insert(address, now.plus(REST));
            let rests = known.as_ref().is_some_and(|lease| lease.declined);
            prop_assert!(rests, "{card} declined {address}: {known:?}");
        }
        Ok(())
    }

    fn step(&mut self, step: &NetworkEvent) -> ModelResult {
        match *step {
            NetworkEvent::Later { seconds } => self.now += u64::from(seconds),
            NetworkEvent::Message {
                kind,
                client,
                relayed,
                last,
                ours,
                renews,
            } => {
                let address = Ipv4Addr::new(10, if relayed { 78 } else { 77 }, 0, last);
                let speaks_as_holder = kind == ClientMessageType::Release
                    || (kind == ClientMessageType::Request && renews && !ours);
                let request = Request {
                    ciaddr: if speaks_as_holder {
                        address
                    } else {
                        Ipv4Addr::UNSPECIFIED
                    },
                    requested: (!speaks_as_holder).then_some(address),
                    server: ours.then_some(site().server),
                    ..asking(kind, client, relayed)
                };
                // A machine renews and declines only what it has.
                let has = self.believed.get(&(request.mac, subnet_of(&request)));
                let honest = !speaks_as_holder || has.is_some_and(|(a, _)| *a == address);
                if honest {
                    self.client(client, &request, ProbeResult::NotYet)?;
                }
            }
            NetworkEvent::Holder {
                kind,
                client,
                relayed,
            } => self.holder(kind, client, relayed)?,
            NetworkEvent::Accept { client } => self.accept(client)?,
            NetworkEvent::Answered { client, by } => {
                let Some(accept) = self.offered.get(&client).cloned() else {
                    return Ok(());
                };
                let address = accept.requested.expect("is set");
                let discover = Request {
                    kind: ClientMessageType::Discover,
                    requested: None,
                    server: None,
                    ..accept
                };
                self.client(client, &discover, ProbeResult::Answered(address, mac(by)))?;
            }
            NetworkEvent::Crash { client } => {
                if let Some(request) = self.offered.get(&client) {
                    let _ = settle(
                        &mut self.leases,
                        &site(),
                        request,
                        client_class(request.mac),
                        ProbeResult::NotYet,
                        at(self.now),
                    );
                }
                self.leases = self.durable.values().cloned().collect();
                self.promised.clear();
            }
        }
        Ok(())
    }

    fn holder(&mut self, kind: ClientMessageType, client: u8, relayed: bool) -> ModelResult {
        let mut request = asking(kind, client, relayed);
        let whose = (request.mac, subnet_of(&request));
        let Some((address, until)) = self.believed.get(&whose).copied() else {
            return Ok(());
        };
        if kind == ClientMessageType::Decline {
            request.requested = Some(address);
        } else {
            request.ciaddr = address;
        }
        let renews = kind == ClientMessageType::Request
            && until > at(self.now)
            && !has_reservation(request.mac);
        self.client(client, &request, ProbeResult::NotYet)?;
        if renews {
            let now_has = self.believed.get(&whose).map(|(address, _)| *address);
            prop_assert_eq!(now_has, Some(address), "a lease in force is renewed");
        }
        Ok(())
    }

    fn accept(&mut self, client: u8) -> ModelResult {
        let Some(request) = self.offered.get(&client).cloned() else {
            return Ok(());
        };
        let whose = (request.mac, subnet_of(&request));
        let promised = self.promised.get(&whose).copied();
        self.client(client, &request, ProbeResult::NotYet)?;
        if let Some((address, until)) = promised
            && until > at(self.now)
            && request.requested == Some(address)
            && !has_reservation(request.mac)
        {
            let now_has = self.believed.get(&whose).map(|(address, _)| *address);
            prop_assert_eq!(now_has, Some(address), "an offer is kept");
        }
        Ok(())
    }

    fn check(&self) -> ModelResult {
        let mut holders = BTreeMap::new();
        let now = at(self.now);
        for ((mac, _), (address, until)) in &self.believed {
            if *until <= now {
                continue;
            }
            if let Some(other) = holders.insert(*address, *mac) {
                prop_assert!(false, "{address} is in the hands of {other} and {mac}");
            }
            let known = self.durable.get(address);
            prop_assert!(
                known.is_some_and(|l| l.mac == *mac && l.until >= *until && !l.declined),
                "{mac} has {address}, and a restart would find {known:?}"
            );
        }
        for (address, lease) in self.leases.by_address() {
            prop_assert_eq!(address, &lease.address);
            prop_assert_eq!(
                self.durable.get(address),
                Some(lease),
                "written down as it is"
            );
        }
        prop_assert_eq!(self.leases.by_address().len(), self.durable.len());
        let mut had = BTreeMap::new();
        for lease in self.durable.values().filter(|lease| !lease.declined) {
            let [_, subnet, ..] = lease.address.octets();
            let other = had.insert((lease.mac, subnet), lease.address);
            prop_assert_eq!(other, None, "{} has two addresses", lease.mac);
        }
        Ok(())
    }
}

/// A machine with a reservation is led back to it from any other address as soon as it is free.
fn has_reservation(card: Mac) -> bool {
    site().subnets().any(|s| s.reservations.of(card).is_some())
}

/// A message of a client, on the LAN or behind the relay.
fn asking(kind: ClientMessageType, client: u8, relayed: bool) -> Request {
    Request {
        giaddr: if relayed {
            [10, 78, 0, 1].into()
        } else {
            Ipv4Addr::UNSPECIFIED
        },
        ..request(kind, client)
    }
}

/// The second octet of its addresses stands for a subnet.
fn subnet_of(request: &Request) -> u8 {
    match (request.ciaddr.octets()[1], request.giaddr.octets()[1]) {
        (0, 0) => 77,
        (0, relay) => relay,
        (own, _) => own,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn an_address_is_never_in_two_hands(steps in steps()) {
        let mut model = Model::default();
        for step in &steps {
            model.step(step)?;
            model.check()?;
        }
    }
}
