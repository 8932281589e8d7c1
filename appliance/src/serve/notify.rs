//! Tells systemd how far the service is (sd_notify(3)); without systemd, nothing.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use netboot::machine::event::Verdict;
use tokio_util::sync::CancellationToken;

use crate::store::Store;

/// How often the service manager wants to hear that the service lives (`WatchdogSec=`); nothing if it does not.
pub fn watchdog() -> Option<Duration> {
    let microseconds = std::env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    let pid = std::env::var("WATCHDOG_PID").ok();
    let is_ours = pid.is_none_or(|pid| pid == std::process::id().to_string());
    is_ours.then(|| Duration::from_micros(microseconds))
}

/// Says `WATCHDOG=1` twice in each `period`, but only once the store has answered: who waits for a store that does not
/// answer gets nothing, whatever else still runs. One that takes no writes (a full disk) answers; a restart would not
/// help it.
pub async fn beat(store: Store, period: Duration, tell: impl Fn(&str), stop: CancellationToken) {
    let nothing = || Verdict {
        answer: Ok(()),
        drafts: Vec::new(),
    };
    loop {
        let answered = tokio::select! {
            answered = store.decide(move |_, _| nothing()) => answered,
            () = stop.cancelled() => return,
        };
        if answered.is_ok() {
            tell("WATCHDOG=1");
        }
        tokio::select! {
            () = tokio::time::sleep(period / 2) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// `READY=1`, `STOPPING=1`, `WATCHDOG=1`.
pub fn tell(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    let address = match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&path),
    };
    let told = address.and_then(|to| {
        UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &to)?;
        Ok(())
    });
    if let Err(error) = told {
        tracing::warn!(%error, state, "could not tell the service manager");
    }
}
