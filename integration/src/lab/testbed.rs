//! A whole LAN, ready to power a machine on, with a folder for everything it writes down.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context as _, bail};
use netboot::api::machine_view::MachineView;
use netboot::doctor::boot_trace::{Boot, BootEvent, NoAnswerReason};
use netboot::loader::uefi::boot_order::TITLE;
use netboot::machine::State;

use super::appliance::{ApplianceSetting, RunningAppliance};
use super::command::{output, run};
use super::disk::VirtualDisk;
use super::firmware::VmFirmware;
use super::lan::{self, APPLIANCE, CLUSTER, LanNamespace, ROUTER};
use super::machine::{Card, MachineSpec, VirtualMachine};
use super::namespaces::enter_namespaces;
use super::nvram::FirstBoot;
use super::process::Process;
use super::products::{Images, Products};
use super::services::{self, ClusterSecrets, DhcpSetup, RunningCluster};
use super::snapshot::{JOINED, MACHINE, STATE, Snapshot};
use super::timing::Timing;
use super::wait::wait_until;

/// The MAC of the first machine.
pub const MAC: &str = "52:54:00:12:34:56";

/// The profile that testbeds use unless they bring another.
pub const WORKER: &str = r#"system = "x86_64-linux"
description = "k3s worker"

[disk]
select = { smallest = true, min-size = "2G" }
layout = "ext4"

[k3s]
role = "agent"
"#;

/// The same for a machine with an ARM processor.
pub const ARM_WORKER: &str = r#"system = "aarch64-linux"
description = "k3s worker with an ARM processor"

[disk]
select = { smallest = true, min-size = "2G" }
layout = "ext4"

[k3s]
role = "agent"
"#;

/// How long one power-on may take: emulated machines are slow, and other tests run beside.
pub const BOOT: Duration = Duration::from_secs(300);

pub struct Testbed {
    pub appliance: RunningAppliance,
    pub cluster: RunningCluster,
    pub machine: VirtualMachine,
    pub tokens: ClusterSecrets,
    pub dir: PathBuf,
    /// `None` where a capture was not possible: see [`services::capture`].
    pub capture: Option<PathBuf>,
    pub products: Products,
    /// Disks and capture stay when the testbed ends, unless somebody says that it went well.
    pub keep: bool,
    /// Ends with the testbed.
    pub router: Process,
    _capture: Option<Process>,
    rooms: [LanNamespace; 2],
}

/// What differs from testbed to testbed.
pub struct Setup<'a> {
    pub name: &'a str,
    pub firmware: VmFirmware,
    pub leases: DhcpSetup,
    pub profile: &'a str,
    /// Made in the testbed's folder; the first is the one it boots from.
    pub disks: fn(&Path) -> anyhow::Result<Vec<VirtualDisk>>,
    pub first: FirstBoot,
    /// `[[dhcp.subnet]]` tables of the appliance.
    pub subnets: &'a str,
    /// Words for the installer's kernel.
    pub cmdline: &'a str,
    /// What the machines boot and are installed with.
    pub images: Images,
    /// `boot.unknown`, where it is not the default.
    pub unknown: Option<&'a str>,
    /// Other parts than most machines have.
    pub parts: fn(&mut MachineSpec),
}

impl<'a> Setup<'a> {
    pub fn new(name: &'a str, firmware: VmFirmware, leases: DhcpSetup) -> Self {
        Self {
            name,
            firmware,
            leases,
            profile: match firmware.processor() {
                "aarch64" => ARM_WORKER,
                _ => WORKER,
            },
            disks: |dir| Ok(vec![blank(dir)?]),
            first: FirstBoot::Network,
            subnets: "",
            cmdline: "",
            images: Images::Usual,
            unknown: None,
            parts: |_| {},
        }
    }
}

/// The disk of most machines: 4 GiB and blank.
pub fn blank(dir: &Path) -> anyhow::Result<VirtualDisk> {
    VirtualDisk::blank(dir.join("root.disk"), "root", 4096)
}

impl Testbed {
    /// Builds everything up to a running appliance; no release is published and no machine is powered on.
    ///
    /// Outside of namespaces of its own this does not return: see [`enter_namespaces`].
    pub fn new(setup: &Setup<'_>) -> anyhow::Result<Self> {
        Self::new_from(setup, None)
    }

    /// With what an install left behind, if there is such.
    pub(super) fn new_from(setup: &Setup<'_>, snapshot: Option<&Snapshot>) -> anyhow::Result<Self> {
        enter_namespaces()?;
        let products = Products::find()?.with(setup.images)?;
        let dir = folder(setup.name)?;
        let handles = dir.join("rooms");
        lan::switch()?;
        let room = |name, address| LanNamespace::new(name, address, &handles);
        let (home, net, kube) = (
            room("router", ROUTER)?,
            room("appliance", APPLIANCE)?,
            room("cluster", CLUSTER)?,
        );
        let capture = dir.join("lan.pcap");
        let listening = services::capture(&capture, &dir)?;
        let router = services::router(&home, setup.leases, &dir)?;
        let restore = |part| snapshot.map_or(Ok(()), |snapshot| snapshot.restore(part, &dir));
        JOINED.into_iter().try_for_each(restore)?;
        let tokens = ClusterSecrets::new(dir.join("tokens"))?;
        let cluster = services::cluster(&kube, &products.program("k3s-stand-in"), &tokens, &dir)?;
        let setting = ApplianceSetting {
            leases: setup.leases,
            processor: setup.firmware.processor(),
            tokens: &tokens,
            profile: setup.profile,
            subnets: setup.subnets,
            cmdline: setup.cmdline,
            unknown: setup.unknown,
        };
        let mut appliance = RunningAppliance::new(net, &products, &setting, dir.join("appliance"))?;
        restore(STATE)?;
        appliance.start()?;
        let mut build = MachineSpec {
            firmware: setup.firmware,
            mac: MAC.to_owned(),
            uuid: "5e0c1d6a-7a0b-4c3e-9a55-525400123456".to_owned(),
            serial: "LAB-0001".to_owned(),
            memory_mib: 1024,
            disks: (setup.disks)(&dir)?,
            disks_reversed: false,
            taken_out: None,
            first: setup.first,
            card: Card::Virtio,
            stray_card: false,
            tpm: false,
            keyboard: false,
        };
        (setup.parts)(&mut build);
        let machine = VirtualMachine::new(build, "tap0", &dir)?;
        MACHINE.into_iter().try_for_each(restore)?;
        Ok(Self {
            appliance,
            cluster,
            machine,
            tokens,
            dir,
            capture: listening.is_some().then_some(capture),
            products,
            keep: true,
            router,
            _capture: listening,
            rooms: [home, kube],
        })
    }

    /// Builds the flake of the appliance's folder: the profile's system, and the installer.
    pub fn publish(&self) -> anyhow::Result<String> {
        self.appliance.must("publish")
    }

    /// Publishes, and has the machine installed as `node1` when it next boots.
    pub fn enroll(&self) -> anyhow::Result<()> {
        self.publish()?;
        self.appliance
            .must(&format!("enroll {MAC} --profile worker --name node1"))
            .map(drop)
    }

    /// Waits until the machine's record is as wanted. A machine or an appliance that ended, and a state
    /// `failed` that nobody waits for, end the wait at once.
    pub fn wait_for(
        &mut self,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&MachineView) -> bool,
    ) -> anyhow::Result<MachineView> {
        let (appliance, machine) = (&mut self.appliance, &mut self.machine);
        wait_until(what, limit, || {
            machine.still_runs()?;
            appliance.still_runs()?;
            match appliance.machine(MAC)? {
                Some(record) if wanted(&record) => Ok(Some(record)),
                Some(record) if record.state == State::Failed => {
                    bail!("the machine failed: {}", record.failure.join(": "))
                }
                _ => Ok(None),
            }
        })
    }

    /// Waits until the attempt of this number failed, and gives what `pxe-admin show` says of it.
    pub fn wait_for_failure(&mut self, number: u32) -> anyhow::Result<String> {
        self.wait_for(&format!("attempt {number} to fail"), BOOT, |m| {
            m.attempt
                .as_ref()
                .is_some_and(|a| a.number == number && a.progress.ended())
        })?;
        let shown = self.appliance.admin("show node1")?;
        println!("{}", shown.stdout);
        if shown.status.code() != Some(6) {
            bail!("`show` ends with {}", shown.status);
        }
        Ok(shown.stdout)
    }

    /// The cluster's Node object, as anybody with the service account's token sees it.
    pub fn node(&self, name: &str) -> anyhow::Result<serde_json::Value> {
        let url = format!("{}/api/v1/nodes/{name}", services::cluster_url());
        let bearer = format!("authorization: Bearer {}", self.tokens.api);
        let curl = ["-sSk", "--max-time", "10", "-H", &bearer, &url];
        let text = output(self.rooms[1].command("curl").args(curl))?;
        serde_json::from_str(&text).with_context(|| format!("the cluster said `{text}`"))
    }

    /// Drops what comes for TFTP from now on, as a firewall does that nobody thought of.
    pub fn drop_tftp(&self) -> anyhow::Result<()> {
        let rules = "add table inet tftp; \
             add chain inet tftp in { type filter hook input priority 0; }; \
             add rule inet tftp in iifname eth0 udp dport 69 counter drop";
        run(self.appliance.room().command("nft").arg(rules))
    }

    /// How many packets were dropped since.
    pub fn dropped_tftp(&self) -> anyhow::Result<u64> {
        let list = ["-j", "list", "table", "inet", "tftp"];
        let text = output(self.appliance.room().command("nft").args(list))?;
        let table: serde_json::Value = serde_json::from_str(&text)?;
        let rules = table["nftables"].as_array().into_iter().flatten();
        let mut counts = rules.filter_map(|rule| rule["rule"]["expr"].as_array());
        let counter =
            counts.find_map(|expr| expr.iter().find_map(|e| e["counter"]["packets"].as_u64()));
        counter.with_context(|| format!("no counter in `{text}`"))
    }

    /// Refuses connections to `http.port` from now on, or takes them again; the node API goes on.
    pub fn block_http(&self, blocked: bool) -> anyhow::Result<()> {
        let rules = if blocked {
            "add table inet lab; \
             add chain inet lab in { type filter hook input priority 0; }; \
             add rule inet lab in iifname eth0 tcp dport 8080 reject with tcp reset"
        } else {
            "delete table inet lab"
        };
        run(self.appliance.room().command("nft").arg(rules))
    }

    /// Waits until the machine joined, and says how long that took since it was powered on.
    pub fn wait_for_joined(&mut self) -> anyhow::Result<Duration> {
        self.wait_for("the machine to join", BOOT, |record| {
            record.state == State::Joined
        })?;
        Ok(self.machine.uptime())
    }

    /// The same without the minute for which UEFI asks a network in vain: once the appliance was asked after the install and
    /// did not answer, the machine is switched off and on with a finger on the key for its disk. That firmware comes to the
    /// disk by itself in the end is for the tests that are about that.
    pub fn wait_for_joined_by_key(&mut self) -> anyhow::Result<Duration> {
        if self.machine.build().firmware != VmFirmware::Uefi {
            return self.wait_for_joined();
        }
        self.wait_for("the machine to be installed", BOOT, |record| {
            matches!(record.state, State::Installed | State::Joined)
        })?;
        wait_until("the appliance to be silent", BOOT, || {
            self.machine.still_runs()?;
            Ok(self.is_left_to_its_disk()?.then_some(()))
        })?;
        self.machine.restart_from(TITLE)?;
        self.wait_for_joined()
    }

    /// Whether it asked the network again since its install, and was not answered.
    fn is_left_to_its_disk(&self) -> anyhow::Result<bool> {
        let shown: serde_json::Value = self.appliance.ask("show node1")?;
        let boot: Boot = serde_json::from_value(shown["boot"].clone())?;
        let marks = boot.notes.iter().map(|note| &note.mark);
        let after = marks.skip_while(|mark| **mark != BootEvent::Installed);
        let silent = |mark: &BootEvent| {
            matches!(
                mark,
                BootEvent::Silence {
                    why: NoAnswerReason::Disk,
                    ..
                }
            )
        };
        Ok(after.into_iter().any(silent))
    }
}

impl Testbed {
    /// How long the last install took, step by step.
    pub fn timing(&self) -> anyhow::Result<Timing> {
        Timing::read(&self.appliance.must("--json events")?)
    }

    /// All went well: what is large goes, the logs stay. Whoever does not get here keeps everything.
    pub fn passed(mut self) -> anyhow::Result<()> {
        self.keep = env::var_os("NETBOOT_LAB_KEEP").is_some();
        Ok(())
    }
}

impl Drop for Testbed {
    fn drop(&mut self) {
        if self.keep {
            eprintln!("logs, capture and disks are kept in {}", self.dir.display());
            return;
        }
        // Logs stay; what is large goes. A leftover is no reason to fail.
        let disks = self
            .machine
            .build()
            .disks
            .iter()
            .flat_map(VirtualDisk::files);
        for file in disks.chain(self.capture.clone()) {
            let _ = fs::remove_file(file);
        }
        let _ = fs::remove_dir_all(self.appliance.dir().join("state"));
    }
}

/// An empty folder below `target/lab`.
pub fn folder(name: &str) -> anyhow::Result<PathBuf> {
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/lab");
    let dir = env::var_os("NETBOOT_LAB_DIR")
        .map_or(usual, PathBuf::from)
        .join(name);
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot clear `{}`", dir.display()))?;
    }
    fs::create_dir_all(&dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
    Ok(dir.canonicalize()?)
}
