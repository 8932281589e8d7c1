//! What the walk of a packet needs from the service, and what the service found out.

use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::base::mac::Mac;
use crate::base::name::{HostName, ProfileName};
use crate::base::refusal::Refusal;
use crate::dhcp::lease::{Probe, Settled, SilenceReason, Site};
use crate::dhcp::offer_fallback::Manner;
use crate::dhcp::request::{Boot, Request};
use crate::machine::decide::Decision;

/// What [`answer`](super::answer) needs before it can go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need<'a> {
    /// The facts of this request on record, and the decision for the machine: [`Known::decided`].
    Decision(&'a Request),
    /// The machine enrolled under this profile, as `boot.unknown` says, and the decision after that: [`Known::enrolled`].
    Enrollment(&'a Request, ProfileName),
    /// The form of the offer and the loader: what [`Question::manner`](super::Question::manner) says, to [`Known::tries`].
    Manner(&'a Request, Boot),
    /// What the lease rules settle on, its changes durable: [`Known::settled`].
    Lease {
        request: &'a Request,
        site: &'a Arc<Site>,
        probe: Probe,
    },
    /// Whether a card answers for this address: [`Known::probed`].
    Probe(&'a Request, Ipv4Addr),
}

/// What was found out so far to answer one packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub(super) decision: Option<Result<Decision, Refusal>>,
    pub(super) was_enrolled: bool,
    pub(super) manner: Option<Manner>,
    pub(super) settled: Option<Result<Settled, Refusal>>,
    /// What the machine is called here, once its lease is settled.
    pub(super) name: Option<HostName>,
    /// What the wire said of the last address that the rules chose.
    pub(super) probe: Probe,
    pub(super) probes: usize,
}

impl Known {
    /// Before anything was found out. `can_probe` says whether the wire can be asked who has an address.
    pub fn new(can_probe: bool) -> Self {
        Self {
            decision: None,
            was_enrolled: false,
            manner: None,
            settled: None,
            name: None,
            probe: match can_probe {
                true => Probe::NotYet,
                false => Probe::Impossible,
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

    pub fn tries(&mut self, manner: Manner) {
        self.manner = Some(manner);
    }

    /// What the rules settled on, or why their changes are not durable; and what the machine is called here.
    pub fn settled(&mut self, settled: Result<Settled, Refusal>, name: Option<HostName>) {
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
                    Some(card) => Probe::Answered(address, card),
                    None => Probe::Silent(address),
                };
                None
            }
            Err(error) => {
                let why = SilenceReason::ProbeFailed { address, error };
                Some(Ok(Settled::Silence(why)))
            }
        };
    }
}
