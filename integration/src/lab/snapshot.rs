//! What an install leaves behind, kept under the products: where tests begin that look at what comes after it.
//!
//! It is made by whichever test needs it first, or by one that installs anyhow, and belongs to the very programs and images
//! that it came from: with others it is made anew.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use nix::fcntl::{Flock, FlockArg};

use super::command::{output, run};
use super::firmware::{VmFirmware, ovmf};
use super::namespaces::enter_namespaces;
use super::products::Products;
use super::services::DhcpSetup;
use super::testbed::{Setup, Testbed};

/// Below the folder of a [`Testbed`](super::testbed::Testbed): who may join, who has joined.
pub(super) const JOINED: [&str; 2] = ["tokens", "cluster"];
/// What the appliance knows, holds and has published.
pub(super) const STATE: &str = "appliance/state";
/// What the machine has on its disk and in its firmware's variables.
pub(super) const MACHINE: [&str; 2] = ["root.disk", "tap0.vars"];

impl Testbed {
    /// Like [`Testbed::new`], and further on: the machine was installed as `node1`, has joined, and is off. It was installed
    /// beside a home router, whoever hands out addresses now.
    pub fn installed(setup: &Setup<'_>) -> anyhow::Result<Self> {
        enter_namespaces()?;
        let products = Products::find()?.with(setup.images)?;
        let snapshot = Snapshot::of(&products, setup.firmware, setup.profile)?;
        if snapshot.is_made() {
            println!("begins with a machine that was installed before");
            return Self::new_from(setup, Some(&snapshot));
        }
        let mut testbed = Self::new(setup)?;
        testbed.enroll()?;
        testbed.machine.power_on()?;
        let plain = setup.leases == DhcpSetup::ByRouter;
        let took = match plain {
            true => testbed.wait_for_joined_by_key()?,
            // This router's own way to the disk.
            false => testbed.wait_for_joined()?,
        };
        println!("joined after {:.1} s", took.as_secs_f32());
        testbed.machine.cut_power()?;
        if plain {
            testbed.keep(&snapshot)?;
        }
        Ok(testbed)
    }

    /// Keeps a machine that has just joined beside a home router, and is off, for those that begin with [`Testbed::installed`].
    pub fn keep_installed(&mut self, setup: &Setup<'_>) -> anyhow::Result<()> {
        let snapshot = Snapshot::of(&self.products, setup.firmware, setup.profile)?;
        match snapshot.is_made() {
            true => Ok(()),
            false => self.keep(&snapshot),
        }
    }

    fn keep(&mut self, snapshot: &Snapshot) -> anyhow::Result<()> {
        self.appliance.stop()?;
        snapshot.make(&self.dir)?;
        self.appliance.start()
    }
}

/// Held while it is looked at, made or copied, so that two tests do not make it at once.
pub(super) struct Snapshot {
    dir: PathBuf,
    _lock: Flock<File>,
}

impl Snapshot {
    /// The snapshot of a machine with this firmware and this profile, installed from these products. Waits while
    /// another test has it.
    pub(super) fn of(
        products: &Products,
        firmware: VmFirmware,
        profile: &str,
    ) -> anyhow::Result<Self> {
        let all = products.dir().join("installed");
        fs::create_dir_all(&all)?;
        let kind = format!("{firmware:?}").to_lowercase();
        let lock = File::create(all.join(format!("{kind}.lock")))?;
        let lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, error)| error)?;
        let key = key(products, firmware, profile)?;
        Ok(Self {
            dir: all.join(format!("{kind}-{key}")),
            _lock: lock,
        })
    }

    pub(super) fn is_made(&self) -> bool {
        self.dir.exists()
    }

    /// Keeps the parts that there are in a testbed's folder, in place of what other programs and images left. The machine must
    /// be off, and the appliance stopped.
    pub(super) fn make(&self, testbed: &Path) -> anyhow::Result<()> {
        let part = self.dir.with_extension("part");
        let name = self.dir.file_name().unwrap_or_default().to_string_lossy();
        let kind = name.split_once('-').map_or("", |(kind, _)| kind);
        let all = self.dir.parent().context("a folder above")?;
        for entry in fs::read_dir(all)? {
            let entry = entry?;
            let old = entry
                .file_name()
                .to_string_lossy()
                .starts_with(&format!("{kind}-"));
            if old {
                fs::remove_dir_all(entry.path())?;
            }
        }
        fs::create_dir_all(&part)?;
        for name in JOINED.into_iter().chain([STATE]).chain(MACHINE) {
            copy(testbed, &part, name)?;
        }
        Ok(fs::rename(part, &self.dir)?)
    }

    /// Puts a part into a testbed's folder, in place of what is there.
    pub(super) fn restore(&self, name: &str, testbed: &Path) -> anyhow::Result<()> {
        copy(&self.dir, testbed, name)
    }
}

fn copy(from: &Path, to: &Path, name: &str) -> anyhow::Result<()> {
    let (from, to) = (from.join(name), to.join(name));
    // BIOS has no variables.
    if !from.exists() {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    run(Command::new("cp")
        .args(["-aT", "--sparse=always", "--reflink=auto"])
        .args([from, to]))
}

/// A hash of everything that an install depends on.
fn key(products: &Products, firmware: VmFirmware, profile: &str) -> anyhow::Result<String> {
    let mut files = vec![products.programs(), products.flake()];
    files.extend(["kernel", "initrd", "cmdline"].map(|part| products.installer(part)));
    if firmware != VmFirmware::Bios {
        let (code, variables) = ovmf(firmware)?;
        files.extend([code, variables]);
    }
    let script = r#"profile=$1; shift
        { echo "$profile"; find "$@" -type f -print0 | sort -z | xargs -0 sha256sum; } | sha256sum | cut -c1-32"#;
    let mut hash = Command::new("sh");
    hash.args(["-euc", script, "sh", profile]).args(files);
    Ok(output(&mut hash)?.trim().to_owned())
}
