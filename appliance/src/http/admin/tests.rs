//! The calls of operators: only by the socket, and the events without gap or repeat.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use netboot::api::types::EventLine;
use netboot::doctor::boot_trace::BootEvent;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::super::unix::{AdminSocket, serve_unix};
use super::*;
use crate::testing::bench::{Bench, MAC, TOPLEVEL, send};

mod secrets;

pub(super) const ROUTES: [(Method, &str); 15] = [
    (Method::POST, "/admin/v1/enroll"),
    (Method::POST, "/admin/v1/machines/node1/reimage"),
    (Method::POST, "/admin/v1/machines/node1/forget"),
    (Method::POST, "/admin/v1/publish"),
    (Method::GET, "/admin/v1/machines"),
    (Method::GET, "/admin/v1/machines/node1"),
    (Method::GET, "/admin/v1/machines/node1/plan"),
    (Method::GET, "/admin/v1/machines/node1/boots"),
    (Method::GET, "/admin/v1/machines/node1/packets"),
    (Method::GET, "/admin/v1/doctor"),
    (Method::GET, "/admin/v1/machines/node1/generations"),
    (Method::GET, "/admin/v1/generations"),
    (Method::GET, "/admin/v1/releases"),
    (Method::POST, "/admin/v1/releases/prune"),
    (Method::GET, "/admin/v1/events"),
];

#[tokio::test]
async fn behind_another_door_than_the_socket_nobody_commands() {
    let bench = Bench::new();
    bench.seen(MAC).await;
    bench.enroll(MAC, "worker", "node1").await;
    let router = router(bench.components.admin.clone());
    for (method, path) in ROUTES {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", "Bearer 00")
            .body(Body::from("{}"))
            .expect("a request");
        let (status, answer) = send(&router, request).await;
        assert_eq!(
            (status, &answer["error"]["code"]),
            (401, &json!("unauthorized")),
            "{path}"
        );
    }
    let elsewhere = Request::get("/node/v1/claim")
        .body(Body::empty())
        .expect("a request");
    let (status, answer) = send(&router, elsewhere).await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (404, &json!("not_found"))
    );
}

/// The appliance's socket, and a client for it.
struct Served {
    bench: Bench,
    client: reqwest::Client,
    stop: CancellationToken,
    task: JoinHandle<std::io::Result<()>>,
}

impl Served {
    fn new() -> Self {
        let bench = Bench::new();
        let path = bench.folder.path().join("admin.sock");
        let socket = AdminSocket::bind(&path).expect("binds");
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve_unix(
            socket,
            router(bench.components.admin.clone()),
            stop.clone(),
        ));
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().unix_socket(path).no_proxy();
        Self {
            bench,
            client: client.build().expect("a client"),
            stop,
            task,
        }
    }

    async fn events(&self, query: &str) -> reqwest::Response {
        let url = format!("http://appliance/admin/v1/events?{query}");
        self.client.get(url).send().await.expect("an answer")
    }
}

/// Reads lines until `enough` says so; the numbers of the events, and all lines.
async fn read(
    response: &mut reqwest::Response,
    mut enough: impl FnMut(&[EventLine]) -> bool,
) -> Vec<EventLine> {
    let mut text = String::new();
    let mut lines = Vec::new();
    while !enough(&lines) {
        let chunk = tokio::time::timeout(Duration::from_secs(10), response.chunk()).await;
        let Some(chunk) = chunk.expect("a line within 10 s").expect("no fault") else {
            break;
        };
        text.push_str(std::str::from_utf8(&chunk).expect("UTF-8"));
        while let Some((line, rest)) = text.split_once('\n') {
            lines.push(serde_json::from_str(line).expect("a live line"));
            text = rest.to_owned();
        }
    }
    lines
}

fn numbers(lines: &[EventLine]) -> Vec<u64> {
    lines
        .iter()
        .filter_map(|live| match live {
            EventLine::Event { event } => Some(event.seq),
            _ => None,
        })
        .collect()
}

async fn releases(bench: &Bench, from: u32, to: u32) {
    for n in from..to {
        let toplevel = format!("{TOPLEVEL}.{n}");
        bench.release("worker", &toplevel).await;
    }
}

#[tokio::test]
async fn past_and_present_meet_without_gap_or_repeat() {
    let served = Served::new();
    releases(&served.bench, 0, 300).await;
    // Half of the present happens while the past is read.
    let mut response = served.events("after=10&follow=true").await;
    let present = async {
        releases(&served.bench, 300, 600).await;
    };
    let (lines, ()) = tokio::join!(
        read(&mut response, |lines| numbers(lines).last() == Some(&600)),
        present
    );
    assert_eq!(numbers(&lines), (11..=600).collect::<Vec<u64>>());
    let end_of_past = lines.iter().position(|live| *live == EventLine::Alive);
    assert!(end_of_past.is_some_and(|at| at >= 290), "{end_of_past:?}");
}

#[tokio::test]
async fn a_reader_that_fell_behind_reads_on_from_the_journal() {
    let served = Served::new();
    let mut response = served.events("follow=true").await;
    read(&mut response, |lines| lines.contains(&EventLine::Alive)).await;
    // Far more than the channel or the socket's buffers hold.
    for n in 0..20_000 {
        served.bench.components.store.tell(EventLine::Boot {
            at: netboot::base::timestamp::Timestamp::from_millis(n),
            machine: MAC.parse().expect("a MAC"),
            mark: BootEvent::Answered {
                given: "x".repeat(200),
            },
        });
    }
    releases(&served.bench, 0, 50).await;
    let lines = read(&mut response, |lines| numbers(lines).last() == Some(&50)).await;
    assert_eq!(numbers(&lines), (1..=50).collect::<Vec<u64>>());
}

#[tokio::test]
async fn events_of_one_machine_are_asked_for_by_any_of_its_names() {
    let served = Served::new();
    served.bench.seen(MAC).await;
    served.bench.seen("52:54:00:00:00:02").await;
    served.bench.enroll(MAC, "worker", "node1").await;
    for who in ["node1", MAC, "5254.0012.3456"] {
        let mut response = served.events(&format!("machine={who}")).await;
        let lines = read(&mut response, |_| false).await;
        assert_eq!(numbers(&lines), [1, 3], "{who}");
    }
    let status = served.events("machine=nobody").await.status();
    assert_eq!(status, 404);
    let status = served.events("after=soon").await.status();
    assert_eq!(status, 400);
}

#[tokio::test]
async fn a_reader_does_not_hold_up_the_stop() {
    let served = Served::new();
    let mut response = served.events("follow=true").await;
    read(&mut response, |lines| lines.contains(&EventLine::Alive)).await;
    served.stop.cancel();
    let ended = tokio::time::timeout(Duration::from_millis(900), served.task).await;
    ended
        .expect("stops at once")
        .expect("no panic")
        .expect("no fault");
    assert_eq!(response.chunk().await.expect("a clean end"), None);
}

#[tokio::test]
async fn commands_say_whether_they_changed_anything_and_who_gave_them() {
    let served = Served::new();
    let enroll = || async {
        let url = "http://appliance/admin/v1/enroll";
        let body = json!({"mac": MAC, "profile": "worker", "name": "node1"});
        let answer = served
            .client
            .post(url)
            .json(&body)
            .send()
            .await
            .expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().await.expect("JSON"))
    };
    let (status, answer) = enroll().await;
    assert_eq!((status, &answer["changed"]), (201, &json!(true)));
    assert_eq!(answer["profile_file"], "hosts/profiles/worker.toml");
    assert!(
        answer["warnings"][0]
            .as_str()
            .expect("a warning")
            .contains("no release")
    );
    let (status, answer) = enroll().await;
    assert_eq!((status, &answer["changed"]), (200, &json!(false)));

    let events = served
        .bench
        .components
        .store
        .events(None, 0, 10)
        .expect("events");
    let event = serde_json::to_value(&events[0]).expect("JSON");
    let uid = nix::unistd::getuid();
    assert_eq!(event["what"]["by"], format!("uid {uid}"));
}
