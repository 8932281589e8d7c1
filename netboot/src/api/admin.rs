//! An operator's command → events, or a refusal that says what to do instead.

mod confirm;
mod free;
mod key;
mod preview;

use std::time::Duration;

use crate::api::agent;
use crate::api::types::EnrollRequest;
use crate::base::mac::Mac;
use crate::base::name::{HostName, ProfileName, SystemName};
use crate::base::problem::nearest;
use crate::base::refusal::{Code, Refusal};
use crate::base::release::FlakeSource;
use crate::base::release::Release;
use crate::base::store_path::StorePath;
use crate::base::timestamp::Timestamp;
use crate::base::token::Ticket;
use crate::machine::event::Verdict;
use crate::machine::event::{Draft, Happening};
use crate::machine::state::{Refusee, World, sorted};
use crate::machine::{Machine, State};
use crate::profile::{Profile, Profiles};

pub use confirm::confirm;
pub use key::key;
pub use preview::preview;

const NOTHING: &str = "nothing was changed";

/// Who commands, when, and with what.
#[derive(Debug, Clone)]
pub struct Operator<'a> {
    pub profiles: &'a Profiles,
    /// `boot.armed-for`
    pub armed_for: Duration,
    pub now: Timestamp,
    /// Drawn for this command; used if it arms.
    pub ticket: Ticket,
    /// For the audit: `uid 1000` from the socket.
    pub by: &'a str,
}

/// Which machine a command was about. It changed something if there are drafts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About(pub Mac);

/// Puts a machine under a profile and arms it. The same again changes nothing.
pub fn enroll(world: &World, operator: &Operator<'_>, request: &EnrollRequest) -> Verdict<About> {
    Verdict::from(try_enroll(world, operator, request))
}

fn try_enroll(
    world: &World,
    operator: &Operator<'_>,
    request: &EnrollRequest,
) -> Result<(About, Vec<Draft>), Refusal> {
    let known = world.by_mac(request.mac);
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
            return Ok((About(machine.id), Vec::new()));
        }
    }
    let name = match (&request.name, listed, known.and_then(|m| m.name.as_ref())) {
        (Some(name), Some(listed), _) if *name != listed.name => {
            return Err(Refusal::new(
                Code::BadName,
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
                Code::BadName,
                "the profile's name is too long to make a host name of",
            )
            .fact(NOTHING)
            .tip(format!("pxe-admin enroll {} --name NAME", request.mac))
        })?,
    };
    let id = known.map_or(request.mac, |m| m.id);
    free::name(world, &name, id)?;
    let macs = listed.map_or_else(|| vec![request.mac], |listed| listed.macs.clone());
    free::cards(world, &macs, id, profile)?;
    let enrolled = Happening::Enrolled {
        macs,
        name,
        profile: profile.name.clone(),
        until: operator.now.plus(operator.armed_for),
        ticket: operator.ticket.clone(),
        by: operator.by.to_owned(),
    };
    Ok((About(id), vec![Draft::of(id, enrolled)]))
}

/// The profile asked for; without one, the profile that lists the MAC, that it has already, or that has a
/// pattern for it.
fn profile_for<'a>(
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
            let refusal = Refusal::new(Code::UnknownProfile, format!("no profile named `{name}`"))
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
                    Code::UnknownProfile,
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
    let refusal = Refusal::new(Code::DuplicateMac, already)
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

/// Arms an enrolled machine again. `who` is a name or any of its MACs. An install that is running is
/// superseded: its agent is told to stop.
pub fn reimage(
    world: &World,
    operator: &Operator<'_>,
    who: &str,
    release: Option<u32>,
) -> Verdict<About> {
    Verdict::from(try_reimage(world, operator, who, release))
}

fn try_reimage(
    world: &World,
    operator: &Operator<'_>,
    who: &str,
    release: Option<u32>,
) -> Result<(About, Vec<Draft>), Refusal> {
    let machine = world.find(who)?;
    let Some(name) = &machine.profile else {
        return Err(Refusal::new(
            Code::WrongState,
            format!("{} is not enrolled", machine.title()),
        )
        .fact(NOTHING)
        .tip(format!("pxe-admin enroll {} --profile NAME", machine.id)));
    };
    let Some(profile) = operator.profiles.by_name.get(name) else {
        return Err(Refusal::new(
            Code::UnknownProfile,
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
        in_cache(world, system, number, &again)?;
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
        return Ok((About(machine.id), Vec::new()));
    }
    let reimaged = Happening::Reimaged {
        release,
        until: operator.now.plus(operator.armed_for),
        ticket: operator.ticket.clone(),
        by: operator.by.to_owned(),
    };
    Ok((About(machine.id), vec![Draft::of(machine.id, reimaged)]))
}

/// A release that an operator asks for by number, if it is there to be installed. `again` is the command that took the
/// number, up to it.
pub fn in_cache<'a>(
    world: &'a World,
    system: &SystemName,
    number: u32,
    again: &str,
) -> Result<&'a Release, Refusal> {
    let there = || {
        let numbers: Vec<String> = world
            .in_cache(system)
            .map(|r| r.number.to_string())
            .collect();
        if numbers.is_empty() {
            "none".to_owned()
        } else {
            numbers.join(", ")
        }
    };
    match world.release(system, number) {
        Some(release) if release.pruned.is_none() => Ok(release),
        Some(pruned) => {
            let message = format!("release {number} of `{system}` was pruned from the cache");
            let same = world
                .in_cache(system)
                .rfind(|r| r.toplevel == pruned.toplevel);
            let refusal = Refusal::new(Code::UnknownRelease, message)
                .fact(format!("releases in the cache: {}", there()))
                .fact(NOTHING);
            let refusal = match same {
                Some(Release { number, .. }) => refusal.tip(format!(
                    "release {number} is the same system: {again} {number}"
                )),
                None => refusal.tip(format!(
                    "to have it again, run `pxe-admin publish {system} --toplevel {}`",
                    pruned.toplevel
                )),
            };
            Err(refusal.tip("pxe-admin releases"))
        }
        None => Err(Refusal::new(
            Code::UnknownRelease,
            format!("system `{system}` has no release {number}"),
        )
        .fact(format!("its releases: {}", there()))
        .fact(NOTHING)
        .tip("pxe-admin releases")),
    }
}

/// Takes a machine out of the records; what the journal says of it stays.
pub fn forget(world: &World, operator: &Operator<'_>, who: &str) -> Verdict<About> {
    Verdict::from(world.find(who).map(|machine| {
        let forgotten = Happening::Forgotten {
            by: operator.by.to_owned(),
        };
        (About(machine.id), vec![Draft::of(machine.id, forgotten)])
    }))
}

/// What keeps this machine, which is enrolled with `profile`, from being installed now, in words.
pub fn warnings(
    world: &World,
    profiles: &Profiles,
    profile: &ProfileName,
    machine: Option<&HostName>,
) -> Vec<String> {
    let Some(profile) = profiles.by_name.get(profile) else {
        return vec![format!("profile `{profile}` is not in hosts-dir any more")];
    };
    let system = profile.system_of(machine);
    match world.newest(system) {
        Some(_) => Vec::new(),
        None => vec![format!(
            "system `{system}` has no release yet; run `pxe-admin publish {system}`"
        )],
    }
}

/// A system that was built, and is in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    pub system: SystemName,
    pub toplevel: StorePath,
    /// Bytes of all NARs of the closure, unpacked.
    pub closure_size: u64,
    /// Its `nixos-version`.
    pub label: String,
    /// Disko's own script, if the system carries one.
    pub script: Option<StorePath>,
    pub source: FlakeSource,
}

/// Makes the next release of a system. The toplevel of the newest one is no new release.
pub fn release(world: &World, built: Built, now: Timestamp) -> Verdict<Release> {
    let newest = world.newest(&built.system);
    if let Some(newest) = newest.filter(|r| r.toplevel == built.toplevel) {
        return Verdict {
            answer: Ok(newest.clone()),
            drafts: Vec::new(),
        };
    }
    let FlakeSource { revision, dirty } = built.source;
    // A number that was pruned stays taken.
    let last = world.releases.iter().rfind(|r| r.system == built.system);
    let release = Release {
        system: built.system,
        number: last.map_or(1, |r| r.number + 1),
        toplevel: built.toplevel,
        closure_size: built.closure_size,
        published: now,
        revision,
        dirty,
        label: built.label,
        script: built.script,
        pruned: None,
    };
    let draft = Draft {
        machine: None,
        what: Happening::Released {
            release: release.clone(),
        },
    };
    Verdict {
        answer: Ok(release),
        drafts: vec![draft],
    }
}

/// `boot.unknown` names a profile: a stranger gets it. One that is not on record, because there are too many, does not.
pub fn enroll_stranger(
    world: &World,
    operator: &Operator<'_>,
    request: &EnrollRequest,
) -> Verdict<About> {
    if world.by_mac(request.mac).is_none() {
        let message = "too many machines are on record that no operator enrolled";
        let refusal = Refusal::new(Code::WrongState, message)
            .fact("nothing was changed")
            .tip("pxe-admin machines, then `pxe-admin forget MAC` for those that are none");
        return Verdict::from(Err(refusal));
    }
    enroll(world, operator, request)
}

/// Somebody came to the operators' door without its token.
pub fn turned_away(world: &World, refusal: Refusal, now: Timestamp, from: &str) -> Verdict<()> {
    agent::refused_to(world, Refusee::Admin, refusal, now, from)
}

/// The name a machine gets when nobody gives one: the profile and the end of the MAC.
pub fn default_name(profile: &ProfileName, mac: Mac) -> Option<HostName> {
    let [.., d, e, f] = mac.octets();
    format!(
        "{}-{d:02x}{e:02x}{f:02x}",
        profile.as_str().replace(['_', '.'], "-")
    )
    .parse()
    .ok()
}

#[cfg(test)]
mod tests;
