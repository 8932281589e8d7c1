//! The appliance's own keys, made at first start, kept 0600 in `state-dir/keys`.

use std::path::Path;

use netboot::name::HostName;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::K3sConfig;

/// All keys, in memory.
pub struct Keys {}

impl Keys {
    /// Reads the keys, making what is absent.
    ///
    /// # Errors
    /// A key that is there but cannot be read is never replaced.
    pub fn open(state_dir: &Path, k3s: &K3sConfig) -> anyhow::Result<Self> {
        let _ = (state_dir, k3s);
        unimplemented!()
    }

    /// The node API's certificate and key.
    pub fn tls(&self) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        unimplemented!()
    }

    /// `sha256/<base64 of the SHA-256 of the certificate's SubjectPublicKeyInfo>`
    pub fn pin(&self) -> &str {
        unimplemented!()
    }

    /// The cache's public key, `name:base64`.
    pub fn cache_public(&self) -> &str {
        unimplemented!()
    }

    /// Where Nix reads the cache's secret key.
    pub fn cache_secret_file(&self) -> &Path {
        unimplemented!()
    }

    pub fn server_token(&self) -> &str {
        unimplemented!()
    }

    pub fn agent_token(&self) -> &str {
        unimplemented!()
    }

    /// The same for the same name for ever, so that a reinstalled node may use its name again (k3s#663).
    pub fn node_password(&self, name: &HostName) -> String {
        let _ = name;
        unimplemented!()
    }
}
