//! Disks with a past: arrays, volumes, keys and tables of other lives.

use std::path::Path;

use anyhow::ensure;
use integration::lab::disk::VirtualDisk;
use integration::lab::firmware::VmFirmware::{self, Bios, Uefi};
use integration::lab::scratch_vm::run_script;
use integration::lab::services::DhcpSetup::ByRouter;
use integration::lab::testbed::{BOOT, Setup, Testbed, blank};
use netboot::api::machine_view::MachineView;

use crate::the_others_are_unchanged;
use crate::zfs::write_labels;

/// Sectors of the partition that a pool lies on, in the table below.
const POOL: [u64; 2] = [2_056_192, 262_144];

/// First a GPT, of which the copy at the end stays behind; then a DOS table with logical partitions. In them: LVM on an array of one
/// version, XFS on an array of another, LUKS, swap, btrfs.
const OLD_ROOT: &str = "
printf 'label: gpt\\nstart=2048, name=stale\\n' | sfdisk --quiet /dev/vda
udevadm settle
dd if=/dev/zero of=/dev/vda bs=512 count=34 2>/dev/null
sfdisk --quiet --wipe never --wipe-partitions never /dev/vda <<TABLE
label: dos
start=2048, size=1228800, type=fd
start=1232896, size=819200, type=83
start=2054144, type=5
start=2056192, size=262144, type=83
start=2320384, size=819200, type=fd
start=3141632, size=131072, type=82
start=3274752, size=614400, type=83
TABLE
udevadm settle
mdadm --create /dev/md/old --metadata=1.2 --level=1 --raid-devices=2 --run /dev/vda1 missing
mdadm --create /dev/md/end --metadata=1.0 --level=1 --raid-devices=2 --run /dev/vda6 missing
pvcreate --yes /dev/md/old
vgcreate oldvg /dev/md/old
lvcreate --yes --name data --size 100M oldvg
mkfs.ext4 -q -L olddata /dev/oldvg/data
mkfs.xfs -q -L end /dev/md/end
printf secret | cryptsetup luksFormat --batch-mode --pbkdf pbkdf2 --iter-time 100 /dev/vda2 -
mkswap -L oldswap /dev/vda7
mkfs.btrfs --quiet -L oldbtrfs /dev/vda8
";

/// A volume group of its own, with a filesystem in use.
const OTHER: &str = "
pvcreate --yes /dev/vdb
vgcreate othervg /dev/vdb
lvcreate --yes --name data --size 1G othervg
mkfs.ext4 -q -L data /dev/othervg/data
mount /dev/othervg/data /mnt
cp -r /bin /mnt
umount /mnt
";

/// Everything that any tool knows by its signature on the disk `vda`.
const WITNESSES: &str = "
mdadm --examine --scan
pvs --readonly --noheadings
for device in /dev/vda*; do
    wipefs --noheadings --output TYPE $device | sort -u | sed \"s,^,$device ,\"
done
";

fn old_disks(dir: &Path) -> anyhow::Result<Vec<VirtualDisk>> {
    let root = blank(dir)?;
    let data = VirtualDisk::blank(dir.join("data.disk"), "data", 5120)?;
    write_labels(&root.file, POOL[0] * 512, POOL[1] * 512, "oldpool")?;
    let script = format!("{OLD_ROOT}{OTHER}udevadm settle\n{WITNESSES}");
    let seen = run_script(dir, &[&root, &data], &script)?;
    for kind in [
        "ARRAY",
        "vda dos",
        "vda gpt",
        "vda1 linux_raid_member",
        "vda2 crypto_LUKS",
        "vda5 zfs_member",
        "vda6 linux_raid_member",
        "vda7 swap",
        "vda8 btrfs",
    ] {
        ensure!(seen.contains(kind), "no {kind} was made:\n{seen}");
    }
    data.keep_copy()?;
    Ok(vec![root, data])
}

fn installs_over_all_of_it(name: &str, firmware: VmFirmware, cmdline: &str) -> anyhow::Result<()> {
    let mut setup = Setup::new(name, firmware, ByRouter);
    setup.disks = old_disks;
    setup.cmdline = cmdline;
    let mut testbed = Testbed::new(&setup)?;
    testbed.enroll()?;
    testbed.machine.power_on()?;
    let joined = testbed.wait_for_joined_by_key()?;
    println!("{name}: joined after {:.1} s", joined.as_secs_f32());
    let machine: MachineView = testbed.appliance.ask("show node1")?;
    let plan = machine.attempt.and_then(|attempt| attempt.plan);
    let destroys = plan.map_or_else(Vec::new, |plan| plan.destroys);
    println!("{destroys:#?}");
    for what in ["gpt-backup", "linux_raid_member", "oldpool", "crypto_LUKS"] {
        ensure!(
            destroys.iter().any(|line| line.contains(what)),
            "the plan does not say that `{what}` will be gone: {destroys:#?}"
        );
    }
    // Only what runs can be seen into.
    for inside in ["`oldvg`", "olddata"] {
        let seen = destroys.iter().any(|line| line.contains(inside));
        ensure!(seen != cmdline.is_empty(), "`{inside}`: {destroys:#?}");
    }
    testbed.machine.cut_power()?;
    the_others_are_unchanged(&testbed)?;
    let root = &testbed.machine.build().disks[0];
    let left = run_script(&testbed.dir, &[root], WITNESSES)?;
    let mut want = vec!["/dev/vda PMBR", "/dev/vda gpt"];
    want.extend(match firmware {
        Bios => vec!["/dev/vda2 ext4"],
        _ => vec!["/dev/vda1 vfat", "/dev/vda2 ext4"],
    });
    ensure!(left.lines().eq(want), "something is left:\n{left}");
    testbed.passed()
}

#[test]
fn a_disk_whose_old_arrays_and_volumes_run_is_torn_down_and_installed() -> anyhow::Result<()> {
    installs_over_all_of_it("dirty-running", Bios, "practice.start-arrays")
}

#[test]
#[ignore = "long: an install on UEFI after a scratch machine, 4 min"]
fn a_disk_full_of_old_signatures_is_installed_on_uefi() -> anyhow::Result<()> {
    installs_over_all_of_it("dirty-uefi", Uefi, "")
}

/// Half of a mirror, and one of two disks of a volume group.
const SPANNING: [(&str, &str, &str); 2] = [
    (
        "array",
        "mdadm --create /dev/md/nas --homehost=old --level=1 --raid-devices=2 --run --assume-clean /dev/vda /dev/vdb\n\
         udevadm settle\nmdadm --stop /dev/md/nas\n",
        "part of the array `old:nas`",
    ),
    (
        "volume group",
        "pvcreate --yes /dev/vda /dev/vdb\nvgcreate both /dev/vda /dev/vdb\n\
         lvcreate --yes --name data --extents 100%FREE both\nvgchange --activate n both\n",
        "part of the volume group `both`",
    ),
];

fn is_refused(
    which: usize,
    disks: fn(&Path) -> anyhow::Result<Vec<VirtualDisk>>,
) -> anyhow::Result<()> {
    let (what, _, words) = SPANNING[which];
    let name = format!("spanning-{}", what.replace(' ', "-"));
    let mut setup = Setup::new(&name, Bios, ByRouter);
    setup.disks = disks;
    let mut testbed = Testbed::new(&setup)?;
    testbed.enroll()?;
    testbed.machine.power_on()?;
    let said = testbed.wait_for_failure(1)?;
    ensure!(said.contains(words) && said.contains("`vdb`"), "{said}");
    ensure!(said.contains("wipefs --all /dev/vdb"), "no tip: {said}");
    testbed.machine.wait_for_console(words, BOOT)?;
    testbed.machine.cut_power()?;
    for disk in &testbed.machine.build().disks {
        disk.check_unchanged()?;
    }
    testbed.passed()
}

fn spanned(dir: &Path, which: usize) -> anyhow::Result<Vec<VirtualDisk>> {
    let root = blank(dir)?;
    let data = VirtualDisk::blank(dir.join("data.disk"), "data", 5120)?;
    run_script(dir, &[&root, &data], SPANNING[which].1)?;
    root.keep_copy()?;
    data.keep_copy()?;
    Ok(vec![root, data])
}

#[test]
fn half_of_a_mirror_is_not_installed_on() -> anyhow::Result<()> {
    is_refused(0, |dir| spanned(dir, 0))
}

#[test]
#[ignore = "long: an install that is refused after a scratch machine, 2 min"]
fn one_disk_of_a_volume_group_is_not_installed_on() -> anyhow::Result<()> {
    is_refused(1, |dir| spanned(dir, 1))
}
