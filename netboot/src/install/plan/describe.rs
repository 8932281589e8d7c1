//! Disks, and what is on them, for a person.

use super::DiskPlan;
use crate::disk::hardware::{Disk, Holding};

impl Disk {
    /// For a person: `vda: 32.0 GiB virtio, serial root, holds ext4 "data"`.
    pub fn words(&self) -> String {
        let mut words = format!("{}: {}", self.node, size_words(self.size));
        for word in [&self.bus, &self.model] {
            if !word.is_empty() {
                words.push(' ');
                words.push_str(word);
            }
        }
        if !self.serial.is_empty() {
            words.push_str(&format!(", serial {}", self.serial));
        }
        for (flag, word) in [
            (self.removable, "removable"),
            (self.read_only, "read-only"),
            (self.boot_medium, "the medium it booted from"),
        ] {
            if flag {
                words.push_str(&format!(", {word}"));
            }
        }
        let holds: Vec<String> = self.holds.iter().map(Holding::words).collect();
        if holds.is_empty() {
            words.push_str(", empty");
        } else {
            words.push_str(&format!(", holds {}", holds.join("; ")));
        }
        words
    }
}

impl Holding {
    /// For a person: `vda2: ext4 "root", 31.5 GiB`.
    pub fn words(&self) -> String {
        let kind = if self.kind.is_empty() {
            "nothing known"
        } else {
            &self.kind
        };
        let label = if self.label.is_empty() {
            &self.partition_label
        } else {
            &self.label
        };
        let label = if label.is_empty() {
            String::new()
        } else {
            format!(" {label:?}")
        };
        // An array's name is its label.
        let group = match &self.member_of {
            Some(group) if label.is_empty() && self.kind != "btrfs" && !group.id.is_empty() => {
                format!(" of `{}`", group.name)
            }
            _ => label,
        };
        format!("{}: {kind}{group}, {}", self.node, size_words(self.size))
    }
}

/// What was on the chosen disks: first what will be gone, then what stays.
pub(super) fn destroyed_and_kept(
    chosen: &[&Disk],
    planned: &[DiskPlan],
) -> (Vec<String>, Vec<String>) {
    let (mut destroyed, mut kept) = (Vec::new(), Vec::new());
    for (disk, planned) in chosen.iter().zip(planned) {
        for holding in &disk.holds {
            let stays = planned
                .partitions
                .iter()
                .any(|p| p.kept && p.label == holding.partition_label);
            // The table is written anew with the entries of what stays; nobody loses anything by that.
            let table = planned.keeps() && holding.node == disk.node;
            match (stays, table) {
                (true, _) => kept.push(holding.words()),
                (_, true) => {}
                _ => destroyed.push(holding.words()),
            }
        }
    }
    (destroyed, kept)
}

/// `31.5 GiB`
pub fn size_words(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut tenths = u128::from(bytes) * 10;
    let mut unit = "B";
    for bigger in units {
        if tenths < 10_240 {
            break;
        }
        tenths /= 1024;
        unit = bigger;
    }
    match unit {
        "B" => format!("{bytes} B"),
        _ => format!("{}.{} {unit}", tenths / 10, tenths % 10),
    }
}
