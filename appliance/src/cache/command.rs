//! Runs Nix's own programs, as argument vectors, and gives back what they said.

use std::ffi::OsStr;
use std::io;
use std::process::Stdio;

use netboot::refusal::{Code, Refusal};
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
    let words: Vec<&str> = words
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let last = &words[words.len().saturating_sub(LAST_WORDS)..];
    let refusal = refused(&format!(
        "{doing} failed: `{program}` ended with {}",
        output.status
    ));
    Err(last.iter().fold(refusal, |refusal, line| {
        refusal.fact(line.chars().filter(|c| !c.is_control()).collect::<String>())
    }))
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
