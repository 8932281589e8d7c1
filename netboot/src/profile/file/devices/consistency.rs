//! What a layout lacks or has twice, once each of its parts is read.

use std::ops::Range;

use super::{Member, UnfinishedLayout};
use crate::base::arch::CpuArch;
use crate::base::problem::did_you_mean;
use crate::base::toml_reader::{Placed, Reader};
use crate::disk::hardware::Firmware;
use crate::disk::layout::{Content, Devices, DiskLayout, Format, LayoutPartition, Purpose};

/// `place`: that of the whole table.
pub(super) fn check(
    reader: &mut Reader<'_>,
    layout: &UnfinishedLayout,
    place: &Range<usize>,
    arch: Option<&CpuArch>,
) {
    if layout.disks.is_empty() {
        let tip = "add one: [disk.devices.disk.main.content], with type = \"gpt\" and partitions";
        reader.problem_with_tip(place, "has no disk", tip);
        return;
    }
    names(reader, layout);
    members_have_arrays(reader, layout);
    arrays_have_members(reader, layout);
    for disk in &layout.disks {
        has_partition(reader, layout, disk);
        one_fills(reader, layout, disk);
        none_overlap(reader, layout, disk);
    }
    if !layout.mounts.iter().any(|at| at.value == "/") {
        let tip = "give one filesystem mountpoint = \"/\"";
        reader.problem_with_tip(place, "mounts nothing on `/`", tip);
        return;
    }
    esps_hold_vfat(reader, layout);
    firmware_starts(reader, layout, place, arch);
    grub_reads(reader, layout);
}

/// Those that are there before, each with the place of the first.
fn twice(all: &[Placed<String>]) -> impl Iterator<Item = (&Placed<String>, &Range<usize>)> {
    all.iter().enumerate().filter_map(|(at, one)| {
        let first = all[..at].iter().find(|other| other.value == one.value)?;
        Some((one, &first.at))
    })
}

fn names(reader: &mut Reader<'_>, layout: &UnfinishedLayout) {
    let what = [
        (&layout.mounts, "is mounted on twice"),
        (&layout.labels, "is the label of two partitions"),
        (&layout.volumes, "is the name of two encrypted volumes"),
    ];
    for (all, message) in what {
        for (one, first) in twice(all) {
            let first = reader.place(first);
            let message = format!(
                "`{}` {message}, also in {}:{}:{}",
                one.value, first.file, first.line, first.column
            );
            reader.problem(&one.at, message);
        }
    }
}

fn members_have_arrays(reader: &mut Reader<'_>, layout: &UnfinishedLayout) {
    let known = || layout.array_places.iter().map(|array| array.value.as_str());
    for Member { array, .. } in &layout.members {
        if !known().any(|name| name == array.value) {
            let tip = did_you_mean(&array.value, known())
                .unwrap_or_else(|| format!("add it: [disk.devices.mdadm.{}]", array.value));
            let message = format!("no array is called `{}`", array.value);
            reader.problem_with_tip(&array.at, message, tip);
        }
    }
}

/// Two of them, on two disks.
fn arrays_have_members(reader: &mut Reader<'_>, layout: &UnfinishedLayout) {
    for Placed { value: name, at } in &layout.array_places {
        let members = layout.members.iter().filter(|one| one.array.value == *name);
        let mut disks: Vec<&str> = members.map(|member| member.disk.as_str()).collect();
        disks.sort_unstable();
        let message = match disks.as_slice() {
            [] => format!("the array `{name}` has no partition, and needs two"),
            [_] => format!("the array `{name}` has 1 partition, and needs two"),
            several => match several.windows(2).find(|pair| pair[0] == pair[1]) {
                None => continue,
                Some(pair) => format!(
                    "the array `{name}` has two partitions of the disk `{}`",
                    pair[0]
                ),
            },
        };
        let tip = format!(
            "give a partition of another disk content = {{ type = \"mdraid\", name = \"{name}\" }}"
        );
        reader.problem_with_tip(at, message, tip);
    }
}

/// Where the label of a slot stands, or would.
fn place_of<'a>(layout: &'a UnfinishedLayout, slot: &LayoutPartition) -> &'a Range<usize> {
    let found = layout.labels.iter().find(|label| label.value == slot.label);
    found.map_or(&(0..0), |label| &label.at)
}

fn has_partition(reader: &mut Reader<'_>, layout: &UnfinishedLayout, disk: &DiskLayout) {
    if disk.partitions.is_empty() {
        let found = layout.disk_places.iter().find(|one| one.value == disk.name);
        let place = found.map_or(0..0, |one| one.at.clone());
        let message = format!("the disk `{}` has no partition", disk.name);
        reader.problem_with_tip(&place, message, "give it one, or take the disk out");
    }
}

fn one_fills(reader: &mut Reader<'_>, layout: &UnfinishedLayout, disk: &DiskLayout) {
    let mut rest = disk.partitions.iter().filter(|slot| slot.size.is_none());
    if let (Some(first), Some(second)) = (rest.next(), rest.next()) {
        let message = format!(
            "`{}` and `{}` both take all that is left of the disk",
            first.name, second.name
        );
        let tip = "give one of them a `size` like 20G";
        reader.problem_with_tip(place_of(layout, second), message, tip);
    }
}

/// Those that begin at a place of their own.
fn none_overlap(reader: &mut Reader<'_>, layout: &UnfinishedLayout, disk: &DiskLayout) {
    let mut fixed: Vec<(u64, u64, &LayoutPartition)> = Vec::new();
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
            reader.problem_with_tip(place_of(layout, second), message, tip);
        }
    }
}

fn slots(layout: &UnfinishedLayout) -> impl Iterator<Item = &LayoutPartition> {
    layout.disks.iter().flat_map(|disk| &disk.partitions)
}

fn esps_hold_vfat(reader: &mut Reader<'_>, layout: &UnfinishedLayout) {
    let is_fat = |slot: &&LayoutPartition| {
        matches!(
            slot.content,
            Some(Content::Filesystem {
                format: Format::Vfat,
                mountpoint: Some(_),
                ..
            })
        )
    };
    let esps = slots(layout).filter(|slot| slot.purpose == Purpose::Esp);
    for slot in esps.filter(|slot| !is_fat(slot)) {
        let message = format!(
            "the EFI system partition `{}` holds no mounted vfat",
            slot.name
        );
        let tip = "give it content = { type = \"filesystem\", format = \"vfat\", mountpoint = \"/boot\" }";
        reader.problem_with_tip(place_of(layout, slot), message, tip);
    }
}

/// What this firmware starts from and is not there.
fn lacks(layout: &UnfinishedLayout, firmware: Firmware) -> Option<&'static str> {
    let devices = Devices {
        disks: layout.disks.clone(),
        arrays: layout.arrays.clone(),
        pools: Vec::new(),
    };
    devices.missing(firmware)
}

/// An aarch64 machine has UEFI; others start by UEFI or by BIOS.
fn firmware_starts(
    reader: &mut Reader<'_>,
    layout: &UnfinishedLayout,
    place: &Range<usize>,
    arch: Option<&CpuArch>,
) {
    let (uefi, bios) = (lacks(layout, Firmware::Uefi), lacks(layout, Firmware::Bios));
    match (uefi, bios, arch) {
        (Some(uefi), _, Some(CpuArch::Aarch64)) => {
            reader.problem(place, format!("an aarch64 machine needs {uefi}"));
        }
        (Some(uefi), Some(bios), _) => {
            let message = format!("no machine starts from this: UEFI needs {uefi}, BIOS {bios}");
            let tip = "add both, and the system starts on either";
            reader.problem_with_tip(place, message, tip);
        }
        _ => {}
    }
}

/// Where BIOS machines start, GRUB reads `/boot`: a partition of its own, or a part of `/`.
fn grub_reads(reader: &mut Reader<'_>, layout: &UnfinishedLayout) {
    if lacks(layout, Firmware::Bios).is_some() {
        return;
    }
    let mounted = |wanted: &str| layout.mounts.iter().find(|at| at.value == wanted);
    let Some(at) = mounted("/boot").or_else(|| mounted("/")) else {
        return;
    };
    let is_read = slots(layout).any(|slot| {
        matches!(&slot.content, Some(Content::Filesystem {
            format: Format::Vfat | Format::Ext4,
            mountpoint: Some(point),
            ..
        }) if *point == at.value)
    });
    if !is_read {
        let message = format!(
            "GRUB, which starts BIOS machines, reads `{}` only from a partition with vfat or ext4",
            at.value
        );
        let tip = "add a partition with type = \"EF00\", size = \"1G\" and vfat on /boot; UEFI starts from it, too";
        reader.problem_with_tip(&at.at, message, tip);
    }
}
