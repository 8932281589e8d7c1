//! What a layout lacks or has twice, once each of its parts is read.

use std::ops::Range;

use super::{Draft, Named};
use crate::base::problem::nearest;
use crate::disk::hardware::Firmware;
use crate::disk::layout::{Content, Devices, DiskLayout, Format, Purpose, Slot};
use crate::profile::file::Reader;

pub(super) fn check(
    reader: &mut Reader<'_>,
    draft: &Draft,
    place: &Range<usize>,
    arch: Option<&str>,
) {
    if draft.disks.is_empty() {
        let tip = "add one: [disk.devices.disk.main.content], with type = \"gpt\" and partitions";
        reader.wrong(place, "has no disk").tip = Some(tip.to_owned());
        return;
    }
    names(reader, draft);
    arrays(reader, draft);
    for disk in &draft.disks {
        room(reader, draft, disk);
    }
    if !draft.mounts.iter().any(|at| at.name == "/") {
        let tip = "give one filesystem mountpoint = \"/\"";
        reader.wrong(place, "mounts nothing on `/`").tip = Some(tip.to_owned());
        return;
    }
    boot(reader, draft, place, arch);
}

/// Those that are there before, each with the place of the first.
fn twice(all: &[Named]) -> impl Iterator<Item = (&Named, &Range<usize>)> {
    all.iter().enumerate().filter_map(|(at, one)| {
        let first = all[..at].iter().find(|other| other.name == one.name)?;
        Some((one, &first.place))
    })
}

fn names(reader: &mut Reader<'_>, draft: &Draft) {
    let what = [
        (&draft.mounts, "is mounted on twice"),
        (&draft.labels, "is the label of two partitions"),
        (&draft.volumes, "is the name of two encrypted volumes"),
    ];
    for (all, message) in what {
        for (one, first) in twice(all) {
            let first = reader.place(first);
            let message = format!(
                "`{}` {message}, also in {}:{}:{}",
                one.name, first.file, first.line, first.column
            );
            reader.wrong(&one.place, message);
        }
    }
}

fn arrays(reader: &mut Reader<'_>, draft: &Draft) {
    for (member, _) in &draft.members {
        let known: Vec<&str> = draft.array_places.iter().map(|a| a.name.as_str()).collect();
        if !known.contains(&member.name.as_str()) {
            let near = nearest(&member.name, known.iter().copied());
            let tip = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add it: [disk.devices.mdadm.{}]", member.name),
            };
            let message = format!("no array is called `{}`", member.name);
            reader.wrong(&member.place, message).tip = Some(tip);
        }
    }
    for Named { name, place } in &draft.array_places {
        let members = draft
            .members
            .iter()
            .filter(|(member, _)| member.name == *name);
        let mut disks: Vec<&str> = members.map(|(_, disk)| disk.as_str()).collect();
        let tip = format!(
            "give a partition of another disk content = {{ type = \"mdraid\", name = \"{name}\" }}"
        );
        if disks.len() < 2 {
            let message = format!(
                "the array `{name}` has {}, and needs two",
                match disks.len() {
                    0 => "no partition".to_owned(),
                    n => format!("{n} partition"),
                }
            );
            reader.wrong(place, message).tip = Some(tip);
            continue;
        }
        disks.sort_unstable();
        if let Some(pair) = disks.windows(2).find(|pair| pair[0] == pair[1]) {
            let message = format!(
                "the array `{name}` has two partitions of the disk `{}`",
                pair[0]
            );
            reader.wrong(place, message).tip = Some(tip);
        }
    }
}

/// Where the label of a slot stands, or would.
fn place_of<'a>(draft: &'a Draft, slot: &Slot) -> &'a Range<usize> {
    let found = draft.labels.iter().find(|label| label.name == slot.label);
    found.map_or(&(0..0), |label| &label.place)
}

fn room(reader: &mut Reader<'_>, draft: &Draft, disk: &DiskLayout) {
    let mut rest = disk.partitions.iter().filter(|slot| slot.size.is_none());
    if let (Some(first), Some(second)) = (rest.next(), rest.next()) {
        let message = format!(
            "`{}` and `{}` both take all that is left of the disk",
            first.name, second.name
        );
        let tip = "give one of them a `size` like 20G";
        reader.wrong(place_of(draft, second), message).tip = Some(tip.to_owned());
    }
    if disk.partitions.is_empty() {
        let found = draft.disk_places.iter().find(|one| one.name == disk.name);
        let place = found.map_or(0..0, |one| one.place.clone());
        let message = format!("the disk `{}` has no partition", disk.name);
        reader.wrong(&place, message).tip = Some("give it one, or take the disk out".to_owned());
    }
    let mut fixed: Vec<(u64, u64, &Slot)> = Vec::new();
    for slot in &disk.partitions {
        if let Some(start) = slot.start {
            fixed.push((start, start.saturating_add(slot.size.unwrap_or(1)), slot));
        }
    }
    fixed.sort_by_key(|(start, ..)| *start);
    for pair in fixed.windows(2) {
        let ((_, end, first), (start, _, second)) = (pair[0], pair[1]);
        if start < end {
            let message = format!(
                "`{}` begins in `{}`, which ends at {} MiB",
                second.name,
                first.name,
                end >> 20
            );
            let tip = "take its `start` out: then it goes where there is room";
            reader.wrong(place_of(draft, second), message).tip = Some(tip.to_owned());
        }
    }
}

/// What firmware starts from, and GRUB reads.
fn boot(reader: &mut Reader<'_>, draft: &Draft, place: &Range<usize>, arch: Option<&str>) {
    let slots = || draft.disks.iter().flat_map(|disk| &disk.partitions);
    for slot in slots().filter(|slot| slot.purpose == Purpose::Esp) {
        let is_fat = matches!(
            slot.content,
            Some(Content::Filesystem {
                format: Format::Vfat,
                mountpoint: Some(_),
                ..
            })
        );
        if !is_fat {
            let tip = "give it content = { type = \"filesystem\", format = \"vfat\", mountpoint = \"/boot\" }";
            let message = format!(
                "the EFI system partition `{}` holds no mounted vfat",
                slot.name
            );
            reader.wrong(place_of(draft, slot), message).tip = Some(tip.to_owned());
        }
    }
    let devices = Devices {
        disks: draft.disks.clone(),
        arrays: draft.arrays.clone(),
        pools: Vec::new(),
    };
    let (uefi, bios) = (devices.lacks(Firmware::Uefi), devices.lacks(Firmware::Bios));
    match (uefi, bios, arch) {
        (Some(uefi), _, Some("aarch64")) => {
            reader.wrong(place, format!("an aarch64 machine needs {uefi}"));
        }
        (Some(uefi), Some(bios), _) => {
            let message = format!("no machine starts from this: UEFI needs {uefi}, BIOS {bios}");
            reader.wrong(place, message).tip =
                Some("add both, and the system starts on either".to_owned());
        }
        _ => {}
    }
    if bios.is_some() {
        return;
    }
    let read = ["/boot", "/"];
    let Some(at) = read
        .iter()
        .find_map(|at| draft.mounts.iter().find(|m| m.name == *at))
    else {
        return;
    };
    let grub_reads = slots().any(|slot| {
        matches!(&slot.content, Some(Content::Filesystem {
            format: Format::Vfat | Format::Ext4,
            mountpoint: Some(point),
            ..
        }) if *point == at.name)
    });
    if !grub_reads {
        let message = format!(
            "GRUB, which starts BIOS machines, reads `{}` only from a partition with vfat or ext4",
            at.name
        );
        let tip = "add a partition with type = \"EF00\", size = \"1G\" and vfat on /boot; UEFI starts from it, too";
        reader.wrong(&at.place, message).tip = Some(tip.to_owned());
    }
}
