//! A TPM 2 for a machine, played by swtpm: what it remembers stays when the machine is off.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use super::optional::Optional;
use super::process::Process;
use super::wait::wait_for;

/// # Errors
/// Machines cannot have one here, or systems cannot speak to it.
pub fn must_be_here() -> anyhow::Result<()> {
    let libraries = env::var_os("TSS2_DIR")
        .map_or_else(|| PathBuf::from("/usr/lib/x86_64-linux-gnu"), PathBuf::from);
    let swtpm = Command::new("swtpm").arg("--version").output().is_ok();
    let there = swtpm && libraries.join("libtss2-esys.so.0").exists();
    Optional::Tpm.must_be_here(there, "`swtpm`, or no `libtss2-esys`")
}

/// Relative to the machine's folder, because the path of a socket may have 107 characters and a clone may lie deep.
fn state(tap: &str) -> String {
    format!("{tap}.tpm")
}

pub(super) fn power_on(tap: &str, dir: &Path, log: &Path) -> anyhow::Result<Process> {
    let state = state(tap);
    let socket = dir.join(&state).join("control");
    fs::create_dir_all(dir.join(&state))?;
    if socket.exists() {
        fs::remove_file(&socket)?;
    }
    let mut command = Command::new("swtpm");
    command
        .args(["socket", "--tpm2", "--tpmstate", &format!("dir={state}")])
        .args(["--ctrl", &format!("type=unixio,path={state}/control")])
        .current_dir(dir);
    let mut process = Process::start("swtpm", &mut command, log)?;
    wait_for("swtpm to listen", Duration::from_secs(10), || {
        process.still_runs()?;
        Ok(socket.exists())
    })?;
    Ok(process)
}

/// QEMU's words for it.
pub(super) fn arguments(tap: &str) -> String {
    format!(
        "-chardev socket,id=tpm,path={}/control -tpmdev emulator,id=tpm,chardev=tpm -device tpm-crb,tpmdev=tpm",
        state(tap)
    )
}
