//! A small cluster on loopback: the same two questions, answered over real TLS.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use netboot::base::mac::Mac;
use netboot::machine::event::Decided;
use netboot::machine::event::{EventKind, NewEvent};
use netboot::machine::{Generation, GenerationOrigin, State};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::base::clock;

const TOKEN: &str = "the-service-account";

/// What the cluster says, and what it was asked.
#[derive(Default)]
struct Cluster {
    ready: AtomicBool,
    exists: AtomicBool,
    asked: Mutex<Vec<String>>,
}

impl Cluster {
    fn answer(&self, request: &str, ca: &str) -> (&'static str, String) {
        let line = request.lines().next().unwrap_or_default();
        let authorized = request
            .lines()
            .any(|l| l.eq_ignore_ascii_case(&format!("authorization: bearer {TOKEN}")));
        self.asked.lock().expect("lock").push(request.to_owned());
        let status = match self.ready.load(Ordering::Relaxed) {
            true => "True",
            false => "False",
        };
        match line {
            "GET /cacerts HTTP/1.1" => ("200 OK", ca.to_owned()),
            "GET /api/v1/nodes/node1 HTTP/1.1" if !authorized => {
                ("401 Unauthorized", String::new())
            }
            "GET /api/v1/nodes/node1 HTTP/1.1" if self.exists.load(Ordering::Relaxed) => (
                "200 OK",
                format!(
                    r#"{{"kind":"Node","metadata":{{"name":"node1"}},
                        "status":{{"nodeInfo":{{"bootID":"one"}},"conditions":[{{"type":"Ready","status":"{status}"}}]}}}}"#
                ),
            ),
            _ => ("404 Not Found", String::new()),
        }
    }
}

/// A cluster on a port of its own, with a CA of its own; `address` is what its certificate is for.
async fn serve(cluster: Arc<Cluster>, address: &str) -> (String, String) {
    let ca_key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&ca_key).expect("a certificate").pem();
    let issuer = Issuer::new(params, ca_key);
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new([address.to_owned()]).expect("parameters");
    let leaf = leaf.signed_by(&key, &issuer).expect("a certificate");
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let tls = rustls::ServerConfig::builder_with_provider(
        rustls::crypto::ring::default_provider().into(),
    )
    .with_safe_default_protocol_versions()
    .expect("versions")
    .with_no_client_auth()
    .with_single_cert(vec![leaf.der().clone()], key)
    .expect("a server");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let url = format!(
        "https://127.0.0.1:{}",
        listener.local_addr().expect("an address").port()
    );
    let (acceptor, pem) = (TlsAcceptor::from(Arc::new(tls)), ca.clone());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, cluster, pem) = (acceptor.clone(), Arc::clone(&cluster), pem.clone());
            tokio::spawn(async move { converse(stream, &acceptor, &cluster, &pem).await });
        }
    });
    (url, ca)
}

async fn converse(stream: TcpStream, acceptor: &TlsAcceptor, cluster: &Cluster, ca: &str) {
    // A client that does not trust us hangs up here.
    let Ok(mut stream) = acceptor.accept(stream).await else {
        return;
    };
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(octet) => request.push(octet),
            Err(_) => return,
        }
    }
    let (status, body) = cluster.answer(&String::from_utf8_lossy(&request), ca);
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
    let _ = stream.shutdown().await;
}

fn profiles() -> Profiles {
    let text = r#"
        system = "x86_64-linux"
        description = "a worker"
        [disk]
        select = { smallest = true }
        layout = "ext4"
        [k3s]
        role = "agent"
    "#;
    let file = ("hosts/profiles/worker.toml".to_owned(), text.to_owned());
    Profiles::read(&[file]).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn node1() -> Mac {
    "52:54:00:12:34:56".parse().expect("a MAC")
}

/// A store in which node1 runs from its own disk.
async fn running(dir: &Path) -> Store {
    let store = Store::open(dir, clock::now).expect("opens");
    let ticket = clock::ticket();
    let decided = store.decide(move |_, now| {
        let enrolled = EventKind::Enrolled {
            macs: vec![node1()],
            name: "node1".parse().expect("a name"),
            profile: "worker".parse().expect("a name"),
            until: now.plus(Duration::from_secs(3600)),
            ticket,
            by: "test".to_owned(),
        };
        let path = "/nix/store/0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq-nixos-system-worker";
        let generation = Generation {
            number: 1,
            store_path: path.parse().expect("a store path"),
            label: String::new(),
            kernel: String::new(),
            origin: GenerationOrigin::Install,
            release: None,
            activated: now,
            booted: Some(now),
            boot_id: "one".to_owned(),
        };
        Decided {
            answer: Ok(()),
            events: vec![
                NewEvent::of(node1(), enrolled),
                NewEvent::of(
                    node1(),
                    EventKind::Installed {
                        generation: generation.clone(),
                        ssh_host_key: "ssh-ed25519 AAAA".to_owned(),
                    },
                ),
                NewEvent::of(node1(), EventKind::Booted { generation }),
            ],
        }
    });
    decided.await.expect("is written");
    assert_eq!(state(&store), State::Running);
    store
}

fn state(store: &Store) -> State {
    store.state().machines[&node1()].state
}

fn lookout(dir: &Path, url: &str, expected: Option<String>) -> ReadinessWatch {
    let token_file = dir.join("api.token");
    std::fs::write(&token_file, format!("{TOKEN}\n")).expect("writes");
    ReadinessWatch {
        server: format!("{url}/"),
        token_file,
        expected,
        api: None,
        pinned: None,
        trouble: None,
    }
}

#[tokio::test]
async fn a_node_has_joined_once_it_is_ready_and_not_before() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = running(dir.path()).await;
    let cluster = Arc::new(Cluster::default());
    let (url, ca) = serve(Arc::clone(&cluster), "127.0.0.1").await;
    let mut lookout = lookout(dir.path(), &url, Some(trust::hash(ca.as_bytes())));
    lookout.look(&store, &profiles()).await;
    assert_eq!(
        (state(&store), &lookout.trouble),
        (State::Running, &None),
        "unknown to it"
    );
    cluster.exists.store(true, Ordering::Relaxed);
    lookout.look(&store, &profiles()).await;
    assert_eq!(
        (state(&store), &lookout.trouble),
        (State::Running, &None),
        "not ready"
    );
    cluster.ready.store(true, Ordering::Relaxed);
    lookout.look(&store, &profiles()).await;
    assert_eq!((state(&store), &lookout.trouble), (State::Joined, &None));

    let asked = cluster.asked.lock().expect("lock").len();
    lookout.look(&store, &profiles()).await;
    assert_eq!(
        cluster.asked.lock().expect("lock").len(),
        asked,
        "nobody is waited for"
    );
    store.close().await;
}

#[tokio::test]
async fn the_token_goes_to_nobody_who_is_not_trusted() {
    for (name, address, expected, pinned, want) in [
        (
            "another hash in the token",
            "127.0.0.1",
            Some("00"),
            None,
            "configured token expects 00",
        ),
        (
            "another CA than before",
            "127.0.0.1",
            None,
            Some("00"),
            "have changed from 00",
        ),
        (
            "a certificate for another host",
            "10.77.0.10",
            None,
            None,
            "cannot ask https://",
        ),
    ] {
        let dir = tempfile::tempdir().expect("a folder");
        let store = running(dir.path()).await;
        let cluster = Arc::new(Cluster::default());
        cluster.exists.store(true, Ordering::Relaxed);
        cluster.ready.store(true, Ordering::Relaxed);
        let (url, _) = serve(Arc::clone(&cluster), address).await;
        let mut lookout = lookout(dir.path(), &url, expected.map(str::to_owned));
        lookout.pinned = pinned.map(str::to_owned);
        for _ in 0..2 {
            lookout.look(&store, &profiles()).await;
            let trouble = lookout.trouble.clone().unwrap_or_default();
            assert!(trouble.contains(want), "{name}: {trouble}");
            assert!(!trouble.contains(TOKEN), "{name}: {trouble}");
        }
        assert_eq!(state(&store), State::Running, "{name}");
        let asked = cluster.asked.lock().expect("lock").concat();
        assert!(
            asked.contains("/cacerts") && !asked.contains(TOKEN),
            "{name}: {asked}"
        );
        store.close().await;
    }
}

#[tokio::test]
async fn trouble_is_told_once_and_ends() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = running(dir.path()).await;
    let cluster = Arc::new(Cluster::default());
    let (url, _) = serve(Arc::clone(&cluster), "127.0.0.1").await;
    let mut lookout = lookout(dir.path(), &url, None);
    for (what, token, want) in [
        (
            "a token that is refused",
            "another",
            Some("refuses the API token"),
        ),
        ("an empty file", "", Some("does not hold an API token")),
        ("the right one, as soon as it is there", TOKEN, None),
    ] {
        std::fs::write(&lookout.token_file, token).expect("writes");
        lookout.look(&store, &profiles()).await;
        let trouble = lookout.trouble.clone();
        assert_eq!(trouble.is_some(), want.is_some(), "{what}: {trouble:?}");
        let trouble = trouble.unwrap_or_default();
        assert!(
            trouble.contains(want.unwrap_or_default()),
            "{what}: {trouble}"
        );
    }
    lookout.server = "https://127.0.0.1:9".to_owned();
    lookout.api = None;
    lookout.look(&store, &profiles()).await;
    let trouble = lookout.trouble.clone().unwrap_or_default();
    assert!(trouble.contains("cannot get the certificates"), "{trouble}");
    store.close().await;
}
