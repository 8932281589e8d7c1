//! Which disks are meant: exactly as many as the layout has, or a refusal that lists what there was and the line to write.

use super::{Fate, SeenDisk, size_words};
use crate::base::refusal::{Code, Refusal};
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
        return Err(Refusal::new(Code::PlanRefused, message)
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
        // The kernel's order is another at each boot.
        found.sort_by_key(|disk| (&disk.serial, &disk.wwn, &disk.by_id, &disk.node));
        chosen.extend(found);
    }
    let seen = disks.iter().map(|disk| {
        let (fate, why) = fate(disk, &chosen, profile, devices);
        let disk = disk.clone();
        SeenDisk { disk, fate, why }
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

fn fate(disk: &Disk, chosen: &[&Disk], profile: &Profile, devices: &Devices) -> (Fate, String) {
    if let Some(place) = chosen.iter().position(|taken| taken.node == disk.node) {
        let name = devices.disks.get(place).map_or("", |disk| &disk.name);
        return (Fate::Written, format!("chosen by `select` for `{name}`"));
    }
    if is_kept(disk, profile) {
        return (Fate::Kept, "named by `keep`".to_owned());
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
    (Fate::Left, why)
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
    let refusal = Refusal::new(Code::PlanRefused, message);
    let listed = disks.iter().map(|disk| {
        let kept = is_kept(disk, profile);
        let kept = if kept { ", named by `keep`" } else { "" };
        format!("disk {}{kept}", disk.words())
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
        // On USB, or cards: only if they are meant.
        choosable = disks.iter().filter(may).collect();
    }
    if count > 1 && choosable.len() < count {
        return refusal.tip("put another disk in, or choose a layout of one disk");
    }
    let lines = choosable.iter().filter_map(|disk| disk.selector(disks));
    let lines: Vec<String> = lines.collect();
    if lines.len() < count && !choosable.is_empty() {
        return refusal
            .tip("nothing these disks say tells them apart: take those out that are not meant");
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

impl Select {
    /// Those that fit, and of these the `count` smallest or largest if that is said. All that tie are among them.
    fn among<'a>(&self, disks: Vec<&'a Disk>, count: usize) -> Vec<&'a Disk> {
        let fit = |disk: &&Disk| self.misfit(disk).is_none();
        let mut fitting: Vec<&Disk> = disks.into_iter().filter(fit).collect();
        if self.smallest {
            fitting.sort_by_key(|disk| disk.size);
        } else if self.largest {
            fitting.sort_by_key(|disk| std::cmp::Reverse(disk.size));
        } else {
            return fitting;
        }
        if let Some(last) = fitting.get(count.saturating_sub(1)).map(|disk| disk.size) {
            let ties = |disk: &Disk| disk.size == last;
            let until = fitting.iter().rposition(|disk| ties(disk));
            fitting.truncate(until.map_or(0, |place| place + 1));
        }
        fitting
    }

    /// Why it is not this disk: what it says of itself is not what is wanted, or it is one that must be named.
    fn misfit(&self, disk: &Disk) -> Option<String> {
        if disk.read_only {
            return Some("is read-only".to_owned());
        }
        // What can be pulled out is meant only if it is named.
        let named = self.names_a_disk();
        let bus = matches!(self.bus.as_deref(), Some("usb" | "mmc")) && !disk.boot_medium;
        let unnamed = disk.why_unnamed_not().filter(|_| !named && !bus);
        self.contradiction(disk, is_model)
            .or_else(|| unnamed.map(|why| format!("{why}, and `select` does not name it")))
    }

    /// As it is written in a profile.
    fn table(&self) -> String {
        let text = |key: &str, value: &Option<String>| {
            let value = value.as_ref()?;
            Some(format!("{key} = {value:?}"))
        };
        let size = |key: &str, value: Option<u64>| Some(format!("{key} = \"{}\"", value?));
        let flag = |key: &str, on: bool| on.then(|| format!("{key} = true"));
        let all = [
            text("by-id", &self.by_id),
            text("serial", &self.serial),
            text("wwn", &self.wwn),
            text("model", &self.model),
            text("bus", &self.bus),
            size("min-size", self.min_size),
            size("max-size", self.max_size),
            flag("smallest", self.smallest),
            flag("largest", self.largest),
            flag("not-removable", self.not_removable),
        ];
        let all: Vec<String> = all.into_iter().flatten().collect();
        format!("{{ {} }}", all.join(", "))
    }

    /// Whether it is this disk, if what is said names a disk to keep: rather one too many than one too few.
    fn keeps(&self, disk: &Disk) -> bool {
        self.contradiction(disk, is_like_model).is_none()
    }

    /// The first thing said of which the disk is the contrary.
    fn contradiction(&self, disk: &Disk, is_model: IsModel) -> Option<String> {
        let differs =
            |key: &str, wanted: &Option<String>, has: &str, same: fn(&str, &str) -> bool| {
                let wanted = wanted.as_deref().filter(|wanted| !same(wanted, has))?;
                Some(format!("its {key} is not `{wanted}`"))
            };
        let other_model = self.model.as_deref();
        let other_model = other_model.filter(|model| !is_model(model, disk));
        let other_id = self
            .by_id
            .as_ref()
            .filter(|id| !disk.by_id.iter().any(|link| link == by_id_name(id)))
            .map(|id| format!("is not `{id}`"));
        let small = self.min_size.filter(|size| disk.size < *size);
        let large = self.max_size.filter(|size| disk.size > *size);
        let has = size_words(disk.size);
        other_id
            .or_else(|| differs("serial", &self.serial, &disk.serial, str::eq))
            .or_else(|| differs("wwn", &self.wwn, &disk.wwn, is_wwn))
            .or_else(|| other_model.map(|model| format!("its model is not `{model}`")))
            .or_else(|| differs("bus", &self.bus, &disk.bus, str::eq))
            .or_else(|| small.map(|_| format!("has {has}, less than `min-size`")))
            .or_else(|| large.map(|_| format!("has {has}, more than `max-size`")))
            .or_else(|| (self.not_removable && disk.removable).then(|| "is removable".to_owned()))
    }
}

/// Whether what is written means the model that the disk says.
type IsModel = fn(&str, &Disk) -> bool;

/// Of a disk that speaks SCSI or SATA the kernel tells the first 16 characters, with nothing said by the last of them if that
/// is a blank. `lsblk` prints all, which for SATA is in the disk's links as well.
fn is_model(written: &str, disk: &Disk) -> bool {
    let (written, has) = (plain(written), plain(&disk.model));
    let begins = |whole: &str, part: &str| {
        let rest = whole.strip_prefix(part);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    if written == has {
        return !has.is_empty();
    }
    let is_cut = ["sata", "scsi", "usb"].contains(&disk.bus.as_str()) && has.len() >= 15;
    let mut links = disk
        .by_id
        .iter()
        .filter_map(|link| link.strip_prefix("ata-"));
    let whole = links.next().map(plain);
    is_cut && written.starts_with(&has) && whole.is_none_or(|whole| begins(&whole, &written))
}

/// The same, or a part of the name: one `keep` for all disks of a kind.
fn is_like_model(written: &str, disk: &Disk) -> bool {
    let (written, has) = (plain(written), plain(&disk.model));
    !written.is_empty()
        && !has.is_empty()
        && (written.starts_with(&has) || has.starts_with(&written))
}

/// Without what `lsblk`, udev and the kernel write differently: blanks, underscores for them, capitals.
fn plain(model: &str) -> String {
    let words = model.split(|c: char| c == '_' || c.is_whitespace());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ").to_ascii_lowercase()
}

/// `0x5000c500a1b2c3d4` of `lsblk`, `wwn-0x…` of `/dev/disk/by-id` and `naa.…` of sysfs are one number.
fn is_wwn(written: &str, has: &str) -> bool {
    let digits = |text: &str| {
        let text = text.trim().to_ascii_lowercase();
        let text = text.strip_prefix("wwn-").unwrap_or(&text);
        let kinds = ["0x", "naa.", "eui."];
        let bare = kinds.iter().find_map(|kind| text.strip_prefix(kind));
        bare.unwrap_or(text).to_owned()
    };
    digits(written) == digits(has)
}

/// People paste the whole path.
fn by_id_name(id: &str) -> &str {
    id.strip_prefix("/dev/disk/by-id/").unwrap_or(id)
}

impl Disk {
    /// Why it is no candidate unless it is named.
    pub(super) fn why_unnamed_not(&self) -> Option<&'static str> {
        if self.read_only {
            Some("is read-only")
        } else if self.boot_medium {
            Some("is the medium it booted from")
        } else if self.removable {
            Some("is removable")
        } else if self.bus == "usb" {
            Some("is on USB")
        } else {
            None
        }
    }

    /// The table that selects this one of all the disks and no other, if there is such a table.
    fn selector(&self, all: &[Self]) -> Option<String> {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let size = Some(self.size);
        // Other disks that can be pulled out are no candidates unless they are named, by their bus at least.
        let bus = ["usb", "mmc"].iter().find(|bus| **bus == self.bus);
        let bus = bus.map(|bus| (*bus).to_owned());
        let ways = [
            Select {
                serial: text(&self.serial),
                ..Select::default()
            },
            Select {
                by_id: self.by_id.first().cloned(),
                ..Select::default()
            },
            Select {
                wwn: text(&self.wwn),
                ..Select::default()
            },
            Select {
                bus,
                min_size: size,
                max_size: size,
                ..Select::default()
            },
        ];
        let is_alone = |way: &&Select| {
            let mut fitting = all.iter().filter(|disk| way.misfit(disk).is_none());
            fitting.next().is_some_and(|disk| disk.node == self.node) && fitting.next().is_none()
        };
        let said = |way: &&Select| **way != Select::default();
        ways.iter().filter(said).find(is_alone).map(Select::table)
    }
}
