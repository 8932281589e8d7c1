//! `confirm`: an operator lets a machine wipe what it waits with, as far as the operator was shown it.

use super::{CommandTarget, NOTHING, Operator};
use crate::base::refusal::{Refusal, RefusalCode};
use crate::machine::AttemptWait;
use crate::machine::event::Decided;
use crate::machine::event::{EventKind, NewEvent};
use crate::machine::state::ApplianceState;
use crate::machine::wipe_confirmation::DiskContents;

/// Says yes to exactly the disks and contents that the machine waits with, if they are what the operator has `seen`; the
/// same again changes nothing. The order to install is in force from now on as if it had just been given.
pub fn confirm(
    state: &ApplianceState,
    operator: &Operator<'_>,
    who: &str,
    seen: &[DiskContents],
) -> Decided<CommandTarget> {
    Decided::from(try_confirm(state, operator, who, seen))
}

fn try_confirm(
    state: &ApplianceState,
    operator: &Operator<'_>,
    who: &str,
    seen: &[DiskContents],
) -> Result<(CommandTarget, Vec<NewEvent>), Refusal> {
    let machine = state.find(who)?;
    match machine.waiting() {
        Some(AttemptWait::Wipe { disks }) if disks != seen => {
            let title = machine.title();
            let message = format!("{title} asks about something else by now");
            let refusal = Refusal::new(RefusalCode::WrongState, message);
            let facts = disks.iter().map(|found| format!("on disk {found}"));
            Err(facts
                .fold(refusal, Refusal::fact)
                .fact(NOTHING)
                .tip(format!("to have this wiped: pxe-admin confirm {title}")))
        }
        Some(AttemptWait::Wipe { disks }) => {
            let confirmed = EventKind::Confirmed {
                disks: disks.clone(),
                until: operator.now.plus(operator.armed_for),
                by: operator.by.to_owned(),
            };
            Ok((
                CommandTarget(machine.id),
                vec![NewEvent::of(machine.id, confirmed)],
            ))
        }
        None if !machine.confirmed.is_empty() => Ok((CommandTarget(machine.id), Vec::new())),
        None => {
            let title = machine.title();
            let refusal = Refusal::new(
                RefusalCode::WrongState,
                format!("{title} does not wait for a word of yours"),
            );
            Err(refusal
                .fact(format!("it is {} since {}", machine.state, machine.since))
                .fact(NOTHING)
                .tip(format!("pxe-admin show {title}")))
        }
    }
}
