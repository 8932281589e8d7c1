//! What is on a disk: its signatures, those of its partitions, and those of what is built on them, as `wipefs` finds them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use netboot::disk::hardware::{Disk, Group, Signature, SignatureKind};
use serde::Deserialize;

use crate::access::{ReadAccess, ReadCommand, Roots, look};
use crate::busy::holders;
use crate::disk_facts::{SYSFS_SECTOR, children};
use crate::real::text;

/// The disk itself if it has a signature, then its partitions, each followed by what is built on it and runs.
pub(crate) fn read_signatures(
    access: &mut dyn ReadAccess,
    roots: &Roots,
    disk: &Disk,
) -> Vec<Signature> {
    let mut holds = signatures(access, roots, &disk.node, disk.size, disk.sector);
    name_data(roots, &disk.node, &mut holds);
    holds.retain(|held| held.kind != SignatureKind::Blank);
    built_on(access, roots, &disk.node, &mut holds);
    for child in children(roots, &disk.node) {
        let mut parts = signatures(access, roots, &child.node, child.size, disk.sector);
        name_data(roots, &child.node, &mut parts);
        let folder = roots.sys.join("block").join(&disk.node).join(&child.node);
        let uevent = text(folder.join("uevent")).unwrap_or_default();
        let name = uevent.lines().find_map(|l| l.strip_prefix("PARTNAME="));
        for part in &mut parts {
            name.unwrap_or_default()
                .clone_into(&mut part.partition_label);
            part.start = child.start;
        }
        holds.append(&mut parts);
        built_on(access, roots, &child.node, &mut holds);
    }
    holds
}

/// Tells three kinds of devices apart on which `wipefs` finds no signature: blank ones, ones with data of an unknown
/// kind, and ones that cannot be read.
fn name_data(roots: &Roots, node: &str, holds: &mut [Signature]) {
    let unsigned = |held: &&mut Signature| held.kind == SignatureKind::Blank;
    for held in holds.iter_mut().filter(unsigned) {
        held.kind = match ends(&roots.dev.join(node), held.size) {
            DeviceEnds::Blank => SignatureKind::Blank,
            DeviceEnds::Data => SignatureKind::UnknownData,
            DeviceEnds::Unreadable => SignatureKind::Unreadable,
        };
    }
}

/// What is at the two ends of a device.
enum DeviceEnds {
    Blank,
    Data,
    Unreadable,
}

/// Whether anything but zeros is at either end of a device of `size` bytes. An error is not the same as zeros: a disk
/// that cannot be read today may be readable tomorrow.
fn ends(device: &Path, size: u64) -> DeviceEnds {
    const SPAN: u64 = 1 << 20;

    let data_from = |start| -> io::Result<bool> {
        let mut octets = Vec::new();
        let mut device = File::open(device)?;
        device.seek(SeekFrom::Start(start))?;
        device.take(SPAN).read_to_end(&mut octets)?;
        Ok(octets.iter().any(|octet| *octet != 0))
    };
    match (data_from(0), data_from(size.saturating_sub(SPAN))) {
        (Ok(false), Ok(false)) => DeviceEnds::Blank,
        (Ok(_), Ok(_)) => DeviceEnds::Data,
        _ => DeviceEnds::Unreadable,
    }
}

/// Arrays, volumes and opened LUKS above a device, from the bottom up; each once, though it may lie on several partitions.
fn built_on(access: &mut dyn ReadAccess, roots: &Roots, below: &str, holds: &mut Vec<Signature>) {
    for holder in holders(roots, below) {
        let folder = roots.sys.join("class/block").join(&holder);
        let size = |name: &str| {
            let sectors = text(roots.sys.join("class/block").join(name).join("size"));
            sectors.and_then(|s| s.parse::<u64>().ok()).unwrap_or(0) * SYSFS_SECTOR
        };
        let name = text(folder.join("dm/name")).unwrap_or_else(|| holder.clone());
        if holds.iter().any(|held| held.node == name) {
            continue;
        }
        // An array that lacks members cannot be read, and its members are listed already.
        if size(&holder) > 0 {
            for mut held in signatures(access, roots, &holder, size(&holder), 512) {
                held.node.clone_from(&name);
                holds.push(held);
            }
        }
        built_on(access, roots, &holder, holds);
        for part in children(roots, &holder) {
            holds.append(&mut signatures(access, roots, &part.node, part.size, 512));
            built_on(access, roots, &part.node, holds);
        }
    }
}

/// What `wipefs --json` prints.
#[derive(Default, Deserialize)]
struct WipefsOutput {
    signatures: Vec<WipefsSignature>,
}

#[derive(Deserialize)]
struct WipefsSignature {
    /// `0x1fe`
    offset: String,
    #[serde(rename = "type")]
    kind: SignatureKind,
    uuid: Option<String>,
    label: Option<String>,
}

/// One for each kind of signature on the device, or one without a kind.
fn signatures(
    access: &mut dyn ReadAccess,
    roots: &Roots,
    node: &str,
    size: u64,
    sector: u32,
) -> Vec<Signature> {
    let unlabelled = |kind: SignatureKind| Signature {
        node: node.to_owned(),
        size,
        kind,
        label: String::new(),
        partition_label: String::new(),
        member_of: None,
        start: 0,
    };
    let listed = look(access, &ReadCommand::signatures(&roots.dev.join(node)));
    let listed = listed.ok().and_then(|said| match said.trim() {
        "" => Some(WipefsOutput::default()),
        said => serde_json::from_str(said).ok(),
    });
    // Output that cannot be read is not the same as none: an operator who confirms a plan must know.
    let Some(WipefsOutput { signatures }) = listed else {
        return vec![unlabelled(SignatureKind::Unreadable)];
    };
    let mut holds: Vec<Signature> = Vec::new();
    let primary = format!("{sector:#x}");
    let has_gpt = |at_start: bool| {
        signatures
            .iter()
            .any(|s| s.kind == SignatureKind::Gpt && (s.offset == primary) == at_start)
    };
    for signature in &signatures {
        let kind = match &signature.kind {
            // The protective MBR is a part of a GPT.
            SignatureKind::ProtectiveMbr if has_gpt(true) => continue,
            SignatureKind::Gpt if !has_gpt(true) => SignatureKind::GptBackup,
            kind => kind.clone(),
        };
        // A filesystem has its magic in several places.
        if holds.iter().any(|held| held.kind == kind) {
            continue;
        }
        let said = |text: &Option<String>| text.clone().unwrap_or_default();
        let label = said(&signature.label);
        holds.push(Signature {
            member_of: group(&kind, &label, said(&signature.uuid)),
            label,
            ..unlabelled(kind)
        });
    }
    if holds.is_empty() {
        holds.push(unlabelled(SignatureKind::Blank));
    }
    holds
}

/// The group that a signature is a member of; `None` if it is not a member of any. The UUID of most formats is that of
/// the whole group; a physical volume has a UUID of its own, until [`volume_groups`] replaces it.
fn group(kind: &SignatureKind, label: &str, id: String) -> Option<Group> {
    match kind {
        SignatureKind::RaidMember
        | SignatureKind::LvmMember
        | SignatureKind::ZfsMember
        | SignatureKind::Btrfs
        | SignatureKind::Bcachefs => Some(match id.is_empty() {
            true => unknown(),
            false => Group {
                name: if label.is_empty() { &id } else { label }.to_owned(),
                id,
            },
        }),
        SignatureKind::Bcache | SignatureKind::Stratis => Some(unknown()),
        // RAID of mainboards and controllers (`isw_raid_member`), LVM 1, VMFS: named alike by libblkid.
        SignatureKind::Other(name) if name.ends_with("_member") => Some(unknown()),
        SignatureKind::Blank
        | SignatureKind::UnknownData
        | SignatureKind::Unreadable
        | SignatureKind::Gpt
        | SignatureKind::GptBackup
        | SignatureKind::ProtectiveMbr
        | SignatureKind::Mbr
        | SignatureKind::Luks
        | SignatureKind::Ext4
        | SignatureKind::Xfs
        | SignatureKind::Vfat
        | SignatureKind::Swap
        | SignatureKind::Other(_) => None,
    }
}

/// The group of a member that does not name its group: it may be any group of its kind.
fn unknown() -> Group {
    Group {
        name: "of a name that cannot be read".to_owned(),
        id: String::new(),
    }
}

/// Puts the volume group in the place of each physical volume's own UUID. Where LVM cannot say, all physical volumes
/// are taken to be of one group.
pub(crate) fn volume_groups(access: &mut dyn ReadAccess, disks: &mut [Disk]) {
    let mut members: Vec<&mut Signature> = disks
        .iter_mut()
        .flat_map(|disk| &mut disk.holds)
        .filter(|held| held.kind == SignatureKind::LvmMember)
        .collect();
    if members.is_empty() {
        return;
    }
    let known = look(access, &ReadCommand::physical_volumes())
        .ok()
        .map(|said| {
            let lines = said.lines().filter_map(|line| {
                let mut fields = line.trim().split('|');
                Some((
                    fields.next()?.to_owned(),
                    fields.next()?.to_owned(),
                    fields.next()?.to_owned(),
                ))
            });
            lines
                .map(|(volume, name, id)| (volume, Group { name, id }))
                .collect::<BTreeMap<_, _>>()
        });
    for held in &mut members {
        held.member_of = match (&known, &held.member_of) {
            (Some(known), Some(own)) if !own.id.is_empty() => {
                known.get(&own.id).filter(|g| !g.id.is_empty()).cloned()
            }
            _ => Some(unknown()),
        };
    }
}

#[cfg(test)]
mod tests {
    use netboot::disk::hardware::Firmware;

    use crate::fake::{DiskSpec, FakeMachine};
    use crate::inventory::inventory;

    fn machine() -> FakeMachine {
        let mut fake = FakeMachine::new(Firmware::Bios);
        fake.add_disk(&DiskSpec::virtio("vda", 8 << 30, "root"));
        fake.add_partition("vda", 1, 2048, 4096, "a");
        fake.add_partition("vda", 2, 8192, 4096, "b");
        fake
    }

    fn found(fake: &mut FakeMachine) -> Vec<String> {
        let roots = fake.roots();
        let hardware = inventory(fake, &roots);
        let holds = hardware.disks.iter().flat_map(|disk| &disk.holds);
        holds
            .map(|held| {
                let group = held.member_of.as_ref();
                let group = group.map_or(String::new(), |g| format!(" in {}={}", g.name, g.id));
                format!("{} {} {:?}{group}", held.node, held.kind, held.label)
            })
            .collect()
    }

    #[test]
    fn a_backup_table_without_its_table_is_told_and_each_kind_once() {
        let mut fake = machine();
        fake.signatures(
            "vda",
            &[("0x1fe", "dos", "", ""), ("0x1ffffe00", "gpt", "", "")],
        );
        fake.signatures(
            "vda1",
            &[
                ("0x52", "vfat", "ESP", "AB-12"),
                ("0x0", "vfat", "ESP", "AB-12"),
                ("0x1fe", "vfat", "ESP", "AB-12"),
            ],
        );
        assert_eq!(
            found(&mut fake),
            [
                r#"vda dos """#,
                r#"vda gpt-backup """#,
                r#"vda1 vfat "ESP""#,
                r#"vda2  """#
            ]
        );
        fake.signatures(
            "vda",
            &[
                ("0x200", "gpt", "", ""),
                ("0x1ffffe00", "gpt", "", ""),
                ("0x1fe", "PMBR", "", ""),
            ],
        );
        assert_eq!(found(&mut fake)[0], r#"vda gpt """#);
    }

    #[test]
    fn arrays_and_volumes_are_listed_with_what_they_belong_to() {
        let mut fake = machine();
        fake.signatures("vda1", &[("0x1000", "linux_raid_member", "nas:0", "a1")]);
        fake.signatures("vda2", &[("0x1000", "linux_raid_member", "nas:0", "a1")]);
        fake.signatures("md127", &[("0x218", "LVM2_member", "", "pv-1")]);
        fake.signatures("dm-0", &[("0x438", "ext4", "data", "f1")]);
        fake.stack("md127", &["vda1", "vda2"], None);
        fake.stack("dm-0", &["md127"], Some("old-data"));
        for device in ["md127", "dm-0"] {
            fake.write(&format!("sys/class/block/{device}/size"), "2048");
        }
        "  pv-0|other|v0\n  pv-1|old|v1\n".clone_into(&mut fake.physical_volumes);
        assert_eq!(
            found(&mut fake),
            [
                r#"vda1 linux_raid_member "nas:0" in nas:0=a1"#,
                r#"md127 LVM2_member "" in old=v1"#,
                r#"old-data ext4 "data""#,
                r#"vda2 linux_raid_member "nas:0" in nas:0=a1"#
            ]
        );
    }

    #[test]
    fn what_does_not_say_to_which_group_it_belongs_may_belong_to_any() {
        let of_any = "in of a name that cannot be read=";
        for (kind, uuid, want) in [
            ("isw_raid_member", "", of_any),
            ("ddf_raid_member", "d1", of_any),
            ("LVM1_member", "p1", of_any),
            ("bcache", "b1", of_any),
            ("zfs_member", "", of_any),
            ("zfs_member", "z1", "in z1=z1"),
            ("btrfs", "", of_any),
            ("bcachefs", "f1", "in f1=f1"),
            ("ext4", "e1", ""),
        ] {
            let mut fake = FakeMachine::new(Firmware::Bios);
            fake.add_disk(&DiskSpec::virtio("vda", 8 << 30, "root"));
            fake.signatures("vda", &[("0x0", kind, "", uuid)]);
            let want = format!("vda {kind} \"\" {want}");
            assert_eq!(found(&mut fake), [want.trim_end()], "{kind} {uuid}");
        }
    }

    #[test]
    fn physical_volumes_of_groups_that_cannot_be_read_are_taken_for_one_and_orphans_for_none() {
        let mut fake = machine();
        fake.signatures("vda1", &[("0x218", "LVM2_member", "", "pv-1")]);
        fake.signatures("vda2", &[("0x218", "LVM2_member", "", "pv-2")]);
        "  pv-1||\n".clone_into(&mut fake.physical_volumes);
        assert_eq!(
            found(&mut fake),
            [r#"vda1 LVM2_member """#, r#"vda2 LVM2_member """#]
        );
        // After `wipefs` ran three times.
        fake.fail_at = Some(fake.log.len() + 3);
        let unknown = "in of a name that cannot be read=";
        assert_eq!(
            found(&mut fake),
            [
                format!(r#"vda1 LVM2_member "" {unknown}"#),
                format!(r#"vda2 LVM2_member "" {unknown}"#)
            ]
        );
    }
}
