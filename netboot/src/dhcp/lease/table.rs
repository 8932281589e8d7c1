//! All bindings and offers, ordered for the questions that each packet asks: who has this address, which addresses has
//! this card, which address is free the longest. The first two are look-ups. The third is a look-up as well where one
//! subnet is served and has free addresses; otherwise it walks the table, as [`Leases::free`] says.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use super::{Lease, LeaseChange, OFFER, Subnet};
use crate::base::mac::Mac;
use crate::base::timestamp::Timestamp;

/// The leases, which are written down once they are acknowledged, and the offers, which are not.
///
/// An address is either *taken*, with an entry in `ends`; or *idle*, with an entry in `idle`; or was never
/// touched, and then it lies at or above the `untouched` mark of its pool.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Leases {
    by_address: BTreeMap<Ipv4Addr, Lease>,
    /// Bindings, former ones included. Declined addresses are not here, since no client has them.
    by_mac: BTreeSet<(Mac, Ipv4Addr)>,
    offers: BTreeMap<Ipv4Addr, PendingOffer>,
    offered_to: BTreeSet<(Mac, Ipv4Addr)>,
    /// When each taken address becomes idle.
    ends: BTreeSet<(Timestamp, Ipv4Addr)>,
    /// Idle addresses of all subnets together, by the time since when they are idle. Addresses that were offered and
    /// never leased come first.
    idle: BTreeSet<(Timestamp, Ipv4Addr)>,
    /// By the pool's first address: the lowest address that may be untouched.
    untouched: BTreeMap<Ipv4Addr, u32>,
    /// Exhausted pools, by their first and last address, with the time of the last refusal.
    pub(super) exhausted: BTreeMap<(Ipv4Addr, Ipv4Addr), Timestamp>,
}

/// An offer that no REQUEST has followed yet; forgotten after [`OFFER`] and at every restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PendingOffer {
    mac: Mac,
    until: Timestamp,
    /// The wire was asked for the address, and nobody answered.
    probed: bool,
}

/// Earlier than every lease: the time in `idle` of an address that nobody ever had.
const NEVER: Timestamp = Timestamp::MIN;

impl FromIterator<Lease> for Leases {
    /// The table after a restart: what is on disk, without offers.
    fn from_iter<I: IntoIterator<Item = Lease>>(leases: I) -> Self {
        let mut table = Self::default();
        for lease in leases {
            table.put(lease);
        }
        table
    }
}

impl Leases {
    /// Leases by address, those that ended included.
    pub fn by_address(&self) -> &BTreeMap<Ipv4Addr, Lease> {
        &self.by_address
    }

    pub fn put(&mut self, lease: Lease) {
        let address = lease.address;
        self.take_out(address);
        if !lease.declined {
            self.by_mac.insert((lease.mac, address));
        }
        self.ends.insert((lease.until, address));
        self.by_address.insert(address, lease);
    }

    /// Forgets who had an address. It is idle then, unless it is offered to the next client already, who may count on it.
    pub fn forget(&mut self, address: Ipv4Addr) {
        let lease = self.by_address.remove(&address);
        if let Some(lease) = &lease {
            self.by_mac.remove(&(lease.mac, address));
        }
        if self.offers.contains_key(&address) {
            return;
        }
        if let Some(lease) = lease {
            self.ends.remove(&(lease.until, address));
            self.idle.remove(&(lease.until, address));
        }
        self.idle.insert((NEVER, address));
    }

    pub fn apply(&mut self, change: &LeaseChange) {
        match change {
            LeaseChange::Put(lease) => self.put(lease.clone()),
            LeaseChange::Drop(address) => self.forget(*address),
        }
    }

    /// Takes back a change that could not be written down; `before` is the lease that the change replaced. The client
    /// keeps its offer: it will ask again, and may have the address then.
    pub fn take_back(&mut self, change: &LeaseChange, before: Option<&Lease>, now: Timestamp) {
        let address = change.address();
        match before {
            Some(lease) => self.put(lease.clone()),
            None => self.forget(address),
        }
        if let LeaseChange::Put(lease) = change
            && !lease.declined
        {
            self.offer(address, lease.mac, now);
        }
    }

    /// Makes those addresses idle that were taken until `now` or earlier.
    pub(super) fn advance(&mut self, now: Timestamp) {
        while let Some(&(until, address)) = self.ends.first() {
            if until > now {
                return;
            }
            self.ends.pop_first();
            if let Some(offer) = self.offers.remove(&address) {
                self.offered_to.remove(&(offer.mac, address));
            }
            self.idle.insert((self.idle_since(address), address));
        }
    }

    fn idle_since(&self, address: Ipv4Addr) -> Timestamp {
        self.by_address.get(&address).map_or(NEVER, |l| l.until)
    }

    /// Keeps an address for the card that it is offered to. A card that has it in lease for as long needs no offer.
    pub(super) fn offer(&mut self, address: Ipv4Addr, mac: Mac, now: Timestamp) {
        let until = now.plus(OFFER);
        if self.is_leased_to(address, mac, until) {
            return;
        }
        let probed = self.is_probed(address, mac, now);
        if let Some(former) = self.offers.remove(&address) {
            self.offered_to.remove(&(former.mac, address));
            self.ends.remove(&(former.until, address));
        }
        let since = self.idle_since(address);
        self.ends.remove(&(since, address));
        self.idle.remove(&(since, address));
        self.offers
            .insert(address, PendingOffer { mac, until, probed });
        self.offered_to.insert((mac, address));
        self.ends.insert((until, address));
    }

    /// Notes that nobody answered for an address that is offered to this card.
    pub(super) fn probed(&mut self, address: Ipv4Addr, mac: Mac) {
        if let Some(offer) = self.offers.get_mut(&address).filter(|o| o.mac == mac) {
            offer.probed = true;
        }
    }

    /// Whether a probe of the wire is not needed: the card has the address in lease, or the wire was asked for this
    /// very offer.
    pub(super) fn is_probed(&self, address: Ipv4Addr, mac: Mac, now: Timestamp) -> bool {
        let offered = self.offers.get(&address);
        offered.is_some_and(|o| o.mac == mac && o.probed) || self.is_leased_to(address, mac, now)
    }

    /// Takes back all offers to a card in this subnet. Its offer in another subnet stands: a broadcast may be heard on two
    /// LANs of one appliance.
    pub(super) fn withdraw(&mut self, mac: Mac, subnet: &Subnet) {
        let (low, high) = subnet.span();
        let all = (mac, low)..=(mac, high);
        let offered: Vec<Ipv4Addr> = self.offered_to.range(all).map(|(_, a)| *a).collect();
        for address in offered {
            self.offered_to.remove(&(mac, address));
            if let Some(offer) = self.offers.remove(&address) {
                self.ends.remove(&(offer.until, address));
                match self.by_address.get(&address) {
                    // In force, perhaps.
                    Some(lease) => self.ends.insert((lease.until, address)),
                    None => self.idle.insert((NEVER, address)),
                };
            }
        }
    }

    /// Whether the card has, or had last, this address.
    pub(super) fn holds(&self, address: Ipv4Addr, mac: Mac) -> bool {
        self.by_mac.contains(&(mac, address))
    }

    /// Whether the card has a lease of this address that is in force.
    pub(super) fn is_leased_to(&self, address: Ipv4Addr, mac: Mac, now: Timestamp) -> bool {
        let lease = self.by_address.get(&address);
        lease.is_some_and(|l| l.mac == mac && !l.declined && l.until > now)
    }

    /// Whether no other card has the address or was offered it.
    pub(super) fn is_free(&self, address: Ipv4Addr, mac: Mac, now: Timestamp) -> bool {
        let taken = self.by_address.get(&address).is_some_and(|lease| {
            let mine = lease.mac == mac && !lease.declined;
            !mine && lease.until > now
        });
        let offered = self.offers.get(&address).is_some_and(|o| o.mac != mac);
        !taken && !offered
    }

    /// Whether no card has the address, and no other card was offered it.
    pub(super) fn is_nobodys(&self, address: Ipv4Addr, mac: Mac, now: Timestamp) -> bool {
        self.is_free(address, mac, now) && !self.is_leased_to(address, mac, now)
    }

    /// The addresses that the card has, or had last, in this subnet.
    pub(super) fn bound(
        &self,
        mac: Mac,
        subnet: &Subnet,
    ) -> impl Iterator<Item = Ipv4Addr> + use<'_> {
        let (low, high) = subnet.span();
        self.by_mac.range((mac, low)..=(mac, high)).map(|(_, a)| *a)
    }

    /// The address that the card is offered in this subnet.
    pub(super) fn offered(&self, mac: Mac, subnet: &Subnet) -> Option<Ipv4Addr> {
        let (low, high) = subnet.span();
        let mut offers = self.offered_to.range((mac, low)..=(mac, high));
        offers.next().map(|(_, address)| *address)
    }

    /// A free address of the pool up to `last` that is `open`, whoever asks: one that was never leased, else the one
    /// that was given back longest ago.
    ///
    /// `idle` is shared by all subnets, so this walks past addresses of other subnets that were given back earlier. Where
    /// this pool has no idle address it walks past all of them.
    pub(super) fn free(
        &mut self,
        subnet: &Subnet,
        last: Ipv4Addr,
        open: impl Fn(Ipv4Addr) -> bool,
    ) -> Option<Ipv4Addr> {
        let pool = subnet.first..=last;
        let mut idle = self
            .idle
            .iter()
            .filter(|(_, a)| pool.contains(a) && open(*a));
        let given_back = idle.next().copied();
        if let Some((NEVER, address)) = given_back {
            return Some(address);
        }
        let next = self.untouched.entry(subnet.first);
        let next = next.or_insert_with(|| subnet.first.to_bits());
        while *next <= last.to_bits() {
            let address = Ipv4Addr::from(*next);
            let touched =
                self.by_address.contains_key(&address) || self.offers.contains_key(&address);
            if !touched && open(address) {
                // The mark stays: it moves on when the address is touched.
                return Some(address);
            }
            *next += 1;
        }
        given_back.map(|(_, address)| address)
    }

    /// Removes all traces of an address.
    fn take_out(&mut self, address: Ipv4Addr) {
        if let Some(offer) = self.offers.remove(&address) {
            self.offered_to.remove(&(offer.mac, address));
            self.ends.remove(&(offer.until, address));
        }
        self.idle.remove(&(NEVER, address));
        if let Some(lease) = self.by_address.remove(&address) {
            self.by_mac.remove(&(lease.mac, address));
            self.ends.remove(&(lease.until, address));
            self.idle.remove(&(lease.until, address));
        }
    }
}
