//! The options that `mount` and the programs that make filesystems may be given: none may name another device or a
//! file.

use super::{UnfinishedLayout, owned};
use crate::base::toml_reader::{Placed, Reader, Section};
use crate::disk::layout::Format;

pub(super) fn mountpoint(
    reader: &mut Reader<'_>,
    layout: &mut UnfinishedLayout,
    section: &mut Section<'_>,
) -> Option<String> {
    let found = section.text(reader, "mountpoint")?;
    if !is_plain_path(found.value) {
        let message = format!("`{}` is not a plain path to mount on", found.value);
        let tip = "from the root, without a `/` at the end: letters, digits, `-`, `_` and `.`";
        reader.problem_with_tip(&found.at, message, tip);
        return None;
    }
    layout.mounts.push(owned(&found));
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

pub(super) fn options(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Vec<String> {
    let Some(found) = section.texts(reader, "mountOptions") else {
        return Vec::new();
    };
    for Placed { value: option, at } in &found.value {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.=:+@%".contains(c);
        let key = option.split('=').next().unwrap_or_default();
        if OPTIONS_OUTSIDE.contains(&key) {
            let message = format!("the option `{option}` cannot be given here");
            let tip = "take it out: it would mount something else, or not so that a system can be installed";
            reader.problem_with_tip(at, message, tip);
        } else if option.is_empty() || !option.chars().all(plain) {
            let message = format!("`{option}` is not one plain option");
            let tip = "write each by itself: mountOptions = [\"noatime\", \"compress=zstd\"]";
            reader.problem_with_tip(at, message, tip);
        }
    }
    found.value.iter().map(|one| one.value.to_owned()).collect()
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

/// The arguments; none if one of them cannot be given.
pub(super) fn args(reader: &mut Reader<'_>, format: Format, extra: &[Placed<&str>]) -> Vec<String> {
    let name = format.name();
    let (alone, with_value) = arguments(format);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.=,^".contains(c);
    let is_value = |value: &str| {
        !value.is_empty() && !value.starts_with(['-', '.']) && value.chars().all(plain)
    };
    let mut all = extra.iter();
    while let Some(Placed { value: arg, at }) = all.next() {
        let (at, message) = if with_value.contains(arg) {
            match all.next() {
                Some(value) if is_value(value.value) => continue,
                Some(value) => {
                    let odd = value.value;
                    let message =
                        format!("`{odd}` is not a plain value for `{arg}` of mkfs.{name}");
                    (&value.at, message)
                }
                None => (at, format!("`{arg}` of mkfs.{name} lacks its value")),
            }
        } else if alone.contains(arg) {
            continue;
        } else {
            let known = [alone, with_value].concat().join("`, `");
            let message =
                format!("`{arg}` cannot be given to mkfs.{name} here, expected one of `{known}`");
            (at, message)
        };
        let tip = "write each argument and each value by itself: extraArgs = [\"-L\", \"data\"]";
        reader.problem_with_tip(at, message, tip);
        return Vec::new();
    }
    extra.iter().map(|arg| arg.value.to_owned()).collect()
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
