//! Partitions that are to be preserved: which of them are there already, and when that is not clear.

use std::collections::BTreeSet;

use super::MIB;
use crate::base::refusal::{Refusal, RefusalCode};
use crate::disk::hardware::{Disk, Signature, SignatureKind};
use crate::disk::layout::{Content, Devices, LayoutPartition};

const NOT_WANTED: &str =
    "if that is not wanted: take `preserve` out, have the machine installed, and put it back";

/// The partition that is to be preserved, if it is there already; `None` if it is to be made.
///
/// # Errors
/// It is not clear which partition it is, or it holds something else than the layout says, which must not be overwritten.
pub(super) fn preserved<'a>(
    disk: &'a Disk,
    slot: &LayoutPartition,
) -> Result<Option<&'a Signature>, Refusal> {
    if !slot.preserve {
        return Ok(None);
    }
    let refuse = |why: String| {
        Refusal::new(
            RefusalCode::PlanRefused,
            format!("the partition `{}` cannot be preserved: {why}", slot.label),
        )
        .fact(format!("disk {}", disk.description()))
        .fact("nothing was written")
    };
    let named = |held: &&Signature| held.partition_label == slot.label;
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
    match &held.kind {
        // Made by an attempt that ended before it was formatted.
        SignatureKind::Blank => Ok(None),
        SignatureKind::UnknownData => Err(refuse(format!(
            "it holds data of an unknown kind, the layout wants {wanted}"
        ))
        .tip(NOT_WANTED)),
        SignatureKind::Unreadable => {
            Err(refuse("what it holds cannot be read".to_owned()).tip(NOT_WANTED))
        }
        kind @ (SignatureKind::Gpt
        | SignatureKind::GptBackup
        | SignatureKind::ProtectiveMbr
        | SignatureKind::Mbr
        | SignatureKind::RaidMember
        | SignatureKind::LvmMember
        | SignatureKind::ZfsMember
        | SignatureKind::Luks
        | SignatureKind::Bcache
        | SignatureKind::Stratis
        | SignatureKind::Btrfs
        | SignatureKind::Bcachefs
        | SignatureKind::Ext4
        | SignatureKind::Xfs
        | SignatureKind::Vfat
        | SignatureKind::Swap
        | SignatureKind::Other(_)) => {
            if kind.as_str() != wanted {
                return Err(refuse(format!(
                    "it holds {kind}, the layout wants {wanted}"
                )));
            }
            if held.start < MIB || end > last {
                return Err(refuse(format!(
                    "it lies from byte {} to {end}, where the partition table goes",
                    held.start
                )));
            }
            Ok(Some(held))
        }
    }
}

/// Why a partition of the disk may not show though it is there, and what to do about it.
fn hidden(disk: &Disk) -> Option<(&'static str, String)> {
    let whole = |kind: SignatureKind| {
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
    if whole(SignatureKind::Unreadable) {
        let why = "the disk cannot be read, so it is unknown whether the partition is there";
        return Some((why, NOT_WANTED.to_owned()));
    }
    let damaged = !whole(SignatureKind::Gpt)
        && (whole(SignatureKind::GptBackup) || whole(SignatureKind::ProtectiveMbr));
    damaged.then(|| {
        let why = "the disk's partition table is damaged, so it is unknown whether the partition is there";
        let node = &disk.node;
        let mend = format!(
            "to mend the table from its copy, on that machine: printf 'w\\n' | fdisk /dev/{node}; if nothing on the disk is wanted: wipefs --all /dev/{node}"
        );
        (why, mend)
    })
}

/// UTF-16 units of a GPT name (UEFI 2.10 §5.3.3). The labels that are written have only characters of one unit.
const NAME: usize = 36;

/// The GPT name of a partition while its content is made. It differs from every label of the layout, or a later install
/// would preserve a partition that is half made.
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
