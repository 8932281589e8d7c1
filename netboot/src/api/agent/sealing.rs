//! Secrets: to their claim, at their step, once an attempt.

use super::{refused, running};
use crate::base::name::HostName;
use crate::base::refusal::{Code, Refusal};
use crate::base::timestamp::Timestamp;
use crate::base::token::Digest;
use crate::install::report::Step;
use crate::machine::Secrets;
use crate::machine::event::Verdict;
use crate::machine::event::{Draft, Happening};
use crate::machine::state::World;
use crate::profile::Role;

/// What the appliance must seal for this machine; asked before [`sealed`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToSeal {
    /// Nothing to make: this ciphertext (base64) answers the retry.
    Again(String),
    /// Make secrets for this host name and role, seal them to the recipient, then call [`sealed`].
    Fresh {
        host_name: HostName,
        role: Option<Role>,
        recipient: String,
    },
}

/// `POST /node/v1/secrets`, first half. Refused before the `configure` step and after "received".
pub fn secrets(world: &World, session: &Digest, now: Timestamp, from: &str) -> Verdict<ToSeal> {
    let (machine, attempt) = match running(world, session) {
        Ok(held) => held,
        Err(refusal) => return refused(world, None, refusal, now, from),
    };
    let on_record = |refusal| refused(world, Some(machine.id), refusal, now, from);
    let due = attempt
        .progress
        .step
        .is_some_and(|s| s >= Step::Configure && s != Step::Unknown);
    match (&attempt.secrets, &attempt.plan, &attempt.claim) {
        (Secrets::Received, ..) => on_record(Refusal::new(
            Code::AlreadyReceived,
            "the secrets of this attempt were received",
        )),
        (Secrets::Sealed { sealed }, ..) => Verdict::yes(ToSeal::Again(sealed.clone()), Vec::new()),
        (Secrets::Kept, Some(plan), Some(claim)) if due => {
            let role = plan.k3s.as_ref().map(|k3s| k3s.role);
            let (host_name, recipient) = (plan.host_name.clone(), claim.recipient.clone());
            Verdict::yes(
                ToSeal::Fresh {
                    host_name,
                    role,
                    recipient,
                },
                Vec::new(),
            )
        }
        (Secrets::Kept, ..) => {
            let refusal = Refusal::new(Code::TooEarly, "secrets are for the step `configure`");
            on_record(refusal.fact("the agent has not reported that it got there"))
        }
    }
}

/// Second half: the ciphertext is made; keep it, or give the one that another call kept meanwhile.
pub fn sealed(
    world: &World,
    session: &Digest,
    sealed: String,
    node_key: Digest,
    now: Timestamp,
    from: &str,
) -> Verdict<String> {
    let Verdict { answer, drafts } = secrets(world, session, now, from);
    match (answer, world.by_session(session)) {
        (Ok(ToSeal::Again(kept)), _) => Verdict::yes(kept, drafts),
        (Ok(ToSeal::Fresh { .. }), Some(machine)) => {
            let what = Happening::Sealed {
                sealed: sealed.clone(),
                node_key,
            };
            Verdict::yes(sealed, vec![Draft::of(machine.id, what)])
        }
        (Ok(ToSeal::Fresh { .. }), None) => Verdict::no(Refusal::new(
            Code::Unauthorized,
            "no install attempt is held by this session",
        )),
        (Err(refusal), _) => Verdict {
            answer: Err(refusal),
            drafts,
        },
    }
}

/// `POST /node/v1/secrets/received`: from here on nobody gets them again.
pub fn received(world: &World, session: &Digest, now: Timestamp, from: &str) -> Verdict<()> {
    let (machine, attempt) = match running(world, session) {
        Ok(held) => held,
        Err(refusal) => return refused(world, None, refusal, now, from),
    };
    match attempt.secrets {
        Secrets::Received => Verdict::yes((), Vec::new()),
        Secrets::Sealed { .. } => {
            Verdict::yes((), vec![Draft::of(machine.id, Happening::Received)])
        }
        Secrets::Kept => {
            let refusal = Refusal::new(Code::TooEarly, "no secrets were handed out yet");
            refused(world, Some(machine.id), refusal, now, from)
        }
    }
}
