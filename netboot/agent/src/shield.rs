//! Sets every disk read-only that the plan does not name, while disko's script runs.
//!
//! The kernel then refuses writes to the device and to its partitions (since Linux 5.11 the flag of a whole disk holds
//! for its partitions). It is a guard against a slip: the script is root, and could take the flag away.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use netboot::base::refusal::{Refusal, RefusalCode};

use crate::access::{HostCommand, Roots, run};
use crate::inventory::names;
use crate::real::text;
use crate::run::InstallAttempt;
use crate::target::{Target, Targets};

/// Kinds of devices that are parts of the running system: they lie in RAM or are read-only anyway.
const NOT_DISKS: [&str; 5] = ["loop", "ram", "zram", "sr", "fd"];

/// The devices that the agent has set read-only.
#[must_use = "the disks take no writes until it is lowered"]
pub(crate) struct Shield(Vec<String>);

impl Shield {
    /// # Errors
    /// A disk could not be set read-only; then no disk is.
    pub(crate) fn raise(
        install: &mut InstallAttempt<'_>,
        targets: &Targets,
    ) -> anyhow::Result<Self> {
        let mut shield = Self(Vec::new());
        for name in others(install.roots, targets) {
            let set = HostCommand::new("blockdev").arg("--setro");
            let set = set.path(&node(install.roots, &name));
            let held = run(install.access, &set).map_err(anyhow::Error::from);
            // It is listed before the result is looked at, so that it is set writable again in any case.
            shield.0.push(name.clone());
            let held = held.and_then(|_| {
                let told = flag(install.roots, &name, "ro") == "1";
                anyhow::ensure!(told, "the kernel still takes writes to `{name}`");
                Ok(())
            });
            if let Err(error) = held {
                let _ = shield.lower(install);
                let message = format!(
                    "disko's script is not run: `{name}`, which no plan names, cannot be held against writes"
                );
                let refusal = Refusal::new(RefusalCode::PlanRefused, message)
                    .fact(format!("{error:#}"))
                    .tip("take that disk out, or take `engine = \"disko\"` out of the profile");
                return Err(refusal.into());
            }
        }
        Ok(shield)
    }

    /// Has LVM leave these devices alone as well: disko activates every volume group that LVM finds, and a thin pool that is
    /// activated writes through the device mapper, which does not ask for the flag. Gives the folder for `LVM_SYSTEM_DIR`
    /// (lvm.conf(5): a device is looked at unless a pattern rejects it).
    pub(crate) fn hide_from_lvm(&self, roots: &Roots) -> anyhow::Result<PathBuf> {
        let folder = roots.run.join("netboot/lvm");
        let reject = |name: &String| {
            let name = name.replace('!', "/");
            format!("\"r|^/dev/{name}(p?[0-9]+)?$|\"")
        };
        let all: Vec<String> = self.0.iter().map(reject).collect();
        let filter = all.join(", ");
        let config = format!(
            "activation {{ auto_activation_volume_list = [] }}\ndevices {{ global_filter = [ {filter} ] }}\n"
        );
        let write = || {
            fs::create_dir_all(&folder)?;
            fs::write(folder.join("lvm.conf"), config)
        };
        write().with_context(|| format!("cannot write `{}/lvm.conf`", folder.display()))?;
        Ok(folder)
    }

    /// Sets the devices writable again.
    pub(crate) fn lower(self, install: &mut InstallAttempt<'_>) -> anyhow::Result<()> {
        let mut first = Ok(());
        for name in self.0 {
            let free = HostCommand::new("blockdev").arg("--setrw");
            let free = free.path(&node(install.roots, &name));
            let freed = run(install.access, &free)
                .with_context(|| format!("`{name}` still takes no writes"));
            first = first.and(freed.map(drop));
        }
        first
    }
}

/// Every writable block device that is not one of the plan's disks, and also what is built on other disks. The plan's
/// disks have been torn down by now, so no device is built on them.
fn others(roots: &Roots, targets: &Targets) -> Vec<String> {
    let all = names(&roots.sys.join("block")).into_iter();
    let other = |name: &String| {
        let virtual_one = NOT_DISKS.iter().any(|kind| name.starts_with(kind));
        !virtual_one && !targets.iter().map(Target::name).any(|own| own == name)
    };
    all.filter(other)
        .filter(|name| flag(roots, name, "ro") != "1" && flag(roots, name, "size") != "0")
        // One of several ways to an NVMe disk is hidden: only the disk itself can be opened.
        .filter(|name| flag(roots, name, "hidden") != "1")
        .collect()
}

/// Where a name has a `/`, sysfs has a `!`.
fn node(roots: &Roots, name: &str) -> PathBuf {
    roots.dev.join(name.replace('!', "/"))
}

fn flag(roots: &Roots, name: &str, file: &str) -> String {
    text(roots.sys.join("block").join(name).join(file)).unwrap_or_default()
}
