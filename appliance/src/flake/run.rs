//! Runs Nix where the flake is, takes in what it says while it works, and keeps its words for a failure.

use std::io;
use std::process::Stdio;

use netboot::base::refusal::{Code, Refusal};
use netboot::publish::nix_log::BuildLog;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;

use super::Listener;

/// What a run of Nix that went well left.
pub(super) struct Told {
    pub(super) stdout: Vec<u8>,
    pub(super) words: Vec<String>,
}

/// Why a run of Nix came to nothing.
#[derive(Debug)]
pub(super) enum Failed {
    /// It could not be started.
    Absent { program: String, error: io::Error },
    /// It ended with this status, and these words.
    Ended { status: String, words: Vec<String> },
}

/// Runs a program of Nix to its end. Dropping the future ends it.
pub(super) async fn nix<'a>(
    program: &str,
    arguments: impl IntoIterator<Item = &'a str>,
    listener: Listener<'_>,
) -> Result<Told, Failed> {
    let absent = |error| Failed::Absent {
        program: program.to_owned(),
        error,
    };
    let mut command = Command::new(program);
    if program == "nix" {
        command.args(["--extra-experimental-features", "nix-command flakes"]);
    }
    let mut child = command
        .args(arguments)
        .args(["--log-format", "internal-json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(absent)?;
    let (Some(mut stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(absent(io::Error::other("it has no output")));
    };
    let mut log = BuildLog::default();
    let answer = async {
        let mut octets = Vec::new();
        stdout.read_to_end(&mut octets).await.map(|_| octets)
    };
    let progress = async {
        let mut lines = BufReader::new(stderr).split(b'\n');
        while let Some(line) = lines.next_segment().await? {
            if let Some(news) = log.take(&String::from_utf8_lossy(&line)) {
                listener(&log, &news);
            }
        }
        Ok::<_, io::Error>(())
    };
    let (octets, read) = tokio::join!(answer, progress);
    let status = child.wait().await.map_err(absent)?;
    let words = log.words().map(str::to_owned).collect();
    match (octets, read) {
        (Ok(stdout), Ok(())) if status.success() => Ok(Told { stdout, words }),
        (Err(error), _) | (_, Err(error)) => Err(absent(error)),
        _ => Err(Failed::Ended {
            status: status.to_string(),
            words,
        }),
    }
}

impl Failed {
    /// `what` says what cannot be, in one sentence.
    pub(super) fn refusal(self, what: &str) -> Refusal {
        match self {
            Self::Ended { status, words } if words.is_empty() => refused(what)
                .fact(format!("Nix ended with {status}, and said nothing"))
                .fact("nothing was changed"),
            Self::Ended { words, .. } => words
                .into_iter()
                .fold(refused(what), |refusal, line| {
                    let printable = |c: &char| !c.is_control();
                    refusal.fact(line.chars().filter(printable).collect::<String>())
                })
                .fact("nothing was changed"),
            Self::Absent { program, error } if error.kind() == io::ErrorKind::NotFound => {
                refused(&format!("`{program}` is not in PATH"))
                    .fact("a flake is built by the Nix of the machine where this command runs")
                    .fact("nothing was changed")
                    .tip("install Nix: https://nixos.org/download, or apt-get install nix-bin")
            }
            Self::Absent { program, error } => {
                refused(&format!("`{program}` cannot be run: {error}")).fact("nothing was changed")
            }
        }
    }
}

pub(super) fn refused(message: &str) -> Refusal {
    Refusal::new(Code::PublishFailed, message)
}
