//! The summary of `publish`: what it did, or would do, as text and as JSON.

use netboot::api::types::{InstallerPublished, Published};
use netboot::base::name::SystemName;
use netboot::base::release::Release;
use netboot::base::store_path::StorePath;
use netboot::publish::closure::{ClosureChanges, PackageChange};
use serde::Serialize;

use crate::format::{bytes, indented, revision};
use crate::output::CommandResult;

/// The answer to `publish`.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Summary {
    pub(crate) systems: Vec<Published>,
    pub(crate) installers: Vec<InstallerPublished>,
}

/// The answer to `publish --dry-run`.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Forecast {
    pub(crate) systems: Vec<SystemForecast>,
    pub(crate) installers: Vec<InstallerForecast>,
}

#[derive(Debug, Serialize)]
pub(crate) struct SystemForecast {
    pub(crate) system: SystemName,
    pub(crate) toplevel: StorePath,
    /// The newest release as it is; if it has this very toplevel, there is no next one.
    pub(crate) newest: Option<Release>,
    pub(crate) changed: bool,
    /// Bytes of all NARs of the closure, unpacked.
    pub(crate) closure_size: u64,
    /// Bytes of those that the newest release does not have, unpacked.
    pub(crate) to_copy: u64,
    pub(crate) changes: ClosureChanges,
}

#[derive(Debug, Serialize)]
pub(crate) struct InstallerForecast {
    pub(crate) arch: String,
    pub(crate) path: StorePath,
    pub(crate) changed: bool,
    /// Bytes of kernel and initrd.
    pub(crate) size: u64,
    /// The one that machines boot now.
    pub(crate) before: Option<StorePath>,
}

pub(crate) fn published(summary: &Summary) -> CommandResult {
    let systems = summary.systems.iter().map(system);
    let installers = summary.installers.iter().map(installer);
    let lines: Vec<String> = systems.chain(installers).collect();
    let answer = CommandResult::new(summary, lines.join("\n"));
    if summary.systems.is_empty() {
        return answer;
    }
    answer
        .note("next: machines install it from now on; for one that runs, `pxe-admin reimage NAME`")
}

/// A line for each system and installer that is new.
pub(crate) fn changed(summary: &Summary) -> Vec<String> {
    let systems = summary.systems.iter().filter(|one| one.changed);
    let installers = summary.installers.iter().filter(|one| one.changed);
    systems
        .map(system)
        .chain(installers.map(installer))
        .collect()
}

fn system(published: &Published) -> String {
    let release = &published.release;
    if !published.changed {
        return format!(
            "{} is release {} of `{}` already; nothing changed",
            release.toplevel, release.number, release.system
        );
    }
    let from = match release.revision.as_deref() {
        Some(_) => format!(
            ", from {}",
            revision(release.revision.as_deref(), release.dirty)
        ),
        None => String::new(),
    };
    format!(
        "release {} of `{}`: {} ({}){from}",
        release.number,
        release.system,
        release.toplevel,
        bytes(release.closure_size)
    )
}

fn installer(published: &InstallerPublished) -> String {
    let installer = &published.installer;
    let (arch, path) = (&installer.arch, &installer.path);
    if published.changed {
        format!("installer for {arch}: {path}")
    } else {
        format!("{path} is the installer for {arch} already; nothing changed")
    }
}

pub(crate) fn forecast(forecast: &Forecast) -> CommandResult {
    let systems = forecast.systems.iter().map(of_system);
    let installers = forecast.installers.iter().map(of_installer);
    let lines: Vec<String> = systems.chain(installers).collect();
    CommandResult::new(forecast, lines.join("\n")).note("nothing was changed")
}

fn of_installer(forecast: &InstallerForecast) -> String {
    let InstallerForecast { arch, path, .. } = forecast;
    if !forecast.changed {
        return format!("the installer for {arch} is already {path}");
    }
    let size = bytes(forecast.size);
    let before = match &forecast.before {
        Some(before) => format!("in place of {before}"),
        None => "the first one".to_owned(),
    };
    format!("the installer for {arch} would be {path} ({size}; {before})")
}

fn of_system(forecast: &SystemForecast) -> String {
    let SystemForecast {
        system,
        newest,
        changes,
        ..
    } = forecast;
    if let Some(newest) = newest
        && !forecast.changed
    {
        return format!("`{system}` is release {} already", newest.number);
    }
    let size = match newest {
        Some(newest) => format!(
            "{}, before {}",
            bytes(forecast.closure_size),
            bytes(newest.closure_size)
        ),
        None => bytes(forecast.closure_size),
    };
    let number = newest.as_ref().map_or(1, |newest| newest.number + 1);
    let head = format!(
        "`{system}` would get release {number}: {} ({size}; {} to copy)",
        forecast.toplevel,
        bytes(forecast.to_copy)
    );
    // Without a release before, every package is new, and a list of them would be of no use.
    if newest.is_none() {
        return format!(
            "{head}\n  {} packages, all of them new",
            changes.added.len()
        );
    }
    let mut lines = Vec::new();
    for (what, all) in [
        ("added", &changes.added),
        ("removed", &changes.removed),
        ("updated", &changes.updated),
    ] {
        lines.extend(
            all.iter()
                .map(|change| format!("{what:7}  {}", of_change(change))),
        );
    }
    if changes.rebuilt > 0 {
        let n = changes.rebuilt;
        let s = if n == 1 { "" } else { "s" };
        lines.push(format!("{n} package{s} built anew, of the same version"));
    }
    format!("{head}\n{}", indented(&lines.join("\n")))
}

/// `linux 6.12.20 -> 6.12.21, +1.2 MiB`
fn of_change(change: &PackageChange) -> String {
    let versions = |all: &[String]| {
        let all: Vec<&str> = all
            .iter()
            .map(String::as_str)
            .filter(|v| !v.is_empty())
            .collect();
        all.join(", ")
    };
    let (before, after) = (versions(&change.before), versions(&change.after));
    let arrow = match (before.as_str(), after.as_str()) {
        ("", "") => String::new(),
        (only, "") | ("", only) => format!(" {only}"),
        (before, after) => format!(" {before} -> {after}"),
    };
    let sign = if change.bytes < 0 { '-' } else { '+' };
    let size = bytes(change.bytes.unsigned_abs());
    format!("{}{arrow}, {sign}{size}", change.package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_a_line() {
        let change = |before: &[&str], after: &[&str], bytes| PackageChange {
            package: "linux".to_owned(),
            before: before.iter().map(|v| (*v).to_owned()).collect(),
            after: after.iter().map(|v| (*v).to_owned()).collect(),
            bytes,
        };
        for (change, want) in [
            (
                change(&["6.12.20"], &["6.12.21"], 1_258_291),
                "linux 6.12.20 -> 6.12.21, +1.2 MiB",
            ),
            (change(&[], &["6.12"], 10), "linux 6.12, +10 B"),
            (
                change(&["6.12", "6.6"], &[], -2048),
                "linux 6.12, 6.6, -2.0 KiB",
            ),
            (change(&[""], &[], -5), "linux, -5 B"),
            (change(&["1"], &["1", "2"], 0), "linux 1 -> 1, 2, +0 B"),
        ] {
            assert_eq!(of_change(&change), want);
        }
    }
}
