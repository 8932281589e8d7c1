//! Releases of a system: the next one that is published, and the one that an operator asks for by its number.

use super::NOTHING;
use crate::base::name::SystemName;
use crate::base::refusal::{Refusal, RefusalCode};
use crate::base::release::FlakeSource;
use crate::base::release::Release;
use crate::base::store_path::StorePath;
use crate::base::timestamp::Timestamp;
use crate::machine::event::Decided;
use crate::machine::event::{EventKind, NewEvent};
use crate::machine::state::ApplianceState;

/// A release that an operator asks for by number, if it is there to be installed. `again` is the command that took the
/// number, up to it.
pub fn in_cache<'a>(
    state: &'a ApplianceState,
    system: &SystemName,
    number: u32,
    again: &str,
) -> Result<&'a Release, Refusal> {
    let there = || {
        let numbers: Vec<String> = state
            .in_cache(system)
            .map(|r| r.number.to_string())
            .collect();
        if numbers.is_empty() {
            "none".to_owned()
        } else {
            numbers.join(", ")
        }
    };
    match state.release(system, number) {
        Some(release) if release.pruned.is_none() => Ok(release),
        Some(pruned) => {
            let message = format!("release {number} of `{system}` was pruned from the cache");
            let same = state
                .in_cache(system)
                .rfind(|r| r.toplevel == pruned.toplevel);
            let refusal = Refusal::new(RefusalCode::UnknownRelease, message)
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
            RefusalCode::UnknownRelease,
            format!("system `{system}` has no release {number}"),
        )
        .fact(format!("its releases: {}", there()))
        .fact(NOTHING)
        .tip("pxe-admin releases")),
    }
}

/// A system that was built, and is in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltSystem {
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

/// Makes the next release of a system. A toplevel that is the newest release's does not make a new one.
pub fn release(state: &ApplianceState, built: BuiltSystem, now: Timestamp) -> Decided<Release> {
    let newest = state.newest(&built.system);
    if let Some(newest) = newest.filter(|r| r.toplevel == built.toplevel) {
        return Decided {
            answer: Ok(newest.clone()),
            events: Vec::new(),
        };
    }
    let FlakeSource { revision, dirty } = built.source;
    // A number that was pruned stays taken.
    let last = state.releases.iter().rfind(|r| r.system == built.system);
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
    let event = NewEvent {
        machine: None,
        what: EventKind::ReleasePublished {
            release: release.clone(),
        },
    };
    Decided {
        answer: Ok(release),
        events: vec![event],
    }
}
