//! What keeps a disk in use: mounts, swap, and devices built on it → how to let go of it, or why that is not ours to do.

use std::collections::BTreeSet;
use std::path::Path;

use netboot::refusal::{Code, Refusal};

use crate::inventory::names;
use crate::outside::{Command, Roots};
use crate::real::text;

/// The commands that make everything let go of `disk` (`vda`), in order.
///
/// # Errors
/// A device on this disk lies on another disk, too: to stop it would touch what no plan names.
pub(crate) fn release(roots: &Roots, disk: &str) -> Result<Vec<Command>, Refusal> {
    let mut own = vec![disk.to_owned()];
    own.extend(
        crate::disk_facts::children(roots, disk)
            .into_iter()
            .map(|child| child.node),
    );
    let stacked = stacked(roots, &own)?;
    let all: Vec<&String> = own.iter().chain(&stacked).collect();

    let numbers: BTreeSet<String> = all
        .iter()
        .filter_map(|name| text(class(roots, name).join("dev")))
        .collect();
    let mountinfo = text(roots.proc.join("self/mountinfo")).unwrap_or_default();
    let swaps = text(roots.proc.join("swaps")).unwrap_or_default();
    let mut commands: Vec<Command> = Vec::new();
    for device in swaps
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().next())
    {
        if all.iter().any(|name| leads_to(roots, device, name)) {
            commands.push(Command::new("swapoff").arg(device));
        }
    }
    let mut mounts = mounts(&mountinfo, &numbers);
    mounts.reverse();
    commands.extend(
        mounts
            .into_iter()
            .map(|path| Command::new("umount").arg(path)),
    );
    // What was put on top last goes first.
    for name in stacked.iter().rev() {
        let folder = class(roots, name);
        let mapped = text(folder.join("dm/name"));
        commands.push(match mapped {
            Some(mapped) => Command::new("dmsetup").args(["remove", "--retry", mapped.as_str()]),
            None => Command::new("mdadm")
                .arg("--stop")
                .path(&roots.dev.join(name)),
        });
    }
    Ok(commands)
}

/// Device mapper and RAID devices above these, lowest first.
fn stacked(roots: &Roots, own: &[String]) -> Result<Vec<String>, Refusal> {
    let mut found: Vec<String> = Vec::new();
    let mut below: Vec<String> = own.to_vec();
    while let Some(name) = below.pop() {
        for holder in names(&class(roots, &name).join("holders")) {
            if !found.contains(&holder) {
                found.push(holder.clone());
                below.insert(0, holder);
            }
        }
    }
    for holder in &found {
        let foreign = names(&class(roots, holder).join("slaves"))
            .into_iter()
            .find(|slave| !own.contains(slave) && !found.contains(slave));
        if let Some(foreign) = foreign {
            let disk = &own[0];
            return Err(Refusal::new(
                Code::PlanRefused,
                format!("`{disk}` is a part of `{holder}`, which also lies on `{foreign}`"),
            )
            .fact("no plan names that other device, so it is not touched")
            .tip(format!(
                "stop `{holder}` by hand, or take the other disk out"
            )));
        }
    }
    Ok(found)
}

fn class(roots: &Roots, name: &str) -> std::path::PathBuf {
    roots.sys.join("class/block").join(name)
}

/// Mount points of the devices with these numbers (`254:1`), in the order they were mounted (proc(5), mountinfo).
fn mounts(mountinfo: &str, numbers: &BTreeSet<String>) -> Vec<String> {
    let fields = mountinfo.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(2);
        Some((fields.next()?, fields.nth(1)?))
    });
    fields
        .filter(|(number, _)| numbers.contains(*number))
        .map(|(_, path)| unescaped(path))
        .collect()
}

/// `\040` and the like, as the kernel writes blanks in paths.
fn unescaped(path: &str) -> String {
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
    use netboot::hardware::Firmware;

    use super::*;
    use crate::fake::{DiskSpec, Fake};

    fn busy() -> Fake {
        let mut fake = Fake::new(Firmware::Uefi);
        fake.add_disk(&DiskSpec::virtio("vda", 8 << 30, "root"));
        fake.add_disk(&DiskSpec::virtio("vdb", 8 << 30, "data"));
        fake.add_partition("vda", 1, 2048, 2048, "a");
        fake.add_partition("vda", 2, 4096, 2048, "b");
        fake.add_partition("vdb", 1, 2048, 2048, "c");
        fake
    }

    fn released(fake: &Fake) -> Vec<String> {
        let commands = release(&fake.roots(), "vda").expect("releases");
        commands
            .iter()
            .map(|c| fake.plain(&c.to_string()))
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
                "dmsetup remove --retry vg-old",
                "mdadm --stop /dev/md127"
            ]
        );
    }

    #[test]
    fn a_volume_that_spans_another_disk_is_left_alone() {
        let fake = busy();
        fake.stack("md127", &["vda1", "vdb1"], None);
        let refusal = release(&fake.roots(), "vda").expect_err("refuses");
        assert_eq!(
            refusal.message,
            "`vda` is a part of `md127`, which also lies on `vdb1`"
        );
    }
}
