//! Copies the system from the cache and makes it the system profile; a copy that broke off goes on where it was.

use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::Context as _;
use netboot::base::refusal::{Refusal, RefusalCode};
use netboot::install::plan::Plan;
use netboot::install::report::{InstallStep, StepOutcome};
use netboot::publish::nix_log::{CopyFailure, CopyLog};

use crate::access::{CommandError, HostCommand, run, start};
use crate::commands::{self, PROFILE};
use crate::run::InstallAttempt;
use crate::talk::Backoff;

/// Files that a store path must have to be a system (`nix-env --set` would take any path).
const PARTS: [&str; 4] = [
    "init",
    "kernel",
    "nixos-version",
    "bin/switch-to-configuration",
];
/// The number of tries in a row without progress after which the copy fails.
const FRUITLESS: u32 = 5;

/// The system as it was installed.
pub(crate) struct InstalledSystem {
    /// The number of the profile's link.
    pub generation: u32,
    /// `nixos-version`
    pub label: String,
}

pub(crate) fn copy(
    install: &mut InstallAttempt<'_>,
    plan: &Plan,
) -> anyhow::Result<InstalledSystem> {
    let root = install.roots.target.clone();
    let profiles = root.join(PROFILE);
    let profiles = profiles.parent().unwrap_or(&root);
    fs::create_dir_all(profiles)
        .with_context(|| format!("cannot make `{}`", profiles.display()))?;
    let own_store = install.roots.nix.join("var/nix/db/db.sqlite").exists();
    let (toplevel, cache) = (&plan.release.toplevel, &plan.cache);
    let system = CopySource {
        step: InstallStep::Copy,
        command: commands::copy(install.roots, toplevel, cache, own_store),
        public_key: &cache.public_key,
        what: "the system",
        onto: "the disk",
        total: Some(plan.release.closure_size),
    };
    fetch(install, &system)?;
    run(install.access, &commands::write_out(&root))
        .context("the disk does not take what was copied")?;
    verify(&root, plan)?;
    let generation = generation(&root, plan)?;
    let version = resolve(&root, &format!("{}/nixos-version", plan.release.toplevel));
    let label = version
        .and_then(|file| fs::read_to_string(file).ok())
        .unwrap_or_default();
    Ok(InstalledSystem {
        generation,
        label: label.trim().to_owned(),
    })
}

/// What is copied from the cache.
pub(super) struct CopySource<'a> {
    pub step: InstallStep,
    pub command: HostCommand,
    pub public_key: &'a str,
    /// For messages.
    pub what: &'static str,
    pub onto: &'static str,
    /// Bytes of all of it, where that is known.
    pub total: Option<u64>,
}

/// Tries until the closure is there. There is no limit while the appliance is away, because each retry must be reported
/// first. A cache that answers but does not deliver is given a few tries.
pub(super) fn fetch(
    install: &mut InstallAttempt<'_>,
    fetch: &CopySource<'_>,
) -> anyhow::Result<()> {
    let CopySource {
        step, what, onto, ..
    } = *fetch;
    let mut log = CopyLog::default();
    let mut backoff = Backoff::default();
    let (mut attempt, mut fruitless, mut most) = (1, 0, 0);
    loop {
        log.begin();
        let error = match once(install, fetch, &mut log) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let refusal = |message: String| {
            let refusal = Refusal::new(RefusalCode::PlanRefused, message).fact(error.to_string());
            log.messages().iter().fold(refusal, |refusal, word| {
                refusal.fact(format!("nix: {word}"))
            })
        };
        match log.cause() {
            CopyFailure::Signature => {
                return Err(
                    refusal("the cache holds a path that its key did not sign".to_owned())
                        .fact(format!("the plan's key is `{}`", fetch.public_key))
                        .into(),
                );
            }
            CopyFailure::Disk => return Err(refusal(format!("{onto} does not take {what}")).into()),
            CopyFailure::Passing if error.absent => return Err(error.into()),
            CopyFailure::Passing => {}
        }
        // The kernel may accept writes to a disk that is gone for a while.
        for target in &install.targets {
            target.still_it(install.roots)?;
        }
        // Only whole paths count as progress: a path may break off at the same byte, or have the wrong hash, every
        // time.
        fruitless = if log.paths() > most { 0 } else { fruitless + 1 };
        most = log.paths();
        if fruitless == FRUITLESS {
            return Err(refusal(format!("the cache does not deliver {what}")).into());
        }
        if fruitless == 0 {
            backoff = Backoff::default();
        }
        attempt += 1;
        let cause = log
            .reason()
            .map_or_else(|| error.to_string(), str::to_owned);
        install.say(&format!("  try {attempt}: {cause}"));
        install.report(step, StepOutcome::Retry { attempt, cause })?;
        install.access.sleep(backoff.next());
    }
}

fn once(
    install: &mut InstallAttempt<'_>,
    fetch: &CopySource<'_>,
    log: &mut CopyLog,
) -> Result<(), CommandError> {
    let mut nix = start(install.access, &fetch.command)?;
    while let Some(line) = nix.line() {
        if log.take(&line)
            && let Some(total) = fetch.total
        {
            install.progress(fetch.step, log.done().min(total), total);
        }
    }
    nix.end().map(|_| ())
}

/// # Errors
/// The copied path is not a system.
fn verify(root: &Path, plan: &Plan) -> anyhow::Result<()> {
    let toplevel = &plan.release.toplevel;
    for part in PARTS {
        let there = resolve(root, &format!("{toplevel}/{part}")).is_some_and(|path| path.exists());
        anyhow::ensure!(
            there,
            "`{toplevel}` is not a NixOS system: it has no `{part}`"
        );
    }
    let set = resolve(root, &format!("/{PROFILE}"));
    let same = set.is_some_and(|path| path == root.join(toplevel.as_str().trim_start_matches('/')));
    anyhow::ensure!(same, "the system profile does not lead to `{toplevel}`");
    Ok(())
}

/// `system` → `system-1-link`: 1.
fn generation(root: &Path, plan: &Plan) -> anyhow::Result<u32> {
    let link = fs::read_link(root.join(PROFILE)).context("the system profile is not set")?;
    generation_of(&link).with_context(|| {
        format!(
            "the profile of `{}` leads to `{}`, which has no number",
            plan.release.system,
            link.display()
        )
    })
}

/// The number in `system-12-link`.
pub(crate) fn generation_of(link: &Path) -> Option<u32> {
    let name = link.file_name()?.to_str()?;
    name.strip_prefix("system-")?
        .strip_suffix("-link")?
        .parse()
        .ok()
}

/// The path of a file of the new system, as the agent sees it: links are followed as if `root` were `/`. `None` if they
/// lead in a circle or out of it.
pub(crate) fn resolve(root: &Path, path: &str) -> Option<PathBuf> {
    let mut left = 40;
    let mut at = root.to_owned();
    let mut todo: Vec<String> = parts(Path::new(path));
    while let Some(part) = todo.pop() {
        if part == ".." {
            if at == root || !at.pop() {
                return None;
            }
            continue;
        }
        let next = at.join(&part);
        match fs::read_link(&next) {
            Ok(link) => {
                left -= 1;
                if left == 0 {
                    return None;
                }
                if link.is_absolute() {
                    root.clone_into(&mut at);
                }
                todo.extend(parts(&link));
            }
            Err(_) => at = next,
        }
    }
    Some(at)
}

/// The names of a path, last first.
fn parts(path: &Path) -> Vec<String> {
    let names = path.components().rev().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        Component::ParentDir => Some("..".to_owned()),
        _ => None,
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_inside_the_target_only() {
        let dir = tempfile::tempdir().expect("tempdir");
        let root = dir.path();
        fs::create_dir_all(root.join("nix/store/a/bin")).expect("makes");
        fs::write(root.join("nix/store/a/bin/sh"), "").expect("writes");
        for (link, to) in [
            ("etc", "/nix/store/a"),
            ("rel", "nix/../nix/store/a"),
            ("loop", "/loop"),
            ("out", "../../../etc"),
            ("shadow", "/etc/shadow"),
        ] {
            symlink(to, root.join(link)).expect("links");
        }
        let sh = Some(root.join("nix/store/a/bin/sh"));
        assert_eq!(resolve(root, "/etc/bin/sh"), sh);
        assert_eq!(resolve(root, "rel/bin/sh"), sh);
        assert_eq!(resolve(root, "/loop"), None);
        assert_eq!(resolve(root, "/out"), None);
        assert_eq!(
            resolve(root, "/shadow"),
            Some(root.join("nix/store/a/shadow"))
        );
    }

    #[test]
    fn a_generation_is_the_number_of_its_link() {
        for (link, want) in [
            ("system-1-link", Some(1)),
            ("/nix/var/nix/profiles/system-412-link", Some(412)),
            ("system-link", None),
            ("system--1-link", None),
            ("per-user-1-link", None),
        ] {
            assert_eq!(generation_of(Path::new(link)), want, "{link}");
        }
    }
}
