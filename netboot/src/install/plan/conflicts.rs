//! What another disk has as well as a chosen one: a part of one array, group, pool or filesystem, or a name by which the
//! installed system, or disko's script, could take the wrong of the two. Each is refused, whether it runs or not.

use crate::base::refusal::{Refusal, RefusalCode};
use crate::disk::hardware::{Disk, Group, Signature, SignatureKind};
use crate::disk::layout::{Devices, DiskoScript, Layout};

/// Looks for all of these conflicts. `chosen`: in the order of the layout's disks.
///
/// # Errors
/// The first conflict that was found, with the other disk and what to do there.
pub(super) fn check(
    disks: &[Disk],
    chosen: &[&Disk],
    layout: &Layout,
    devices: &Devices,
) -> Result<(), Refusal> {
    let nodes: Vec<&str> = chosen.iter().map(|disk| disk.node.as_str()).collect();
    shared_members(disks, &nodes)?;
    let (_, others) = own_and_others(disks, &nodes);
    equal_names(&others, devices)?;
    preserved_elsewhere(chosen, devices)?;
    equal_pools(&others, devices)?;
    match layout {
        Layout::Scripted(scripted) => taken_by_script(&others, scripted),
        Layout::Named { .. } | Layout::Table(_) => Ok(()),
    }
}

fn own_and_others<'a>(disks: &'a [Disk], chosen: &[&str]) -> (Vec<&'a Disk>, Vec<&'a Disk>) {
    disks
        .iter()
        .partition(|disk| chosen.contains(&disk.node.as_str()))
}

fn signatures<'a>(disks: &[&'a Disk]) -> impl Iterator<Item = (&'a Disk, &'a Signature)> {
    disks
        .iter()
        .flat_map(|disk| disk.holds.iter().map(|held| (*disk, held)))
}

/// Looks whether something on the `chosen` disks (names of this boot: `vda`) also lies on a disk that is not chosen. To
/// overwrite one member could destroy what the other disk holds, and to stop the whole could write there. It is
/// therefore refused as well where it cannot be read whether both are members of one.
///
/// # Errors
/// A member of the same array, group, pool or filesystem lies on another disk; with that disk, and what to do there.
pub fn shared_members(disks: &[Disk], chosen: &[&str]) -> Result<(), Refusal> {
    let (own, others) = own_and_others(disks, chosen);
    for (disk, held) in signatures(&own).filter(|(_, held)| may_be_member(held)) {
        let mut parts = signatures(&others).filter(|(_, part)| may_be_member(part));
        if let Some((other, part)) = parts.find(|(_, part)| may_be_one(held, part)) {
            return Err(shared(disk, held, other, part));
        }
    }
    Ok(())
}

/// Whether it is a part of something larger, or cannot be read.
fn may_be_member(held: &Signature) -> bool {
    held.member_of.is_some() || is_unreadable(held)
}

fn is_unreadable(held: &Signature) -> bool {
    held.kind == SignatureKind::Unreadable
}

fn may_be_one(one: &Signature, other: &Signature) -> bool {
    if is_unreadable(one) || is_unreadable(other) {
        return true;
    }
    let same =
        |one: &Group, other: &Group| one.id == other.id || one.id.is_empty() || other.id.is_empty();
    one.kind == other.kind
        && matches!((&one.member_of, &other.member_of), (Some(one), Some(other)) if same(one, other))
}

fn shared(disk: &Disk, held: &Signature, other: &Disk, part: &Signature) -> Refusal {
    let node = &part.node;
    let known = |held: &Signature| held.member_of.clone().filter(|group| !group.id.is_empty());
    let Some(Group { name, .. }) = known(held).filter(|_| known(part).is_some()) else {
        return perhaps_shared(disk, held, other, part);
    };
    let (what, stop) = match held.kind {
        SignatureKind::RaidMember => ("array", "mdadm --stop --scan && ".to_owned()),
        SignatureKind::LvmMember => (
            "volume group",
            format!("vgchange --activate n '{name}' && "),
        ),
        SignatureKind::ZfsMember => ("pool", format!("zpool export '{name}'; ")),
        SignatureKind::Blank
        | SignatureKind::UnknownData
        | SignatureKind::Unreadable
        | SignatureKind::Gpt
        | SignatureKind::GptBackup
        | SignatureKind::ProtectiveMbr
        | SignatureKind::Mbr
        | SignatureKind::Luks
        | SignatureKind::Bcache
        | SignatureKind::Stratis
        | SignatureKind::Btrfs
        | SignatureKind::Bcachefs
        | SignatureKind::Ext4
        | SignatureKind::Xfs
        | SignatureKind::Vfat
        | SignatureKind::Swap
        | SignatureKind::Other(_) => ("filesystem", String::new()),
    };
    let message = format!(
        "`{}` holds a part of the {what} `{name}`, and so does `{}`, which is not chosen for this install",
        disk.node, other.node
    );
    Refusal::new(RefusalCode::PlanRefused, message)
        .fact(format!("disk {}", disk.description()))
        .fact(format!("disk {}", other.description()))
        .fact("without its part here, what the other disk holds could be lost; nothing was written")
        .tip(format!(
            "if the other disk is needed as it is: take `{}` out of the {what} first, or select another disk",
            disk.node
        ))
        .tip(format!(
            "if nothing on it is needed, on that machine: {stop}wipefs --all /dev/{node}"
        ))
}

/// The refusal where it cannot be read whether both are members of one.
fn perhaps_shared(disk: &Disk, held: &Signature, other: &Disk, part: &Signature) -> Refusal {
    let message = format!(
        "`{}` may hold a part of what `{}` holds, which is not chosen for this install",
        disk.node, other.node
    );
    Refusal::new(RefusalCode::PlanRefused, message)
        .fact(format!("disk {}", disk.description()))
        .fact(format!("disk {}", other.description()))
        .fact(format!(
            "whether `{}` and `{}` belong together cannot be read; nothing was written",
            held.node, part.node
        ))
        .tip(format!(
            "if they belong together and `{}` is needed: select another disk",
            other.node
        ))
        .tip(format!(
            "if they have nothing to do with each other, on that machine: wipefs --all /dev/{}",
            held.node
        ))
}

/// The system finds partitions by label and arrays by name, and could take either of two equal ones (disko#551).
fn equal_names(others: &[&Disk], devices: &Devices) -> Result<(), Refusal> {
    let is_label = |label: &str| {
        let mut slots = devices.disks.iter().flat_map(|disk| &disk.partitions);
        slots.any(|slot| slot.label == label)
    };
    let is_array = |name: &str| devices.arrays.iter().any(|array| array.name == name);
    for (disk, held) in signatures(others) {
        let (message, tip) = if is_label(&held.partition_label) {
            let label = &held.partition_label;
            let message = format!("another disk has a partition labelled `{label}`");
            let number = disk.number_of(held).unwrap_or(1);
            let tip = format!(
                "give it another label: sfdisk --part-label /dev/{} {number} old-{label}",
                disk.node
            );
            (message, tip)
        } else if held.kind == SignatureKind::RaidMember && is_array(array_name(held)) {
            let message = format!("another disk is part of an array named `{}`", held.label);
            let tip = format!(
                "take that disk out, or if nothing on it is wanted: mdadm --zero-superblock /dev/{}",
                held.node
            );
            (message, tip)
        } else {
            continue;
        };
        return Err(Refusal::new(RefusalCode::PlanRefused, message)
            .fact(format!("disk {}", disk.description()))
            .fact("the installed system finds its partitions by label, and could mount that one")
            .fact("nothing was written")
            .tip(tip));
    }
    Ok(())
}

/// The array's own name: mdadm writes `host:name`.
fn array_name(member: &Signature) -> &str {
    let own = member.label.rsplit(':').next();
    own.unwrap_or_default()
}

/// The system finds its pool by name, and would take either of two equal ones, or none.
fn equal_pools(others: &[&Disk], devices: &Devices) -> Result<(), Refusal> {
    let wanted = |name: &str| devices.pools.iter().any(|pool| pool.name == name);
    let mut members = signatures(others).filter(|(_, held)| held.kind == SignatureKind::ZfsMember);
    let Some((disk, held)) = members.find(|(_, held)| wanted(&held.label)) else {
        return Ok(());
    };
    let pool = &held.label;
    let message = format!("another disk is part of a pool named `{pool}`");
    Err(Refusal::new(RefusalCode::PlanRefused, message)
        .fact(format!("disk {}", disk.description()))
        .fact("the installed system finds its pool by name, and could take that one")
        .fact("nothing was written")
        .tip(format!(
            "to keep it under another name, where it can be imported: zpool import {pool} old-{pool} && zpool export old-{pool}"
        ))
        .tip(format!(
            "or if nothing on it is wanted: zpool labelclear -f /dev/{}",
            held.node
        )))
}

/// Disko makes what it does not find by its name, and goes on with what it finds: that may be on another disk.
fn taken_by_script(others: &[&Disk], scripted: &DiskoScript) -> Result<(), Refusal> {
    for (disk, held) in signatures(others) {
        let group = held.member_of.as_ref().map(|group| group.name.as_str());
        let (what, name, names, wipe) = match held.kind {
            SignatureKind::RaidMember => (
                "an array",
                Some(array_name(held)),
                &scripted.arrays,
                "mdadm --zero-superblock",
            ),
            SignatureKind::LvmMember => ("a volume group", group, &scripted.groups, "wipefs --all"),
            SignatureKind::ZfsMember => (
                "a pool",
                Some(held.label.as_str()),
                &scripted.pools,
                "zpool labelclear -f",
            ),
            SignatureKind::Blank
            | SignatureKind::UnknownData
            | SignatureKind::Unreadable
            | SignatureKind::Gpt
            | SignatureKind::GptBackup
            | SignatureKind::ProtectiveMbr
            | SignatureKind::Mbr
            | SignatureKind::Luks
            | SignatureKind::Bcache
            | SignatureKind::Stratis
            | SignatureKind::Btrfs
            | SignatureKind::Bcachefs
            | SignatureKind::Ext4
            | SignatureKind::Xfs
            | SignatureKind::Vfat
            | SignatureKind::Swap
            | SignatureKind::Other(_) => continue,
        };
        let Some(name) = name.filter(|name| names.iter().any(|own| own == name)) else {
            continue;
        };
        let message = format!("another disk is part of {what} named `{name}`");
        return Err(Refusal::new(RefusalCode::PlanRefused, message)
            .fact(format!("disk {}", disk.description()))
            .fact(format!(
                "disko's script goes on with {what} of that name if it finds one, and could write there"
            ))
            .fact("nothing was written")
            .tip(format!(
                "take that disk out, or use another name in the table; if nothing on it is wanted: {wipe} /dev/{}",
                held.node
            )));
    }
    Ok(())
}

/// A partition that is to be preserved lies on another of the chosen disks than the one that was chosen for it: disks have
/// changed places, and what is to stay would be wiped.
fn preserved_elsewhere(chosen: &[&Disk], devices: &Devices) -> Result<(), Refusal> {
    for (place, wanted) in devices.disks.iter().enumerate() {
        for slot in wanted.partitions.iter().filter(|slot| slot.preserve) {
            let mut others = chosen.iter().enumerate().filter(|(at, _)| *at != place);
            let holds = |disk: &Disk| disk.holds.iter().any(|h| h.partition_label == slot.label);
            let Some((at, other)) = others.find(|(_, disk)| holds(disk)) else {
                continue;
            };
            let message = format!(
                "the partition `{}`, which is to be preserved, is on the disk chosen for `{}`, not on the one for `{}`",
                slot.label, devices.disks[at].name, wanted.name
            );
            return Err(Refusal::new(RefusalCode::PlanRefused, message)
                .fact(format!("disk {}", other.description()))
                .fact("nothing was written")
                .tip(
                    "name each disk in `[disk] select`, in the order in which the table has them",
                ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
