//! `key`: an operator asks for the recovery key of a machine's encrypted disks.

use super::NOTHING;
use crate::base::mac::Mac;
use crate::base::name::HostName;
use crate::base::refusal::{Code, Refusal};
use crate::machine::event::Verdict;
use crate::machine::event::{Draft, Happening};
use crate::machine::state::World;
use crate::machine::{DiskKey, Machine};

/// Whose key, and the key as the appliance keeps it; also of a machine that was forgotten. `by` is who asks: every time
/// is on record.
pub fn key(world: &World, by: &str, who: &str) -> Verdict<(HostName, DiskKey)> {
    Verdict::from(try_key(world, by, who))
}

fn try_key(
    world: &World,
    by: &str,
    who: &str,
) -> Result<((HostName, DiskKey), Vec<Draft>), Refusal> {
    let (id, name, key) = match world.find(who) {
        Ok(machine) => kept(machine)
            .or_else(|| forgotten(world, who))
            .ok_or_else(|| none(machine))?,
        Err(refusal) => forgotten(world, who).ok_or(refusal)?,
    };
    let by = by.to_owned();
    let shown = Draft::of(id, Happening::KeyShown { by });
    Ok(((name.clone(), key.clone()), vec![shown]))
}

fn kept(machine: &Machine) -> Option<(Mac, &HostName, &DiskKey)> {
    Some((
        machine.id,
        machine.name.as_ref()?,
        machine.disk_key.as_ref()?,
    ))
}

fn forgotten<'a>(world: &'a World, who: &str) -> Option<(Mac, &'a HostName, &'a DiskKey)> {
    let mac: Option<Mac> = who.parse().ok();
    let mut all = world.forgotten_keys.iter();
    let (id, (name, key)) =
        all.find(|(id, (name, _))| Some(**id) == mac || name.as_str() == who)?;
    Some((*id, name, key))
}

fn none(machine: &Machine) -> Refusal {
    let title = machine.title();
    let under_way = machine.attempt.as_ref();
    let under_way = under_way.is_some_and(|attempt| attempt.disk_key.is_some());
    let refusal = Refusal::new(Code::WrongState, format!("{title} has no disk key"));
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
