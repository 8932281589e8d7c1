//! Real DHCP clients as they are found on machines, each in a room without an address.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::command::run;
use super::lan::{LanNamespace, move_cable};
use super::optional::Optional;
use super::process::Process;
use super::wait::{wait_for, wait_until};

/// How long a client may take to get an address on a quiet LAN.
const OBTAIN: Duration = Duration::from_secs(25);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// busybox: installers and small systems.
    Udhcpc,
    /// ISC: older distributions.
    Dhclient,
    /// NixOS, Raspberry Pi OS.
    Dhcpcd,
    /// systemd-networkd: servers and cloud images.
    Networkd,
}

impl Program {
    /// All, unless a person leaves out ISC's client, which is at its end, and which nixpkgs has dropped.
    ///
    /// # Errors
    /// It is not installed, and `NETBOOT_WITHOUT` does not name it.
    pub fn all() -> anyhow::Result<Vec<Self>> {
        let mut all = vec![Self::Udhcpc, Self::Dhcpcd, Self::Networkd];
        if !Optional::Dhclient.is_left_out() {
            Optional::Dhclient.command("dhclient")?;
            all.push(Self::Dhclient);
        }
        Ok(all)
    }
}

/// Whether there is a command of this name.
pub fn is_here(command: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(command).is_file())
}

/// Ends with its guard.
pub struct DhcpClient {
    pub room: LanNamespace,
    pub mac: String,
    program: Program,
    process: Process,
    dir: PathBuf,
    pub log: PathBuf,
}

/// What the clients call with their leases: sets the address, and no more. The systems' own hooks would write
/// to this machine's `/etc`.
const HOOK: &str = r#"#!/bin/sh
reason=${reason:-$1}
echo "hook: $reason ${new_ip_address:-$ip}"
case $reason in
    BOUND | RENEW | REBIND | REBOOT | bound | renew)
        ip address replace "${new_ip_address:-$ip}/24" dev "$interface"
        for router in ${new_routers:-$router}; do ip route replace default via "$router" dev "$interface"; done
        ;;
    EXPIRE | FAIL | RELEASE | STOP* | NAK | deconfig | nak) ip address flush dev "$interface" ;;
esac
"#;

const NETWORKD: &str = "[Match]
Name=eth0
[Network]
DHCP=ipv4
LinkLocalAddressing=no
IPv6AcceptRA=no
LLDP=no
";

impl DhcpClient {
    /// Starts it in a new room in `switch`. `number` makes its name and its MAC. It takes its address as it comes.
    pub fn start(program: Program, number: u8, switch: &str, dir: &Path) -> anyhow::Result<Self> {
        Self::start_as(program, number, switch, dir, false)
    }

    /// The same, but it asks the wire whether somebody has the address, and declines it then: udhcpc and dhcpcd.
    pub fn start_careful(
        program: Program,
        number: u8,
        switch: &str,
        dir: &Path,
    ) -> anyhow::Result<Self> {
        Self::start_as(program, number, switch, dir, true)
    }

    fn start_as(
        program: Program,
        number: u8,
        switch: &str,
        dir: &Path,
        careful: bool,
    ) -> anyhow::Result<Self> {
        let name = format!("pc{number}");
        let room = LanNamespace::without_address(&name, switch, &dir.join("rooms"))?;
        let mac = format!("52:54:00:aa:00:{number:02x}");
        room.ip(&format!("link set eth0 address {mac}"))?;
        let dir = dir.join(&name);
        fs::create_dir_all(&dir)?;
        let hook = dir.join("hook");
        fs::write(&hook, HOOK)?;
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755))?;
        fs::write(dir.join("eth0.network"), NETWORKD)?;
        let noarp = if careful { "" } else { "noarp\n" };
        let conf = format!("{noarp}ipv4only\nnoipv4ll\nscript {}\n", hook.display());
        fs::write(dir.join("dhcpcd.conf"), conf)?;
        fs::write(
            dir.join("dhclient.conf"),
            "initial-interval 1;\nretry 3;\nbackoff-cutoff 3;\n",
        )?;
        let log = dir.join("log");
        let mut command = command(program, &room, &dir);
        if careful && program == Program::Udhcpc {
            command.arg("-a");
        }
        let process = Process::start(&format!("{program:?}"), &mut command, &log)?;
        Ok(Self {
            room,
            mac,
            program,
            process,
            dir,
            log,
        })
    }

    /// Pulls its cable out of the switch that it is in, and plugs it into another.
    pub fn move_to(&self, switch: &str) -> anyhow::Result<()> {
        self.room.ip("link set eth0 down")?;
        move_cable(self.room.name(), switch)?;
        self.room.ip("link set eth0 up")
    }

    pub fn program(&self) -> Program {
        self.program
    }

    /// The address that the client has set.
    pub fn address(&self) -> anyhow::Result<Option<Ipv4Addr>> {
        Ok(self.room.addresses()?.first().copied())
    }

    pub fn wait_for_address(&mut self) -> anyhow::Result<Ipv4Addr> {
        let what = format!("{:?} to get an address", self.program);
        let log = self.log.display().to_string();
        wait_until(&what, OBTAIN, || {
            self.process.still_runs()?;
            self.address()
        })
        .with_context(|| format!("see `{log}`"))
    }

    /// Gives the address back, as when the machine shuts down in good order, and waits until it is gone.
    pub fn release(&mut self) -> anyhow::Result<()> {
        let signal = match self.program {
            Program::Udhcpc => Some(Signal::SIGUSR2),
            Program::Dhcpcd => Some(Signal::SIGALRM),
            Program::Networkd => Some(Signal::SIGTERM),
            Program::Dhclient => None,
        };
        match signal {
            Some(signal) => kill(Pid::from_raw(i32::try_from(self.process.id())?), signal)?,
            None => {
                self.process.kill()?;
                run(dhclient(&self.room, &self.dir).args(["-r", "eth0"]))?;
            }
        }
        let what = format!("{:?} to give its address back", self.program);
        wait_for(&what, Duration::from_secs(10), || {
            Ok(self.address()?.is_none())
        })
    }
}

/// Each with what it writes kept in the client's own folder, or in a `/run` of its own. `exec` all the way, so that
/// the process is the client itself and can be signalled.
fn command(program: Program, room: &LanNamespace, dir: &Path) -> Command {
    let in_dir = |name: &str| dir.join(name);
    match program {
        Program::Udhcpc => {
            let mut command = room.command("busybox");
            command.args([
                "udhcpc", "-f", "-i", "eth0", "-t", "5", "-T", "2", "-A", "2", "-s",
            ]);
            command.arg(in_dir("hook"));
            command
        }
        Program::Dhclient => {
            let mut command = dhclient(room, dir);
            command.args(["-d", "eth0"]);
            command
        }
        Program::Dhcpcd => {
            let mut command = room.command("sh");
            command.args([
                "-c",
                "mount -t tmpfs run /run && mount -t tmpfs lib /var/lib && mkdir -p /run/dhcpcd /var/lib/dhcpcd && \
                 exec dhcpcd -4 -B -f \"$1\" eth0",
                "dhcpcd",
            ]);
            command.arg(in_dir("dhcpcd.conf"));
            command
        }
        Program::Networkd => {
            let mut command = room.command("sh");
            // A read-only /sys tells it not to wait for udev, which does not run in a room.
            command.args([
                "-c",
                "mount -o remount,ro /sys && mount -t tmpfs run /run && \
                 mkdir -p /run/systemd/network /run/systemd/netif/links /run/systemd/netif/leases \
                 /run/systemd/netif/lldp && cp \"$1\" /run/systemd/network && \
                 chown -R systemd-network /run/systemd/netif && \
                 SYSTEMD_LOG_TARGET=console exec \"$2\"",
                "networkd",
            ]);
            command.arg(in_dir("eth0.network")).arg(networkd());
            command
        }
    }
}

fn dhclient(room: &LanNamespace, dir: &Path) -> Command {
    let mut command = room.command("dhclient");
    command.args(["-4", "-v"]);
    for (option, file) in [
        ("-sf", "hook"),
        ("-cf", "dhclient.conf"),
        ("-lf", "dhclient.leases"),
        ("-pf", "dhclient.pid"),
    ] {
        command.arg(option).arg(dir.join(file));
    }
    command
}

/// It is no command for people, so it is in no PATH.
fn networkd() -> PathBuf {
    std::env::var_os("SYSTEMD_NETWORKD")
        .map_or("/lib/systemd/systemd-networkd".into(), PathBuf::from)
}
