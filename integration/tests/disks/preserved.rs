//! A reimage takes the system, and leaves what the profile preserves: a partition beside the system, and a whole disk.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use integration::lab::command::{output, run};
use integration::lab::disk::VirtualDisk;
use integration::lab::firmware::VmFirmware::{self, Bios, Uefi};
use integration::lab::services::DhcpSetup::ByRouter;
use integration::lab::testbed::{MAC, Setup, Testbed, blank};
use netboot::install::plan::{DiskAction, Plan};

use crate::the_others_are_unchanged;

/// Without `keep`, two disks would match.
const PROFILE: &str = r#"system = "x86_64-linux"

[disk]
select = { min-size = "2G" }
keep = [{ serial = "data" }]

[disk.devices.disk.main.content]
type = "gpt"

[disk.devices.disk.main.content.partitions]
grub = { type = "EF02", size = "1M" }
ESP = { type = "EF00", size = "256M", content = { type = "filesystem", format = "vfat", mountpoint = "/boot" } }
root = { size = "2G", content = { type = "filesystem", format = "ext4", mountpoint = "/" } }
swap = { size = "64M", content = { type = "swap" } }
photos = { size = "100%", label = "photos", preserve = true, content = { type = "filesystem", format = "ext4", mountpoint = "/srv/photos", extraArgs = ["-O", "^has_journal"] } }

[k3s]
role = "agent"
"#;

fn with_another(dir: &Path) -> anyhow::Result<Vec<VirtualDisk>> {
    let other = VirtualDisk::with_data(dir.join("data.disk"), "data", 5120)?;
    Ok(vec![blank(dir)?, other])
}

/// The partition with this label: its first byte, and its size.
fn place(disk: &VirtualDisk, label: &str) -> anyhow::Result<(u64, u64)> {
    let text = output(Command::new("sfdisk").arg("--json").arg(&disk.file))?;
    let table: serde_json::Value = serde_json::from_str(&text)?;
    let partitions = table["partitiontable"]["partitions"].as_array();
    let mut all = partitions.into_iter().flatten();
    let found = all.find(|one| one["name"] == label);
    let found = found.with_context(|| format!("no partition is labelled `{label}`: {text}"))?;
    let sectors = |key: &str| found[key].as_u64().map(|number| number * 512);
    let place = sectors("start").zip(sectors("size"));
    place.with_context(|| format!("no place in {found}"))
}

/// The ext4 of a partition, of a machine that is off. It has no journal: having played one, e2fsck looks for the filesystem
/// at the beginning of the file.
struct Inside(String);

impl Inside {
    fn of(disk: &VirtualDisk, label: &str) -> anyhow::Result<Self> {
        let (start, _) = place(disk, label)?;
        let name = format!("{}?offset={start}", disk.file.display());
        // 1: something was mended, which is what the power cut left to do.
        let status = Command::new("e2fsck").args(["-p", &name]).status()?;
        ensure!(
            matches!(status.code(), Some(0 | 1)),
            "e2fsck {name}: {status}"
        );
        Ok(Self(name))
    }

    fn put(&self, file: &Path, name: &str) -> anyhow::Result<()> {
        let request = format!("write {} {name}", file.display());
        run(Command::new("debugfs").args(["-w", "-R", &request, &self.0]))
    }

    fn get(&self, name: &str, file: &Path) -> anyhow::Result<()> {
        let request = format!("dump {name} {}", file.display());
        run(Command::new("debugfs").args(["-R", &request, &self.0]))
    }
}

/// Fills a file with octets that cannot be compressed and differ each time.
fn random(file: PathBuf) -> anyhow::Result<PathBuf> {
    let mut bytes = vec![0; 5_000_001];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    fs::write(&file, bytes)?;
    Ok(file)
}

fn plan(testbed: &Testbed) -> anyhow::Result<Plan> {
    let machine = testbed.appliance.machine(MAC)?.context("not on record")?;
    let plan = machine.attempt.and_then(|attempt| attempt.plan);
    plan.context("there is no plan")
}

/// Powers on, waits for the node, looks where the partition is mounted, powers off.
fn installed(testbed: &mut Testbed) -> anyhow::Result<()> {
    testbed.machine.power_on()?;
    let took = testbed.wait_for_joined_by_key()?;
    println!("joined after {:.1} s", took.as_secs_f32());
    let console = testbed.machine.console()?;
    ensure!(
        console.contains("is on /srv/photos (ext4)"),
        "the system did not mount it"
    );
    testbed.machine.cut_power()
}

fn stays(name: &str, firmware: VmFirmware) -> anyhow::Result<()> {
    let mut setup = Setup::new(name, firmware, ByRouter);
    setup.profile = PROFILE;
    setup.disks = with_another;
    let mut testbed = Testbed::new(&setup)?;
    testbed.enroll()?;
    installed(&mut testbed)?;
    // It was not there.
    ensure!(plan(&testbed)?.keeps.is_empty());
    let disk = testbed.machine.build().disks[0].clone();
    let before = place(&disk, "photos")?;
    let old_root = fs_uuid(&disk)?;
    let photo = random(testbed.dir.join("photo"))?;
    Inside::of(&disk, "photos")?.put(&photo, "photo")?;

    testbed.appliance.must("reimage node1")?;
    installed(&mut testbed)?;
    let plan = plan(&testbed)?;
    ensure!(plan.keeps.len() == 1, "{:?}", plan.keeps);
    let fates: Vec<DiskAction> = plan.seen.iter().map(|seen| seen.action).collect();
    ensure!(
        fates == [DiskAction::Written, DiskAction::Kept],
        "{fates:?}"
    );
    ensure!(place(&disk, "photos")? == before, "it was moved");
    ensure!(fs_uuid(&disk)? != old_root, "the root was not made anew");
    let found = testbed.dir.join("photo.after");
    Inside::of(&disk, "photos")?.get("photo", &found)?;
    ensure!(
        fs::read(&found)? == fs::read(&photo)?,
        "the file is not what it was"
    );
    the_others_are_unchanged(&testbed)?;
    testbed.passed()
}

/// The UUID of the root filesystem.
fn fs_uuid(disk: &VirtualDisk) -> anyhow::Result<String> {
    let (start, size) = place(disk, "disk-main-root")?;
    let mut blkid = Command::new("blkid");
    blkid.args(["--probe", "--output", "value", "--match-tag", "UUID"]);
    blkid.args(["--offset", &start.to_string(), "--size", &size.to_string()]);
    output(blkid.arg(&disk.file))
}

#[test]
fn a_bios_machine_is_installed_again_around_a_partition_and_a_disk_that_stay() -> anyhow::Result<()>
{
    stays("preserved-bios", Bios)
}

#[test]
#[ignore = "long: two installs on UEFI, 6 min"]
fn a_uefi_machine_is_installed_again_around_a_partition_and_a_disk_that_stay() -> anyhow::Result<()>
{
    stays("preserved-uefi", Uefi)
}
