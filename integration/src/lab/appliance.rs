//! The real `pxe-appliance` in its room, and the real `pxe-admin` beside it.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context as _, bail};
use netboot::api::machine_view::MachineView;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::command::output;
use super::lan::{APPLIANCE, LanNamespace, ROUTER};
use super::process::Process;
use super::products::Products;
use super::repository::Repository;
use super::services::{ClusterSecrets, DhcpSetup, cluster_url};
use super::wait::wait_for;

/// What an operator would write down before the first start.
pub struct ApplianceSetting<'a> {
    pub leases: DhcpSetup,
    /// What the machines have, as `uname -m` says it: which installer there is.
    pub processor: &'static str,
    pub tokens: &'a ClusterSecrets,
    /// The text of `hosts/profiles/worker.toml`.
    pub profile: &'a str,
    /// `[[dhcp.subnet]]` tables, for machines behind a relay.
    pub subnets: &'a str,
    /// Words for the installer's kernel, besides those that it needs.
    pub cmdline: &'a str,
    /// `boot.unknown`, where it is not the default.
    pub unknown: Option<&'a str>,
}

pub struct RunningAppliance {
    room: LanNamespace,
    programs: PathBuf,
    env: Vec<(String, String)>,
    dir: PathBuf,
    pub log: PathBuf,
    process: Option<Process>,
    raw_sockets: bool,
}

/// What a command said.
#[derive(Debug)]
pub struct ApplianceLog {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl RunningAppliance {
    /// Writes configuration, profile and flake into `dir`. The appliance is started later; no release is published.
    pub fn new(
        room: LanNamespace,
        products: &Products,
        setting: &ApplianceSetting<'_>,
        dir: PathBuf,
    ) -> anyhow::Result<Self> {
        let text = configuration(products, setting, &dir)?;
        let repository = Repository::begin(&dir, products)?;
        repository.write("hosts/profiles/worker.toml", setting.profile)?;
        let appliance = Self::configured(room, products, &text, dir)?;
        repository.commit("the lab as it begins")?;
        Ok(appliance)
    }

    /// With this `appliance.toml` and no profiles; its socket must be `admin.sock`.
    pub fn configured(
        room: LanNamespace,
        products: &Products,
        text: &str,
        dir: PathBuf,
    ) -> anyhow::Result<Self> {
        fs::create_dir_all(dir.join("hosts/profiles"))?;
        fs::write(dir.join("appliance.toml"), text)?;
        let mut env: Vec<_> = products.env.clone().into_iter().collect();
        // Relative, because the path of a socket may have 107 characters and a clone may lie deep.
        env.push(("PXE_APPLIANCE".to_owned(), "unix:admin.sock".to_owned()));
        Ok(Self {
            room,
            programs: products.programs(),
            env,
            log: dir.join("appliance.log"),
            dir,
            process: None,
            raw_sockets: true,
        })
    }

    /// From the next start on it may not send frames, as a service without CAP_NET_RAW.
    pub fn forbid_raw_sockets(&mut self) {
        self.raw_sockets = false;
    }

    /// Sets a variable of its environment for the next start.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.env.push((name.to_owned(), value.to_owned()));
    }

    pub fn room(&self) -> &LanNamespace {
        &self.room
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Starts the service and waits until it answers an operator.
    pub fn start(&mut self) -> anyhow::Result<()> {
        let program = self.programs.join("pxe-appliance");
        let mut command = if self.raw_sockets {
            self.room.command(program)
        } else {
            let mut command = self.room.command("setpriv");
            command.arg("--bounding-set=-net_raw").arg(program);
            command
        };
        command
            .args(["serve", "--config", "appliance.toml"])
            .current_dir(&self.dir)
            .envs(self.env.clone());
        let mut process = Process::start("pxe-appliance", &mut command, &self.log)?;
        let log = self.log.display().to_string();
        wait_for("pxe-appliance to answer", Duration::from_secs(20), || {
            process
                .still_runs()
                .with_context(|| format!("see `{log}`"))?;
            Ok(self.admin("machines")?.status.success())
        })?;
        self.process = Some(process);
        Ok(())
    }

    /// SIGTERM.
    pub fn stop(&mut self) -> anyhow::Result<ExitStatus> {
        let mut process = self.process.take().context("the appliance does not run")?;
        process.stop(Duration::from_secs(10))
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process
            .take()
            .context("the appliance does not run")?
            .kill()
    }

    pub fn still_runs(&mut self) -> anyhow::Result<()> {
        match &mut self.process {
            Some(process) => process
                .still_runs()
                .with_context(|| format!("see `{}`", self.log.display())),
            None => Ok(()),
        }
    }

    pub fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    /// `pxe-admin WORDS`, ready to run.
    pub fn admin_command(&self, words: &str) -> Command {
        let mut command = Command::new(self.programs.join("pxe-admin"));
        command
            .args(words.split(' '))
            .current_dir(&self.dir)
            .envs(self.env.clone());
        command
    }

    /// `pxe-admin WORDS`
    pub fn admin(&self, words: &str) -> anyhow::Result<ApplianceLog> {
        let output = self
            .admin_command(words)
            .output()
            .context("cannot run pxe-admin")?;
        Ok(ApplianceLog {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// `pxe-admin WORDS`, which must succeed; its stdout.
    pub fn must(&self, words: &str) -> anyhow::Result<String> {
        let said = self.admin(words)?;
        if !said.status.success() {
            bail!(
                "`pxe-admin {words}` ended with {}:\n{}",
                said.status,
                said.stderr
            );
        }
        Ok(said.stdout)
    }

    /// `pxe-admin --json WORDS`. `show` says with its status how far a machine is, so any status will do.
    pub fn ask<T: DeserializeOwned>(&self, words: &str) -> anyhow::Result<T> {
        let said = self.admin(&format!("--json {words}"))?;
        serde_json::from_str(&said.stdout).with_context(|| {
            format!(
                "`pxe-admin --json {words}` said `{}` and `{}`",
                said.stdout, said.stderr
            )
        })
    }

    /// All machines on record.
    pub fn machines(&self) -> anyhow::Result<Vec<MachineView>> {
        Ok(self
            .ask::<netboot::api::types::MachineList>("machines")?
            .machines)
    }

    /// The machine with this MAC, if it is on record.
    pub fn machine(&self, mac: &str) -> anyhow::Result<Option<MachineView>> {
        let found = self
            .machines()?
            .into_iter()
            .find(|m| m.id.to_string() == mac);
        Ok(found)
    }

    /// The ticket that was handed out last for the machine with this MAC, from the journal: operators are not shown it.
    ///
    /// # Errors
    /// The journal cannot be read, or has no ticket for it.
    pub fn ticket(&self, mac: &str) -> anyhow::Result<String> {
        let journal = self.dir.join("state/store/journal.jsonl");
        let text = fs::read_to_string(&journal)
            .with_context(|| format!("cannot read `{}`", journal.display()))?;
        let lines = text.lines().rev();
        let mut lines = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let ticket = lines.find_map(|line| {
            let event = line.get("event").filter(|event| event["machine"] == mac)?;
            event["what"]["ticket"].as_str().map(str::to_owned)
        });
        ticket.with_context(|| format!("the journal has no ticket for {mac}"))
    }

    /// What any machine on the LAN gets at a URL path of `http.port`.
    pub fn fetch(&self, path: &str) -> anyhow::Result<String> {
        let url = format!("http://{APPLIANCE}:8080{path}");
        output(
            self.room
                .command("curl")
                .args(["-sS", "--max-time", "10", &url]),
        )
    }
}

/// `appliance.toml`. What is not said here is left to the defaults, which is most of it.
fn configuration(
    products: &Products,
    setting: &ApplianceSetting<'_>,
    dir: &Path,
) -> anyhow::Result<String> {
    let quoted = |path: PathBuf| toml_string(&path.display().to_string());
    let token = |which| quoted(setting.tokens.file(which));
    let mut text = String::new();
    writeln!(text, "state-dir = {}", quoted(dir.join("state")))?;
    writeln!(text, "flake = \".\"")?;
    writeln!(text, "\n[admin]\nsocket = \"admin.sock\"")?;
    if setting.leases == DhcpSetup::ByAppliance {
        writeln!(
            text,
            "\n[dhcp]\nmode = \"server\"\nrange = [\"10.77.0.100\", \"10.77.0.199\"]"
        )?;
        // The home router leads to the rest of the world, and hands out no addresses here.
        writeln!(
            text,
            "router = \"{ROUTER}\"\nallow-default-route = true\n{}",
            setting.subnets
        )?;
    }
    writeln!(text, "\n[boot]")?;
    if let Some(unknown) = setting.unknown {
        writeln!(text, "unknown = {}", toml_string(unknown))?;
    }
    if let Some(ipxe) = env::var_os("IPXE_DIR") {
        writeln!(text, "ipxe-dir = {}", quoted(PathBuf::from(ipxe)))?;
    }
    if setting.processor == "aarch64" {
        writeln!(text, "grub-dir = {}", quoted(products.arm("loaders")))?;
    }
    // Nothing can be published for another processor, and what stands here comes before what was published.
    if setting.processor != "x86_64" || !setting.cmdline.is_empty() {
        let file = |name| match setting.processor {
            "aarch64" => products.arm(name),
            _ => products.installer(name),
        };
        let cmdline =
            fs::read_to_string(file("cmdline")).context("cannot read the command line")?;
        let cmdline = format!("{} {}", cmdline.trim(), setting.cmdline);
        writeln!(
            text,
            "\n[images.installer]\narch = \"{}\"",
            setting.processor
        )?;
        for part in ["kernel", "initrd"] {
            writeln!(text, "{part} = {}", quoted(file(part)))?;
        }
        writeln!(text, "cmdline = {}", toml_string(cmdline.trim()))?;
    }
    writeln!(text, "\n[k3s]\nserver = \"{}\"", cluster_url())?;
    writeln!(
        text,
        "token-file = {}\nagent-token-file = {}",
        token("server"),
        token("agent")
    )?;
    writeln!(text, "api-token-file = {}", token("api"))?;
    Ok(text)
}

/// A basic string of TOML; JSON's escapes are among TOML's.
fn toml_string(text: &str) -> String {
    Value::from(text).to_string()
}
