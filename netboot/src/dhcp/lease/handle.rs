//! The outcome of one message, by its kind and the state that the client says it is in (RFC 2131 §4.3).

use std::net::Ipv4Addr;
use std::time::Duration;

use super::select::{choose, free, may_have};
use super::{
    Change, Lease, Leases, NakReason, Notice, Probe, REST, Ruling, SHORTEST, Settled,
    SilenceReason, Site, Standing, Subnet,
};
use crate::base::timestamp::Timestamp;
use crate::dhcp::request::{Kind, Request};

/// An exhausted pool counts as recovered once no client was refused for this long. Without the wait, a pool with one
/// address that comes and goes would fill the journal.
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
        return silence(SilenceReason::SubnetNotServed);
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
            // The client itself answers: it still has the address from an earlier lease.
            Probe::Answered(address, by) if by == mac => self.leases.probed(address, mac),
            Probe::Silent(address) => self.leases.probed(address, mac),
            // Somebody uses it without a lease, unless it was leased while the wire was asked.
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
                Settled::Silence(SilenceReason::PoolExhausted { first, last })
            }
        };
        Ruling {
            answer,
            changes,
            notices,
        }
    }

    /// The pools of this subnet that were exhausted and have free addresses again.
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
            return silence(SilenceReason::NoAddressRequested);
        };
        let may_have = may_have(self.leases, site, subnet, wanted, (mac, standing), now);
        let is_free = self.leases.is_free(wanted, mac, now);
        match request.server {
            // SELECTING
            Some(server) if server != site.server => {
                self.leases.withdraw(mac, subnet);
                return silence(SilenceReason::ChoseAnotherServer);
            }
            Some(_) if !may_have || !is_free => return nak(NakReason::NotForClient),
            Some(_) => {}
            // INIT-REBOOT, RENEWING, REBINDING
            None if !subnet.contains(wanted) => return nak(NakReason::WrongNetwork),
            None if self.leases.bound(mac, subnet).next().is_none() => {
                return silence(SilenceReason::NoLeaseKnown);
            }
            None if !self.leases.holds(wanted, mac) || !may_have => {
                return nak(NakReason::HoldsAnother);
            }
            None if !is_free => return nak(NakReason::GivenToAnother),
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

    /// The client found the address in use by somebody else: it is not given to anybody for a while (RFC 2131 §4.3.3).
    fn decline(&mut self) -> Ruling<Settled> {
        let mac = self.request.mac;
        let declined = self.request.requested.filter(|_| self.is_meant());
        // Whose lease has ended has no say: the address may have been offered to another client since.
        let held = declined.filter(|a| self.leases.is_leased_to(*a, mac, self.now));
        let Some(address) = held else {
            return silence(SilenceReason::DeclinedUnheld);
        };
        let rest = Lease {
            declined: true,
            ..self.lease(address, self.now.plus(REST))
        };
        self.leases.put(rest.clone());
        Ruling {
            answer: Settled::Silence(SilenceReason::Declined(address)),
            changes: vec![Change::Put(rest)],
            notices: vec![Notice::AddressDeclined { address, by: mac }],
        }
    }

    /// Frees the address. The table remembers whose it was: the client gets it again if it comes back before somebody
    /// else has it.
    fn release(&mut self) -> Ruling<Settled> {
        let address = self.request.ciaddr;
        // As in a DECLINE: whose lease has ended cannot take back what the next client was offered.
        let mac = self.request.mac;
        if !self.is_meant() || !self.leases.is_leased_to(address, mac, self.now) {
            return silence(SilenceReason::ReleasedUnheld);
        }
        let lease = self.lease(address, self.now);
        self.leases.put(lease.clone());
        Ruling {
            changes: vec![Change::Put(lease)],
            ..Ruling::only(Settled::Silence(SilenceReason::Released(address)))
        }
    }

    /// Whether the message is for this server. Some clients leave option 54 out, so its absence is taken for yes.
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

fn silence(why: SilenceReason) -> Ruling<Settled> {
    Ruling::only(Settled::Silence(why))
}

fn nak(why: NakReason) -> Ruling<Settled> {
    Ruling::only(Settled::Nak(why))
}
