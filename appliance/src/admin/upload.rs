//! What was built here → the appliance's cache, where the appliance is another machine: `nix copy` does the work.

use std::collections::VecDeque;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use netboot::base::refusal::{Code, Refusal};
use netboot::base::store_path::StorePath;
use netboot::base::token::ShipmentId;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Command;

use super::client::Client;
use super::failure::Failure;
use super::output::Output;
use super::passage::Passage;
use super::words::bytes;

/// Lines of Nix's own words that a failure carries.
const LAST_WORDS: usize = 20;

/// How often the progress is told.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// Copies the closure of a path of this machine's Nix store to an appliance that is another machine. Does nothing for an
/// appliance on this machine, which takes it from the store itself, nor for a path that is not in the store here.
pub(super) async fn upload(
    client: &Client,
    path: &StorePath,
    shipment: &ShipmentId,
    output: &mut Output,
) -> Result<(), Failure> {
    if !client.is_elsewhere() || !is_here(path).await? {
        return Ok(());
    }
    // A token that is wrong or a version without this door: said before anything is packed.
    client.cache_info().await?;
    let cannot = |error: &std::io::Error| no_upload(&format!("it cannot begin: {error}"));
    let passage = Passage::open(client.clone(), shipment).await;
    let passage = passage.map_err(|e| cannot(&e))?;
    let folder = tempfile::Builder::new().prefix("pxe-admin-").tempdir();
    let folder = folder.map_err(|e| cannot(&e))?;
    let netrc = folder.path().join("netrc");
    write_private(&netrc, &passage.netrc()).map_err(|e| cannot(&e))?;
    output.note(&format!("copying {path} to {}", client.name()));

    let mut nix = copy(&passage, path, folder.path(), &netrc)
        .spawn()
        .map_err(|error| no_nix("nix", &error))?;
    let words = nix.stderr.take().map(|words| tokio::spawn(last(words)));
    let mut tick = tokio::time::interval(TELL_EVERY);
    let ended = loop {
        tokio::select! {
            ended = nix.wait() => break ended.map_err(|e| cannot(&e))?,
            _ = tick.tick() => output.progress(&format!("copied {}", passage.progress())),
        }
    };
    output.progress_over();
    if ended.success() {
        match passage.taken() {
            (0, _) => output.note("the appliance has all of it already"),
            (paths, octets) => output.note(&format!("copied {paths} paths, {}", bytes(octets))),
        }
        return Ok(());
    }
    if let Some(failure) = passage.failure() {
        return Err(failure);
    }
    let words = match words {
        Some(words) => words.await.unwrap_or_default(),
        None => VecDeque::new(),
    };
    let refusal = refusal(&format!("`nix copy` ended with {ended}"));
    Err(refused(
        words
            .into_iter()
            .fold(refusal, |refusal, line| refusal.fact(line)),
    ))
}

fn copy(passage: &Passage, path: &StorePath, folder: &Path, netrc: &Path) -> Command {
    let mut nix = Command::new("nix");
    nix.args(["--extra-experimental-features", "nix-command", "copy"])
        .arg("--to")
        .arg(format!(
            "{}?compression=zstd&parallel-compression=true",
            passage.url()
        ))
        .arg(path.as_str())
        .arg("--netrc-file")
        .arg(netrc)
        // What Nix remembers of a cache, it remembers by the URL; this one is another appliance's tomorrow.
        .env("XDG_CACHE_HOME", folder)
        .env("no_proxy", "127.0.0.1")
        .env("NO_PROXY", "127.0.0.1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    nix
}

/// Whether the Nix store that is used here has it.
pub(super) async fn is_here(path: &StorePath) -> Result<bool, Failure> {
    let asked = Command::new("nix-store")
        .args(["--check-validity", path.as_str()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .await;
    asked
        .map(|status| status.success())
        .map_err(|error| no_nix("nix-store", &error))
}

/// The last lines of what a program says, fit to be printed.
async fn last(words: impl AsyncRead + Unpin) -> VecDeque<String> {
    let mut lines = BufReader::new(words).lines();
    let mut last = VecDeque::new();
    while let Ok(Some(line)) = lines.next_line().await {
        let line: String = line.chars().filter(|c| !c.is_control()).collect();
        if line.trim().is_empty() {
            continue;
        }
        if last.len() == LAST_WORDS {
            last.pop_front();
        }
        last.push_back(line);
    }
    last
}

/// It opens a port of this machine, so it is for this user alone.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}

fn refusal(message: &str) -> Refusal {
    Refusal::new(Code::PublishFailed, message).fact("no release was made")
}

fn refused(refusal: Refusal) -> Failure {
    Failure::Refused {
        refusal,
        call: "PUT /cache".to_owned(),
    }
}

fn no_upload(why: &str) -> Failure {
    refused(refusal(&format!(
        "nothing was copied to the appliance: {why}"
    )))
}

fn no_nix(program: &str, error: &std::io::Error) -> Failure {
    if error.kind() == std::io::ErrorKind::NotFound {
        refused(
            refusal(&format!("`{program}` is not in this machine's PATH"))
                .tip("publish from the machine that built the system, where Nix is"),
        )
    } else {
        no_upload(&format!("`{program}` cannot be started: {error}"))
    }
}
