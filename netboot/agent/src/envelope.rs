//! A key in RAM that secrets are sealed to, and what it opens.

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use netboot::api::types::SealedAnswer;
use serde::de::DeserializeOwned;

/// Made anew for each use, and dropped with it. It has no `Debug`, so that it cannot reach a log.
pub(crate) struct Envelope(age::x25519::Identity);

impl Default for Envelope {
    fn default() -> Self {
        Self(age::x25519::Identity::generate())
    }
}

impl Envelope {
    /// `age1…`
    pub(crate) fn recipient(&self) -> String {
        self.0.to_public().to_string()
    }

    /// # Errors
    /// It is not sealed to this key, or not the JSON of a `T`.
    pub(crate) fn opened<T: DeserializeOwned>(&self, answer: &SealedAnswer) -> anyhow::Result<T> {
        let sealed = STANDARD
            .decode(&answer.sealed)
            .context("the secrets are not base64")?;
        let json =
            age::decrypt(&self.0, &sealed).context("the secrets are not sealed to this machine")?;
        // The error of serde would quote the secret.
        serde_json::from_slice(&json)
            .map_err(|_| anyhow::anyhow!("the secrets are not the JSON of this version"))
    }
}
