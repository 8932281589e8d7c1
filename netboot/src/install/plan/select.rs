//! The disks that a profile means: exactly as many as the layout has, or a refusal that lists the disks that are there, and
//! the line to write.

use super::{DiskAction, SeenDisk};
use crate::base::refusal::{Refusal, RefusalCode};
use crate::disk::hardware::Disk;
use crate::disk::layout::Devices;
use crate::profile::{Profile, Select};

/// The chosen disks in the order of the layout, and what becomes of every disk.
pub(super) struct Choice<'a> {
    pub disks: Vec<&'a Disk>,
    pub seen: Vec<SeenDisk>,
    pub warnings: Vec<String>,
}

pub(super) fn choose<'a>(
    disks: &'a [Disk],
    profile: &Profile,
    devices: &Devices,
) -> Result<Choice<'a>, Refusal> {
    let wanted = devices.disks.len();
    let one_each = profile.select.len() > 1;
    if one_each && profile.select.len() != wanted {
        let (has, layout) = (profile.select.len(), profile.layout.name());
        let message = format!("`select` names {has} disks, layout `{layout}` has {wanted}");
        return Err(Refusal::new(RefusalCode::PlanRefused, message)
            .fact("nothing was written")
            .tip(format!(
                "in {}: one table for all of them, or one for each",
                profile.file
            )));
    }
    let mut chosen: Vec<&Disk> = Vec::new();
    for select in &profile.select {
        let count = if one_each { 1 } else { wanted };
        let free = |disk: &&Disk| {
            !is_kept(disk, profile) && !chosen.iter().any(|taken| taken.node == disk.node)
        };
        let mut found = select.among(disks.iter().filter(free).collect(), count);
        if found.len() != count {
            return Err(refusal(disks, profile, &found, count));
        }
        // The kernel's order differs from boot to boot.
        found.sort_by_key(|disk| (&disk.serial, &disk.wwn, &disk.by_id, &disk.node));
        chosen.extend(found);
    }
    let seen = disks.iter().map(|disk| {
        let (action, why) = action(disk, &chosen, profile, devices);
        let disk = disk.clone();
        SeenDisk { disk, action, why }
    });
    let idle = profile
        .keep
        .iter()
        .filter(|keep| !disks.iter().any(|disk| keep.keeps(disk)));
    Ok(Choice {
        seen: seen.collect(),
        disks: chosen,
        warnings: idle
            .map(|keep| format!("`keep` {} fits no disk here", keep.table()))
            .collect(),
    })
}

fn is_kept(disk: &Disk, profile: &Profile) -> bool {
    profile.keep.iter().any(|keep| keep.keeps(disk))
}

fn action(
    disk: &Disk,
    chosen: &[&Disk],
    profile: &Profile,
    devices: &Devices,
) -> (DiskAction, String) {
    if let Some(place) = chosen.iter().position(|taken| taken.node == disk.node) {
        let name = devices.disks.get(place).map_or("", |disk| &disk.name);
        return (
            DiskAction::Written,
            format!("chosen by `select` for `{name}`"),
        );
    }
    if is_kept(disk, profile) {
        return (DiskAction::Kept, "named by `keep`".to_owned());
    }
    let why = match profile.select.as_slice() {
        [select] => select.misfit(disk).unwrap_or_else(|| {
            let extreme = if select.largest {
                "largest"
            } else {
                "smallest"
            };
            format!("is not the {extreme} of those that fit")
        }),
        _ => "no `select` names it".to_owned(),
    };
    (DiskAction::Left, why)
}

/// Too few or too many. A tip is a line that can be written into the profile.
fn refusal(disks: &[Disk], profile: &Profile, found: &[&Disk], count: usize) -> Refusal {
    let name = &profile.name;
    let needs = match count {
        1 => String::new(),
        n => format!(", layout `{}` needs {n}", profile.layout.name()),
    };
    let message = match found.len() {
        0 => format!("no disk matches `select` of profile `{name}`{needs}"),
        1 => format!("1 disk matches `select` of profile `{name}`{needs}"),
        n => format!("{n} disks match `select` of profile `{name}`{needs}"),
    };
    let refusal = Refusal::new(RefusalCode::PlanRefused, message);
    let listed = disks.iter().map(|disk| {
        let kept = is_kept(disk, profile);
        let kept = if kept { ", named by `keep`" } else { "" };
        format!("disk {}{kept}", disk.description())
    });
    let refusal = listed
        .fold(refusal, Refusal::fact)
        .fact("nothing was written");
    let may = |disk: &&Disk| !is_kept(disk, profile) && !disk.read_only && !disk.boot_medium;
    let mut choosable: Vec<&Disk> = if found.len() > count {
        found.to_vec()
    } else {
        let usual = |disk: &&Disk| disk.why_unnamed_not().is_none();
        disks.iter().filter(may).filter(usual).collect()
    };
    if choosable.len() < count {
        // USB disks and cards only where the profile names them.
        choosable = disks.iter().filter(may).collect();
    }
    if count > 1 && choosable.len() < count {
        return refusal.tip("put another disk in, or choose a layout of one disk");
    }
    let lines = choosable
        .iter()
        .filter_map(|disk| Select::naming(disk, disks));
    let lines: Vec<String> = lines.map(|select| select.table()).collect();
    if lines.len() < count && !choosable.is_empty() {
        return refusal
            .tip("these disks cannot be told apart by serial number, link, WWN or size: take out those that are not meant");
    }
    if count == 1 {
        let tip = |line: &String| format!("in {}: [disk] select = {line}", profile.file);
        return lines.iter().map(tip).fold(refusal, Refusal::tip);
    }
    let some: Vec<String> = lines.into_iter().take(count).collect();
    refusal.tip(format!(
        "in {}: [disk] select = [{}]",
        profile.file,
        some.join(", ")
    ))
}
