//! `confirm`: an operator lets a machine wipe what it asked about, and he was shown.

use super::{About, NOTHING, Operator};
use crate::base::refusal::{Code, Refusal};
use crate::machine::Waits;
use crate::machine::event::Verdict;
use crate::machine::event::{Draft, Happening};
use crate::machine::state::World;
use crate::machine::wipe_confirmation::Found;

/// Says yes to exactly the disks and contents that the machine waits with, if they are what the operator has `seen`; the
/// same again changes nothing. The order to install is in force from now on as if it had just been given.
pub fn confirm(
    world: &World,
    operator: &Operator<'_>,
    who: &str,
    seen: &[Found],
) -> Verdict<About> {
    Verdict::from(try_confirm(world, operator, who, seen))
}

fn try_confirm(
    world: &World,
    operator: &Operator<'_>,
    who: &str,
    seen: &[Found],
) -> Result<(About, Vec<Draft>), Refusal> {
    let machine = world.find(who)?;
    match machine.waiting() {
        Some(Waits::Wipe { disks }) if disks != seen => {
            let title = machine.title();
            let message = format!("{title} asks about something else by now");
            let refusal = Refusal::new(Code::WrongState, message);
            let facts = disks.iter().map(|found| format!("on disk {found}"));
            Err(facts
                .fold(refusal, Refusal::fact)
                .fact(NOTHING)
                .tip(format!("to have this wiped: pxe-admin confirm {title}")))
        }
        Some(Waits::Wipe { disks }) => {
            let confirmed = Happening::Confirmed {
                disks: disks.clone(),
                until: operator.now.plus(operator.armed_for),
                by: operator.by.to_owned(),
            };
            Ok((About(machine.id), vec![Draft::of(machine.id, confirmed)]))
        }
        None if !machine.confirmed.is_empty() => Ok((About(machine.id), Vec::new())),
        None => {
            let title = machine.title();
            let refusal = Refusal::new(
                Code::WrongState,
                format!("{title} does not wait for a word of yours"),
            );
            Err(refusal
                .fact(format!("it is {} since {}", machine.state, machine.since))
                .fact(NOTHING)
                .tip(format!("pxe-admin show {title}")))
        }
    }
}
