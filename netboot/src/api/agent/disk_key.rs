//! Keys of encrypted disks: to the attempt that formats them, and to the installed machine that boots from them.

use super::{refused, running};
use crate::base::refusal::{Refusal, RefusalCode};
use crate::base::timestamp::Timestamp;
use crate::base::token::Digest;
use crate::install::plan::Plan;
use crate::install::report::InstallStep;
use crate::machine::event::Decided;
use crate::machine::event::{EventKind, NewEvent};
use crate::machine::state::ApplianceState;
use crate::machine::{DiskKey, Machine};

/// What the appliance must make for this attempt; asked before [`disk_key_made`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyToSeal {
    /// No new key is made: this ciphertext (base64) answers the retry.
    Again(String),
    /// Make a key and a credential, seal them to the recipient, then call [`disk_key_made`].
    Fresh { recipient: String },
}

/// `POST /node/v1/disk-key`, first half. Refused but in the step `format` of a plan that encrypts something.
pub fn disk_key(
    state: &ApplianceState,
    session: &Digest,
    now: Timestamp,
    from: &str,
) -> Decided<KeyToSeal> {
    let (machine, attempt) = match running(state, session) {
        Ok(held) => held,
        Err(refusal) => return refused(state, None, refusal, now, from),
    };
    let on_record = |refusal| refused(state, Some(machine.id), refusal, now, from);
    let encrypts = |plan: &Plan| !plan.volumes.is_empty();
    let (Some(claim), true) = (&attempt.claim, attempt.plan.as_ref().is_some_and(encrypts)) else {
        return on_record(Refusal::new(
            RefusalCode::WrongState,
            "the plan of this attempt encrypts nothing",
        ));
    };
    match attempt.progress.step {
        Some(InstallStep::Format) => Decided::yes(
            match &attempt.disk_key {
                Some(handed) => KeyToSeal::Again(handed.sealed.clone()),
                None => KeyToSeal::Fresh {
                    recipient: claim.recipient.clone(),
                },
            },
            Vec::new(),
        ),
        Some(step) if step > InstallStep::Format => on_record(Refusal::new(
            RefusalCode::AlreadyReceived,
            "the disks of this attempt are formatted already",
        )),
        _ => {
            let refusal =
                Refusal::new(RefusalCode::TooEarly, "a disk key is for the step `format`");
            on_record(refusal.fact("the agent has not reported that it got there"))
        }
    }
}

/// Second half: the key is made; keep it, or give the ciphertext that another call kept meanwhile.
pub fn disk_key_made(
    state: &ApplianceState,
    session: &Digest,
    kept: String,
    credential: Digest,
    sealed: String,
    now: Timestamp,
    from: &str,
) -> Decided<String> {
    let Decided { answer, events } = disk_key(state, session, now, from);
    match (answer, state.by_session(session)) {
        (Ok(KeyToSeal::Again(before)), _) => Decided::yes(before, events),
        (Ok(KeyToSeal::Fresh { .. }), Some(machine)) => {
            let what = EventKind::DiskKeyMade {
                kept,
                credential,
                sealed: sealed.clone(),
            };
            Decided::yes(sealed, vec![NewEvent::of(machine.id, what)])
        }
        (Ok(KeyToSeal::Fresh { .. }), None) => Decided::no(Refusal::new(
            RefusalCode::Unauthorized,
            "no install attempt is held by this session",
        )),
        (Err(refusal), _) => Decided {
            answer: Err(refusal),
            events,
        },
    }
}

/// `POST /node/v1/unlock`: a machine boots from encrypted disks and asks for the key, by the hash of its credential.
/// Anybody who once had the disk may have that, so the key is given only to a machine in good standing, and each time
/// is on record.
pub fn unlock(
    state: &ApplianceState,
    credential: &Digest,
    now: Timestamp,
    from: &str,
) -> Decided<String> {
    let found = state.by_disk_credential(credential);
    let Some((machine, key)) = found.and_then(|m| Some((m, m.disk_key.as_ref()?))) else {
        let refusal = Refusal::new(
            RefusalCode::Unauthorized,
            "no installed machine has this disk",
        )
        .fact("it was installed again, or forgotten, since")
        .tip("type the recovery key at its console, if you noted it down");
        return refused(state, None, refusal, now, from);
    };
    if let Err(refusal) = in_good_standing(machine) {
        return refused(state, Some(machine.id), refusal, now, from);
    }
    let from = from.to_owned();
    let what = EventKind::Unlocked { from };
    let DiskKey { kept, .. } = key;
    Decided::yes(kept.clone(), vec![NewEvent::of(machine.id, what)])
}

/// Whether its disks are still what was installed on them. This also holds for a machine that is to be installed again,
/// as long as no disk was written: it may start from its disk first, and must not stay closed because its plan was
/// refused.
fn in_good_standing(machine: &Machine) -> Result<(), Refusal> {
    if machine.installed.is_some() && machine.begun.is_empty() {
        return Ok(());
    }
    let title = machine.title();
    let message = format!("{title} gets no disk key: its disks are being written to");
    let refusal = Refusal::new(RefusalCode::WrongState, message);
    Err(refusal
        .fact(format!("it is {}", machine.state))
        .tip(format!(
            "type the recovery key at its console; `pxe-admin key {title}` prints it"
        )))
}
