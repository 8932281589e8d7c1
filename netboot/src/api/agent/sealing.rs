//! Secrets: to their claim, at their step, once an attempt.

use super::{refused, running};
use crate::base::name::HostName;
use crate::base::refusal::{Refusal, RefusalCode};
use crate::base::timestamp::Timestamp;
use crate::base::token::Digest;
use crate::install::report::InstallStep;
use crate::machine::Secrets;
use crate::machine::event::Decided;
use crate::machine::event::{EventKind, NewEvent};
use crate::machine::state::ApplianceState;
use crate::profile::Role;

/// What the appliance must seal for this machine; asked before [`sealed`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToSeal {
    /// No new secrets are made: this ciphertext (base64) answers the retry.
    Again(String),
    /// Make secrets for this host name and role, seal them to the recipient, then call [`sealed`].
    Fresh {
        host_name: HostName,
        role: Option<Role>,
        recipient: String,
    },
}

/// `POST /node/v1/secrets`, first half. Refused before the `configure` step and after "received".
pub fn secrets(
    state: &ApplianceState,
    session: &Digest,
    now: Timestamp,
    from: &str,
) -> Decided<ToSeal> {
    let (machine, attempt) = match running(state, session) {
        Ok(held) => held,
        Err(refusal) => return refused(state, None, refusal, now, from),
    };
    let on_record = |refusal| refused(state, Some(machine.id), refusal, now, from);
    let due = attempt
        .progress
        .step
        .is_some_and(|s| s >= InstallStep::Configure && s != InstallStep::Unknown);
    match (&attempt.secrets, &attempt.plan, &attempt.claim) {
        (Secrets::Received, ..) => on_record(Refusal::new(
            RefusalCode::AlreadyReceived,
            "the secrets of this attempt were received",
        )),
        (Secrets::Sealed { sealed }, ..) => Decided::yes(ToSeal::Again(sealed.clone()), Vec::new()),
        (Secrets::Kept, Some(plan), Some(claim)) if due => {
            let role = plan.k3s.as_ref().map(|k3s| k3s.role);
            let (host_name, recipient) = (plan.host_name.clone(), claim.recipient.clone());
            Decided::yes(
                ToSeal::Fresh {
                    host_name,
                    role,
                    recipient,
                },
                Vec::new(),
            )
        }
        (Secrets::Kept, ..) => {
            let refusal = Refusal::new(
                RefusalCode::TooEarly,
                "secrets are for the step `configure`",
            );
            on_record(refusal.fact("the agent has not reported that it got there"))
        }
    }
}

/// Second half: the ciphertext is made; keep it, or give the one that another call kept meanwhile.
pub fn sealed(
    state: &ApplianceState,
    session: &Digest,
    sealed: String,
    node_key: Digest,
    now: Timestamp,
    from: &str,
) -> Decided<String> {
    let Decided { answer, events } = secrets(state, session, now, from);
    match (answer, state.by_session(session)) {
        (Ok(ToSeal::Again(kept)), _) => Decided::yes(kept, events),
        (Ok(ToSeal::Fresh { .. }), Some(machine)) => {
            let what = EventKind::Sealed {
                sealed: sealed.clone(),
                node_key,
            };
            Decided::yes(sealed, vec![NewEvent::of(machine.id, what)])
        }
        (Ok(ToSeal::Fresh { .. }), None) => Decided::no(Refusal::new(
            RefusalCode::Unauthorized,
            "no install attempt is held by this session",
        )),
        (Err(refusal), _) => Decided {
            answer: Err(refusal),
            events,
        },
    }
}

/// `POST /node/v1/secrets/received`: from here on they are not handed out again.
pub fn received(
    state: &ApplianceState,
    session: &Digest,
    now: Timestamp,
    from: &str,
) -> Decided<()> {
    let (machine, attempt) = match running(state, session) {
        Ok(held) => held,
        Err(refusal) => return refused(state, None, refusal, now, from),
    };
    match attempt.secrets {
        Secrets::Received => Decided::yes((), Vec::new()),
        Secrets::Sealed { .. } => {
            Decided::yes((), vec![NewEvent::of(machine.id, EventKind::Received)])
        }
        Secrets::Kept => {
            let refusal = Refusal::new(RefusalCode::TooEarly, "no secrets were handed out yet");
            refused(state, Some(machine.id), refusal, now, from)
        }
    }
}
