//! Hardware, profile and release → what will be done to this machine's disks, or why nothing will.

use serde::{Deserialize, Serialize};

use crate::hardware::{Disk, Firmware, Hardware, Holding};
use crate::layout::{Filesystem, Purpose, Slot};
use crate::machine::Release;
use crate::name::{HostName, SystemName};
use crate::profile::{Profile, Role, Select};
use crate::refusal::{Code, Refusal};
use crate::store_path::StorePath;

const MIB: u64 = 1 << 20;

/// What the agent will do: this or nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub host_name: HostName,
    pub firmware: Firmware,
    pub disk: PlannedDisk,
    /// What is on the disk now and will be gone, in words.
    pub destroys: Vec<String>,
    pub partitions: Vec<Partition>,
    pub release: PlannedRelease,
    pub cache: Cache,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub k3s: Option<K3s>,
}

/// The one disk that may be written to, by everything it says of itself. The agent compares all of it
/// before it writes: the kernel's names change from boot to boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedDisk {
    pub node: String,
    pub size: u64,
    pub sector: u32,
    pub model: String,
    pub serial: String,
    pub wwn: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    /// From 1, the place in the GPT.
    pub number: u32,
    pub label: String,
    pub purpose: Purpose,
    /// Bytes from the beginning of the disk, a multiple of 1 MiB.
    pub start: u64,
    /// Bytes, a multiple of 1 MiB.
    pub size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filesystem: Option<Filesystem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mountpoint: Option<String>,
}

/// What goes onto the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedRelease {
    pub system: SystemName,
    pub number: u32,
    pub toplevel: StorePath,
    /// Bytes of all NARs of the closure, unpacked.
    pub closure_size: u64,
}

/// Where from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cache {
    /// `http://10.77.0.1:8080/cache`
    pub url: String,
    /// `name:base64`, the only key the agent trusts.
    pub public_key: String,
}

/// The cluster part of an install; its secrets come sealed, later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct K3s {
    pub role: Role,
    /// `https://10.77.0.10:6443`; nothing for the first server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
}

/// What a plan is made of besides the hardware.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    pub host_name: &'a HostName,
    pub profile: &'a Profile,
    pub release: &'a Release,
    pub cache: &'a Cache,
    /// The API server that agents and further servers join.
    pub k3s_server: Option<&'a str>,
}

/// Makes the plan, or refuses with the disks it saw and the line to write. Nothing is opened, nothing is
/// written: a plan is only data.
pub fn plan(hardware: &Hardware, order: &Order<'_>) -> Result<Plan, Refusal> {
    let profile = order.profile;
    if hardware.arch != profile.arch {
        return Err(Refusal::new(
            Code::PlanRefused,
            format!(
                "profile `{}` is for {}, this machine is {}",
                profile.name, profile.arch, hardware.arch
            ),
        ));
    }
    let disk = choose(&hardware.disks, profile)?;
    let slots = profile.layout.slots(hardware.firmware);
    crate::span::check(&hardware.disks, &[&disk.node])?;
    same_labels_elsewhere(&hardware.disks, disk, &slots)?;
    let partitions = partitions(disk, &slots, order.release.closure_size)?;
    Ok(Plan {
        host_name: order.host_name.clone(),
        firmware: hardware.firmware,
        disk: PlannedDisk::from(disk),
        destroys: disk.holds.iter().map(Holding::words).collect(),
        partitions,
        release: PlannedRelease {
            system: order.release.system.clone(),
            number: order.release.number,
            toplevel: order.release.toplevel.clone(),
            closure_size: order.release.closure_size,
        },
        cache: order.cache.clone(),
        k3s: profile.role.map(|role| K3s {
            role,
            server: order
                .k3s_server
                .filter(|_| role != Role::ServerInit)
                .map(str::to_owned),
        }),
    })
}

impl From<&Disk> for PlannedDisk {
    fn from(disk: &Disk) -> Self {
        Self {
            node: disk.node.clone(),
            size: disk.size,
            sector: disk.sector,
            model: disk.model.clone(),
            serial: disk.serial.clone(),
            wwn: disk.wwn.clone(),
        }
    }
}

/// Exactly one disk, or a refusal that lists what there was to choose from.
fn choose<'a>(disks: &'a [Disk], profile: &Profile) -> Result<&'a Disk, Refusal> {
    let select = &profile.select;
    let mut fitting: Vec<&Disk> = disks.iter().filter(|disk| select.fits(disk)).collect();
    let extreme = match (select.smallest, select.largest) {
        (true, _) => fitting.iter().map(|d| d.size).min(),
        (_, true) => fitting.iter().map(|d| d.size).max(),
        _ => None,
    };
    fitting.retain(|disk| extreme.is_none_or(|size| disk.size == size));
    let no = |message: String| {
        let refusal = Refusal::new(Code::PlanRefused, message);
        let listed = disks.iter().map(|disk| format!("disk {}", disk.words()));
        listed
            .fold(refusal, Refusal::fact)
            .fact("nothing was written")
    };
    let tip = |disk: &Disk| format!("in {}: [disk] select = {}", profile.file, disk.selector());
    match fitting.as_slice() {
        [disk] => Ok(disk),
        [] => {
            let refusal = no(format!(
                "no disk matches `select` of profile `{}`",
                profile.name
            ));
            Err(disks
                .iter()
                .filter(|d| d.may_be_chosen())
                .map(tip)
                .fold(refusal, Refusal::tip))
        }
        several => {
            let message = format!(
                "{} disks match `select` of profile `{}`",
                several.len(),
                profile.name
            );
            Err(several
                .iter()
                .map(|disk| tip(disk))
                .fold(no(message), Refusal::tip))
        }
    }
}

impl Select {
    fn fits(&self, disk: &Disk) -> bool {
        let same = |wanted: &Option<String>, has: &str| wanted.as_deref().is_none_or(|w| w == has);
        // A disk that can be pulled out is meant only when it is named.
        let named = self.by_id.is_some() || self.serial.is_some() || self.wwn.is_some();
        let usb = self.bus.as_deref() == Some("usb");
        (disk.may_be_chosen() || (!disk.read_only && (named || usb)))
            && self
                .by_id
                .as_ref()
                .is_none_or(|id| disk.by_id.iter().any(|link| link == by_id_name(id)))
            && same(&self.serial, &disk.serial)
            && same(&self.wwn, &disk.wwn)
            && same(&self.model, &disk.model)
            && same(&self.bus, &disk.bus)
            && self.min_size.is_none_or(|size| disk.size >= size)
            && self.max_size.is_none_or(|size| disk.size <= size)
    }
}

/// People paste the whole path.
fn by_id_name(id: &str) -> &str {
    id.strip_prefix("/dev/disk/by-id/").unwrap_or(id)
}

impl Disk {
    fn may_be_chosen(&self) -> bool {
        !self.removable && !self.read_only && !self.boot_medium && self.bus != "usb"
    }

    /// The table that selects this disk and no other.
    fn selector(&self) -> String {
        match (&self.serial, self.by_id.first()) {
            (serial, _) if !serial.is_empty() => format!("{{ serial = {serial:?} }}"),
            (_, Some(id)) => format!("{{ by-id = {id:?} }}"),
            _ => format!("{{ min-size = \"{0}\", max-size = \"{0}\" }}", self.size),
        }
    }

    /// For a person: `vda: 32.0 GiB virtio, serial root, holds ext4 "data"`.
    pub fn words(&self) -> String {
        let mut words = format!("{}: {}", self.node, size_words(self.size));
        for word in [&self.bus, &self.model] {
            if !word.is_empty() {
                words.push(' ');
                words.push_str(word);
            }
        }
        if !self.serial.is_empty() {
            words.push_str(&format!(", serial {}", self.serial));
        }
        for (flag, word) in [
            (self.removable, "removable"),
            (self.read_only, "read-only"),
            (self.boot_medium, "the medium it booted from"),
        ] {
            if flag {
                words.push_str(&format!(", {word}"));
            }
        }
        let holds: Vec<String> = self.holds.iter().map(Holding::words).collect();
        if holds.is_empty() {
            words.push_str(", empty");
        } else {
            words.push_str(&format!(", holds {}", holds.join("; ")));
        }
        words
    }
}

impl Holding {
    /// For a person: `vda2: ext4 "root", 31.5 GiB`.
    pub fn words(&self) -> String {
        let kind = if self.kind.is_empty() {
            "nothing known"
        } else {
            &self.kind
        };
        let label = if self.label.is_empty() {
            &self.partition_label
        } else {
            &self.label
        };
        let label = if label.is_empty() {
            String::new()
        } else {
            format!(" {label:?}")
        };
        // An array's name is its label.
        let group = match &self.member_of {
            Some(group) if label.is_empty() && self.kind != "btrfs" => {
                format!(" of `{}`", group.name)
            }
            _ => label,
        };
        format!("{}: {kind}{group}, {}", self.node, size_words(self.size))
    }
}

/// `31.5 GiB`
pub fn size_words(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut tenths = u128::from(bytes) * 10;
    let mut unit = "B";
    for bigger in units {
        if tenths < 10_240 {
            break;
        }
        tenths /= 1024;
        unit = bigger;
    }
    match unit {
        "B" => format!("{bytes} B"),
        _ => format!("{}.{} {unit}", tenths / 10, tenths % 10),
    }
}

/// The system mounts by partition label, and of two equal ones it may take the wrong (disko#551).
fn same_labels_elsewhere(disks: &[Disk], chosen: &Disk, slots: &[Slot]) -> Result<(), Refusal> {
    let others = disks.iter().filter(|disk| disk.node != chosen.node);
    let mut clashing = others
        .flat_map(|disk| disk.holds.iter().map(move |held| (disk, held)))
        .filter(|(_, held)| slots.iter().any(|slot| slot.label == held.partition_label));
    match clashing.next() {
        None => Ok(()),
        Some((disk, held)) => Err(Refusal::new(
            Code::PlanRefused,
            format!(
                "another disk has a partition labelled `{}`",
                held.partition_label
            ),
        )
        .fact(format!("disk {}", disk.words()))
        .fact("the installed system finds its partitions by label, and could mount that one")
        .fact("nothing was written")
        .tip(format!(
            "give it another label: sfdisk --part-label /dev/{} N NAME",
            disk.node
        ))),
    }
}

/// Lays the slots out in order, each on a whole MiB, the last up to where the backup GPT begins.
fn partitions(disk: &Disk, slots: &[Slot], closure_size: u64) -> Result<Vec<Partition>, Refusal> {
    let end = disk.size / MIB * MIB;
    let end = end.saturating_sub(MIB);
    let fixed: u64 = slots.iter().filter_map(|slot| slot.size).sum();
    // The closure, as much again for the next generation, and what a system writes from its first day.
    let least = MIB + fixed + closure_size.saturating_mul(2).saturating_add(512 * MIB);
    if end < least {
        return Err(Refusal::new(
            Code::PlanRefused,
            "the chosen disk is too small for this system",
        )
        .fact(format!("disk {}", disk.words()))
        .fact(format!("needed: {}", size_words(least + MIB)))
        .fact("nothing was written"));
    }
    let mut start = MIB;
    let laid = slots.iter().zip(1..).map(|(slot, number)| {
        let size = slot.size.unwrap_or(end - start);
        let partition = Partition {
            number,
            label: slot.label.to_owned(),
            purpose: slot.purpose,
            start,
            size,
            filesystem: slot.filesystem,
            mountpoint: slot.mountpoint.map(str::to_owned),
        };
        start += size;
        partition
    });
    Ok(laid.collect())
}

#[cfg(test)]
mod tests;
