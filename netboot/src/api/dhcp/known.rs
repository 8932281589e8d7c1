//! What the walk of a packet needs from the service, and what the service found out.

use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::base::mac::Mac;
use crate::base::name::{HostName, ProfileName};
use crate::base::refusal::Refusal;
use crate::dhcp::lease::{LeaseAnswer, ProbeResult, SilenceReason, Site};
use crate::dhcp::offer_fallback::BootMethod;
use crate::dhcp::request::{NetbootRequest, Request};
use crate::machine::decide::Decision;

/// What [`answer`](super::answer) needs before it can go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MissingFact<'a> {
    /// The facts of this request on record, and the decision for the machine: [`KnownFacts::decided`].
    Decision(&'a Request),
    /// The machine enrolled under this profile, as `boot.unknown` says, and the decision after that: [`KnownFacts::enrolled`].
    Enrollment(&'a Request, ProfileName),
    /// The form of the offer and the loader: what [`PacketContext::boot_method`](super::PacketContext::boot_method) says, to [`KnownFacts::tries`].
    Manner(&'a Request, NetbootRequest),
    /// What the lease rules settle on, its changes durable: [`KnownFacts::settled`].
    Lease {
        request: &'a Request,
        site: &'a Arc<Site>,
        probe: ProbeResult,
    },
    /// Whether a card answers for this address: [`KnownFacts::probed`].
    Probe(&'a Request, Ipv4Addr),
}

/// What was found out so far to answer one packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownFacts {
    pub(super) decision: Option<Result<Decision, Refusal>>,
    pub(super) was_enrolled: bool,
    pub(super) boot_method: Option<BootMethod>,
    pub(super) settled: Option<Result<LeaseAnswer, Refusal>>,
    /// What the machine is called here, once its lease is settled.
    pub(super) name: Option<HostName>,
    /// What the wire said of the last address that the rules chose.
    pub(super) probe: ProbeResult,
    pub(super) probes: usize,
}

impl KnownFacts {
    /// Before anything was found out. `can_probe` says whether the wire can be asked who has an address.
    pub fn new(can_probe: bool) -> Self {
        Self {
            decision: None,
            was_enrolled: false,
            boot_method: None,
            settled: None,
            name: None,
            probe: match can_probe {
                true => ProbeResult::NotYet,
                false => ProbeResult::Impossible,
            },
            probes: 0,
        }
    }

    /// The decision, or why the facts could not be put on record.
    pub fn decided(&mut self, decision: Result<Decision, Refusal>) {
        self.decision = Some(decision);
    }

    /// The decision after the machine was enrolled, or why it could not be.
    pub fn enrolled(&mut self, decision: Result<Decision, Refusal>) {
        self.decision = Some(decision);
        self.was_enrolled = true;
    }

    pub fn tries(&mut self, boot_method: BootMethod) {
        self.boot_method = Some(boot_method);
    }

    /// What the rules settled on, or why their changes are not durable; and what the machine is called here.
    pub fn settled(&mut self, settled: Result<LeaseAnswer, Refusal>, name: Option<HostName>) {
        self.settled = Some(settled);
        self.name = name;
    }

    /// The card that answered for an address, if one did, or why the wire could not be asked. The rules settle again
    /// with that.
    pub fn probed(&mut self, address: Ipv4Addr, card: Result<Option<Mac>, String>) {
        self.probes += 1;
        self.settled = match card {
            Ok(card) => {
                self.probe = match card {
                    Some(card) => ProbeResult::Answered(address, card),
                    None => ProbeResult::Silent(address),
                };
                None
            }
            Err(error) => {
                let why = SilenceReason::ProbeFailed { address, error };
                Some(Ok(LeaseAnswer::Silence(why)))
            }
        };
    }
}
