//! What keeps a disk in use: mounts, swap, and devices built on it → how to let go of it, or why that is not ours to do.

use std::path::{Path, PathBuf};

use netboot::base::refusal::{Refusal, RefusalCode};

use crate::access::{HostCommand, Roots};
use crate::disk_facts::children;
use crate::inventory::names;
use crate::real::text;

/// One thing to do, so that the disk is let go of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReleaseAction {
    pub command: HostCommand,
    /// Whether the disk is let go of without it as well.
    pub optional: bool,
}

/// The commands that make everything let go of `disks` (`vda`), in order. What is built on them is wiped before it is
/// stopped, so that a device that comes to lie at the same place later does not show old contents.
///
/// # Errors
/// A device on these disks also lies on another disk, so that to stop it would touch a disk that no plan names; or the
/// device is of a kind that is not known here.
pub(crate) fn release(roots: &Roots, disks: &[&str]) -> Result<Vec<ReleaseAction>, Refusal> {
    let own = disks.iter().flat_map(|disk| with_partitions(roots, disk));
    let own: Vec<String> = own.collect();
    let stacked = stacked(roots, &own)?;
    let all: Vec<&str> = own
        .iter()
        .chain(stacked.iter().flat_map(|device| &device.nodes))
        .map(String::as_str)
        .collect();

    let needed = |command: HostCommand| ReleaseAction {
        command,
        optional: false,
    };
    let mut commands: Vec<ReleaseAction> = Vec::new();
    let swaps = text(roots.proc.join("swaps")).unwrap_or_default();
    for device in swaps
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().next())
    {
        if all.iter().any(|name| leads_to(roots, device, name)) {
            commands.push(needed(HostCommand::new("swapoff").arg(device)));
        }
    }
    let mut mounts = mount_points(roots, &all);
    mounts.reverse();
    let umount = |path| needed(HostCommand::new("umount").arg(path));
    commands.extend(mounts.into_iter().map(umount));
    for device in &stacked {
        for node in device.nodes.iter().rev() {
            if takes_writes(roots, node) {
                commands.push(ReleaseAction {
                    command: crate::commands::wipe(&roots.dev.join(node)),
                    optional: true,
                });
            }
        }
        commands.push(needed(device.stop.clone()));
    }
    Ok(commands)
}

/// The same for devices that were just made and are to stay: they are stopped and not wiped.
pub(crate) fn let_go(roots: &Roots, disks: &[&str]) -> Result<Vec<HostCommand>, Refusal> {
    let all = release(roots, disks)?.into_iter();
    let needed = all.filter(|release| !release.optional);
    Ok(needed.map(|release| release.command).collect())
}

/// A device mapper or RAID device.
struct Stacked {
    /// It, then its partitions.
    nodes: Vec<String>,
    stop: HostCommand,
}

/// The devices above these, topmost first: each stands after all that is built on it.
fn stacked(roots: &Roots, own: &[String]) -> Result<Vec<Stacked>, Refusal> {
    let mut found: Vec<String> = Vec::new();
    let mut below: Vec<String> = own.to_vec();
    while let Some(name) = below.pop() {
        for holder in holders(roots, &name) {
            if !found.contains(&holder) {
                below.extend(with_partitions(roots, &holder));
                found.push(holder);
            }
        }
    }
    let nodes: Vec<String> = found
        .iter()
        .flat_map(|name| with_partitions(roots, name))
        .collect();
    for holder in &found {
        let foreign = names(&class(roots, holder).join("slaves"))
            .into_iter()
            .find(|slave| !own.contains(slave) && !nodes.contains(slave));
        if let Some(foreign) = foreign {
            let disk = own.first().map_or("", String::as_str);
            return Err(Refusal::new(
                RefusalCode::PlanRefused,
                format!("`{disk}` is a part of `{holder}`, which also lies on `{foreign}`"),
            )
            .fact("no plan names that other device, so it is not touched")
            .tip(format!(
                "stop `{holder}` by hand, or take the other disk out"
            )));
        }
    }
    let mut order = Vec::new();
    while !found.is_empty() {
        let is_top = |name: &String| {
            let parts = with_partitions(roots, name);
            let holds = parts
                .iter()
                .flat_map(|part| holders(roots, part))
                .any(|holder| found.contains(&holder));
            let contains = |other: &String| container(roots, other).as_ref() == Some(name);
            !holds && !found.iter().any(contains)
        };
        // There is always a top one; a sysfs that changes meanwhile must not hold this up.
        let top = found.iter().position(is_top).unwrap_or(0);
        let name = found.remove(top);
        order.push(Stacked {
            stop: stop(roots, own.first().map_or("", String::as_str), &name)?,
            nodes: with_partitions(roots, &name),
        });
    }
    Ok(order)
}

/// The container that an array of a mainboard's RAID (IMSM, DDF) lies in. Both hold the disks, and neither the other:
/// only the array says so, as `external:/md127/0`, with `-` in place of the first slash while it is read-only
/// (Documentation/admin-guide/md.rst, `metadata_version`; `is_subarray` of mdadm).
fn container(roots: &Roots, name: &str) -> Option<String> {
    let version = text(class(roots, name).join("md/metadata_version"))?;
    let inside = version.strip_prefix("external:")?;
    let inside = inside.strip_prefix(['/', '-'])?;
    inside.split('/').next().map(str::to_owned)
}

fn stop(roots: &Roots, disk: &str, name: &str) -> Result<HostCommand, Refusal> {
    let folder = class(roots, name);
    if let Some(mapped) = text(folder.join("dm/name")) {
        return Ok(HostCommand::new("dmsetup").args(["remove", "--retry", mapped.as_str()]));
    }
    if name.starts_with("md") {
        return Ok(HostCommand::new("mdadm")
            .arg("--stop")
            .path(&roots.dev.join(name)));
    }
    Err(Refusal::new(
        RefusalCode::PlanRefused,
        format!("`{disk}` is in use by `{name}`, and how to stop that is not known here"),
    )
    .tip(format!("stop `{name}` by hand, then reimage this machine")))
}

/// The device and the partitions that the kernel sees on it.
fn with_partitions(roots: &Roots, name: &str) -> Vec<String> {
    let mut all = vec![name.to_owned()];
    all.extend(children(roots, name).into_iter().map(|child| child.node));
    all
}

/// What is built on a device and runs: arrays, volumes, opened LUKS.
pub(crate) fn holders(roots: &Roots, name: &str) -> Vec<String> {
    names(&class(roots, name).join("holders"))
}

/// An array that lacks members has no size, and a snapshot's origin may be read-only.
fn takes_writes(roots: &Roots, name: &str) -> bool {
    let fact = |file: &str| text(class(roots, name).join(file)).unwrap_or_default();
    fact("size") != "0" && fact("ro") != "1"
}

fn class(roots: &Roots, name: &str) -> PathBuf {
    roots.sys.join("class/block").join(name)
}

/// Where these devices are mounted, in the order they were mounted (proc(5), mountinfo). A device is known by its number,
/// or by its name: filesystems on several disks have numbers of their own.
pub(crate) fn mount_points(roots: &Roots, devices: &[&str]) -> Vec<String> {
    let numbers: Vec<String> = devices
        .iter()
        .filter_map(|name| text(class(roots, name).join("dev")))
        .collect();
    let mountinfo = text(roots.proc.join("self/mountinfo")).unwrap_or_default();
    let fields = mountinfo.lines().filter_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(2);
        Some((left.next()?, left.nth(1)?, right.split(' ').nth(1)?))
    });
    fields
        .filter(|(number, _, source)| {
            let number = (*number).to_owned();
            numbers.contains(&number)
                || (source.starts_with('/')
                    && devices.iter().any(|name| leads_to(roots, source, name)))
        })
        .map(|(_, path, _)| unescaped(path))
        .collect()
}

/// `\040` and the like, as the kernel writes blanks in paths.
pub(crate) fn unescaped(path: &str) -> String {
    let mut parts = path.split('\\');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part
            .get(..3)
            .and_then(|octal| u8::from_str_radix(octal, 8).ok());
        match code {
            Some(code) => {
                text.push(char::from(code));
                text.push_str(&part[3..]);
            }
            None => {
                text.push('\\');
                text.push_str(part);
            }
        }
    }
    text
}

fn leads_to(roots: &Roots, device: &str, name: &str) -> bool {
    let device = Path::new(device);
    device == roots.dev.join(name)
        || std::fs::canonicalize(device).is_ok_and(|real| real == roots.dev.join(name))
}

#[cfg(test)]
mod tests {
    use netboot::disk::hardware::Firmware;

    use super::*;
    use crate::fake::{DiskSpec, FakeMachine};

    fn busy() -> FakeMachine {
        let mut fake = FakeMachine::new(Firmware::Uefi);
        fake.add_disk(&DiskSpec::virtio("vda", 8 << 30, "root"));
        fake.add_disk(&DiskSpec::virtio("vdb", 8 << 30, "data"));
        fake.add_partition("vda", 1, 2048, 2048, "a");
        fake.add_partition("vda", 2, 4096, 2048, "b");
        fake.add_partition("vdb", 1, 2048, 2048, "c");
        fake
    }

    fn released(fake: &FakeMachine) -> Vec<String> {
        let commands = release(&fake.roots(), &["vda"]).expect("releases");
        commands
            .iter()
            .map(|release| fake.without_base(&release.command.to_string()))
            .collect()
    }

    #[test]
    fn mounts_and_swap_of_the_disk_alone_are_let_go() {
        let fake = busy();
        let (one, two) = (fake.number("vda1"), fake.number("vda2"));
        let other = fake.number("vdb1");
        fake.write(
            "proc/self/mountinfo",
            &format!(
                "20 1 0:5 / /proc rw - proc proc rw\n\
             21 1 {one} / /old rw - ext4 /dev/vda1 rw\n\
             22 21 {other} / /data rw - ext4 /dev/vdb1 rw\n\
             23 21 {one} /sub /old/a\\040b rw - ext4 /dev/vda1 rw\n"
            ),
        );
        let swap = fake.roots().dev.join("vda2");
        fake.write(
            "proc/swaps",
            &format!(
                "Filename Type Size Used Priority\n{} partition 9 0 -2\n/swapfile file 1 0 -3\n",
                swap.display()
            ),
        );
        assert_eq!(
            released(&fake),
            ["swapoff /dev/vda2", "umount '/old/a b'", "umount /old"]
        );
        assert_ne!(one, two);
    }

    #[test]
    fn a_disk_that_nothing_uses_needs_nothing() {
        assert_eq!(released(&busy()), [""; 0]);
    }

    #[test]
    fn volumes_on_this_disk_alone_are_stopped_from_the_top() {
        let fake = busy();
        fake.stack("md127", &["vda1", "vda2"], None);
        fake.stack("dm-0", &["md127"], Some("vg-old"));
        let dm = fake.number("dm-0");
        fake.write(
            "proc/self/mountinfo",
            &format!("21 1 {dm} / /old rw - ext4 /dev/dm-0 rw\n"),
        );
        assert_eq!(
            released(&fake),
            [
                "umount /old",
                "wipefs --all --quiet /dev/dm-0",
                "dmsetup remove --retry vg-old",
                "wipefs --all --quiet /dev/md127",
                "mdadm --stop /dev/md127"
            ]
        );
    }

    #[test]
    fn a_volume_that_spans_another_disk_is_left_alone() {
        let fake = busy();
        fake.stack("md127", &["vda1", "vdb1"], None);
        let refusal = release(&fake.roots(), &["vda"]).expect_err("refuses");
        assert_eq!(
            refusal.message,
            "`vda` is a part of `md127`, which also lies on `vdb1`"
        );
    }

    #[test]
    fn nothing_is_stopped_before_what_is_built_on_it() {
        let fake = busy();
        // A volume on an array's partition and on a partition beside it; found by the shorter way first.
        fake.stack("md127", &["vda1"], None);
        fake.write("sys/block/md127/md127p1/partition", "1");
        fake.write("sys/block/md127/md127p1/start", "2048");
        fake.write("sys/block/md127/md127p1/size", "2048");
        fake.stack("dm-0", &["md127p1", "vda2"], Some("vg-old"));
        fake.stack("dm-1", &["dm-0"], Some("opened"));
        let stops: Vec<String> = released(&fake)
            .into_iter()
            .filter(|line| !line.starts_with("wipefs"))
            .collect();
        assert_eq!(
            stops,
            [
                "dmsetup remove --retry opened",
                "dmsetup remove --retry vg-old",
                "mdadm --stop /dev/md127"
            ]
        );
    }

    #[test]
    fn an_array_is_stopped_before_the_container_that_it_lies_in() {
        for (container, array) in [("md126", "md127"), ("md127", "md126")] {
            for (version, inside) in [("/", true), ("-", true), ("", false)] {
                let fake = busy();
                for name in [container, array] {
                    fake.stack(name, &["vda1", "vda2"], None);
                    fake.write(&format!("sys/class/block/{name}/size"), "0");
                }
                let said = |name: &str, text: &str| {
                    fake.write(&format!("sys/class/block/{name}/md/metadata_version"), text);
                };
                said(container, "external:imsm\n");
                if inside {
                    said(array, &format!("external:{version}{container}/0\n"));
                }
                // Devices that are not built on each other are in the order of their names.
                let first = if inside { array } else { "md126" };
                let stops = released(&fake);
                assert_eq!(stops.len(), 2, "{stops:?}");
                let want = format!("mdadm --stop /dev/{first}");
                assert_eq!(stops[0], want, "{container} {version}");
            }
        }
    }

    #[test]
    fn an_array_that_did_not_start_is_stopped_without_being_wiped() {
        let fake = busy();
        fake.stack("md127", &["vda1"], None);
        fake.write("sys/class/block/md127/size", "0");
        assert_eq!(released(&fake), ["mdadm --stop /dev/md127"]);
    }

    #[test]
    fn a_filesystem_with_a_number_of_its_own_is_known_by_its_device() {
        let fake = busy();
        let device = fake.roots().dev.join("vda1");
        fake.write(
            "proc/self/mountinfo",
            &format!("21 1 0:42 / /old rw - btrfs {} rw\n", device.display()),
        );
        assert_eq!(released(&fake), ["umount /old"]);
    }

    #[test]
    fn what_cannot_be_stopped_here_is_named() {
        let fake = busy();
        fake.stack("bcache0", &["vda1"], None);
        let refusal = release(&fake.roots(), &["vda"]).expect_err("refuses");
        assert!(refusal.message.contains("`bcache0`"), "{refusal}");
    }
}
