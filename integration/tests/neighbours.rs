//! The appliance beside others: home routers, second boot servers, and the host's own firewall.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use integration::lab::command::{output, run};
use integration::lab::lan::{self, APPLIANCE, LanNamespace, ROUTER};
use integration::lab::namespaces::enter_namespaces;
use integration::lab::process::Process;
use integration::lab::products::Products;
use integration::lab::services::{self, DhcpSetup};
use integration::lab::wait::wait_for;
use tempfile::TempDir;

/// A look takes four seconds; the machine it runs on may be busy.
const LOOK: Duration = Duration::from_secs(30);

const SERVER: &str = "[dhcp]\nmode = \"server\"\nrange = [\"10.77.0.50\", \"10.77.0.60\"]\nallow-default-route = true\n";

/// A switch with the appliance's room in it, which is empty yet.
struct Lab {
    dir: TempDir,
    room: LanNamespace,
    program: PathBuf,
}

impl Lab {
    fn new() -> anyhow::Result<Self> {
        enter_namespaces()?;
        let dir = tempfile::tempdir()?;
        lan::switch()?;
        fs::create_dir_all(dir.path().join("hosts/profiles"))?;
        Ok(Self {
            room: room("appliance", APPLIANCE, dir.path())?,
            program: Products::find()?.program("pxe-appliance"),
            dir,
        })
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn router(&self, leases: DhcpSetup) -> anyhow::Result<(LanNamespace, Process)> {
        let home = room("router", ROUTER, self.path())?;
        let router = services::router(&home, leases, self.path())?;
        Ok((home, router))
    }

    /// Writes a configuration with this text in it.
    fn configure(&self, text: &str) -> anyhow::Result<()> {
        let rest = "state-dir = \"state\"\nhosts-dir = \"hosts/profiles\"\n[admin]\nsocket = \"admin.sock\"\n";
        let file = self.path().join("appliance.toml");
        Ok(fs::write(file, format!("{rest}{text}"))?)
    }

    /// `pxe-appliance WORD` with this text in its configuration.
    fn command(&self, word: &str, text: &str) -> anyhow::Result<Command> {
        self.configure(text)?;
        let mut command = self.room.command(&self.program);
        command
            .args([word, "--config", "appliance.toml"])
            .current_dir(self.path());
        Ok(command)
    }

    fn serve(&self, text: &str) -> anyhow::Result<Serving> {
        self.serve_by(self.command("serve", text)?)
    }

    fn serve_by(&self, mut command: Command) -> anyhow::Result<Serving> {
        let log = self.path().join("appliance.log");
        let process = Process::start("pxe-appliance", &mut command, &log)?;
        Ok(Serving { process, log })
    }

    /// The rows of `/metrics` that begin so.
    fn metrics(&self, beginning: &str) -> anyhow::Result<String> {
        let url = format!("http://{APPLIANCE}:8080/metrics");
        let curl = ["-sS", "--max-time", "10", &url];
        let text = output(self.room.command("curl").args(curl))?;
        let rows = text.lines().filter(|row| row.starts_with(beginning));
        Ok(rows.map(|row| format!("{row}\n")).collect())
    }
}

fn room(name: &str, address: Ipv4Addr, dir: &Path) -> anyhow::Result<LanNamespace> {
    LanNamespace::new(name, address, &dir.join("rooms"))
}

struct Serving {
    process: Process,
    log: PathBuf,
}

impl Serving {
    fn log(&self) -> anyhow::Result<String> {
        Ok(fs::read_to_string(&self.log)?)
    }

    fn says(&mut self, words: &str) -> anyhow::Result<()> {
        let said = wait_for(&format!("`{words}` in the log"), LOOK, || {
            self.process.still_runs()?;
            Ok(fs::read_to_string(&self.log)?.contains(words))
        });
        said.with_context(|| fs::read_to_string(&self.log).unwrap_or_default())
    }

    fn stop(mut self) -> anyhow::Result<()> {
        self.process.stop(Duration::from_secs(10)).map(drop)
    }
}

const LOOKED: &str = "looked for other DHCP and PXE servers";

#[test]
fn a_home_router_is_found_and_gives_away_no_address() -> anyhow::Result<()> {
    let lab = Lab::new()?;
    let _router = lab.router(DhcpSetup::ByRouter)?;
    let mut serving = lab.serve("")?;
    serving.says(LOOKED)?;
    let log = serving.log()?;
    ensure!(log.contains("10.77.0.254 (addresses)"), "{log}");
    ensure!(!log.contains("another"), "a router is no trouble: {log}");
    let rows = lab.metrics("pxe_other_servers")?;
    let want = "pxe_other_servers{interface=\"eth0\",does=\"dhcp\"} 1\n\
                pxe_other_servers{interface=\"eth0\",does=\"pxe\"} 0\n";
    ensure!(rows == want, "{rows}");
    serving.stop()?;

    let router = fs::read_to_string(lab.path().join("router.log"))?;
    ensure!(router.contains("DHCPOFFER"), "{router}");
    ensure!(!router.contains("DHCPREQUEST"), "{router}");
    let leases = fs::read_to_string(lab.path().join("router.leases")).unwrap_or_default();
    ensure!(!leases.contains("10.77.0."), "{leases}");
    Ok(())
}

#[test]
fn a_lan_where_nobody_hands_out_addresses_is_worth_a_warning() -> anyhow::Result<()> {
    let lab = Lab::new()?;
    let mut serving = lab.serve("")?;
    serving.says("no DHCP server answers: machines get no address here")?;
    serving.stop()
}

#[test]
fn a_second_boot_server_is_named() -> anyhow::Result<()> {
    let lab = Lab::new()?;
    let _router = lab.router(DhcpSetup::ByRouter)?;
    let second = room("second", Ipv4Addr::new(10, 77, 0, 253), lab.path())?;
    let log = lab.path().join("second.log");
    let mut dnsmasq = second.command("dnsmasq");
    dnsmasq.args(
        "--no-daemon --conf-file=/dev/null --port=0 --interface=eth0 --bind-interfaces".split(' '),
    );
    dnsmasq.args([
        "--log-dhcp",
        "--log-facility=-",
        "--dhcp-range=10.77.0.0,proxy",
    ]);
    dnsmasq.args([
        "--pxe-service=x86-64_EFI,another,other.efi",
        "--pxe-service=x86PC,another,other.0",
    ]);
    let mut process = Process::start("the second boot server", &mut dnsmasq, &log)?;
    wait_for("the second boot server", Duration::from_secs(10), || {
        process.still_runs()?;
        Ok(fs::read_to_string(&log)?.contains("started"))
    })?;

    let mut serving = lab.serve("")?;
    serving.says("another PXE server answers: 10.77.0.253 (boots ")?;
    let rows = lab.metrics("pxe_other_servers")?;
    ensure!(rows.contains("does=\"pxe\"} 1"), "{rows}");
    ensure!(rows.contains("does=\"dhcp\"} 1"), "{rows}");
    serving.stop()
}

#[test]
fn server_mode_does_not_begin_beside_a_router_unless_told() -> anyhow::Result<()> {
    let lab = Lab::new()?;
    let _router = lab.router(DhcpSetup::ByRouter)?;
    let refused = lab.command("serve", SERVER)?.output()?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(
        refused.status.code() == Some(1),
        "{}: {said}",
        refused.status
    );
    for words in [
        "error: another DHCP server answers on `eth0`\n  10.77.0.254 (addresses)\n",
        "tip: to leave the addresses to it: [dhcp] mode = \"proxy\"",
        "tip: to run both, with ranges apart: [dhcp] allow-second-server = true",
    ] {
        ensure!(said.contains(words), "no `{words}` in: {said}");
    }
    ensure!(!lab.path().join("state").exists(), "nothing was begun");

    let mut serving = lab.serve(&format!("{SERVER}allow-second-server = true\n"))?;
    serving.says("another DHCP server answers: 10.77.0.254 (addresses)")?;
    serving.stop()
}

#[test]
fn server_mode_alone_begins_and_does_not_find_itself() -> anyhow::Result<()> {
    let lab = Lab::new()?;
    let mut serving = lab.serve(SERVER)?;
    serving.says(LOOKED)?;
    serving.stop()?;
    // Told not to look first, it looks when its own doors are open.
    fs::remove_file(lab.path().join("appliance.log"))?;
    let mut serving = lab.serve(&format!("{SERVER}allow-second-server = true\n"))?;
    serving.says(LOOKED)?;
    let log = serving.log()?;
    ensure!(!log.contains("another"), "{log}");
    let rows = lab.metrics("pxe_other_servers")?;
    ensure!(rows.contains("does=\"dhcp\"} 0"), "{rows}");
    serving.stop()
}

/// The room's default route leads to the home router, as on any host with one card.
#[test]
fn server_mode_on_the_interface_of_the_default_route_is_refused() -> anyhow::Result<()> {
    let lab = Lab::new()?;
    let text = SERVER.replace("allow-default-route = true\n", "");
    let refused = lab.command("check", &text)?.output()?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(
        refused.status.code() == Some(1),
        "{}: {said}",
        refused.status
    );
    ensure!(said.contains("`eth0` has the default route"), "{said}");
    ensure!(said.contains("allow-default-route = true"), "{said}");
    let good = lab.command("check", SERVER)?.output()?;
    ensure!(
        good.status.success(),
        "{}",
        String::from_utf8_lossy(&good.stderr)
    );
    Ok(())
}

#[test]
fn a_closed_firewall_is_told_door_by_door() -> anyhow::Result<()> {
    let lab = Lab::new()?;
    let rules = "add table inet host; \
                 add chain inet host input { type filter hook input priority 0; policy drop; }; \
                 add rule inet host input iifname lo accept; \
                 add rule inet host input udp dport { 67, 4011 } accept; \
                 add rule inet host input tcp dport 8080 accept";
    run(lab.room.command("nft").arg(rules))?;
    let mut serving = lab.serve("")?;
    serving.says("the firewall is closed")?;
    serving.says("door=\"http.node-port\"")?;
    let log = serving.log()?;
    for (door, closed) in [
        ("DHCP", false),
        ("PXE", false),
        ("http.port", false),
        ("http.node-port", true),
    ] {
        let words = format!("door=\"{door}\"");
        ensure!(log.contains(&words) == closed, "{door}: {log}");
    }
    serving.stop()?;

    run(lab.room.command("nft").arg("add rule inet host input udp dport 69 accept; \
        add rule inet host input ct state established accept; add rule inet host input tcp dport 8443 accept"))?;
    fs::remove_file(lab.path().join("appliance.log"))?;
    let mut serving = lab.serve("")?;
    serving.says("the firewall is open for everything that machines call")?;
    serving.stop()
}

/// As a service with no rights but to its ports.
#[test]
fn without_the_rights_to_look_it_serves_and_says_so() -> anyhow::Result<()> {
    let lab = Lab::new()?;
    lab.configure("")?;
    let mut command = lab.room.command("setpriv");
    command
        .arg("--bounding-set=-net_raw,-net_admin")
        .arg(&lab.program);
    command
        .args(["serve", "--config", "appliance.toml"])
        .current_dir(lab.path());
    let mut serving = lab.serve_by(command)?;
    serving.says("could not look for other servers")?;
    serving.says("raw sockets need root or the capability CAP_NET_RAW")?;
    serving.says("cannot tell whether the firewall is open")?;
    let rows = lab.metrics("pxe_other_servers")?;
    ensure!(rows.is_empty(), "{rows}");
    serving.stop()
}
