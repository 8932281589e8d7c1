//! A world for tests: a machine made of folders, programs that do what matters of theirs, and an appliance that says yes.

mod appliance;
mod machine;
mod programs;
mod samples;

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use netboot::disk::hardware::Firmware;
use netboot::install::plan::Plan;
use netboot::install::report::Report;
use netboot_pin::ForeignKey;

use crate::access::{
    CallFailed, CommandOutput, HostCommand, NodeAnswer, NodeCall, ReadAccess, ReadCommand, Roots,
    RunningCommand, WriteAccess,
};

pub(crate) use machine::DiskSpec;
pub(crate) use samples::{TOPLEVEL, identity, plan, plan_for, plan_on, secrets};

/// What the appliance, or `nix-env`, does once in place of the usual.
pub(crate) enum FakeAnswer {
    Away,
    Foreign,
    Status(u16),
    Refusal(u16, netboot::base::refusal::Refusal),
    Body(String),
}

/// Something that happens to the machine meanwhile.
type MachineChange = fn(&mut FakeMachine);

pub(crate) struct FakeMachine {
    dir: tempfile::TempDir,
    clock: Duration,
    minor: u32,
    signatures: BTreeMap<String, String>,
    instead: BTreeMap<String, VecDeque<FakeAnswer>>,
    recipient: Option<String>,
    calls: Vec<(String, Option<String>, String)>,
    pub plan: Plan,
    /// Every command and write, as one would type it, with the test's folder left out.
    pub log: Vec<String>,
    pub console: Vec<String>,
    /// What `pvs` prints.
    pub physical_volumes: String,
    /// Whether the installer has ZFS.
    pub zfs: bool,
    /// What `zpool list` prints.
    pub pools: String,
    /// The length of `log` at each report.
    pub marks: Vec<usize>,
    /// The place in `log` of the command that fails.
    pub fail_at: Option<usize>,
    /// The program that fails each time.
    pub fail_every: Option<&'static str>,
    /// What tries of `nix-env` say before they fail.
    pub nix_fails: VecDeque<Vec<String>>,
    /// Changes that happen once that time has passed.
    due: Vec<(Duration, MachineChange)>,
    on_call: Option<(&'static str, MachineChange)>,
    /// What disko's script does; the line that it fails with.
    pub script: fn(&mut FakeMachine) -> Result<(), &'static str>,
    /// What programs read that must not be in `log`.
    pub secret_inputs: Vec<String>,
    /// What `cryptsetup luksDump` prints of a device.
    pub headers: BTreeMap<String, String>,
    /// What `sfdisk --part-type` prints.
    pub partition_type: String,
    /// Files of the toplevel that the copy lacks.
    pub lacking: Option<&'static str>,
}

impl FakeMachine {
    pub(crate) fn new(firmware: Firmware) -> Self {
        let fake = Self {
            dir: tempfile::tempdir().expect("tempdir"),
            clock: Duration::ZERO,
            minor: 0,
            signatures: BTreeMap::new(),
            physical_volumes: String::new(),
            zfs: false,
            pools: String::new(),
            instead: BTreeMap::new(),
            recipient: None,
            calls: Vec::new(),
            plan: plan(firmware),
            log: Vec::new(),
            console: Vec::new(),
            marks: Vec::new(),
            fail_at: None,
            fail_every: None,
            nix_fails: VecDeque::new(),
            due: Vec::new(),
            on_call: None,
            script: |_| Err("there is no script here"),
            secret_inputs: Vec::new(),
            headers: BTreeMap::new(),
            partition_type: String::new(),
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

    pub(crate) fn base(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn roots(&self) -> Roots {
        Roots::new(self.base(), &self.base().join("mnt"))
    }

    pub(crate) fn without_base(&self, text: &str) -> String {
        text.replace(&self.base().display().to_string(), "")
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.base().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("makes");
        fs::write(path, text).expect("writes");
    }

    pub(crate) fn write_octets(&self, path: &str, octets: &[u8]) {
        self.write(path, "");
        fs::write(self.base().join(path), octets).expect("writes");
    }

    /// What `wipefs` finds on a device: offset, type, label, UUID.
    pub(crate) fn signatures(&mut self, node: &str, all: &[(&str, &str, &str, &str)]) {
        let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let all: Vec<_> = all
            .iter()
            .map(|(offset, kind, label, uuid)| {
                serde_json::json!({
                    "device": node, "offset": offset, "type": kind,
                    "uuid": said(uuid), "label": said(label),
                })
            })
            .collect();
        let list = serde_json::json!({ "signatures": all });
        self.signatures.insert(node.to_owned(), list.to_string());
    }

    pub(crate) fn answer(&mut self, path: &str, say: FakeAnswer) {
        self.instead
            .entry(path.to_owned())
            .or_default()
            .push_back(say);
    }

    /// A change that happens while the agent sleeps, `seconds` after it began.
    pub(crate) fn at(&mut self, seconds: u64, change: MachineChange) {
        self.due.push((Duration::from_secs(seconds), change));
    }

    /// What happens once this was called: a path of the appliance, or a command line.
    pub(crate) fn on_call(&mut self, what: &'static str, change: MachineChange) {
        self.on_call = Some((what, change));
    }

    fn called(&mut self, what: &str) {
        if let Some((_, change)) = self.on_call.take_if(|(waited, _)| *waited == what) {
            change(self);
        }
    }

    pub(crate) fn away(&mut self, path: &str, times: usize) {
        for _ in 0..times {
            self.answer(path, FakeAnswer::Away);
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
}

impl WriteAccess for FakeMachine {
    fn start(&mut self, command: &HostCommand) -> io::Result<Box<dyn RunningCommand>> {
        let failing = self.fail_at == Some(self.log.len());
        let typed = self.without_base(&command.to_string());
        let secret = ["cryptsetup", "systemd-cryptenroll"].contains(&command.program.as_str());
        let stdin = match &command.stdin {
            Some(text) if secret => {
                self.secret_inputs.push(text.clone());
                String::new()
            }
            Some(text) => format!("\n{text}"),
            None => String::new(),
        };
        self.log.push(typed + stdin.trim_end());
        let broken = |lines: Vec<String>| AgentLog {
            lines: lines.into(),
            output: CommandOutput {
                status: Some(1),
                stdout: String::new(),
            },
        };
        if failing || self.fail_every == Some(command.program.as_str()) {
            return Ok(Box::new(broken(vec!["it broke".to_owned()])));
        }
        if command.program == "nix-env"
            && let Some(lines) = self.nix_fails.pop_front()
        {
            return Ok(Box::new(broken(lines)));
        }
        if command.program == "timeout"
            && let Err(line) = (self.script)(self)
        {
            return Ok(Box::new(broken(vec![line.to_owned()])));
        }
        let output = self.effect(command);
        let line = self.log.last().cloned().unwrap_or_default();
        self.called(&line);
        Ok(Box::new(AgentLog {
            lines: VecDeque::new(),
            output,
        }))
    }

    fn zero_ends(&mut self, disk: &Path, size: u64, span: u64) -> io::Result<()> {
        let failing = self.fail_at == Some(self.log.len());
        self.log.push(self.without_base(&format!(
            "zero {span} bytes at both ends of {} ({size} bytes)",
            disk.display()
        )));
        if failing {
            Err(io::Error::other("it broke"))
        } else {
            Ok(())
        }
    }

    fn random(&mut self, octets: &mut [u8]) -> io::Result<()> {
        octets.fill(0xab);
        Ok(())
    }
}

impl ReadAccess for FakeMachine {
    fn look(&mut self, probe: &ReadCommand) -> io::Result<Box<dyn RunningCommand>> {
        self.start(probe.command())
    }

    fn post(&mut self, call: &NodeCall<'_>) -> Result<NodeAnswer, CallFailed> {
        self.clock += Duration::from_millis(10);
        if call.path == "/node/v1/report" {
            self.marks.push(self.log.len());
        }
        self.calls.push((
            call.path.to_owned(),
            call.bearer.map(str::to_owned),
            call.body.clone(),
        ));
        let yes = |body: String| NodeAnswer {
            status: 200,
            body: body.into_bytes(),
        };
        let said = self.instead.get_mut(call.path);
        let answer = match said.and_then(VecDeque::pop_front) {
            None => Ok(yes(self.usual(call))),
            Some(FakeAnswer::Body(body)) => Ok(yes(body)),
            Some(FakeAnswer::Status(status)) => Ok(NodeAnswer {
                status,
                body: Vec::new(),
            }),
            Some(FakeAnswer::Refusal(status, error)) => {
                let body =
                    serde_json::to_vec(&netboot::api::types::ErrorBody { error }).expect("writes");
                Ok(NodeAnswer { status, body })
            }
            Some(FakeAnswer::Away) => Err(CallFailed::Away("connection refused".to_owned())),
            Some(FakeAnswer::Foreign) => Err(ForeignKey {
                what: "its key is another".to_owned(),
            }
            .into()),
        };
        self.called(call.path);
        answer
    }

    fn elapsed(&self) -> Duration {
        self.clock
    }

    fn sleep(&mut self, time: Duration) {
        self.clock += time;
        while let Some(place) = self.due.iter().position(|(at, _)| *at <= self.clock) {
            let (_, change) = self.due.remove(place);
            change(self);
        }
    }

    fn say(&mut self, line: &str) {
        self.console.push(line.to_owned());
    }
}

struct AgentLog {
    lines: VecDeque<String>,
    output: CommandOutput,
}

impl RunningCommand for AgentLog {
    fn line(&mut self) -> Option<String> {
        self.lines.pop_front()
    }

    fn end(self: Box<Self>) -> io::Result<CommandOutput> {
        Ok(self.output)
    }
}
