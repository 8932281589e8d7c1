//! The outcome of one message, by its kind and the state that the client says it is in (RFC 2131 §4.3).

use std::net::Ipv4Addr;
use std::time::Duration;

use super::select::{choose, free, may_have};
use super::{
    ClientClass, Lease, LeaseAnswer, LeaseChange, LeaseNotice, LeaseOutcome, Leases, NakReason,
    ProbeResult, REST, SHORTEST, SilenceReason, Site, Subnet,
};
use crate::base::timestamp::Timestamp;
use crate::dhcp::request::{ClientMessageType, Request};

/// An exhausted pool counts as recovered once no client was refused for this long. Without the wait, a pool with one
/// address that comes and goes would fill the journal.
const CALM: Duration = Duration::from_secs(300);

/// Settles one message and changes the table accordingly; the changes must be durable before an answer.
/// After [`LeaseAnswer::Probe`] it is called again for the same message, with what the wire said.
pub fn settle(
    leases: &mut Leases,
    site: &Site,
    request: &Request,
    client_class: ClientClass,
    probe: ProbeResult,
    now: Timestamp,
) -> LeaseOutcome<LeaseAnswer> {
    leases.advance(now);
    let Some(subnet) = site.subnet(request) else {
        return silence(SilenceReason::SubnetNotServed);
    };
    let mut case = MessageContext {
        leases,
        site,
        subnet,
        request,
        client_class,
        now,
    };
    let recovered = case.recovered();
    let mut outcome = match request.kind {
        ClientMessageType::Discover => case.discover(probe),
        ClientMessageType::Request => case.request(),
        ClientMessageType::Decline => case.decline(),
        ClientMessageType::Release => case.release(),
        ClientMessageType::Inform => LeaseOutcome::only(LeaseAnswer::Inform),
    };
    outcome.notices.extend(recovered);
    outcome
}

/// One message and everything it is settled by.
struct MessageContext<'a> {
    leases: &'a mut Leases,
    site: &'a Site,
    subnet: &'a Subnet,
    request: &'a Request,
    client_class: ClientClass,
    now: Timestamp,
}

impl MessageContext<'_> {
    fn discover(&mut self, probe: ProbeResult) -> LeaseOutcome<LeaseAnswer> {
        let Self {
            request,
            client_class,
            now,
            ..
        } = *self;
        let mac = request.mac;
        let mut changes = Vec::new();
        let mut notices = Vec::new();
        match probe {
            // The client itself answers: it still has the address from an earlier lease.
            ProbeResult::Answered(address, by) if by == mac => self.leases.probed(address, mac),
            ProbeResult::Silent(address) => self.leases.probed(address, mac),
            // Somebody uses it without a lease, unless it was leased while the wire was asked.
            ProbeResult::Answered(address, by) if self.leases.is_nobodys(address, mac, now) => {
                let rest = Lease {
                    address,
                    mac: by,
                    until: now.plus(REST),
                    declined: true,
                    host_name: None,
                };
                self.leases.put(rest.clone());
                changes.push(LeaseChange::Put(rest));
                notices.push(LeaseNotice::AddressInUse { address, by });
            }
            ProbeResult::Answered(..) | ProbeResult::NotYet | ProbeResult::Impossible => {}
        }
        let chosen = choose(
            self.leases,
            self.site,
            self.subnet,
            request,
            client_class,
            now,
        );
        let answer = match chosen {
            Some(address) => {
                self.leases.offer(address, mac, now);
                // ARP does not reach behind a relay.
                let unreachable =
                    probe == ProbeResult::Impossible || !request.giaddr.is_unspecified();
                if unreachable || self.leases.is_probed(address, mac, now) {
                    LeaseAnswer::Offer {
                        address,
                        lease_time: self.lease_time(),
                    }
                } else {
                    LeaseAnswer::Probe(address)
                }
            }
            None => {
                let (first, last) = (self.subnet.first, self.subnet.last_for(client_class));
                if self.leases.exhausted.insert((first, last), now).is_none() {
                    notices.push(LeaseNotice::PoolExhausted { first, last });
                }
                LeaseAnswer::Silence(SilenceReason::PoolExhausted { first, last })
            }
        };
        LeaseOutcome {
            answer,
            changes,
            notices,
        }
    }

    /// The pools of this subnet that were exhausted and have free addresses again.
    fn recovered(&mut self) -> Vec<LeaseNotice> {
        let mut notices = Vec::new();
        for client_class in [ClientClass::Stranger, ClientClass::Enrolled] {
            let (first, last) = (self.subnet.first, self.subnet.last_for(client_class));
            let Some(refused) = self.leases.exhausted.get(&(first, last)) else {
                continue;
            };
            let calm = self.now.since(*refused) >= CALM;
            if calm && free(self.leases, self.site, self.subnet, client_class).is_some() {
                self.leases.exhausted.remove(&(first, last));
                notices.push(LeaseNotice::PoolRecovered { first, last });
            }
        }
        notices
    }

    fn request(&mut self) -> LeaseOutcome<LeaseAnswer> {
        let Self {
            site,
            subnet,
            request,
            client_class,
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
        let may_have = may_have(self.leases, site, subnet, wanted, (mac, client_class), now);
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
        let mut changes: Vec<LeaseChange> = former.map(LeaseChange::Drop).collect();
        let lease_time = self.lease_time();
        changes.push(LeaseChange::Put(self.lease(wanted, now.plus(lease_time))));
        for change in &changes {
            self.leases.apply(change);
        }
        LeaseOutcome {
            changes,
            ..LeaseOutcome::only(LeaseAnswer::Ack {
                address: wanted,
                lease_time,
            })
        }
    }

    /// The client found the address in use by somebody else: it is not given to anybody for a while (RFC 2131 §4.3.3).
    fn decline(&mut self) -> LeaseOutcome<LeaseAnswer> {
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
        LeaseOutcome {
            answer: LeaseAnswer::Silence(SilenceReason::Declined(address)),
            changes: vec![LeaseChange::Put(rest)],
            notices: vec![LeaseNotice::AddressDeclined { address, by: mac }],
        }
    }

    /// Frees the address. The table remembers whose it was: the client gets it again if it comes back before somebody
    /// else has it.
    fn release(&mut self) -> LeaseOutcome<LeaseAnswer> {
        let address = self.request.ciaddr;
        // As in a DECLINE: whose lease has ended cannot take back what the next client was offered.
        let mac = self.request.mac;
        if !self.is_meant() || !self.leases.is_leased_to(address, mac, self.now) {
            return silence(SilenceReason::ReleasedUnheld);
        }
        let lease = self.lease(address, self.now);
        self.leases.put(lease.clone());
        LeaseOutcome {
            changes: vec![LeaseChange::Put(lease)],
            ..LeaseOutcome::only(LeaseAnswer::Silence(SilenceReason::Released(address)))
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

fn silence(why: SilenceReason) -> LeaseOutcome<LeaseAnswer> {
    LeaseOutcome::only(LeaseAnswer::Silence(why))
}

fn nak(why: NakReason) -> LeaseOutcome<LeaseAnswer> {
    LeaseOutcome::only(LeaseAnswer::Nak(why))
}
