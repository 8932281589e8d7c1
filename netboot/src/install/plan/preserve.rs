//! Partitions that are to be preserved: which of them are there already, and when that cannot be told.

use std::collections::BTreeSet;

use super::MIB;
use crate::base::refusal::{Code, Refusal};
use crate::disk::hardware::{Disk, Holding};
use crate::disk::layout::{Content, Devices, Slot};

const NOT_WANTED: &str =
    "if that is not wanted: take `preserve` out, have the machine installed, and put it back";

/// What is there already of a partition that is to be preserved; nothing if it is to be made.
///
/// # Errors
/// It cannot be told which it is, or it holds something else than the layout says: nobody wants that overwritten.
pub(super) fn preserved<'a>(disk: &'a Disk, slot: &Slot) -> Result<Option<&'a Holding>, Refusal> {
    if !slot.preserve {
        return Ok(None);
    }
    let refuse = |why: String| {
        Refusal::new(
            Code::PlanRefused,
            format!("the partition `{}` cannot be preserved: {why}", slot.label),
        )
        .fact(format!("disk {}", disk.words()))
        .fact("nothing was written")
    };
    let named = |held: &&Holding| held.partition_label == slot.label;
    let nodes: BTreeSet<&str> = disk
        .holds
        .iter()
        .filter(named)
        .map(|held| held.node.as_str())
        .collect();
    if nodes.len() > 1 {
        return Err(refuse(format!(
            "{} partitions have this label",
            nodes.len()
        )));
    }
    let mut found = disk.holds.iter().filter(named);
    let Some(held) = found.next() else {
        return match hidden(disk) {
            None => Ok(None),
            Some((why, tip)) => Err(refuse(why.to_owned()).tip(tip)),
        };
    };
    if let Some(other) = found.next() {
        return Err(refuse(format!("it holds {} and {}", held.kind, other.kind)));
    }
    let wanted = match &slot.content {
        Some(Content::Filesystem { format, .. }) => format.name(),
        Some(Content::Btrfs { .. }) => "btrfs",
        _ => return Err(refuse("it is to hold no filesystem".to_owned())),
    };
    let end = held.start.saturating_add(held.size);
    // The backup GPT: a header and 32 sectors of entries (UEFI 2.10 §5.3.2).
    let last = disk.size.saturating_sub(33 * u64::from(disk.sector));
    match held.kind.as_str() {
        // Blank: made by an attempt that ended before it was formatted.
        "" => Ok(None),
        "unknown data" => Err(refuse(format!(
            "it holds data that nobody here can read, the layout wants {wanted}"
        ))
        .tip(NOT_WANTED)),
        "unreadable" => Err(refuse("nobody can read what it holds".to_owned()).tip(NOT_WANTED)),
        kind if kind != wanted => Err(refuse(format!(
            "it holds {kind}, the layout wants {wanted}"
        ))),
        _ if held.start < MIB || end > last => Err(refuse(format!(
            "it lies from byte {} to {end}, where the partition table goes",
            held.start
        ))),
        _ => Ok(Some(held)),
    }
}

/// Why a partition of the disk may not show though it is there, and what to do about it.
fn hidden(disk: &Disk) -> Option<(&'static str, String)> {
    let whole = |kind: &str| {
        let mut all = disk.holds.iter();
        all.any(|held| held.node == disk.node && held.kind == kind)
    };
    // Names of partitions come from a GPT, if only from the copy: Linux reads that when it is told to (the parameter `gpt`).
    if disk
        .holds
        .iter()
        .any(|held| !held.partition_label.is_empty())
    {
        return None;
    }
    if whole("unreadable") {
        let why = "the disk cannot be read, and so nobody knows whether it is there";
        return Some((why, NOT_WANTED.to_owned()));
    }
    let damaged = !whole("gpt") && (whole("gpt-backup") || whole("PMBR"));
    damaged.then(|| {
        let why = "the disk's partition table is damaged, and so nobody knows whether it is there";
        let node = &disk.node;
        let mend = format!(
            "to mend the table from its copy, on that machine: printf 'w\\n' | fdisk /dev/{node}; if nothing on the disk is wanted: wipefs --all /dev/{node}"
        );
        (why, mend)
    })
}

/// UTF-16 units of a GPT name (UEFI 2.10 §5.3.3). A label that is written has only characters of one unit.
const NAME: usize = 36;

/// What a partition is called while it is made: by no label of the layout, or a later install would preserve it.
pub(super) fn made_as(label: &str, devices: &Devices) -> String {
    let slots = devices.disks.iter().flat_map(|disk| &disk.partitions);
    let taken: BTreeSet<&str> = slots.map(|slot| slot.label.as_str()).collect();
    let mut end = "-new".to_owned();
    loop {
        let begin = label.chars().take(NAME - end.len());
        let name: String = begin.chain(end.chars()).collect();
        // There are fewer partitions than units left.
        if !taken.contains(name.as_str()) || end.len() == NAME {
            return name;
        }
        end.push('w');
    }
}

/// Whether a partition that is to be preserved lies on another of the chosen disks than the one that was chosen for it:
/// disks have changed places, and what is to stay would be wiped.
pub(super) fn preserved_elsewhere(chosen: &[&Disk], devices: &Devices) -> Result<(), Refusal> {
    for (place, wanted) in devices.disks.iter().enumerate() {
        for slot in wanted.partitions.iter().filter(|slot| slot.preserve) {
            let others = chosen.iter().enumerate().filter(|(at, _)| *at != place);
            let holds = |disk: &Disk| disk.holds.iter().any(|h| h.partition_label == slot.label);
            let Some((at, other)) = others.into_iter().find(|(_, disk)| holds(disk)) else {
                continue;
            };
            let message = format!(
                "the partition `{}`, which is to be preserved, is on the disk chosen for `{}`, not on the one for `{}`",
                slot.label, devices.disks[at].name, wanted.name
            );
            return Err(Refusal::new(Code::PlanRefused, message)
                .fact(format!("disk {}", other.words()))
                .fact("nothing was written")
                .tip(
                    "name each disk in `[disk] select`, in the order in which the table has them",
                ));
        }
    }
    Ok(())
}
