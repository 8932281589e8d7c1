//! Server mode: which address a client gets. A table and pure rules (RFC 2131 §4.3); keyed by MAC,
//! because one machine shows three client identifiers in one boot.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::mac::Mac;
use crate::name::HostName;
use crate::request::{Kind, Request};
use crate::timestamp::Timestamp;

/// An address in somebody's hands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub address: Ipv4Addr,
    pub mac: Mac,
    pub until: Timestamp,
    /// An address that a client declined rests until `until` (RFC 2131 §4.3.3).
    #[serde(default)]
    pub declined: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_name: Option<HostName>,
}

/// The configuration of server mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    pub first: Ipv4Addr,
    pub last: Ipv4Addr,
    pub netmask: Ipv4Addr,
    /// The appliance's own address: never leased, and option 54.
    pub server: Ipv4Addr,
    pub lease_time: Duration,
    pub reservations: BTreeMap<Mac, Ipv4Addr>,
}

/// All bindings. Offers live here too, but only acknowledged ones are written down.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Leases {
    pub by_address: BTreeMap<Ipv4Addr, Lease>,
    /// Offered, not yet asked for; forgotten after a minute and at every restart.
    pub offers: BTreeMap<Mac, (Ipv4Addr, Timestamp)>,
}

/// What the rules settled on.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// Answer a DISCOVER. Holds no durable state.
    Offer {
        address: Ipv4Addr,
        lease_time: Duration,
    },
    /// Answer a REQUEST, once the lease is durable.
    Ack {
        address: Ipv4Addr,
        lease_time: Duration,
    },
    /// Answer an INFORM: options only.
    Inform,
    /// The client must start again.
    Nak(String),
    /// Stay silent: meant for another server, or nothing is known (RFC 2131 §4.3.2).
    Silence(String),
}

/// What must be durable before the answer goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Put(Lease),
    Drop(Ipv4Addr),
}

/// How long an offered address is kept for the one it was offered to.
const OFFER: Duration = Duration::from_secs(60);

/// How long a declined address rests: somebody uses it who did not ask.
const REST: Duration = Duration::from_secs(3600);

/// Settles one message and changes the table accordingly; the changes must be durable before an answer.
pub fn settle(
    leases: &mut Leases,
    pool: &Pool,
    request: &Request,
    now: Timestamp,
) -> (Settled, Vec<Change>) {
    leases.offers.retain(|_, (_, until)| *until > now);
    let silence = |why: &str| (Settled::Silence(why.to_owned()), Vec::new());
    if !request.giaddr.is_unspecified() && !pool.is_local(request.giaddr) {
        return silence("relayed from a subnet that is not served");
    }
    match request.kind {
        Kind::Discover => match leases.choose(pool, request, now) {
            Some(address) => {
                leases
                    .offers
                    .insert(request.mac, (address, now.plus(OFFER)));
                (
                    Settled::Offer {
                        address,
                        lease_time: pool.lease_time,
                    },
                    Vec::new(),
                )
            }
            None => silence("no address is free in `dhcp.range`"),
        },
        Kind::Request => leases.request(pool, request, now),
        Kind::Inform => (Settled::Inform, Vec::new()),
        Kind::Decline => match request.requested.filter(|a| leases.holds(*a, request.mac)) {
            Some(address) => {
                let until = now.plus(REST);
                let mut rest = leases.bind(address, request, until);
                rest.declined = true;
                leases.by_address.insert(address, rest.clone());
                (
                    Settled::Silence(format!("declined {address}; it rests")),
                    vec![Change::Put(rest)],
                )
            }
            None => silence("declined an address that it does not hold"),
        },
        Kind::Release if leases.holds(request.ciaddr, request.mac) => {
            // Free from now on, but remembered: the client gets it again if it comes back in time.
            let lease = leases.bind(request.ciaddr, request, now);
            (
                Settled::Silence(format!("released {}", request.ciaddr)),
                vec![Change::Put(lease)],
            )
        }
        Kind::Release => silence("released an address that it does not hold"),
    }
}

impl Pool {
    fn is_local(&self, address: Ipv4Addr) -> bool {
        u32::from(address) & u32::from(self.netmask)
            == u32::from(self.server) & u32::from(self.netmask)
    }

    fn reserved_for_another(&self, address: Ipv4Addr, mac: Mac) -> bool {
        self.reservations
            .iter()
            .any(|(other, reserved)| *reserved == address && *other != mac)
    }

    /// Whether this client may ever have this address.
    fn allows(&self, address: Ipv4Addr, mac: Mac) -> bool {
        match self.reservations.get(&mac) {
            Some(reserved) => *reserved == address,
            None => {
                (self.first..=self.last).contains(&address)
                    && address != self.server
                    && !self.reserved_for_another(address, mac)
            }
        }
    }
}

impl Leases {
    fn holds(&self, address: Ipv4Addr, mac: Mac) -> bool {
        self.by_address
            .get(&address)
            .is_some_and(|lease| lease.mac == mac && !lease.declined)
    }

    fn is_free(&self, address: Ipv4Addr, mac: Mac, now: Timestamp) -> bool {
        let leased = self.by_address.get(&address).is_some_and(|lease| {
            let mine = lease.mac == mac && !lease.declined;
            !mine && lease.until > now
        });
        let offered = self
            .offers
            .iter()
            .any(|(other, (to, _))| *to == address && *other != mac);
        !leased && !offered
    }

    /// The order of RFC 2131 §4.3.1: reserved, current or former, just offered, asked for, any; and of
    /// "any" first one that was never used, then the one that was given back longest ago.
    fn choose(&self, pool: &Pool, request: &Request, now: Timestamp) -> Option<Ipv4Addr> {
        let mac = request.mac;
        let good =
            |address: &Ipv4Addr| pool.allows(*address, mac) && self.is_free(*address, mac, now);
        let reserved = pool.reservations.get(&mac).copied();
        let bound = self
            .by_address
            .values()
            .find(|l| l.mac == mac && !l.declined)
            .map(|l| l.address);
        let offered = self.offers.get(&mac).map(|(address, _)| *address);
        let known = [reserved, bound, offered, request.requested];
        let any = || {
            let range = (u32::from(pool.first)..=u32::from(pool.last)).map(Ipv4Addr::from);
            let free = range.filter(good);
            free.min_by_key(|address| self.by_address.get(address).map(|lease| lease.until))
        };
        known.into_iter().flatten().find(good).or_else(any)
    }

    fn request(
        &mut self,
        pool: &Pool,
        request: &Request,
        now: Timestamp,
    ) -> (Settled, Vec<Change>) {
        let mac = request.mac;
        let silence = |why: &str| (Settled::Silence(why.to_owned()), Vec::new());
        let nak = |why: &str| (Settled::Nak(why.to_owned()), Vec::new());
        let renewing = !request.ciaddr.is_unspecified();
        let wanted = if renewing {
            Some(request.ciaddr)
        } else {
            request.requested
        };
        let Some(wanted) = wanted else {
            return silence("asks for no address");
        };
        match request.server {
            // SELECTING
            Some(server) if server != pool.server => {
                self.offers.remove(&mac);
                return silence("chose another server");
            }
            Some(_) if !pool.allows(wanted, mac) || !self.is_free(wanted, mac, now) => {
                return nak("this address is not for you");
            }
            Some(_) => {}
            // INIT-REBOOT, RENEWING, REBINDING
            None if !pool.is_local(wanted) => return nak("this address is not of this network"),
            None if !self
                .by_address
                .values()
                .any(|lease| lease.mac == mac && !lease.declined) =>
            {
                return silence("no lease is known; another server may know it");
            }
            None if !self.holds(wanted, mac) || !pool.allows(wanted, mac) => {
                return nak("you hold another address");
            }
            None if !self.is_free(wanted, mac, now) => {
                return nak("this address was given to another");
            }
            None => {}
        }
        self.offers.remove(&mac);
        let former = self
            .by_address
            .values()
            .filter(|l| l.mac == mac && l.address != wanted && !l.declined);
        let mut changes: Vec<Change> = former.map(|lease| Change::Drop(lease.address)).collect();
        for change in &changes {
            if let Change::Drop(address) = change {
                self.by_address.remove(address);
            }
        }
        changes.push(Change::Put(self.bind(
            wanted,
            request,
            now.plus(pool.lease_time),
        )));
        (
            Settled::Ack {
                address: wanted,
                lease_time: pool.lease_time,
            },
            changes,
        )
    }

    fn bind(&mut self, address: Ipv4Addr, request: &Request, until: Timestamp) -> Lease {
        let host_name = request.host_name.clone();
        let lease = Lease {
            address,
            mac: request.mac,
            until,
            declined: false,
            host_name,
        };
        self.by_address.insert(address, lease.clone());
        lease
    }
}

#[cfg(test)]
mod tests;
