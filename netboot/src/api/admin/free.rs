//! A name and cards that a machine is to have, against those that others have already.

use super::NOTHING;
use crate::base::mac::Mac;
use crate::base::name::HostName;
use crate::base::refusal::{Refusal, RefusalCode};
use crate::machine::state::ApplianceState;
use crate::profile::Profile;

pub(super) fn name(state: &ApplianceState, name: &HostName, id: Mac) -> Result<(), Refusal> {
    match state
        .machines
        .values()
        .find(|m| m.id != id && m.name.as_ref() == Some(name))
    {
        None => Ok(()),
        Some(other) => Err(Refusal::new(
            RefusalCode::DuplicateName,
            format!("`{name}` is the name of {} already", other.id),
        )
        .fact(NOTHING)
        .tip("give another with `--name NAME`")),
    }
}

/// A card of another machine that somebody enrolled is not taken away from it: a slip in a list of cards would have that
/// one installed. A stranger's is, which may be the second card of this very box.
pub(super) fn cards(
    state: &ApplianceState,
    macs: &[Mac],
    id: Mac,
    profile: &Profile,
) -> Result<(), Refusal> {
    let others = || {
        let machines = state.machines.values();
        machines.filter(|m| m.id != id && m.profile.is_some())
    };
    let taken = macs.iter().find_map(|mac| {
        let owner = others().find(|other| other.macs.contains(mac))?;
        Some((mac, owner))
    });
    let Some((mac, owner)) = taken else {
        return Ok(());
    };
    let title = owner.title();
    Err(Refusal::new(
        RefusalCode::DuplicateMac,
        format!("{mac} is a card of `{title}` already"),
    )
    .fact(format!(
        "`{title}` is {} since {}",
        owner.state, owner.since
    ))
    .fact(NOTHING)
    .tip(format!(
        "if it is listed by mistake: take it out of `mac` in {}",
        profile.file
    ))
    .tip(format!(
        "if `{title}` does not exist any more: pxe-admin forget {title} && pxe-admin enroll {id}"
    )))
}
