//! Disks that disko's own script lays out: what must hold before it may be run, as far as that is known beforehand.

use super::{DiskPlan, MIB, PlanOrder, PlannedDisk};
use crate::base::refusal::{Refusal, RefusalCode};
use crate::base::size::size_words;
use crate::base::store_path::StorePath;
use crate::disk::hardware::Disk;
use crate::disk::layout::Devices;

/// The script that the release carries.
///
/// # Errors
/// The release carries no script, or the disks together are too small for the system.
pub(super) fn script(order: &PlanOrder<'_>, chosen: &[&Disk]) -> Result<StorePath, Refusal> {
    let release = order.release;
    let Some(script) = &release.script else {
        let (profile, system, number) = (order.profile, &release.system, release.number);
        let message = format!(
            "release {number} of `{system}` carries no script of disko's, and profile `{}` wants one",
            profile.name
        );
        return Err(Refusal::new(RefusalCode::PlanRefused, message)
            .fact("nothing was written")
            .tip(format!(
                "make a release with it: pxe-admin publish {system}"
            ))
            .tip(format!(
                "in {}: take `engine = \"disko\"` out",
                profile.file
            )));
    };
    let needed = release.closure_size.saturating_add(512 * MIB);
    let sizes = chosen.iter().map(|disk| disk.size);
    if sizes.fold(0, u64::saturating_add) < needed {
        let refusal = Refusal::new(
            RefusalCode::PlanRefused,
            "the chosen disks are too small for this system",
        );
        let disks = chosen
            .iter()
            .map(|disk| format!("disk {}", disk.description()));
        return Err(disks
            .fold(refusal, Refusal::fact)
            .fact(format!("needed: {}", size_words(needed)))
            .fact("nothing was written"));
    }
    Ok(script.clone())
}

/// The disks that the script may write to. What it makes of them is not known.
pub(super) fn disks(chosen: &[&Disk], devices: &Devices) -> Vec<DiskPlan> {
    let each = chosen.iter().zip(&devices.disks);
    let plan = each.map(|(disk, wanted)| DiskPlan {
        name: wanted.name.clone(),
        disk: PlannedDisk::from(*disk),
        partitions: Vec::new(),
    });
    plan.collect()
}
