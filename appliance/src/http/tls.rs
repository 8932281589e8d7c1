//! HTTP over TLS, for the calls of agents and nodes, and of operators elsewhere.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::accept::accept_all;
use super::{connection, plain};
use crate::keys::Keys;

/// Connections at once: an agent holds one or two.
const CONNECTIONS: usize = 256;

/// How long a client may take to shake hands. It holds a permit meanwhile, so not for ever; installers on
/// emulated machines need a second or two.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// TLS 1.2 and 1.3 with the appliance's own certificate, which agents know by its pin.
///
/// # Errors
/// The key does not fit the certificate.
pub fn server_config(keys: &Keys) -> anyhow::Result<Arc<ServerConfig>> {
    let (certificate, key) = keys.tls();
    config_for(certificate, key)
}

fn config_for(
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> anyhow::Result<Arc<ServerConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])
        .context("no common ground between TLS versions and ciphers")?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .context("the key of the node API does not fit its certificate")?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Serves until `stop` is cancelled, then lets calls in flight end for [`connection::GRACE`].
///
/// # Errors
/// The listener itself is broken; a client's fault is none.
pub async fn serve_tls(
    listener: TcpListener,
    config: Arc<ServerConfig>,
    router: Router,
    stop: CancellationToken,
) -> io::Result<()> {
    let acceptor = TlsAcceptor::from(config);
    accept_all(&listener, CONNECTIONS, &stop, |stream, peer| {
        let (acceptor, router) = (acceptor.clone(), router.clone());
        serve(stream, peer, acceptor, router, stop.child_token())
    })
    .await
}

async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    acceptor: TlsAcceptor,
    router: Router,
    stop: CancellationToken,
) {
    plain::tune(&stream);
    let shaken = tokio::select! {
        shaken = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)) => shaken,
        () = stop.cancelled() => return,
    };
    match shaken {
        Ok(Ok(stream)) => connection::serve_from(stream, peer, router, stop).await,
        // An agent with another pin hangs up here, which is worth a warning.
        Ok(Err(error)) => tracing::warn!(%peer, %error, "TLS handshake failed"),
        Err(_) => tracing::warn!(%peer, "TLS handshake took longer than 10 s"),
    }
}

#[cfg(test)]
mod tests {
    use axum::extract::ConnectInfo;
    use axum::routing::get;
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn peer(ConnectInfo(peer): ConnectInfo<SocketAddr>) -> String {
        peer.ip().to_string()
    }

    struct Served {
        address: SocketAddr,
        certificate: CertificateDer<'static>,
        stop: CancellationToken,
        task: tokio::task::JoinHandle<io::Result<()>>,
    }

    async fn serve_peer() -> Served {
        let made = rcgen::generate_simple_self_signed(["appliance".to_owned()]).expect("a key");
        let certificate = made.cert.der().clone();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into();
        let config = config_for(certificate.clone(), key).expect("fits");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("bound");
        let stop = CancellationToken::new();
        let router = Router::new().route("/peer", get(peer));
        let task = tokio::spawn(serve_tls(listener, config, router, stop.clone()));
        Served {
            address,
            certificate,
            stop,
            task,
        }
    }

    async fn ask(served: &Served, version: &'static rustls::SupportedProtocolVersion) -> String {
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(served.certificate.clone())
            .expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .expect("a version")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(served.address).await.expect("connects");
        let name = "appliance".try_into().expect("a name");
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let mut stream = connector.connect(name, stream).await.expect("shakes hands");
        let request = "GET /peer HTTP/1.1\r\nhost: appliance\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await.expect("sends");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("reads");
        answer
    }

    #[tokio::test]
    async fn both_versions_are_spoken_and_callers_have_an_address() {
        let served = serve_peer().await;
        for version in [&TLS12, &TLS13] {
            let answer = ask(&served, version).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{version:?}: {answer}");
            assert!(answer.ends_with("127.0.0.1"), "{version:?}: {answer}");
        }
    }

    #[tokio::test]
    async fn it_stops_in_time_with_a_handshake_that_never_comes() {
        let served = serve_peer().await;
        let mut silent = TcpStream::connect(served.address).await.expect("connects");
        // An answer on another connection: by then the silent one was taken.
        ask(&served, &TLS13).await;
        served.stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(2), served.task).await;
        ended
            .expect("stops in 2 s")
            .expect("no panic")
            .expect("no fault");
        assert_eq!(silent.read(&mut [0; 1]).await.expect("an end"), 0);
    }

    #[tokio::test]
    async fn what_is_not_tls_is_hung_up_on() {
        let served = serve_peer().await;
        let mut plain = TcpStream::connect(served.address).await.expect("connects");
        plain
            .write_all(b"GET / HTTP/1.1\r\n\r\n")
            .await
            .expect("sends");
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(5), plain.read_to_end(&mut answer))
            .await
            .expect("hung up within 5 s");
        assert!(!String::from_utf8_lossy(&answer).contains("HTTP"));
    }
}
