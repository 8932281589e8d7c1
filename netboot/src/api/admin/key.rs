//! `key`: an operator asks for the recovery key of a machine's encrypted disks.

use super::NOTHING;
use crate::base::mac::Mac;
use crate::base::name::HostName;
use crate::base::refusal::{Refusal, RefusalCode};
use crate::machine::event::Decided;
use crate::machine::event::{EventKind, NewEvent};
use crate::machine::state::ApplianceState;
use crate::machine::{DiskKey, Machine};

/// Whose key, and the key as the appliance keeps it; also of a machine that was forgotten. `by` is who asks: every time
/// is on record.
pub fn key(state: &ApplianceState, by: &str, who: &str) -> Decided<(HostName, DiskKey)> {
    Decided::from(try_key(state, by, who))
}

fn try_key(
    state: &ApplianceState,
    by: &str,
    who: &str,
) -> Result<((HostName, DiskKey), Vec<NewEvent>), Refusal> {
    let (id, name, key) = match state.find(who) {
        Ok(machine) => kept(machine)
            .or_else(|| forgotten(state, who))
            .ok_or_else(|| none(machine))?,
        Err(refusal) => forgotten(state, who).ok_or(refusal)?,
    };
    let by = by.to_owned();
    let shown = NewEvent::of(id, EventKind::KeyShown { by });
    Ok(((name.clone(), key.clone()), vec![shown]))
}

fn kept(machine: &Machine) -> Option<(Mac, &HostName, &DiskKey)> {
    Some((
        machine.id,
        machine.name.as_ref()?,
        machine.disk_key.as_ref()?,
    ))
}

fn forgotten<'a>(state: &'a ApplianceState, who: &str) -> Option<(Mac, &'a HostName, &'a DiskKey)> {
    let mac: Option<Mac> = who.parse().ok();
    let mut all = state.forgotten_keys.iter();
    let (id, (name, key)) =
        all.find(|(id, (name, _))| Some(**id) == mac || name.as_str() == who)?;
    Some((*id, name, key))
}

fn none(machine: &Machine) -> Refusal {
    let title = machine.title();
    let under_way = machine.attempt.as_ref();
    let under_way = under_way.is_some_and(|attempt| attempt.disk_key.is_some());
    let refusal = Refusal::new(RefusalCode::WrongState, format!("{title} has no disk key"));
    match (under_way, machine.installed) {
        (true, _) => refusal
            .fact("one was made for its installation, which is not done")
            .fact(NOTHING)
            .tip(format!("pxe-admin watch {title}")),
        (false, Some(_)) => refusal
            .fact("nothing is encrypted on the disks that this appliance installed")
            .fact(NOTHING)
            .tip("in its profile: [disk] layout = \"luks-ext4\"")
            .tip(format!("pxe-admin reimage {title}")),
        (false, None) => refusal
            .fact(format!("it is {} and was never installed", machine.state))
            .fact(NOTHING)
            .tip(format!("pxe-admin show {title}")),
    }
}
