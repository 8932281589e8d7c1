//! Runs this very process again inside namespaces of its own: mounts, network, processes, and users where it is not root.
//!
//! The first process of a process namespace takes all others with it when it ends, so success, failure,
//! Ctrl-C and SIGKILL clean up alike, without anybody's help.

use std::env;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, bail};

use super::command::run;

const INSIDE: &str = "NETBOOT_LAB_INSIDE";

/// What the first process does: end when told to, reap what is left to it, end as its child ends.
const INIT: &str = r#"trap 'exit 130' INT; trap 'exit 143' TERM HUP; "$@" & wait $!"#;

/// Returns inside the namespaces. Outside it does not return: this process becomes the one inside.
///
/// # Errors
/// What is missing where namespaces cannot be made.
pub fn enter_namespaces() -> anyhow::Result<()> {
    if env::var_os(INSIDE).is_some() {
        return run(Command::new("ip").args(["link", "set", "lo", "up"]));
    }
    let mut unshare = Command::new("unshare");
    if !nix::unistd::geteuid().is_root() {
        unshare.args(["--user", "--map-root-user"]);
    }
    unshare.args([
        "--mount",
        "--net",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ]);
    check(&unshare)?;
    let me = env::current_exe().context("cannot find this program")?;
    let error = unshare
        .args(["--", "sh", "-c", INIT, "lab"])
        .arg(me)
        .args(env::args_os().skip(1))
        .env(INSIDE, "1")
        .exec();
    Err(error).context("cannot run `unshare`")
}

/// Tries the namespaces with a program that only exits, for the sake of a message that helps.
fn check(unshare: &Command) -> anyhow::Result<()> {
    let output = Command::new(unshare.get_program())
        .args(unshare.get_args())
        .args(["--", "true"])
        .output()
        .context("cannot run `unshare` (package util-linux)")?;
    if output.status.success() {
        return Ok(());
    }
    bail!(
        "namespaces of its own are not allowed to this user here\n  unshare said: {}\n\n  tip: run it as root, or allow \
         user namespaces: `sysctl kernel.unprivileged_userns_clone=1`, and on Ubuntu \
         `sysctl kernel.apparmor_restrict_unprivileged_userns=0`",
        String::from_utf8_lossy(&output.stderr).trim()
    )
}
