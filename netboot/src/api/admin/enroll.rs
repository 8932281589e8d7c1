//! `enroll`: a machine → under which profile and name it is installed at its next boot.

use super::{CommandTarget, NOTHING, Operator, free};
use crate::api::types::EnrollRequest;
use crate::base::mac::Mac;
use crate::base::name::{HostName, ProfileName};
use crate::base::problem::nearest;
use crate::base::refusal::{Refusal, RefusalCode};
use crate::machine::event::Decided;
use crate::machine::event::{EventKind, NewEvent};
use crate::machine::state::{ApplianceState, sorted};
use crate::machine::{Machine, State};
use crate::profile::{Profile, Profiles};

/// Puts a machine under a profile and arms it. The same again changes nothing.
pub fn enroll(
    state: &ApplianceState,
    operator: &Operator<'_>,
    request: &EnrollRequest,
) -> Decided<CommandTarget> {
    Decided::from(try_enroll(state, operator, request))
}

fn try_enroll(
    state: &ApplianceState,
    operator: &Operator<'_>,
    request: &EnrollRequest,
) -> Result<(CommandTarget, Vec<NewEvent>), Refusal> {
    let known = state.by_mac(request.mac);
    let profile = profile_for(operator.profiles, request, known)?;
    let listed = profile
        .machines
        .iter()
        .find(|m| m.macs.contains(&request.mac));
    if let Some(machine) = known.filter(|m| m.profile.is_some()) {
        same_or_refused(machine, profile, request)?;
        let failed = matches!(machine.state, State::Failed | State::Retired);
        let begun = matches!(machine.state, State::Enrolled | State::Installing);
        let expired = begun && !machine.is_armed(operator.now);
        if !failed && !expired {
            return Ok((CommandTarget(machine.id), Vec::new()));
        }
    }
    let name = match (&request.name, listed, known.and_then(|m| m.name.as_ref())) {
        (Some(name), Some(listed), _) if *name != listed.name => {
            return Err(Refusal::new(
                RefusalCode::BadName,
                format!(
                    "{} is listed as `{}` in {}",
                    request.mac, listed.name, profile.file
                ),
            )
            .fact(NOTHING)
            .tip(format!("pxe-admin enroll {}", request.mac)));
        }
        (Some(name), ..) => name.clone(),
        (None, Some(listed), _) => listed.name.clone(),
        (None, None, Some(name)) => name.clone(),
        (None, None, None) => default_name(&profile.name, request.mac).ok_or_else(|| {
            Refusal::new(
                RefusalCode::BadName,
                "the profile's name is too long to make a host name of",
            )
            .fact(NOTHING)
            .tip(format!("pxe-admin enroll {} --name NAME", request.mac))
        })?,
    };
    let id = known.map_or(request.mac, |m| m.id);
    free::name(state, &name, id)?;
    let macs = listed.map_or_else(|| vec![request.mac], |listed| listed.macs.clone());
    free::cards(state, &macs, id, profile)?;
    let enrolled = EventKind::Enrolled {
        macs,
        name,
        profile: profile.name.clone(),
        until: operator.now.plus(operator.armed_for),
        ticket: operator.ticket.clone(),
        by: operator.by.to_owned(),
    };
    Ok((CommandTarget(id), vec![NewEvent::of(id, enrolled)]))
}

/// The profile asked for; without one, the profile that lists the MAC, that it has already, or that has a
/// pattern for it.
pub(super) fn profile_for<'a>(
    profiles: &'a Profiles,
    request: &EnrollRequest,
    machine: Option<&Machine>,
) -> Result<&'a Profile, Refusal> {
    let known = || match profiles.by_name.len() {
        0 => "there are no profiles in hosts-dir".to_owned(),
        _ => format!(
            "known profiles: {}",
            sorted(profiles.by_name.keys().map(ProfileName::as_str))
        ),
    };
    match &request.profile {
        Some(name) => profiles.by_name.get(name).ok_or_else(|| {
            let refusal = Refusal::new(
                RefusalCode::UnknownProfile,
                format!("no profile named `{name}`"),
            )
            .fact(known())
            .fact(NOTHING);
            match nearest(
                name.as_str(),
                profiles.by_name.keys().map(ProfileName::as_str),
            ) {
                Some(near) => refusal.tip(format!("did you mean `{near}`?")),
                None => refusal,
            }
        }),
        None => profiles
            .listing(request.mac)
            .or_else(|| profiles.by_name.get(machine?.profile.as_ref()?))
            .or_else(|| profiles.for_mac(request.mac))
            .ok_or_else(|| {
                Refusal::new(
                    RefusalCode::UnknownProfile,
                    format!("no profile lists {}", request.mac),
                )
                .fact(known())
                .fact(NOTHING)
                .tip(format!("pxe-admin enroll {} --profile NAME", request.mac))
            }),
    }
}

/// Enrolled already: fine if nothing else is asked for.
fn same_or_refused(
    machine: &Machine,
    profile: &Profile,
    request: &EnrollRequest,
) -> Result<(), Refusal> {
    let title = machine.title();
    let other_profile = machine.profile.as_ref() != Some(&profile.name);
    let other_name = request.name.is_some() && request.name != machine.name;
    let already = match (other_profile, other_name, &machine.profile) {
        (true, _, Some(has)) => format!("{} is already enrolled with profile `{has}`", request.mac),
        (false, true, _) => format!("{} is already enrolled as `{title}`", request.mac),
        _ => return Ok(()),
    };
    let mut history = vec![format!("state: {} since {}", machine.state, machine.since)];
    history.extend(machine.enrolled.map(|at| format!("enrolled {at}")));
    history.extend(machine.installed.map(|at| format!("installed {at}")));
    let name = request
        .name
        .as_ref()
        .or(machine.name.as_ref())
        .map(|n| format!(" --name {n}"));
    let refusal = Refusal::new(RefusalCode::DuplicateMac, already)
        .fact(history.join("; "))
        .fact(NOTHING)
        .tip(format!(
            "to move it, run `pxe-admin forget {title} && pxe-admin enroll {} --profile {}{}`",
            request.mac,
            profile.name,
            name.unwrap_or_default()
        ));
    Err(refusal.tip(format!(
        "to install it again as it is, run `pxe-admin reimage {title}`"
    )))
}

/// `boot.unknown` names a profile: a stranger is enrolled with it. A stranger that is not on record, because there are
/// too many, is not.
pub fn enroll_stranger(
    state: &ApplianceState,
    operator: &Operator<'_>,
    request: &EnrollRequest,
) -> Decided<CommandTarget> {
    if state.by_mac(request.mac).is_none() {
        let message = "too many machines are on record that no operator enrolled";
        let refusal = Refusal::new(RefusalCode::WrongState, message)
            .fact("nothing was changed")
            .tip("pxe-admin machines, then `pxe-admin forget MAC` for those that are none");
        return Decided::from(Err(refusal));
    }
    enroll(state, operator, request)
}

/// The name of a machine that was given none: the profile and the end of the MAC.
pub fn default_name(profile: &ProfileName, mac: Mac) -> Option<HostName> {
    let [.., d, e, f] = mac.octets();
    format!(
        "{}-{d:02x}{e:02x}{f:02x}",
        profile.as_str().replace(['_', '.'], "-")
    )
    .parse()
    .ok()
}
