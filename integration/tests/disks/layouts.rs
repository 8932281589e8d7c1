//! Each layout, from a blank disk to a machine that boots from it.

use std::path::Path;

use anyhow::{Context as _, ensure};
use integration::lab::disk::VirtualDisk;
use integration::lab::firmware::VmFirmware::{self, Bios, Uefi};
use integration::lab::scratch_vm::run_script;
use integration::lab::services::DhcpSetup::ByRouter;
use integration::lab::testbed::{BOOT, MAC, Setup, Testbed, WORKER, blank};
use netboot::api::machine_view::MachineView;
use netboot::loader::uefi::boot_order::BootEntry;

/// From power-on to a node that runs from its own disk.
fn joins(name: &str, firmware: VmFirmware, layout: &str, root: &str) -> anyhow::Result<()> {
    let profile = WORKER.replace(r#"layout = "ext4""#, layout);
    let mut setup = Setup::new(name, firmware, ByRouter);
    setup.profile = &profile;
    let mut testbed = Testbed::new(&setup)?;
    install(name, &mut testbed)?;
    stands_on(&testbed, root)?;
    testbed.machine.cut_power()?;
    testbed.passed()
}

/// From power-on to joined; says how long that took, and what of it was copying.
fn install(name: &str, testbed: &mut Testbed) -> anyhow::Result<()> {
    testbed.enroll()?;
    testbed.machine.power_on()?;
    let took = testbed.wait_for_joined_by_key()?.as_secs_f32();
    println!("{name}: joined after {took:.1} s; {}", testbed.timing()?);
    Ok(())
}

/// What stage 1 of the practice system said of its root.
fn stands_on(testbed: &Testbed, root: &str) -> anyhow::Result<()> {
    let console = testbed.machine.console()?;
    let line = console.lines().rfind(|line| line.contains("root is "));
    let line = line.context("the system never came to its root")?;
    ensure!(line.contains(root), "{line}");
    Ok(())
}

#[test]
#[ignore = "long: an install on BIOS, 2 min"]
fn a_bios_machine_joins_on_ext4_with_swap() -> anyhow::Result<()> {
    let layout = "layout = \"ext4\"\nswap = \"256M\"";
    joins("ext4-bios", Bios, layout, "(ext4)")
}

#[test]
#[ignore = "long: an install on UEFI, 3 min"]
fn a_uefi_machine_joins_on_ext4_with_swap() -> anyhow::Result<()> {
    let layout = "layout = \"ext4\"\nswap = \"256M\"";
    joins("ext4-uefi", Uefi, layout, "(ext4)")
}

#[test]
fn a_bios_machine_joins_on_btrfs_with_swap() -> anyhow::Result<()> {
    let layout = "layout = \"btrfs\"\nswap = \"256M\"";
    joins("btrfs-bios", Bios, layout, "(btrfs)")
}

#[test]
#[ignore = "long: an install on UEFI, 3 min"]
fn a_uefi_machine_joins_on_btrfs() -> anyhow::Result<()> {
    joins("btrfs-uefi", Uefi, "layout = \"btrfs\"", "(btrfs)")
}

#[test]
#[ignore = "long: an install on BIOS, 2 min"]
fn a_bios_machine_joins_on_xfs() -> anyhow::Result<()> {
    joins("xfs-bios", Bios, "layout = \"xfs\"", "(xfs)")
}

#[test]
#[ignore = "long: an install on UEFI, 3 min"]
fn a_uefi_machine_joins_on_xfs_with_swap() -> anyhow::Result<()> {
    let layout = "layout = \"xfs\"\nswap = \"256M\"";
    joins("xfs-uefi", Uefi, layout, "(xfs)")
}

fn two(dir: &Path) -> anyhow::Result<Vec<VirtualDisk>> {
    let second = VirtualDisk::blank(dir.join("second.disk"), "second", 4096)?;
    Ok(vec![blank(dir)?, second])
}

/// Either disk may fail: the machine boots from the other, and what it boots is the generation that was made last.
fn survives(name: &str, firmware: VmFirmware) -> anyhow::Result<()> {
    let profile = WORKER
        .replace(r#"layout = "ext4""#, r#"layout = "mirror""#)
        .replace(r#"smallest = true, min-size"#, "min-size");
    // The installed node makes itself a second generation.
    let profile = format!("{profile}\n[nixos]\nkernel-params = [\"practice.renew\"]\n");
    let mut setup = Setup::new(name, firmware, ByRouter);
    setup.profile = &profile;
    setup.disks = two;
    let mut testbed = Testbed::new(&setup)?;
    install(name, &mut testbed)?;
    stands_on(&testbed, "/dev/md")?;
    if firmware == Uefi {
        boots_either_disk(&testbed)?;
    }
    let renewed = "renew: ended with status 0";
    testbed.machine.wait_for_console(renewed, BOOT)?;
    testbed.machine.shut_down(BOOT)?;
    starts_alike(&testbed, firmware)?;
    let record = |testbed: &Testbed| testbed.appliance.machine(MAC)?.context("not on record");
    let last = |machine: &MachineView| {
        let last = machine
            .generations
            .iter()
            .find(|g| g.boot_id == machine.boot_id);
        last.map(|generation| (generation.number, generation.boot_id.clone()))
    };
    // One at a time, each with what it had when it was last in the machine.
    for lost in [1, 0] {
        let before = last(&record(&testbed)?);
        testbed.machine.take_out(lost)?;
        testbed.machine.power_on()?;
        let what = format!("a boot without disk {lost}");
        testbed.wait_for(&what, BOOT, |m| last(m) != before)?;
        stands_on(&testbed, "/dev/md")?;
        let generation = last(&record(&testbed)?).map(|(number, _)| number);
        ensure!(generation == Some(2), "generation {generation:?} runs");
        let took = testbed.machine.uptime().as_secs_f32();
        println!("{name}: booted generation 2 without disk {lost} after {took:.1} s");
        testbed.machine.cut_power()?;
    }
    testbed.passed()
}

/// The firmware's order as the node saw it: the network, then an entry for each disk.
fn boots_either_disk(testbed: &Testbed) -> anyhow::Result<()> {
    let order = testbed.appliance.machine(MAC)?.context("not on record")?;
    let order: Vec<String> = order.boot_order.iter().map(BootEntry::to_string).collect();
    println!("boots {}", order.join(", then "));
    let wanted = [
        "network \"",
        "\"Installed by netboot\"",
        "\"Installed by netboot, disk 2\"",
    ];
    let each = order.iter().zip(wanted);
    ensure!(
        order.len() >= wanted.len() && each.clone().all(|(entry, part)| entry.contains(part)),
        "the order is {order:?}"
    );
    Ok(())
}

/// Prints the files of a disk's FAT partition with their hashes. What GRUB needs to find its own disk is not the same on both.
const FILES: &str = r#"
modprobe vfat
for name in main second; do
    echo "disk $name"
    mount -t vfat -o ro "$(blkid -t PARTLABEL=disk-$name-ESP -o device)" /mnt
    (cd /mnt && find . -type f ! -path './grub/i386-pc/*' -exec sha256sum {} + | sort -k 2)
    umount /mnt
done
"#;

/// Both disks have the same files to start from, and those of the second generation are among them.
fn starts_alike(testbed: &Testbed, firmware: VmFirmware) -> anyhow::Result<()> {
    let disks: Vec<&VirtualDisk> = testbed.machine.build().disks.iter().collect();
    let files = run_script(&testbed.dir, &disks, FILES)?;
    println!("{files}");
    let (main, second) = files
        .split_once("disk second\n")
        .context("the disks were not looked at")?;
    let main = main.trim_start_matches("disk main\n");
    ensure!(main == second, "they differ:\n{files}");
    let menu = match firmware {
        Uefi => "./loader/entries/nixos-generation-2.conf",
        _ => "./grub/grub.cfg",
    };
    for wanted in [menu, "practice-renewed-initrd.efi"] {
        ensure!(main.contains(wanted), "there is no {wanted}:\n{main}");
    }
    Ok(())
}

#[test]
fn a_bios_machine_with_a_mirror_survives_the_loss_of_either_disk() -> anyhow::Result<()> {
    survives("mirror-bios", Bios)
}

#[test]
#[ignore = "long: an install and two boots on UEFI, 6 min"]
fn a_uefi_machine_with_a_mirror_survives_the_loss_of_either_disk() -> anyhow::Result<()> {
    survives("mirror-uefi", Uefi)
}
