//! The cluster's CA: certificates for the API server and for each kubelet that joins.

use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

const SUBJECT: &str = "k3s stand-in CA";

/// Signs for one cluster.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key in PEM, one after the other, as k3s hands them out.
pub struct Issued {
    pub pem: String,
    pub der: Vec<u8>,
}

impl Authority {
    /// Makes a CA of its own.
    pub fn new() -> anyhow::Result<Self> {
        let key = KeyPair::generate()?;
        let pem = ca_params().self_signed(&key)?.pem();
        Ok(Self {
            issuer: Issuer::new(ca_params(), key),
            pem,
        })
    }

    /// Reads `ca.crt` and `ca.key` in `dir`, making them if absent: nodes remember their cluster's CA.
    pub fn open(dir: &Path) -> anyhow::Result<Self> {
        let (crt, key) = (dir.join("ca.crt"), dir.join("ca.key"));
        if !key.exists() {
            let made = Self::new()?;
            fs::create_dir_all(dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
            fs::write(&crt, &made.pem)?;
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&key)?;
            file.write_all(made.issuer.key().serialize_pem().as_bytes())?;
            return Ok(made);
        }
        let read = |path: &Path| {
            fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))
        };
        let (pem, key) = (read(&crt)?, KeyPair::from_pem(&read(&key)?)?);
        Ok(Self {
            issuer: Issuer::new(ca_params(), key),
            pem,
        })
    }

    /// What `GET /cacerts` gives.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for a kubelet: to serve with, and to prove itself with to the API.
    pub fn kubelet(&self, node: &str) -> anyhow::Result<Issued> {
        self.issue(&format!("system:node:{node}"), vec![node.to_owned()])
    }

    /// TLS for the API server. Clients may bring a certificate of this CA, and need not.
    pub fn serve(&self, names: Vec<String>) -> anyhow::Result<Arc<ServerConfig>> {
        let issued = self.issue("k3s stand-in", names)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes())?)?;
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .allow_unauthenticated()
                .build()?;
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(clients)
            .with_single_cert(
                vec![CertificateDer::from(issued.der)],
                PrivateKeyDer::from_pem_slice(issued.pem.as_bytes())?,
            )?;
        Ok(Arc::new(config))
    }

    fn issue(&self, subject: &str, names: Vec<String>) -> anyhow::Result<Issued> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, subject);
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued {
            pem: certificate.pem() + &key.serialize_pem(),
            der: certificate.der().to_vec(),
        })
    }
}

/// The addresses and names that a serving certificate must carry.
pub fn names(bind: IpAddr, more: &[String]) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    if !bind.is_unspecified() {
        names.push(bind.to_string());
    }
    names.extend(more.iter().cloned());
    names
}

fn ca_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, SUBJECT);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ca_outlives_a_restart_and_its_key_is_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let first = Authority::open(dir.path()).unwrap();
        let again = Authority::open(dir.path()).unwrap();
        assert_eq!(first.pem(), again.pem());
        let mode = fs::metadata(dir.path().join("ca.key"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
