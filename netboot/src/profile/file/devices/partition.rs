//! One partition of a GPT: its place, its label, its type. Each number as sgdisk would take it from disko, in whole MiB.

use super::content::{self, Inside};
use super::{Draft, Named, plain};
use crate::disk::layout::{Content, Purpose, Slot};
use crate::profile::file::Reader;
use crate::profile::file::tree::{Fields, Found, Outside, Table};

const MIB: u64 = 1 << 20;
/// UTF-16 units of a GPT name (UEFI 2.10 §5.3.3).
const LABEL: usize = 36;

const OUTSIDE: Outside<'_> = &[
    (
        "name",
        "take it out; its name is the one that the table has: partitions.NAME",
    ),
    (
        "device",
        "take it out: partitions are found by their labels",
    ),
    (
        "uuid",
        "take it out; partitions are found by their labels, and each install gives them new numbers",
    ),
    ("attributes", "take it out: no attributes are set"),
    (
        "alignment",
        "take it out: each partition begins and ends on a whole MiB",
    ),
    (
        "hybrid",
        "take it out: there is no hybrid MBR; BIOS machines start by a partition of the type `EF02`",
    ),
];

/// Codes of sgdisk (`sgdisk --list-types`).
const TYPES: [(&str, Purpose); 6] = [
    ("EF00", Purpose::Esp),
    ("EF02", Purpose::BiosBoot),
    ("8300", Purpose::Linux),
    ("8200", Purpose::Swap),
    ("8309", Purpose::Luks),
    ("FD00", Purpose::Raid),
];

/// The partition, and its priority: disko lays those of a smaller one first, and of equal ones by their names.
pub(super) fn read(
    reader: &mut Reader<'_>,
    draft: &mut Draft,
    disk: &str,
    name: &str,
    found: &Found<&Table>,
) -> Option<(i64, Slot)> {
    plain(reader, &found.place, "partition", name);
    let mut fields = Fields::of(found);
    let written_type = fields.text(reader, "type");
    let room = room(reader, &mut fields);
    let label = fields.text(reader, "label");
    let preserve = fields.truth(reader, "preserve").filter(|found| found.value);
    let priority = fields.whole(reader, "priority").map(|found| found.value);
    let content = fields.table(reader, "content");
    let mounted = draft.mounts.len();
    let members = draft.members.len();
    let inner = content
        .as_ref()
        .and_then(|inner| content::read(reader, draft, inner, Inside::Partition));
    for (_, on) in &mut draft.members[members..] {
        disk.clone_into(on);
    }
    fields.done(reader, OUTSIDE);

    let purpose = match &written_type {
        None if matches!(inner, Some(Content::Swap)) => Some(Purpose::Swap),
        None => Some(Purpose::Linux),
        Some(code) => purpose(reader, code),
    };
    if let Some(preserve) = &preserve {
        let mounts: Vec<Named> = draft.mounts[mounted..].to_vec();
        if label.is_none() {
            let tip = format!(
                "add the label that it has or is to have, like label = \"disk-{disk}-{name}\""
            );
            let message = "a partition is preserved by its label, and this one says none";
            reader.wrong(&preserve.place, message).tip = Some(tip);
        }
        may_be_preserved(
            reader,
            &found.place,
            content.is_some(),
            inner.as_ref(),
            &mounts,
        );
    }
    if purpose == Some(Purpose::BiosBoot)
        && let Some(content) = &content
    {
        let message = "GRUB's own partition (type `EF02`) has no `content`";
        reader.wrong(&content.place, message).tip = Some("take `content` out".to_owned());
    }
    let place = label.as_ref().map_or(&found.place, |label| &label.place);
    let text = label.as_ref().map_or_else(
        || format!("disk-{disk}-{name}"),
        |label| label.value.to_owned(),
    );
    check_label(reader, place, &text, label.is_some());
    draft.labels.push(Named {
        name: text.clone(),
        place: place.clone(),
    });
    let is_core = written_type.is_some_and(|code| code.value == "EF02");
    let room = room?;
    let usual = match () {
        () if room.fills => 9001,
        () if is_core => 100,
        () => 1000,
    };
    let slot = Slot {
        name: name.to_owned(),
        label: text,
        purpose: purpose?,
        start: room.start,
        size: room.size,
        leave: room.leave,
        preserve: preserve.is_some(),
        content: inner,
    };
    Some((priority.unwrap_or(usual), slot))
}

fn purpose(reader: &mut Reader<'_>, code: &Found<&str>) -> Option<Purpose> {
    let is = |(known, purpose): &&(&str, Purpose)| {
        code.value == *known || code.value.eq_ignore_ascii_case(purpose.type_guid())
    };
    if let Some((_, purpose)) = TYPES.iter().find(is) {
        return Some(*purpose);
    }
    let known = TYPES.map(|(known, _)| known).join("`, `");
    let message = format!(
        "no partition type `{}` is made here, expected one of `{known}`",
        code.value
    );
    let tip = "take it out: what is in a partition is found by its label, not by its type";
    reader.wrong(&code.place, message).tip = Some(tip.to_owned());
    None
}

/// Where a partition is to lie.
struct Room {
    start: Option<u64>,
    size: Option<u64>,
    leave: u64,
    /// Its size is `100%`.
    fills: bool,
}

fn room(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Room> {
    let (start, size, end) = (
        fields.text(reader, "start"),
        fields.text(reader, "size"),
        fields.text(reader, "end"),
    );
    let start = match start {
        Some(found) if found.value != "0" => {
            let bytes = mebibytes(reader, &found, found.value)?;
            Some(bytes)
        }
        _ => None,
    };
    let (size, leave, fills) = match (size, end) {
        (Some(_), Some(end)) => {
            let tip = "take one of them out";
            reader
                .wrong(&end.place, "has both a `size` and an `end`")
                .tip = Some(tip.to_owned());
            return None;
        }
        (None, None) if !fields.lacks("size") || !fields.lacks("end") => return None,
        (None, None) => {
            let tip = "write size = \"20G\", or size = \"100%\" for all that is left";
            reader
                .wrong(&fields.place, "has neither a `size` nor an `end`")
                .tip = Some(tip.to_owned());
            return None;
        }
        (Some(size), None) if size.value == "100%" => (None, 0, true),
        (Some(size), None) => (Some(mebibytes(reader, &size, size.value)?), 0, false),
        (None, Some(end)) => match (end.value.strip_prefix('+'), end.value.strip_prefix('-')) {
            (Some(size), _) => (Some(mebibytes(reader, &end, size)?), 0, false),
            (_, Some("0")) => (None, 0, false),
            (_, Some(free)) => (None, mebibytes(reader, &end, free)?, false),
            _ => {
                let message = format!(
                    "the end `{}` is a place on the disk, which are not the same size everywhere",
                    end.value
                );
                let tip = "write a `size`, or end = \"-4G\" for what is to stay free at the end of the disk";
                reader.wrong(&end.place, message).tip = Some(tip.to_owned());
                return None;
            }
        },
    };
    Some(Room {
        start,
        size,
        leave,
        fills,
    })
}

/// As disko takes a size (`[0-9]+[KMGTP]?`); numbers without a unit are sectors there.
fn mebibytes(reader: &mut Reader<'_>, found: &Found<&str>, text: &str) -> Option<u64> {
    let (digits, unit) = text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    );
    let shift = match unit {
        "K" => Some(10),
        "M" => Some(20),
        "G" => Some(30),
        "T" => Some(40),
        "P" => Some(50),
        _ => None,
    };
    let number = digits.parse::<u64>().ok();
    let (why, tip) = match (number, shift) {
        (Some(number), Some(shift)) => match number.checked_mul(1 << shift) {
            // A disk's last byte has a number of 63 bits (lseek(2)).
            Some(bytes) if bytes > 0 && bytes % MIB == 0 && bytes < 1 << 63 => return Some(bytes),
            _ => ("is no whole number of MiB", "write it like 512M or 20G"),
        },
        (Some(_), None) if unit == "%" => (
            "is a part of the disk, of which disko knows only `100%`",
            "write it like 20G; one partition of a disk may have size = \"100%\": all that is left",
        ),
        (Some(_), None) if unit.is_empty() => (
            "has no unit: disko takes it for sectors, which are not the same size everywhere",
            "write it like 512M or 20G",
        ),
        _ => ("is not a size", "write it like 512M or 20G"),
    };
    reader.wrong(&found.place, format!("`{text}` {why}")).tip = Some(tip.to_owned());
    None
}

fn check_label(
    reader: &mut Reader<'_>,
    place: &std::ops::Range<usize>,
    label: &str,
    written: bool,
) {
    let units = label.encode_utf16().count();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let (why, tip) = if units > LABEL {
        let tip = match written {
            true => "write a shorter one",
            false => "write a shorter one: label = \"…\"",
        };
        (
            format!("has {units} UTF-16 units, a GPT takes {LABEL}"),
            tip,
        )
    } else if written && (label.is_empty() || !label.chars().all(is_plain)) {
        (
            "is not plain".to_owned(),
            "use letters, digits, `-`, `_` and `.`",
        )
    } else {
        return;
    };
    reader
        .wrong(place, format!("the label `{label}` {why}"))
        .tip = Some(tip.to_owned());
}

/// What the system itself is on is made anew by an install.
fn may_be_preserved(
    reader: &mut Reader<'_>,
    place: &std::ops::Range<usize>,
    is_written: bool,
    content: Option<&Content>,
    mounts: &[Named],
) {
    let tip = "keep what is to stay on a partition of its own, like one on /srv or /home";
    let filesystem = match content {
        Some(Content::Filesystem { .. } | Content::Btrfs { .. }) => true,
        // It has problems of its own.
        None => is_written,
        _ => false,
    };
    if !filesystem {
        let message = "only a partition with a filesystem of its own can be preserved";
        reader.wrong(place, message).tip = Some(tip.to_owned());
    }
    let system = |at: &&Named| {
        at.name == "/"
            || ["/nix", "/boot"].iter().any(|top| {
                let rest = at.name.strip_prefix(top);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '-']))
            })
    };
    if let Some(at) = mounts.iter().find(system) {
        let message = format!(
            "`{}` is made anew by each install, and cannot be preserved",
            at.name
        );
        reader.wrong(place, message).tip = Some(tip.to_owned());
    }
}
