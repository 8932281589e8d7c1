//! The command lines that are not the plan's: those before partitioning and after mounting. Those that write to a disk
//! take a `Target`, which only a plan can make.

use std::path::Path;

use netboot::base::name::HostName;
use netboot::base::store_path::StorePath;
use netboot::install::plan::Substituter;

use crate::access::{HostCommand, Roots};
use crate::target::Target;

pub(crate) const PROFILE: &str = "nix/var/nix/profiles/system";

pub(crate) fn wipe(device: &Path) -> HostCommand {
    HostCommand::new("wipefs")
        .args(["--all", "--quiet"])
        .path(device)
}

pub(crate) fn reread(target: &Target) -> HostCommand {
    HostCommand::new("blockdev")
        .arg("--rereadpt")
        .path(target.node())
}

/// Prints the GUID of a partition.
pub(crate) fn partition_id(target: &Target, number: u32) -> HostCommand {
    HostCommand::new("sfdisk")
        .arg("--part-uuid")
        .path(target.node())
        .arg(number.to_string())
}

/// Prints the GUID of a partition's type.
pub(crate) fn partition_type(target: &Target, number: u32) -> HostCommand {
    HostCommand::new("sfdisk")
        .arg("--part-type")
        .path(target.node())
        .arg(number.to_string())
}

/// Waits until the disk has what was written to it.
pub(crate) fn flush(target: &Target) -> HostCommand {
    HostCommand::new("blockdev")
        .arg("--flushbufs")
        .path(target.node())
}

/// Copies a path with its closure into the installer's own store.
pub(crate) fn realise(path: &StorePath, cache: &Substituter) -> HostCommand {
    let command = HostCommand::new("nix-store").args(["--log-format", "internal-json", "-v"]);
    from(command, cache).args(["--realise", path.as_str()])
}

/// Seconds that a script may take.
pub(crate) const SCRIPT_LIMIT: u64 = 1800;
/// The exit status of `timeout` when the time is over (timeout(1)).
pub(crate) const TIMED_OUT: i32 = 124;

const SCRIPT: &str = "export LVM_SYSTEM_DIR=\"$2\"\nexec \"$1\" >&2";

/// Runs disko's script, with all that it says on one channel. `lvm`: the folder with LVM's configuration.
pub(crate) fn script(program: &Path, lvm: &Path) -> HostCommand {
    HostCommand::new("timeout")
        .args(["-k", "30", &SCRIPT_LIMIT.to_string()])
        .args(["sh", "-c", SCRIPT, "sh"])
        .path(program)
        .path(lvm)
}

/// Copies the closure and makes it the system profile, in one step.
pub(crate) fn copy(
    roots: &Roots,
    toplevel: &StorePath,
    cache: &Substituter,
    own_store: bool,
) -> HostCommand {
    let target = &roots.target;
    let command = HostCommand::new("nix-env")
        .args(["--log-format", "internal-json", "-v", "--store"])
        .path(target);
    let mut command = from(command, cache);
    if own_store {
        // What the installer has need not be fetched; its store is the machine's own word (nixos-install does the same).
        command = command.args(["--extra-substituters", "auto?trusted=1"]);
    }
    command
        .arg("-p")
        .path(&target.join(PROFILE))
        .args(["--set", toplevel.as_str()])
}

/// The options of a Nix program: the cache is its one substituter, and it takes only paths that the cache's key signed.
/// The time-to-live and time-out options are those without which a client remembers a path as absent for an hour, and
/// hangs 300 s on a connection that stalls.
fn from(mut command: HostCommand, cache: &Substituter) -> HostCommand {
    for (name, value) in [
        ("substituters", cache.url.as_str()),
        ("trusted-public-keys", cache.public_key.as_str()),
        ("require-sigs", "true"),
        ("narinfo-cache-negative-ttl", "0"),
        ("narinfo-cache-positive-ttl", "0"),
        ("stalled-download-timeout", "30"),
        ("connect-timeout", "5"),
        ("build-users-group", ""),
        // A path that the cache lacks is not to be built here.
        ("max-jobs", "0"),
    ] {
        command = command.args(["--option", name, value]);
    }
    command
}

/// Waits until everything below is on the disk. A filesystem takes data and writes it later; only `sync -f` says
/// whether something could not be written (syncfs(2)).
pub(crate) fn write_out(folder: &Path) -> HostCommand {
    HostCommand::new("sync").arg("-f").path(folder)
}

pub(crate) fn host_key(name: &HostName, file: &Path) -> HostCommand {
    HostCommand::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C"])
        .arg(format!("root@{name}"))
        .arg("-f")
        .path(file)
}

/// A failed activation is a warning, as for nixos-install, since the first boot activates again.
const BOOT_LOADER: &str = r#"set -e
mount --make-rprivate /
mount --rbind /dev "$1/dev"
mount --rbind /sys "$1/sys"
IN_NIXOS_ENTER=1 chroot "$1" /nix/var/nix/profiles/system/activate >&2 ||
    echo "warning: activate ended with status $?" >&2
exec chroot "$1" /nix/var/nix/profiles/system/bin/switch-to-configuration boot >&2"#;

/// The new system installs its own boot loader, inside itself.
pub(crate) fn boot_loader(roots: &Roots) -> HostCommand {
    HostCommand::new("unshare")
        .args([
            "--fork",
            "--mount",
            "--uts",
            "--mount-proc",
            "--pid",
            "--",
            "sh",
            "-c",
        ])
        .args([BOOT_LOADER, "sh"])
        .path(&roots.target)
        .env("NIXOS_INSTALL_BOOTLOADER", "1")
}
