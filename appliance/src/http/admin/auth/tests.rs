//! Who gets through the gate, who does not, and what is written down of it.

use axum::Router;
use axum::body::Body;
use axum::http::Method;
use netboot::machine::event::EventKind;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::super::over_tls;
use super::super::tests::ROUTES;
use super::*;
use crate::keys::secret_hash;
use crate::testing::bench::{Bench, MAC, send};

const TOKEN: &str = "canary-token-canary-token-canary-token";
const WRONG: &str = "canary-guess-canary-guess-canary-guess";

fn router(bench: &Bench) -> Router {
    let admin_auth = AdminAuth::new(
        bench.components.store.clone(),
        secret_hash(TOKEN),
        CancellationToken::new(),
    );
    over_tls(bench.components.admin.clone(), bench.uploads(), admin_auth)
}

/// A call from an address of the LAN.
fn call(method: Method, path: &str, from: u8, authorization: Option<&str>) -> Request {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(authorization) = authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    let mut request = request.body(Body::from("{}")).expect("a request");
    let peer = SocketAddr::from(([10, 77, 0, from], 40_000));
    request.extensions_mut().insert(ConnectInfo(peer));
    request
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[tokio::test]
async fn every_route_wants_the_token_and_takes_it() {
    let bench = Bench::new();
    bench.seen(MAC).await;
    bench.enroll(MAC, "worker", "node1").await;
    let router = router(&bench);
    let more = [
        (Method::GET, "/cache/nix-cache-info"),
        (Method::PUT, "/cache/nar/x.nar"),
        (Method::GET, "/node/v1/claim"),
        (Method::DELETE, "/"),
    ];
    for (from, (method, path)) in (1..).zip(ROUTES.into_iter().chain(more)) {
        for authorization in [
            None,
            Some(bearer(WRONG)),
            Some(bearer(&TOKEN[1..])),
            Some(bearer("")),
            Some(format!("Basic {TOKEN}")),
            Some(TOKEN.to_owned()),
        ] {
            let request = call(method.clone(), path, from, authorization.as_deref());
            let (status, answer) = send(&router, request).await;
            assert_eq!(status, 401, "{path} {authorization:?}");
            assert_eq!(answer["error"]["code"], "unauthorized", "{path}");
        }
        let request = call(method, path, from, Some(&bearer(TOKEN)));
        let (status, _) = send(&router, request).await;
        assert!(status != 401 && status != 429, "{path}: {status}");
    }
}

#[tokio::test]
async fn who_guesses_is_not_listened_to_and_is_on_record_without_the_guess() {
    let bench = Bench::new();
    let router = router(&bench);
    let ask = |from: u8, token: &'static str| {
        let request = call(
            Method::GET,
            "/admin/v1/machines",
            from,
            Some(&bearer(token)),
        );
        let router = router.clone();
        async move { router.oneshot(request).await.expect("an answer") }
    };
    for n in 1..=10 {
        assert_eq!(ask(9, WRONG).await.status(), 401, "{n}");
    }
    for token in [WRONG, TOKEN] {
        let answer = ask(9, token).await;
        assert_eq!(answer.status(), 429);
        let wait = answer.headers()["retry-after"].to_str().expect("text");
        let wait: u64 = wait.parse().expect("seconds");
        assert!((1..=60).contains(&wait), "{wait}");
    }
    assert_eq!(ask(10, TOKEN).await.status(), 200, "another is listened to");

    let events = bench.components.store.events(None, 0, 100).expect("events");
    let told = serde_json::to_string(&events).expect("JSON");
    assert!(!told.contains("canary"), "{told}");
    let refused: Vec<&str> = events
        .iter()
        .filter_map(|event| match &event.what {
            EventKind::Refused { from, .. } => Some(from.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(refused, ["10.77.0.9"; 2], "the first and the last: {told}");
}

#[tokio::test]
async fn who_commanded_is_on_record_by_address() {
    let bench = Bench::new();
    let router = router(&bench);
    let body = json!({"mac": MAC, "profile": "worker", "name": "node1"}).to_string();
    let mut request = call(Method::POST, "/admin/v1/enroll", 9, Some(&bearer(TOKEN)));
    *request.body_mut() = Body::from(body);
    let (status, answer) = send(&router, request).await;
    assert_eq!(status, 201, "{answer}");
    let events = bench.components.store.events(None, 0, 10).expect("events");
    let event: Value = serde_json::to_value(&events[0]).expect("JSON");
    assert_eq!(event["what"]["by"], "token from 10.77.0.9");
}

#[tokio::test]
async fn a_call_without_an_address_is_refused() {
    let bench = Bench::new();
    let request = Request::get("/admin/v1/machines")
        .header(AUTHORIZATION, bearer(TOKEN))
        .body(Body::empty())
        .expect("a request");
    let (status, _) = send(&router(&bench), request).await;
    assert_eq!(status, 401);
}
