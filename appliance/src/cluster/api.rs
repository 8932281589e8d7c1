//! The two questions that are put to a k3s server, over TLS.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use netboot::base::name::HostName;
use reqwest::{Client, Response, StatusCode, redirect};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{self, CryptoProvider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

const LIMIT: Duration = Duration::from_secs(5);
/// The most bytes of an answer. A node with many images has some tens of kilobytes.
const LARGEST: usize = 4 << 20;

/// A cluster whose certificates are trusted.
pub(super) struct Api {
    url: String,
    client: Client,
}

impl Api {
    /// `GET /cacerts`, from any server: the caller checks the hash of the answer.
    pub(super) async fn certificates(url: &str) -> anyhow::Result<Vec<u8>> {
        let provider = Arc::new(crypto::ring::default_provider());
        let verifier = Arc::new(Anybody(Arc::clone(&provider)));
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        let what = || format!("cannot get the certificates of {url}");
        let request = client(tls)?.get(format!("{url}/cacerts"));
        let answer = request.send().await.with_context(what)?;
        let answer = answer.error_for_status().with_context(what)?;
        body(answer).await.with_context(what)
    }

    /// `ca`: one or more certificates in PEM.
    pub(super) fn new(url: String, ca: &[u8]) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca) {
            let certificate = certificate.context("the cluster's certificates are not PEM")?;
            roots
                .add(certificate)
                .context("a certificate of the cluster cannot be used")?;
        }
        if roots.is_empty() {
            bail!("the cluster gave no certificates");
        }
        let tls = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            url,
            client: client(tls)?,
        })
    }

    /// `GET /api/v1/nodes/<name>`; `None` if there is no such node yet.
    pub(super) async fn node(
        &self,
        name: &HostName,
        token: &str,
    ) -> anyhow::Result<Option<Vec<u8>>> {
        let url = format!("{}/api/v1/nodes/{name}", self.url);
        let what = || format!("cannot ask {}", self.url);
        let request = self.client.get(url).bearer_auth(token);
        let answer = request.send().await.with_context(what)?;
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => bail!(
                "{} refuses the API token ({}): its service account must be allowed to get nodes",
                self.url,
                answer.status()
            ),
            status if status.is_success() => body(answer).await.with_context(what).map(Some),
            status => bail!("{} answered {status}", self.url),
        }
    }
}

fn client(tls: ClientConfig) -> anyhow::Result<Client> {
    Client::builder()
        .use_preconfigured_tls(tls)
        .https_only(true)
        .no_proxy()
        .redirect(redirect::Policy::none())
        .timeout(LIMIT)
        .build()
        .context("cannot make an HTTP client")
}

async fn body(mut answer: Response) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > LARGEST {
            bail!("the answer is larger than {LARGEST} bytes");
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Accepts any certificate whose key the server holds.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
