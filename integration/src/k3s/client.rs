//! One HTTPS request to an API server: with its CA, or before the CA is known.

use std::io::Write as _;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
    StreamOwned,
};

use super::http::{HttpRequest, HttpResponse};

const LIMIT: Duration = Duration::from_secs(10);

/// The server that a request goes to, and the CA that its certificate must be from.
#[derive(Clone)]
pub struct K3sClient {
    host: String,
    port: u16,
    tls: Arc<ClientConfig>,
}

impl K3sClient {
    /// For `GET /cacerts` alone: the CA is not known yet, so anybody is believed. k3s does the same, and the
    /// long form of a token checks what comes back.
    pub fn believing_anybody(url: &str) -> anyhow::Result<Self> {
        let provider = provider();
        let verifier = Arc::new(Anybody(Arc::clone(&provider)));
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Self::to(url, tls)
    }

    /// Believes the CA. `identity` is a client certificate and its key in PEM.
    pub fn trusting(url: &str, ca_pem: &[u8], identity: Option<&[u8]>) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca_pem) {
            roots.add(certificate.context("the CA certificate cannot be read")?)?;
        }
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let tls = match identity {
            None => builder.with_no_client_auth(),
            Some(pem) => builder.with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(pem)?],
                PrivateKeyDer::from_pem_slice(pem)?,
            )?,
        };
        Self::to(url, tls)
    }

    fn to(url: &str, tls: ClientConfig) -> anyhow::Result<Self> {
        let Some(authority) = url.strip_prefix("https://") else {
            bail!("`{url}` does not begin with https://");
        };
        let authority = authority.split('/').next().unwrap_or(authority);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (
                host,
                port.parse()
                    .with_context(|| format!("`{port}` is no port"))?,
            ),
            None => (authority, 443),
        };
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            tls: Arc::new(tls),
        })
    }

    pub fn send(&self, request: &HttpRequest) -> anyhow::Result<HttpResponse> {
        let Self { host, port, tls } = self;
        let at = (host.as_str(), *port)
            .to_socket_addrs()
            .with_context(|| format!("cannot look up `{host}`"))?
            .next()
            .with_context(|| format!("`{host}` has no address"))?;
        let tcp =
            TcpStream::connect_timeout(&at, LIMIT).with_context(|| format!("cannot reach {at}"))?;
        tcp.set_read_timeout(Some(LIMIT))?;
        tcp.set_write_timeout(Some(LIMIT))?;
        let name = ServerName::try_from(host.clone())?;
        let connection = ClientConnection::new(Arc::clone(tls), name)?;
        let mut stream = StreamOwned::new(connection, tcp);
        request.write(&format!("{host}:{port}"), &mut stream)?;
        let response = HttpResponse::read(&mut stream)?;
        stream.conn.send_close_notify();
        // The answer is here; it does not matter whether the server still reads the end of the connection.
        let _ = stream.flush();
        Ok(response)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

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
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
