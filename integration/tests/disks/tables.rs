//! A table of one's own that has all of it: an array over two disks, encrypted, with subvolumes inside, and a partition beside.

use std::path::Path;

use anyhow::{Context as _, ensure};
use integration::lab::disk::VirtualDisk;
use integration::lab::firmware::VmFirmware::{self, Bios, Uefi};
use integration::lab::services::DhcpSetup::ByRouter;
use integration::lab::testbed::{MAC, Setup, Testbed, blank};

const PROFILE: &str = r#"system = "x86_64-linux"

[disk]
select = [{ serial = "root" }, { serial = "second" }]

[disk.devices.disk.main.content]
type = "gpt"

[disk.devices.disk.main.content.partitions]
grub = { type = "EF02", size = "1M" }
ESP = { type = "EF00", size = "256M", content = { type = "filesystem", format = "vfat", mountpoint = "/boot" } }
root = { size = "3G", content = { type = "mdraid", name = "root" } }

[disk.devices.disk.second.content]
type = "gpt"

[disk.devices.disk.second.content.partitions]
grub = { type = "EF02", size = "1M" }
ESP = { type = "EF00", size = "256M", content = { type = "filesystem", format = "vfat", mountpoint = "/boot-second" } }
root = { size = "3G", content = { type = "mdraid", name = "root" } }
photos = { size = "100%", content = { type = "filesystem", format = "ext4", mountpoint = "/srv/photos" } }

[disk.devices.mdadm.root]
type = "mdadm"
level = 1

[disk.devices.mdadm.root.content]
type = "luks"
name = "root"

[disk.devices.mdadm.root.content.content]
type = "btrfs"

[disk.devices.mdadm.root.content.content.subvolumes]
"/root" = { mountpoint = "/" }
"/nix" = { mountpoint = "/nix", mountOptions = ["noatime"] }
"/var" = { mountpoint = "/var" }

[k3s]
role = "agent"
"#;

/// The two that are meant lie before and after one that is not.
fn three(dir: &Path) -> anyhow::Result<Vec<VirtualDisk>> {
    let second = VirtualDisk::blank(dir.join("second.disk"), "second", 4096)?;
    let data = VirtualDisk::with_data(dir.join("data.disk"), "data", 5120)?;
    Ok(vec![blank(dir)?, data, second])
}

fn joins(name: &str, firmware: VmFirmware) -> anyhow::Result<()> {
    let mut setup = Setup::new(name, firmware, ByRouter);
    setup.profile = PROFILE;
    setup.disks = three;
    let mut testbed = Testbed::new(&setup)?;
    testbed.enroll()?;
    testbed.machine.power_on()?;
    let took = testbed.wait_for_joined_by_key()?.as_secs_f32();
    println!("{name}: joined after {took:.1} s; {}", testbed.timing()?);
    let console = testbed.machine.console()?;
    for words in [
        "unlock: root is opened by the appliance's key",
        "root is /dev/mapper/root (btrfs)",
        "is on /srv/photos (ext4)",
    ] {
        ensure!(console.contains(words), "no `{words}` in:\n{console}");
    }
    let machine = testbed.appliance.machine(MAC)?.context("not on record")?;
    let plan = machine.attempt.and_then(|attempt| attempt.plan);
    let plan = plan.context("there is no plan")?;
    let chosen: Vec<&str> = plan.disks.iter().map(|d| d.disk.serial.as_str()).collect();
    ensure!(chosen == ["root", "second"], "{chosen:?}");
    testbed.machine.cut_power()?;
    let others = testbed.machine.build().disks[1].check_unchanged();
    others.context("the disk between the two")?;
    testbed.passed()
}

#[test]
#[ignore = "long: an install on BIOS, 3 min"]
fn a_bios_machine_joins_on_an_encrypted_array_of_two_disks() -> anyhow::Result<()> {
    joins("table-bios", Bios)
}

#[test]
#[ignore = "long: an install on UEFI, 4 min"]
fn a_uefi_machine_joins_on_an_encrypted_array_of_two_disks() -> anyhow::Result<()> {
    joins("table-uefi", Uefi)
}
