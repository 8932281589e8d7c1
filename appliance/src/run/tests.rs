//! The whole service on loopback: it starts, answers, names what died, and stops in time.

use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket, UnixStream};

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::anyhow;
use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

use super::tasks::Tasks;
use super::{bind, notify};
use crate::testing::{KERNEL, MAC, TestConfig, boot, enroll, get, mac};

const STOPS_IN: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn it_stops_within_two_seconds_with_transfers_in_flight() {
    let house = TestConfig::new(&boot(""));
    let bound = house.bind().await;
    let (components, tftp) = (bound.components().clone(), bound.tftp());
    let http = SocketAddr::from((
        components.settings.address().ip,
        components.settings.address().http_port,
    ));
    enroll(&components, mac(MAC)).await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(bound.run(stop.clone()));

    // A download that its client does not read to the end.
    let mut slow = TcpStream::connect(http).await.expect("connects");
    let path = format!("/images/installer/x86_64/kernel?mac={MAC}");
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    slow.write_all(request.as_bytes()).await.expect("sends");
    let mut first = [0; 1024];
    slow.read_exact(&mut first).await.expect("begins");
    assert!(
        first.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&first)
    );
    // A kept connection, a half-sent head, a loader whose blocks nobody acknowledges.
    let mut half = TcpStream::connect(http).await.expect("connects");
    half.write_all(b"GET / HT").await.expect("sends");
    let client = UdpSocket::bind("127.0.0.1:0").await.expect("binds");
    let name = format!("{}/snponly.efi", mac(MAC).dashed());
    let rrq = [b"\0\x01", name.as_bytes(), b"\0octet\0"].concat();
    client.send_to(&rrq, tftp).await.expect("sends");
    let mut block = [0; 600];
    client.recv_from(&mut block).await.expect("the first block");
    // An operator who follows events.
    let mut admin = UnixStream::connect(house.path().join("admin.sock"))
        .await
        .expect("connects");
    let follow = b"GET /admin/v1/events?follow=true HTTP/1.1\r\nHost: a\r\n\r\n";
    admin.write_all(follow).await.expect("sends");

    let begun = Instant::now();
    stop.cancel();
    let ended = tokio::time::timeout(STOPS_IN, running).await;
    ended
        .expect("stops within 2 s")
        .expect("does not panic")
        .expect("stops well");
    assert!(begun.elapsed() < STOPS_IN, "{:?}", begun.elapsed());
    let mut rest = Vec::new();
    let _ = slow.read_to_end(&mut rest).await;
    assert!(rest.len() < KERNEL, "the transfer was in flight");
    assert!(
        !house.path().join("admin.sock").exists(),
        "the socket is gone"
    );
}

#[tokio::test]
async fn what_was_written_down_is_there_after_a_restart() {
    let house = TestConfig::new(&boot(""));
    for round in ["first", "second"] {
        let bound = house.bind().await;
        let components = bound.components().clone();
        if round == "first" {
            enroll(&components, mac(MAC)).await;
        }
        let stop = CancellationToken::new();
        let running = tokio::spawn(bound.run(stop.clone()));
        let to = SocketAddr::from((
            components.settings.address().ip,
            components.settings.address().http_port,
        ));
        let (head, body) = get(to, "/", "").await;
        assert!(head.starts_with("http/1.1 200"), "{round}: {head}");
        let page = String::from_utf8_lossy(&body);
        assert!(
            page.contains("<td>node1</td>") && page.contains("enrolled"),
            "{round}: {page}"
        );
        stop.cancel();
        running.await.expect("ends").expect("ends well");
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let port = taken.local_addr().expect("an address").port();
    let mut house = TestConfig::new(&boot(""));
    house.checked.config.config.http_port = port;
    let Err(error) = bind(house.checked.clone()).await else {
        panic!("two listen on one port");
    };
    let text = format!("{error:#}");
    assert!(
        text.contains(&format!("127.0.0.1:{port} (http.port)")),
        "{text}"
    );
}

#[tokio::test]
async fn a_listener_that_dies_is_named() {
    for (name, task) in [("error", 0), ("panic", 1), ("end", 2)] {
        let mut tasks = Tasks::default();
        tasks.add("a listener that lives", std::future::pending());
        tasks.add("TFTP", async move {
            match task {
                0 => Err(anyhow!("no more")),
                1 => panic!("on purpose"),
                _ => Ok(()),
            }
        });
        let died = tasks.first_to_end().await;
        assert!(format!("{died:#}").starts_with("TFTP "), "{name}: {died:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_store_it_ends() {
    let house = TestConfig::new(&boot(""));
    let bound = house.bind().await;
    let components = bound.components().clone();
    assert_eq!(components.store.trouble(), None);
    let running = tokio::spawn(bound.run(CancellationToken::new()));
    components.store.kill_writer().await;
    assert!(components.store.trouble().is_some(), "/healthz says so");
    let ended = tokio::time::timeout(STOPS_IN, running).await;
    let error = ended
        .expect("ends in time")
        .expect("does not panic")
        .expect_err("is a fault");
    assert!(
        format!("{error:#}").starts_with("the store died: "),
        "{error:#}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_of_life_comes_only_through_the_store() {
    let house = TestConfig::new(&boot(""));
    let bound = house.bind().await;
    let store = bound.components().store.clone();
    let (said, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let tell = move |state: NotifyState<'_>| drop(said.send(state.to_string()));
    let stop = CancellationToken::new();
    let period = Duration::from_millis(20);
    let beating = tokio::spawn(notify::beat(store.clone(), period, tell, stop.clone()));
    for _ in 0..3 {
        let state = tokio::time::timeout(STOPS_IN, heard.recv()).await;
        assert_eq!(state.expect("in time").as_deref(), Some("WATCHDOG=1"));
    }
    store.kill_writer().await;
    while heard.try_recv().is_ok() {}
    let more = tokio::time::timeout(10 * period, heard.recv()).await;
    assert!(more.is_err(), "{more:?}");
    stop.cancel();
    beating.await.expect("ends");
}
