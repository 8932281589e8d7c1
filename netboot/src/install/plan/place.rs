//! Where each partition lies on its disk.

use std::ops::Range;

use super::preserve::{made_as, preserved};
use super::{DiskPlan, MIB, Partition, PlannedDisk};
use crate::base::refusal::{Refusal, RefusalCode};
use crate::base::size::size_words;
use crate::disk::hardware::Disk;
use crate::disk::layout::{Content, Devices, DiskLayout, LayoutPartition};

/// A partition of the layout with its place on the disk.
struct PlacedPartition<'a> {
    slot: &'a LayoutPartition,
    /// Bytes from the beginning of the disk.
    start: u64,
    /// Bytes.
    size: u64,
    /// It was there before, and what it holds stays.
    kept: bool,
}

/// Lays a disk's partitions out, each on whole MiB, up to where the backup GPT begins. Partitions that are preserved
/// keep their place, and the others go where there is room, in their order.
///
/// # Errors
/// A partition cannot be preserved as the layout says, or the disk or a partition is too small.
pub(super) fn place_partitions(
    disk: &Disk,
    wanted: &DiskLayout,
    devices: &Devices,
    closure_size: u64,
) -> Result<DiskPlan, Refusal> {
    let mut placed = kept(disk, wanted)?;
    let needed = |slot: &LayoutPartition| needed(slot, devices, closure_size);
    let new = place(disk, wanted, &placed, needed)?;
    placed.extend(new);
    Ok(DiskPlan {
        name: wanted.name.clone(),
        disk: PlannedDisk::from(disk),
        partitions: number(placed, devices),
    })
}

/// The partitions that are to be preserved and are there, where they are.
fn kept<'a>(disk: &Disk, wanted: &'a DiskLayout) -> Result<Vec<PlacedPartition<'a>>, Refusal> {
    let mut kept = Vec::new();
    for slot in &wanted.partitions {
        if let Some(held) = preserved(disk, slot)? {
            kept.push(PlacedPartition {
                slot,
                start: held.start,
                size: held.size,
                kept: true,
            });
        }
    }
    Ok(kept)
}

/// The partitions that are to be made, between those that are kept. `needed`: the bytes that a partition must hold.
fn place<'a>(
    disk: &Disk,
    wanted: &'a DiskLayout,
    kept: &[PlacedPartition<'_>],
    needed: impl Fn(&LayoutPartition) -> u64,
) -> Result<Vec<PlacedPartition<'a>>, Refusal> {
    let is_new = |slot: &&LayoutPartition| !kept.iter().any(|one| one.slot.label == slot.label);
    let mut new: Vec<&LayoutPartition> = wanted.partitions.iter().filter(is_new).collect();
    if let Some(slot) = new
        .iter()
        .find(|slot| slot.size.is_some_and(|size| size < needed(slot)))
    {
        return Err(partition_too_small(slot, needed(slot)));
    }
    let sizes = new
        .iter()
        .map(|slot| slot.size.unwrap_or_else(|| needed(slot)));
    let least = sizes.fold(0, u64::saturating_add);
    // Those with a place of their own first, then those with a size, then those that take what is left.
    new.sort_by_key(|slot| match (slot.start, slot.size) {
        (Some(_), Some(_)) => 0,
        (None, Some(_)) => 1,
        (_, None) => 2,
    });
    let end = (disk.size / MIB * MIB).saturating_sub(MIB);
    let mut gaps = gaps(kept, end);
    let mut placed = Vec::new();
    for slot in new {
        let size = slot.size.unwrap_or_else(|| needed(slot).max(MIB));
        let Some(at) = gap_for(slot, size, &gaps) else {
            return Err(match slot.start {
                Some(start) => no_room(disk, slot, start),
                None => disk_too_small(disk, least, kept),
            });
        };
        let gap = gaps.remove(at);
        let start = slot.start.unwrap_or(gap.start);
        let stop = match slot.size {
            Some(size) => start + size,
            None => gap.end.min(end.saturating_sub(slot.leave)),
        };
        if stop < start + size {
            return Err(disk_too_small(disk, least, kept));
        }
        placed.push(PlacedPartition {
            slot,
            start,
            size: stop - start,
            kept: false,
        });
        gaps.splice(at..at, [gap.start..start, stop..gap.end]);
    }
    Ok(placed)
}

/// The index in `gaps` of the gap that the partition goes into: for a partition with a size the first gap with room for
/// it, for one that takes what is left the largest gap.
fn gap_for(slot: &LayoutPartition, size: u64, gaps: &[Range<u64>]) -> Option<usize> {
    let fits = |gap: &Range<u64>| match slot.start {
        Some(start) => {
            gap.start <= start && start.checked_add(size).is_some_and(|end| end <= gap.end)
        }
        None => gap.end - gap.start >= size,
    };
    let mut fitting = gaps.iter().enumerate().filter(|(_, gap)| fits(gap));
    let gap = match slot.size {
        Some(_) => fitting.next(),
        None => fitting.max_by_key(|(_, gap)| gap.end - gap.start),
    };
    gap.map(|(at, _)| at)
}

/// All partitions of a disk as the plan has them: in disk order, numbered from 1.
fn number(mut placed: Vec<PlacedPartition<'_>>, devices: &Devices) -> Vec<Partition> {
    placed.sort_by_key(|one| one.start);
    let numbered = placed.into_iter().zip(1..);
    let partitions = numbered.map(|(one, number)| {
        let PlacedPartition {
            slot,
            start,
            size,
            kept,
        } = one;
        let holds = slot.content.as_ref().map(Content::description);
        Partition {
            number,
            label: slot.label.clone(),
            purpose: slot.purpose,
            start,
            size,
            holds: holds.unwrap_or_default(),
            kept,
            preserve: slot.preserve,
            made_as: (slot.preserve && !kept).then(|| made_as(&slot.label, devices)),
        }
    });
    partitions.collect()
}

fn partition_too_small(slot: &LayoutPartition, needed: u64) -> Refusal {
    let message = format!(
        "the partition `{}` is too small for this system",
        slot.label
    );
    Refusal::new(RefusalCode::PlanRefused, message)
        .fact(format!("needed: {}", size_words(needed)))
        .fact("nothing was written")
}

/// `needed`: the bytes of all partitions that are to be made.
fn disk_too_small(disk: &Disk, needed: u64, kept: &[PlacedPartition<'_>]) -> Refusal {
    // The first MiB has the partition table, the last one its copy.
    let needed = needed.saturating_add(2 * MIB);
    let message = "the chosen disk is too small for this system";
    let refusal = Refusal::new(RefusalCode::PlanRefused, message)
        .fact(format!("disk {}", disk.description()))
        .fact(format!("needed: {}", size_words(needed)));
    let refusal = match kept.iter().map(|one| one.size).fold(0, u64::saturating_add) {
        0 => refusal,
        size => refusal.fact(format!("besides what is preserved: {}", size_words(size))),
    };
    refusal.fact("nothing was written")
}

fn no_room(disk: &Disk, slot: &LayoutPartition, start: u64) -> Refusal {
    let message = format!(
        "there is no room for the partition `{}` from byte {start}",
        slot.label
    );
    Refusal::new(RefusalCode::PlanRefused, message)
        .fact(format!("disk {}", disk.description()))
        .fact("nothing was written")
        .tip("take its `start` out: then it goes where there is room")
}

/// The bytes that the system's partition must hold at least: the closure, as much again for the next generation, and
/// what a system writes from its first day.
fn needed<'a>(slot: &'a LayoutPartition, devices: &'a Devices, closure_size: u64) -> u64 {
    let behind = |slot: &'a LayoutPartition| {
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
fn gaps(kept: &[PlacedPartition<'_>], end: u64) -> Vec<Range<u64>> {
    let mut taken: Vec<Range<u64>> = kept
        .iter()
        .map(|one| one.start..one.start.saturating_add(one.size))
        .collect();
    taken.sort_unstable_by_key(|range| (range.start, range.end));
    taken.push(end..end);
    let mut free = MIB;
    let mut gaps = Vec::new();
    for range in taken {
        let start = range.start.min(end) / MIB * MIB;
        if start > free {
            gaps.push(free..start);
        }
        // The end is a whole MiB, so that this is at most the end.
        free = free.max(range.end.min(end).div_ceil(MIB) * MIB);
    }
    gaps
}
