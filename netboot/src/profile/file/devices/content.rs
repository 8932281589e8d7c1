//! What a partition, an array or an encrypted volume holds.

use super::mount_options::{args, is_plain_path, mountpoint, options};
use super::{DiskoOnly, Member, UnfinishedLayout, finish, owned, plain};
use crate::base::toml_reader::{Placed, Reader, Section};
use crate::disk::layout::{Content, Format, Subvolume};

/// Where the content stands, which says what it may be.
#[derive(Clone, Copy)]
pub(super) enum ContentContext<'a> {
    /// One of this disk.
    Partition {
        disk: &'a str,
    },
    Array,
    Luks,
}

const KNOWN: &str = "filesystem`, `btrfs`, `swap`, `luks`, `mdraid";
const TYPES_OUTSIDE: DiskoOnly = &[
    (
        "lvm_pv",
        "for LVM, [disk] engine = \"disko\"; else partitions, or btrfs subvolumes",
    ),
    (
        "zfs",
        "in place of the table: layout = \"zfs\"; or type = \"btrfs\", which has subvolumes and snapshots, too",
    ),
    (
        "bcachefs",
        "type = \"btrfs\" has subvolumes and snapshots, too",
    ),
    ("gpt", "partition tables are made on disks only"),
    (
        "table",
        "the old MBR is not made; on a disk: content.type = \"gpt\"",
    ),
];
const DEVICE: (&str, &str) = (
    "device",
    "take it out: it is the partition that this stands in",
);
const SWAP_OUTSIDE: DiskoOnly = &[
    DEVICE,
    (
        "randomEncryption",
        "take it out, or put the swap into type = \"luks\"",
    ),
    ("extraArgs", "take it out: swap needs no arguments"),
];
const BTRFS_OUTSIDE: DiskoOnly = &[
    DEVICE,
    (
        "swap",
        "make a partition with type = \"swap\" instead of a swap file",
    ),
];
const SUBVOLUME_OUTSIDE: DiskoOnly = &[
    (
        "name",
        "take it out; its name is the one that the table has: subvolumes.\"/NAME\"",
    ),
    (
        "extraArgs",
        "take it out: subvolumes are made without arguments",
    ),
    (
        "swap",
        "make a partition with type = \"swap\" instead of a swap file",
    ),
];
const KEYS: &str = "take it out: the key of each machine is made and kept by the appliance";
const LUKS_OUTSIDE: DiskoOnly = &[
    DEVICE,
    ("keyFile", KEYS),
    ("passwordFile", KEYS),
    ("askPassword", KEYS),
    ("additionalKeyFiles", KEYS),
    (
        "initrdUnlock",
        "take it out: it is opened when the machine boots",
    ),
    (
        "extraFormatArgs",
        "take it out: the plan has the arguments that LUKS needs",
    ),
    (
        "extraOpenArgs",
        "take it out; settings.allowDiscards and settings.bypassWorkqueues are read",
    ),
];
const SETTINGS_OUTSIDE: DiskoOnly = &[
    ("keyFile", KEYS),
    ("keyFileSize", KEYS),
    ("keyFileOffset", KEYS),
    ("fallbackToPassword", KEYS),
];

pub(super) fn read(
    reader: &mut Reader<'_>,
    layout: &mut UnfinishedLayout,
    mut section: Section<'_>,
    inside: ContentContext<'_>,
) -> Option<Content> {
    let kind = section.text(reader, "type");
    if !section.has("type") {
        let message = format!("has no `type`, expected one of `{KNOWN}`");
        reader.problem(&section.at(), message);
    }
    let kind = kind?;
    match (kind.value, inside) {
        ("filesystem", _) => filesystem(reader, layout, section),
        ("btrfs", _) => Some(btrfs(reader, layout, section)),
        ("swap", _) => Some(swap(reader, section)),
        ("luks", ContentContext::Partition { .. } | ContentContext::Array) => {
            luks(reader, layout, section)
        }
        ("mdraid", ContentContext::Partition { disk }) => {
            array_member(reader, layout, section, disk)
        }
        ("luks" | "mdraid", ContentContext::Luks) => {
            cannot_stand(reader, &kind, "an encrypted volume")
        }
        ("mdraid", ContentContext::Array) => cannot_stand(reader, &kind, "an array"),
        _ => unknown(reader, &kind),
    }
}

fn cannot_stand(reader: &mut Reader<'_>, kind: &Placed<&str>, inside: &str) -> Option<Content> {
    let message = format!("`{}` cannot stand in {inside}", kind.value);
    let tip = "arrays are made of partitions, and may hold `luks`; that holds filesystems or swap";
    reader.problem_with_tip(&kind.at, message, tip);
    None
}

fn unknown(reader: &mut Reader<'_>, kind: &Placed<&str>) -> Option<Content> {
    let text = kind.value;
    match TYPES_OUTSIDE.iter().find(|(known, _)| *known == kind.value) {
        Some((_, tip)) => {
            let message = format!(
                "`{text}` is of disko's schema, but not of the part that is read here, expected one of `{KNOWN}`"
            );
            reader.problem_with_tip(&kind.at, message, *tip);
        }
        None => {
            let message = format!("no content is called `{text}`, expected one of `{KNOWN}`");
            reader.problem(&kind.at, message);
        }
    }
    None
}

fn filesystem(
    reader: &mut Reader<'_>,
    layout: &mut UnfinishedLayout,
    mut section: Section<'_>,
) -> Option<Content> {
    let written = section.text(reader, "format");
    let mountpoint = mountpoint(reader, layout, &mut section);
    let options = options(reader, &mut section);
    let extra = section.texts(reader, "extraArgs");
    finish(reader, &mut section, &[DEVICE]);
    if !section.has("format") {
        let tip = "write format = \"ext4\", or vfat, xfs, btrfs";
        reader.problem_with_tip(&section.at(), "has no `format`", tip);
    }
    let format = format_of(reader, &written?)?;
    Some(Content::Filesystem {
        format,
        mountpoint,
        options,
        args: extra.map_or_else(Vec::new, |extra| args(reader, format, &extra.value)),
    })
}

fn format_of(reader: &mut Reader<'_>, written: &Placed<&str>) -> Option<Format> {
    let known = [Format::Ext4, Format::Vfat, Format::Xfs, Format::Btrfs];
    let found = known.into_iter().find(|one| one.name() == written.value);
    if found.is_none() {
        let known = known.map(Format::name).join("`, `");
        let message = format!(
            "no filesystem `{}` is made here, expected one of `{known}`",
            written.value
        );
        reader.problem(&written.at, message);
    }
    found
}

fn btrfs(
    reader: &mut Reader<'_>,
    layout: &mut UnfinishedLayout,
    mut section: Section<'_>,
) -> Content {
    let mountpoint = mountpoint(reader, layout, &mut section);
    let options = options(reader, &mut section);
    let extra = section.texts(reader, "extraArgs");
    let mut found = section.section(reader, "subvolumes").sections(reader);
    finish(reader, &mut section, BTRFS_OUTSIDE);
    // One that lies in another is made after it, however the two are written.
    found.sort_by_key(|(name, _)| name.value.trim_start_matches('/'));
    let names: Vec<&str> = found
        .iter()
        .map(|(name, _)| name.value.trim_start_matches('/'))
        .collect();
    for pair in names.windows(2).filter(|pair| pair[0] == pair[1]) {
        let message = format!("the subvolume `/{}` is there twice", pair[0]);
        reader.problem_with_tip(&section.at(), message, "take one of them out");
    }
    let mut subvolumes = Vec::new();
    for (name, table) in found {
        subvolumes.push(subvolume(reader, layout, &name, table, &names));
    }
    Content::Btrfs {
        mountpoint,
        options,
        args: extra.map_or_else(Vec::new, |extra| args(reader, Format::Btrfs, &extra.value)),
        subvolumes,
    }
}

/// `names`: those of all of the filesystem, without the slash.
fn subvolume(
    reader: &mut Reader<'_>,
    layout: &mut UnfinishedLayout,
    name: &Placed<&str>,
    mut section: Section<'_>,
    names: &[&str],
) -> Subvolume {
    // disko's default, and the only one that it has.
    if let Some(kind) = section.text(reader, "type")
        && kind.value != "btrfs_subvol"
    {
        let message = format!("`{}` is not a type of subvolume", kind.value);
        reader.problem(&kind.at, message);
    }
    let mountpoint = mountpoint(reader, layout, &mut section);
    let options = options(reader, &mut section);
    finish(reader, &mut section, SUBVOLUME_OUTSIDE);
    let path = name.value.trim_start_matches('/');
    if !is_plain_path(&format!("/{path}")) || path.is_empty() {
        let message = format!("a subvolume cannot be called `{}`", name.value);
        let tip = "write it like a path: \"/home\"";
        reader.problem_with_tip(&name.at, message, tip);
    } else if let Some((parent, _)) = path.rsplit_once('/')
        && !names.contains(&parent)
    {
        let message = format!(
            "`/{parent}` is not a subvolume, and the subvolume `{}` lies in it",
            name.value
        );
        let tip = format!("add it: [….content.subvolumes.\"/{parent}\"]");
        reader.problem_with_tip(&name.at, message, tip);
    }
    Subvolume {
        name: name.value.to_owned(),
        mountpoint,
        options,
    }
}

/// All but `type` is for the system's fstab, which disko writes.
fn swap(reader: &mut Reader<'_>, mut section: Section<'_>) -> Content {
    options(reader, &mut section);
    if let Some(policy) = section.text(reader, "discardPolicy") {
        let words = ["once", "pages", "both"].map(|word| (word, ()));
        reader.word(&policy, "discard policy", &words);
    }
    if let Some(priority) = section.integer(reader, "priority")
        && !(0..=32767).contains(&priority.value)
    {
        let message = "the priority of swap is from 0 to 32767";
        reader.problem(&priority.at, message);
    }
    section.flag(reader, "resumeDevice");
    finish(reader, &mut section, SWAP_OUTSIDE);
    Content::Swap
}

fn luks(
    reader: &mut Reader<'_>,
    layout: &mut UnfinishedLayout,
    mut section: Section<'_>,
) -> Option<Content> {
    let name = section.text(reader, "name");
    if let Some(mut settings) = section.table(reader, "settings") {
        // They are for the machine's own boot, and have no effect on an install.
        settings.flag(reader, "allowDiscards");
        settings.flag(reader, "bypassWorkqueues");
        finish(reader, &mut settings, SETTINGS_OUTSIDE);
    }
    let content = section.table(reader, "content");
    finish(reader, &mut section, LUKS_OUTSIDE);
    let content = content.and_then(|inner| read(reader, layout, inner, ContentContext::Luks));
    if !section.has("content") {
        let message = "has no `content`, so there is nothing to encrypt";
        let tip = "add what is encrypted, like content = { type = \"filesystem\", format = \"ext4\", mountpoint = \"/\" }";
        reader.problem_with_tip(&section.at(), message, tip);
    }
    if !section.has("name") {
        let tip = "write as what it is opened: name = \"root\" is /dev/mapper/root";
        reader.problem_with_tip(&section.at(), "has no `name`", tip);
    }
    let name = name?;
    plain(reader, &name, "encrypted volume");
    layout.volumes.push(owned(&name));
    Some(Content::Luks {
        name: name.value.to_owned(),
        content: Box::new(content?),
    })
}

fn array_member(
    reader: &mut Reader<'_>,
    layout: &mut UnfinishedLayout,
    mut section: Section<'_>,
    disk: &str,
) -> Option<Content> {
    let name = section.text(reader, "name");
    finish(reader, &mut section, &[DEVICE]);
    if !section.has("name") {
        let tip = "write the array's name, that of [disk.devices.mdadm.NAME]";
        reader.problem_with_tip(&section.at(), "has no `name`", tip);
    }
    let array = owned(&name?);
    layout.members.push(Member {
        array: array.clone(),
        disk: disk.to_owned(),
    });
    Some(Content::Raid { array: array.value })
}
