//! What mount and the programs that make filesystems may be told: nothing that names another device or a file.

use super::{Draft, Named};
use crate::disk::layout::Format;
use crate::profile::file::Reader;
use crate::profile::file::tree::{Fields, Found};

pub(super) fn mountpoint(
    reader: &mut Reader<'_>,
    draft: &mut Draft,
    fields: &mut Fields<'_>,
) -> Option<String> {
    let found = fields.text(reader, "mountpoint")?;
    if !is_plain_path(found.value) {
        let message = format!("`{}` is no plain path to mount on", found.value);
        let tip = "from the root, without a `/` at the end: letters, digits, `-`, `_` and `.`";
        reader.wrong(&found.place, message).tip = Some(tip.to_owned());
        return None;
    }
    draft.mounts.push(Named {
        name: found.value.to_owned(),
        place: found.place,
    });
    Some(found.value.to_owned())
}

/// Options that would mount something else, or not so that a system can be installed.
const OPTIONS_OUTSIDE: [&str; 17] = [
    "bind",
    "rbind",
    "move",
    "remount",
    "loop",
    "ro",
    "subvol",
    "subvolid",
    "device",
    "degraded",
    "logdev",
    "rtdev",
    "journal_dev",
    "journal_path",
    "noload",
    "norecovery",
    "offset",
];

pub(super) fn options(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Vec<String> {
    let Some(found) = fields.texts(reader, "mountOptions") else {
        return Vec::new();
    };
    for option in &found.value {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.=:+@%".contains(c);
        let key = option.split('=').next().unwrap_or_default();
        if OPTIONS_OUTSIDE.contains(&key) {
            let message = format!("the option `{option}` cannot be given here");
            let tip = "take it out: it would mount something else, or not so that a system can be installed";
            reader.wrong(&found.place, message).tip = Some(tip.to_owned());
        } else if option.is_empty() || !option.chars().all(plain) {
            let message = format!("`{option}` is not one plain option");
            let tip = "write each by itself: mountOptions = [\"noatime\", \"compress=zstd\"]";
            reader.wrong(&found.place, message).tip = Some(tip.to_owned());
        }
    }
    found.value.into_iter().map(str::to_owned).collect()
}

/// Arguments that say how a filesystem is made, and can name no other device or file: alone, or with a value.
fn arguments(format: Format) -> (&'static [&'static str], &'static [&'static str]) {
    match format {
        Format::Vfat => (&[], &["-F", "-n", "-s"]),
        Format::Ext4 => (&[], &["-L", "-m", "-O", "-i", "-I", "-N", "-T", "-b"]),
        Format::Xfs => (&["-K"], &["-L", "-m", "-i", "-b", "-s"]),
        Format::Btrfs => (
            &["-K", "--nodiscard", "-M", "--mixed"],
            &[
                "-L",
                "--label",
                "-m",
                "--metadata",
                "-d",
                "--data",
                "-n",
                "--nodesize",
                "-O",
                "--features",
                "--csum",
                "--checksum",
            ],
        ),
        Format::Swap | Format::Zfs => (&[], &[]),
    }
}

pub(super) fn args(
    reader: &mut Reader<'_>,
    format: Format,
    extra: &Found<Vec<&str>>,
) -> Vec<String> {
    let (alone, with_value) = arguments(format);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.=,^".contains(c);
    let mut all = extra.value.iter();
    while let Some(arg) = all.next() {
        let name = format.name();
        let message = if with_value.contains(arg) {
            let is_value = |value: &&str| {
                !value.is_empty() && !value.starts_with(['-', '.']) && value.chars().all(plain)
            };
            match all.next() {
                Some(value) if is_value(value) => continue,
                Some(value) => format!("`{value}` is no plain value for `{arg}` of mkfs.{name}"),
                None => format!("`{arg}` of mkfs.{name} lacks its value"),
            }
        } else if alone.contains(arg) {
            continue;
        } else {
            let known = [alone, with_value].concat().join("`, `");
            format!("`{arg}` cannot be given to mkfs.{name} here, expected one of `{known}`")
        };
        let tip = "write each argument and each value by itself: extraArgs = [\"-L\", \"data\"]";
        reader.wrong(&extra.place, message).tip = Some(tip.to_owned());
        return Vec::new();
    }
    extra.value.iter().map(|arg| (*arg).to_owned()).collect()
}

pub(super) fn is_plain_path(path: &str) -> bool {
    let part_ok = |part: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
        !part.is_empty() && part != "." && part != ".." && part.chars().all(plain)
    };
    match path.strip_prefix('/') {
        Some("") => true,
        Some(rest) => rest.split('/').all(part_ok),
        None => false,
    }
}
