//! The key that disk keys are sealed to while the appliance keeps them.

use std::path::Path;

use age::secrecy::ExposeSecret;
use age::x25519::Identity;
use anyhow::{Context, anyhow};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::file;

pub(super) struct DiskKeyVault(Identity);

impl DiskKeyVault {
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let make = || {
            let text = Identity::generate().to_string();
            Ok(text.expose_secret().as_bytes().to_vec())
        };
        let text = String::from_utf8(file::read_or_make(path, make)?).unwrap_or_default();
        let identity = text.trim().parse().map_err(|_: &str| {
            anyhow!(
                "`{}` is damaged: restore it from a backup; without it no disk key can be read",
                path.display()
            )
        })?;
        Ok(Self(identity))
    }

    pub(super) fn seal(&self, key: &str) -> anyhow::Result<String> {
        let sealed = age::encrypt(&self.0.to_public(), key.as_bytes());
        Ok(STANDARD.encode(sealed.context("cannot seal a disk key")?))
    }

    pub(super) fn unseal(&self, kept: &str) -> anyhow::Result<String> {
        let sealed = STANDARD.decode(kept).context("a disk key is not base64")?;
        let key = age::decrypt(&self.0, &sealed).context(
            "a disk key was kept by another `keys/disks.key` than the one that is there",
        )?;
        String::from_utf8(key).map_err(|_| anyhow!("a disk key is no text"))
    }
}
