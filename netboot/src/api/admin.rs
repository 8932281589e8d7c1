//! An operator's command → events, or a refusal that says what to do instead.

mod confirm;
mod enroll;
mod free;
mod key;
mod preview;
mod release;

use std::time::Duration;

use crate::api::agent;
use crate::base::mac::Mac;
use crate::base::name::{HostName, ProfileName};
use crate::base::refusal::{Refusal, RefusalCode};
use crate::base::timestamp::Timestamp;
use crate::base::token::Ticket;
use crate::machine::State;
use crate::machine::event::Decided;
use crate::machine::event::{EventKind, NewEvent};
use crate::machine::state::{ApplianceState, RefusalSubject};
use crate::profile::Profiles;

pub use confirm::confirm;
pub use enroll::{default_name, enroll, enroll_stranger};
pub use key::key;
pub use preview::preview;
pub use release::{BuiltSystem, in_cache, release};

const NOTHING: &str = "nothing was changed";

/// Who commands, when, and with what.
#[derive(Debug, Clone)]
pub struct Operator<'a> {
    pub profiles: &'a Profiles,
    /// `boot.armed-for`
    pub armed_for: Duration,
    pub now: Timestamp,
    /// A new ticket for this command; used if the command arms the machine.
    pub ticket: Ticket,
    /// For the audit: `uid 1000` from the socket.
    pub by: &'a str,
}

/// Which machine a command was about. It changed something if there are drafts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandTarget(pub Mac);

/// Arms an enrolled machine again. `who` is a name or any of its MACs. An install that is running is
/// superseded: its agent is told to stop.
pub fn reimage(
    state: &ApplianceState,
    operator: &Operator<'_>,
    who: &str,
    release: Option<u32>,
) -> Decided<CommandTarget> {
    Decided::from(try_reimage(state, operator, who, release))
}

fn try_reimage(
    state: &ApplianceState,
    operator: &Operator<'_>,
    who: &str,
    release: Option<u32>,
) -> Result<(CommandTarget, Vec<NewEvent>), Refusal> {
    let machine = state.find(who)?;
    let Some(name) = &machine.profile else {
        return Err(Refusal::new(
            RefusalCode::WrongState,
            format!("{} is not enrolled", machine.title()),
        )
        .fact(NOTHING)
        .tip(format!("pxe-admin enroll {} --profile NAME", machine.id)));
    };
    let Some(profile) = operator.profiles.by_name.get(name) else {
        return Err(Refusal::new(
            RefusalCode::UnknownProfile,
            format!("its profile `{name}` is gone"),
        )
        .fact(NOTHING)
        .tip(format!(
            "bring hosts/profiles/{name}.toml back, or forget and enroll it again"
        )));
    };
    let system = profile.system_of(machine.name.as_ref());
    if let Some(number) = release {
        let again = format!("pxe-admin reimage {} --release", machine.title());
        in_cache(state, system, number, &again)?;
    }
    let untouched = machine
        .attempt
        .as_ref()
        .is_some_and(|a| a.number == 1 && a.served.is_none());
    let same = machine
        .armed
        .as_ref()
        .is_some_and(|armed| armed.release == release);
    if machine.state == State::Enrolled && machine.is_armed(operator.now) && same && untouched {
        return Ok((CommandTarget(machine.id), Vec::new()));
    }
    let reimaged = EventKind::Reimaged {
        release,
        until: operator.now.plus(operator.armed_for),
        ticket: operator.ticket.clone(),
        by: operator.by.to_owned(),
    };
    Ok((
        CommandTarget(machine.id),
        vec![NewEvent::of(machine.id, reimaged)],
    ))
}

/// Takes a machine out of the records; what the journal says of it stays.
pub fn forget(
    state: &ApplianceState,
    operator: &Operator<'_>,
    who: &str,
) -> Decided<CommandTarget> {
    Decided::from(state.find(who).map(|machine| {
        let forgotten = EventKind::Forgotten {
            by: operator.by.to_owned(),
        };
        (
            CommandTarget(machine.id),
            vec![NewEvent::of(machine.id, forgotten)],
        )
    }))
}

/// What keeps this machine, which is enrolled with `profile`, from being installed now, in words.
pub fn warnings(
    state: &ApplianceState,
    profiles: &Profiles,
    profile: &ProfileName,
    machine: Option<&HostName>,
) -> Vec<String> {
    let Some(profile) = profiles.by_name.get(profile) else {
        return vec![format!("profile `{profile}` is not in hosts-dir any more")];
    };
    let system = profile.system_of(machine);
    match state.newest(system) {
        Some(_) => Vec::new(),
        None => vec![format!(
            "system `{system}` has no release yet; run `pxe-admin publish {system}`"
        )],
    }
}

/// A call on the operators' port without its token.
pub fn turned_away(
    state: &ApplianceState,
    refusal: Refusal,
    now: Timestamp,
    from: &str,
) -> Decided<()> {
    agent::refused_to(state, RefusalSubject::Admin, refusal, now, from)
}

#[cfg(test)]
mod tests;
