//! Whether a plan can be carried out as it stands. The appliance made it, but a mistake here costs a disk.

use netboot::disk::hardware::Firmware;
use netboot::disk::layout::{DiskoScript, Format};
use netboot::install::plan::{
    Arg, Device, DiskAction, KEY_FROM_STDIN, Partition, Plan, PlannedCommand, PlannedMount,
};
use netboot::install::report::InstallStep;

const MIB: u64 = 1 << 20;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlanError {
    #[error("the plan is for {planned} firmware, this machine was started by {found}")]
    Firmware {
        planned: &'static str,
        found: &'static str,
    },
    #[error("the plan names no disk")]
    NoDisk,
    #[error("the plan writes to disk {node} for `{name}`, {why}")]
    Disk {
        node: String,
        name: String,
        why: &'static str,
    },
    #[error("partition {number} of `{disk}` in the plan {why}")]
    Partition {
        disk: String,
        number: u32,
        why: String,
    },
    #[error("the plan's mount point `{at}` {why}")]
    Mount { at: String, why: &'static str },
    #[error("the plan mounts nothing on `/`")]
    NoRoot,
    #[error("the plan has partitions or mounts beside a script that makes them")]
    BesideScript,
    #[error("the plan's command `{command}` {why}")]
    Command { command: String, why: String },
    #[error("the cache `{0}` of the plan is not an http address")]
    Cache(String),
    #[error("the key `{0}` of the plan's cache is not like name:base64")]
    Key(String),
}

pub(crate) fn check(plan: &Plan, firmware: Firmware) -> Result<(), PlanError> {
    if plan.firmware != firmware {
        return Err(PlanError::Firmware {
            planned: plan.firmware.name(),
            found: firmware.name(),
        });
    }
    if plan.disks.is_empty() {
        return Err(PlanError::NoDisk);
    }
    for (place, disk) in plan.disks.iter().enumerate() {
        let node = &disk.disk.node;
        let wrong = |why| PlanError::Disk {
            node: node.clone(),
            name: disk.name.clone(),
            why,
        };
        let fates = plan.seen.iter().filter(|seen| disk.disk.is(&seen.disk));
        let mut fates = fates.map(|seen| seen.action).peekable();
        if plan.disks[..place]
            .iter()
            .any(|other| other.disk.node == *node)
        {
            return Err(wrong("and for another one as well"));
        }
        if fates.peek().is_some() && !fates.any(|action| action == DiskAction::Written) {
            return Err(wrong("and says that it does not"));
        }
        let mut free_from = MIB;
        for (number, partition) in (1..).zip(&disk.partitions) {
            let wrong = |why: String| PlanError::Partition {
                disk: disk.name.clone(),
                number: partition.number,
                why,
            };
            if partition.number != number {
                return Err(wrong(format!("stands at place {number}")));
            }
            sound(partition, free_from).map_err(wrong)?;
            free_from = partition.start + partition.size;
        }
    }
    let mut mountpoints = Vec::new();
    for PlannedMount { at, .. } in &plan.mounts {
        let wrong = |why| PlanError::Mount {
            at: at.clone(),
            why,
        };
        if !is_plain_path(at) {
            return Err(wrong("is not a plain path"));
        }
        if mountpoints.contains(&at) {
            return Err(wrong("is there twice"));
        }
        mountpoints.push(at);
    }
    // What a script mounts is checked after it has run.
    if plan.script.is_none() && !mountpoints.iter().any(|at| *at == "/") {
        return Err(PlanError::NoRoot);
    }
    scripted(plan)?;
    for command in &plan.commands {
        harmless(plan, command).map_err(|why| PlanError::Command {
            command: command.command_line(plan),
            why,
        })?;
    }
    let url = &plan.cache.url;
    let http = url.starts_with("http://") || url.starts_with("https://");
    if !http || url.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(PlanError::Cache(url.clone()));
    }
    let key = &plan.cache.public_key;
    let plain = |c: char| c.is_ascii_graphic();
    match key.split_once(':') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() && key.chars().all(plain) => {
            Ok(())
        }
        _ => Err(PlanError::Key(key.clone())),
    }
}

/// A plan with a script may not have other commands that make or mount anything, because the guards stand around the
/// script alone.
fn scripted(plan: &Plan) -> Result<(), PlanError> {
    let Some(script) = &plan.script else {
        return Ok(());
    };
    let program = DiskoScript::program(script);
    let is_own = |command: &&PlannedCommand| {
        let mut args = command.args.iter();
        let ends = command.program == "umount" && command.step == InstallStep::Unmount;
        ends || (command.program == program && args.next().is_none() && command.input.is_none())
    };
    if let Some(other) = plan.commands.iter().find(|command| !is_own(command)) {
        return Err(PlanError::Command {
            command: other.command_line(plan),
            why: "stands beside a script".to_owned(),
        });
    }
    let made = plan.disks.iter().flat_map(|disk| &disk.partitions);
    match made.count() + plan.mounts.len() + plan.volumes.len() + plan.arrays.len() {
        0 => Ok(()),
        _ => Err(PlanError::BesideScript),
    }
}

/// The programs that a plan may run. The devices that they write to are given as [`Device`], which the guard looks up.
const PROGRAMS: [&str; 17] = [
    "blockdev",
    "btrfs",
    "cryptsetup",
    "mdadm",
    "mkfs.btrfs",
    "mkfs.ext4",
    "mkfs.vfat",
    "mkfs.xfs",
    "mkswap",
    "mount",
    "sfdisk",
    "sync",
    "systemd-cryptenroll",
    "umount",
    "wipefs",
    "zfs",
    "zpool",
];

fn harmless(plan: &Plan, command: &PlannedCommand) -> Result<(), String> {
    let script = plan.script.as_ref().map(DiskoScript::program);
    if !PROGRAMS.contains(&command.program.as_str()) && script.as_ref() != Some(&command.program) {
        return Err("runs a program that no plan needs".to_owned());
    }
    let known = |device: &Device| match device {
        Device::Disk(name) => plan.disks.iter().any(|disk| disk.name == *name),
        Device::Partition { .. } => plan.partition(device).is_some(),
        Device::Array(name) => plan.arrays.iter().any(|array| array.name == *name),
        Device::Volume(name) => plan.volumes.iter().any(|volume| volume.name == *name),
        Device::Dataset(name) => is_dataset(plan, name),
    };
    let of_zfs = ["zfs", "zpool"].contains(&command.program.as_str());
    let devices = command.args.iter().filter_map(|arg| match arg {
        Arg::Device(device) => Some(device),
        _ => None,
    });
    if let Some(unknown) = devices.chain(&command.makes).find(|device| !known(device)) {
        return Err(format!("names {unknown:?}, which is not in the plan"));
    }
    for arg in &command.args {
        match arg {
            Arg::Text(text) if text == KEY_FROM_STDIN => {}
            Arg::Text(text) if command.program == "sfdisk" && is_label(plan, text) => {}
            Arg::Text(text) if text.starts_with(['/', '.']) || text.contains("/dev/") => {
                return Err(format!("names the path `{text}`"));
            }
            // Any other word would be the name of a pool, and that pool may be on another disk.
            Arg::Text(text) if of_zfs && !is_told_to_zfs(text) => {
                return Err(format!("says `{text}` to ZFS"));
            }
            Arg::Below(path) if !is_plain_path(path) => {
                return Err(format!("has the path `{path}`, which is not a plain one"));
            }
            _ => {}
        }
    }
    let destroys = [
        "wipefs",
        "mdadm",
        "cryptsetup",
        "systemd-cryptenroll",
        "zpool",
    ];
    let formats = command.program.starts_with("mk") || destroys.contains(&command.program.as_str());
    let kept = command.args.iter().find_map(|arg| match arg {
        Arg::Device(device) => plan.partition(device).filter(|partition| partition.kept),
        _ => None,
    });
    match kept {
        Some(kept) if formats => Err(format!("writes to `{}`, which is kept", kept.label)),
        _ => Ok(()),
    }
}

/// Whether the plan makes this pool, or this dataset in one.
fn is_dataset(plan: &Plan, name: &str) -> bool {
    let pools = plan.filesystems.iter().filter(|f| f.format == Format::Zfs);
    let known = pools.flat_map(|pool| {
        let datasets = pool.subvolumes.iter();
        let datasets = datasets.map(|dataset| format!("{}/{dataset}", pool.label));
        datasets.chain([pool.label.clone()])
    });
    is_plain_path(&format!("/{name}"))
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && known.into_iter().any(|own| own == name)
}

fn is_told_to_zfs(text: &str) -> bool {
    ["create", "export", "-f", "-o", "-O"].contains(&text) || text.contains('=')
}

/// Labels are plain and so are not paths, though one may begin with a dot.
fn is_label(plan: &Plan, text: &str) -> bool {
    let mut all = plan.disks.iter().flat_map(|disk| &disk.partitions);
    all.any(|partition| partition.label == text)
}

fn sound(partition: &Partition, free_from: u64) -> Result<(), String> {
    let Partition {
        label,
        start,
        size,
        kept,
        ..
    } = partition;
    let label_ok = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    // A GPT name has 36 UTF-16 units (UEFI 2.10 §5.3.3).
    if label.is_empty() || label.len() > 36 || !label.chars().all(label_ok) {
        return Err(format!("has the label `{label}`, which is not plain"));
    }
    let whole = *kept || (start % MIB == 0 && size % MIB == 0);
    if *size == 0 || !whole || start.checked_add(*size).is_none() {
        return Err(format!(
            "has {size} bytes from {start}, which are no whole MiB"
        ));
    }
    if *start < free_from {
        return Err(format!("begins at {start}, before byte {free_from}"));
    }
    Ok(())
}

fn is_plain_path(path: &str) -> bool {
    let part_ok = |part: &str| {
        // Subvolumes are often called `@home`.
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
        !part.is_empty() && part != "." && part != ".." && part.chars().all(plain)
    };
    match path.strip_prefix('/') {
        Some("") => true,
        Some(rest) => rest.split('/').all(part_ok),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::plan;

    #[test]
    fn a_plan_that_cannot_be_carried_out_is_told_from_one_that_can() {
        assert_eq!(check(&plan(Firmware::Uefi), Firmware::Uefi), Ok(()));
        assert_eq!(check(&plan(Firmware::Bios), Firmware::Bios), Ok(()));
        type Change = fn(&mut Plan);
        let rows: [(&str, Change, &str); 20] = [
            (
                "other firmware",
                |p| p.firmware = Firmware::Bios,
                "the plan is for BIOS",
            ),
            ("no disk", |p| p.disks.clear(), "names no disk"),
            (
                "one disk for two",
                |p| {
                    let mut again = p.disks[0].clone();
                    again.name = "second".into();
                    p.disks.push(again);
                },
                "for `second`, and for another one as well",
            ),
            (
                "a disk that is kept",
                |p| p.seen[0].action = DiskAction::Kept,
                "says that it does not",
            ),
            (
                "a label that is a script",
                |p| p.disks[0].partitions[0].label = "a\"\n2 :".into(),
                "not plain",
            ),
            (
                "a start inside a sector",
                |p| p.disks[0].partitions[0].start += 1,
                "no whole MiB",
            ),
            (
                "over the GPT",
                |p| p.disks[0].partitions[0].start = 0,
                "before byte 1048576",
            ),
            (
                "overlapping",
                |p| p.disks[0].partitions[1].start -= MIB,
                "partition 2 of `main` in the plan begins",
            ),
            (
                "without end",
                |p| p.disks[0].partitions[1].size = u64::MAX - MIB + 1,
                "no whole MiB",
            ),
            (
                "numbers in disorder",
                |p| p.disks[0].partitions[0].number = 2,
                "stands at place 1",
            ),
            (
                "out of the target",
                |p| p.mounts[1].at = "/../etc".into(),
                "not a plain path",
            ),
            (
                "a relative mount point",
                |p| p.mounts[1].at = "boot".into(),
                "not a plain path",
            ),
            (
                "two roots",
                |p| p.mounts[1].at = "/".into(),
                "is there twice",
            ),
            ("no root", |p| drop(p.mounts.remove(0)), "nothing on `/`"),
            (
                "a program that no plan needs",
                |p| p.commands[0].program = "dd".into(),
                "no plan needs",
            ),
            (
                "a device by its kernel's name",
                |p| p.commands[0].args.push(Arg::Text("/dev/vdb".into())),
                "names the path `/dev/vdb`",
            ),
            (
                "a disk that was not chosen",
                |p| {
                    p.commands[0]
                        .args
                        .push(Arg::Device(Device::Disk("data".into())));
                },
                "which is not in the plan",
            ),
            (
                "a filesystem over one that is kept",
                |p| p.disks[0].partitions[1].kept = true,
                "which is kept",
            ),
            (
                "a cache on disk",
                |p| p.cache.url = "file:///tmp".into(),
                "not an http address",
            ),
            (
                "no key",
                |p| p.cache.public_key = String::new(),
                "not like name:base64",
            ),
        ];
        for (name, change, want) in rows {
            let mut plan = plan(Firmware::Uefi);
            change(&mut plan);
            let error = check(&plan, Firmware::Uefi).expect_err(name).to_string();
            assert!(error.contains(want), "{name}: {error}");
        }
    }
}
