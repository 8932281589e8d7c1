//! The probes that other servers fail: over real sockets on loopback, each by its name.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use netboot::tftp::sender::End;
use tokio::task::JoinHandle;

use super::super::content::Content;
use super::super::shelf::{Course, Loan};
use super::super::testing::{BREAK_OFF, Client, LIMIT, fetch, read, request, said};
use super::*;
use crate::testing::wait_until;

/// Files for everybody, and what became of the transfers.
#[derive(Default)]
struct Books {
    files: BTreeMap<&'static str, Content>,
    ended: Mutex<Vec<(io::Result<End>, u64, u64)>>,
}

impl Shelf for Arc<Books> {
    fn open(&self, _client: SocketAddrV4, name: &[u8]) -> Result<Loan, String> {
        let name = str::from_utf8(name).map_err(|_| "no text")?;
        let content = self.files.get(name).cloned().ok_or("no such book")?;
        Ok(Loan {
            caller: None,
            part: None,
            name: name.to_owned(),
            content,
        })
    }

    fn refused(&self, _client: SocketAddrV4, _name: &[u8], _reason: &str) {}

    fn ended(&self, _client: SocketAddrV4, _loan: &Loan, course: &Course) {
        let end = match &course.end {
            Ok(end) => Ok(*end),
            Err(error) => Err(error.kind().into()),
        };
        self.ended
            .lock()
            .unwrap()
            .push((end, course.bytes, course.resent));
    }
}

struct Library {
    at: SocketAddr,
    books: Arc<Books>,
    stop: CancellationToken,
    serving: JoinHandle<io::Result<()>>,
}

impl Library {
    async fn open() -> Self {
        Self::with(BTreeMap::new(), "127.0.0.1:0").await
    }

    /// `long` has 3000 bytes, `short` has 5.
    async fn with(mut files: BTreeMap<&'static str, Content>, at: &str) -> Self {
        files.insert("long", Content::Memory(Bytes::from(bytes(3000))));
        files.insert("short", Content::Memory(Bytes::from_static(b"short")));
        let books = Arc::new(Books {
            files,
            ended: Mutex::default(),
        });
        let socket = std::net::UdpSocket::bind(at).expect("binds");
        let server = Server::on(socket, books.clone()).expect("starts");
        let at = server.address().into();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(server.run(stop.clone()));
        Self {
            at,
            books,
            stop,
            serving,
        }
    }

    async fn client(&self) -> Client {
        Client::of(self.at).await
    }

    /// How many ended, and the last of them.
    fn ended(&self) -> (usize, String) {
        let ended = self.books.ended.lock().unwrap();
        let last = ended.last().map(|(end, bytes, _)| match end {
            Ok(end) => format!("{end:?} after {bytes}"),
            Err(error) => error.to_string(),
        });
        (ended.len(), last.unwrap_or_default())
    }

    async fn wait_for(&self, n: usize, what: &str) {
        wait_until(what, LIMIT, || self.ended().0 == n).await;
        assert_eq!(self.ended().1, what);
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
    let library = Library::open().await;
    let client = library.client().await;
    client.ask(&read("long", &[("tsize", "0")])).await;
    let (packet, from) = client.hear().await;
    assert_eq!(said(&packet), "OACK tsize 3000");
    client.say(BREAK_OFF, from).await;
    library.wait_for(1, "Probed after 0").await;

    client.ask(&read("long", &[])).await;
    let (_, from) = client.hear().await;
    client.acknowledge(1, from).await;
    client.say(b"\0\x05\0\x03disk full\0", from).await;
    library.wait_for(2, "BrokenOff(3) after 512").await;
    library.close().await;
}

/// The error and the new request reach two sockets; the order they are read in is a race.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_request_from_the_same_port_is_answered_at_once() {
    let library = Library::open().await;
    let client = library.client().await;
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
    library.wait_for(200, "Probed after 0").await;
    library.close().await;
}

#[tokio::test]
async fn a_client_that_vanished_is_asked_with_growing_pauses() {
    let library = Library::open().await;
    let client = library.client().await;
    client.ask(&read("long", &[])).await;
    let mut at = Vec::new();
    for _ in 0..3 {
        assert_eq!(said(&client.hear().await.0), "DATA 1, 512 bytes");
        at.push(Instant::now());
    }
    let pauses = [at[1] - at[0], at[2] - at[1]];
    assert!(pauses[0] > Duration::from_millis(200), "{pauses:?}");
    assert!(pauses[1] > Duration::from_millis(400), "{pauses:?}");
    library.close().await;
}

#[tokio::test]
async fn three_acknowledgements_of_a_block_send_the_next_once() {
    let library = Library::open().await;
    let client = library.client().await;
    client.ask(&read("long", &[])).await;
    let (_, from) = client.hear().await;
    for number in [1, 1, 1, 2] {
        client.acknowledge(number, from).await;
    }
    for want in ["DATA 2, 512 bytes", "DATA 3, 512 bytes"] {
        assert_eq!(said(&client.hear().await.0), want);
    }
    library.close().await;
}

#[tokio::test]
async fn an_acknowledgement_of_somebody_else_is_told_so_and_disturbs_nothing() {
    let library = Library::open().await;
    let (client, other) = (library.client().await, library.client().await);
    client.ask(&read("long", &[])).await;
    let (_, from) = client.hear().await;
    other.acknowledge(1, from).await;
    let (packet, _) = other.hear().await;
    assert_eq!(said(&packet), "ERROR 5: not your transfer");
    other.say(BREAK_OFF, from).await;
    client.acknowledge(1, from).await;
    assert_eq!(said(&client.hear().await.0), "DATA 2, 512 bytes");
    assert_eq!(library.ended().0, 0);
    library.close().await;
}

#[tokio::test]
async fn one_acknowledgement_sets_off_one_window_at_most() {
    let library = Library::with(
        BTreeMap::from([("kernel", Content::Memory(Bytes::from(bytes(1 << 20))))]),
        "127.0.0.1:0",
    )
    .await;
    let client = library.client().await;
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
    library.close().await;
}

#[tokio::test]
async fn odd_requests_of_firmware_are_served() {
    let library = Library::open().await;
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
        let client = library.client().await;
        assert_eq!(client.answer(&packet).await, want, "{name}");
    }
    library.stop.cancel();
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_words() {
    let library = Library::open().await;
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
        let client = library.client().await;
        assert_eq!(client.answer(&packet).await, want, "{name}");
        assert_eq!(
            fetch(library.at, "short", &[]).await.as_deref(),
            Ok(&b"short"[..]),
            "after {name}"
        );
    }
    // Nothing is ever said to these; the answer is that to the request behind them.
    for silent in [&b""[..], b"\0", b"\0\x05\0\x01not found\0"] {
        let client = library.client().await;
        client.ask(silent).await;
        assert_eq!(
            client.answer(&read("other", &[])).await,
            "ERROR 1: not found",
            "{silent:?}"
        );
    }
    library.close().await;
}

#[tokio::test]
async fn a_request_that_comes_again_gets_the_same_transfer() {
    let library = Library::open().await;
    let client = library.client().await;
    let asked = read("short", &[]);
    client.ask(&asked).await;
    let (_, first) = client.hear().await;
    client.ask(&asked).await;
    let (packet, second) = client.hear().await;
    assert_eq!(said(&packet), "DATA 1, 5 bytes");
    assert_eq!(first, second, "the server's port");
    client.acknowledge(1, first).await;
    library.wait_for(1, "Complete after 5").await;
    library.close().await;
}

#[tokio::test]
async fn a_client_that_wants_something_else_from_the_same_port_gets_it() {
    let library = Library::open().await;
    let client = library.client().await;
    assert_eq!(
        client.begin(&read("long", &[("blksize", "1024")])).await,
        "OACK blksize 1024"
    );
    // A ROM that did not understand the answer asks without options.
    assert_eq!(client.begin(&read("long", &[])).await, "DATA 1, 512 bytes");
    library.wait_for(1, "Anew after 0").await;
    library.close().await;
}

#[tokio::test]
async fn one_machine_cannot_take_all_seats() {
    let library = Library::open().await;
    let asked = read("short", &[]);
    let mut clients = Vec::new();
    for n in 0..8 {
        let client = library.client().await;
        assert_eq!(client.begin(&asked).await, "DATA 1, 5 bytes", "{n}");
        clients.push(client);
    }
    let ninth = library.client().await;
    assert_eq!(
        ninth.begin(&asked).await,
        "ERROR 0: this machine has too many transfers under way"
    );
    clients[0].ask(&asked).await;
    let (_, from) = clients[0].hear().await;
    clients[0].acknowledge(1, from).await;
    library.wait_for(1, "Complete after 5").await;
    // It is free a moment after that was told.
    let mut answer = String::new();
    for _ in 0..1000 {
        answer = ninth.begin(&asked).await;
        if answer.starts_with("DATA") {
            break;
        }
    }
    assert_eq!(answer, "DATA 1, 5 bytes");
    library.close().await;
}

#[tokio::test]
async fn the_answer_comes_from_the_address_that_was_asked() {
    let library = Library::with(BTreeMap::new(), "127.0.0.2:0").await;
    let client = library.client().await;
    client.ask(&read("short", &[])).await;
    let (_, from) = client.hear().await;
    assert_eq!(from.ip(), library.at.ip());
    assert_ne!(from.port(), library.at.port(), "a TID of its own");
    library.close().await;
}

/// RFC 1123 §4.2.3.4: whoever asks everybody is told nothing.
#[tokio::test]
async fn a_broadcast_request_is_not_heard() {
    let library = Library::open().await;
    let client = UdpSocket::bind("127.0.0.1:0").await.expect("binds");
    client.set_broadcast(true).expect("may broadcast");
    let port = library.at.port();
    for (to, file) in [("127.255.255.255", "long"), ("127.0.0.1", "short")] {
        client
            .send_to(&read(file, &[]), (to, port))
            .await
            .expect("sends");
    }
    let mut answer = [0; 600];
    let hearing = client.recv_from(&mut answer);
    let (length, _) = tokio::time::timeout(LIMIT, hearing)
        .await
        .expect("in time")
        .expect("hears");
    assert_eq!(
        &answer[..length],
        b"\0\x03\0\x01short",
        "the second was the first"
    );
    library.close().await;
}

/// Block numbers have 16 bits: with 512 bytes they begin again after 32 MiB.
#[tokio::test(flavor = "multi_thread")]
async fn two_clients_get_more_than_32_mib_in_small_blocks_from_memory_and_disk() {
    const SIZE: usize = 65_537 * 512 + 1;
    let want = bytes(SIZE);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("initrd");
    std::fs::write(&path, &want).expect("writes");
    let library = Library::with(
        BTreeMap::from([
            ("memory", Content::Memory(Bytes::from(want.clone()))),
            ("disk", Content::on_disk(&path).expect("opens")),
        ]),
        "127.0.0.1:0",
    )
    .await;
    let (at, options) = (library.at, &[("windowsize", "16")]);
    let (memory, disk) = tokio::join!(fetch(at, "memory", options), fetch(at, "disk", options));
    assert!(
        memory.as_ref() == Ok(&want),
        "{:?}",
        memory.map(|f| f.len())
    );
    assert!(disk.as_ref() == Ok(&want), "{:?}", disk.map(|f| f.len()));
    wait_until("both ended", LIMIT, || library.ended().0 == 2).await;
    assert_eq!(library.ended().1, format!("Complete after {SIZE}"));
    library.close().await;
}

#[tokio::test]
async fn a_file_that_shrinks_on_the_way_is_an_error_for_the_client() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("initrd");
    std::fs::write(&path, bytes(1 << 20)).expect("writes");
    let initrd = Content::on_disk(&path).expect("opens");
    std::fs::write(&path, "cut").expect("writes");
    let library = Library::with(BTreeMap::from([("initrd", initrd)]), "127.0.0.1:0").await;
    let client = library.client().await;
    let answer = client.answer(&read("initrd", &[])).await;
    assert_eq!(answer, "ERROR 0: the file cannot be read any more");
    wait_until("it is told", LIMIT, || library.ended().0 == 1).await;
    library.close().await;
}
