//! Values that samples are made of. `full`: with all that may be absent or empty; else without.

use netboot::base::mac::Mac;
use netboot::base::name::{HostName, ProfileName, SystemName};
use netboot::base::release::FlakeSource as BuiltFrom;
use netboot::base::release::PublishedInstaller;
use netboot::base::release::Release;
use netboot::base::store_path::StorePath;
use netboot::base::timestamp::Timestamp;
use netboot::base::token::{Digest, Ticket};
use netboot::disk::hardware::{Disk, Firmware, Group, Hardware, Nic, Signature};
use netboot::install::plan::PlannedDisk;
use netboot::loader::uefi::boot_order::{BootEntry, BootSource};
use netboot::machine::wipe_confirmation::{DiskContents, WrittenDisk, WrittenPartition};
use netboot::machine::{Claim, DiskKey, Generation, GenerationOrigin};

/// 2026-04-02 10:14:07.`millis` UTC
pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_775_124_847_000 + millis)
}

pub(crate) fn mac(last: u8) -> Mac {
    format!("52:54:00:12:34:{last:02x}").parse().expect("a MAC")
}

pub(crate) fn host() -> HostName {
    "node1".parse().expect("a name")
}

pub(crate) fn profile() -> ProfileName {
    "worker".parse().expect("a name")
}

pub(crate) fn system() -> SystemName {
    "worker".parse().expect("a name")
}

pub(crate) fn path(name: &str) -> StorePath {
    format!("/nix/store/0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq-{name}")
        .parse()
        .expect("a store path")
}

pub(crate) fn ticket() -> Ticket {
    Ticket::new([0x17; 16])
}

pub(crate) fn digest(octet: u8) -> Digest {
    Digest::new([octet; 32])
}

pub(crate) fn text(full: bool, text: &str) -> String {
    if full { text.to_owned() } else { String::new() }
}

pub(crate) fn some<T>(full: bool, value: T) -> Option<T> {
    full.then_some(value)
}

pub(crate) fn list<T>(full: bool, values: Vec<T>) -> Vec<T> {
    if full { values } else { Vec::new() }
}

pub(crate) fn texts<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}

pub(crate) fn hardware(full: bool) -> Hardware {
    Hardware {
        firmware: Firmware::Uefi,
        arch: "x86_64".into(),
        memory: 2 << 30,
        vendor: text(full, "QEMU"),
        product: text(full, "Standard PC (Q35 + ICH9, 2009)"),
        serial: text(full, "box-1"),
        uuid: text(full, "1b4e28ba-2fa1-11d2-883f-0016d3cca427"),
        disks: vec![disk(full)],
        nics: list(
            full,
            vec![Nic {
                name: "eth0".to_owned(),
                mac: mac(0x56),
                link: true,
            }],
        ),
        tpm2: full,
        zfs: full,
    }
}

pub(crate) fn disk(full: bool) -> Disk {
    Disk {
        node: "vda".to_owned(),
        size: 8 << 30,
        sector: 512,
        model: text(full, "QEMU HARDDISK"),
        serial: text(full, "serial-vda"),
        wwn: text(full, "0x5000c500a0b1c2d3"),
        bus: text(full, "virtio").into(),
        removable: full,
        read_only: full,
        boot_medium: full,
        by_id: list(full, texts(["virtio-serial-vda"])),
        holds: list(full, vec![signature(true), signature(false)]),
    }
}

pub(crate) fn signature(full: bool) -> Signature {
    Signature {
        node: "vda1".to_owned(),
        size: 1 << 30,
        kind: text(full, "linux_raid_member").into(),
        label: text(full, "box:root"),
        partition_label: text(full, "disk-main-root"),
        start: if full { 1 << 20 } else { 0 },
        member_of: some(
            full,
            Group {
                name: "root".to_owned(),
                id: "5f1c9c6e:9e7a3b0d".to_owned(),
            },
        ),
    }
}

pub(crate) fn planned_disk(full: bool) -> PlannedDisk {
    PlannedDisk {
        node: "vda".to_owned(),
        size: 8 << 30,
        sector: 512,
        model: text(full, "QEMU HARDDISK"),
        serial: text(full, "serial-vda"),
        wwn: text(full, "0x5000c500a0b1c2d3"),
    }
}

pub(crate) fn found(full: bool) -> DiskContents {
    DiskContents {
        disk: planned_disk(full),
        holds: list(full, vec![signature(true)]),
    }
}

pub(crate) fn written(full: bool) -> WrittenDisk {
    let partition = |number, label: &str| WrittenPartition {
        number,
        label: label.to_owned(),
        size: 512 << 20,
    };
    WrittenDisk {
        disk: planned_disk(full),
        partitions: vec![partition(1, "disk-main-ESP")],
        preserved: list(full, vec![partition(2, "disk-main-data")]),
    }
}

pub(crate) fn claim() -> Claim {
    Claim {
        recipient: "age1qqqq".to_owned(),
        session: digest(0x5e),
        at: at(7),
    }
}

pub(crate) fn disk_key() -> DiskKey {
    DiskKey {
        kept: "a2VwdA==".to_owned(),
        credential: digest(0xc4),
        made: at(8),
    }
}

pub(crate) fn entry() -> BootEntry {
    BootEntry {
        number: 7,
        title: "Installed by netboot".to_owned(),
        source: BootSource::Disk,
    }
}

pub(crate) fn generation(full: bool) -> Generation {
    Generation {
        number: 1,
        store_path: path("nixos-system-worker-25.05"),
        label: text(full, "25.05.20260401.abcdef0"),
        kernel: text(full, "6.12.21"),
        origin: GenerationOrigin::Install,
        release: some(full, 3),
        activated: at(20),
        booted: some(full, at(21)),
        boot_id: text(full, "8b1c8a4e-5a2c-4c0c-9a53-0b2a1c9d8e7f"),
    }
}

pub(crate) fn release(full: bool) -> Release {
    Release {
        system: system(),
        number: 3,
        toplevel: path("nixos-system-worker-25.05"),
        closure_size: 1 << 30,
        published: at(2),
        revision: some(full, "1a2b3c4d5e6f".to_owned()),
        dirty: full,
        label: text(full, "25.05.20260401.abcdef0"),
        script: some(full, path("disko-format-mount")),
        pruned: some(full, at(90)),
    }
}

pub(crate) fn built_from(full: bool) -> BuiltFrom {
    BuiltFrom {
        revision: some(full, "1a2b3c4d5e6f".to_owned()),
        dirty: full,
    }
}

pub(crate) fn installer(full: bool) -> PublishedInstaller {
    PublishedInstaller {
        arch: "x86_64".to_owned(),
        path: path("installer"),
        published: at(3),
        source: built_from(full),
    }
}
