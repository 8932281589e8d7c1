//! One DHCP packet → its one outcome: what is sent, where to, and what is written down of it.
//!
//! [`answer`] is the walk of a packet, from top to bottom: request → decision → lease → reply. It neither waits nor looks
//! anything up. Where it cannot go on without something that is shared, durable or on the wire, it returns what it needs
//! ([`Need`]); the service finds that, adds it to what is [`Known`] and calls again. A packet comes to its outcome after a
//! bounded number of calls: each need is met once, and at most [`PROBES`] addresses are asked for.

use std::sync::Arc;

use crate::base::address::Address;
use crate::base::mac::Mac;
use crate::base::name::HostName;
use crate::base::timestamp::Timestamp;
use crate::dhcp::lease::{Settled, SilenceReason, Site, Subnet};
use crate::dhcp::offer_fallback::{Form, Manner, Trials};
use crate::dhcp::reply::{self, Answer, BootFile};
use crate::dhcp::request::{self, Boot, Client, Kind, Request};
use crate::doctor::boot_trace::Mark;
use crate::machine::decide::Decision;

mod known;
mod record;

pub use known::{Known, Need};
pub use record::Unanswered;
use record::asked;

/// Addresses that the wire is asked for to answer one DISCOVER. Where strangers use more of them the answer is late, not
/// missing: the client asks again, and the addresses found in use are not tried again for a while.
pub const PROBES: usize = 4;

/// The UDP port that a packet came in on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// UDP 67.
    Dhcp,
    /// UDP 4011, where PXE clients ask for the boot file once more.
    Binl,
}

impl Door {
    pub fn port(self) -> u16 {
        match self {
            Self::Dhcp => 67,
            Self::Binl => 4011,
        }
    }
}

/// One packet, and what is the same for all packets of its LAN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question<'a> {
    pub request: Result<Request, request::Ignored>,
    pub door: Door,
    /// Where the appliance is reached on this LAN.
    pub address: &'a Address,
    /// Server mode: what is leased here. Absent in proxy mode, beside another DHCP server.
    pub site: Option<&'a Arc<Site>>,
    /// The appliance's own cards.
    pub own: &'a [Mac],
}

/// What becomes of a packet. Each has exactly one.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Whose packet it was, as far as it could be read.
    pub mac: Option<Mac>,
    pub xid: Option<u32>,
    /// What the packet says of a boot; absent if it is part of none.
    pub asked: Option<Mark>,
    /// What is sent, in this order: one answer, or two where the firmware wants address and boot file apart. Or why
    /// nothing is sent.
    pub answers: Result<Vec<Answer>, Unanswered>,
    /// Why the answer names no boot file to a machine that asked for one.
    pub no_file: Option<Unanswered>,
}

/// Answers a packet.
///
/// # Errors
/// What must be known first. Whoever adds it to `known` and calls again gets further.
pub fn answer<'a>(question: &'a Question<'a>, known: &Known) -> Result<Outcome, Need<'a>> {
    let (answers, no_file) = match walk(question, known) {
        Ok(Reply { answers, no_file }) => (Ok(answers), no_file),
        Err(Stop::Silent(why)) => (Err(why), None),
        Err(Stop::Needs(need)) => return Err(need),
    };
    let read = question.request.as_ref().ok();
    Ok(Outcome {
        mac: read.map(|request| request.mac),
        xid: read.map(|request| request.xid),
        asked: read.and_then(|request| asked(request, question.door)),
        answers,
        no_file,
    })
}

/// What is sent, and why it names no boot file if it does not.
struct Reply {
    answers: Vec<Answer>,
    no_file: Option<Unanswered>,
}

/// Why a walk goes no further.
enum Stop<'a> {
    Needs(Need<'a>),
    Silent(Unanswered),
}

impl<'a> From<Need<'a>> for Stop<'a> {
    fn from(need: Need<'a>) -> Self {
        Self::Needs(need)
    }
}

impl From<Unanswered> for Stop<'_> {
    fn from(why: Unanswered) -> Self {
        Self::Silent(why)
    }
}

fn walk<'a>(question: &'a Question<'a>, known: &Known) -> Result<Reply, Stop<'a>> {
    let request = admitted(question)?;
    let boots = decided(request, known)?;
    let lease = match (question.door, question.site) {
        (Door::Dhcp, Some(site)) => Some(leased(site, request, known)?),
        (Door::Dhcp, None) | (Door::Binl, _) => None,
    };
    let file = boots.and_then(|(boot, manner)| boot_file(question, request, boot, manner));
    Ok(compose(question, request, lease, file)?)
}

/// The request, if it is one that this door answers in this mode.
fn admitted<'a>(question: &'a Question<'_>) -> Result<&'a Request, Unanswered> {
    let request = match &question.request {
        Ok(request) => request,
        Err(ignored) => return Err(Unanswered::Unreadable(ignored.clone())),
    };
    if question.own.contains(&request.mac) {
        return Err(Unanswered::Own);
    }
    match (question.door, question.site) {
        (Door::Dhcp, Some(_)) => Ok(request),
        // Whatever does not netboot has another server to talk to.
        (Door::Binl, _) | (Door::Dhcp, None) if request.boot.is_none() => {
            Err(Unanswered::NotNetboot)
        }
        (Door::Binl, _) => match request.kind {
            Kind::Request | Kind::Inform => Ok(request),
            Kind::Discover | Kind::Decline | Kind::Release => Err(Unanswered::NotForBinl),
        },
        (Door::Dhcp, None) => match request.kind {
            Kind::Discover => Ok(request),
            Kind::Request | Kind::Inform | Kind::Decline | Kind::Release => {
                Err(Unanswered::ForTheServer)
            }
        },
    }
}

/// The firmware that boots from here and the manner in which it is answered, or why it does not boot from here.
type Boots<'k> = Result<(Boot, &'k Manner), Unanswered>;

/// iPXE, U-Boot and Raspberry Pi have one form that is specified, and need no loader.
const SPECIFIED: &Manner = &Manner {
    form: Form::Usual,
    loader: None,
};

fn decided<'a, 'k>(request: &'a Request, known: &'k Known) -> Result<Boots<'k>, Need<'a>> {
    let Some(boot) = request.boot else {
        return Ok(Err(Unanswered::NotNetboot));
    };
    match &known.decision {
        None => return Err(Need::Decision(request)),
        Some(Err(refusal)) => return Ok(Err(Unanswered::Refused(refusal.clone()))),
        Some(Ok(Decision::Disk(reason) | Decision::Silence(reason))) => {
            return Ok(Err(Unanswered::Decided(reason.clone())));
        }
        Some(Ok(Decision::Enroll(_))) if known.was_enrolled => {
            return Ok(Err(Unanswered::NotArmed));
        }
        Some(Ok(Decision::Enroll(profile))) => {
            return Err(Need::Enrollment(request, profile.clone()));
        }
        Some(Ok(Decision::Install | Decision::Wait | Decision::Discover)) => {}
    }
    match (boot.client, &known.manner) {
        (Client::Ipxe | Client::RaspberryPi | Client::UBoot, _) => Ok(Ok((boot, SPECIFIED))),
        (Client::Pxe | Client::Http | Client::UBootUefi, Some(manner)) => Ok(Ok((boot, manner))),
        (Client::Pxe | Client::Http | Client::UBootUefi, None) => Err(Need::Manner(request, boot)),
    }
}

/// An answer of the lease rules, for a client of this subnet.
struct Leased<'a, 'k> {
    settled: &'k Settled,
    name: Option<&'k HostName>,
    subnet: &'a Subnet,
}

/// Server mode: an address for everybody, whether or not there is something to boot with it.
fn leased<'a, 'k>(
    site: &'a Arc<Site>,
    request: &'a Request,
    known: &'k Known,
) -> Result<Leased<'a, 'k>, Stop<'a>> {
    let settled = match &known.settled {
        None => {
            let probe = known.probe;
            return Err(Stop::Needs(Need::Lease {
                request,
                site,
                probe,
            }));
        }
        Some(Err(refusal)) => return Err(Unanswered::Refused(refusal.clone()).into()),
        Some(Ok(Settled::Silence(why))) => return Err(Unanswered::Lease(why.clone()).into()),
        Some(Ok(Settled::Probe(_))) if known.probes == PROBES => {
            return Err(Unanswered::Lease(SilenceReason::FreeAddressesInUse(PROBES)).into());
        }
        Some(Ok(Settled::Probe(address))) => return Err(Need::Probe(request, *address).into()),
        Some(Ok(settled)) => settled,
    };
    let Some(subnet) = site.subnet(request) else {
        return Err(Unanswered::Lease(SilenceReason::SubnetNotServed).into());
    };
    Ok(Leased {
        settled,
        name: known.name.as_ref(),
        subnet,
    })
}

/// The file that a machine is told to load, and the form in which it is told.
type Told = (Boot, BootFile, Form);

fn boot_file(
    question: &Question<'_>,
    request: &Request,
    boot: Boot,
    manner: &Manner,
) -> Result<Told, Unanswered> {
    let loader = manner.loader.as_deref();
    let file = reply::boot_file(request, boot, loader, question.address);
    let file = file.ok_or_else(|| match reply::loaders(boot) {
        [] => Unanswered::NoLoader(format!("{:?}", boot.arch)),
        names => Unanswered::LoaderMissing(names.join("` or `")),
    })?;
    Ok((boot, file, manner.form))
}

/// The bytes of the reply, by all that is settled.
fn compose(
    question: &Question<'_>,
    request: &Request,
    lease: Option<Leased<'_, '_>>,
    file: Result<Told, Unanswered>,
) -> Result<Reply, Unanswered> {
    let address = question.address;
    if let Some(lease) = lease {
        return server_reply(request, &lease, file, address);
    }
    let (boot, file, form) = file?;
    let answer = match question.door {
        Door::Binl => reply::binl_ack(request, boot, &file, form, address)?,
        Door::Dhcp if boot.client.follows_its_lease() => return Err(Unanswered::ForTheServer),
        Door::Dhcp => reply::proxy_offer(request, boot, &file, form, address)?,
    };
    Ok(Reply {
        answers: vec![answer],
        no_file: None,
    })
}

fn server_reply(
    request: &Request,
    lease: &Leased<'_, '_>,
    file: Result<Told, Unanswered>,
    address: &Address,
) -> Result<Reply, Unanswered> {
    let told = file.as_ref().ok();
    let told = told.map(|(boot, file, form)| (*boot, file, *form));
    let (settled, network) = (lease.settled, &lease.subnet.network);
    let mut answers = reply::server_answers(request, settled, told, network, lease.name, address)?;
    let no_file = file.err();
    if let (Some(why), Some(_), Some(answer)) = (&no_file, request.boot, answers.first_mut()) {
        answer.given = format!("{}, nothing to boot: {why}", answer.given);
    }
    Ok(Reply { answers, no_file })
}

impl Question<'_> {
    /// The manner in which a machine's firmware is answered: what worked before, else what was not tried yet. `worked` is
    /// on record for the machine; `has` says whether a loader is there.
    pub fn manner(
        &self,
        trials: &mut Trials,
        request: &Request,
        boot: Boot,
        worked: Option<&Manner>,
        has: impl Fn(&str) -> bool,
        now: Timestamp,
    ) -> Manner {
        let mac = request.mac;
        let loaders = reply::loaders(boot).iter().copied();
        let loaders: Vec<&str> = loaders.filter(|name| has(name)).collect();
        let forms = Form::all(boot, self.site.is_some());
        match (self.door, request.kind) {
            (Door::Dhcp, Kind::Discover) => {
                trials.discover(mac, boot, worked, forms, &loaders, now)
            }
            (Door::Dhcp, _) => trials.current(mac, boot, worked, forms, &loaders),
            (Door::Binl, _) => {
                trials.taken(mac);
                trials.current(mac, boot, worked, forms, &loaders)
            }
        }
    }
}

#[cfg(test)]
mod tests;
