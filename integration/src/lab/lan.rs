//! The switch (a bridge in the lab's own namespace) and the rooms: network namespaces with one cable each.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, anyhow};
use nix::sched::{CloneFlags, setns};

use super::command::{output, run};

/// What each place on the LAN is called and has for an address.
pub const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 254);
pub const APPLIANCE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
pub const CLUSTER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 10);

/// The bridge that everything is plugged into.
pub const SWITCH: &str = "lan";

/// Makes the switch. It has no address: the lab itself is not on the LAN.
pub fn switch() -> anyhow::Result<()> {
    another_switch(SWITCH)
}

/// Makes a switch that is not connected to the LAN, unless a room has a cable in both.
pub fn another_switch(name: &str) -> anyhow::Result<()> {
    // Ports forward at once, and multicast goes everywhere, as on the switch of a home.
    ip(&format!(
        "link add {name} type bridge stp_state 0 forward_delay 0 mcast_snooping 0"
    ))?;
    quiet(name);
    ip(&format!("link set {name} up"))
}

/// A tap in the switch, for a machine's network card.
pub fn tap(name: &str) -> anyhow::Result<()> {
    ip(&format!("tuntap add {name} mode tap"))?;
    quiet(name);
    ip(&format!("link set {name} master {SWITCH} up"))
}

/// A tap whose cable does not lead to any switch: the machine sees a link, and gets no answer.
pub fn stray_tap(name: &str) -> anyhow::Result<()> {
    ip(&format!("tuntap add {name} mode tap"))?;
    quiet(name);
    ip(&format!("link set {name} up"))
}

/// Pulls a cable out of the switch that it is in and puts it into another. `name` is its end there: a tap, or the room
/// whose first cable it is.
pub fn move_cable(name: &str, switch: &str) -> anyhow::Result<()> {
    ip(&format!("link set {name} master {switch}"))
}

/// A network namespace with an interface `eth0` in the switch.
pub struct LanNamespace {
    name: String,
    handle: PathBuf,
}

impl LanNamespace {
    /// `handles` is a folder for the file that names the namespace.
    pub fn new(name: &str, address: Ipv4Addr, handles: &Path) -> anyhow::Result<Self> {
        let room = Self::without_address(name, SWITCH, handles)?;
        room.ip(&format!("address add {address}/24 dev eth0"))?;
        if address != ROUTER {
            room.ip(&format!("route add default via {ROUTER}"))?;
        }
        Ok(room)
    }

    /// A room that has yet to get an address, in this switch.
    pub fn without_address(name: &str, switch: &str, handles: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(handles)?;
        let room = Self {
            name: name.to_owned(),
            handle: handles.join(name),
        };
        fs::write(&room.handle, "")?;
        let handle = room.handle.display();
        run(Command::new("unshare")
            .arg(format!("--net={handle}"))
            .arg("true"))?;
        room.ip("link set lo up")?;
        room.plug("eth0", name, switch)?;
        Ok(room)
    }

    /// One more cable: `interface` in the room, `end` in the switch.
    pub fn plug(&self, interface: &str, end: &str, switch: &str) -> anyhow::Result<()> {
        let handle = self.handle.display();
        ip(&format!(
            "link add {end} type veth peer name {interface} netns {handle}"
        ))?;
        quiet(end);
        ip(&format!("link set {end} master {switch} up"))?;
        self.ip(&format!("link set {interface} up"))
    }

    /// The IPv4 addresses of `eth0`.
    pub fn addresses(&self) -> anyhow::Result<Vec<Ipv4Addr>> {
        let text = output(
            self.command("ip")
                .args(["-4", "-o", "address", "show", "dev", "eth0"]),
        )?;
        let addresses = text.lines().filter_map(|line| {
            let (_, after) = line.split_once(" inet ")?;
            after.split('/').next()?.parse().ok()
        });
        Ok(addresses.collect())
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// `ip …` in the room.
    pub fn ip(&self, words: &str) -> anyhow::Result<()> {
        run(self.command("ip").args(words.split(' ')))
    }

    /// Runs a piece of this program in the room, where its sockets are then.
    pub fn inside<T: Send>(
        &self,
        piece: impl FnOnce() -> anyhow::Result<T> + Send,
    ) -> anyhow::Result<T> {
        let room = File::open(&self.handle)?;
        // A thread of its own: a thread has one network, and no way back is needed.
        std::thread::scope(|scope| {
            let visit = scope.spawn(|| {
                setns(&room, CloneFlags::CLONE_NEWNET).context("cannot enter a room")?;
                piece()
            });
            visit.join().map_err(|_| anyhow!("panicked in a room"))?
        })
    }

    /// A command that will run in the room, with the room's own network in `/sys`.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.handle.display()))
            .args(["unshare", "--mount", "sh", "-c"])
            // Where a container forbids a fresh /sys, the old one does for all but the kind of each interface.
            .arg(r#"mount -t sysfs sysfs /sys 2>/dev/null; exec "$@""#)
            .arg(&self.name)
            .arg(program);
        command
    }
}

fn ip(words: &str) -> anyhow::Result<()> {
    run(Command::new("ip").args(words.split(' ')))
}

/// Keeps the switch's own ends from chatting in IPv6. Where that is not possible, the capture is noisier.
fn quiet(interface: &str) {
    let _ = fs::write(
        format!("/proc/sys/net/ipv6/conf/{interface}/disable_ipv6"),
        "1",
    );
}
