//! Whatever clients say in whatever order, and whenever the appliance crashes: an address is never leased to two
//! machines at once, and what was promised is kept. The model is what the machines believe, from the answers that
//! reached them.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::tests::{at, request};
use super::*;
use crate::dhcp::request::{Kind, Request};
use crate::test_support::mac;

/// One thing that happens on the network.
#[derive(Debug, Clone)]
enum Step {
    /// A message of client `client`; `last` is the address it speaks of.
    Message {
        kind: Kind,
        client: u8,
        relayed: bool,
        last: u8,
        ours: bool,
        renews: bool,
    },
    /// Renews, releases or declines the address that it has, if it has one.
    Holder {
        kind: Kind,
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

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kind = prop_oneof![
        3 => Just(Kind::Discover),
        3 => Just(Kind::Request),
        1 => Just(Kind::Decline),
        1 => Just(Kind::Release),
        1 => Just(Kind::Inform),
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
            |(kind, client, relayed, last, ours, renews)| Step::Message {
                kind,
                client,
                relayed,
                last,
                ours,
                renews,
            },
        );
    let held = prop_oneof![
        2 => Just(Kind::Request),
        1 => Just(Kind::Decline),
        1 => Just(Kind::Release),
    ];
    let holder = (held, 1..10u8, any::<bool>()).prop_map(|(kind, client, relayed)| Step::Holder {
        kind,
        client,
        relayed,
    });
    let step = prop_oneof![
        6 => message,
        3 => holder,
        4 => (1..10u8).prop_map(|client| Step::Accept { client }),
        1 => (1..10u8, 1..12u8).prop_map(|(client, by)| Step::Answered { client, by }),
        1 => (1..10u8).prop_map(|client| Step::Crash { client }),
        2 => prop_oneof![0..61u16, 0..4000u16].prop_map(|seconds| Step::Later { seconds }),
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
fn standing(card: Mac) -> Standing {
    let enrolled = (1..=3).any(|last| mac(last) == card);
    match enrolled {
        true => Standing::Enrolled,
        false => Standing::Stranger,
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

type Checked = Result<(), TestCaseError>;

impl Model {
    fn say(&mut self, request: &Request, probe: Probe) -> Settled {
        let (site, standing) = (site(), standing(request.mac));
        let now = at(self.now);
        let ruling = settle(&mut self.leases, &site, request, standing, probe, now);
        for change in ruling.changes {
            match change {
                Change::Put(lease) => _ = self.durable.insert(lease.address, lease),
                Change::Drop(address) => _ = self.durable.remove(&address),
            }
        }
        ruling.answer
    }

    fn client(&mut self, client: u8, request: &Request, probe: Probe) -> Checked {
        let (card, now) = (request.mac, at(self.now));
        let whose = (card, subnet_of(request));
        let had = self.believed.get(&whose).copied();
        let had = had.filter(|(_, until)| *until > now);
        let used = match probe {
            Probe::Answered(address, by) if by != card => Some(address),
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
            Settled::Probe(address) | Settled::Offer { address, .. } => {
                self.may_go_to(address, card)?;
                let accept = Request {
                    kind: Kind::Request,
                    requested: Some(address),
                    server: Some(site().server),
                    ..request.clone()
                };
                self.offered.insert(client, accept);
                self.promised.remove(&whose);
                if matches!(settled, Settled::Offer { .. }) {
                    let until = now.plus(OFFER);
                    self.promised.insert(whose, (address, until));
                }
            }
            Settled::Ack {
                address,
                lease_time,
            } => {
                self.may_go_to(address, card)?;
                self.promised.remove(&whose);
                let until = now.plus(lease_time);
                self.believed.insert(whose, (address, until));
            }
            Settled::Nak(_) => _ = self.believed.remove(&whose),
            Settled::Inform | Settled::Silence(_) => {}
        }
        match request.kind {
            Kind::Discover => {}
            Kind::Request | Kind::Inform => _ = self.promised.remove(&whose),
            Kind::Release | Kind::Decline => {
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
    fn may_go_to(&self, address: Ipv4Addr, card: Mac) -> Checked {
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
        let pool = subnet.first..=subnet.last_for(standing(card));
        prop_assert!(
            holder.is_some() || pool.contains(&address),
            "{address} is not for {card}"
        );
        Ok(())
    }

    /// What a client gave back is free, and what it declined rests.
    fn is_let_go(&mut self, kind: Kind, address: Ipv4Addr, card: Mac) -> Checked {
        let now = at(self.now);
        let known = self.durable.get(&address).cloned();
        if kind == Kind::Release {
            let free = known.as_ref().is_none_or(|lease| lease.until <= now);
            prop_assert!(free, "{card} gave {address} back: {known:?}");
        } else {
            self.resting.insert(address, now.plus(REST));
            let rests = known.as_ref().is_some_and(|lease| lease.declined);
            prop_assert!(rests, "{card} declined {address}: {known:?}");
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Checked {
        match *step {
            Step::Later { seconds } => self.now += u64::from(seconds),
            Step::Message {
                kind,
                client,
                relayed,
                last,
                ours,
                renews,
            } => {
                let address = Ipv4Addr::new(10, if relayed { 78 } else { 77 }, 0, last);
                let speaks_as_holder =
                    kind == Kind::Release || (kind == Kind::Request && renews && !ours);
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
                    self.client(client, &request, Probe::NotYet)?;
                }
            }
            Step::Holder {
                kind,
                client,
                relayed,
            } => self.holder(kind, client, relayed)?,
            Step::Accept { client } => self.accept(client)?,
            Step::Answered { client, by } => {
                let Some(accept) = self.offered.get(&client).cloned() else {
                    return Ok(());
                };
                let address = accept.requested.expect("is set");
                let discover = Request {
                    kind: Kind::Discover,
                    requested: None,
                    server: None,
                    ..accept
                };
                self.client(client, &discover, Probe::Answered(address, mac(by)))?;
            }
            Step::Crash { client } => {
                if let Some(request) = self.offered.get(&client) {
                    let _ = settle(
                        &mut self.leases,
                        &site(),
                        request,
                        standing(request.mac),
                        Probe::NotYet,
                        at(self.now),
                    );
                }
                self.leases = self.durable.values().cloned().collect();
                self.promised.clear();
            }
        }
        Ok(())
    }

    fn holder(&mut self, kind: Kind, client: u8, relayed: bool) -> Checked {
        let mut request = asking(kind, client, relayed);
        let whose = (request.mac, subnet_of(&request));
        let Some((address, until)) = self.believed.get(&whose).copied() else {
            return Ok(());
        };
        if kind == Kind::Decline {
            request.requested = Some(address);
        } else {
            request.ciaddr = address;
        }
        let renews = kind == Kind::Request && until > at(self.now) && !has_reservation(request.mac);
        self.client(client, &request, Probe::NotYet)?;
        if renews {
            let now_has = self.believed.get(&whose).map(|(address, _)| *address);
            prop_assert_eq!(now_has, Some(address), "a lease in force is renewed");
        }
        Ok(())
    }

    fn accept(&mut self, client: u8) -> Checked {
        let Some(request) = self.offered.get(&client).cloned() else {
            return Ok(());
        };
        let whose = (request.mac, subnet_of(&request));
        let promised = self.promised.get(&whose).copied();
        self.client(client, &request, Probe::NotYet)?;
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

    fn check(&self) -> Checked {
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
fn asking(kind: Kind, client: u8, relayed: bool) -> Request {
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
