//! Plans for layouts that a profile writes itself.

use super::*;

const BOTH: &str = r#"select = [{ serial = "serial-vda" }, { serial = "serial-vdb" }]
[disk.devices.disk.system.content]
type = "gpt"
[disk.devices.disk.system.content.partitions]
core = { type = "EF02", size = "1M" }
ESP = { type = "EF00", size = "512M", content = { type = "filesystem", format = "vfat", mountpoint = "/boot", mountOptions = ["umask=0077", "nofail"] } }
root = { end = "-1G", content = { type = "filesystem", format = "xfs", mountpoint = "/", mountOptions = ["defaults", "noatime"], extraArgs = ["-m", "bigtime=0", "-L", "nixos"] } }
[disk.devices.disk.data.content]
type = "gpt"
[disk.devices.disk.data.content.partitions]
swap = { size = "2G", start = "10G", content = { type = "swap" } }
files = { size = "4G", label = "files", preserve = true, content = { type = "filesystem", format = "ext4", mountpoint = "/srv" } }
home.size = "100%"
home.content = { type = "btrfs", mountpoint = "/volume", subvolumes = { "@home" = { mountpoint = "/home" }, "/@home/ann" = {} } }
"#;

fn two() -> Vec<Disk> {
    vec![disk("vda", 16 * GIB), disk("vdb", 32 * GIB)]
}

/// A partition of the second disk, as an install left it.
fn files(start: u64, size: u64, kind: &str) -> Signature {
    Signature {
        start,
        size,
        ..signature("vdb1", kind, "files")
    }
}

#[test]
fn a_table_of_two_disks_on_blank_ones() {
    let machine = hardware(Firmware::Uefi, two());
    let plan = plan_of(&machine, BOTH).expect("a plan");
    expect![[r#"
        vda1 disk-system-core from 1.0 MiB, 1.0 MiB: 
        vda2 disk-system-ESP from 2.0 MiB, 512.0 MiB: vfat
        vda3 disk-system-root from 514.0 MiB, 14.4 GiB: xfs
        vdb1 files from 1.0 MiB, 4.0 GiB: ext4
        vdb2 disk-data-swap from 10.0 GiB, 2.0 GiB: swap
        vdb3 disk-data-home from 12.0 GiB, 19.9 GiB: btrfs
        sfdisk --quiet --lock=yes --wipe always --wipe-partitions always /dev/vda
        sfdisk --quiet --lock=yes --wipe always --wipe-partitions always /dev/vdb
        mkfs.vfat -F 32 -n ESP /dev/vda2
        mkfs.xfs -f -q -L nixos -m bigtime=0 /dev/vda3
        mkfs.ext4 -F -q -L files /dev/vdb1
        mkswap -L swap /dev/vdb2
        mkfs.btrfs -f -q -L home /dev/vdb3
        mount -t btrfs -o subvolid=5 /dev/vdb3 /mnt
        btrfs subvolume create /mnt/@home
        btrfs subvolume create /mnt/@home/ann
        umount /mnt
        sfdisk --quiet --lock=yes --no-reread --no-tell-kernel --part-label -- /dev/vdb 1 files
        mount -t xfs -o noatime /dev/vda3 /mnt
        mount -t vfat -o umask=0077 /dev/vda2 /mnt/boot
        mount -t ext4 /dev/vdb1 /mnt/srv
        mount -t btrfs /dev/vdb3 /mnt/volume
        mount -t btrfs -o subvol=@home /dev/vdb3 /mnt/home
    "#]]
    .assert_eq(&outline(&plan));
}

#[test]
fn what_is_preserved_keeps_its_place_and_the_others_go_around_it() {
    let mut disks = two();
    let kept = files(5 * GIB + 512, 3 * GIB, "ext4");
    disks[1].holds = vec![
        signature("vdb", "gpt", ""),
        kept.clone(),
        signature("vdb2", "xfs", "old"),
    ];
    let machine = hardware(Firmware::Bios, disks);
    let plan = plan_of(&machine, BOTH).expect("a plan");
    expect![[r#"
        vda1 disk-system-core from 1.0 MiB, 1.0 MiB: 
        vda2 disk-system-ESP from 2.0 MiB, 512.0 MiB: vfat
        vda3 disk-system-root from 514.0 MiB, 14.4 GiB: xfs
        vdb1 files from 5.0 GiB, 3.0 GiB: ext4, kept
        vdb2 disk-data-swap from 10.0 GiB, 2.0 GiB: swap
        vdb3 disk-data-home from 12.0 GiB, 19.9 GiB: btrfs
        sfdisk --quiet --lock=yes --wipe always --wipe-partitions always /dev/vda
        sfdisk --quiet --lock=yes --wipe never --wipe-partitions never /dev/vdb
        wipefs --all --quiet /dev/vdb2
        wipefs --all --quiet /dev/vdb3
        mkfs.vfat -F 32 -n ESP /dev/vda2
        mkfs.xfs -f -q -L nixos -m bigtime=0 /dev/vda3
        mkswap -L swap /dev/vdb2
        mkfs.btrfs -f -q -L home /dev/vdb3
        mount -t btrfs -o subvolid=5 /dev/vdb3 /mnt
        btrfs subvolume create /mnt/@home
        btrfs subvolume create /mnt/@home/ann
        umount /mnt
        mount -t xfs -o noatime /dev/vda3 /mnt
        mount -t vfat -o umask=0077 /dev/vda2 /mnt/boot
        mount -t ext4 /dev/vdb1 /mnt/srv
        mount -t btrfs /dev/vdb3 /mnt/volume
        mount -t btrfs -o subvol=@home /dev/vdb3 /mnt/home
    "#]]
    .assert_eq(&outline(&plan));
    assert_eq!(plan.keeps, [kept.description()]);
    assert_eq!(plan.destroys, ["vdb2: xfs \"old\", 1.0 GiB"]);
}

#[test]
fn what_takes_all_that_is_left_ends_on_a_whole_mib_before_what_is_preserved() {
    let mut disks = two();
    disks[1].holds = vec![files(30 * GIB + 512, GIB, "ext4")];
    let plan = plan_of(&hardware(Firmware::Uefi, disks), BOTH).expect("a plan");
    let home = plan.disks[1]
        .partitions
        .iter()
        .find(|p| p.label == "disk-data-home");
    let place = home.map(|home| (home.start, home.size));
    assert_eq!(place, Some((12 * GIB, 18 * GIB)));
}

#[test]
fn what_cannot_be_preserved_is_refused() {
    let with = |holds: Vec<Signature>| {
        let mut disks = two();
        disks[1].holds = holds;
        refusal_text(&plan_of(&hardware(Firmware::Uefi, disks), BOTH).expect_err("is refused"))
    };
    let twice = Signature {
        node: "vdb2".to_owned(),
        ..files(9 * GIB, GIB, "ext4")
    };
    let rows = [
        ("another filesystem", with(vec![files(GIB, GIB, "xfs")])),
        (
            "where the swap begins",
            with(vec![files(9 * GIB, 2 * GIB, "ext4")]),
        ),
        (
            "what is of an unknown kind",
            with(vec![files(GIB, GIB, "unknown data")]),
        ),
        ("two of them", with(vec![files(GIB, GIB, "ext4"), twice])),
        ("over the table", with(vec![files(512, GIB, "ext4")])),
        (
            "what cannot be read",
            with(vec![files(GIB, GIB, "unreadable")]),
        ),
    ];
    let text: Vec<String> = rows
        .iter()
        .map(|(name, said)| format!("{name}: {said}"))
        .collect();
    expect![[r#"
        another filesystem: the partition `files` cannot be preserved: it holds xfs, the layout wants ext4
          disk vdb: 32.0 GiB virtio, serial serial-vdb, holds vdb1: xfs "files", 1.0 GiB
          nothing was written
        where the swap begins: there is no room for the partition `disk-data-swap` from byte 10737418240
          disk vdb: 32.0 GiB virtio, serial serial-vdb, holds vdb1: ext4 "files", 2.0 GiB
          nothing was written
          tip: take its `start` out: then it goes where there is room
        what is of an unknown kind: the partition `files` cannot be preserved: it holds data of an unknown kind, the layout wants ext4
          disk vdb: 32.0 GiB virtio, serial serial-vdb, holds vdb1: unknown data "files", 1.0 GiB
          nothing was written
          tip: if that is not wanted: take `preserve` out, have the machine installed, and put it back
        two of them: the partition `files` cannot be preserved: 2 partitions have this label
          disk vdb: 32.0 GiB virtio, serial serial-vdb, holds vdb1: ext4 "files", 1.0 GiB; vdb2: ext4 "files", 1.0 GiB
          nothing was written
        over the table: the partition `files` cannot be preserved: it lies from byte 512 to 1073742336, where the partition table goes
          disk vdb: 32.0 GiB virtio, serial serial-vdb, holds vdb1: ext4 "files", 1.0 GiB
          nothing was written
        what cannot be read: the partition `files` cannot be preserved: what it holds cannot be read
          disk vdb: 32.0 GiB virtio, serial serial-vdb, holds vdb1: unreadable "files", 1.0 GiB
          nothing was written
          tip: if that is not wanted: take `preserve` out, have the machine installed, and put it back
    "#]].assert_eq(&text.join(""));
}

#[test]
fn what_is_half_made_is_made_anew() {
    for (kind, name, kept) in [
        ("btrfs", "files-new", false),
        ("ext4", "files-new", false),
        ("unknown data", "files-new", false),
        ("", "files-new", false),
        ("ext4", "files", true),
    ] {
        let mut disks = two();
        let held = Signature {
            partition_label: name.to_owned(),
            ..files(GIB, GIB, kind)
        };
        disks[1].holds = vec![signature("vdb", "gpt", ""), held];
        let plan = plan_of(&hardware(Firmware::Uefi, disks), BOTH).expect(kind);
        let mut partitions = plan.disks[1].partitions.iter();
        let found = partitions.find(|p| p.label == "files").expect("planned");
        assert_eq!(found.kept, kept, "{kind} {name}");
        let made_as = (!kept).then_some("files-new");
        assert_eq!(found.made_as.as_deref(), made_as, "{kind} {name}");
    }
}

#[test]
fn what_is_half_made_is_called_by_no_label_and_by_a_name_that_a_gpt_takes() {
    let long = "a".repeat(36);
    let cut = format!("{}-new", "a".repeat(32));
    let next = format!("{}-neww", "a".repeat(31));
    for (label, other, want) in [
        ("files", "disk", "files-new"),
        ("files", "files-new", "files-neww"),
        (long.as_str(), "disk", cut.as_str()),
        (&long, &cut, &next),
    ] {
        let table = BOTH.replace("label = \"files\"", &format!("label = {label:?}"));
        let table = table.replace("swap = { ", &format!("swap = {{ label = {other:?}, "));
        let plan = plan_of(&hardware(Firmware::Uefi, two()), &table).expect(label);
        let partitions = plan.disks.iter().flat_map(|disk| &disk.partitions);
        let made_as: Vec<&str> = partitions.filter_map(|p| p.made_as.as_deref()).collect();
        assert_eq!(made_as, [want], "{label} beside {other}");
    }
}

#[test]
fn what_may_be_there_unseen_is_not_made_anew() {
    let whole = |kind: &str| signature("vdb", kind, "");
    let other = signature("vdb2", "xfs", "old");
    let planned = |holds: &[Signature]| {
        let mut disks = two();
        disks[1].holds = holds.to_vec();
        plan_of(&hardware(Firmware::Uefi, disks), BOTH)
    };
    for (name, holds, seen) in [
        ("blank", vec![], true),
        (
            "a table without it",
            vec![whole("gpt"), other.clone()],
            true,
        ),
        ("a table of another kind", vec![whole("dos")], true),
        (
            "a table known by its copy",
            vec![whole("gpt-backup"), whole("PMBR"), other],
            true,
        ),
        ("only the copy", vec![whole("gpt-backup")], false),
        ("both are damaged", vec![whole("PMBR")], false),
        (
            "another kind over the copy",
            vec![
                whole("dos"),
                whole("gpt-backup"),
                signature("vdb1", "ntfs", ""),
            ],
            false,
        ),
        (
            "a disk that cannot be read",
            vec![whole("unreadable")],
            false,
        ),
    ] {
        assert_eq!(planned(&holds).is_ok(), seen, "{name}");
    }
    let damaged = planned(&[whole("gpt-backup"), whole("PMBR")]).expect_err("is refused");
    expect![[r#"
        the partition `files` cannot be preserved: the disk's partition table is damaged, so it is unknown whether the partition is there
          disk vdb: 32.0 GiB virtio, serial serial-vdb, holds vdb: gpt-backup, 1.0 GiB; vdb: PMBR, 1.0 GiB
          nothing was written
          tip: to mend the table from its copy, on that machine: printf 'w\n' | fdisk /dev/vdb; if nothing on the disk is wanted: wipefs --all /dev/vdb
    "#]]
    .assert_eq(&refusal_text(&damaged));
    // What is to be preserved nowhere is no reason.
    let mut damaged = disk("vda", 16 * GIB);
    damaged.holds = vec![signature("vda", "gpt-backup", "")];
    plan_with(
        &hardware(Firmware::Uefi, vec![damaged]),
        "{ smallest = true }",
    )
    .expect("a plan");
}

#[test]
fn disks_that_changed_places_are_not_written_to() {
    let mut disks = two();
    disks[0].holds = vec![files(GIB, GIB, "ext4")];
    let machine = hardware(Firmware::Uefi, disks);
    expect![[r#"
        the partition `files`, which is to be preserved, is on the disk chosen for `system`, not on the one for `data`
          disk vda: 16.0 GiB virtio, serial serial-vda, holds vdb1: ext4 "files", 1.0 GiB
          nothing was written
          tip: name each disk in `[disk] select`, in the order in which the table has them
    "#]].assert_eq(&refusal_text(&plan_of(&machine, BOTH).expect_err("is refused")));
}

#[test]
fn a_table_for_one_firmware_is_refused_on_the_other() {
    let table = |part: &str| {
        format!(
            "select = {{ serial = \"serial-vda\" }}\n[disk.devices.disk.main.content]\ntype = \"gpt\"\n\
             [disk.devices.disk.main.content.partitions]\n{part}\n\
             root = {{ size = \"100%\", content = {{ type = \"filesystem\", format = \"ext4\", mountpoint = \"/\" }} }}\n"
        )
    };
    let esp = "ESP = { type = \"EF00\", size = \"1G\", content = { type = \"filesystem\", format = \"vfat\", mountpoint = \"/boot\" } }";
    let core = "core = { type = \"EF02\", size = \"1M\" }";
    for (part, fits, fits_not) in [
        (esp, Firmware::Uefi, Firmware::Bios),
        (core, Firmware::Bios, Firmware::Uefi),
    ] {
        let plan = |firmware| plan_of(&hardware(firmware, two()), &table(part));
        assert!(plan(fits).is_ok(), "{part}");
        let refusal = plan(fits_not).expect_err(part);
        let text = format!(
            "lacks the partition from which this machine's firmware ({}) starts",
            fits_not.name()
        );
        assert!(refusal.message.contains(&text), "{refusal}");
    }
}

#[test]
fn too_little_room_is_told() {
    for (what, from, to) in [
        (
            "a partition where the disk ends",
            "start = \"10G\"",
            "start = \"31G\"",
        ),
        (
            "more to leave free than there is",
            "end = \"-1G\"",
            "end = \"-16G\"",
        ),
        ("a root that is too small", "end = \"-1G\"", "size = \"1G\""),
        ("more than the disk has", "size = \"4G\"", "size = \"40G\""),
    ] {
        let table = BOTH.replacen(from, to, 1);
        assert_ne!(table, BOTH);
        let refusal = plan_of(&hardware(Firmware::Uefi, two()), &table).expect_err(what);
        let told = ["no room", "too small"]
            .iter()
            .any(|words| refusal.message.contains(words));
        assert!(told, "{what}: {refusal}");
    }
}
