//! Disks that disko's own script lays out: what must hold before it may be run, as far as that is known beforehand.

use super::{DiskPlan, MIB, Order, PlannedDisk, size_words};
use crate::base::refusal::{Code, Refusal};
use crate::base::store_path::StorePath;
use crate::disk::hardware::{Disk, Hardware};
use crate::disk::layout::{Devices, Scripted};

/// The script that the release carries.
///
/// # Errors
/// It carries none; the disks together are too small for the system; or another disk holds something that the script would
/// take for its own.
pub(super) fn script(
    order: &Order<'_>,
    scripted: &Scripted,
    hardware: &Hardware,
    chosen: &[&Disk],
) -> Result<StorePath, Refusal> {
    let release = order.release;
    let Some(script) = &release.script else {
        let (profile, system, number) = (order.profile, &release.system, release.number);
        let message = format!(
            "release {number} of `{system}` carries no script of disko's, and profile `{}` wants one",
            profile.name
        );
        return Err(Refusal::new(Code::PlanRefused, message)
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
            Code::PlanRefused,
            "the chosen disks are too small for this system",
        );
        let disks = chosen.iter().map(|disk| format!("disk {}", disk.words()));
        return Err(disks
            .fold(refusal, Refusal::fact)
            .fact(format!("needed: {}", size_words(needed)))
            .fact("nothing was written"));
    }
    taken_elsewhere(&hardware.disks, chosen, scripted)?;
    Ok(script.clone())
}

/// Disko makes what it does not find by its name, and goes on with what it finds: that may be on another disk.
fn taken_elsewhere(disks: &[Disk], chosen: &[&Disk], scripted: &Scripted) -> Result<(), Refusal> {
    let others = disks
        .iter()
        .filter(|disk| !chosen.iter().any(|taken| taken.node == disk.node));
    for disk in others {
        for held in &disk.holds {
            let group = held.member_of.as_ref().map(|group| group.name.as_str());
            let (what, name, names, rid) = match held.kind.as_str() {
                // mdadm writes `host:name`.
                "linux_raid_member" => (
                    "an array",
                    held.label.rsplit(':').next(),
                    &scripted.arrays,
                    "mdadm --zero-superblock",
                ),
                "LVM2_member" => ("a volume group", group, &scripted.groups, "wipefs --all"),
                "zfs_member" => (
                    "a pool",
                    Some(held.label.as_str()),
                    &scripted.pools,
                    "zpool labelclear -f",
                ),
                _ => continue,
            };
            let Some(name) = name.filter(|name| names.iter().any(|own| own == name)) else {
                continue;
            };
            let message = format!("another disk is part of {what} named `{name}`");
            return Err(Refusal::new(Code::PlanRefused, message)
                .fact(format!("disk {}", disk.words()))
                .fact(format!(
                    "disko's script goes on with {what} of that name if it finds one, and could write there"
                ))
                .fact("nothing was written")
                .tip(format!(
                    "take that disk out, or use another name in the table; if nothing on it is wanted: {rid} /dev/{}",
                    held.node
                )));
        }
    }
    Ok(())
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
