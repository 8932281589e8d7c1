//! No answer to an operator holds what grants something: every GET of the door on the network, and every command about a
//! machine.

use std::net::SocketAddr;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::ConnectInfo;
use axum::http::header::AUTHORIZATION;
use netboot::machine::event::{Event, EventKind};
use tower::ServiceExt;

use super::*;
use crate::keys::secret_hash;
use crate::testing::bench::Agent;

const TOKEN: &str = "canary-token-canary-token-canary-token";

/// Status and octets of an answer.
async fn ask(router: &Router, method: Method, path: &str, body: &Value) -> (u16, Vec<u8>) {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(AUTHORIZATION, format!("Bearer {TOKEN}"))
        .body(Body::from(body.to_string()))
        .expect("a request");
    let peer = SocketAddr::from(([10, 77, 0, 9], 40_000));
    request.extensions_mut().insert(ConnectInfo(peer));
    let response = router.clone().oneshot(request).await.expect("an answer");
    let status = response.status().as_u16();
    let octets = to_bytes(response.into_body(), 1 << 24).await;
    (status, octets.expect("a body").to_vec())
}

/// The paths of `/admin/v1` that take GET, as `routes.txt` has them.
fn questions() -> Vec<String> {
    let own = |line: &&str| line.starts_with("/admin/v1/") && line.ends_with(": GET");
    let lines = include_str!("../../routes.txt").lines().map(str::trim);
    let mut paths: Vec<String> = lines
        .filter(own)
        .map(|line| {
            let path = line.trim_end_matches(": GET");
            path.replace("{who}", "node1").replace("{system}", "worker")
        })
        .collect();
    paths.sort();
    paths.dedup();
    paths
}

/// What the journal keeps and nobody is shown.
fn stored(events: &[Event]) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    for event in events {
        match &event.what {
            EventKind::Enrolled { ticket, .. }
            | EventKind::Reimaged { ticket, .. }
            | EventKind::Attempt { ticket, .. }
            | EventKind::Served { ticket } => found.push(("ticket", ticket.to_string())),
            EventKind::Claimed { claim, .. } => {
                found.push(("hash of the session", claim.session.to_string()));
            }
            EventKind::Sealed { sealed, node_key } => {
                found.push(("sealed secrets", sealed.clone()));
                found.push(("hash of the node key", node_key.to_string()));
            }
            EventKind::DiskKeyMade {
                kept,
                credential,
                sealed,
            } => {
                found.push(("kept disk key", kept.clone()));
                found.push(("hash of the credential", credential.to_string()));
                found.push(("sealed disk key", sealed.clone()));
            }
            _ => {}
        }
    }
    found
}

#[track_caller]
fn holds_none(what: &str, answer: &[u8], secrets: &[(&'static str, String)]) {
    for (name, secret) in secrets {
        let found = answer.windows(secret.len()).any(|w| w == secret.as_bytes());
        assert!(!found, "{what} holds the {name}: {secret}");
    }
}

#[tokio::test]
async fn no_answer_to_an_operator_holds_a_secret() {
    let bench = Bench::new();
    bench.encrypts();
    bench.release("worker", TOPLEVEL).await;
    bench.seen(MAC).await;
    bench.enroll(MAC, "worker", "node1").await;
    let ticket = bench.boots(MAC).await;
    let mut agent = Agent::claims(&bench, &ticket).await;
    let disk = agent.formats().await;
    let node_key = agent.installs().await;
    bench.components.boot.log.keep_packet(
        MAC.parse().expect("a MAC"),
        "10.77.0.50:68".parse().expect("an address"),
        "10.77.0.1:67".parse().expect("an address"),
        &[0; 300],
    );

    let text = |name: &str| disk[name].as_str().expect("a text").to_owned();
    let keys = &bench.components.keys;
    let mut secrets = stored(
        &bench
            .components
            .store
            .events(None, 0, 1000)
            .expect("events"),
    );
    let kinds: std::collections::BTreeSet<&str> = secrets.iter().map(|(name, _)| *name).collect();
    assert_eq!(kinds.len(), 7, "{kinds:?}");
    secrets.extend([
        ("token of operators", TOKEN.to_owned()),
        (
            "hash of the operators' token",
            secret_hash(TOKEN).to_string(),
        ),
        ("session", agent.session.clone()),
        ("node key", node_key),
        ("disk key", text("key")),
        ("credential", text("credential")),
        ("server token", keys.server_token().to_owned()),
        ("agent token", keys.agent_token().to_owned()),
        (
            "node password",
            keys.node_password(&"node1".parse().expect("a name")),
        ),
    ]);

    let admin_auth = AdminAuth::new(
        bench.components.store.clone(),
        secret_hash(TOKEN),
        CancellationToken::new(),
    );
    let router = over_tls(bench.components.admin.clone(), bench.uploads(), admin_auth);
    let questions = questions();
    assert!(questions.len() >= 11, "{questions:?}");
    for path in &questions {
        let (status, answer) = ask(&router, Method::GET, path, &Value::Null).await;
        assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&answer));
        holds_none(path, &answer, &secrets);
    }
    for (command, body) in [
        ("/admin/v1/enroll", json!({"mac": MAC, "name": "node1"})),
        ("/admin/v1/machines/node1/reimage", json!({})),
        ("/admin/v1/machines/node1/confirm", json!({"seen": []})),
        ("/admin/v1/machines/node1/forget", json!({})),
    ] {
        let (status, answer) = ask(&router, Method::POST, command, &body).await;
        let said = String::from_utf8_lossy(&answer);
        assert!(
            [200, 201, 409].contains(&status),
            "{command}: {status} {said}"
        );
        secrets.extend(stored(
            &bench
                .components
                .store
                .events(None, 0, 1000)
                .expect("events"),
        ));
        holds_none(command, &answer, &secrets);
    }
    let (_, events) = ask(&router, Method::GET, "/admin/v1/events", &Value::Null).await;
    holds_none("events after the commands", &events, &secrets);
}
