//! The node API's key and certificate. Agents trust the hash of the key, and ignore the rest of the certificate.

use std::path::Path;

use anyhow::{Context, anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DnType, KeyPair, PublicKeyData, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};

use super::file;

pub(super) struct Tls {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    pub pin: String,
}

impl Tls {
    pub(super) fn open(dir: &Path) -> anyhow::Result<Self> {
        let (key_file, certificate_file) = (dir.join("tls.key"), dir.join("tls.crt"));
        if certificate_file.exists() && !key_file.exists() {
            bail!(
                "`{}` is gone, though its certificate is there: restore it from a backup, or remove the \
                 certificate too to begin with a new key, which installed nodes do not trust",
                key_file.display()
            );
        }
        let damaged = |path: &Path| {
            let path = path.display().to_string();
            move || anyhow!("`{path}` is damaged: restore it from a backup; it was not replaced")
        };
        let pem = file::read_or_make(&key_file, || {
            Ok(KeyPair::generate()?.serialize_pem().into_bytes())
        })?;
        let key = std::str::from_utf8(&pem)
            .ok()
            .and_then(|pem| KeyPair::from_pem(pem).ok())
            .ok_or_else(damaged(&key_file))?;
        let pem = file::read_or_make(&certificate_file, || Ok(certificate(&key)?.into_bytes()))?;
        let certificate =
            CertificateDer::from_pem_slice(&pem).map_err(|_| damaged(&certificate_file)())?;
        let public = webpki::EndEntityCert::try_from(&certificate)
            .map_err(|_| damaged(&certificate_file)())?
            .subject_public_key_info();
        let ours = key.subject_public_key_info();
        if public.as_ref() != ours {
            bail!(
                "`{}` is not the certificate of `{}`: remove the certificate to have it made again",
                certificate_file.display(),
                key_file.display()
            );
        }
        let hash = Sha256::digest(&ours);
        Ok(Self {
            certificate,
            key: PrivateKeyDer::try_from(key.serialize_der()).map_err(|_| damaged(&key_file)())?,
            pin: format!("sha256/{}", STANDARD.encode(hash)),
        })
    }

    pub(super) fn pair(&self) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        (self.certificate.clone(), self.key.clone_key())
    }
}

/// Valid always: a machine whose battery is empty believes that it is 1970, and the pin is what counts.
fn certificate(key: &KeyPair) -> anyhow::Result<String> {
    let mut params = CertificateParams::new(["pxe-appliance".to_owned()])
        .context("cannot name the certificate")?;
    params
        .distinguished_name
        .push(DnType::CommonName, "pxe-appliance");
    params.not_before = date_time_ymd(1970, 1, 1);
    params.not_after = date_time_ymd(9999, 12, 31);
    let certificate = params
        .self_signed(key)
        .context("cannot sign the certificate")?;
    Ok(certificate.pem())
}
