//! One DHCP packet → its one outcome: what is sent, where to, and what is written down of it.
//!
//! [`answer`] is the walk of a packet, from top to bottom: request → decision → lease → reply. It neither waits nor looks
//! anything up. Where it cannot go on without something that is shared, durable or on the wire, it returns what it needs
//! ([`MissingFact`]); the service finds that, adds it to what is [`KnownFacts`] and calls again. A packet comes to its outcome after a
//! bounded number of calls: each need is met once, and at most [`PROBES`] addresses are asked for.

use std::sync::Arc;

use crate::base::address::ApplianceAddress;
use crate::base::mac::Mac;
use crate::base::name::HostName;
use crate::base::timestamp::Timestamp;
use crate::dhcp::lease::{LeaseAnswer, SilenceReason, Site, Subnet};
use crate::dhcp::offer_fallback::{BootMethod, LoaderAttempts, OfferForm};
use crate::dhcp::reply::{self, BootFile, DhcpReply};
use crate::dhcp::request::{self, BootClient, ClientMessageType, NetbootRequest, Request};
use crate::doctor::boot_trace::BootEvent;
use crate::machine::decide::Decision;

mod known;
mod record;

pub use known::{KnownFacts, MissingFact};
pub use record::UnansweredReason;
use record::asked;

/// Addresses that the wire is asked for to answer one DISCOVER. Where strangers use more of them the answer is late, not
/// missing: the client asks again, and the addresses found in use are not tried again for a while.
pub const PROBES: usize = 4;

/// The UDP port that a packet came in on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DhcpPort {
    /// UDP 67.
    Dhcp,
    /// UDP 4011, where PXE clients ask for the boot file once more.
    Binl,
}

impl DhcpPort {
    pub fn port(self) -> u16 {
        match self {
            Self::Dhcp => 67,
            Self::Binl => 4011,
        }
    }
}

/// One packet, and what is the same for all packets of its LAN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PacketContext<'a> {
    pub request: Result<Request, request::Ignored>,
    pub door: DhcpPort,
    /// Where the appliance is reached on this LAN.
    pub address: &'a ApplianceAddress,
    /// Server mode: what is leased here. Absent in proxy mode, beside another DHCP server.
    pub site: Option<&'a Arc<Site>>,
    /// The appliance's own cards.
    pub own: &'a [Mac],
}

/// What becomes of a packet. Each has exactly one.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PacketOutcome {
    /// Whose packet it was, as far as it could be read.
    pub mac: Option<Mac>,
    pub xid: Option<u32>,
    /// What the packet says of a boot; absent if it is part of none.
    pub asked: Option<BootEvent>,
    /// What is sent, in this order: one answer, or two where the firmware wants address and boot file apart. Or why the
    /// packet is not answered.
    pub answers: Result<Vec<DhcpReply>, UnansweredReason>,
    /// Why the answer names no boot file to a machine that asked for one.
    pub no_file: Option<UnansweredReason>,
}

/// Answers a packet.
///
/// # Errors
/// What must be known first. The caller finds it, adds it to `known`, and calls again.
pub fn answer<'a>(
    question: &'a PacketContext<'a>,
    known: &KnownFacts,
) -> Result<PacketOutcome, MissingFact<'a>> {
    let (answers, no_file) = match walk(question, known) {
        Ok(ReplyWithFile { answers, no_file }) => (Ok(answers), no_file),
        Err(NoReply::Silent(why)) => (Err(why), None),
        Err(NoReply::Needs(need)) => return Err(need),
    };
    let read = question.request.as_ref().ok();
    Ok(PacketOutcome {
        mac: read.map(|request| request.mac),
        xid: read.map(|request| request.xid),
        asked: read.and_then(|request| asked(request, question.door)),
        answers,
        no_file,
    })
}

/// What is sent, and why it names no boot file if it does not.
struct ReplyWithFile {
    answers: Vec<DhcpReply>,
    no_file: Option<UnansweredReason>,
}

/// Why a walk goes no further.
enum NoReply<'a> {
    Needs(MissingFact<'a>),
    Silent(UnansweredReason),
}

impl<'a> From<MissingFact<'a>> for NoReply<'a> {
    fn from(need: MissingFact<'a>) -> Self {
        Self::Needs(need)
    }
}

impl From<UnansweredReason> for NoReply<'_> {
    fn from(why: UnansweredReason) -> Self {
        Self::Silent(why)
    }
}

fn walk<'a>(
    question: &'a PacketContext<'a>,
    known: &KnownFacts,
) -> Result<ReplyWithFile, NoReply<'a>> {
    let request = admitted(question)?;
    let boots = decided(request, known)?;
    let lease = match (question.door, question.site) {
        (DhcpPort::Dhcp, Some(site)) => Some(leased(site, request, known)?),
        (DhcpPort::Dhcp, None) | (DhcpPort::Binl, _) => None,
    };
    let file =
        boots.and_then(|(boot, boot_method)| boot_file(question, request, boot, boot_method));
    Ok(compose(question, request, lease, file)?)
}

/// The request, if it is one that this port answers in this mode.
fn admitted<'a>(question: &'a PacketContext<'_>) -> Result<&'a Request, UnansweredReason> {
    let request = match &question.request {
        Ok(request) => request,
        Err(ignored) => return Err(UnansweredReason::Unreadable(ignored.clone())),
    };
    if question.own.contains(&request.mac) {
        return Err(UnansweredReason::Own);
    }
    match (question.door, question.site) {
        (DhcpPort::Dhcp, Some(_)) => Ok(request),
        // A client that does not netboot has another DHCP server.
        (DhcpPort::Binl, _) | (DhcpPort::Dhcp, None) if request.boot.is_none() => {
            Err(UnansweredReason::NotNetboot)
        }
        (DhcpPort::Binl, _) => match request.kind {
            ClientMessageType::Request | ClientMessageType::Inform => Ok(request),
            ClientMessageType::Discover
            | ClientMessageType::Decline
            | ClientMessageType::Release => Err(UnansweredReason::NotForBinl),
        },
        (DhcpPort::Dhcp, None) => match request.kind {
            ClientMessageType::Discover => Ok(request),
            ClientMessageType::Request
            | ClientMessageType::Inform
            | ClientMessageType::Decline
            | ClientMessageType::Release => Err(UnansweredReason::ForTheServer),
        },
    }
}

/// The firmware that boots from here and its boot method, or why it does not boot from here.
type BootDecision<'k> = Result<(NetbootRequest, &'k BootMethod), UnansweredReason>;

/// iPXE, U-Boot and Raspberry Pi have one form that is specified, and need no loader.
const SPECIFIED: &BootMethod = &BootMethod {
    form: OfferForm::Usual,
    loader: None,
};

fn decided<'a, 'k>(
    request: &'a Request,
    known: &'k KnownFacts,
) -> Result<BootDecision<'k>, MissingFact<'a>> {
    let Some(boot) = request.boot else {
        return Ok(Err(UnansweredReason::NotNetboot));
    };
    match &known.decision {
        None => return Err(MissingFact::Decision(request)),
        Some(Err(refusal)) => return Ok(Err(UnansweredReason::Refused(refusal.clone()))),
        Some(Ok(Decision::Disk(reason) | Decision::Silence(reason))) => {
            return Ok(Err(UnansweredReason::Decided(reason.clone())));
        }
        Some(Ok(Decision::Enroll(_))) if known.was_enrolled => {
            return Ok(Err(UnansweredReason::NotArmed));
        }
        Some(Ok(Decision::Enroll(profile))) => {
            return Err(MissingFact::Enrollment(request, profile.clone()));
        }
        Some(Ok(Decision::Install | Decision::Wait | Decision::Discover)) => {}
    }
    match (boot.client, &known.boot_method) {
        (BootClient::Ipxe | BootClient::RaspberryPi | BootClient::UBoot, _) => {
            Ok(Ok((boot, SPECIFIED)))
        }
        (BootClient::Pxe | BootClient::Http | BootClient::UBootUefi, Some(boot_method)) => {
            Ok(Ok((boot, boot_method)))
        }
        (BootClient::Pxe | BootClient::Http | BootClient::UBootUefi, None) => {
            Err(MissingFact::Manner(request, boot))
        }
    }
}

/// An answer of the lease rules, for a client of this subnet.
struct LeasedAddress<'a, 'k> {
    settled: &'k LeaseAnswer,
    name: Option<&'k HostName>,
    subnet: &'a Subnet,
}

/// Server mode: an address for everybody, whether or not there is something to boot with it.
fn leased<'a, 'k>(
    site: &'a Arc<Site>,
    request: &'a Request,
    known: &'k KnownFacts,
) -> Result<LeasedAddress<'a, 'k>, NoReply<'a>> {
    let settled = match &known.settled {
        None => {
            let probe = known.probe;
            return Err(NoReply::Needs(MissingFact::Lease {
                request,
                site,
                probe,
            }));
        }
        Some(Err(refusal)) => return Err(UnansweredReason::Refused(refusal.clone()).into()),
        Some(Ok(LeaseAnswer::Silence(why))) => {
            return Err(UnansweredReason::Lease(why.clone()).into());
        }
        Some(Ok(LeaseAnswer::Probe(_))) if known.probes == PROBES => {
            return Err(UnansweredReason::Lease(SilenceReason::FreeAddressesInUse(PROBES)).into());
        }
        Some(Ok(LeaseAnswer::Probe(address))) => {
            return Err(MissingFact::Probe(request, *address).into());
        }
        Some(Ok(settled)) => settled,
    };
    let Some(subnet) = site.subnet(request) else {
        return Err(UnansweredReason::Lease(SilenceReason::SubnetNotServed).into());
    };
    Ok(LeasedAddress {
        settled,
        name: known.name.as_ref(),
        subnet,
    })
}

/// The file that a machine is told to load, and the form in which it is told.
type OfferedFile = (NetbootRequest, BootFile, OfferForm);

fn boot_file(
    question: &PacketContext<'_>,
    request: &Request,
    boot: NetbootRequest,
    boot_method: &BootMethod,
) -> Result<OfferedFile, UnansweredReason> {
    let loader = boot_method.loader.as_deref();
    let file = reply::boot_file(request, boot, loader, question.address);
    let file = file.ok_or_else(|| match reply::loaders(boot) {
        [] => UnansweredReason::NoLoader(format!("{:?}", boot.arch)),
        names => UnansweredReason::LoaderMissing(names.join("` or `")),
    })?;
    Ok((boot, file, boot_method.form))
}

/// The bytes of the reply, by all that is settled.
fn compose(
    question: &PacketContext<'_>,
    request: &Request,
    lease: Option<LeasedAddress<'_, '_>>,
    file: Result<OfferedFile, UnansweredReason>,
) -> Result<ReplyWithFile, UnansweredReason> {
    let address = question.address;
    if let Some(lease) = lease {
        return server_reply(request, &lease, file, address);
    }
    let (boot, file, form) = file?;
    let answer = match question.door {
        DhcpPort::Binl => reply::binl_ack(request, boot, &file, form, address)?,
        DhcpPort::Dhcp if boot.client.follows_its_lease() => {
            return Err(UnansweredReason::ForTheServer);
        }
        DhcpPort::Dhcp => reply::proxy_offer(request, boot, &file, form, address)?,
    };
    Ok(ReplyWithFile {
        answers: vec![answer],
        no_file: None,
    })
}

fn server_reply(
    request: &Request,
    lease: &LeasedAddress<'_, '_>,
    file: Result<OfferedFile, UnansweredReason>,
    address: &ApplianceAddress,
) -> Result<ReplyWithFile, UnansweredReason> {
    let told = file.as_ref().ok();
    let told = told.map(|(boot, file, form)| (*boot, file, *form));
    let (settled, network) = (lease.settled, &lease.subnet.network);
    let mut answers = reply::server_answers(request, settled, told, network, lease.name, address)?;
    let no_file = file.err();
    if let (Some(why), Some(_), Some(answer)) = (&no_file, request.boot, answers.first_mut()) {
        answer.given = format!("{}, nothing to boot: {why}", answer.given);
    }
    Ok(ReplyWithFile { answers, no_file })
}

impl PacketContext<'_> {
    /// The boot method for a machine's firmware: what worked before, else what was not tried yet. `worked` is on record
    /// for the machine; `has` says whether a loader is there.
    pub fn boot_method(
        &self,
        loader_attempts: &mut LoaderAttempts,
        request: &Request,
        boot: NetbootRequest,
        worked: Option<&BootMethod>,
        has: impl Fn(&str) -> bool,
        now: Timestamp,
    ) -> BootMethod {
        let mac = request.mac;
        let loaders = reply::loaders(boot).iter().copied();
        let loaders: Vec<&str> = loaders.filter(|name| has(name)).collect();
        let forms = OfferForm::all(boot, self.site.is_some());
        match (self.door, request.kind) {
            (DhcpPort::Dhcp, ClientMessageType::Discover) => {
                loader_attempts.discover(mac, boot, worked, forms, &loaders, now)
            }
            (DhcpPort::Dhcp, _) => loader_attempts.current(mac, boot, worked, forms, &loaders),
            (DhcpPort::Binl, _) => {
                loader_attempts.taken(mac);
                loader_attempts.current(mac, boot, worked, forms, &loaders)
            }
        }
    }
}

#[cfg(test)]
mod tests;
