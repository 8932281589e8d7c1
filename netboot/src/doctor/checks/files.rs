//! What machines are booted with and installed from: loaders, installer images, the cache, the profiles.

use std::time::Duration;

use super::{Check, CheckResult};
use crate::base::timestamp::Timestamp;

/// A loader by name, and for which machines it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoaderFile {
    pub name: &'static str,
    pub for_whom: &'static str,
    pub present: bool,
}

pub fn loaders(loaders: &[LoaderFile], folder: &str) -> Check {
    let present: Vec<&str> = loaders
        .iter()
        .filter(|loader| loader.present)
        .map(|loader| loader.name)
        .collect();
    let mut check = Check::new("loaders");
    if present.is_empty() {
        return check
            .judged(
                CheckResult::Problem,
                format!("no boot loader is in `{folder}`"),
            )
            .tip("apt-get install ipxe")
            .tip("on NixOS: `boot.ipxe-dir` = \"${pkgs.ipxe}\"");
    }
    check = check.found(present.join(", "));
    for loader in loaders.iter().filter(|loader| !loader.present) {
        let what = format!("`{}` is missing: {}", loader.name, loader.for_whom);
        check = check.judged(CheckResult::Warning, what).tip(format!(
            "put it into `{folder}`, then systemctl restart pxe-appliance"
        ));
    }
    check
}

/// Kernel and initrd of an architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootImageFiles {
    /// `installer for x86_64`
    pub name: String,
    pub kernel: Result<FileFacts, String>,
    pub initrd: Result<FileFacts, String>,
    /// The kernel's own version, where it says one.
    pub version: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFacts {
    pub path: String,
    pub bytes: u64,
    /// When it was written; files of the Nix store are all of 1970.
    pub written: Timestamp,
}

/// The longest time between kernel and initrd of one build: files that were written further apart are hardly of one.
const ONE_BUILD: Duration = Duration::from_secs(3600);

pub fn images(images: &[BootImageFiles]) -> Check {
    let mut check = Check::new("installer");
    if images.is_empty() {
        return check
            .judged(CheckResult::Problem, "no installer image is configured")
            .tip("pxe-admin publish, of a flake that has packages.x86_64-linux.installer; in the outputs of a lab's flake.nix: inherit (netboot) packages;")
            .tip("or write into appliance.toml: [images.installer] with kernel, initrd, cmdline and arch");
    }
    for image in images {
        let BootImageFiles { name, version, .. } = image;
        check = match (&image.kernel, &image.initrd) {
            (Ok(kernel), Ok(initrd)) => {
                let apart = kernel.written.since(initrd.written).max(initrd.written.since(kernel.written));
                let mib = (kernel.bytes + initrd.bytes) >> 20;
                let version = version.as_ref().map_or_else(String::new, |v| format!(", Linux {v}"));
                let check = check.found(format!("{name}: {mib} MiB{version}"));
                if kernel.bytes == 0 || initrd.bytes == 0 {
                    check
                        .judged(CheckResult::Problem, format!("{name}: a file of it is empty"))
                        .tip("build it anew")
                } else if apart > ONE_BUILD {
                    check
                        .judged(
                            CheckResult::Warning,
                            format!(
                                "{name}: the kernel is of {}, the initrd of {}: they may be of two builds, and then the installer finds no drivers",
                                kernel.written, initrd.written
                            ),
                        )
                        .tip("build both anew, from one revision")
                } else {
                    check
                }
            }
            (kernel, initrd) => [kernel, initrd]
                .into_iter()
                .filter_map(|file| file.as_ref().err())
                .fold(check, |check, why| {
                    check
                        .judged(CheckResult::Problem, format!("{name}: {why}"))
                        .tip("mend the path in [images.installer], then systemctl restart pxe-appliance")
                }),
        };
    }
    check
}

/// The newest release of a system, and what is wrong with it in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cached {
    /// `release 3 of worker`
    pub release: String,
    pub fault: Option<String>,
    pub system: String,
}

/// `needed`: systems of profiles that machines have, without a release.
pub fn cache(cached: &[Cached], needed: &[String]) -> Check {
    let mut check = Check::new("cache");
    if cached.is_empty() && needed.is_empty() {
        return check
            .judged(CheckResult::Warning, "no system was published yet")
            .tip("pxe-admin publish");
    }
    for Cached {
        release,
        fault,
        system,
    } in cached
    {
        check = match fault {
            None => check.found(format!(
                "{release} is whole, and signed with this appliance's key"
            )),
            Some(fault) => check
                .judged(CheckResult::Problem, format!("{release}: {fault}"))
                .tip(format!("pxe-admin publish {system}")),
        };
    }
    for system in needed {
        check = check
            .judged(
                CheckResult::Problem,
                format!("`{system}` has no release, and machines are to get it"),
            )
            .tip(format!("pxe-admin publish {system}"));
    }
    check
}

/// What is wrong in `hosts-dir` since it was read last; the last good set stays in force.
pub fn hosts(problems: &[String], profiles: usize) -> Check {
    let check = Check::new("profiles");
    if problems.is_empty() {
        let s = if profiles == 1 { "" } else { "s" };
        return check.found(format!("{profiles} profile{s}"));
    }
    problems
        .iter()
        .fold(check, |check, problem| {
            check.judged(CheckResult::Problem, problem.clone())
        })
        .judged(CheckResult::Problem, "the last good set stays in force")
        .tip("pxe-appliance check")
}
