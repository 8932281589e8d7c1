//! What is refused for another disk, and what is not.

use expect_test::expect;

use super::*;
use crate::disk::hardware::{DiskBus, Firmware};
use crate::install::plan::tests::{plan_of, signature};
use crate::test_support::{GIB, disk as usual, hardware, refusal_text};

const ZFS: &str = "select = { smallest = true }\nlayout = \"zfs\"";

fn disk(node: &str, holds: &[(&str, &str, &str)]) -> Disk {
    Disk {
        node: node.to_owned(),
        size: 8 << 30,
        sector: 512,
        model: String::new(),
        serial: format!("serial-{node}"),
        wwn: String::new(),
        bus: DiskBus::Sata,
        removable: false,
        read_only: false,
        boot_medium: false,
        by_id: Vec::new(),
        holds: holds
            .iter()
            .map(|(part, kind, group)| Signature {
                node: format!("{node}{part}"),
                size: 1 << 30,
                kind: SignatureKind::from(*kind),
                label: String::new(),
                partition_label: String::new(),
                start: 0,
                member_of: (!group.is_empty()).then(|| Group {
                    name: format!("the {group}"),
                    id: group.trim_matches('?').to_owned(),
                }),
            })
            .collect(),
    }
}

#[test]
fn what_spans_a_chosen_and_another_disk_is_refused_and_nothing_else_is() {
    let array = ("1", "linux_raid_member", "a");
    let volumes = ("2", "LVM2_member", "v");
    let fakeraid = ("", "isw_raid_member", "?");
    let unread = ("1", "unreadable", "");
    let rows: [(&str, Vec<Disk>, &[&str], bool); 15] = [
        (
            "RAID of a mainboard, of no known name",
            vec![disk("sda", &[fakeraid]), disk("sdb", &[fakeraid])],
            &["sda"],
            false,
        ),
        (
            "the same, alone",
            vec![disk("sda", &[fakeraid]), disk("sdb", &[array])],
            &["sda"],
            true,
        ),
        (
            "an array of no known name beside one of a known name",
            vec![disk("sda", &[("1", array.1, "?")]), disk("sdb", &[array])],
            &["sda"],
            false,
        ),
        (
            "what cannot be read beside an array",
            vec![disk("sda", &[unread]), disk("sdb", &[array])],
            &["sda"],
            false,
        ),
        (
            "an array beside what cannot be read",
            vec![disk("sda", &[array]), disk("sdb", &[unread])],
            &["sda"],
            false,
        ),
        (
            "what cannot be read beside a plain filesystem",
            vec![disk("sda", &[unread]), disk("sdb", &[("1", "ext4", "")])],
            &["sda"],
            true,
        ),
        (
            "a blank disk beside what cannot be read",
            vec![disk("sda", &[]), disk("sdb", &[unread])],
            &["sda"],
            true,
        ),
        (
            "nothing",
            vec![disk("sda", &[]), disk("sdb", &[])],
            &["sda"],
            true,
        ),
        (
            "all of it on the chosen disk",
            vec![disk("sda", &[array, ("2", array.1, "a")]), disk("sdb", &[])],
            &["sda"],
            true,
        ),
        (
            "on two that are not chosen",
            vec![
                disk("sda", &[]),
                disk("sdb", &[array]),
                disk("sdc", &[array]),
            ],
            &["sda"],
            true,
        ),
        (
            "on two that are both chosen",
            vec![disk("sda", &[array]), disk("sdb", &[array])],
            &["sdb", "sda"],
            true,
        ),
        (
            "an array",
            vec![disk("sda", &[volumes, array]), disk("sdb", &[array])],
            &["sda"],
            false,
        ),
        (
            "a volume group, the other first",
            vec![disk("sda", &[volumes]), disk("sdb", &[volumes])],
            &["sdb"],
            false,
        ),
        (
            "two chosen, and a third",
            vec![
                disk("sda", &[array]),
                disk("sdb", &[]),
                disk("sdc", &[array]),
            ],
            &["sda", "sdb"],
            false,
        ),
        (
            "the same number by chance, of things of two kinds",
            vec![disk("sda", &[("1", "btrfs", "a")]), disk("sdb", &[array])],
            &["sda"],
            true,
        ),
    ];
    for (name, disks, chosen, fine) in rows {
        assert_eq!(shared_members(&disks, chosen).is_ok(), fine, "{name}");
    }
}

#[test]
fn the_refusal_names_both_disks_and_says_what_to_do() {
    let volumes = ("2", "LVM2_member", "v");
    let disks = [disk("sda", &[volumes]), disk("sdb", &[volumes])];
    let refusal = shared_members(&disks, &["sda"]).expect_err("refuses");
    let text = [vec![refusal.message], refusal.facts, refusal.tips].concat();
    expect![[r"
        `sda` holds a part of the volume group `the v`, and so does `sdb`, which is not chosen for this install
        disk sda: 8.0 GiB sata, serial serial-sda, holds sda2: LVM2_member of `the v`, 1.0 GiB
        disk sdb: 8.0 GiB sata, serial serial-sdb, holds sdb2: LVM2_member of `the v`, 1.0 GiB
        without its part here, what the other disk holds could be lost; nothing was written
        if the other disk is needed as it is: take `sda` out of the volume group first, or select another disk
        if nothing on it is needed, on that machine: vgchange --activate n 'the v' && wipefs --all /dev/sdb2"]]
    .assert_eq(&text.join("\n"));
}

#[test]
fn where_nothing_says_that_both_are_one_the_refusal_says_so() {
    let fakeraid = ("", "isw_raid_member", "?");
    let disks = [disk("sda", &[fakeraid]), disk("sdb", &[fakeraid])];
    let refusal = shared_members(&disks, &["sda"]).expect_err("refuses");
    let text = [vec![refusal.message], refusal.facts, refusal.tips].concat();
    expect![[r"
        `sda` may hold a part of what `sdb` holds, which is not chosen for this install
        disk sda: 8.0 GiB sata, serial serial-sda, holds sda: isw_raid_member, 1.0 GiB
        disk sdb: 8.0 GiB sata, serial serial-sdb, holds sdb: isw_raid_member, 1.0 GiB
        whether `sda` and `sdb` belong together cannot be read; nothing was written
        if they belong together and `sdb` is needed: select another disk
        if they have nothing to do with each other, on that machine: wipefs --all /dev/sda"]]
    .assert_eq(&text.join("\n"));
}

#[test]
fn an_equally_named_pool_is_refused_on_another_disk_only() {
    let pool = |label: &str| {
        let mut held = signature("vdb2", "zfs_member", "data");
        label.clone_into(&mut held.label);
        let mut disk = usual("vdb", 64 * GIB);
        disk.holds = vec![held];
        disk
    };
    let beside = |label: &str| {
        let machine = hardware(Firmware::Uefi, vec![usual("vda", 32 * GIB), pool(label)]);
        plan_of(&machine, ZFS)
    };
    expect![[r#"
        another disk is part of a pool named `rpool`
          disk vdb: 64.0 GiB virtio, serial serial-vdb, holds vdb2: zfs_member "rpool", 1.0 GiB
          the installed system finds its pool by name, and could take that one
          nothing was written
          tip: to keep it under another name, where it can be imported: zpool import rpool old-rpool && zpool export old-rpool
          tip: or if nothing on it is wanted: zpool labelclear -f /dev/vdb2
    "#]]
    .assert_eq(&refusal_text(&beside("rpool").expect_err("is refused")));
    beside("tank").expect("another name is no trouble");

    let own = hardware(Firmware::Uefi, vec![pool("rpool")]);
    let plan = plan_of(&own, ZFS).expect("what is on the chosen disk is wiped");
    assert!(plan.destroys[0].contains("rpool"), "{:?}", plan.destroys);
    let machine = hardware(Firmware::Uefi, vec![usual("vda", 32 * GIB), pool("rpool")]);
    plan_of(&machine, &ZFS.replace("zfs", "ext4")).expect("there is no pool to confuse");
}
