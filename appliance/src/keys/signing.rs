//! The key that signs the cache, in the form of `nix-store --generate-binary-cache-key`:
//! `name:base64(32 octets of seed, 32 octets of public key)`, Ed25519.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{Ed25519KeyPair, KeyPair};

use super::file;
use crate::base::clock;

pub(super) struct SigningKey {
    pub file: PathBuf,
    /// `name:base64`, what installs trust.
    pub public: String,
    pair: Ed25519KeyPair,
}

impl SigningKey {
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let text = file::read_or_make(path, || Ok(make()?.into_bytes()))?;
        let (public, pair) = halves(&text).ok_or_else(|| {
            anyhow!(
                "`{}` is not a secret key of a Nix cache: restore it from a backup; it was not replaced",
                path.display()
            )
        })?;
        Ok(Self {
            // Nix gets it as part of a URL, from wherever it runs.
            file: std::path::absolute(path)?,
            public,
            pair,
        })
    }

    pub(super) fn sign(&self, text: &str) -> String {
        let (name, _) = self.public.split_once(':').unwrap_or_default();
        let signature = self.pair.sign(text.as_bytes());
        format!("{name}:{}", STANDARD.encode(signature))
    }
}

/// The number at the end of the name is for the key that replaces this one some day.
fn make() -> anyhow::Result<String> {
    let seed = clock::random::<32>();
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed)
        .map_err(|_| anyhow!("cannot make a signing key"))?;
    let both = [&seed, pair.public_key().as_ref()].concat();
    let id = hex::encode(clock::random::<4>());
    Ok(format!("pxe-appliance-{id}-1:{}", STANDARD.encode(both)))
}

/// The public half as text, and the pair, if the two halves belong together.
fn halves(secret: &[u8]) -> Option<(String, Ed25519KeyPair)> {
    let (name, key) = std::str::from_utf8(secret).ok()?.trim().split_once(':')?;
    let key = STANDARD.decode(key).ok()?;
    let (seed, public) = key.split_at_checked(32)?;
    let pair = Ed25519KeyPair::from_seed_and_public_key(seed, public).ok()?;
    let named = !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic());
    named.then(|| (format!("{name}:{}", STANDARD.encode(public)), pair))
}
