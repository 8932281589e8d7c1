//! Disks that fail: the report names the step, the disk and the error, and the machine is held.

use std::path::Path;

use anyhow::{Context as _, ensure};
use integration::lab::bus::Bus;
use integration::lab::disk::VirtualDisk;
use integration::lab::firmware::VmFirmware::Bios;
use integration::lab::services::DhcpSetup::ByRouter;
use integration::lab::testbed::{BOOT, MAC, Setup, Testbed, WORKER, blank};
use netboot::install::report::{InstallStep, StepOutcome};

use crate::the_others_are_unchanged;

const MIB: u64 = (1 << 20) / 512;
/// Where the root partition begins on a BIOS machine: after the table and the partition for GRUB.
const ROOT: u64 = 2 * MIB;
/// Where data comes to lie and `mkfs.ext4` writes nothing, in MiB of a root of almost 4 GiB: between the tables of
/// inodes, the copies of the superblock (which begin a MiB) and the journal.
const DATA: [std::ops::Range<u64>; 2] = [64..1790, 2100..4080];

fn with_data(dir: &Path, root: VirtualDisk) -> anyhow::Result<Vec<VirtualDisk>> {
    Ok(vec![
        root,
        VirtualDisk::with_data(dir.join("data.disk"), "data", 5120)?,
    ])
}

fn enrolled(
    name: &str,
    disks: fn(&Path) -> anyhow::Result<Vec<VirtualDisk>>,
) -> anyhow::Result<Testbed> {
    begins(Setup {
        disks,
        ..Setup::new(name, Bios, ByRouter)
    })
}

fn begins(setup: Setup<'_>) -> anyhow::Result<Testbed> {
    let mut testbed = Testbed::new(&setup)?;
    testbed.enroll()?;
    testbed.machine.power_on()?;
    Ok(testbed)
}

fn begins_to_copy(testbed: &mut Testbed) -> anyhow::Result<()> {
    testbed.wait_for("the copy to begin", BOOT, |m| {
        m.attempt.as_ref().is_some_and(|a| {
            a.progress.step == Some(InstallStep::Copy)
                && a.progress.outcome != Some(StepOutcome::Done)
        })
    })?;
    Ok(())
}

/// Checks that the report of the failure has all of these words and names one of the steps, and that the other disks
/// are unchanged.
fn is_told(mut testbed: Testbed, steps: &[InstallStep], words: &[&str]) -> anyhow::Result<()> {
    let said = testbed.wait_for_failure(1)?;
    let machine = testbed.appliance.machine(MAC)?.context("not on record")?;
    let step = machine.attempt.and_then(|a| a.progress.step);
    ensure!(
        step.is_some_and(|step| steps.contains(&step)),
        "it failed in {step:?}, not in {steps:?}: {said}"
    );
    for word in words {
        ensure!(said.contains(word), "`{word}` is not said:\n{said}");
    }
    testbed.machine.wait_for_console("INSTALL FAILED", BOOT)?;
    let took = testbed.machine.uptime().as_secs_f32();
    println!("failed in {step:?} after {took:.1} s");
    testbed.machine.cut_power()?;
    the_others_are_unchanged(&testbed)?;
    testbed.passed()
}

#[test]
fn a_sector_that_cannot_be_written_ends_the_install_in_the_step_that_meets_it() -> anyhow::Result<()>
{
    let testbed = enrolled("bad-sector", |dir| {
        with_data(dir, blank(dir)?.with_bad_sectors([ROOT + 2])?)
    })?;
    let words = ["`/dev/vda2`", "serial `root`", "Input/output error"];
    is_told(testbed, &[InstallStep::Partition], &words)
}

/// Its place is cleared before it is written.
#[test]
#[ignore = "long: an install that fails, 1 min"]
fn a_partition_table_that_cannot_be_written_is_noticed_before_the_disk_is_partitioned()
-> anyhow::Result<()> {
    let testbed = enrolled("bad-table", |dir| {
        with_data(dir, blank(dir)?.with_bad_sectors([1])?)
    })?;
    let words = ["`/dev/vda`", "serial `root`", "Input/output error"];
    is_told(testbed, &[InstallStep::TearDown], &words)
}

/// The first copy of the superblock of ext4, 128 MiB after the first.
const SUPERBLOCK: u64 = ROOT + 128 * MIB;

#[test]
#[ignore = "long: an install that fails, 1 min"]
fn a_filesystem_that_cannot_be_made_is_told_with_what_mkfs_said() -> anyhow::Result<()> {
    let testbed = enrolled("bad-mkfs", |dir| {
        with_data(dir, blank(dir)?.with_bad_sectors([SUPERBLOCK])?)
    })?;
    let words = ["mkfs.ext4", "serial `root`", "Input/output error"];
    is_told(testbed, &[InstallStep::Format], &words)
}

/// The filesystem takes what is copied and writes it later: asked whether it did, it says that it could not.
#[test]
#[ignore = "long: an install that fails, 2 min"]
fn a_copy_that_cannot_be_written_ends_the_install_in_the_step_that_copies() -> anyhow::Result<()> {
    let testbed = enrolled("bad-data", |dir| {
        let bad = DATA.into_iter().flatten();
        let bad = bad.map(|mib| ROOT + mib * MIB + MIB / 2);
        with_data(dir, blank(dir)?.with_bad_sectors(bad)?)
    })?;
    is_told(testbed, &[InstallStep::Copy], &["serial `root`"])
}

/// The files that the boot loader reads lie on a FAT partition of their own, of which only the kernels are damaged.
#[test]
#[ignore = "long: an install that fails, 2 min"]
fn a_boot_loader_that_cannot_be_written_is_told_with_what_it_said() -> anyhow::Result<()> {
    let profile = WORKER.replace(r#"layout = "ext4""#, r#"layout = "btrfs""#);
    let testbed = begins(Setup {
        profile: &profile,
        disks: |dir| {
            let bad = (8..64).map(|mib| ROOT + mib * MIB + MIB / 2);
            with_data(dir, blank(dir)?.with_bad_sectors(bad)?)
        },
        ..Setup::new("bad-boot-loader", Bios, ByRouter)
    })?;
    is_told(
        testbed,
        &[InstallStep::BootLoader],
        &["does not install its boot loader", "serial `root`"],
    )
}

/// Sectors as the practice installer takes them: start and number.
fn behind_error_target(
    name: &str,
    bad: impl Iterator<Item = (u64, u64)>,
    step: InstallStep,
    words: &[&str],
) -> anyhow::Result<()> {
    let bad: Vec<String> = bad.map(|(at, count)| format!("{at}+{count}")).collect();
    let cmdline = format!("practice.error-target={}", bad.join(","));
    let profile = WORKER.replace(
        r#"smallest = true, min-size = "2G""#,
        r#"serial = "failing""#,
    );
    let testbed = begins(Setup {
        profile: &profile,
        cmdline: &cmdline,
        disks: |dir| with_data(dir, blank(dir)?),
        ..Setup::new(name, Bios, ByRouter)
    })?;
    is_told(testbed, &[step], &[&["serial `failing`"], words].concat())
}

#[test]
#[ignore = "long: an install that fails, 1 min"]
fn a_filesystem_cannot_be_made_on_the_device_mapper_s_error_target() -> anyhow::Result<()> {
    let words = ["mkfs.ext4", "Input/output error"];
    behind_error_target(
        "error-target-mkfs",
        [(SUPERBLOCK, 16)].into_iter(),
        InstallStep::Format,
        &words,
    )
}

#[test]
#[ignore = "long: an install that fails, 2 min"]
fn a_copy_cannot_be_written_to_the_device_mapper_s_error_target() -> anyhow::Result<()> {
    // All between two places where there may be a copy of the superblock.
    let groups = DATA.into_iter().flat_map(|data| {
        let firsts = data.clone().step_by(128).map(|mib| mib / 128 * 128);
        firsts.map(move |group| (data.start.max(group + 1), data.end.min(group + 127)))
    });
    let bad = groups.map(|(from, to)| (ROOT + from * MIB, (to - from) * MIB));
    behind_error_target("error-target-copy", bad, InstallStep::Copy, &[])
}

#[test]
fn a_disk_that_is_pulled_out_while_copying_is_named_as_gone() -> anyhow::Result<()> {
    let mut testbed = enrolled("pulled-out", |dir| {
        with_data(dir, blank(dir)?.on(Bus::Scsi))
    })?;
    begins_to_copy(&mut testbed)?;
    testbed.machine.pull_out(0)?;
    let words = [
        "`sda` is not the disk of the plan any more",
        "it is gone",
        "serial `root`",
    ];
    let steps = [
        InstallStep::Copy,
        InstallStep::Configure,
        InstallStep::BootLoader,
        InstallStep::Unmount,
    ];
    is_told(testbed, &steps, &words)
}

#[test]
#[ignore = "long: an install that fails, 1 min"]
fn a_disk_that_becomes_smaller_is_not_the_one_of_the_plan_any_more() -> anyhow::Result<()> {
    let mut testbed = enrolled("shrunk", |dir| with_data(dir, blank(dir)?))?;
    begins_to_copy(&mut testbed)?;
    testbed.machine.resize(0, 2048)?;
    let words = [
        "`vda` is not the disk of the plan any more",
        "2147483648 bytes",
    ];
    let steps = [
        InstallStep::Copy,
        InstallStep::Configure,
        InstallStep::BootLoader,
    ];
    is_told(testbed, &steps, &words)
}

#[test]
fn a_disk_that_is_read_only_is_no_candidate() -> anyhow::Result<()> {
    let testbed = enrolled("read-only", |dir| {
        let root = VirtualDisk {
            read_only: true,
            ..blank(dir)?
        };
        let data = VirtualDisk {
            read_only: true,
            ..VirtualDisk::with_data(dir.join("data.disk"), "data", 5120)?
        };
        Ok(vec![root, data])
    })?;
    is_told(
        testbed,
        &[InstallStep::Plan],
        &["no disk matches `select`", "serial root, read-only"],
    )
}
