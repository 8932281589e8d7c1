//! The appliance's own keys, made at first start, kept 0600 in `state-dir/keys`.
//!
//! Nothing here has `Debug` or `Display`, and no error quotes what a file holds: a secret that cannot be
//! printed cannot reach a log.

pub mod admin_token;
mod disks;
mod file;
pub mod seal;
mod signing;
mod tls;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use hmac::{Hmac, Mac};
use netboot::base::name::HostName;
use netboot::base::token::Digest;
use netboot_pin::refuse_others;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};

use self::disks::DiskKeyVault;
use self::signing::SigningKey;
use self::tls::Tls;
use crate::base::clock;
use crate::config::K3sConfig;
use crate::files::durable;

/// The SHA-256 of a secret's text: only this is compared or kept.
pub fn secret_hash(secret: &str) -> Digest {
    Digest::new(Sha256::digest(secret.as_bytes()).into())
}

/// All keys, in memory.
pub struct Keys {
    tls: Tls,
    signing: SigningKey,
    master: [u8; 32],
    vault: DiskKeyVault,
    server_token: String,
    agent_token: String,
}

impl Keys {
    /// Reads the keys, making what is absent.
    ///
    /// # Errors
    /// A key that is there but cannot be read is never replaced.
    pub fn open(state_dir: &Path, k3s: &K3sConfig) -> anyhow::Result<Self> {
        let dir = state_dir.join("keys");
        durable::make_dir(&dir)
            .with_context(|| format!("cannot make the folder `{}`", dir.display()))?;
        refuse_others(&dir, "go-rwx")?;
        let (server_token, agent_token) = cluster_tokens(&dir, k3s)?;
        Ok(Self {
            tls: Tls::open(&dir)?,
            signing: SigningKey::open(&dir.join("cache.key"))?,
            master: master(&dir.join("master.key"))?,
            vault: DiskKeyVault::open(&dir.join("disks.key"))?,
            server_token,
            agent_token,
        })
    }

    /// The node API's certificate and key.
    pub fn tls(&self) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        self.tls.pair()
    }

    /// `sha256/<base64 of the SHA-256 of the certificate's SubjectPublicKeyInfo>`
    pub fn pin(&self) -> &str {
        &self.tls.pin
    }

    /// The cache's public key, `name:base64`.
    pub fn cache_public(&self) -> &str {
        &self.signing.public
    }

    /// The cache's signature of a text: `name:base64`.
    pub fn sign(&self, text: &str) -> String {
        self.signing.sign(text)
    }

    /// Where Nix reads the cache's secret key.
    pub fn cache_secret_file(&self) -> &Path {
        &self.signing.file
    }

    /// A disk key as it is kept: base64 of an age file that only [`Keys::open_disk_key`] opens.
    ///
    /// # Errors
    /// It cannot be sealed.
    pub fn keep_disk_key(&self, key: &str) -> anyhow::Result<String> {
        self.vault.seal(key)
    }

    /// # Errors
    /// It was kept by another appliance, or is damaged.
    pub fn open_disk_key(&self, kept: &str) -> anyhow::Result<String> {
        self.vault.unseal(kept)
    }

    pub fn server_token(&self) -> &str {
        &self.server_token
    }

    pub fn agent_token(&self) -> &str {
        &self.agent_token
    }

    /// The same for the same name for ever, so that a reinstalled node may use its name again (k3s#663).
    pub fn node_password(&self, name: &HostName) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.master).expect("any length is a key");
        mac.update(b"node-password\0");
        mac.update(name.as_str().as_bytes());
        hex::encode(mac.finalize().into_bytes())
    }
}

fn master(path: &Path) -> anyhow::Result<[u8; 32]> {
    let octets = file::read_or_make(path, || Ok(clock::random::<32>().to_vec()))?;
    octets.try_into().map_err(|octets: Vec<u8>| {
        anyhow::anyhow!(
            "`{}` has {} octets instead of 32: restore it from a backup; a new one would lock every node out \
             of its own name",
            path.display(),
            octets.len()
        )
    })
}

/// Server and agent token. Like k3s itself, agents use the server token if it alone is configured.
fn cluster_tokens(dir: &Path, k3s: &K3sConfig) -> anyhow::Result<(String, String)> {
    let made = |name: &str| -> anyhow::Result<String> {
        let path = dir.join(name);
        let octets =
            file::read_or_make(
                &path,
                || Ok(hex::encode(clock::random::<32>()).into_bytes()),
            )?;
        token(&path, octets)
    };
    let given = |path: &PathBuf| -> anyhow::Result<String> {
        let octets = std::fs::read(path)
            .with_context(|| format!("cannot read the token file `{}`", path.display()))?;
        refuse_others(path, "o-rwx")?;
        token(path, octets)
    };
    let server = match &k3s.token_file {
        Some(path) => given(path)?,
        None => made("k3s-server-token")?,
    };
    let agent = match (&k3s.agent_token_file, &k3s.token_file) {
        (Some(path), _) => given(path)?,
        (None, Some(_)) => server.clone(),
        (None, None) => made("k3s-agent-token")?,
    };
    Ok((server, agent))
}

fn token(path: &Path, octets: Vec<u8>) -> anyhow::Result<String> {
    let text = String::from_utf8(octets).unwrap_or_default();
    let text = text.trim();
    if text.is_empty() {
        bail!(
            "the token file `{}` is empty: write the token into it, or remove the setting (or the file, if it \
             is the appliance's own) to have one made",
            path.display()
        );
    }
    if !text.chars().all(|c| c.is_ascii_graphic()) {
        bail!(
            "the token file `{}` does not hold one word of printable characters",
            path.display()
        );
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests;
