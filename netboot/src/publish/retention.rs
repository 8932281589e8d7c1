//! Releases and what machines do → which of them the cache keeps, and which of its files nobody needs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::base::release::Release;
use crate::base::store_path::StorePath;
use crate::machine::event::Decided;
use crate::machine::event::{EventKind, NewEvent};
use crate::machine::state::ApplianceState;
use crate::machine::{Machine, State};
use crate::profile::Profiles;

/// Why a release stays in the cache.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum KeepReason {
    /// The release that machines get where no order names another.
    Newest,
    /// Among the last `of` of its system.
    Recent { of: u32 },
    /// An order names it.
    Ordered { machine: String },
    /// An install of it is under way.
    Installing { machine: String },
    /// The machine runs it, or will at its next boot.
    Running { machine: String },
    /// A release that is kept has the same store path.
    Same { number: u32 },
    #[serde(other)]
    Unknown,
}

impl fmt::Display for KeepReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newest => f.write_str("the newest"),
            Self::Recent { of } => write!(f, "among the last {of}"),
            Self::Ordered { machine } => write!(f, "ordered for {machine}"),
            Self::Installing { machine } => write!(f, "{machine} installs it"),
            Self::Running { machine } => write!(f, "{machine} runs it"),
            Self::Same { number } => write!(f, "the same system as release {number}"),
            Self::Unknown => f.write_str("for a reason of a newer version"),
        }
    }
}

/// A release that is in the cache, and why it stays. Without a reason it is pruned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseRetention {
    pub release: Release,
    #[serde(default)]
    pub why: Vec<KeepReason>,
}

/// Judges every release that was not pruned yet, oldest first. `keep` is how many of each system stay in any case; the
/// newest always does.
pub fn judge(state: &ApplianceState, profiles: &Profiles, keep: u32) -> Vec<ReleaseRetention> {
    let mut judged: Vec<ReleaseRetention> = state
        .releases
        .iter()
        .filter(|release| release.pruned.is_none())
        .map(|release| ReleaseRetention {
            release: release.clone(),
            why: Vec::new(),
        })
        .collect();
    let mut counted = BTreeMap::new();
    for ReleaseRetention { release, why } in judged.iter_mut().rev() {
        let place = counted.entry(release.system.clone()).or_insert(0_u32);
        *place += 1;
        if *place == 1 {
            why.push(KeepReason::Newest);
        } else if *place <= keep {
            why.push(KeepReason::Recent { of: keep });
        }
        why.extend(
            state
                .machines
                .values()
                .filter_map(|m| ordered(m, profiles, release)),
        );
        why.extend(
            state
                .machines
                .values()
                .filter_map(|m| installing(m, release)),
        );
        why.extend(state.machines.values().filter_map(|m| running(m, release)));
    }
    // A release with the same store path as one that stays frees no space if it is pruned.
    let kept: Vec<(u32, StorePath)> = judged
        .iter()
        .filter(|judged| !judged.why.is_empty())
        .map(|ReleaseRetention { release, .. }| (release.number, release.toplevel.clone()))
        .collect();
    for ReleaseRetention { release, why } in &mut judged {
        let same = kept
            .iter()
            .rfind(|(_, toplevel)| *toplevel == release.toplevel);
        if let (true, Some((number, _))) = (why.is_empty(), same) {
            why.push(KeepReason::Same { number: *number });
        }
    }
    judged
}

/// An order stays in force until it is carried out or replaced: one that expired may be renewed.
fn ordered(machine: &Machine, profiles: &Profiles, release: &Release) -> Option<KeepReason> {
    let number = machine.armed.as_ref()?.release?;
    let profile = machine
        .profile
        .as_ref()
        .and_then(|name| profiles.by_name.get(name));
    // The file of a profile may be absent for now, and the profile may then have been of any system.
    let system = profile.is_none_or(|p| *p.system_of(machine.name.as_ref()) == release.system);
    (system && number == release.number).then(|| KeepReason::Ordered {
        machine: machine.title(),
    })
}

fn installing(machine: &Machine, release: &Release) -> Option<KeepReason> {
    let under_way = matches!(machine.state, State::Enrolled | State::Installing);
    let plan = machine.attempt.as_ref()?.plan.as_ref()?;
    (under_way && plan.release.toplevel == release.toplevel).then(|| KeepReason::Installing {
        machine: machine.title(),
    })
}

/// What it reported last, and what was put onto its disk last, which may not have been booted yet.
fn running(machine: &Machine, release: &Release) -> Option<KeepReason> {
    let reported = |g: &&crate::machine::Generation| {
        !machine.boot_id.is_empty() && g.boot_id == machine.boot_id
    };
    let mut runs = machine
        .generations
        .iter()
        .filter(reported)
        .chain(machine.generations.last());
    runs.any(|g| g.store_path == release.toplevel)
        .then(|| KeepReason::Running {
            machine: machine.title(),
        })
}

/// Takes the releases out of the records that have no reason to stay. The cache's files are deleted once this is
/// written down, never before: from then on no machine can be given these releases.
pub fn prune(
    state: &ApplianceState,
    profiles: &Profiles,
    keep: u32,
    by: &str,
) -> Decided<Vec<ReleaseRetention>> {
    let judged = judge(state, profiles, keep);
    let gone = judged.iter().filter(|judged| judged.why.is_empty());
    let events = gone.map(|ReleaseRetention { release, .. }| NewEvent {
        machine: None,
        what: EventKind::Pruned {
            system: release.system.clone(),
            number: release.number,
            by: by.to_owned(),
        },
    });
    Decided {
        events: events.collect(),
        answer: Ok(judged),
    }
}

/// What a folder of a binary cache holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CacheContents {
    /// By the 32 characters that name a narinfo.
    pub entries: BTreeMap<String, CacheEntry>,
    /// NARs by file name, and whether each is fresh (came within the last hour).
    pub nars: BTreeMap<String, bool>,
}

/// A narinfo.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CacheEntry {
    /// The file name of its NAR; `None` if the narinfo cannot be read.
    pub nar: Option<String>,
    /// Hashes of the paths that it needs.
    pub references: Vec<String>,
    /// It came within the last hour: a publication may be about to use it.
    pub fresh: bool,
}

/// What may be deleted, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sweep {
    /// Hashes; a path before those that it needs.
    pub narinfos: Vec<String>,
    /// File names; no narinfo that stays names one.
    pub nars: Vec<String>,
    /// Narinfos that belong to no release and stay because they are fresh.
    pub spared: usize,
}

/// The cache's garbage collection: what may be deleted. A path stays, with its NAR, if `kept` reaches it. A fresh path
/// that neither `kept` nor `pruned` reaches stays as well, with all that it reaches. Everything else may be deleted.
pub fn sweep(contents: &CacheContents, kept: &[StorePath], pruned: &[StorePath]) -> Sweep {
    let hashes = |paths: &[StorePath]| paths.iter().map(|p| p.hash().to_owned()).collect();
    let mut stays = reach(contents, hashes(kept));
    let known = reach(contents, hashes(pruned));
    let stranger = |(hash, entry): &(&String, &CacheEntry)| {
        entry.fresh && !stays.contains(*hash) && !known.contains(*hash)
    };
    let strangers: Vec<String> = contents
        .entries
        .iter()
        .filter(stranger)
        .map(|(hash, _)| hash.clone())
        .collect();
    let spared = strangers.len();
    stays.extend(reach(contents, strangers));
    let needed: BTreeSet<&String> = contents
        .entries
        .iter()
        .filter(|(hash, _)| stays.contains(*hash))
        .filter_map(|(_, entry)| entry.nar.as_ref())
        .collect();
    // A NAR goes with the narinfo that names it, even if the NAR itself is fresh.
    let told: BTreeSet<&String> = contents
        .entries
        .values()
        .filter_map(|e| e.nar.as_ref())
        .collect();
    let nars = contents
        .nars
        .iter()
        .filter(|(name, fresh)| !needed.contains(*name) && (!**fresh || told.contains(*name)))
        .map(|(name, _)| name.clone())
        .collect();
    Sweep {
        narinfos: referrers_first(contents, &stays),
        nars,
        spared,
    }
}

/// How many paths of a closure are absent, not readable, or without their NAR. What such a path refers to is not known,
/// so it may have been deleted.
pub fn missing(contents: &CacheContents, toplevel: &StorePath) -> u64 {
    let there = reach(contents, vec![toplevel.hash().to_owned()]);
    let entries = || there.iter().filter_map(|hash| contents.entries.get(hash));
    let whole = |nar: &String| contents.nars.contains_key(nar);
    let torn = entries()
        .filter(|entry| !entry.nar.as_ref().is_some_and(whole))
        .count();
    let named: BTreeSet<&str> = entries()
        .flat_map(|entry| entry.references.iter().map(String::as_str))
        .chain([toplevel.hash()])
        .filter(|hash| !contents.entries.contains_key(*hash))
        .collect();
    (torn + named.len()) as u64
}

fn reach(contents: &CacheContents, mut from: Vec<String>) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    while let Some(hash) = from.pop() {
        if let Some(entry) = contents.entries.get(&hash)
            && reached.insert(hash)
        {
            from.extend(entry.references.iter().cloned());
        }
    }
    reached
}

/// All paths that do not stay, each before those that it needs: if the deletion is cut off, no path is left without one
/// that it needs.
fn referrers_first(contents: &CacheContents, stays: &BTreeSet<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut order = Vec::new();
    for start in contents.entries.keys() {
        // Twice on the stack: going in, and coming out after all that it needs.
        let mut stack = vec![(start, false)];
        while let Some((hash, done)) = stack.pop() {
            let Some(entry) = contents.entries.get(hash).filter(|_| !stays.contains(hash)) else {
                continue;
            };
            if done {
                order.push(hash.clone());
            } else if seen.insert(hash) {
                stack.push((hash, true));
                stack.extend(entry.references.iter().map(|needed| (needed, false)));
            }
        }
    }
    order.reverse();
    order
}

#[cfg(test)]
mod tests;
