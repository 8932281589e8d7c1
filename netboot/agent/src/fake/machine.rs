//! The disks of the test machine: a sysfs of folders and files.

use std::fs;
use std::os::unix::fs::symlink;

use super::FakeMachine;
use crate::disk_facts::SYSFS_SECTOR;

#[derive(Debug, Clone, Copy)]
pub(crate) struct DiskSpec {
    pub name: &'static str,
    pub size: u64,
    pub serial: &'static str,
    pub model: &'static str,
    pub wwid: &'static str,
    pub sector: u32,
    /// Its place under `/sys/devices`.
    pub bus: &'static str,
    pub removable: bool,
    pub read_only: bool,
}

impl DiskSpec {
    pub(crate) fn virtio(name: &'static str, size: u64, serial: &'static str) -> Self {
        Self {
            name,
            size,
            serial,
            model: "",
            wwid: "",
            sector: 512,
            bus: "pci0000:00/0000:00:03.0/virtio0",
            removable: false,
            read_only: false,
        }
    }
}

impl FakeMachine {
    pub(crate) fn add_disk(&mut self, disk: &DiskSpec) {
        let DiskSpec { name, .. } = *disk;
        let folder = format!("sys/devices/{}/block/{name}", disk.bus);
        let flag = |on: bool| u8::from(on).to_string();
        for (file, text) in [
            ("size", (disk.size / SYSFS_SECTOR).to_string()),
            ("queue/logical_block_size", disk.sector.to_string()),
            ("serial", disk.serial.to_owned()),
            ("wwid", disk.wwid.to_owned()),
            ("device/model", format!("{}    ", disk.model)),
            ("removable", flag(disk.removable)),
            ("ro", flag(disk.read_only)),
        ] {
            self.write(&format!("{folder}/{file}"), &format!("{text}\n"));
        }
        self.appear(name, &folder);
        let link = self.base().join("sys/block").join(name);
        fs::create_dir_all(link.parent().expect("a folder")).expect("makes");
        symlink(self.base().join(folder), link).expect("links");
    }

    /// Start and size in sectors of 512.
    pub(crate) fn add_partition(
        &mut self,
        disk: &str,
        number: u32,
        start: u64,
        size: u64,
        label: &str,
    ) {
        let digit = disk.ends_with(|c: char| c.is_ascii_digit());
        let name = format!("{disk}{}{number}", if digit { "p" } else { "" });
        let disk = fs::canonicalize(self.base().join("sys/block").join(disk)).expect("the disk");
        let folder = disk
            .strip_prefix(fs::canonicalize(self.base()).expect("base"))
            .expect("inside")
            .join(&name);
        let folder = folder.display().to_string();
        for (file, text) in [
            ("partition", number.to_string()),
            ("start", start.to_string()),
            ("size", size.to_string()),
            ("uevent", format!("DEVNAME={name}\nPARTNAME={label}")),
        ] {
            self.write(&format!("{folder}/{file}"), &format!("{text}\n"));
        }
        self.appear(&name, &folder);
    }

    /// A device mapper or RAID device on others.
    pub(crate) fn stack(&self, name: &str, on: &[&str], mapped: Option<&str>) {
        let folder = format!("sys/class/block/{name}");
        self.write(&format!("{folder}/dev"), &format!("253:{}\n", name.len()));
        if let Some(mapped) = mapped {
            self.write(&format!("{folder}/dm/name"), mapped);
        }
        for slave in on {
            self.write(&format!("{folder}/slaves/{slave}"), "");
            self.write(&format!("sys/class/block/{slave}/holders/{name}"), "");
        }
    }

    fn appear(&mut self, name: &str, folder: &str) {
        self.minor += 1;
        self.write(&format!("{folder}/dev"), &format!("254:{}\n", self.minor));
        self.write(&format!("dev/{name}"), "");
        let link = self.base().join("sys/class/block").join(name);
        fs::create_dir_all(link.parent().expect("a folder")).expect("makes");
        let _ = fs::remove_file(&link);
        symlink(self.base().join(folder), link).expect("links");
    }

    /// `254:1`
    pub(crate) fn number(&self, name: &str) -> String {
        let file = self.base().join("sys/class/block").join(name).join("dev");
        fs::read_to_string(file)
            .expect("a device")
            .trim()
            .to_owned()
    }
}
