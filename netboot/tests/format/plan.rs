//! Hardware as agents report it, and the plan that they get and that the journal keeps.

use netboot::disk::hardware::Firmware;
use netboot::disk::layout::{Format, Purpose};
use netboot::install::plan::{
    Arg, Device, DiskAction, DiskPlan, Input, K3s, Partition, Plan, PlannedArray, PlannedCommand,
    PlannedFilesystem, PlannedMount, PlannedRelease, PlannedVolume, SeenDisk, Substituter,
};
use netboot::install::report::InstallStep;
use netboot::profile::Role;

use crate::golden::{both, check, covers, sample, variants};
use crate::samples::{
    disk, found, hardware, host, list, path, planned_disk, signature, some, system, text, texts,
    written,
};

/// A plan of all there is, in shape: nobody would make it.
pub(crate) fn plan(full: bool) -> Plan {
    Plan {
        host_name: host(),
        firmware: Firmware::Bios,
        layout: text(full, "mirror"),
        seen: list(
            full,
            vec![SeenDisk {
                disk: disk(false),
                action: DiskAction::Written,
                why: "chosen".to_owned(),
            }],
        ),
        disks: list(full, vec![disk_plan(true), disk_plan(false)]),
        arrays: list(
            full,
            vec![PlannedArray {
                name: "root".to_owned(),
                level: 1,
                members: vec![partition_of("main"), partition_of("second")],
            }],
        ),
        volumes: list(
            full,
            vec![PlannedVolume {
                name: "root".to_owned(),
                on: Device::Array("root".to_owned()),
            }],
        ),
        filesystems: list(full, vec![filesystem(true), filesystem(false)]),
        mounts: list(full, vec![mount(true), mount(false)]),
        destroys: texts(["vda: gpt, 1.0 GiB"]),
        keeps: list(full, texts(["vda2: ext4 \"photos\", 7.9 GiB"])),
        warnings: list(full, texts(["`swap` means nothing here"])),
        script: some(full, path("disko-format-mount")),
        commands: list(full, vec![command(true), command(false)]),
        release: PlannedRelease {
            system: system(),
            number: 3,
            toplevel: path("nixos-system-worker-25.05"),
            closure_size: 1 << 30,
        },
        cache: Substituter {
            url: "http://10.77.0.1:8080/cache".to_owned(),
            public_key: "k:AA==".to_owned(),
        },
        k3s: some(full, k3s(true)),
    }
}

fn partition_of(disk: &str) -> Device {
    Device::Partition {
        disk: disk.to_owned(),
        number: 2,
    }
}

fn disk_plan(full: bool) -> DiskPlan {
    DiskPlan {
        name: "main".to_owned(),
        disk: planned_disk(full),
        partitions: list(full, vec![partition(true), partition(false)]),
    }
}

fn partition(full: bool) -> Partition {
    Partition {
        number: 2,
        label: "disk-main-root".to_owned(),
        purpose: Purpose::Linux,
        start: 513 << 20,
        size: 4 << 30,
        holds: text(full, "ext4"),
        kept: full,
        preserve: full,
        made_as: some(full, "disk-main-root.new".to_owned()),
    }
}

fn filesystem(full: bool) -> PlannedFilesystem {
    PlannedFilesystem {
        on: partition_of("main"),
        format: Format::Btrfs,
        label: "root".to_owned(),
        args: list(full, texts(["--checksum", "xxhash"])),
        subvolumes: list(full, texts(["/root", "/nix"])),
        kept: full,
    }
}

fn mount(full: bool) -> PlannedMount {
    PlannedMount {
        at: "/boot".to_owned(),
        device: partition_of("main"),
        format: Format::Vfat,
        options: list(full, texts(["umask=0077"])),
    }
}

fn command(full: bool) -> PlannedCommand {
    PlannedCommand {
        step: InstallStep::Format,
        program: "mkfs.ext4".to_owned(),
        args: list(full, args()),
        input: some(full, Input::DiskKey),
        makes: some(full, Device::Volume("root".to_owned())),
        may_fail: full,
    }
}

fn args() -> Vec<Arg> {
    vec![
        Arg::Text("-L".to_owned()),
        Arg::Device(partition_of("main")),
        Arg::Below("/boot".to_owned()),
    ]
}

fn k3s(full: bool) -> K3s {
    K3s {
        role: Role::Agent,
        server: some(full, "https://10.77.0.10:6443".to_owned()),
    }
}

#[test]
fn hardware_is_reported_and_stored_as_written_down() {
    let parts = [
        both("hardware", hardware),
        both("disk", disk),
        both("holding", signature),
        both("found", found),
        both("written", written),
    ];
    check("hardware", parts.into_iter().flatten());
}

#[test]
fn a_plan_is_sent_and_stored_as_written_down() {
    let name = str::to_owned;
    let devices = vec![
        Device::Disk(name("main")),
        partition_of("main"),
        Device::Array(name("root")),
        Device::Volume(name("root")),
        Device::Dataset(name("rpool/root")),
    ];
    covers(
        variants!(Device: Disk, Partition, Array, Volume, Dataset),
        &devices,
    );
    let inputs = vec![
        Input::Text(name("label: gpt\n")),
        Input::DiskKey,
        Input::UnlockToken,
    ];
    covers(variants!(Input: Text, DiskKey, UnlockToken), &inputs);
    covers(variants!(Arg: Device, Below, Text), &args());
    let parts = [
        both("plan", plan),
        both("partition", partition),
        both("filesystem", filesystem),
        both("mount", mount),
        both("command", command),
        both("k3s", k3s),
    ];
    let kinds = [
        sample("devices", &devices),
        sample("inputs", &inputs),
        sample("args", &args()),
    ];
    check("plan", parts.into_iter().flatten().chain(kinds));
}

/// As a field that must be there; an empty list of disks is written, too.
#[test]
fn a_plan_without_disks_is_none() {
    let mut json = serde_json::to_value(plan(true)).expect("writes");
    json.as_object_mut().expect("a map").remove("disks");
    let error = serde_json::from_value::<Plan>(json).expect_err("is none");
    assert_eq!(error.to_string(), "missing field `disks`");
}
