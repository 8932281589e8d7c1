//! Whatever clients say in whatever order, and whenever the appliance crashes: an address is never leased
//! to two machines at once. The model is what the machines believe, from the ACKs that reached them.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::tests::{at, mac, request, site};
use super::*;
use crate::request::{Kind, Request};

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
        48..56u8,
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
    let step = prop_oneof![
        6 => message,
        4 => (1..10u8).prop_map(|client| Step::Accept { client }),
        1 => (1..10u8, 1..12u8).prop_map(|(client, by)| Step::Answered { client, by }),
        1 => (1..10u8).prop_map(|client| Step::Crash { client }),
        2 => (0..4000u16).prop_map(|seconds| Step::Later { seconds }),
    ];
    prop::collection::vec(step, 1..120)
}

#[derive(Default)]
struct Model {
    leases: Leases,
    /// What a restart would find.
    durable: BTreeMap<Ipv4Addr, Lease>,
    now: u64,
    /// What each machine was offered last, or was to be offered after a probe.
    offered: BTreeMap<u8, Request>,
    /// Who believes to have which address, in which subnet, until when.
    believed: BTreeMap<(Mac, u8), (Ipv4Addr, Timestamp)>,
}

impl Model {
    fn say(&mut self, request: &Request, probe: Probe) -> Settled {
        let ruling = settle(&mut self.leases, &site(), request, probe, at(self.now));
        for change in ruling.changes {
            match change {
                Change::Put(lease) => _ = self.durable.insert(lease.address, lease),
                Change::Drop(address) => _ = self.durable.remove(&address),
            }
        }
        ruling.answer
    }

    fn client(&mut self, client: u8, request: &Request, probe: Probe) {
        let settled = self.say(request, probe);
        let subnet = subnet_of(request);
        match settled {
            Settled::Probe(address) | Settled::Offer { address, .. } => {
                let accept = Request {
                    kind: Kind::Request,
                    requested: Some(address),
                    server: Some(site().server),
                    ..request.clone()
                };
                self.offered.insert(client, accept);
            }
            Settled::Ack {
                address,
                lease_time,
            } => {
                let until = at(self.now).plus(lease_time);
                self.believed
                    .insert((request.mac, subnet), (address, until));
            }
            Settled::Nak(_) => _ = self.believed.remove(&(request.mac, subnet)),
            Settled::Inform | Settled::Silence(_) => {}
        }
        if matches!(request.kind, Kind::Release | Kind::Decline) {
            let gone = [request.ciaddr, request.requested.unwrap_or(request.ciaddr)];
            self.believed
                .retain(|(mac, _), (address, _)| *mac != request.mac || !gone.contains(address));
        }
    }

    fn step(&mut self, step: &Step) {
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
                    giaddr: if relayed {
                        [10, 78, 0, 1].into()
                    } else {
                        Ipv4Addr::UNSPECIFIED
                    },
                    ciaddr: if speaks_as_holder {
                        address
                    } else {
                        Ipv4Addr::UNSPECIFIED
                    },
                    requested: (!speaks_as_holder).then_some(address),
                    server: ours.then_some(site().server),
                    ..request(kind, client)
                };
                // A machine renews and declines only what it has.
                let has = self.believed.get(&(request.mac, subnet_of(&request)));
                let honest = !speaks_as_holder || has.is_some_and(|(a, _)| *a == address);
                if honest {
                    self.client(client, &request, Probe::NotYet);
                }
            }
            Step::Accept { client } => {
                if let Some(request) = self.offered.get(&client).cloned() {
                    self.client(client, &request, Probe::NotYet);
                }
            }
            Step::Answered { client, by } => {
                let Some(accept) = self.offered.get(&client).cloned() else {
                    return;
                };
                let address = accept.requested.expect("is set");
                let discover = Request {
                    kind: Kind::Discover,
                    requested: None,
                    server: None,
                    ..accept
                };
                self.client(client, &discover, Probe::Answered(address, mac(by)));
            }
            Step::Crash { client } => {
                if let Some(request) = self.offered.get(&client) {
                    let _ = settle(
                        &mut self.leases,
                        &site(),
                        request,
                        Probe::NotYet,
                        at(self.now),
                    );
                }
                self.leases = self.durable.values().cloned().collect();
            }
        }
    }

    fn check(&self) -> Result<(), TestCaseError> {
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
        Ok(())
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
            model.step(step);
            model.check()?;
        }
    }
}
