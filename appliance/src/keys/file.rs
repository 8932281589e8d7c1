//! Files with secrets: made once, whole or not at all, for the owner alone.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, bail};

use crate::durable;

/// What the file holds, or what `make` makes if it is not there.
pub(super) fn read_or_make(
    path: &Path,
    make: impl FnOnce() -> anyhow::Result<Vec<u8>>,
) -> anyhow::Result<Vec<u8>> {
    match std::fs::read(path) {
        Ok(content) => {
            only_ours(path, "go-rwx")?;
            Ok(content)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let content = make()?;
            durable::write(path, 0o600, &content)
                .with_context(|| format!("cannot write the key `{}`", path.display()))?;
            tracing::info!(key = %path.display(), "made a key");
            Ok(content)
        }
        Err(error) => {
            Err(error).with_context(|| format!("cannot read the key `{}`", path.display()))
        }
    }
}

/// Refuses what others may open. `wanted` is how `chmod` says what must go: the group may be let in on
/// purpose to a file of the user's own, never to one of ours.
pub(super) fn only_ours(path: &Path, wanted: &str) -> anyhow::Result<()> {
    let mode = std::fs::metadata(path)
        .with_context(|| format!("cannot look at `{}`", path.display()))?
        .permissions()
        .mode();
    let forbidden = if wanted.starts_with("go") {
        0o077
    } else {
        0o007
    };
    if mode & forbidden != 0 {
        bail!(
            "`{path}` holds a secret and has mode {:04o}: run `chmod {wanted} {path}`, and make a new secret if \
             others may have read it",
            mode & 0o7777,
            path = path.display()
        );
    }
    Ok(())
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|o| format!("{o:02x}")).collect()
}
