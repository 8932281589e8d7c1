//! `[disk] select` and `keep`: which disks a table means.

use crate::base::size::size_words;
use crate::disk::hardware::{Disk, DiskBus};

/// Which disk is meant. Everything said must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Select {
    pub by_id: Option<String>,
    pub serial: Option<String>,
    pub wwn: Option<String>,
    pub model: Option<String>,
    pub bus: Option<DiskBus>,
    /// Bytes.
    pub min_size: Option<u64>,
    /// Bytes.
    pub max_size: Option<u64>,
    pub smallest: bool,
    pub largest: bool,
    pub not_removable: bool,
}

impl Select {
    /// Whether it says which disk it is, and not only of what kind.
    pub fn names_a_disk(&self) -> bool {
        self.by_id.is_some() || self.serial.is_some() || self.wwn.is_some()
    }

    /// The disks that fit, or the `count` smallest or largest of them if the table says so, with all that tie for the last
    /// place.
    pub(crate) fn among<'a>(&self, disks: Vec<&'a Disk>, count: usize) -> Vec<&'a Disk> {
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

    /// Why this table does not select the disk: it contradicts what is wanted, or it is one that must be named.
    pub(crate) fn misfit(&self, disk: &Disk) -> Option<String> {
        if disk.read_only {
            return Some("is read-only".to_owned());
        }
        // A removable disk is selected only if it is named.
        let named = self.names_a_disk();
        let bus = matches!(self.bus, Some(DiskBus::Usb | DiskBus::Mmc)) && !disk.boot_medium;
        let unnamed = disk.why_unnamed_not().filter(|_| !named && !bus);
        self.contradiction(disk, is_model)
            .or_else(|| unnamed.map(|why| format!("{why}, and `select` does not name it")))
    }

    /// The table as it is written in a profile.
    pub(crate) fn table(&self) -> String {
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
            text("bus", &self.bus.as_ref().map(DiskBus::to_string)),
            size("min-size", self.min_size),
            size("max-size", self.max_size),
            flag("smallest", self.smallest),
            flag("largest", self.largest),
            flag("not-removable", self.not_removable),
        ];
        let all: Vec<String> = all.into_iter().flatten().collect();
        format!("{{ {} }}", all.join(", "))
    }

    /// Whether this table, as a `keep`, means the disk. In doubt it does.
    pub(crate) fn keeps(&self, disk: &Disk) -> bool {
        self.contradiction(disk, is_like_model).is_none()
    }

    /// The first key of the table that the disk contradicts, as the end of a sentence that begins with the disk.
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
        let other_bus = self.bus.as_ref().filter(|bus| **bus != disk.bus);
        let small = self.min_size.filter(|size| disk.size < *size);
        let large = self.max_size.filter(|size| disk.size > *size);
        let has = size_words(disk.size);
        other_id
            .or_else(|| differs("serial", &self.serial, &disk.serial, str::eq))
            .or_else(|| differs("wwn", &self.wwn, &disk.wwn, is_wwn))
            .or_else(|| other_model.map(|model| format!("its model is not `{model}`")))
            .or_else(|| other_bus.map(|bus| format!("its bus is not `{bus}`")))
            .or_else(|| small.map(|_| format!("has {has}, less than `min-size`")))
            .or_else(|| large.map(|_| format!("has {has}, more than `max-size`")))
            .or_else(|| (self.not_removable && disk.removable).then(|| "is removable".to_owned()))
    }

    /// The table that selects this one of all the disks and no other, if there is such a table.
    pub(crate) fn naming(one: &Disk, all: &[Disk]) -> Option<Self> {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let size = Some(one.size);
        // Other removable disks are candidates only if they are named, at least by their bus.
        let bus = match one.bus {
            DiskBus::Usb | DiskBus::Mmc => Some(one.bus.clone()),
            DiskBus::Unknown
            | DiskBus::Virtio
            | DiskBus::Nvme
            | DiskBus::Sata
            | DiskBus::Scsi
            | DiskBus::Other(_) => None,
        };
        let ways = [
            Self {
                serial: text(&one.serial),
                ..Self::default()
            },
            Self {
                by_id: one.by_id.first().cloned(),
                ..Self::default()
            },
            Self {
                wwn: text(&one.wwn),
                ..Self::default()
            },
            Self {
                bus,
                min_size: size,
                max_size: size,
                ..Self::default()
            },
        ];
        let is_alone = |way: &Self| {
            let mut fitting = all.iter().filter(|disk| way.misfit(disk).is_none());
            fitting.next().is_some_and(|disk| disk.node == one.node) && fitting.next().is_none()
        };
        let said = |way: &Self| *way != Self::default();
        ways.into_iter().find(|way| said(way) && is_alone(way))
    }
}

/// Whether the model that is written in a profile means that of the disk.
type IsModel = fn(&str, &Disk) -> bool;

/// Whether the profile's model is the disk's. The kernel has only the first 16 characters of the model of a disk that
/// speaks SCSI or SATA, and without a blank at their end, so 15 at least. `lsblk` prints the whole, which for SATA is in
/// the disk's links as well.
fn is_model(written: &str, disk: &Disk) -> bool {
    let (written, has) = (normalized_model(written), normalized_model(&disk.model));
    let begins = |whole: &str, part: &str| {
        let rest = whole.strip_prefix(part);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    if written == has {
        return !has.is_empty();
    }
    let speaks_scsi = match disk.bus {
        DiskBus::Sata | DiskBus::Scsi | DiskBus::Usb => true,
        DiskBus::Unknown | DiskBus::Virtio | DiskBus::Nvme | DiskBus::Mmc | DiskBus::Other(_) => {
            false
        }
    };
    let is_cut = speaks_scsi && has.len() >= 15;
    let mut links = disk
        .by_id
        .iter()
        .filter_map(|link| link.strip_prefix("ata-"));
    let whole = links.next().map(normalized_model);
    is_cut && written.starts_with(&has) && whole.is_none_or(|whole| begins(&whole, &written))
}

/// Whether the models are equal or one begins with the other: one `keep` may stand for all disks of a kind.
fn is_like_model(written: &str, disk: &Disk) -> bool {
    let (written, has) = (normalized_model(written), normalized_model(&disk.model));
    !written.is_empty()
        && !has.is_empty()
        && (written.starts_with(&has) || has.starts_with(&written))
}

/// A model without the differences between `lsblk`, udev and the kernel: blanks, underscores in their place, capitals.
fn normalized_model(model: &str) -> String {
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

/// The link without its folder: people paste the whole path.
fn by_id_name(id: &str) -> &str {
    id.strip_prefix("/dev/disk/by-id/").unwrap_or(id)
}
