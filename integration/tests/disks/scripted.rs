//! A table that disko's script lays out, LVM among it: the script is root, and still writes to no other disk.

use std::path::Path;

use anyhow::{Context as _, ensure};
use integration::lab::disk::VirtualDisk;
use integration::lab::firmware::VmFirmware::{self, Bios, Uefi};
use integration::lab::scratch_vm::run_script;
use integration::lab::services::DhcpSetup::ByRouter;
use integration::lab::testbed::{MAC, Setup, Testbed, blank};

use crate::the_others_are_unchanged;

/// The hooks try to write to the other disk, and to find its volume group active.
const PROFILE: &str = r#"system = "x86_64-linux"

[disk]
select = { serial = "root" }
engine = "disko"

[disk.devices.disk.main.content]
type = "gpt"

[disk.devices.disk.main.content.partitions]
grub = { type = "EF02", size = "1M" }
ESP = { type = "EF00", size = "256M", content = { type = "filesystem", format = "vfat", mountpoint = "/boot" } }
pool = { size = "100%", content = { type = "lvm_pv", vg = "pool" } }

[disk.devices.disk.main.content.partitions.root]
size = "2G"

[disk.devices.disk.main.content.partitions.root.content]
type = "filesystem"
format = "ext4"
mountpoint = "/"
postCreateHook = """
other=$(readlink -f /dev/disk/by-id/virtio-data)
test -b "$other"
if dd if=/dev/zero of="$other" bs=4096 count=1 conv=fsync; then exit 41; fi
if mkfs.ext4 -q -F "$other"; then exit 42; fi
"""

[disk.devices.lvm_vg.pool]
type = "lvm_vg"

[disk.devices.lvm_vg.pool.lvs.files]
size = "100%"
content = { type = "filesystem", format = "ext4", mountpoint = "/srv/files", postMountHook = "if [ -e /dev/othervg ]; then exit 43; fi" }

[k3s]
role = "agent"
"#;

/// A volume group of its own, with a filesystem in it.
const OTHER: &str = "
pvcreate --yes /dev/vdb
vgcreate othervg /dev/vdb
lvcreate --yes --name data --size 1G othervg
mkfs.ext4 -q -L data /dev/othervg/data
";

fn with_another(dir: &Path) -> anyhow::Result<Vec<VirtualDisk>> {
    let (root, data) = (
        blank(dir)?,
        VirtualDisk::blank(dir.join("data.disk"), "data", 2048)?,
    );
    run_script(dir, &[&root, &data], OTHER)?;
    data.keep_copy()?;
    Ok(vec![root, data])
}

/// If more than once: the script would find what it made the first time, were that not gone.
fn joins(name: &str, firmware: VmFirmware, times: u32) -> anyhow::Result<()> {
    let mut setup = Setup::new(name, firmware, ByRouter);
    setup.profile = PROFILE;
    setup.disks = with_another;
    let mut testbed = Testbed::new(&setup)?;
    testbed.enroll()?;
    for time in 1..=times {
        testbed.machine.power_on()?;
        let took = testbed.wait_for_joined_by_key()?.as_secs_f32();
        println!(
            "{name}: install {time}, joined after {took:.1} s; {}",
            testbed.timing()?
        );
        let console = testbed.machine.console()?;
        for said in ["/srv/files is mounted", "root is /dev/vda3 (ext4)"] {
            ensure!(
                console.contains(said),
                "install {time}: nothing said `{said}`"
            );
        }
        testbed.machine.cut_power()?;
        the_others_are_unchanged(&testbed)?;
        if time < times {
            testbed.appliance.must("reimage node1")?;
        }
    }
    let machine = testbed.appliance.machine(MAC)?.context("not on record")?;
    let plan = machine.attempt.and_then(|attempt| attempt.plan);
    let plan = plan.context("there is no plan")?;
    ensure!(
        plan.script.is_some() && plan.commands.len() == 2,
        "{:?}",
        plan.commands
    );
    testbed.passed()
}

#[test]
fn a_uefi_machine_joins_on_what_diskos_script_laid_out() -> anyhow::Result<()> {
    joins("scripted-uefi", Uefi, 1)
}

#[test]
#[ignore = "long: two installs on BIOS, 4 min"]
fn a_bios_machine_joins_twice_on_what_diskos_script_laid_out() -> anyhow::Result<()> {
    joins("scripted-bios", Bios, 2)
}
