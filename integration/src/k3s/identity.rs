//! Who this node is: its name, the password of that name, and what the kernel says of this boot.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::token::hex;

/// Where k3s keeps the password of the node's name.
pub const PASSWORD_FILE: &str = "/etc/rancher/node/password";

/// 128 bits from the OS, as 32 hexadecimal digits.
///
/// # Panics
/// If the OS has no randomness to give.
pub fn random_hex() -> String {
    let mut octets = [0; 16];
    rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut octets)
        .expect("the operating system gives randomness");
    hex(&octets)
}

/// The node password: what the file says; if there is none, a new one is written there, as k3s does. A
/// reinstalled node that invents one is refused its old name (k3s#663).
pub fn password(file: &Path) -> anyhow::Result<String> {
    match fs::read_to_string(file) {
        Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
        Ok(_) => bail!("`{}` is empty", file.display()),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read `{}`", file.display()));
        }
    }
    let made = random_hex();
    if let Some(dir) = file.parent() {
        fs::create_dir_all(dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
    }
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut f| writeln!(f, "{made}"))
        .with_context(|| format!("cannot write `{}`", file.display()))?;
    Ok(made)
}

/// The host name, for a configuration that names no node.
pub fn host_name() -> anyhow::Result<String> {
    let path = "/proc/sys/kernel/hostname";
    let text = fs::read_to_string(path).with_context(|| format!("cannot read `{path}`"))?;
    Ok(text.trim().to_owned())
}

/// `status.nodeInfo` of the Node object. `bootID` tells one boot from the next.
pub fn node_info() -> Value {
    let read = |path: &str| {
        fs::read_to_string(path)
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    json!({
        "bootID": read("/proc/sys/kernel/random/boot_id"),
        "machineID": read("/etc/machine-id"),
        "kernelVersion": read("/proc/sys/kernel/osrelease"),
        "kubeletVersion": concat!("v0.0.0+k3s-stand-in-", env!("CARGO_PKG_VERSION")),
        "operatingSystem": "linux",
        "architecture": std::env::consts::ARCH,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_password_that_is_there_is_used_and_one_that_is_not_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("node/password");
        let made = password(&file).unwrap();
        assert_eq!(made.len(), 32);
        assert_eq!(password(&file).unwrap(), made);
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
        fs::write(&file, "written at install\n").unwrap();
        assert_eq!(password(&file).unwrap(), "written at install");
        fs::write(&file, "\n").unwrap();
        assert!(
            password(&file)
                .unwrap_err()
                .to_string()
                .ends_with("is empty")
        );
    }
}
