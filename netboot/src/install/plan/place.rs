//! Where each partition lies on its disk, and what must not be there twice.

use super::preserve::{made_as, preserved};
use super::{DiskPlan, MIB, Partition, PlannedDisk, size_words};
use crate::base::refusal::{Code, Refusal};
use crate::disk::hardware::{Disk, Holding};
use crate::disk::layout::{Content, Devices, DiskLayout, Slot};

/// Lays a disk's partitions out, each on whole MiB, up to where the backup GPT begins. What is to be preserved and is
/// there keeps its place, and the others go where there is room, in their order.
pub(super) fn lay(
    disk: &Disk,
    wanted: &DiskLayout,
    devices: &Devices,
    closure_size: u64,
) -> Result<DiskPlan, Refusal> {
    let mut laid: Vec<(&Slot, u64, u64, bool)> = Vec::new();
    for slot in &wanted.partitions {
        if let Some(held) = preserved(disk, slot)? {
            laid.push((slot, held.start, held.size, true));
        }
    }
    let end = (disk.size / MIB * MIB).saturating_sub(MIB);
    let mut gaps = gaps(&laid, end);
    let is_new = |slot: &&Slot| !laid.iter().any(|(kept, ..)| kept.label == slot.label);
    let new: Vec<&Slot> = wanted.partitions.iter().filter(is_new).collect();
    let needed = |slot: &Slot| needed(slot, devices, closure_size);
    let least: u64 = new
        .iter()
        .map(|s| s.size.unwrap_or_else(|| needed(s)))
        .fold(0, u64::saturating_add);
    let too_small = || {
        let refusal = Refusal::new(
            Code::PlanRefused,
            "the chosen disk is too small for this system",
        )
        .fact(format!("disk {}", disk.words()))
        .fact(format!(
            "needed: {}",
            size_words(least.saturating_add(2 * MIB))
        ));
        let kept = laid.iter().map(|(_, _, size, _)| *size);
        let kept = kept.fold(0, u64::saturating_add);
        let refusal = match kept {
            0 => refusal,
            size => refusal.fact(format!("besides what is preserved: {}", size_words(size))),
        };
        Err(refusal.fact("nothing was written"))
    };
    for slot in &new {
        let least = needed(slot);
        if slot.size.is_some_and(|size| size < least) {
            return Err(Refusal::new(
                Code::PlanRefused,
                format!(
                    "the partition `{}` is too small for this system",
                    slot.label
                ),
            )
            .fact(format!("needed: {}", size_words(least)))
            .fact("nothing was written"));
        }
    }
    let mut placed: Vec<(&Slot, u64, u64, bool)> = Vec::new();
    // Those with a place of their own first, then those with a size, then those that take what is left.
    let mut order = new.clone();
    order.sort_by_key(|slot| match (slot.start, slot.size) {
        (Some(_), Some(_)) => 0,
        (None, Some(_)) => 1,
        (_, None) => 2,
    });
    for slot in order {
        let size = slot.size.unwrap_or_else(|| needed(slot).max(MIB));
        let fits = |(from, to): &(u64, u64)| match slot.start {
            Some(start) => *from <= start && start.checked_add(size).is_some_and(|end| end <= *to),
            None => to - from >= size,
        };
        let fitting = (0..gaps.len()).filter(|at| fits(&gaps[*at]));
        let at = match slot.size {
            Some(_) => fitting.min(),
            None => fitting.max_by_key(|at| gaps[*at].1 - gaps[*at].0),
        };
        let Some(at) = at else {
            return match slot.start {
                Some(start) => Err(Refusal::new(
                    Code::PlanRefused,
                    format!(
                        "there is no room for the partition `{}` from byte {start}",
                        slot.label
                    ),
                )
                .fact(format!("disk {}", disk.words()))
                .fact("nothing was written")
                .tip("take its `start` out: then it goes where there is room")),
                None => too_small(),
            };
        };
        let (from, to) = gaps.remove(at);
        let start = slot.start.unwrap_or(from);
        let stop = match slot.size {
            Some(size) => start + size,
            None => to.min(end.saturating_sub(slot.leave)),
        };
        if stop < start + size {
            return too_small();
        }
        placed.push((slot, start, stop - start, false));
        gaps.splice(at..at, [(from, start), (stop, to)]);
    }
    laid.extend(placed);
    laid.sort_by_key(|(_, start, ..)| *start);
    let partitions = laid.into_iter().zip(1..);
    let partitions = partitions.map(|((slot, start, size, kept), number)| Partition {
        number,
        label: slot.label.clone(),
        purpose: slot.purpose,
        start,
        size,
        holds: slot
            .content
            .as_ref()
            .map_or_else(String::new, Content::words),
        kept,
        preserve: slot.preserve,
        made_as: (slot.preserve && !kept).then(|| made_as(&slot.label, devices)),
    });
    Ok(DiskPlan {
        name: wanted.name.clone(),
        disk: PlannedDisk::from(disk),
        partitions: partitions.collect(),
    })
}

/// What the system's partition must hold at least: the closure, as much again for the next generation, and what a
/// system writes from its first day.
fn needed<'a>(slot: &'a Slot, devices: &'a Devices, closure_size: u64) -> u64 {
    let behind = |slot: &'a Slot| {
        let content = slot.content.iter();
        content.flat_map(|inner| devices.mountpoints_behind(inner))
    };
    let all = devices.disks.iter().flat_map(|disk| &disk.partitions);
    let mut all = all.flat_map(behind);
    let store = if all.any(|point| point == "/nix") {
        "/nix"
    } else {
        "/"
    };
    if behind(slot).any(|point| point == store) {
        closure_size.saturating_mul(2).saturating_add(512 * MIB)
    } else {
        0
    }
}

/// The free places between what stays, each from and to a whole MiB.
fn gaps(kept: &[(&Slot, u64, u64, bool)], end: u64) -> Vec<(u64, u64)> {
    let mut taken: Vec<(u64, u64)> = kept
        .iter()
        .map(|(_, at, size, _)| (*at, at.saturating_add(*size)))
        .collect();
    taken.sort_unstable();
    taken.push((end, end));
    let mut free = MIB;
    let mut gaps = Vec::new();
    for (start, stop) in taken {
        let start = start.min(end) / MIB * MIB;
        if start > free {
            gaps.push((free, start));
        }
        // The end is a whole MiB, so that this is at most the end.
        free = free.max(stop.min(end).div_ceil(MIB) * MIB);
    }
    gaps
}

/// The system finds partitions by label and arrays by name, and of two equal ones it may take the wrong (disko#551).
pub(super) fn same_names_elsewhere(
    disks: &[Disk],
    chosen: &[&Disk],
    devices: &Devices,
) -> Result<(), Refusal> {
    let others = disks
        .iter()
        .filter(|disk| !chosen.iter().any(|taken| taken.node == disk.node));
    let is_label = |label: &str| {
        let mut slots = devices.disks.iter().flat_map(|disk| &disk.partitions);
        slots.any(|slot| slot.label == label)
    };
    // mdadm writes `host:name`.
    let is_array = |held: &Holding| {
        let name = held.label.rsplit(':').next().unwrap_or_default();
        held.kind == "linux_raid_member" && devices.arrays.iter().any(|array| array.name == name)
    };
    for disk in others {
        for held in &disk.holds {
            let refuse = |message: String, tip: String| {
                Err(Refusal::new(Code::PlanRefused, message)
                    .fact(format!("disk {}", disk.words()))
                    .fact("the installed system finds its partitions by label, and could mount that one")
                    .fact("nothing was written")
                    .tip(tip))
            };
            if is_label(&held.partition_label) {
                return refuse(
                    format!(
                        "another disk has a partition labelled `{}`",
                        held.partition_label
                    ),
                    format!(
                        "give it another label: sfdisk --part-label /dev/{} {} old-{}",
                        disk.node,
                        disk.number_of(held).unwrap_or(1),
                        held.partition_label
                    ),
                );
            }
            if is_array(held) {
                return refuse(
                    format!("another disk is part of an array named `{}`", held.label),
                    format!(
                        "take that disk out, or if nothing on it is wanted: mdadm --zero-superblock /dev/{}",
                        held.node
                    ),
                );
            }
        }
    }
    Ok(())
}
