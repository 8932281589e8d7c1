//! A TPM 2 for a machine, played by swtpm: what it remembers stays when the machine is off.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use super::process::Process;
use super::wait::wait_for;

/// Whether machines can have one here, and systems can speak to it; says so if not.
pub fn is_there() -> bool {
    let libraries = env::var_os("TSS2_DIR")
        .map_or_else(|| PathBuf::from("/usr/lib/x86_64-linux-gnu"), PathBuf::from);
    let swtpm = Command::new("swtpm").arg("--version").output().is_ok();
    let there = swtpm && libraries.join("libtss2-esys.so.0").exists();
    if !there {
        println!("skipped: no `swtpm` or no `libtss2` here (Debian's packages swtpm, libtss2-*)");
    }
    there
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
