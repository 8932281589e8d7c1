//! A machine without a network, with the tools of the practice installer: what a script does to disks there is done by the
//! real programs on a real kernel, whatever the host has.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::bus::{self, comma};
use super::command::run;
use super::disk::VirtualDisk;
use super::process::{Process, append};
use super::products::Products;
use super::wait::wait_for;

/// Under emulation, beside other tests.
const LIMIT: Duration = Duration::from_secs(180);
const FIRST_DISK: u8 = 4;

/// Runs a script (`sh -e`) with these disks as `vda`, `vdb`, …, and gives what it printed.
///
/// # Errors
/// It ended with another status than 0; with all that was on the console.
pub fn run_script(dir: &Path, disks: &[&VirtualDisk], script: &str) -> anyhow::Result<String> {
    let products = Products::find()?;
    let dir = dir.join("scratch-vm");
    fs::create_dir_all(&dir)?;
    let initrd = initrd(&products, &dir, script)?;
    let console = dir.join("console");
    let _ = fs::remove_file(&console);
    let mut qemu = Command::new("qemu-system-x86_64");
    let accel = std::env::var("NETBOOT_ACCEL").unwrap_or_else(|_| "tcg".to_owned());
    qemu.args(["-nodefaults", "-accel", &accel, "-cpu", "max", "-m", "1024"])
        .args(["-display", "none", "-vga", "none", "-no-reboot"])
        .args(["-machine", "q35,graphics=off,hpet=on"])
        .arg("-kernel")
        .arg(products.installer("kernel"))
        .arg("-initrd")
        .arg(&initrd)
        .arg("-append")
        .arg("console=ttyS0 panic=-1 loglevel=4 cryptomgr.notests rdinit=/scratch-vm")
        .args(["-object", "rng-random,filename=/dev/urandom,id=noise"])
        .args(["-device", "virtio-rng-pci,rng=noise"])
        .arg("-serial")
        .arg(format!("file:{}", comma(&console)));
    for (number, disk) in (0_u8..).zip(disks) {
        qemu.args(bus::arguments(number, disk, FIRST_DISK + number, ""));
    }
    qemu.stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(append(&dir.join("qemu"))?);
    let mut process = Process::spawn("the scratch machine (QEMU)", &mut qemu)?;
    wait_for("the scratch machine to end", LIMIT, || {
        Ok(process.ended()?.is_some())
    })?;
    fs::remove_file(initrd)?;
    let text = fs::read(&console).context("the scratch machine printed nothing")?;
    let text = String::from_utf8_lossy(&text).replace('\r', "");
    match text
        .split_once("scratch-vm: begins\n")
        .and_then(|(_, rest)| rest.split_once("scratch-vm: ended with status 0\n"))
    {
        Some((printed, _)) => Ok(printed.to_owned()),
        None => bail!("the script on the scratch machine failed:\n{text}"),
    }
}

/// The installer's, with the script before it: the kernel reads on after a plain archive.
fn initrd(products: &Products, dir: &Path, script: &str) -> anyhow::Result<std::path::PathBuf> {
    let files = dir.join("files");
    fs::create_dir_all(&files)?;
    fs::write(files.join("scratch-vm"), include_str!("scratch_vm.sh"))?;
    fs::set_permissions(files.join("scratch-vm"), fs::Permissions::from_mode(0o755))?;
    fs::write(files.join("script.sh"), script)?;
    let initrd = dir.join("initrd");
    run(Command::new("sh")
        .arg("-ec")
        .arg(r#"cd "$1"; { find . -mindepth 1 | cpio --quiet -o -H newc; cat "$2"; } >"$3""#)
        .arg("sh")
        .arg(files)
        .arg(products.installer("initrd"))
        .arg(&initrd))?;
    Ok(initrd)
}
