//! The calls of machines: an install from end to end, and everybody who asks for what is not theirs.

use axum::http::Request;
use netboot::machine::State as MachineState;
use serde_json::json;

use super::*;
use crate::testing::bench::{Agent, Bench, MAC, TOPLEVEL, hardware, node_boots, post, send};

mod encrypted;

const ROUTES: [&str; 10] = [
    "/node/v1/claim",
    "/node/v1/discovered",
    "/node/v1/plan",
    "/node/v1/report",
    "/node/v1/secrets",
    "/node/v1/secrets/received",
    "/node/v1/disk-key",
    "/node/v1/unlock",
    "/node/v1/installed",
    "/node/v1/boot",
];

/// A machine that is enrolled, and what its script's ticket is.
async fn armed(profile: &str) -> (Bench, netboot::base::token::Ticket) {
    let bench = Bench::new();
    bench.release(profile, TOPLEVEL).await;
    bench.seen(MAC).await;
    bench.enroll(MAC, profile, "node1").await;
    let ticket = bench.boots(MAC).await;
    (bench, ticket)
}

fn state(bench: &Bench) -> MachineState {
    bench
        .components
        .store
        .state()
        .find("node1")
        .expect("known")
        .state
}

#[tokio::test]
async fn an_install_goes_from_claim_to_boot() {
    let (bench, ticket) = armed("worker").await;
    let mut agent = Agent::claims(&bench, &ticket).await;
    assert_eq!(state(&bench), MachineState::Installing);
    let key = agent.installs().await;
    assert_eq!(state(&bench), MachineState::Installed);
    let (status, answer) = node_boots(&bench, &key, "node1").await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(state(&bench), MachineState::Running);
}

#[tokio::test]
async fn only_servers_get_the_token_that_makes_servers() {
    for (profile, server) in [
        ("worker", Some(false)),
        ("server", Some(true)),
        ("plain", None),
    ] {
        let (bench, ticket) = armed(profile).await;
        let mut agent = Agent::claims(&bench, &ticket).await;
        agent.plans().await;
        agent.reports("configure", json!({"kind": "started"})).await;
        let secrets = agent.secrets().await;
        let keys = &bench.components.keys;
        let name = "node1".parse().expect("a name");
        let want = match server {
            Some(true) => json!({"token": keys.server_token(), "agent_token": keys.agent_token(),
                "node_password": keys.node_password(&name)}),
            Some(false) => json!({"token": keys.agent_token(),
                "node_password": keys.node_password(&name)}),
            None => Value::Null,
        };
        assert_eq!(secrets["k3s"], want, "{profile}");
        assert!(!secrets.to_string().contains(keys.server_token()) || server == Some(true));
    }
}

#[tokio::test]
async fn without_a_bearer_or_with_a_wrong_one_nothing_is_given() {
    let (bench, ticket) = armed("worker").await;
    let mut agent = Agent::claims(&bench, &ticket).await;
    agent.plans().await;
    agent.reports("configure", json!({"kind": "started"})).await;
    let bodies = |path: &str| match path {
        "/node/v1/plan" => json!({"hardware": hardware()}),
        "/node/v1/report" => json!({"number": 99, "step": "copy", "outcome": {"kind": "done"}}),
        "/node/v1/installed" => {
            json!({"generation": 1, "store_path": TOPLEVEL, "ssh_host_key": "x"})
        }
        "/node/v1/unlock" => {
            json!({"recipient": age::x25519::Identity::generate().to_public().to_string()})
        }
        "/node/v1/boot" => {
            json!({"name": "node1", "generation": 1, "store_path": TOPLEVEL, "boot_id": "x"})
        }
        _ => Value::Null,
    };
    let before = bench.components.store.state().machines.clone();
    // The first two are called by who has no session.
    for path in ROUTES.into_iter().skip(2) {
        for bearer in [None, Some("00"), Some(ticket.as_str()), Some("")] {
            let body = bodies(path).to_string();
            let (status, answer) = post(&agent.router, path, bearer, body).await;
            assert_eq!(status, 401, "{path} {bearer:?}: {answer}");
            assert_eq!(answer["error"]["code"], "unauthorized", "{path}");
        }
    }
    assert_eq!(
        bench.components.store.state().machines,
        before,
        "nothing moved"
    );
}

#[tokio::test]
async fn a_ticket_is_good_for_one_claim_and_its_repeats() {
    let (bench, ticket) = armed("worker").await;
    let agent = Agent::claims(&bench, &ticket).await;
    let claim = |session: &str, recipient: String| {
        json!({"ticket": ticket, "session": session, "recipient": recipient}).to_string()
    };
    let again = claim(&agent.session, agent.key.to_public().to_string());
    let (status, answer) = post(&agent.router, "/node/v1/claim", None, again).await;
    assert_eq!((status, &answer["name"]), (200, &json!("node1")));

    let thief = age::x25519::Identity::generate().to_public().to_string();
    let other = claim(&"ab".repeat(32), thief);
    let (status, answer) = post(&agent.router, "/node/v1/claim", None, other).await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (409, &json!("ticket_used"))
    );
    let events = bench
        .components
        .store
        .events(None, 0, 1000)
        .expect("events");
    let last = serde_json::to_value(events.last()).expect("an event");
    assert_eq!(last["what"]["event"], "refused", "it is on record");
}

#[tokio::test]
async fn of_two_claims_at_once_one_wins() {
    let (bench, ticket) = armed("worker").await;
    let router = router(
        bench.components.node.clone(),
        bench.components.settings.segments()[0].clone(),
    );
    let claims: Vec<_> = (0..20)
        .map(|n| {
            let recipient = age::x25519::Identity::generate().to_public().to_string();
            let body =
                json!({"ticket": ticket, "session": format!("{n:064x}"), "recipient": recipient});
            let router = router.clone();
            tokio::spawn(async move {
                post(&router, "/node/v1/claim", None, body.to_string())
                    .await
                    .0
            })
        })
        .collect();
    let mut statuses = Vec::new();
    for claim in claims {
        statuses.push(claim.await.expect("no panic"));
    }
    statuses.sort_unstable();
    assert_eq!(statuses[0], 200);
    assert_eq!(statuses[1..], [409; 19]);
}

#[tokio::test]
async fn secrets_come_at_their_step_once_and_to_one_key() {
    let (bench, ticket) = armed("worker").await;
    let mut agent = Agent::claims(&bench, &ticket).await;
    agent.plans().await;
    let early = agent.call("/node/v1/secrets", &Value::Null).await;
    assert_eq!(
        (early.0, &early.1["error"]["code"]),
        (409, &json!("too_early"))
    );

    agent.reports("configure", json!({"kind": "started"})).await;
    let (first, second) = (
        agent.call("/node/v1/secrets", &Value::Null).await,
        agent.call("/node/v1/secrets", &Value::Null).await,
    );
    assert_eq!(
        (first.0, &first.1),
        (200, &second.1),
        "a retry gets the same ciphertext"
    );
    let canary = bench.components.keys.agent_token();
    assert!(!first.1.to_string().contains(canary));
    let opened = agent.opens(first.1["sealed"].as_str().expect("a ciphertext"));
    assert_eq!(opened["k3s"]["token"], canary);

    let (status, _) = agent.call("/node/v1/secrets/received", &Value::Null).await;
    assert_eq!(status, 200);
    let late = agent.call("/node/v1/secrets", &Value::Null).await;
    assert_eq!(
        (late.0, &late.1["error"]["code"]),
        (410, &json!("already_received"))
    );
}

#[tokio::test]
async fn bytes_of_progress_are_told_and_not_written_down() {
    let (bench, ticket) = armed("worker").await;
    let mut agent = Agent::claims(&bench, &ticket).await;
    agent.plans().await;
    let mut live = bench.components.store.live();
    let before = bench.components.store.state().seq;
    let (status, _) = agent
        .reports("copy", json!({"kind": "progress", "done": 5, "total": 9}))
        .await;
    assert_eq!((status, bench.components.store.state().seq), (200, before));
    let told = live.try_recv().expect("told");
    assert!(
        matches!(told, EventLine::Progress { machine, done: 5, total: 9, .. } if machine.to_string() == MAC),
        "{told:?}"
    );
}

#[tokio::test]
async fn what_is_no_call_is_refused_in_our_words() {
    let bench = Bench::new();
    let router = router(
        bench.components.node.clone(),
        bench.components.settings.segments()[0].clone(),
    );
    for path in [
        "/",
        "/node/v1/plans",
        "/admin/v1/machines",
        "/node/v1/claim/",
    ] {
        let (status, answer) = post(&router, path, None, "{}").await;
        assert_eq!(
            (status, &answer["error"]["code"]),
            (404, &json!("not_found")),
            "{path}"
        );
    }
    for path in ROUTES {
        let get = Request::get(path)
            .body(axum::body::Body::empty())
            .expect("a request");
        let (status, answer) = send(&router, get).await;
        assert_eq!(
            (status, &answer["error"]["code"]),
            (404, &json!("not_found")),
            "{path}"
        );
    }
    let (status, answer) = post(&router, "/node/v1/claim", None, vec![b' '; BODY_LIMIT + 1]).await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (413, &json!("too_large"))
    );

    let recipient = age::x25519::Identity::generate().to_public().to_string();
    for (name, body) in [
        ("no JSON", "hunter2".to_owned()),
        (
            "a short session",
            json!({"ticket": "00".repeat(16), "session": "hunter2", "recipient": recipient})
                .to_string(),
        ),
        (
            "no recipient",
            json!({"ticket": "00".repeat(16), "session": "00".repeat(32), "recipient": "hunter2"})
                .to_string(),
        ),
        (
            "a bad ticket",
            json!({"ticket": "hunter2", "session": "00".repeat(32), "recipient": recipient})
                .to_string(),
        ),
    ] {
        let (status, answer) = post(&router, "/node/v1/claim", None, body).await;
        assert_eq!(
            (status, &answer["error"]["code"]),
            (400, &json!("bad_json")),
            "{name}"
        );
        assert!(!answer.to_string().contains("hunter2"), "{name}: {answer}");
    }
}
