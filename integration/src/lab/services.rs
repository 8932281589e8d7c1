//! What else is on the LAN: the home router, the cluster, and somebody who listens.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use anyhow::Context as _;

use super::lan::{APPLIANCE, CLUSTER, LanNamespace, ROUTER, SWITCH};
use super::process::Process;
use super::products::Products;
use super::wait::wait_for;
use crate::k3s::identity::random_hex;

/// Whether the home router hands out addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DhcpSetup {
    ByRouter,
    /// The same, and the router names the appliance as the next server: where GRUB 2.06 looks for its files.
    ByRouterThatPointsHere,
    /// The same, and the router leads every machine to iPXE, and iPXE to the appliance's script, at every boot.
    ByRouterWithIpxe,
    /// With an iPXE that finds local disks on UEFI.
    ByRouterWithNewIpxe,
    ByAppliance,
}

/// A router as in any home: it advertises itself (without that, iPXE waits 16 s for an IPv6 router at every
/// boot), and hands out IPv4 addresses unless somebody else is to do it.
pub fn router(room: &LanNamespace, leases: DhcpSetup, dir: &Path) -> anyhow::Result<Process> {
    room.ip("address add fd77::1/64 dev eth0 nodad")?;
    // `--no-daemon` also keeps it from changing its user, which root of a user namespace may not.
    let mut dnsmasq = room.command("dnsmasq");
    dnsmasq
        .args(
            "--no-daemon --conf-file=/dev/null --port=0 --interface=eth0 --bind-interfaces"
                .split(' '),
        )
        .args("--log-dhcp --log-facility=- --enable-ra --dhcp-range=fd77::,ra-only".split(' '))
        .arg(format!(
            "--dhcp-leasefile={}",
            dir.join("router.leases").display()
        ));
    if leases != DhcpSetup::ByAppliance {
        // Without the ping, which would hold back each first offer for three seconds.
        dnsmasq.args(["--no-ping", "--dhcp-range=10.77.0.100,10.77.0.199,1h"]);
        dnsmasq.arg(format!("--dhcp-option=option:router,{ROUTER}"));
    }
    if leases == DhcpSetup::ByRouterThatPointsHere {
        dnsmasq.arg(format!("--dhcp-boot=,,{APPLIANCE}"));
    }
    let ipxe = match leases {
        DhcpSetup::ByRouterWithIpxe => {
            Some(env::var_os("IPXE_DIR").map_or_else(|| "/usr/lib/ipxe".into(), PathBuf::from))
        }
        DhcpSetup::ByRouterWithNewIpxe => Some(Products::find()?.new_ipxe()),
        DhcpSetup::ByRouter | DhcpSetup::ByRouterThatPointsHere | DhcpSetup::ByAppliance => None,
    };
    if let Some(folder) = ipxe {
        dnsmasq
            .arg("--enable-tftp")
            .arg(format!("--tftp-root={}", folder.display()));
        // As iPXE's own documentation has it: option 175 is iPXE's.
        let script =
            format!("http://{APPLIANCE}:8080/boot.ipxe?mac=${{mac}}&platform=${{platform}}");
        dnsmasq.args([
            "--dhcp-match=set:ipxe,175",
            "--dhcp-boot=tag:!ipxe,snponly.efi",
        ]);
        dnsmasq.arg(format!("--dhcp-boot=tag:ipxe,{script}"));
    }
    let log = dir.join("router.log");
    let mut process = Process::start("the home router (dnsmasq)", &mut dnsmasq, &log)?;
    wait_for("the home router to start", Duration::from_secs(10), || {
        process.still_runs()?;
        Ok(fs::read_to_string(&log)?.contains("started"))
    })?;
    Ok(process)
}

/// The secrets of the cluster: what must be found nowhere afterwards.
pub struct ClusterSecrets {
    pub server: String,
    pub agent: String,
    pub api: String,
    pub dir: PathBuf,
}

impl ClusterSecrets {
    /// Those that are in the folder, or new ones, each in a file that only root may read.
    pub fn new(dir: PathBuf) -> anyhow::Result<Self> {
        use std::os::unix::fs::PermissionsExt as _;
        fs::create_dir_all(&dir)?;
        let drawn = |which: &str| {
            let known = fs::read_to_string(dir.join(format!("{which}-token")));
            known.unwrap_or_else(|_| random_hex())
        };
        let tokens = Self {
            server: drawn("server"),
            agent: drawn("agent"),
            api: drawn("api"),
            dir,
        };
        for (file, secret) in [
            ("server", &tokens.server),
            ("agent", &tokens.agent),
            ("api", &tokens.api),
        ] {
            let path = tokens.file(file);
            fs::write(&path, secret)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        }
        Ok(tokens)
    }

    pub fn file(&self, which: &str) -> PathBuf {
        self.dir.join(format!("{which}-token"))
    }
}

/// A cluster of the k3s stand-in.
pub struct RunningCluster {
    pub process: Process,
    pub log: PathBuf,
}

/// The URL of the cluster's API.
pub fn cluster_url() -> String {
    format!("https://{CLUSTER}:6443")
}

pub fn cluster(
    room: &LanNamespace,
    stand_in: &Path,
    tokens: &ClusterSecrets,
    dir: &Path,
) -> anyhow::Result<RunningCluster> {
    let config = dir.join("cluster.yaml");
    let file = |which| tokens.file(which).display().to_string();
    let lines = [
        ("token-file", file("server")),
        ("agent-token-file", file("agent")),
        ("stand-in-api-token-file", file("api")),
        ("bind-address", CLUSTER.to_string()),
        ("data-dir", dir.join("cluster").display().to_string()),
        ("disable-agent", "true".to_owned()),
    ];
    fs::write(
        &config,
        lines
            .map(|(key, value)| format!("{key}: {value}\n"))
            .concat(),
    )?;
    let log = dir.join("cluster.log");
    let mut command = room.command(stand_in);
    command.args(["server", "--config"]).arg(&config);
    let mut process = Process::start("the cluster (k3s stand-in)", &mut command, &log)?;
    wait_for("the k3s stand-in to serve", Duration::from_secs(10), || {
        process.still_runs()?;
        Ok(fs::read_to_string(&log)?.contains("serves on"))
    })?;
    Ok(RunningCluster { process, log })
}

/// Everything that crosses the switch, written down from now on. `None` where root is an ordinary user in a user
/// namespace: tcpdump insists on setting its groups, which such a root may not.
pub fn capture(file: &Path, dir: &Path) -> anyhow::Result<Option<Process>> {
    if fs::read_to_string("/proc/self/setgroups").is_ok_and(|word| word.trim() == "deny") {
        return Ok(None);
    }
    let log = dir.join("capture.log");
    let mut tcpdump = Command::new("tcpdump");
    tcpdump
        .args([
            "-i", SWITCH, "-U", "-s", "0", "-B", "16384", "-Z", "root", "-w",
        ])
        .arg(file);
    let mut process = Process::start("the packet capture (tcpdump)", &mut tcpdump, &log)?;
    wait_for(
        "the packet capture to start",
        Duration::from_secs(10),
        || {
            process.still_runs()?;
            let said = fs::read_to_string(&log).context("no log of the capture")?;
            Ok(said.contains("listening on"))
        },
    )?;
    Ok(Some(process))
}
