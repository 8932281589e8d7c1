//! What is asked about, and what is not asked about again.

use expect_test::expect;

use super::*;
use crate::api::agent::tests::{Story, hardware};
use crate::api::agent::{PlanInputs, plan_for};
use crate::install::plan::Substituter;

const GIB: u64 = 1 << 30;

fn held(node: &str, size: u64, kind: &str, label: &str, partition_label: &str) -> Signature {
    Signature {
        node: node.to_owned(),
        size,
        kind: SignatureKind::from(kind),
        label: label.to_owned(),
        partition_label: partition_label.to_owned(),
        start: 0,
        member_of: None,
    }
}

/// A disk with a table and one partition of somebody's.
fn photos() -> Vec<Signature> {
    vec![
        held("vda", 8 * GIB, "gpt", "", ""),
        held("vda1", 7 * GIB, "ext4", "photos", "data"),
    ]
}

fn with(holds: Vec<Signature>) -> Hardware {
    let mut hardware = hardware();
    hardware.disks[0].holds = holds;
    hardware
}

/// What this appliance leaves on the disk of `hardware`, by its own plan.
fn ours(hardware: &Hardware, plan: &Plan) -> Vec<Signature> {
    let disk = &hardware.disks[0];
    let table = held(&disk.node, disk.size, "gpt", "", "");
    let partitions = plan.disks[0].partitions.iter().map(|p| {
        let node = format!("{}{}", disk.node, p.number);
        held(&node, p.size, "ext4", "root", &p.label)
    });
    std::iter::once(table).chain(partitions).collect()
}

fn plan_on(hardware: &Hardware) -> Plan {
    let story = Story::enrolled();
    let cache = Substituter {
        url: "http://10.77.0.1:8080/cache".to_owned(),
        public_key: "k:AA==".to_owned(),
    };
    let inputs = PlanInputs {
        profiles: &story.profiles,
        cache: &cache,
        k3s_server: Some("https://10.77.0.10:6443"),
    };
    plan_for(&story.state, story.machine(), hardware, &inputs).expect("a plan")
}

type DiskChange = fn(&mut Machine, &mut Hardware, &Plan);

#[test]
fn what_is_asked_about() {
    let written: DiskChange = |machine, hardware, plan| {
        machine.written = WrittenDisk::by(plan);
        hardware.disks[0].holds = ours(hardware, plan);
    };
    let half: DiskChange = |machine, hardware, plan| {
        machine.begun = plan.disks.iter().map(|one| one.disk.clone()).collect();
        hardware.disks[0].holds = vec![
            held("vda", 8 * GIB, "gpt-backup", "", ""),
            held("vda1", 7 * GIB, "unknown data", "", "data"),
        ];
    };
    let confirmed: DiskChange = |machine, hardware, _| {
        hardware.disks[0].holds = photos();
        machine.confirmed = vec![DiskContents {
            disk: PlannedDisk::from(&hardware.disks[0]),
            holds: photos(),
        }];
    };
    let rows: [(&str, bool, DiskChange, DiskChange); 22] = [
        ("a blank disk", false, |_, _, _| {}, |_, _, _| {}),
        (
            "somebody's photos",
            true,
            |_, h, _| h.disks[0].holds = photos(),
            |_, _, _| {},
        ),
        (
            "a table alone",
            true,
            |_, h, _| h.disks[0].holds = photos()[..1].to_vec(),
            |_, _, _| {},
        ),
        (
            "what cannot be read",
            true,
            |_, h, _| {
                h.disks[0].holds = vec![held("vda", 8 * GIB, "unreadable", "", "")];
            },
            |_, _, _| {},
        ),
        ("what it wrote", false, written, |_, _, _| {}),
        (
            "what it wrote, under another name",
            false,
            written,
            |_, h, _| {
                let disk = &mut h.disks[0];
                for held in &mut disk.holds {
                    held.node = held.node.replace("vda", "nvme0n1p");
                }
                disk.node = "nvme0n1".to_owned();
                disk.holds[0].node = "nvme0n1".to_owned();
            },
        ),
        (
            "an array on its own partition that runs",
            false,
            written,
            |_, h, _| h.disks[0].holds.push(held("md127", GIB, "ext4", "x", "")),
        ),
        ("a volume on a partition more", true, written, |_, h, _| {
            let more = held("vda3", GIB, "LVM2_member", "", "");
            let volume = held("vg-photos", GIB, "ext4", "photos", "");
            h.disks[0].holds.extend([more, volume]);
        }),
        (
            "what it wrote, formatted by somebody else since",
            false,
            written,
            |_, h, _| {
                h.disks[0].holds[2].kind = SignatureKind::Btrfs;
            },
        ),
        ("one partition more", true, written, |_, h, _| {
            h.disks[0]
                .holds
                .push(held("vda3", GIB, "ext4", "photos", "data"));
        }),
        ("a partition of another size", true, written, |_, h, _| {
            h.disks[0].holds[2].size -= 1;
        }),
        ("a partition of another name", true, written, |_, h, _| {
            h.disks[0].holds[2].partition_label = "mine".to_owned();
        }),
        (
            "its own on a disk that says nothing of itself",
            true,
            written,
            |m, h, _| {
                h.disks[0].serial = String::new();
                m.written[0].disk.serial = String::new();
            },
        ),
        (
            "its own on the disk of another machine",
            true,
            written,
            |_, h, _| {
                h.disks[0].serial = "other".to_owned();
            },
        ),
        (
            "what it preserved for somebody",
            true,
            written,
            |m, _, _| {
                let written = &mut m.written[0];
                written.preserved.extend(written.partitions.pop());
            },
        ),
        ("what it left half torn down", false, half, |_, _, _| {}),
        (
            "the same on a disk that says nothing of itself",
            true,
            half,
            |m, h, _| {
                h.disks[0].serial = String::new();
                m.begun[0].serial = String::new();
            },
        ),
        ("what was confirmed", false, confirmed, |_, _, _| {}),
        ("half of what was confirmed", false, confirmed, |_, h, _| {
            h.disks[0].holds[1] = held("vda1", 7 * GIB, "", "", "");
        }),
        (
            "another file system than was confirmed",
            true,
            confirmed,
            |_, h, _| {
                h.disks[0].holds[1].label = "thesis".to_owned();
            },
        ),
        ("more than was confirmed", true, confirmed, |_, h, _| {
            h.disks[0].holds.push(held("vda2", GIB, "swap", "", ""));
        }),
        (
            "what was confirmed, on another disk",
            true,
            confirmed,
            |_, h, _| {
                h.disks[0].serial = "other".to_owned();
            },
        ),
    ];
    for (name, asks, first, then) in rows {
        let mut machine = Story::enrolled().machine().clone();
        let mut hardware = with(Vec::new());
        let plan = plan_on(&hardware);
        first(&mut machine, &mut hardware, &plan);
        then(&mut machine, &mut hardware, &plan);
        let plan = plan_on(&hardware);
        let asked = question(Wipe::Ask, &machine, &plan, &hardware);
        assert_eq!(!asked.is_empty(), asks, "{name}: {asked:?}");
        for found in &asked {
            assert_eq!(
                found.holds, hardware.disks[0].holds,
                "{name}: all of it is shown"
            );
        }
        let allowed = question(Wipe::Allow, &machine, &plan, &hardware);
        assert_eq!(allowed, [], "{name}: an order is word enough");
    }
}

#[test]
fn who_is_asked_follows_from_who_enrolled_it_unless_it_is_written() {
    let story = Story::enrolled();
    let mut machine = story.machine().clone();
    let mut profile = story.profiles.by_name.values().next().expect("one").clone();
    let plan = plan_on(&with(Vec::new()));
    for (itself, written, want) in [
        (false, None, Wipe::Allow),
        (true, None, Wipe::Ask),
        (false, Some(Wipe::Ask), Wipe::Ask),
        (true, Some(Wipe::Allow), Wipe::Allow),
    ] {
        machine.enrolled_itself = itself;
        profile.wipe = written;
        let wipe = wipe_rule(&profile, &machine, &plan);
        assert_eq!(wipe, want, "{itself} {written:?}");
    }
}

/// One row for each row of the table at [`wipe_rule`], in its order and with its columns; where a row there fits anything,
/// the row here has what would be decided otherwise.
#[test]
fn the_rule_decides_as_its_table_says() {
    use EnrolledBy::{Machine as Itself, Operator};
    use PlannedDisks::{AllKnown, First, OneUnknown};
    use PreservedBefore::{GivenUp, Stays};
    use Selector::{Describes, NamesEach};

    let story = Story::enrolled();
    let plan = plan_on(&with(photos()));
    let here = WrittenDisk::by(&plan);
    let rows = [
        (
            Some(Wipe::Allow),
            Itself,
            OneUnknown,
            Describes,
            GivenUp,
            Wipe::Allow,
        ),
        (
            Some(Wipe::Ask),
            Operator,
            First,
            NamesEach,
            Stays,
            Wipe::Ask,
        ),
        (None, Itself, AllKnown, NamesEach, Stays, Wipe::Ask),
        (None, Operator, AllKnown, NamesEach, GivenUp, Wipe::Ask),
        (None, Operator, OneUnknown, Describes, Stays, Wipe::Ask),
        (None, Operator, OneUnknown, NamesEach, Stays, Wipe::Allow),
        (None, Operator, AllKnown, Describes, Stays, Wipe::Allow),
        (None, Operator, First, Describes, Stays, Wipe::Allow),
    ];
    for row in rows {
        let (wipe, enrolled, disks, select, preserved, want) = row;
        let mut machine = story.machine().clone();
        machine.enrolled_itself = enrolled == Itself;
        machine.written = match disks {
            First => Vec::new(),
            AllKnown | OneUnknown => here.clone(),
        };
        if preserved == GivenUp {
            machine.written[0].preserved.push(WrittenPartition {
                number: 9,
                label: "photos".to_owned(),
                size: GIB,
            });
        }
        let mut profile = story.profiles.by_name.values().next().expect("one").clone();
        profile.wipe = wipe;
        profile.select[0].serial = (select == NamesEach).then(|| "root".to_owned());
        let mut plan = plan.clone();
        if disks == OneUnknown {
            let mut unknown = plan.disks[0].clone();
            "new".clone_into(&mut unknown.disk.serial);
            plan.disks.push(unknown);
        }
        let is = (
            EnrolledBy::of(&machine),
            PlannedDisks::of(&machine, &plan),
            Selector::of(&profile),
            PreservedBefore::of(&machine, &plan),
        );
        assert_eq!(is, (enrolled, disks, select, preserved), "{row:?}");
        assert_eq!(wipe_rule(&profile, &machine, &plan), want, "{row:?}");
    }
}

#[test]
fn a_disk_that_is_none_of_those_it_was_installed_on_is_asked_about() {
    let story = Story::enrolled();
    let here = WrittenDisk::by(&plan_on(&with(Vec::new())));
    let mut there = here.clone();
    there[0].disk.serial = "dead".to_owned();
    let mut stayed = here.clone();
    stayed[0].preserved.push(WrittenPartition {
        number: 9,
        label: "photos".to_owned(),
        size: GIB,
    });
    let by_serial = Some("root".to_owned());
    let rows = [
        ("never installed", vec![], None, None, Wipe::Allow),
        ("on the same disk", here.clone(), None, None, Wipe::Allow),
        (
            "on two, one is gone",
            [here, there.clone()].concat(),
            None,
            None,
            Wipe::Allow,
        ),
        ("on another disk", there.clone(), None, None, Wipe::Ask),
        (
            "on another, `select` names this one",
            there.clone(),
            by_serial,
            None,
            Wipe::Allow,
        ),
        (
            "without what it preserved",
            stayed.clone(),
            None,
            None,
            Wipe::Ask,
        ),
        (
            "without what it preserved, the profile allows it",
            stayed,
            None,
            Some(Wipe::Allow),
            Wipe::Allow,
        ),
        (
            "on another, the profile allows it",
            there,
            None,
            Some(Wipe::Allow),
            Wipe::Allow,
        ),
    ];
    for (name, written, serial, wipe, want) in rows {
        let mut machine = story.machine().clone();
        machine.written = written;
        let mut profile = story.profiles.by_name.values().next().expect("one").clone();
        profile.wipe = wipe;
        profile.select[0].serial = serial;
        let plan = plan_on(&with(photos()));
        assert_eq!(wipe_rule(&profile, &machine, &plan), want, "{name}");
    }
}

#[test]
fn the_question_names_disk_contents_and_command() {
    let hardware = with(photos());
    let machine = Story::enrolled().machine().clone();
    let asked = question(Wipe::Ask, &machine, &plan_on(&hardware), &hardware);
    let refusal = refusal("node1", &asked);
    let text = std::iter::once(refusal.message)
        .chain(refusal.facts)
        .chain(refusal.tips);
    expect![[r#"
        node1 waits: this appliance did not put there what would be wiped
        on disk vda, 8.0 GiB, serial root: vda: gpt, 8.0 GiB; vda1: ext4 "photos", 7.0 GiB
        nothing was written
        to have it wiped: pxe-admin confirm node1"#]]
    .assert_eq(&text.collect::<Vec<_>>().join("\n"));
}
