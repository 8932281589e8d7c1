//! Files with secrets: made once, whole or not at all, for the owner alone.

use std::io;
use std::path::Path;

use anyhow::Context;
use netboot_pin::refuse_others;

use crate::files::durable;

/// What the file holds, or what `make` makes if it is not there.
pub(super) fn read_or_make(
    path: &Path,
    make: impl FnOnce() -> anyhow::Result<Vec<u8>>,
) -> anyhow::Result<Vec<u8>> {
    match std::fs::read(path) {
        Ok(content) => {
            refuse_others(path, "go-rwx")?;
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
