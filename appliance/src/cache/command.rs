//! Runs Nix's own programs, as argument vectors, and gives back what they said.

use std::ffi::OsStr;
use std::io;
use std::process::{ExitStatus, Stdio};

use netboot::base::refusal::{Code, Refusal};
use netboot::publish::nix_log::CacheLog;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// Lines of Nix's own words that a refusal carries.
const LAST_WORDS: usize = 20;

/// Standard output of a program that succeeded.
pub(super) async fn run<A: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = A>,
    doing: &str,
) -> Result<String, Refusal> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| missing(program, &error))?;
    if output.status.success() {
        return String::from_utf8(output.stdout).map_err(|_| {
            refused(&format!(
                "`{program}` answered with something else than text"
            ))
        });
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(failed(program, doing, output.status, words.lines()))
}

/// Runs a copy of Nix, and tells how many bytes of NARs have been copied.
pub(super) async fn run_telling<A: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = A>,
    doing: &str,
    mut log: CacheLog,
    mut told: impl FnMut(u64),
) -> Result<(), Refusal> {
    let absent = |error: &io::Error| missing(program, error);
    let mut child = Command::new(program)
        .args(arguments)
        .args(["--log-format", "internal-json"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| absent(&error))?;
    if let Some(stderr) = child.stderr.take() {
        let mut lines = BufReader::new(stderr).split(b'\n');
        while let Some(line) = lines.next_segment().await.map_err(|error| absent(&error))? {
            if log.take(&String::from_utf8_lossy(&line)) {
                told(log.done());
            }
        }
    }
    let status = child.wait().await.map_err(|error| absent(&error))?;
    if status.success() {
        return Ok(());
    }
    let words = log.words().iter().map(String::as_str);
    Err(failed(program, doing, status, words))
}

/// With the last words of a program that did not succeed.
fn failed<'a>(
    program: &str,
    doing: &str,
    status: ExitStatus,
    words: impl Iterator<Item = &'a str>,
) -> Refusal {
    let words: Vec<&str> = words.filter(|line| !line.trim().is_empty()).collect();
    let last = &words[words.len().saturating_sub(LAST_WORDS)..];
    let refusal = refused(&format!("{doing} failed: `{program}` ended with {status}"));
    last.iter().fold(refusal, |refusal, line| {
        refusal.fact(line.chars().filter(|c| !c.is_control()).collect::<String>())
    })
}

pub(super) fn refused(message: &str) -> Refusal {
    Refusal::new(Code::PublishFailed, message)
}

fn missing(program: &str, error: &io::Error) -> Refusal {
    if error.kind() == io::ErrorKind::NotFound {
        refused(&format!("`{program}` is not in the appliance's PATH"))
            .fact("publishing copies from the Nix store of the machine that the appliance runs on")
            .fact("nothing was changed")
            .tip("apt-get install nix-bin, or start the appliance where `nix` is in PATH")
    } else {
        refused(&format!("`{program}` cannot be started: {error}"))
    }
}
