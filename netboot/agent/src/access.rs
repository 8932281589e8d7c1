//! All that the agent does to the world passes through this trait, so that a test can stand in for the world.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use netboot::install::plan::quoted;
use netboot_pin::ForeignKey;

/// A program to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostCommand {
    pub program: String,
    pub args: Vec<String>,
    pub env: Vec<(&'static str, &'static str)>,
    pub stdin: Option<String>,
}

impl HostCommand {
    pub(crate) fn new(program: impl Into<String>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            stdin: None,
        }
    }

    pub(crate) fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub(crate) fn args<'a>(mut self, args: impl IntoIterator<Item = &'a str>) -> Self {
        self.args.extend(args.into_iter().map(str::to_owned));
        self
    }

    pub(crate) fn path(self, path: &Path) -> Self {
        self.arg(path.to_string_lossy())
    }

    pub(crate) fn env(mut self, name: &'static str, value: &'static str) -> Self {
        self.env.push((name, value));
        self
    }

    pub(crate) fn stdin(mut self, text: String) -> Self {
        self.stdin = Some(text);
        self
    }
}

/// As one would type it, for messages.
impl fmt::Display for HostCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.env {
            write!(f, "{name}={value} ")?;
        }
        f.write_str(&self.program)?;
        self.args
            .iter()
            .try_for_each(|arg| write!(f, " {}", quoted(arg)))
    }
}

/// How a program ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CommandOutput {
    /// `None` if a signal ended it.
    pub status: Option<i32>,
    pub stdout: String,
}

/// A program that runs.
pub(crate) trait RunningCommand {
    /// The next line of its stderr; `None` when it has closed it.
    fn line(&mut self) -> Option<String>;
    fn end(self: Box<Self>) -> io::Result<CommandOutput>;
}

/// A call of the node API. No `Debug`: it carries what must not reach a log.
pub(crate) struct NodeCall<'a> {
    pub path: &'a str,
    pub bearer: Option<&'a str>,
    /// JSON, or empty.
    pub body: String,
    /// How long to wait for the whole answer.
    pub patience: Duration,
}

/// What came back: any status.
pub(crate) struct NodeAnswer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// Why a call got no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallFailed {
    #[error(transparent)]
    Foreign(#[from] ForeignKey),
    #[error("no answer from the appliance: {0}")]
    Away(String),
}

/// The part of the world that can be read and called. It has no method that changes a disk, so code that is given only
/// this cannot write to one.
pub(crate) trait ReadAccess {
    fn look(&mut self, probe: &ReadCommand) -> io::Result<Box<dyn RunningCommand>>;
    fn post(&mut self, call: &NodeCall<'_>) -> Result<NodeAnswer, CallFailed>;
    /// Since the agent began.
    fn elapsed(&self) -> Duration;
    fn sleep(&mut self, time: Duration);
    /// A line for the person at the console.
    fn say(&mut self, line: &str);
}

/// A program that only reads. It can be made by the functions below only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReadCommand(HostCommand);

impl ReadCommand {
    /// What is on a device. Without `--all`, `wipefs` only lists.
    pub(crate) fn signatures(device: &Path) -> Self {
        Self(HostCommand::new("wipefs").arg("--json").path(device))
    }

    /// LVM's physical volumes with their groups. LVM takes no locks, and so repairs nothing meanwhile.
    pub(crate) fn physical_volumes() -> Self {
        Self(HostCommand::new("pvs").args([
            "--readonly",
            "--noheadings",
            "--separator",
            "|",
            "--options",
            "pv_uuid,vg_name,vg_uuid",
        ]))
    }

    /// Says the versions of ZFS's programs and of its kernel module, and fails where either is not there (zpool-version(8)).
    pub(crate) fn zfs() -> Self {
        Self(HostCommand::new("zpool").arg("version"))
    }

    /// Waits until udev is done with what the kernel told it.
    pub(crate) fn settled() -> Self {
        Self(HostCommand::new("udevadm").args(["settle", "--timeout=30"]))
    }

    pub(crate) fn command(&self) -> &HostCommand {
        &self.0
    }
}

/// The whole world, disks included.
pub(crate) trait WriteAccess: ReadAccess {
    fn start(&mut self, command: &HostCommand) -> io::Result<Box<dyn RunningCommand>>;
    /// Overwrites the first and the last `span` bytes of a disk of exactly `size` bytes that is not in use.
    fn zero_ends(&mut self, disk: &Path, size: u64, span: u64) -> io::Result<()>;
    fn random(&mut self, octets: &mut [u8]) -> io::Result<()>;
}

/// Where the kernel's and the target's files are; a folder of its own in tests.
#[derive(Debug, Clone)]
pub(crate) struct Roots {
    pub sys: PathBuf,
    pub proc: PathBuf,
    pub dev: PathBuf,
    pub run: PathBuf,
    /// The installer's own store.
    pub nix: PathBuf,
    /// Where the new system is put together.
    pub target: PathBuf,
}

impl Roots {
    pub(crate) fn new(base: &Path, target: &Path) -> Self {
        Self {
            sys: base.join("sys"),
            proc: base.join("proc"),
            dev: base.join("dev"),
            run: base.join("run"),
            nix: base.join("nix"),
            target: target.to_owned(),
        }
    }
}

/// A program that could not be run, or that failed.
#[derive(Debug, thiserror::Error)]
#[error("`{command}` {how}")]
pub(crate) struct CommandError {
    pub command: String,
    pub how: String,
    /// The last lines of its stderr.
    pub said: Vec<String>,
    /// Its exit status, if it had one.
    pub status: Option<i32>,
    /// Whether there is no such program.
    pub absent: bool,
}

/// Lines of a failed program that are worth showing.
const TAIL: usize = 8;

/// A program that was started: its lines as they come, then how it ended.
pub(crate) struct StartedCommand {
    running: Box<dyn RunningCommand>,
    command: String,
    said: Vec<String>,
}

pub(crate) fn start(
    access: &mut dyn WriteAccess,
    command: &HostCommand,
) -> Result<StartedCommand, CommandError> {
    StartedCommand::of(command, access.start(command))
}

impl StartedCommand {
    fn of(
        command: &HostCommand,
        running: io::Result<Box<dyn RunningCommand>>,
    ) -> Result<Self, CommandError> {
        let text = command.to_string();
        match running {
            Ok(running) => Ok(Self {
                running,
                command: text,
                said: Vec::new(),
            }),
            Err(error) => Err(CommandError::not_run(text, &error)),
        }
    }

    /// The next line of its stderr; `None` when there are no more.
    pub(crate) fn line(&mut self) -> Option<String> {
        let line = self.running.line()?;
        if !line.trim().is_empty() {
            if self.said.len() == TAIL {
                self.said.remove(0);
            }
            self.said.push(line.clone());
        }
        Some(line)
    }

    /// Its stdout, if it ended with status 0.
    pub(crate) fn end(mut self) -> Result<String, CommandError> {
        while self.line().is_some() {}
        let output = match self.running.end() {
            Ok(output) => output,
            Err(error) => return Err(CommandError::not_run(self.command, &error)),
        };
        let how = match output.status {
            Some(0) => return Ok(output.stdout),
            Some(status) => format!("ended with status {status}"),
            None => "was ended by a signal".to_owned(),
        };
        Err(CommandError {
            command: self.command,
            how,
            said: self.said,
            status: output.status,
            absent: false,
        })
    }
}

impl CommandError {
    fn not_run(command: String, error: &io::Error) -> Self {
        Self {
            command,
            how: format!("could not be run: {error}"),
            said: Vec::new(),
            status: None,
            absent: error.kind() == io::ErrorKind::NotFound,
        }
    }
}

/// Runs a program to its end and gives its stdout.
pub(crate) fn run(
    access: &mut dyn WriteAccess,
    command: &HostCommand,
) -> Result<String, CommandError> {
    start(access, command)?.end()
}

/// Runs a program that only reads to its end and gives its stdout.
pub(crate) fn look(
    access: &mut dyn ReadAccess,
    probe: &ReadCommand,
) -> Result<String, CommandError> {
    StartedCommand::of(probe.command(), access.look(probe))?.end()
}
