//! The one runner of Nix's programs. It reads what a program writes to stderr while it works, and keeps the last lines for the
//! refusal if the program fails.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::process::{ExitStatus, Stdio};

use netboot::base::refusal::Refusal;
use netboot::publish::nix_log::{BuildLog, BuildUpdate, CacheLog};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;

use crate::publish_failed;

/// Lines of stderr that a refusal carries, where the log has no bound of its own.
const LAST_WORDS: usize = 20;

/// Takes in the lines that a program writes to stderr.
pub trait LogReader: Send {
    /// What the program is told, so that it writes such lines.
    const FORMAT: &'static [&'static str];

    /// Takes in one line, without its end.
    fn line(&mut self, line: &str);

    /// The messages of the program so far, the last ones at least.
    fn messages(&self) -> impl Iterator<Item = &str>;
}

/// What `nix` is told to have it write lines that [`netboot::publish::nix_log`] reads.
const JSON: &[&str] = &["--log-format", "internal-json"];

/// The log of a program that writes plain text.
#[derive(Debug, Default)]
pub struct LastLines(VecDeque<String>);

impl LogReader for LastLines {
    const FORMAT: &'static [&'static str] = &[];

    fn line(&mut self, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        if self.0.len() == LAST_WORDS {
            self.0.pop_front();
        }
        self.0.push_back(line.to_owned());
    }

    fn messages(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// Told about every line of a build that brought something.
pub type BuildListener<'a> = &'a mut (dyn FnMut(&BuildLog, &BuildUpdate) + Send);

/// The log of an evaluation or a build.
pub(crate) struct BuildLogReader<'a> {
    log: BuildLog,
    listener: BuildListener<'a>,
}

impl<'a> BuildLogReader<'a> {
    pub(crate) fn new(listener: BuildListener<'a>) -> Self {
        Self {
            log: BuildLog::default(),
            listener,
        }
    }
}

impl LogReader for BuildLogReader<'_> {
    const FORMAT: &'static [&'static str] = JSON;

    fn line(&mut self, line: &str) {
        if let Some(news) = self.log.take(line) {
            (self.listener)(&self.log, &news);
        }
    }

    fn messages(&self) -> impl Iterator<Item = &str> {
        self.log.messages()
    }
}

/// The log of a copy into a cache; `progress` is told how many bytes of NARs have been copied.
pub struct CopyLogReader<F> {
    log: CacheLog,
    progress: F,
}

impl<F: FnMut(u64) + Send> CopyLogReader<F> {
    pub fn new(log: CacheLog, progress: F) -> Self {
        Self { log, progress }
    }
}

impl<F: FnMut(u64) + Send> LogReader for CopyLogReader<F> {
    const FORMAT: &'static [&'static str] = JSON;

    fn line(&mut self, line: &str) {
        if self.log.take(line) {
            (self.progress)(self.log.done());
        }
    }

    fn messages(&self) -> impl Iterator<Item = &str> {
        let messages = self.log.messages();
        messages[messages.len().saturating_sub(LAST_WORDS)..]
            .iter()
            .map(String::as_str)
    }
}

/// Why a program of Nix gave no result.
#[derive(Debug)]
pub enum RunError {
    /// It could not be started, or not be read from.
    Start { program: String, error: io::Error },
    /// It ended without success. `messages` are the last lines that it wrote, without control characters.
    Status {
        program: String,
        status: ExitStatus,
        messages: Vec<String>,
    },
}

/// The machine whose Nix was run, as a refusal names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// The appliance's, which may be another one than where the refusal is read.
    Appliance,
    /// The one where the command was typed.
    Here,
}

/// A program of Nix, ready for arguments.
pub fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    if name == "nix" {
        command.args(["--extra-experimental-features", "nix-command flakes"]);
    }
    command
}

/// Runs a program of Nix to its end, and returns what it wrote to stdout. Dropping the future ends the program.
///
/// # Errors
/// The program cannot be started or ends without success.
pub async fn run<L: LogReader>(mut command: Command, log: &mut L) -> Result<Vec<u8>, RunError> {
    let program = command.as_std().get_program().to_string_lossy();
    let program = program.into_owned();
    let broken = |error| RunError::Start {
        program: program.clone(),
        error,
    };
    let mut child = command
        .args(L::FORMAT)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(broken)?;
    let (Some(mut stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(broken(io::Error::other("it has no output")));
    };
    let answer = async {
        let mut octets = Vec::new();
        stdout.read_to_end(&mut octets).await.map(|_| octets)
    };
    let said = async {
        let mut lines = BufReader::new(stderr).split(b'\n');
        while let Some(line) = lines.next_segment().await? {
            log.line(&String::from_utf8_lossy(&line));
        }
        Ok::<_, io::Error>(())
    };
    let (answer, said) = tokio::join!(answer, said);
    let status = child.wait().await.map_err(broken)?;
    if !status.success() {
        let messages = log.messages().filter(|line| !line.trim().is_empty());
        let messages = messages.map(printable).collect();
        return Err(RunError::Status {
            program,
            status,
            messages,
        });
    }
    said.map_err(broken)?;
    answer.map_err(broken)
}

fn printable(line: &str) -> String {
    line.chars().filter(|c| !c.is_control()).collect()
}

impl RunError {
    /// Whether the program is not there.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Start { error, .. } if error.kind() == io::ErrorKind::NotFound)
    }

    /// The last lines that the program wrote.
    pub fn messages(&self) -> &[String] {
        match self {
            Self::Start { .. } => &[],
            Self::Status { messages, .. } => messages,
        }
    }

    /// A refusal with the program's last lines; `what` says in one sentence what failed. Where the program is absent or does
    /// not start, the refusal says that in place of `what`.
    pub fn refusal(&self, what: &str, host: Host) -> Refusal {
        let Self::Status {
            status, messages, ..
        } = self
        else {
            return self.not_started(host);
        };
        let refusal = publish_failed(what);
        let refusal = match messages.is_empty() {
            true => refusal.fact(format!("Nix ended with {status}, and said nothing")),
            false => messages
                .iter()
                .fold(refusal, |refusal, line| refusal.fact(line)),
        };
        refusal.fact("nothing was changed")
    }

    fn not_started(&self, host: Host) -> Refusal {
        let (Self::Start { program, .. } | Self::Status { program, .. }) = self;
        match host {
            _ if !self.is_absent() => publish_failed(self.to_string()).fact("nothing was changed"),
            Host::Appliance => publish_failed(format!(
                "`{program}` is not in the appliance's PATH"
            ))
            .fact("publishing copies from the Nix store of the machine that the appliance runs on")
            .fact("nothing was changed")
            .tip("apt-get install nix-bin, or start the appliance where `nix` is in PATH"),
            Host::Here => publish_failed(self.to_string())
                .fact("a flake is built by the Nix of the machine where this command runs")
                .fact("nothing was changed")
                .tip("install Nix: https://nixos.org/download, or apt-get install nix-bin"),
        }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { program, .. } if self.is_absent() => {
                write!(f, "`{program}` is not in PATH")
            }
            Self::Start { program, error } => write!(f, "`{program}` cannot be run: {error}"),
            Self::Status {
                program, status, ..
            } => write!(f, "`{program}` ended with {status}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = program("sh");
        command.args(["-c", script, "sh"]);
        command
    }

    #[tokio::test]
    async fn a_program_that_is_missing_is_told_of() {
        let error = run(program("nix-that-is-not-there"), &mut LastLines::default()).await;
        let error = error.expect_err("is absent");
        for (host, want) in [
            (Host::Here, "`nix-that-is-not-there` is not in PATH"),
            (
                Host::Appliance,
                "`nix-that-is-not-there` is not in the appliance's PATH",
            ),
        ] {
            let refusal = error.refusal("it cannot be", host);
            assert_eq!(refusal.message, want);
            assert!(!refusal.tips.is_empty());
        }
    }

    #[tokio::test]
    async fn what_a_program_says_is_its_last_word() {
        let script = "echo odd >&2; printf '@nix {\"action\":\"msg\",\"level\":0,\"msg\":\"error: \\\\u001b[1mno\\\\u001b[0m\\\\n  more\"}\\n' >&2; exit 7";
        let mut listener = |_: &BuildLog, _: &BuildUpdate| {};
        let failed = run(shell(script), &mut BuildLogReader::new(&mut listener)).await;
        let refusal = failed
            .expect_err("fails")
            .refusal("it cannot be", Host::Here);
        assert_eq!(refusal.message, "it cannot be");
        assert_eq!(
            refusal.facts,
            ["odd", "error: no", "  more", "nothing was changed"]
        );

        let mut log = BuildLogReader::new(&mut listener);
        let stdout = run(shell("echo answer; echo word >&2"), &mut log).await;
        assert_eq!(stdout.expect("it goes well"), b"answer\n");
        assert_eq!(log.messages().collect::<Vec<_>>(), ["word"]);
    }

    #[tokio::test]
    async fn of_many_lines_the_last_are_kept_fit_to_be_printed() {
        let script =
            "for n in $(seq 30); do echo; printf 'line \\033[1m%s\\n' $n >&2; done; exit 3";
        let failed = run(shell(script), &mut LastLines::default()).await;
        let error = failed.expect_err("fails");
        assert_eq!(error.to_string(), "`sh` ended with exit status: 3");
        assert_eq!(error.messages().len(), LAST_WORDS);
        assert_eq!(error.messages()[LAST_WORDS - 1], "line [1m30");

        let failed = run(shell("exit 4"), &mut LastLines::default()).await;
        let refusal = failed.expect_err("fails").refusal("no", Host::Here);
        assert_eq!(
            refusal.facts[0],
            "Nix ended with exit status: 4, and said nothing"
        );
    }
}
