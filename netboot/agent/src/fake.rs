//! A world for tests: a machine made of folders, programs that do what matters of theirs, and an appliance that says yes.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use netboot::hardware::Firmware;
use netboot::layout::{Filesystem, Purpose};
use netboot::plan::{Cache, K3s, Partition, Plan, PlannedDisk, PlannedRelease};
use netboot::profile::Role;
use netboot::report::Report;
use netboot::wire::{
    ClaimAnswer, ClaimRequest, InstallSecrets, K3sSecrets, NodeIdentity, SealedAnswer,
};

use crate::disk_facts::SYSFS_SECTOR;
use crate::outside::{Answer, Call, Command, NoAnswer, Output, Outside, Roots, Running};
use crate::pin::{ForeignKey, Pin};

pub(crate) const TOPLEVEL: &str = "/nix/store/0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq-nixos-system-worker";
const MIB: u64 = 1 << 20;

/// What the appliance, or `nix-env`, does once instead of the usual.
pub(crate) enum Say {
    Away,
    Foreign,
    Status(u16),
    Refusal(u16, netboot::refusal::Refusal),
    Body(String),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct DiskSpec {
    pub name: &'static str,
    pub size: u64,
    pub serial: &'static str,
    pub model: &'static str,
    pub wwid: &'static str,
    pub sector: u32,
    /// Its place under `/sys/devices`.
    pub bus: &'static str,
    pub removable: bool,
    pub read_only: bool,
}

impl DiskSpec {
    pub(crate) fn virtio(name: &'static str, size: u64, serial: &'static str) -> Self {
        Self {
            name,
            size,
            serial,
            model: "",
            wwid: "",
            sector: 512,
            bus: "pci0000:00/0000:00:03.0/virtio0",
            removable: false,
            read_only: false,
        }
    }
}

pub(crate) struct Fake {
    dir: tempfile::TempDir,
    clock: Duration,
    minor: u32,
    blkid: BTreeMap<String, String>,
    instead: BTreeMap<String, VecDeque<Say>>,
    recipient: Option<String>,
    calls: Vec<(String, Option<String>, String)>,
    pub plan: Plan,
    /// Every command and write, as one would type it, with the test's folder left out.
    pub log: Vec<String>,
    pub console: Vec<String>,
    /// The length of `log` at each report.
    pub marks: Vec<usize>,
    /// The place in `log` of the command that fails.
    pub fail_at: Option<usize>,
    /// What tries of `nix-env` say before they fail.
    pub nix_fails: VecDeque<Vec<String>>,
    /// Files of the toplevel that the copy lacks.
    pub lacking: Option<&'static str>,
}

impl Fake {
    pub(crate) fn new(firmware: Firmware) -> Self {
        let fake = Self {
            dir: tempfile::tempdir().expect("tempdir"),
            clock: Duration::ZERO,
            minor: 0,
            blkid: BTreeMap::new(),
            instead: BTreeMap::new(),
            recipient: None,
            calls: Vec::new(),
            plan: plan(firmware),
            log: Vec::new(),
            console: Vec::new(),
            marks: Vec::new(),
            fail_at: None,
            nix_fails: VecDeque::new(),
            lacking: None,
        };
        fake.write(
            "proc/meminfo",
            "MemTotal:        1000000 kB\nMemFree: 1 kB\n",
        );
        for (file, text) in [
            ("sys_vendor", "QEMU\n"),
            ("product_name", "Standard PC\n"),
            ("product_uuid", "4c4c\n"),
        ] {
            fake.write(&format!("sys/class/dmi/id/{file}"), text);
        }
        for (file, text) in [
            ("address", "52:54:00:12:34:56\n"),
            ("carrier", "1\n"),
            ("device/vendor", "0x1af4\n"),
        ] {
            fake.write(&format!("sys/class/net/eth0/{file}"), text);
        }
        fake.write("sys/class/net/lo/address", "00:00:00:00:00:00\n");
        if firmware == Firmware::Uefi {
            fake.write("sys/firmware/efi/fw_platform_size", "64\n");
        }
        fake
    }

    /// A machine with the planned disk and one beside it.
    pub(crate) fn machine(firmware: Firmware) -> Self {
        let mut fake = Self::new(firmware);
        fake.add_disk(&DiskSpec::virtio("vda", 8 << 30, "root"));
        fake.add_disk(&DiskSpec::virtio("vdb", 9 << 30, "data"));
        fake.add_partition("vda", 1, 2048, 4096, "old");
        fake
    }

    fn base(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn roots(&self) -> Roots {
        Roots::new(self.base(), &self.base().join("mnt"))
    }

    pub(crate) fn plain(&self, text: &str) -> String {
        text.replace(&self.base().display().to_string(), "")
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.base().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("makes");
        fs::write(path, text).expect("writes");
    }

    pub(crate) fn add_disk(&mut self, disk: &DiskSpec) {
        let DiskSpec { name, .. } = *disk;
        let folder = format!("sys/devices/{}/block/{name}", disk.bus);
        let flag = |on: bool| u8::from(on).to_string();
        for (file, text) in [
            ("size", (disk.size / SYSFS_SECTOR).to_string()),
            ("queue/logical_block_size", disk.sector.to_string()),
            ("serial", disk.serial.to_owned()),
            ("wwid", disk.wwid.to_owned()),
            ("device/model", format!("{}    ", disk.model)),
            ("removable", flag(disk.removable)),
            ("ro", flag(disk.read_only)),
        ] {
            self.write(&format!("{folder}/{file}"), &format!("{text}\n"));
        }
        self.appear(name, &folder);
        let link = self.base().join("sys/block").join(name);
        fs::create_dir_all(link.parent().expect("a folder")).expect("makes");
        symlink(self.base().join(folder), link).expect("links");
    }

    /// Start and size in sectors of 512.
    pub(crate) fn add_partition(
        &mut self,
        disk: &str,
        number: u32,
        start: u64,
        size: u64,
        label: &str,
    ) {
        let digit = disk.ends_with(|c: char| c.is_ascii_digit());
        let name = format!("{disk}{}{number}", if digit { "p" } else { "" });
        let disk = fs::canonicalize(self.base().join("sys/block").join(disk)).expect("the disk");
        let folder = disk
            .strip_prefix(fs::canonicalize(self.base()).expect("base"))
            .expect("inside")
            .join(&name);
        let folder = folder.display().to_string();
        for (file, text) in [
            ("partition", number.to_string()),
            ("start", start.to_string()),
            ("size", size.to_string()),
            ("uevent", format!("DEVNAME={name}\nPARTNAME={label}")),
        ] {
            self.write(&format!("{folder}/{file}"), &format!("{text}\n"));
        }
        self.appear(&name, &folder);
    }

    /// A device mapper or RAID device on others.
    pub(crate) fn stack(&self, name: &str, on: &[&str], mapped: Option<&str>) {
        let folder = format!("sys/class/block/{name}");
        self.write(&format!("{folder}/dev"), &format!("253:{}\n", name.len()));
        if let Some(mapped) = mapped {
            self.write(&format!("{folder}/dm/name"), mapped);
        }
        for slave in on {
            self.write(&format!("{folder}/slaves/{slave}"), "");
            self.write(&format!("sys/class/block/{slave}/holders/{name}"), "");
        }
    }

    fn appear(&mut self, name: &str, folder: &str) {
        self.minor += 1;
        self.write(&format!("{folder}/dev"), &format!("254:{}\n", self.minor));
        self.write(&format!("dev/{name}"), "");
        let link = self.base().join("sys/class/block").join(name);
        fs::create_dir_all(link.parent().expect("a folder")).expect("makes");
        let _ = fs::remove_file(&link);
        symlink(self.base().join(folder), link).expect("links");
    }

    /// `254:1`
    pub(crate) fn number(&self, name: &str) -> String {
        let file = self.base().join("sys/class/block").join(name).join("dev");
        fs::read_to_string(file)
            .expect("a device")
            .trim()
            .to_owned()
    }

    pub(crate) fn blkid(&mut self, node: &str, export: &str) {
        self.blkid.insert(node.to_owned(), export.to_owned());
    }

    pub(crate) fn answer(&mut self, path: &str, say: Say) {
        self.instead
            .entry(path.to_owned())
            .or_default()
            .push_back(say);
    }

    pub(crate) fn away(&mut self, path: &str, times: usize) {
        for _ in 0..times {
            self.answer(path, Say::Away);
        }
    }

    pub(crate) fn calls(&self, path: &str) -> usize {
        self.calls.iter().filter(|(p, ..)| p == path).count()
    }

    pub(crate) fn bodies(&self, path: &str) -> Vec<&str> {
        self.calls
            .iter()
            .filter(|(p, ..)| p == path)
            .map(|(_, _, b)| b.as_str())
            .collect()
    }

    pub(crate) fn bearers(&self, path: &str) -> Vec<&str> {
        let mut all: Vec<&str> = self
            .calls
            .iter()
            .filter(|(p, ..)| p == path)
            .filter_map(|(_, b, _)| b.as_deref())
            .collect();
        all.dedup();
        all
    }

    /// Every report that was sent, repeats included.
    pub(crate) fn reports(&self) -> Vec<Report> {
        let read = |body: &str| serde_json::from_str(body).expect("a report");
        self.bodies("/node/v1/report")
            .into_iter()
            .map(read)
            .collect()
    }

    fn usual(&mut self, call: &Call<'_>) -> String {
        match call.path {
            "/node/v1/claim" => {
                let request: ClaimRequest = serde_json::from_str(&call.body).expect("a claim");
                self.recipient = Some(request.recipient);
                let answer = ClaimAnswer {
                    name: self.plan.host_name.clone(),
                    attempt: 1,
                    attempts: 3,
                };
                serde_json::to_string(&answer).expect("writes")
            }
            "/node/v1/plan" => serde_json::to_string(&self.plan).expect("writes"),
            "/node/v1/secrets" => {
                let recipient: age::x25519::Recipient = self
                    .recipient
                    .as_deref()
                    .expect("claimed")
                    .parse()
                    .expect("a recipient");
                let role = self.plan.k3s.as_ref().map_or(Role::Agent, |k| k.role);
                let json = serde_json::to_vec(&secrets(role)).expect("writes");
                let sealed = age::encrypt(&recipient, &json).expect("seals");
                let answer = SealedAnswer {
                    sealed: STANDARD.encode(sealed),
                };
                serde_json::to_string(&answer).expect("writes")
            }
            _ => "{}".to_owned(),
        }
    }

    /// What a program changes in this world.
    fn effect(&mut self, command: &Command) -> Output {
        let arg = |n: usize| {
            command
                .args
                .iter()
                .rev()
                .nth(n)
                .cloned()
                .unwrap_or_default()
        };
        let name = |path: String| {
            Path::new(&path)
                .file_name()
                .map_or(String::new(), |n| n.to_string_lossy().into_owned())
        };
        let mut output = Output {
            status: Some(0),
            stdout: String::new(),
        };
        match command.program {
            "blkid" => match self.blkid.get(&name(arg(0))) {
                Some(text) => output.stdout.clone_from(text),
                None => output.status = Some(2),
            },
            "blockdev" if command.args[0] == "--rereadpt" => {
                let disk = self.base().join("sys/block").join(name(arg(0)));
                for entry in fs::read_dir(disk).expect("a disk").flatten() {
                    if entry.path().join("partition").exists() {
                        fs::remove_dir_all(entry.path()).expect("forgets");
                    }
                }
            }
            "sfdisk" => {
                let disk = name(arg(0));
                let sector: u64 = fs::read_to_string(
                    self.base()
                        .join("sys/block")
                        .join(&disk)
                        .join("queue/logical_block_size"),
                )
                .expect("a disk")
                .trim()
                .parse()
                .expect("a number");
                for line in command.stdin.clone().unwrap_or_default().lines() {
                    let Some((number, fields)) = line.split_once(" : ") else {
                        continue;
                    };
                    let field = |key: &str| {
                        let found = fields.split(", ").find_map(|f| f.strip_prefix(key));
                        found.expect("the field").trim_matches('"').to_owned()
                    };
                    let sectors = |key: &str| {
                        field(key).parse::<u64>().expect("a number") * sector / SYSFS_SECTOR
                    };
                    self.add_partition(
                        &disk,
                        number.parse().expect("a number"),
                        sectors("start="),
                        sectors("size="),
                        &field("name="),
                    );
                }
            }
            "nix-env" => self.fetched(&PathBuf::from(arg(2))),
            "ssh-keygen" => {
                fs::write(arg(0), "PRIVATE").expect("writes");
                fs::write(
                    format!("{}.pub", arg(0)),
                    "ssh-ed25519 AAAAkey root@node1\n",
                )
                .expect("writes");
            }
            _ => {}
        }
        output
    }

    fn fetched(&self, profile: &Path) {
        for part in [
            "init",
            "kernel",
            "nixos-version",
            "bin/switch-to-configuration",
        ] {
            if Some(part) != self.lacking {
                self.write(&format!("mnt{TOPLEVEL}/{part}"), "25.05\n");
            }
        }
        symlink(TOPLEVEL, profile.with_file_name("system-1-link")).expect("links");
        symlink("system-1-link", profile).expect("links");
    }
}

impl Outside for Fake {
    fn start(&mut self, command: &Command) -> io::Result<Box<dyn Running>> {
        let failing = self.fail_at == Some(self.log.len());
        let typed = self.plain(&command.to_string());
        let stdin = command
            .stdin
            .as_deref()
            .map_or(String::new(), |text| format!("\n{text}"));
        self.log.push(typed + stdin.trim_end());
        let broken = |lines: Vec<String>| Said {
            lines: lines.into(),
            output: Output {
                status: Some(1),
                stdout: String::new(),
            },
        };
        if failing {
            return Ok(Box::new(broken(vec!["it broke".to_owned()])));
        }
        if command.program == "nix-env"
            && let Some(lines) = self.nix_fails.pop_front()
        {
            return Ok(Box::new(broken(lines)));
        }
        let output = self.effect(command);
        Ok(Box::new(Said {
            lines: VecDeque::new(),
            output,
        }))
    }

    fn zero_ends(&mut self, disk: &Path, size: u64, span: u64) -> io::Result<()> {
        let failing = self.fail_at == Some(self.log.len());
        self.log.push(self.plain(&format!(
            "zero {span} bytes at both ends of {} ({size} bytes)",
            disk.display()
        )));
        if failing {
            Err(io::Error::other("it broke"))
        } else {
            Ok(())
        }
    }

    fn post(&mut self, call: &Call<'_>) -> Result<Answer, NoAnswer> {
        self.clock += Duration::from_millis(10);
        if call.path == "/node/v1/report" {
            self.marks.push(self.log.len());
        }
        self.calls.push((
            call.path.to_owned(),
            call.bearer.map(str::to_owned),
            call.body.clone(),
        ));
        let yes = |body: String| Answer {
            status: 200,
            body: body.into_bytes(),
        };
        match self
            .instead
            .get_mut(call.path)
            .and_then(VecDeque::pop_front)
        {
            None => Ok(yes(self.usual(call))),
            Some(Say::Body(body)) => Ok(yes(body)),
            Some(Say::Status(status)) => Ok(Answer {
                status,
                body: Vec::new(),
            }),
            Some(Say::Refusal(status, error)) => {
                let body = serde_json::to_vec(&netboot::wire::ErrorBody { error }).expect("writes");
                Ok(Answer { status, body })
            }
            Some(Say::Away) => Err(NoAnswer::Away("connection refused".to_owned())),
            Some(Say::Foreign) => Err(ForeignKey {
                what: "its key is another".to_owned(),
            }
            .into()),
        }
    }

    fn random(&mut self, octets: &mut [u8]) -> io::Result<()> {
        octets.fill(0xab);
        Ok(())
    }

    fn elapsed(&self) -> Duration {
        self.clock
    }

    fn sleep(&mut self, time: Duration) {
        self.clock += time;
    }

    fn say(&mut self, line: &str) {
        self.console.push(line.to_owned());
    }
}

struct Said {
    lines: VecDeque<String>,
    output: Output,
}

impl Running for Said {
    fn line(&mut self) -> Option<String> {
        self.lines.pop_front()
    }

    fn end(self: Box<Self>) -> io::Result<Output> {
        Ok(self.output)
    }
}

/// Onto a virtio disk of 8 GiB with the serial `root`.
pub(crate) fn plan(firmware: Firmware) -> Plan {
    let (label, purpose, size, filesystem, mountpoint) = match firmware {
        Firmware::Uefi => (
            "disk-main-ESP",
            Purpose::Esp,
            512 * MIB,
            Some(Filesystem::Vfat),
            Some("/boot".to_owned()),
        ),
        Firmware::Bios => ("disk-main-boot", Purpose::BiosBoot, MIB, None, None),
    };
    let first = Partition {
        number: 1,
        label: label.to_owned(),
        purpose,
        start: MIB,
        size,
        filesystem,
        mountpoint,
    };
    let root = Partition {
        number: 2,
        label: "disk-main-root".to_owned(),
        purpose: Purpose::Linux,
        start: MIB + size,
        size: (8 << 30) - 2 * MIB - size,
        filesystem: Some(Filesystem::Ext4),
        mountpoint: Some("/".to_owned()),
    };
    Plan {
        host_name: "node1".parse().expect("a name"),
        firmware,
        disk: PlannedDisk {
            node: "vda".to_owned(),
            size: 8 << 30,
            sector: 512,
            model: String::new(),
            serial: "root".to_owned(),
            wwn: String::new(),
        },
        destroys: vec!["vda1: ext4 `old`".to_owned()],
        partitions: vec![first, root],
        release: PlannedRelease {
            system: "worker".parse().expect("a name"),
            number: 4,
            toplevel: TOPLEVEL.parse().expect("a store path"),
            closure_size: 100,
        },
        cache: Cache {
            url: "http://10.77.0.1:8080/cache".to_owned(),
            public_key: "appliance-1:a2V5".to_owned(),
        },
        k3s: Some(K3s {
            role: Role::Agent,
            server: Some("https://10.77.0.10:6443".to_owned()),
        }),
    }
}

pub(crate) fn identity(role: Role) -> NodeIdentity {
    NodeIdentity {
        name: "node1".parse().expect("a name"),
        machine: "52:54:00:12:34:56".parse().expect("a mac"),
        appliance: "https://10.77.0.1:8443".to_owned(),
        pin: Pin::of(b"the appliance").to_string(),
        role: Some(role),
    }
}

pub(crate) fn secrets(role: Role) -> InstallSecrets {
    InstallSecrets {
        node_key: "canary-node-key".to_owned(),
        k3s: Some(K3sSecrets {
            token: "canary-token".to_owned(),
            agent_token: (role != Role::Agent).then(|| "canary-agent-token".to_owned()),
            node_password: "canary-password".to_owned(),
        }),
    }
}
