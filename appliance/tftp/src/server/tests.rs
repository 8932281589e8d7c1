//! The probes that other servers fail: over real sockets on loopback, each by its name.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use netboot::tftp::sender::TransferEnd;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::testing::{BREAK_OFF, LIMIT, TestClient, fetch, read, request, said};
use crate::{FileContent, OpenFile, TransferStats};

/// Files for everybody, and how the transfers ended.
#[derive(Default)]
struct TestFiles {
    files: BTreeMap<&'static str, FileContent>,
    ended: watch::Sender<Vec<(Result<TransferEnd, io::ErrorKind>, u64)>>,
}

impl FileProvider for Arc<TestFiles> {
    type Context = ();

    fn open(&self, _client: SocketAddrV4, name: &[u8]) -> Result<OpenFile<()>, String> {
        let name = str::from_utf8(name).map_err(|_| "no text")?;
        let content = self.files.get(name).cloned().ok_or("no such file")?;
        Ok(OpenFile {
            name: name.to_owned(),
            content,
            context: (),
        })
    }

    fn refused(&self, _client: SocketAddrV4, _name: &[u8], _reason: &str) {}

    fn ended(&self, _client: SocketAddrV4, _file: &OpenFile<()>, stats: &TransferStats) {
        let end = match &stats.end {
            Ok(end) => Ok(*end),
            Err(error) => Err(error.kind()),
        };
        self.ended
            .send_modify(|ended| ended.push((end, stats.bytes)));
    }
}

struct TestServer {
    at: SocketAddr,
    provider: Arc<TestFiles>,
    stop: CancellationToken,
    serving: JoinHandle<io::Result<()>>,
}

impl TestServer {
    async fn open() -> Self {
        Self::with(BTreeMap::new(), "127.0.0.1:0").await
    }

    /// `long` has 3000 bytes, `short` has 5.
    async fn with(mut files: BTreeMap<&'static str, FileContent>, at: &str) -> Self {
        files.insert("long", FileContent::Memory(Bytes::from(bytes(3000))));
        files.insert("short", FileContent::Memory(Bytes::from_static(b"short")));
        let provider = Arc::new(TestFiles {
            files,
            ..TestFiles::default()
        });
        let socket = std::net::UdpSocket::bind(at).expect("binds");
        let server = TftpServer::new(socket, provider.clone()).expect("starts");
        let at = server.address().into();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(server.run(stop.clone()));
        Self {
            at,
            provider,
            stop,
            serving,
        }
    }

    async fn client(&self) -> TestClient {
        TestClient::of(self.at).await
    }

    /// How many ended, and the last of them.
    fn ended(&self) -> (usize, String) {
        let ended = self.provider.ended.borrow();
        let last = ended.last().map(|(end, bytes)| match end {
            Ok(end) => format!("{end:?} after {bytes}"),
            Err(error) => error.to_string(),
        });
        (ended.len(), last.unwrap_or_default())
    }

    /// Waits until `n` transfers have ended, the last of them as `want` says.
    #[track_caller]
    fn wait_for(&self, n: usize, want: &str) -> impl Future<Output = ()> {
        let at = std::panic::Location::caller();
        async move {
            let mut ended = self.provider.ended.subscribe();
            let waited = timeout(LIMIT, ended.wait_for(|ended| ended.len() == n)).await;
            assert!(waited.is_ok(), "{at}: {:?} of {n} ended", self.ended());
            assert_eq!(self.ended().1, want, "{at}");
        }
    }

    async fn close(self) {
        self.stop.cancel();
        self.serving
            .await
            .expect("does not panic")
            .expect("ends well");
    }
}

fn bytes(n: usize) -> Vec<u8> {
    (0..n).map(|n| (n * 31 % 251) as u8).collect()
}

#[tokio::test]
async fn after_the_error_of_a_client_nothing_more_is_sent() {
    let served = TestServer::open().await;
    let client = served.client().await;
    client.ask(&read("long", &[("tsize", "0")])).await;
    let (packet, from) = client.hear().await;
    assert_eq!(said(&packet), "OACK tsize 3000");
    client.say(BREAK_OFF, from).await;
    served.wait_for(1, "Probed after 0").await;

    client.ask(&read("long", &[])).await;
    let (_, from) = client.hear().await;
    client.acknowledge(1, from).await;
    client.say(b"\0\x05\0\x03disk full\0", from).await;
    served.wait_for(2, "BrokenOff(3) after 512").await;
    served.close().await;
}

/// The error and the new request reach two sockets; the order they are read in is a race.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_request_from_the_same_port_is_answered_at_once() {
    let served = TestServer::open().await;
    let client = served.client().await;
    let probe = read("long", &[("tsize", "0")]);
    for round in 1..=200 {
        let begun = Instant::now();
        client.ask(&probe).await;
        let (packet, from) = client.hear().await;
        assert_eq!(said(&packet), "OACK tsize 3000", "round {round}");
        client.say(BREAK_OFF, from).await;
        assert!(
            begun.elapsed() < Duration::from_millis(200),
            "round {round}: it was not at once"
        );
    }
    served.wait_for(200, "Probed after 0").await;
    served.close().await;
}

#[tokio::test]
async fn a_client_that_vanished_is_asked_with_growing_pauses() {
    let served = TestServer::open().await;
    let client = served.client().await;
    client.ask(&read("long", &[])).await;
    let mut at = Vec::new();
    for _ in 0..3 {
        assert_eq!(said(&client.hear().await.0), "DATA 1, 512 bytes");
        at.push(Instant::now());
    }
    let pauses = [at[1] - at[0], at[2] - at[1]];
    assert!(pauses[0] > Duration::from_millis(200), "{pauses:?}");
    assert!(pauses[1] > Duration::from_millis(400), "{pauses:?}");
    served.close().await;
}

#[tokio::test]
async fn three_acknowledgements_of_a_block_send_the_next_once() {
    let served = TestServer::open().await;
    let client = served.client().await;
    client.ask(&read("long", &[])).await;
    let (_, from) = client.hear().await;
    for number in [1, 1, 1, 2] {
        client.acknowledge(number, from).await;
    }
    for want in ["DATA 2, 512 bytes", "DATA 3, 512 bytes"] {
        assert_eq!(said(&client.hear().await.0), want);
    }
    served.close().await;
}

#[tokio::test]
async fn an_acknowledgement_of_somebody_else_is_told_so_and_disturbs_nothing() {
    let served = TestServer::open().await;
    let (client, other) = (served.client().await, served.client().await);
    client.ask(&read("long", &[])).await;
    let (_, from) = client.hear().await;
    other.acknowledge(1, from).await;
    let (packet, _) = other.hear().await;
    assert_eq!(said(&packet), "ERROR 5: not your transfer");
    other.say(BREAK_OFF, from).await;
    client.acknowledge(1, from).await;
    assert_eq!(said(&client.hear().await.0), "DATA 2, 512 bytes");
    assert_eq!(served.ended().0, 0);
    served.close().await;
}

#[tokio::test]
async fn one_acknowledgement_sets_off_one_window_at_most() {
    let served = TestServer::with(
        BTreeMap::from([("kernel", FileContent::Memory(Bytes::from(bytes(1 << 20))))]),
        "127.0.0.1:0",
    )
    .await;
    let client = served.client().await;
    let greedy = read(
        "kernel",
        &[
            ("blksize", "65464"),
            ("windowsize", "65535"),
            ("timeout", "255"),
        ],
    );
    client.ask(&greedy).await;
    let (packet, from) = client.hear().await;
    assert_eq!(said(&packet), "OACK blksize 1468 windowsize 16 timeout 255");
    client.acknowledge(0, from).await;
    for number in 1..=16 {
        assert_eq!(
            said(&client.hear().await.0),
            format!("DATA {number}, 1468 bytes")
        );
    }
    // The window is out. What comes now is what comes when it is acknowledged, or the same again.
    client.acknowledge(16, from).await;
    let next = said(&client.hear().await.0);
    assert!(
        ["DATA 17, 1468 bytes", "DATA 1, 1468 bytes"].contains(&next.as_str()),
        "{next}"
    );
    served.close().await;
}

#[tokio::test]
async fn odd_requests_of_firmware_are_served() {
    let served = TestServer::open().await;
    let padded = |to: usize| {
        let mut packet = read("short", &[]);
        packet.resize(to, 0);
        packet
    };
    let sized = "OACK tsize 5";
    let plain = "DATA 1, 5 bytes";
    for (name, packet, want) in [
        ("one NUL behind", padded(15), plain),
        ("padded to 512", padded(512), plain),
        (
            "an option without value",
            [read("short", &[]), b"blksize\0".to_vec()].concat(),
            plain,
        ),
        (
            "the option's NUL missing too",
            [read("short", &[]), b"blksize".to_vec()].concat(),
            plain,
        ),
        (
            "upper case",
            request(1, "short", "OCTET", &[("TSIZE", "0")]),
            "OACK TSIZE 5",
        ),
        (
            "an option nobody knows",
            read("short", &[("x-firmware", "1"), ("tsize", "0")]),
            sized,
        ),
        (
            "a negative block",
            read("short", &[("blksize", "-1")]),
            plain,
        ),
        (
            "an empty value",
            read("short", &[("blksize", ""), ("tsize", "0")]),
            sized,
        ),
    ] {
        let client = served.client().await;
        assert_eq!(client.answer(&packet).await, want, "{name}");
    }
    served.stop.cancel();
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_words() {
    let served = TestServer::open().await;
    for (name, packet, want) in [
        (
            "no mode",
            b"\0\x01short\0".to_vec(),
            "ERROR 4: the request names no transfer mode",
        ),
        (
            "no such mode",
            request(1, "short", "binary", &[]),
            "ERROR 4: the only mode here is octet (binary)",
        ),
        (
            "mail",
            request(1, "short", "mail", &[]),
            "ERROR 4: the only mode here is octet (binary)",
        ),
        (
            "netascii",
            request(1, "short", "netascii", &[]),
            "ERROR 4: no netascii here: ask in mode octet (binary)",
        ),
        (
            "operation 9",
            b"\0\x09short\0octet\0".to_vec(),
            "ERROR 4: 9 is not a TFTP operation",
        ),
        (
            "a write",
            request(2, "short", "octet", &[]),
            "ERROR 4: files are only read here",
        ),
        (
            "a name that is no text",
            b"\0\x01\xfe\xfe\0octet\0".to_vec(),
            "ERROR 1: not found",
        ),
        ("no name", b"\0\x01\0octet\0".to_vec(), "ERROR 1: not found"),
        ("no such file", read("other", &[]), "ERROR 1: not found"),
        (
            "a name of 10 kB",
            read(&"x".repeat(10_000), &[]),
            "ERROR 4: the request names no transfer mode",
        ),
        (
            "blocks of 7",
            read("short", &[("blksize", "7")]),
            "ERROR 8: blksize 7 is below 8",
        ),
        (
            "blocks of nothing",
            read("short", &[("blksize", "0")]),
            "ERROR 8: blksize 0 is below 8",
        ),
        (
            "no window",
            read("short", &[("windowsize", "0")]),
            "ERROR 8: windowsize is 0",
        ),
        (
            "an acknowledgement of nothing",
            b"\0\x04\0\x01".to_vec(),
            "ERROR 5: no such transfer",
        ),
    ] {
        let client = served.client().await;
        assert_eq!(client.answer(&packet).await, want, "{name}");
        assert_eq!(
            fetch(served.at, "short", &[]).await.as_deref(),
            Ok(&b"short"[..]),
            "after {name}"
        );
    }
    // These packets get no answer; the one that comes is for the request behind them.
    for silent in [&b""[..], b"\0", b"\0\x05\0\x01not found\0"] {
        let client = served.client().await;
        client.ask(silent).await;
        assert_eq!(
            client.answer(&read("other", &[])).await,
            "ERROR 1: not found",
            "{silent:?}"
        );
    }
    served.close().await;
}

#[tokio::test]
async fn a_request_that_comes_again_gets_the_same_transfer() {
    let served = TestServer::open().await;
    let client = served.client().await;
    let asked = read("short", &[]);
    client.ask(&asked).await;
    let (_, first) = client.hear().await;
    client.ask(&asked).await;
    let (packet, second) = client.hear().await;
    assert_eq!(said(&packet), "DATA 1, 5 bytes");
    assert_eq!(first, second, "the server's port");
    client.acknowledge(1, first).await;
    served.wait_for(1, "Complete after 5").await;
    served.close().await;
}

#[tokio::test]
async fn a_client_that_wants_something_else_from_the_same_port_gets_it() {
    let served = TestServer::open().await;
    let client = served.client().await;
    assert_eq!(
        client.begin(&read("long", &[("blksize", "1024")])).await,
        "OACK blksize 1024"
    );
    // A ROM that did not understand the answer asks without options.
    assert_eq!(client.begin(&read("long", &[])).await, "DATA 1, 512 bytes");
    served.wait_for(1, "Anew after 0").await;
    served.close().await;
}

#[tokio::test]
async fn one_machine_cannot_take_all_places() {
    let served = TestServer::open().await;
    let asked = read("short", &[]);
    let mut clients = Vec::new();
    for n in 0..8 {
        let client = served.client().await;
        assert_eq!(client.begin(&asked).await, "DATA 1, 5 bytes", "{n}");
        clients.push(client);
    }
    let ninth = served.client().await;
    assert_eq!(
        ninth.begin(&asked).await,
        "ERROR 0: this machine has too many transfers under way"
    );
    clients[0].ask(&asked).await;
    let (_, from) = clients[0].hear().await;
    clients[0].acknowledge(1, from).await;
    served.wait_for(1, "Complete after 5").await;
    // It is free a moment after that was told.
    let mut answer = String::new();
    for _ in 0..1000 {
        answer = ninth.begin(&asked).await;
        if answer.starts_with("DATA") {
            break;
        }
    }
    assert_eq!(answer, "DATA 1, 5 bytes");
    served.close().await;
}

#[tokio::test]
async fn the_answer_comes_from_the_address_that_was_asked() {
    let served = TestServer::with(BTreeMap::new(), "127.0.0.2:0").await;
    let client = served.client().await;
    client.ask(&read("short", &[])).await;
    let (_, from) = client.hear().await;
    assert_eq!(from.ip(), served.at.ip());
    assert_ne!(from.port(), served.at.port(), "a TID of its own");
    served.close().await;
}

/// RFC 1123 §4.2.3.4: a request that was sent by broadcast gets no answer.
#[tokio::test]
async fn a_broadcast_request_is_not_heard() {
    let served = TestServer::open().await;
    let client = UdpSocket::bind("127.0.0.1:0").await.expect("binds");
    client.set_broadcast(true).expect("may broadcast");
    let port = served.at.port();
    for (to, file) in [("127.255.255.255", "long"), ("127.0.0.1", "short")] {
        client
            .send_to(&read(file, &[]), (to, port))
            .await
            .expect("sends");
    }
    let mut answer = [0; 600];
    let hearing = client.recv_from(&mut answer);
    let (length, _) = timeout(LIMIT, hearing)
        .await
        .expect("in time")
        .expect("hears");
    assert_eq!(
        &answer[..length],
        b"\0\x03\0\x01short",
        "the second was the first"
    );
    served.close().await;
}

/// Block numbers have 16 bits: with 512 bytes they begin again after 32 MiB.
#[tokio::test(flavor = "multi_thread")]
async fn two_clients_get_more_than_32_mib_in_small_blocks_from_memory_and_disk() {
    const SIZE: usize = 65_537 * 512 + 1;
    let want = bytes(SIZE);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("initrd");
    std::fs::write(&path, &want).expect("writes");
    let served = TestServer::with(
        BTreeMap::from([
            ("memory", FileContent::Memory(Bytes::from(want.clone()))),
            ("disk", FileContent::on_disk(&path).expect("opens")),
        ]),
        "127.0.0.1:0",
    )
    .await;
    let (at, options) = (served.at, &[("windowsize", "16")]);
    let (memory, disk) = tokio::join!(fetch(at, "memory", options), fetch(at, "disk", options));
    assert!(
        memory.as_ref() == Ok(&want),
        "{:?}",
        memory.map(|f| f.len())
    );
    assert!(disk.as_ref() == Ok(&want), "{:?}", disk.map(|f| f.len()));
    served.wait_for(2, &format!("Complete after {SIZE}")).await;
    served.close().await;
}

#[tokio::test]
async fn a_file_that_shrinks_on_the_way_is_an_error_for_the_client() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("initrd");
    std::fs::write(&path, bytes(1 << 20)).expect("writes");
    let initrd = FileContent::on_disk(&path).expect("opens");
    std::fs::write(&path, "cut").expect("writes");
    let served = TestServer::with(BTreeMap::from([("initrd", initrd)]), "127.0.0.1:0").await;
    let client = served.client().await;
    let answer = client.answer(&read("initrd", &[])).await;
    assert_eq!(answer, "ERROR 0: the file cannot be read any more");
    let error = io::ErrorKind::UnexpectedEof.to_string();
    served.wait_for(1, &error).await;
    served.close().await;
}
