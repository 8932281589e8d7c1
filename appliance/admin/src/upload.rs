//! Copies what was built here into the cache of an appliance on another machine; `nix copy` does the work.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use netboot::base::refusal::Refusal;
use netboot::base::store_path::StorePath;
use netboot::base::token::UploadBatchId;
use nix_publish::publish_failed;
use nix_publish::run::{LastLines, RunError, program, run};
use tokio::process::Command;

use crate::client::AdminClient;
use crate::failure::Failure;
use crate::format::bytes;
use crate::loopback_proxy::LoopbackProxy;
use crate::output::Output;

/// How often the progress is printed.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// Copies the closure of a path of this machine's Nix store to an appliance that is another machine. It returns at once
/// for an appliance on this machine, which takes the path from the store itself, and for a path that is not in the
/// store here.
pub(crate) async fn upload(
    client: &AdminClient,
    path: &StorePath,
    batch: &UploadBatchId,
    output: &mut Output,
) -> Result<(), Failure> {
    if !client.is_elsewhere() || !is_here(path).await? {
        return Ok(());
    }
    // A wrong token, or an appliance without this call, is reported before Nix packs anything.
    client.cache_info().await?;
    let cannot = |error: &std::io::Error| no_upload(&format!("it cannot begin: {error}"));
    let proxy = LoopbackProxy::open(client.clone(), batch).await;
    let proxy = proxy.map_err(|e| cannot(&e))?;
    let folder = tempfile::Builder::new().prefix("pxe-admin-").tempdir();
    let folder = folder.map_err(|e| cannot(&e))?;
    let netrc = folder.path().join("netrc");
    write_private(&netrc, &proxy.netrc()).map_err(|e| cannot(&e))?;
    output.note(&format!("copying {path} to {}", client.name()));

    let mut log = LastLines::default();
    let mut copying = pin!(run(copy(&proxy, path, folder.path(), &netrc), &mut log));
    let mut tick = tokio::time::interval(TELL_EVERY);
    let copied = loop {
        tokio::select! {
            copied = &mut copying => break copied,
            _ = tick.tick() => output.progress(&format!("copied {}", proxy.progress())),
        }
    };
    output.progress_over();
    let Err(error) = copied else {
        match proxy.taken() {
            (0, _) => output.note("the appliance has all of it already"),
            (paths, octets) => output.note(&format!("copied {paths} paths, {}", bytes(octets))),
        }
        return Ok(());
    };
    Err(match proxy.failure() {
        Some(failure) => failure,
        None => not_run(&error),
    })
}

fn copy(proxy: &LoopbackProxy, path: &StorePath, folder: &Path, netrc: &Path) -> Command {
    let mut nix = program("nix");
    nix.args(["copy", "--to"])
        .arg(format!(
            "{}?compression=zstd&parallel-compression=true",
            proxy.url()
        ))
        .arg(path.as_str())
        .arg("--netrc-file")
        .arg(netrc)
        // Nix's cache of what a binary cache has is keyed by URL, and another appliance may have this URL tomorrow.
        .env("XDG_CACHE_HOME", folder)
        .env("no_proxy", "127.0.0.1")
        .env("NO_PROXY", "127.0.0.1");
    nix
}

/// Whether the Nix store that is used here has it.
pub(crate) async fn is_here(path: &StorePath) -> Result<bool, Failure> {
    let mut command = program("nix-store");
    command.args(["--check-validity", path.as_str()]);
    match run(command, &mut LastLines::default()).await {
        Ok(_) => Ok(true),
        Err(RunError::Status { .. }) => Ok(false),
        Err(error) => Err(not_run(&error)),
    }
}

/// Writes a file that no other user may read: what it holds opens the port of the proxy.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}

fn refused(refusal: Refusal) -> Failure {
    Failure::Refused {
        refusal: refusal.fact("no release was made"),
        call: "PUT /cache".to_owned(),
    }
}

fn no_upload(why: &str) -> Failure {
    refused(publish_failed(format!(
        "nothing was copied to the appliance: {why}"
    )))
}

/// The failure of Nix, with the last lines that it wrote.
fn not_run(error: &RunError) -> Failure {
    if error.is_absent() {
        return refused(
            publish_failed(error.to_string())
                .tip("publish from the machine that built the system, where Nix is"),
        );
    }
    match error {
        RunError::Start { .. } => no_upload(&error.to_string()),
        RunError::Status { messages, .. } => {
            let refusal = publish_failed(error.to_string());
            refused(
                messages
                    .iter()
                    .fold(refusal, |refusal, line| refusal.fact(line)),
            )
        }
    }
}
