//! One partition of a GPT: its place, its label, its type. Each number as sgdisk would take it from disko, in whole MiB.

use super::content::{self, ContentContext};
use super::{DiskoOnly, UnfinishedLayout, finish, plain};
use crate::base::size::{number_and_unit, parse_size};
use crate::base::toml_reader::{Placed, Reader, Section};
use crate::disk::layout::{Content, LayoutPartition, Purpose};

const MIB: u64 = 1 << 20;
/// UTF-16 units of a GPT name (UEFI 2.10 §5.3.3).
const LABEL: usize = 36;
/// A disk's last byte has a number of 63 bits (lseek(2)).
const LARGEST: u64 = 1 << 63;

const OUTSIDE: DiskoOnly = &[
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
    layout: &mut UnfinishedLayout,
    disk: &str,
    name: &Placed<&str>,
    mut section: Section<'_>,
) -> Option<(i64, LayoutPartition)> {
    plain(reader, name, "partition");
    let code = section.text(reader, "type");
    let extent = extent(reader, &mut section);
    let label = label(reader, &mut section, disk, name);
    layout.labels.push(label.clone());
    let preserve = section.flag(reader, "preserve");
    let priority = section.integer(reader, "priority");
    let content = section.table(reader, "content");
    let content_at = content.as_ref().map(Section::at);
    let content = content
        .and_then(|inner| content::read(reader, layout, inner, ContentContext::Partition { disk }));
    finish(reader, &mut section, OUTSIDE);

    let purpose = purpose(reader, code.as_ref(), content.as_ref());
    let preserve = preserve.filter(|preserve| preserve.value);
    if let Some(preserve) = &preserve {
        if !section.has("label") {
            let tip = format!(
                "add the label that it has or is to have, like label = \"{}\"",
                label.value
            );
            let message = "a partition is preserved by its label, and this one says none";
            reader.problem_with_tip(&preserve.at, message, tip);
        }
        // What could not be read has problems of its own.
        if content.is_some() || content_at.is_none() {
            may_be_preserved(reader, name, content.as_ref());
        }
    }
    if let (Some(Purpose::BiosBoot), Some(at)) = (purpose, &content_at) {
        let message = "GRUB's own partition (type `EF02`) has no `content`";
        reader.problem_with_tip(at, message, "take `content` out");
    }
    let (purpose, extent) = (purpose?, extent?);
    let usual = match purpose {
        _ if extent.fills => 9001,
        Purpose::BiosBoot if code.is_some_and(|code| code.value == "EF02") => 100,
        _ => 1000,
    };
    let slot = LayoutPartition {
        name: name.value.to_owned(),
        label: label.value,
        purpose,
        start: extent.start,
        size: extent.size,
        leave: extent.leave,
        preserve: preserve.is_some(),
        content,
    };
    Some((priority.map_or(usual, |found| found.value), slot))
}

/// By its `type`; without one by what it holds.
fn purpose(
    reader: &mut Reader<'_>,
    code: Option<&Placed<&str>>,
    content: Option<&Content>,
) -> Option<Purpose> {
    let Some(code) = code else {
        return Some(match content {
            Some(Content::Swap) => Purpose::Swap,
            _ => Purpose::Linux,
        });
    };
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
    reader.problem_with_tip(&code.at, message, tip);
    None
}

/// Where on the disk a partition is to lie.
struct Extent {
    start: Option<u64>,
    size: Option<u64>,
    leave: u64,
    /// Its size is `100%`.
    fills: bool,
}

fn extent(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Option<Extent> {
    let start = section.text(reader, "start");
    let size = section.text(reader, "size");
    let end = section.text(reader, "end");
    let start = match start.filter(|start| start.value != "0") {
        Some(start) => Some(mebibytes(reader, &start, start.value)?),
        None => None,
    };
    let (size, leave, fills) = match (size, end) {
        (Some(_), Some(end)) => {
            let tip = "take one of them out";
            reader.problem_with_tip(&end.at, "has both a `size` and an `end`", tip);
            return None;
        }
        (Some(size), None) if size.value == "100%" => (None, 0, true),
        (Some(size), None) => (Some(mebibytes(reader, &size, size.value)?), 0, false),
        (None, Some(end)) => match end.value.split_at_checked(1) {
            Some(("+", size)) => (Some(mebibytes(reader, &end, size)?), 0, false),
            Some(("-", "0")) => (None, 0, false),
            Some(("-", free)) => (None, mebibytes(reader, &end, free)?, false),
            _ => {
                let message = format!(
                    "the end `{}` is a place on the disk, which is not the same size everywhere",
                    end.value
                );
                let tip = "write a `size`, or end = \"-4G\" for what is to stay free at the end of the disk";
                reader.problem_with_tip(&end.at, message, tip);
                return None;
            }
        },
        (None, None) => {
            if !section.has("size") && !section.has("end") {
                let tip = "write size = \"20G\", or size = \"100%\" for all that is left";
                let message = "has neither a `size` nor an `end`";
                reader.problem_with_tip(&section.at(), message, tip);
            }
            return None;
        }
    };
    Some(Extent {
        start,
        size,
        leave,
        fills,
    })
}

/// As disko takes a size (`[0-9]+[KMGTP]?`); numbers without a unit are sectors there. `text`: the part of `written` that
/// is the size.
fn mebibytes(reader: &mut Reader<'_>, written: &Placed<&str>, text: &str) -> Option<u64> {
    let bytes = parse_size(text);
    let (why, tip) = match number_and_unit(text) {
        Some((_, "K" | "M" | "G" | "T" | "P")) => match bytes {
            Some(bytes) if bytes > 0 && bytes % MIB == 0 && bytes < LARGEST => return Some(bytes),
            _ => ("is not a whole number of MiB", "write it like 512M or 20G"),
        },
        Some((_, "%")) => (
            "is a percentage, and disko takes only `100%`",
            "write it like 20G; one partition of a disk may have size = \"100%\": all that is left",
        ),
        Some((_, "")) => (
            "has no unit: disko takes it for sectors, which are not the same size everywhere",
            "write it like 512M or 20G",
        ),
        _ => ("is not a size", "write it like 512M or 20G"),
    };
    reader.problem_with_tip(&written.at, format!("`{text}` {why}"), tip);
    None
}

/// The GPT name: that which is written, or disko's.
fn label(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    disk: &str,
    name: &Placed<&str>,
) -> Placed<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let written = section.text(reader, "label");
    let label = match &written {
        Some(label) => super::owned(label),
        None => Placed {
            value: format!("disk-{disk}-{}", name.value),
            at: name.at.clone(),
        },
    };
    let text = &label.value;
    let units = text.encode_utf16().count();
    if units > LABEL {
        let tip = match written {
            Some(_) => "write a shorter one",
            None => "write a shorter one: label = \"…\"",
        };
        let message = format!("the label `{text}` has {units} UTF-16 units, a GPT takes {LABEL}");
        reader.problem_with_tip(&label.at, message, tip);
    } else if written.is_some() && (text.is_empty() || !text.chars().all(is_plain)) {
        let message = format!("the label `{text}` is not plain");
        let tip = "use letters, digits, `-`, `_` and `.`";
        reader.problem_with_tip(&label.at, message, tip);
    }
    label
}

/// What the system itself is on is made anew by an install.
fn may_be_preserved(reader: &mut Reader<'_>, name: &Placed<&str>, content: Option<&Content>) {
    let tip = "keep what is to stay on a partition of its own, like one on /srv or /home";
    let Some(content @ (Content::Filesystem { .. } | Content::Btrfs { .. })) = content else {
        let message = "only a partition with a filesystem of its own can be preserved";
        reader.problem_with_tip(&name.at, message, tip);
        return;
    };
    let is_system = |at: &&str| {
        *at == "/"
            || ["/nix", "/boot"].iter().any(|top| {
                let rest = at.strip_prefix(top);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '-']))
            })
    };
    if let Some(at) = content.mountpoints().into_iter().find(is_system) {
        let message = format!("`{at}` is made anew by each install, and cannot be preserved");
        reader.problem_with_tip(&name.at, message, tip);
    }
}
