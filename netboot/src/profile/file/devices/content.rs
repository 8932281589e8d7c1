//! What a partition, an array or an encrypted volume holds.

use super::mount_options::{args, is_plain_path, mountpoint, options};
use super::{Draft, Named, plain};
use crate::disk::layout::{Content, Format, Subvolume};
use crate::profile::file::Reader;
use crate::profile::file::tree::{Fields, Found, Outside, Table};

/// What it is in: not everything may stand everywhere.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Inside {
    Partition,
    Array,
    Luks,
}

const KNOWN: &str = "filesystem`, `btrfs`, `swap`, `luks`, `mdraid";
const TYPES_OUTSIDE: Outside<'_> = &[
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
const SWAP_OUTSIDE: Outside<'_> = &[
    DEVICE,
    (
        "randomEncryption",
        "take it out, or put the swap into type = \"luks\"",
    ),
    ("extraArgs", "take it out: swap needs no arguments"),
];
const BTRFS_OUTSIDE: Outside<'_> = &[
    DEVICE,
    (
        "swap",
        "make a partition with type = \"swap\" instead of a swap file",
    ),
];
const SUBVOLUME_OUTSIDE: Outside<'_> = &[
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
const LUKS_OUTSIDE: Outside<'_> = &[
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
const SETTINGS_OUTSIDE: Outside<'_> = &[
    ("keyFile", KEYS),
    ("keyFileSize", KEYS),
    ("keyFileOffset", KEYS),
    ("fallbackToPassword", KEYS),
];

pub(super) fn read(
    reader: &mut Reader<'_>,
    draft: &mut Draft,
    found: &Found<&Table>,
    inside: Inside,
) -> Option<Content> {
    let mut fields = Fields::of(found);
    let Some(kind) = fields.text(reader, "type") else {
        if !fields.lacks("type") {
            return None;
        }
        let message = format!("has no `type`, expected one of `{KNOWN}`");
        reader.wrong(&found.place, message);
        return None;
    };
    match (kind.value, inside) {
        ("filesystem", _) => filesystem(reader, draft, fields),
        ("btrfs", _) => btrfs(reader, draft, fields),
        ("swap", _) => {
            swap(reader, fields);
            Some(Content::Swap)
        }
        ("luks", Inside::Partition | Inside::Array) => luks(reader, draft, fields),
        ("mdraid", Inside::Partition) => {
            let name = fields.text(reader, "name");
            let lacks = fields.lacks("name");
            fields.done(reader, &[DEVICE]);
            let Some(name) = name else {
                if !lacks {
                    return None;
                }
                let tip = "write the array's name, that of [disk.devices.mdadm.NAME]";
                reader.wrong(&found.place, "has no `name`").tip = Some(tip.to_owned());
                return None;
            };
            let array = name.value.to_owned();
            let member = Named {
                name: array.clone(),
                place: name.place,
            };
            // Whose disk it is, the partition knows.
            draft.members.push((member, String::new()));
            Some(Content::Raid { array })
        }
        ("luks" | "mdraid", _) => {
            let what = match inside {
                Inside::Luks => "an encrypted volume",
                _ => "an array",
            };
            let message = format!("`{}` cannot stand in {what}", kind.value);
            let tip = "arrays are made of partitions, and may hold `luks`; that holds filesystems or swap";
            reader.wrong(&kind.place, message).tip = Some(tip.to_owned());
            None
        }
        (other, _) => {
            let outside = TYPES_OUTSIDE.iter().find(|(known, _)| *known == other);
            let message = match outside {
                Some(_) => format!(
                    "`{other}` is of disko's schema, but not of the part that is read here, expected one of `{KNOWN}`"
                ),
                None => format!("no content is called `{other}`, expected one of `{KNOWN}`"),
            };
            reader.wrong(&kind.place, message).tip = outside.map(|(_, tip)| (*tip).to_owned());
            None
        }
    }
}

fn filesystem(
    reader: &mut Reader<'_>,
    draft: &mut Draft,
    mut fields: Fields<'_>,
) -> Option<Content> {
    let format = fields.text(reader, "format");
    let mountpoint = mountpoint(reader, draft, &mut fields);
    let options = options(reader, &mut fields);
    let extra = fields.texts(reader, "extraArgs");
    let Some(found) = format else {
        if fields.lacks("format") {
            let tip = "write format = \"ext4\", or vfat, xfs, btrfs";
            reader.wrong(&fields.place, "has no `format`").tip = Some(tip.to_owned());
        }
        fields.done(reader, &[DEVICE]);
        return None;
    };
    fields.done(reader, &[DEVICE]);
    let known = [Format::Ext4, Format::Vfat, Format::Xfs, Format::Btrfs];
    let Some(format) = known.into_iter().find(|one| one.name() == found.value) else {
        let known = known.map(Format::name).join("`, `");
        let message = format!(
            "no filesystem `{}` is made here, expected one of `{known}`",
            found.value
        );
        reader.wrong(&found.place, message);
        return None;
    };
    Some(Content::Filesystem {
        format,
        mountpoint,
        options,
        args: extra.map_or_else(Vec::new, |extra| args(reader, format, &extra)),
    })
}

fn btrfs(reader: &mut Reader<'_>, draft: &mut Draft, mut fields: Fields<'_>) -> Option<Content> {
    let at = mountpoint(reader, draft, &mut fields);
    let on = options(reader, &mut fields);
    let extra = fields.texts(reader, "extraArgs");
    let mut subvolumes = Vec::new();
    let mut found = fields.named(reader, "subvolumes");
    // One that lies in another is made after it, however the two are written.
    found.sort_by_key(|(name, _)| name.trim_start_matches('/'));
    let names: Vec<&str> = found
        .iter()
        .map(|(name, _)| name.trim_start_matches('/'))
        .collect();
    for pair in names.windows(2).filter(|pair| pair[0] == pair[1]) {
        let message = format!("the subvolume `/{}` is there twice", pair[0]);
        reader.wrong(&fields.place, message).tip = Some("take one of them out".to_owned());
    }
    for (name, table) in &found {
        let mut fields = Fields::of(table);
        // disko's default, and the only one that it has.
        if let Some(kind) = fields.text(reader, "type")
            && kind.value != "btrfs_subvol"
        {
            reader.wrong(
                &kind.place,
                format!("`{}` is no type of a subvolume", kind.value),
            );
        }
        let mountpoint = mountpoint(reader, draft, &mut fields);
        let options = options(reader, &mut fields);
        fields.done(reader, SUBVOLUME_OUTSIDE);
        let path = name.trim_start_matches('/');
        if !is_plain_path(&format!("/{path}")) || path.is_empty() {
            let message = format!("a subvolume cannot be called `{name}`");
            let tip = "write it like a path: \"/home\"";
            reader.wrong(&table.place, message).tip = Some(tip.to_owned());
        } else if let Some((parent, _)) = path.rsplit_once('/')
            && !names.contains(&parent)
        {
            let message = format!("the subvolume `{name}` lies in `/{parent}`, which is none");
            let tip = format!("add it: [….content.subvolumes.\"/{parent}\"]");
            reader.wrong(&table.place, message).tip = Some(tip);
        }
        subvolumes.push(Subvolume {
            name: (*name).to_owned(),
            mountpoint,
            options,
        });
    }
    fields.done(reader, BTRFS_OUTSIDE);
    Some(Content::Btrfs {
        mountpoint: at,
        options: on,
        args: extra.map_or_else(Vec::new, |extra| args(reader, Format::Btrfs, &extra)),
        subvolumes,
    })
}

/// All but `type` is for the system's fstab, which disko writes.
fn swap(reader: &mut Reader<'_>, mut fields: Fields<'_>) {
    options(reader, &mut fields);
    if let Some(policy) = fields.text(reader, "discardPolicy")
        && !["once", "pages", "both"].contains(&policy.value)
    {
        let message = format!(
            "no discard policy is called `{}`, expected one of `once`, `pages`, `both`",
            policy.value
        );
        reader.wrong(&policy.place, message);
    }
    if let Some(priority) = fields.whole(reader, "priority")
        && !(0..=32767).contains(&priority.value)
    {
        reader.wrong(&priority.place, "the priority of swap is from 0 to 32767");
    }
    fields.truth(reader, "resumeDevice");
    fields.done(reader, SWAP_OUTSIDE);
}

fn luks(reader: &mut Reader<'_>, draft: &mut Draft, mut fields: Fields<'_>) -> Option<Content> {
    let place = fields.place.clone();
    let name = fields.text(reader, "name");
    if let Some(settings) = fields.table(reader, "settings") {
        let mut fields = Fields::of(&settings);
        // They are for the machine's own boot, and nothing to an install.
        fields.truth(reader, "allowDiscards");
        fields.truth(reader, "bypassWorkqueues");
        fields.done(reader, SETTINGS_OUTSIDE);
    }
    let inner = fields.table(reader, "content");
    let (unnamed, empty) = (fields.lacks("name"), fields.lacks("content"));
    fields.done(reader, LUKS_OUTSIDE);
    let content = match &inner {
        Some(inner) => read(reader, draft, inner, Inside::Luks),
        None if !empty => None,
        None => {
            let tip = "add what is encrypted, like content = { type = \"filesystem\", format = \"ext4\", mountpoint = \"/\" }";
            reader
                .wrong(&place, "encrypts nothing: it has no `content`")
                .tip = Some(tip.to_owned());
            None
        }
    };
    let Some(name) = name else {
        if !unnamed {
            return None;
        }
        let tip = "write as what it is opened: name = \"root\" is /dev/mapper/root";
        reader.wrong(&place, "has no `name`").tip = Some(tip.to_owned());
        return None;
    };
    plain(reader, &name.place, "encrypted volume", name.value);
    draft.volumes.push(Named {
        name: name.value.to_owned(),
        place: name.place,
    });
    Some(Content::Luks {
        name: name.value.to_owned(),
        content: Box::new(content?),
    })
}
