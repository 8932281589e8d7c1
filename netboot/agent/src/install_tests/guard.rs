//! Only the planned disk is written to, whatever else the machine has.

use netboot::disk::hardware::Firmware;
use netboot::install::report::InstallStep;
use proptest::prelude::*;

use super::{doings, failed, run};
use crate::fake::{DiskSpec, FakeMachine, plan_for};

#[test]
fn a_disk_in_use_by_what_spans_another_disk_is_left_alone() {
    let mut fake = FakeMachine::machine(Firmware::Uefi);
    fake.stack("md127", &["vda1", "vdb"], None);
    let (step, causes) = failed(run(&mut fake));
    assert_eq!(step, InstallStep::TearDown);
    assert!(causes.contains("which also lies on `vdb`"), "{causes}");
    assert_eq!(doings(&fake), [""; 0]);
}

#[test]
fn a_disk_that_changes_after_its_wipe_is_not_written_to_again() {
    for line in [
        "wipefs --all --quiet /dev/vda1",
        "wipefs --all --quiet /dev/vda",
    ] {
        let mut fake = FakeMachine::machine(Firmware::Uefi);
        fake.on_call(line, |fake| fake.write("sys/block/vda/serial", "another"));
        let (step, causes) = failed(run(&mut fake));
        assert_eq!(step, InstallStep::TearDown);
        assert!(
            causes.contains("is not the disk of the plan any more"),
            "{causes}"
        );
        assert_eq!(doings(&fake).last().map(|last| last.as_str()), Some(line));
    }
}

/// Four disks at most, often alike, so that names and identities get in each other's way.
fn disks() -> impl Strategy<Value = Vec<DiskSpec>> {
    const NAMES: [&str; 4] = ["vda", "vdb", "nvme0n1", "sda"];
    let one = (
        0..2u64,
        0..3usize,
        0..2usize,
        prop::bool::weighted(0.1),
        prop::bool::ANY,
    );
    prop::collection::vec(one, 1..5).prop_map(|all| {
        all.into_iter()
            .zip(NAMES)
            .map(|((size, serial, model, read_only, big), name)| DiskSpec {
                serial: ["root", "data", ""][serial],
                model: ["", "QEMU"][model],
                sector: if big { 512 } else { 4096 },
                read_only,
                ..DiskSpec::virtio(name, (8 + size) << 30, "")
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn only_the_one_planned_disk_is_ever_written_to(all in disks(), chosen: prop::sample::Index, renamed: prop::sample::Index) {
        let mut fake = FakeMachine::new(Firmware::Uefi);
        for disk in &all {
            fake.add_disk(disk);
            fake.add_partition(disk.name, 1, 2048, 4096, "disk-main-root");
        }
        let chosen = chosen.get(&all);
        fake.plan = plan_for(Firmware::Uefi, "ext4", &[*chosen]);
        // The kernel's name from when the plan was made does not count.
        fake.plan.disks[0].disk.node = renamed.get(&all).name.to_owned();

        let same = |d: &&DiskSpec| (d.size, d.sector, d.model, d.serial)
            == (chosen.size, chosen.sector, chosen.model, chosen.serial);
        let alone = all.iter().filter(same).count() == 1 && !chosen.read_only;
        let done = run(&mut fake);
        prop_assert_eq!(done.is_ok(), alone, "{:?}", done);
        if !alone {
            prop_assert_eq!(doings(&fake), [""; 0]);
        }
        for line in doings(&fake) {
            for node in line.split(|c: char| c.is_whitespace() || c == '\'' || c == '"') {
                let Some(node) = node.strip_prefix("/dev/") else { continue };
                let own = node == chosen.name || [1, 2].iter().any(|n| {
                    node == format!("{}{n}", chosen.name) || node == format!("{}p{n}", chosen.name)
                });
                prop_assert!(own, "`{}` while the disk is {}", line, chosen.name);
            }
        }
    }
}
