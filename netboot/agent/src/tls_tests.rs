//! The pin against real handshakes: a TLS server on the loopback with keys of the test's choice.

#![expect(
    clippy::disallowed_methods,
    reason = "measures that a refusal is quick"
)]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use netboot_pin::Pin;
use rcgen::KeyPair;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::access::{CallFailed, NodeAnswer, NodeCall, ReadAccess as _};
use crate::real::RealMachine;

/// Shows a certificate and signs with a key, which need not belong together.
#[derive(Debug)]
struct Shows(Arc<CertifiedKey>);

impl ResolvesServerCert for Shows {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn certificate(key: &KeyPair) -> CertificateDer<'static> {
    let params =
        rcgen::CertificateParams::new(vec!["anything.example".to_owned()]).expect("params");
    params
        .self_signed(key)
        .expect("a certificate")
        .der()
        .clone()
}

fn pin(key: &KeyPair) -> Pin {
    use rcgen::PublicKeyData as _;
    Pin::of(&key.subject_public_key_info())
}

/// A server that answers one request after another with 200 and the request's body. Gives its URL.
fn serve(shown: CertificateDer<'static>, key: &KeyPair) -> String {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let private = PrivateKeyDer::try_from(key.serialize_der()).expect("a private key");
    let signing = provider
        .key_provider
        .load_private_key(private)
        .expect("loads");
    let shows = Shows(Arc::new(CertifiedKey::new(vec![shown], signing)));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(shows));
    let config = Arc::new(config);
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("binds");
    let url = format!("https://{}", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let connection = ServerConnection::new(Arc::clone(&config)).expect("a connection");
            let mut stream = StreamOwned::new(connection, socket);
            let mut request = Vec::new();
            let mut chunk = [0; 4096];
            // A client that ends the handshake is a read error here, and the next one is waited for.
            while let Ok(n @ 1..) = stream.read(&mut chunk) {
                request.extend_from_slice(&chunk[..n]);
                let text = String::from_utf8_lossy(&request).into_owned();
                let Some((head, body)) = text.split_once("\r\n\r\n") else {
                    continue;
                };
                let length = head.lines().find_map(|line| {
                    line.to_ascii_lowercase()
                        .strip_prefix("content-length: ")?
                        .parse::<usize>()
                        .ok()
                });
                if body.len() < length.unwrap_or(0) {
                    continue;
                }
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all((head + body).as_bytes());
                stream.conn.send_close_notify();
                let _ = stream.flush();
                break;
            }
        }
    });
    url
}

fn post(url: &str, pin: Pin) -> Result<NodeAnswer, CallFailed> {
    let mut real = RealMachine::new(url, pin).expect("a client");
    real.post(&NodeCall {
        path: "/node/v1/claim",
        bearer: Some("session"),
        body: r#"{"ticket":"x"}"#.to_owned(),
        patience: Duration::from_secs(10),
    })
}

#[test]
fn the_holder_of_the_pinned_key_is_spoken_to_whatever_its_certificate_says() {
    let key = key();
    let url = serve(certificate(&key), &key);
    let answer = post(&url, pin(&key)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        (answer.status, answer.body.as_slice()),
        (200, &br#"{"ticket":"x"}"#[..])
    );
}

#[test]
fn another_key_is_told_from_an_appliance_that_is_away() {
    let (appliance, other) = (key(), key());
    let began = Instant::now();

    let url = serve(certificate(&other), &other);
    let error = post(&url, pin(&appliance)).err().expect("refuses");
    let wanted = format!(
        "its key is `{}`, the boot script pinned `{}`",
        pin(&other),
        pin(&appliance)
    );
    assert!(
        matches!(&error, CallFailed::Foreign(key) if key.what == wanted),
        "{error}"
    );

    // The appliance's certificate is public: a server that shows it must still prove that it has the key.
    let url = serve(certificate(&appliance), &other);
    let error = post(&url, pin(&appliance)).err().expect("refuses");
    assert!(
        matches!(&error, CallFailed::Foreign(key) if key.what.contains("cannot prove")),
        "{error}"
    );

    let url = serve(CertificateDer::from(vec![0x30, 0x03, 1, 2, 3]), &other);
    let error = post(&url, pin(&appliance)).err().expect("refuses");
    assert!(
        matches!(&error, CallFailed::Foreign(key) if key.what.contains("cannot be read")),
        "{error}"
    );

    let nobody = TcpListener::bind(("127.0.0.1", 0)).expect("binds");
    let url = format!("https://{}", nobody.local_addr().expect("an address"));
    drop(nobody);
    let error = post(&url, pin(&appliance)).err().expect("nobody");
    assert!(
        matches!(&error, CallFailed::Away(why) if why.contains("refused")),
        "{error}"
    );

    assert!(began.elapsed() < Duration::from_secs(10), "at once");
}

#[test]
fn a_server_without_tls_is_not_an_answer() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("binds");
    let url = format!("https://{}", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
        }
    });
    let error = post(&url, pin(&key())).err().expect("no answer");
    assert!(matches!(error, CallFailed::Away(_)), "{error}");
}
