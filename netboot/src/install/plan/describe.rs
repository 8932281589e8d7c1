//! What a plan destroys and what it keeps, for a person.

use super::DiskPlan;
use crate::disk::hardware::Disk;

/// What was on the chosen disks: first what will be gone, then what stays.
pub(super) fn destroyed_and_kept(
    chosen: &[&Disk],
    planned: &[DiskPlan],
) -> (Vec<String>, Vec<String>) {
    let (mut destroyed, mut kept) = (Vec::new(), Vec::new());
    for (disk, planned) in chosen.iter().zip(planned) {
        for signature in &disk.holds {
            let stays = planned
                .partitions
                .iter()
                .any(|p| p.kept && p.label == signature.partition_label);
            // The partition table is written anew with the entries of what stays, so it is not counted as destroyed.
            let table = planned.keeps() && signature.node == disk.node;
            match (stays, table) {
                (true, _) => kept.push(signature.description()),
                (_, true) => {}
                _ => destroyed.push(signature.description()),
            }
        }
    }
    (destroyed, kept)
}
