//! Every call that each door takes, and the keys behind `?`: machines, firmware and scripts of operators have them
//! written down.
//!
//! The paths are the routers' own, so that a new one is in the list as well; which methods they take is asked.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Method, Request};
use expect_test::expect_file;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::admin::{self, AdminAuth};
use super::{node, public};
use crate::keys::secret_hash;
use crate::testing::bench::{Bench, MAC, send};

const TOKEN: &str = "token-token-token-token-token-token";

/// Without HEAD, whose answers cannot be told apart; it follows GET but where a test of its own says otherwise.
const METHODS: [Method; 6] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];

/// By the name of each door.
fn doors(bench: &Bench) -> [(&'static str, Router); 4] {
    let (components, segment) = (&bench.components, &bench.components.settings.segments()[0]);
    let admin_auth = AdminAuth::new(
        components.store.clone(),
        secret_hash(TOKEN),
        CancellationToken::new(),
    );
    [
        (
            "http.port",
            public::router(components.public.clone(), segment.clone()),
        ),
        (
            "http.node-port",
            node::router(components.node.clone(), segment.clone()),
        ),
        ("admin.socket", admin::router(components.admin.clone())),
        (
            "admin.listen",
            admin::over_tls(components.admin.clone(), bench.uploads(), admin_auth),
        ),
    ]
}

/// The paths as they were given to the router, out of what it says of itself.
fn paths(router: &Router) -> BTreeSet<String> {
    let said = format!("{router:?}");
    let quoted = said.split('"').filter(|text| text.starts_with('/'));
    let own = quoted.filter(|path| !path.contains("__private__"));
    own.map(str::to_owned).collect()
}

/// With a value for each name in it.
fn filled(path: &str) -> String {
    let sha256 = "0".repeat(64);
    let values = [
        ("{who}", "node1"),
        ("{system}", "worker"),
        ("{sha256}", &sha256),
        ("{name}", "installer"),
        ("{arch}", "x86_64"),
        ("{file}", "kernel"),
        ("{folder}", MAC),
        ("{*path}", "nix-cache-info"),
    ];
    let filled = values
        .into_iter()
        .fold(path.to_owned(), |path, (name, value)| {
            path.replace(name, value)
        });
    assert!(
        !filled.contains('{'),
        "{path}: no value for one of its names"
    );
    filled
}

fn call(method: &Method, uri: &str) -> Request<Body> {
    let mut request = Request::builder()
        .method(method)
        .uri(uri)
        .header("authorization", format!("Bearer {TOKEN}"))
        .body(Body::empty())
        .expect("a request");
    let peer = SocketAddr::from(([10, 77, 0, 9], 40_000));
    request.extensions_mut().insert(ConnectInfo(peer));
    request
}

/// Whether any route takes this, whatever it answers.
async fn is_taken(router: &Router, method: &Method, path: &str) -> bool {
    let (_, answer) = send(router, call(method, path)).await;
    let message = answer["error"]["message"].as_str().unwrap_or_default();
    !message.starts_with("no such call")
}

#[tokio::test]
async fn every_door_takes_the_calls_that_are_written_down() {
    let bench = Bench::new();
    let mut text = String::new();
    for (door, router) in doors(&bench) {
        let paths = paths(&router);
        assert!(paths.len() > 5, "{door}: {paths:?}");
        let _ = writeln!(text, "{door}");
        for path in paths {
            let mut taken = Vec::new();
            for method in METHODS {
                if is_taken(&router, &method, &filled(&path)).await {
                    taken.push(method.to_string());
                }
            }
            // A router may name `/` for what it sends to none of its routes.
            if !taken.is_empty() || path != "/" {
                let _ = writeln!(text, "    {path}: {}", taken.join(" "));
            }
        }
    }
    expect_file!["routes.txt"].assert_eq(&text);
}

/// A key that is read may stand there once; one that is not read is ignored.
#[tokio::test]
async fn every_call_reads_the_keys_that_are_written_down() {
    let bench = Bench::new();
    let [(_, open), _, _, (_, admin)] = doors(&bench);
    for (router, path, keys) in [
        (
            &open,
            "/boot.ipxe",
            &["mac", "uuid", "serial", "arch", "platform"][..],
        ),
        (&open, "/images/installer/x86_64/kernel", &["mac"]),
        (&open, "/loaders/kernel", &["mac"]),
        (&admin, "/admin/v1/machines/node1/plan", &["profile"]),
        (&admin, "/admin/v1/events", &["machine", "after", "follow"]),
    ] {
        let twice = |key: &str| format!("{path}?{key}=1&{key}=1");
        for key in keys {
            let (status, answer) = send(router, call(&Method::GET, &twice(key))).await;
            let code = &answer["error"]["code"];
            assert_eq!(
                (status, code),
                (400, &Value::from("bad_json")),
                "{path}: {key}"
            );
        }
        let (_, answer) = send(router, call(&Method::GET, &twice("bogus"))).await;
        assert_ne!(answer["error"]["code"], "bad_json", "{path}");
    }
}
