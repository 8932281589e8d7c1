//! A partition that later installs are to preserve is found by its label only once it is whole.

use netboot::disk::hardware::Firmware;
use netboot::install::report::InstallStep;

use super::{doings, failed, run};
use crate::fake::{DiskSpec, FakeMachine, plan_for};
use crate::inventory::inventory;

const TABLE: &str = r#"[disk.devices.disk.main.content]
type = "gpt"
[disk.devices.disk.main.content.partitions]
core = { type = "EF02", size = "1M" }
root = { size = "4G", content = { type = "filesystem", format = "ext4", mountpoint = "/" } }
files = { size = "100%", label = ".files", preserve = true, content = { type = "btrfs", subvolumes = { "@srv" = { mountpoint = "/srv" } } } }
"#;

fn machine() -> FakeMachine {
    let mut fake = FakeMachine::machine(Firmware::Bios);
    let disk = DiskSpec::virtio("vda", 8 << 30, "root");
    fake.plan = plan_for(Firmware::Bios, TABLE, &[disk]);
    fake
}

/// The GPT names on the planned disk.
fn labels(fake: &mut FakeMachine) -> Vec<String> {
    let roots = fake.roots();
    let disks = inventory(fake, &roots).disks;
    let disk = disks.iter().find(|disk| disk.node == "vda");
    let holds = &disk.expect("the disk").holds;
    holds
        .iter()
        .map(|held| held.partition_label.clone())
        .collect()
}

fn is_rename(line: &str) -> bool {
    line.contains("--part-label")
}

#[test]
fn it_gets_its_label_between_the_last_filesystem_and_the_first_mount() {
    let mut fake = machine();
    run(&mut fake).expect("installs");
    assert_eq!(labels(&mut fake)[2], ".files");
    let all = doings(&fake);
    let at = |is: fn(&str) -> bool| all.iter().position(|line| is(line));
    let named = at(is_rename).expect("is named");
    assert_eq!(
        all[named],
        "sfdisk --quiet --lock=yes --no-reread --no-tell-kernel --part-label -- /dev/vda 3 .files"
    );
    assert_eq!(all[named - 1], "umount /mnt", "with its subvolumes");
    assert_eq!(all[named + 1], "mount -t ext4 /dev/vda2 /mnt");
    assert_eq!(all.iter().filter(|line| is_rename(line)).count(), 1);
}

#[test]
fn wherever_it_is_cut_off_before_that_nothing_has_the_label() {
    let mut whole = machine();
    run(&mut whole).expect("installs");
    let table = whole
        .log
        .iter()
        .position(|line| line.contains("label: gpt"));
    let table = table.expect("a table") + 1;
    let named = whole.log.iter().position(|line| is_rename(line));
    let named = named.expect("is named");
    let mut cut = 0;
    for place in table..=named {
        let mut fake = machine();
        fake.fail_at = Some(place);
        // Commands that only read, and those that are tried again, may fail.
        let Err(stop) = run(&mut fake) else { continue };
        let (step, causes) = failed(Err(stop));
        assert!(step <= InstallStep::Format, "{causes}");
        let line = &whole.log[place];
        assert_eq!(labels(&mut fake)[2], ".files-new", "{line}");
        cut += 1;
    }
    assert!(cut >= 7, "of {} places {cut} cut it off", named - table);
}
