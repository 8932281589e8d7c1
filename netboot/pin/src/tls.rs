//! TLS that trusts one public key, and no certificate authority.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use crate::{ForeignKey, Pin};

/// The key of the other side, if the last handshake was ended because of it. `reqwest` hides that reason in layers of
/// its own, and whether to ask again depends on it.
pub type HandshakeRejection = Arc<Mutex<Option<ForeignKey>>>;

#[derive(Debug)]
struct Pinned {
    pin: Pin,
    told_by: &'static str,
    rejection: HandshakeRejection,
    provider: Arc<CryptoProvider>,
}

/// The client side of a connection to the holder of the pinned key. Names, dates and issuers do not count. `told_by` is
/// what named the pin, such as "the boot script".
///
/// # Errors
/// None with the ciphers that are built in.
pub fn client(
    pin: Pin,
    told_by: &'static str,
) -> Result<(ClientConfig, HandshakeRejection), Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let rejection = HandshakeRejection::default();
    let verifier = Arc::new(Pinned {
        pin,
        told_by,
        rejection: Arc::clone(&rejection),
        provider: Arc::clone(&provider),
    });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok((config, rejection))
}

impl Pinned {
    fn foreign(&self, what: String) {
        *self
            .rejection
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(ForeignKey { what });
    }

    fn proven(
        &self,
        proof: Result<HandshakeSignatureValid, Error>,
    ) -> Result<HandshakeSignatureValid, Error> {
        if let Err(error) = &proof {
            self.foreign(format!("it cannot prove that it holds its key ({error})"));
        }
        proof
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let seen = match webpki::EndEntityCert::try_from(certificate) {
            Ok(parsed) => Pin::of(&parsed.subject_public_key_info()),
            Err(error) => {
                self.foreign(format!("its certificate cannot be read ({error})"));
                return Err(Error::InvalidCertificate(CertificateError::BadEncoding));
            }
        };
        if seen == self.pin {
            return Ok(ServerCertVerified::assertion());
        }
        self.foreign(format!(
            "its key is `{seen}`, {} pinned `{}`",
            self.told_by, self.pin
        ));
        Err(Error::InvalidCertificate(
            CertificateError::ApplicationVerificationFailure,
        ))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.proven(verify_tls12_signature(
            message,
            certificate,
            signature,
            algorithms,
        ))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.proven(verify_tls13_signature(
            message,
            certificate,
            signature,
            algorithms,
        ))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
