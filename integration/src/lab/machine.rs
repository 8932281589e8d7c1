//! A physical machine, played by QEMU: firmware, a network card in the switch, disks, a power switch.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, io};

use anyhow::{Context as _, bail};

use super::arm::{self, Arm};
use super::bus::{self, comma};
use super::disk::VirtualDisk;
use super::firmware::{VmFirmware, ovmf};
use super::lan;
use super::nvram::{self, FirstBoot};
use super::process::{Process, append};
use super::qmp::Qmp;
use super::terminal::Terminal;
use super::tpm;
use super::wait::wait_for;

/// A slot on the PCI bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PciSlot(pub u8);

/// Before [`CARD`], so that firmware and Linux find it first.
const STRAY_CARD: PciSlot = PciSlot(1);
const CARD: PciSlot = PciSlot(3);
const FIRST_DISK: u8 = 4;

/// The kind of the network card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Card {
    /// Firmware has a driver of its own for it.
    Virtio,
    /// An Intel 82540EM: UEFI takes the driver from the card's ROM.
    E1000,
}

/// What it is made of; stays the same when it is off.
#[derive(Debug, Clone)]
pub struct MachineSpec {
    pub firmware: VmFirmware,
    pub mac: String,
    pub uuid: String,
    pub serial: String,
    pub memory_mib: u32,
    /// The first is the one it boots from.
    pub disks: Vec<VirtualDisk>,
    /// Somebody opened it and plugged the disks in the other way round: the last is found first.
    pub disks_reversed: bool,
    /// The disk at this place is in a drawer.
    pub taken_out: Option<u8>,
    /// UEFI only; SeaBIOS is told to try the network first.
    pub first: FirstBoot,
    pub card: Card,
    /// A second card, found before the other, whose cable does not lead to the LAN.
    pub stray_card: bool,
    /// It has a TPM 2, with a memory of its own.
    pub tpm: bool,
    /// Somebody can type at its serial console.
    pub keyboard: bool,
}

pub struct VirtualMachine {
    build: MachineSpec,
    tap: String,
    /// The variables of its UEFI, its own.
    vars: Option<PathBuf>,
    /// Everything it ever wrote on its console, one power-on after the other.
    console: PathBuf,
    log: PathBuf,
    on: Option<(Process, Qmp)>,
    /// Plays its TPM while it is on.
    tpm: Option<Process>,
    powered: Instant,
    /// The length of the console's log at power-on.
    since: u64,
}

impl VirtualMachine {
    pub fn new(build: MachineSpec, tap: &str, dir: &Path) -> anyhow::Result<Self> {
        lan::tap(tap)?;
        if build.stray_card {
            lan::stray_tap(&format!("{tap}-stray"))?;
        }
        let vars = match build.firmware {
            VmFirmware::Bios | VmFirmware::Arm(Arm::UBoot) => None,
            VmFirmware::Arm(arm) => {
                let file = dir.join(format!("{tap}.vars"));
                arm.variables(&file)?;
                Some(file)
            }
            VmFirmware::Uefi | VmFirmware::SecureBoot => {
                let file = dir.join(format!("{tap}.vars"));
                let mut vars = fs::read(ovmf(build.firmware)?.1)?;
                let mac = octets(&build.mac)?;
                let nodes = build.disks.first().map(|d| d.bus.path_nodes());
                let disk = (PciSlot(FIRST_DISK), nodes.as_deref().unwrap_or_default());
                nvram::boot_order(&mut vars, mac, CARD, disk, build.first)?;
                fs::write(&file, vars)?;
                Some(file)
            }
        };
        Ok(Self {
            build,
            tap: tap.to_owned(),
            vars,
            console: dir.join(format!("{tap}.console")),
            log: dir.join(format!("{tap}.qemu")),
            on: None,
            tpm: None,
            powered: Instant::now(),
            since: 0,
        })
    }

    pub fn build(&self) -> &MachineSpec {
        &self.build
    }

    pub fn power_on(&mut self) -> anyhow::Result<()> {
        if self.on.is_some() {
            bail!("the machine is on already");
        }
        self.since = self.console_length()?;
        let mut qemu = Command::new(match self.build.firmware {
            VmFirmware::Arm(_) => arm::QEMU,
            VmFirmware::Uefi | VmFirmware::SecureBoot | VmFirmware::Bios => "qemu-system-x86_64",
        });
        qemu.args(arguments(
            &self.build,
            &self.tap,
            self.vars.as_deref(),
            &self.console,
        )?)
        .current_dir(
            self.console
                .parent()
                .context("a console without a folder")?,
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(append(&self.log)?);
        if self.build.tpm {
            let dir = self.console.parent();
            let dir = dir.context("a console without a folder")?;
            // swtpm of the last power-on still holds the TPM's memory.
            self.tpm = None;
            self.tpm = Some(tpm::power_on(&self.tap, dir, &self.log)?);
        }
        self.powered = Instant::now();
        let mut process = Process::spawn("the machine (QEMU)", &mut qemu)?;
        let qmp = Qmp::new(process.child())
            .with_context(|| format!("the machine did not start; see `{}`", self.log.display()))?;
        self.on = Some((process, qmp));
        Ok(())
    }

    /// With a finger on the key that boots from the network this once.
    pub fn power_on_from_network(&mut self) -> anyhow::Result<()> {
        if let Some(file) = &self.vars {
            let mut vars = fs::read(file)?;
            nvram::network_next(&mut vars)?;
            fs::write(file, vars)?;
        }
        self.power_on()
    }

    /// With a finger on the key for the boot menu, where the entry with this title is chosen for this once. Firmware without
    /// entries is powered on as ever.
    pub fn power_on_from(&mut self, title: &str) -> anyhow::Result<()> {
        if let Some(file) = &self.vars {
            let mut vars = fs::read(file)?;
            nvram::next(&mut vars, title)?;
            fs::write(file, vars)?;
        }
        self.power_on()
    }

    /// The same while it runs its firmware: off and on again. To whoever looks at its console or its clock it was never off.
    pub fn restart_from(&mut self, title: &str) -> anyhow::Result<()> {
        let (since, powered) = (self.since, self.powered);
        self.cut_power()?;
        self.power_on_from(title)?;
        (self.since, self.powered) = (since, powered);
        Ok(())
    }

    /// In the firmware's menu, while it is off: the entries with these titles first, the others behind them.
    pub fn put_first(&mut self, titles: &[&str]) -> anyhow::Result<()> {
        if self.on.is_some() {
            bail!("the machine is on");
        }
        let file = self.vars.as_ref().context("it has no boot entries")?;
        let mut vars = fs::read(file)?;
        nvram::put_first(&mut vars, titles)?;
        Ok(fs::write(file, vars)?)
    }

    /// The plug is pulled: no program gets a chance to write anything.
    pub fn cut_power(&mut self) -> anyhow::Result<()> {
        let (mut process, _) = self.on.take().context("the machine is off already")?;
        process.kill()
    }

    /// The reset button.
    pub fn reset(&mut self) -> anyhow::Result<()> {
        self.qmp()?.execute("system_reset").map(drop)
    }

    /// Pulls a disk out while it runs, by its place in the list of disks. See [`Bus::Scsi`].
    pub fn pull_out(&mut self, number: u8) -> anyhow::Result<()> {
        let id = serde_json::json!({ "id": format!("device{number}") });
        self.qmp()?.execute_with("device_del", &id).map(drop)
    }

    /// Lets a virtio disk have another size from now on.
    pub fn resize(&mut self, number: u8, mib: u64) -> anyhow::Result<()> {
        let to = serde_json::json!({ "device": format!("disk{number}"), "size": mib << 20 });
        self.qmp()?.execute_with("block_resize", &to).map(drop)
    }

    /// Opens it, while it is off.
    pub fn reverse_disks(&mut self) -> anyhow::Result<()> {
        if self.on.is_some() {
            bail!("the machine is on");
        }
        self.build.disks_reversed = !self.build.disks_reversed;
        Ok(())
    }

    /// Opens it, while it is off, and leaves out the disk at this place in the list; the one before is back.
    pub fn take_out(&mut self, number: u8) -> anyhow::Result<()> {
        if self.on.is_some() {
            bail!("the machine is on");
        }
        self.build.taken_out = Some(number);
        Ok(())
    }

    fn qmp(&mut self) -> anyhow::Result<&mut Qmp> {
        Ok(&mut self.on.as_mut().context("the machine is off")?.1)
    }

    /// The power button, pressed shortly: the system shuts down if it listens.
    pub fn shut_down(&mut self, limit: Duration) -> anyhow::Result<()> {
        let (process, qmp) = self.on.as_mut().context("the machine is off")?;
        qmp.execute("system_powerdown")?;
        wait_for("the machine to turn itself off", limit, || {
            Ok(process.ended()?.is_some())
        })?;
        self.on = None;
        Ok(())
    }

    pub fn still_runs(&mut self) -> anyhow::Result<()> {
        match &mut self.on {
            Some((process, _)) => process.still_runs(),
            None => bail!("the machine is off"),
        }
    }

    /// The time since it was last turned on.
    pub fn uptime(&self) -> Duration {
        self.powered.elapsed()
    }

    /// Processor time since it was last turned on: a clock that stands still while the host works for others.
    pub fn effort(&self) -> anyhow::Result<Duration> {
        let (process, _) = self.on.as_ref().context("the machine is off")?;
        process.processor_time()
    }

    /// What it wrote on its console since it was last turned on.
    pub fn console(&self) -> anyhow::Result<String> {
        let bytes = match fs::read(&self.console) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other?,
        };
        let since = usize::try_from(self.since)?.min(bytes.len());
        Ok(String::from_utf8_lossy(&bytes[since..]).into_owned())
    }

    /// Waits for a text on the console of this power-on.
    pub fn wait_for_console(&mut self, text: &str, limit: Duration) -> anyhow::Result<()> {
        wait_for(&format!("`{text}` on the console"), limit, || {
            self.still_runs()?;
            Ok(self.console()?.contains(text))
        })
    }

    /// Types at its console, where there is a key to be pressed, and waits until it shows `wanted`.
    pub fn type_at_console(
        &mut self,
        text: &str,
        wanted: &str,
        limit: Duration,
    ) -> anyhow::Result<()> {
        let mut terminal = self.terminal()?;
        terminal.write(text)?;
        let what = format!("`{wanted}` on the console after `{}`", text.escape_debug());
        wait_for(&what, limit, || {
            self.still_runs()?;
            terminal.look()?;
            Ok(self.console()?.contains(wanted))
        })
    }

    /// The chair before its console, of a machine with a keyboard.
    pub fn terminal(&self) -> anyhow::Result<Terminal> {
        Terminal::open(&self.console.with_file_name(keys(&self.tap)))
    }

    fn console_length(&self) -> anyhow::Result<u64> {
        match fs::metadata(&self.console) {
            Ok(meta) => Ok(meta.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error.into()),
        }
    }
}

/// QEMU's command line.
fn arguments(
    build: &MachineSpec,
    tap: &str,
    vars: Option<&Path>,
    console: &Path,
) -> anyhow::Result<Vec<String>> {
    let mut args = words(&format!(
        "-nodefaults -m {} -smp 1 -display none -vga none -qmp stdio",
        build.memory_mib
    ));
    args.extend(match build.firmware {
        VmFirmware::Arm(arm) => arm.board(vars),
        firmware => pc(firmware, vars)?,
    });
    args.extend(words(&format!(
        "-uuid {} -smbios type=1,serial={}",
        build.uuid, build.serial
    )));
    args.push("-chardev".to_owned());
    args.push(
        match build.keyboard || build.firmware == VmFirmware::Arm(Arm::UBoot) {
            true => format!(
                "socket,id=console,server=on,wait=off,path={},logappend=on,logfile={}",
                keys(tap),
                comma(console)
            ),
            false => format!("file,id=console,append=on,path={}", comma(console)),
        },
    );
    args.extend(words("-serial chardev:console"));
    args.extend(words("-object rng-random,filename=/dev/urandom,id=noise -device virtio-rng-pci,rng=noise,addr=0x2"));
    if build.tpm {
        args.extend(words(&tpm::arguments(tap)));
    }
    // OVMF's order stands in its variables.
    let ordered = !matches!(build.firmware, VmFirmware::Uefi | VmFirmware::SecureBoot);
    if build.stray_card {
        args.extend(words(&format!(
            "-netdev tap,id=stray,ifname={tap}-stray,script=no,downscript=no"
        )));
        args.push("-device".to_owned());
        let PciSlot(slot) = STRAY_CARD;
        args.push(format!(
            "virtio-net-pci,netdev=stray,mac=52:54:00:5e:5e:5e,addr={slot:#x},romfile="
        ));
    }
    args.extend(words(&format!(
        "-netdev tap,id=lan,ifname={tap},script=no,downscript=no"
    )));
    args.push("-device".to_owned());
    let PciSlot(slot) = CARD;
    let (card, rom) = match (build.card, build.firmware) {
        // Without a ROM, UEFI uses its own PXE; SeaBIOS has none of its own.
        (Card::Virtio, VmFirmware::Bios) => ("virtio-net-pci", ""),
        (Card::Virtio, _) => ("virtio-net-pci", ",romfile="),
        (Card::E1000, _) => ("e1000", ""),
    };
    let boot = if ordered { ",bootindex=1" } else { "" };
    args.push(format!(
        "{card},netdev=lan,mac={},addr={slot:#x}{rom}{boot}",
        build.mac
    ));
    let present = |number: u8| build.taken_out != Some(number);
    let first = u8::from(!present(0));
    for (number, disk) in (0_u8..).zip(&build.disks) {
        if !present(number) {
            continue;
        }
        let boot = if ordered && number == first {
            ",bootindex=2"
        } else {
            ""
        };
        let last = u8::try_from(build.disks.len())? - 1;
        let place = if build.disks_reversed {
            last - number
        } else {
            number
        };
        args.extend(bus::arguments(number, disk, FIRST_DISK + place, boot));
    }
    Ok(args)
}

/// A PC with an x86-64 processor, in QEMU's words.
fn pc(firmware: VmFirmware, vars: Option<&Path>) -> anyhow::Result<Vec<String>> {
    let accel = env::var("NETBOOT_ACCEL").unwrap_or_else(|_| "tcg".to_owned());
    // The serial port is all there is to see; without graphics SeaBIOS and iPXE write there too.
    let mut args = words(&format!(
        "-accel {accel} -cpu max -machine q35,graphics=off,hpet=on -boot menu=off,strict=on"
    ));
    if firmware == VmFirmware::SecureBoot {
        // Only the firmware itself, in system management mode, may write its variables.
        args.extend(words(
            "-machine smm=on -global driver=cfi.pflash01,property=secure,value=on",
        ));
    }
    if let Some(vars) = vars {
        let (code, _) = ovmf(firmware)?;
        for (file, more) in [(code.as_path(), ",readonly=on"), (vars, "")] {
            args.push("-drive".to_owned());
            args.push(format!("if=pflash,format=raw{more},file={}", comma(file)));
        }
    }
    Ok(args)
}

/// The socket of a console that can be typed at, in the machine's folder.
fn keys(tap: &str) -> String {
    format!("{tap}.keys")
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn octets(mac: &str) -> anyhow::Result<[u8; 6]> {
    let octets: Vec<u8> = mac
        .split(':')
        .map(|octet| u8::from_str_radix(octet, 16))
        .collect::<Result<_, _>>()
        .with_context(|| format!("`{mac}` is no MAC address"))?;
    <[u8; 6]>::try_from(octets).map_err(|_| anyhow::anyhow!("`{mac}` is no MAC address"))
}

#[cfg(test)]
mod tests;
