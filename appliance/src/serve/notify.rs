//! Tells systemd how far the service is (sd_notify(3)); without systemd, nothing.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// `READY=1`, `STOPPING=1`.
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
