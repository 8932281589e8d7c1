//! Names, bodies and clients that are not as they should be. What a NAR and a narinfo must be is tested with the cache.

use axum::body::Body;
use axum::http::Method;
use futures_util::stream;
use netboot::publish::nix_hash::NixHash;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::testing::archive;
use crate::testing::bench::{Bench, send};

mod power;

const PATH: &str = "/nix/store/0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq-file";
const NARINFO: &str = "/cache/0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq.narinfo";

struct Served {
    bench: Bench,
    router: Router,
}

impl Served {
    fn new() -> Self {
        let bench = Bench::new();
        let router = router(bench.uploads());
        Self { bench, router }
    }

    async fn ask(&self, method: Method, path: &str, body: impl Into<Body>) -> (u16, Value) {
        let request = Request::builder().method(method).uri(path);
        let mut request = request.body(body.into()).expect("a request");
        request.extensions_mut().insert(AuthenticatedOperator {
            by: "a test".to_owned(),
            stop: CancellationToken::new(),
        });
        send(&self.router, request).await
    }

    /// Files that are on their way in.
    fn aside(&self) -> usize {
        let folder = self.bench.folder.path().join("cache/uploads");
        std::fs::read_dir(folder).expect("reads").count()
    }
}

/// A NAR, its name and its narinfo.
fn file() -> (Vec<u8>, String, String) {
    let nar = archive("nix-archive-1 ( type regular contents octets )");
    let hash = NixHash(Sha256::digest(&nar).into());
    let name = hash.to_string().replace("sha256:", "nar/") + ".nar";
    let size = nar.len();
    let info = format!(
        "StorePath: {PATH}\nURL: {name}\nCompression: none\nFileHash: {hash}\nFileSize: {size}\n\
         NarHash: {hash}\nNarSize: {size}\nReferences: \n"
    );
    (nar, format!("/cache/{name}"), info)
}

#[tokio::test]
async fn a_path_is_put_as_nix_puts_it() {
    let served = Served::new();
    let (nar, name, info) = file();
    assert_eq!(served.ask(Method::HEAD, NARINFO, "").await.0, 404);
    assert_eq!(served.ask(Method::HEAD, &name, "").await.0, 404);
    assert_eq!(served.ask(Method::PUT, &name, nar).await.0, 201);
    assert_eq!(served.ask(Method::HEAD, &name, "").await.0, 200);
    assert_eq!(served.ask(Method::PUT, NARINFO, info.clone()).await.0, 201);
    assert_eq!(served.ask(Method::HEAD, NARINFO, "").await.0, 200);
    assert_eq!(served.ask(Method::PUT, NARINFO, info).await.0, 200);
    assert_eq!(
        served.ask(Method::GET, "/cache/nix-cache-info", "").await.0,
        200
    );
    let path: netboot::base::store_path::StorePath = PATH.parse().expect("a path");
    let components = &served.bench.components;
    assert_eq!(
        components
            .cache
            .fault(&path, components.keys.cache_public()),
        None
    );
}

#[tokio::test]
async fn a_name_that_a_cache_does_not_have_is_refused() {
    let served = Served::new();
    let (nar, name, _) = file();
    let before = std::fs::read_dir(served.bench.folder.path())
        .expect("reads")
        .count();
    for path in [
        "/cache/nix-cache-info".to_owned(),
        "/cache/../keys/cache.key".to_owned(),
        "/cache/%2e%2e/keys/cache.key".to_owned(),
        "/cache/nar/..%2f..%2fkeys%2fcache.key".to_owned(),
        "/cache/nar/x.nar".to_owned(),
        "/cache/uploads/x".to_owned(),
        format!("{name}.bz2"),
        format!("{name}.tmp"),
        name.replace("/nar/", "/nar/x/"),
        format!("/cache/{}.ls", "1".repeat(32)),
        "/cache/log/x.drv".to_owned(),
    ] {
        let (status, answer) = served.ask(Method::PUT, &path, nar.clone()).await;
        assert_eq!(status, 400, "{path}: {answer}");
        assert_eq!(served.aside(), 0, "{path}");
    }
    let after = std::fs::read_dir(served.bench.folder.path())
        .expect("reads")
        .count();
    assert_eq!(before, after);
}

#[tokio::test]
async fn a_narinfo_that_is_none_is_refused_with_what_is_wrong() {
    let served = Served::new();
    let (_, _, info) = file();
    for (name, path, body, status, want) in [
        (
            "not text",
            NARINFO.to_owned(),
            "\u{0}\u{1}".to_owned(),
            400,
            "a line has no `:`",
        ),
        (
            "empty",
            NARINFO.to_owned(),
            String::new(),
            400,
            "it has no `URL`",
        ),
        (
            "of another path",
            format!("/cache/{}.narinfo", "1".repeat(32)),
            info.clone(),
            400,
            "its name another path",
        ),
        (
            "a way out",
            "/cache/..%2fx.narinfo".to_owned(),
            info.clone(),
            400,
            "its name another path",
        ),
        (
            "without its NAR",
            NARINFO.to_owned(),
            info,
            422,
            "is not here",
        ),
        (
            "far too long",
            NARINFO.to_owned(),
            "x".repeat(BODY_LIMIT + 1),
            413,
            "larger than",
        ),
    ] {
        let (got, answer) = served.ask(Method::PUT, &path, body).await;
        let said = answer["error"]["message"].as_str().unwrap_or_default();
        assert_eq!(got, status, "{name}: {answer}");
        assert!(said.contains(want), "{name}: {said}");
    }
}

#[tokio::test]
async fn a_client_that_vanishes_leaves_nothing() {
    let served = Served::new();
    let (nar, name, _) = file();
    let half = Bytes::copy_from_slice(&nar[..nar.len() / 2]);
    let body = Body::from_stream(stream::iter([
        Ok(half),
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
    ]));
    let (status, answer) = served.ask(Method::PUT, &name, body).await;
    assert_eq!(status, 400, "{answer}");
    assert_eq!(served.aside(), 0);
    assert_eq!(served.ask(Method::HEAD, &name, "").await.0, 404);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_is_given_up() {
    let served = Served::new();
    let (nar, name, _) = file();
    for path in [name.as_str(), NARINFO] {
        let half = Bytes::copy_from_slice(&nar[..nar.len() / 2]);
        let first = stream::iter([Ok::<_, std::io::Error>(half)]);
        let body = Body::from_stream(first.chain(stream::pending()));
        let begun = tokio::time::Instant::now();
        let (status, answer) = served.ask(Method::PUT, path, body).await;
        assert_eq!(status, 408, "{path}: {answer}");
        let took = begun.elapsed();
        assert!(took < QUIET + Duration::from_secs(5), "{path}: {took:?}");
        assert_eq!(served.aside(), 0, "{path}");
    }
}
