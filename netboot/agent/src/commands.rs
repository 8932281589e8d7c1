//! A plan → the command lines that carry it out. Those that write take a `Target`, which only a plan can make.

use std::fmt::Write as _;
use std::path::Path;

use netboot::layout::Filesystem;
use netboot::name::HostName;
use netboot::plan::{Cache, Partition, Plan};
use netboot::store_path::StorePath;

use crate::outside::{Command, Roots};
use crate::target::{Target, TargetPartition};

pub(crate) const PROFILE: &str = "nix/var/nix/profiles/system";

pub(crate) fn wipe(device: &Path) -> Command {
    Command::new("wipefs")
        .args(["--all", "--quiet"])
        .path(device)
}

pub(crate) fn reread(target: &Target) -> Command {
    Command::new("blockdev")
        .arg("--rereadpt")
        .path(target.node())
}

/// `--lock` keeps udev from opening the disk between the write and the kernel's reading of it.
pub(crate) fn partition(target: &Target, plan: &Plan) -> Command {
    Command::new("sfdisk")
        .args([
            "--quiet",
            "--lock=yes",
            "--wipe",
            "always",
            "--wipe-partitions",
            "always",
        ])
        .path(target.node())
        .stdin(script(&plan.partitions, target.sector()))
}

/// Prints the GUID of a partition.
pub(crate) fn partition_id(target: &Target, number: u32) -> Command {
    Command::new("sfdisk")
        .arg("--part-uuid")
        .path(target.node())
        .arg(number.to_string())
}

/// The input of `sfdisk`: numbers without a unit are the disk's own sectors (sfdisk(8)).
pub(crate) fn script(partitions: &[Partition], sector: u32) -> String {
    let sector = u64::from(sector);
    let mut script = "label: gpt\nunit: sectors\n\n".to_owned();
    for Partition {
        number,
        label,
        purpose,
        start,
        size,
        ..
    } in partitions
    {
        let (start, size) = (start / sector, size / sector);
        let guid = purpose.type_guid();
        // Writing into a string does not fail.
        let _ = writeln!(
            script,
            "{number} : start={start}, size={size}, type={guid}, name=\"{label}\""
        );
    }
    script
}

/// Nothing for a partition without filesystem.
pub(crate) fn format(partition: &TargetPartition) -> Option<Command> {
    let label = filesystem_label(&partition.planned.label);
    let command = match partition.planned.filesystem? {
        Filesystem::Vfat => Command::new("mkfs.vfat").args(["-F", "32", "-n", &label]),
        Filesystem::Ext4 => Command::new("mkfs.ext4").args(["-F", "-q", "-L", &label]),
    };
    Some(command.path(partition.node()))
}

/// What stands behind the last `-` of `disk-main-root`; 11 octets are what FAT has room for.
fn filesystem_label(partition_label: &str) -> String {
    let last = partition_label.rsplit('-').next().unwrap_or_default();
    last.chars().take(11).collect()
}

/// The partitions that are mounted, those further up first.
pub(crate) fn in_mount_order(partitions: &[TargetPartition]) -> Vec<(&TargetPartition, &str)> {
    let depth = |path: &str| path.split('/').filter(|part| !part.is_empty()).count();
    let mut mounted: Vec<(&TargetPartition, &str)> = partitions
        .iter()
        .filter_map(|p| Some((p, p.planned.mountpoint.as_deref()?)))
        .collect();
    mounted.sort_by_key(|(_, path)| depth(path));
    mounted
}

pub(crate) fn mount(partition: &TargetPartition, on: &Path) -> Command {
    let command = Command::new("mount");
    match partition.planned.filesystem {
        // The ESP holds the boot loader's random seed, which is for root alone.
        Some(Filesystem::Vfat) => command.args(["-t", "vfat", "-o", "umask=0077"]),
        _ => command.args(["-t", "ext4"]),
    }
    .path(partition.node())
    .path(on)
}

/// Copies the closure and makes it the system profile, in one step. The time-to-live and time-out options are those
/// without which a client remembers a path as absent for an hour, and hangs 300 s on a connection that stalls.
pub(crate) fn copy(roots: &Roots, toplevel: &StorePath, cache: &Cache, own_store: bool) -> Command {
    let target = &roots.target;
    let mut command = Command::new("nix-env")
        .args(["--log-format", "internal-json", "-v", "--store"])
        .path(target);
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
    if own_store {
        // What the installer has need not be fetched; its store is the machine's own word (nixos-install does the same).
        command = command.args(["--extra-substituters", "auto?trusted=1"]);
    }
    command
        .arg("-p")
        .path(&target.join(PROFILE))
        .args(["--set", toplevel.as_str()])
}

pub(crate) fn host_key(name: &HostName, file: &Path) -> Command {
    Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C"])
        .arg(format!("root@{name}"))
        .arg("-f")
        .path(file)
}

/// A failed activation is a warning, as for nixos-install: what it did not do, the first boot does.
const BOOT_LOADER: &str = r#"set -e
mount --make-rprivate /
mount --rbind /dev "$1/dev"
mount --rbind /sys "$1/sys"
IN_NIXOS_ENTER=1 chroot "$1" /nix/var/nix/profiles/system/activate >&2 ||
    echo "warning: activate ended with status $?" >&2
exec chroot "$1" /nix/var/nix/profiles/system/bin/switch-to-configuration boot >&2"#;

/// The new system installs its own boot loader, inside itself.
pub(crate) fn boot_loader(roots: &Roots) -> Command {
    Command::new("unshare")
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

pub(crate) fn unmount(path: &Path) -> Command {
    Command::new("umount").path(path)
}

pub(crate) fn flush(target: &Target) -> Command {
    Command::new("blockdev")
        .arg("--flushbufs")
        .path(target.node())
}
