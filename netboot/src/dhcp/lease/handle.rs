//! What becomes of one message, by its kind and the state that the client says it is in (RFC 2131 §4.3).

use std::net::Ipv4Addr;
use std::time::Duration;

use super::select::{choose, free, may_have};
use super::{
    Change, Lease, Leases, Notice, Probe, REST, Ruling, SHORTEST, Settled, Site, Standing, Subnet,
};
use crate::base::timestamp::Timestamp;
use crate::dhcp::request::{Kind, Request};

/// How long nobody was refused before an exhausted pool counts as recovered: a pool at its brim would fill
/// the journal otherwise.
const CALM: Duration = Duration::from_secs(300);

/// Settles one message and changes the table accordingly; the changes must be durable before an answer.
/// After [`Settled::Probe`] it is called again for the same message, with what the wire said.
pub fn settle(
    leases: &mut Leases,
    site: &Site,
    request: &Request,
    standing: Standing,
    probe: Probe,
    now: Timestamp,
) -> Ruling<Settled> {
    leases.advance(now);
    let Some(subnet) = site.subnet(request) else {
        return silence("relayed from a subnet that is not served");
    };
    let mut case = Case {
        leases,
        site,
        subnet,
        request,
        standing,
        now,
    };
    let recovered = case.recovered();
    let mut ruling = match request.kind {
        Kind::Discover => case.discover(probe),
        Kind::Request => case.request(),
        Kind::Decline => case.decline(),
        Kind::Release => case.release(),
        Kind::Inform => Ruling::only(Settled::Inform),
    };
    ruling.notices.extend(recovered);
    ruling
}

/// One message and everything it is settled by.
struct Case<'a> {
    leases: &'a mut Leases,
    site: &'a Site,
    subnet: &'a Subnet,
    request: &'a Request,
    standing: Standing,
    now: Timestamp,
}

impl Case<'_> {
    fn discover(&mut self, probe: Probe) -> Ruling<Settled> {
        let Self {
            request,
            standing,
            now,
            ..
        } = *self;
        let mac = request.mac;
        let mut changes = Vec::new();
        let mut notices = Vec::new();
        match probe {
            // It is the client itself that still has it from somewhere.
            Probe::Answered(address, by) if by == mac => self.leases.probed(address, mac),
            Probe::Silent(address) => self.leases.probed(address, mac),
            // Unless it became somebody's while the wire was asked.
            Probe::Answered(address, by) if self.leases.is_nobodys(address, mac, now) => {
                let rest = Lease {
                    address,
                    mac: by,
                    until: now.plus(REST),
                    declined: true,
                    host_name: None,
                };
                self.leases.put(rest.clone());
                changes.push(Change::Put(rest));
                notices.push(Notice::AddressInUse { address, by });
            }
            Probe::Answered(..) | Probe::NotYet | Probe::Impossible => {}
        }
        let chosen = choose(self.leases, self.site, self.subnet, request, standing, now);
        let answer = match chosen {
            Some(address) => {
                self.leases.offer(address, mac, now);
                // ARP does not reach behind a relay.
                let unreachable = probe == Probe::Impossible || !request.giaddr.is_unspecified();
                if unreachable || self.leases.is_probed(address, mac, now) {
                    Settled::Offer {
                        address,
                        lease_time: self.lease_time(),
                    }
                } else {
                    Settled::Probe(address)
                }
            }
            None => {
                let (first, last) = (self.subnet.first, self.subnet.last_for(standing));
                if self.leases.exhausted.insert((first, last), now).is_none() {
                    notices.push(Notice::PoolExhausted { first, last });
                }
                Settled::Silence(format!("no address is free in {first} to {last}"))
            }
        };
        Ruling {
            answer,
            changes,
            notices,
        }
    }

    /// An exhausted pool has free addresses again.
    fn recovered(&mut self) -> Vec<Notice> {
        let mut notices = Vec::new();
        for standing in [Standing::Stranger, Standing::Enrolled] {
            let (first, last) = (self.subnet.first, self.subnet.last_for(standing));
            let Some(refused) = self.leases.exhausted.get(&(first, last)) else {
                continue;
            };
            let calm = self.now.since(*refused) >= CALM;
            if calm && free(self.leases, self.site, self.subnet, standing).is_some() {
                self.leases.exhausted.remove(&(first, last));
                notices.push(Notice::PoolRecovered { first, last });
            }
        }
        notices
    }

    fn request(&mut self) -> Ruling<Settled> {
        let Self {
            site,
            subnet,
            request,
            standing,
            now,
            ..
        } = *self;
        let mac = request.mac;
        let renewing = !request.ciaddr.is_unspecified();
        let wanted = if renewing {
            Some(request.ciaddr)
        } else {
            request.requested
        };
        let Some(wanted) = wanted else {
            return silence("asks for no address");
        };
        let may_have = may_have(self.leases, site, subnet, wanted, (mac, standing), now);
        let is_free = self.leases.is_free(wanted, mac, now);
        match request.server {
            // SELECTING
            Some(server) if server != site.server => {
                self.leases.withdraw(mac, subnet);
                return silence("chose another server");
            }
            Some(_) if !may_have || !is_free => return nak("this address is not for you"),
            Some(_) => {}
            // INIT-REBOOT, RENEWING, REBINDING
            None if !subnet.contains(wanted) => return nak("this address is not of this network"),
            None if self.leases.bound(mac, subnet).next().is_none() => {
                return silence("no lease is known; another server may know it");
            }
            None if !self.leases.holds(wanted, mac) || !may_have => {
                return nak("you hold another address");
            }
            None if !is_free => return nak("this address was given to another"),
            None => {}
        }
        self.leases.withdraw(mac, subnet);
        let former = self.leases.bound(mac, subnet).filter(|a| *a != wanted);
        let mut changes: Vec<Change> = former.map(Change::Drop).collect();
        let lease_time = self.lease_time();
        changes.push(Change::Put(self.lease(wanted, now.plus(lease_time))));
        for change in &changes {
            self.leases.apply(change);
        }
        Ruling {
            changes,
            ..Ruling::only(Settled::Ack {
                address: wanted,
                lease_time,
            })
        }
    }

    /// Somebody uses the address who did not ask for it: it rests (RFC 2131 §4.3.3).
    fn decline(&mut self) -> Ruling<Settled> {
        let mac = self.request.mac;
        let declined = self.request.requested.filter(|_| self.is_meant());
        let Some(address) = declined.filter(|a| self.leases.holds(*a, mac)) else {
            return silence("declined an address that it does not hold");
        };
        let rest = Lease {
            declined: true,
            ..self.lease(address, self.now.plus(REST))
        };
        self.leases.put(rest.clone());
        Ruling {
            answer: Settled::Silence(format!("declined {address}; it rests")),
            changes: vec![Change::Put(rest)],
            notices: vec![Notice::AddressDeclined { address, by: mac }],
        }
    }

    /// Free from now on, but remembered: the client gets it again if it comes back in time.
    fn release(&mut self) -> Ruling<Settled> {
        let address = self.request.ciaddr;
        if !self.is_meant() || !self.leases.holds(address, self.request.mac) {
            return silence("released an address that it does not hold");
        }
        let lease = self.lease(address, self.now);
        self.leases.put(lease.clone());
        Ruling {
            changes: vec![Change::Put(lease)],
            ..Ruling::only(Settled::Silence(format!("released {address}")))
        }
    }

    /// Some clients leave out whom they mean.
    fn is_meant(&self) -> bool {
        self.request.server.is_none_or(|s| s == self.site.server)
    }

    /// What the client asks for (option 51), within what the subnet allows.
    fn lease_time(&self) -> Duration {
        let most = self.subnet.lease_time;
        let asked = self.request.lease_time.unwrap_or(most);
        asked.clamp(SHORTEST.min(most), most)
    }

    fn lease(&self, address: Ipv4Addr, until: Timestamp) -> Lease {
        Lease {
            address,
            mac: self.request.mac,
            until,
            declined: false,
            host_name: self.request.host_name.clone(),
        }
    }
}

fn silence(why: &str) -> Ruling<Settled> {
    Ruling::only(Settled::Silence(why.to_owned()))
}

fn nak(why: &str) -> Ruling<Settled> {
    Ruling::only(Settled::Nak(why.to_owned()))
}
