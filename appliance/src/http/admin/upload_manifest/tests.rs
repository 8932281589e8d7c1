//! What is asked before anything is sent, and files that are not as they should be.

use axum::body::Body as Octets;
use axum::http::Method;
use futures_util::{StreamExt, stream};
use netboot::api::types::{InstallerRequest, SHIPMENT};
use netboot::base::release::FlakeSource;
use netboot::publish::installer::{ImageFile, InstallerManifest};
use netboot::publish::space_reservation::RESERVE;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::files::durable;
use crate::testing::bench::{Bench, TOPLEVEL, send};

struct Served {
    bench: Bench,
    router: Router,
}

fn part(octets: &[u8]) -> ImageFile {
    ImageFile {
        sha256: Digest::new(Sha256::digest(octets).into()),
        size: octets.len() as u64,
    }
}

impl Served {
    fn new() -> Self {
        let bench = Bench::new();
        let router = super::super::calls().merge(router());
        Self {
            router: router.with_state(bench.components.admin.clone()),
            bench,
        }
    }

    async fn ask(&self, request: axum::http::request::Builder, body: Octets) -> (u16, Value) {
        let mut request = request.body(body).expect("a request");
        request.extensions_mut().insert(AuthenticatedOperator {
            by: "a test".to_owned(),
            stop: CancellationToken::new(),
        });
        send(&self.router, request).await
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = Request::builder().method(Method::POST).uri(path);
        self.ask(request, Octets::from(body.to_string())).await
    }

    async fn put(&self, name: &str, length: Option<u64>, body: Octets) -> (u16, Value) {
        self.put_of(name, length, body, None).await
    }

    async fn put_of(
        &self,
        name: &str,
        length: Option<u64>,
        body: Octets,
        batch: Option<&str>,
    ) -> (u16, Value) {
        let path = format!("/admin/v1/publish/installer/parts/{name}");
        let mut request = Request::builder().method(Method::PUT).uri(path);
        if let Some(length) = length {
            request = request.header("content-length", length);
        }
        if let Some(batch) = batch {
            request = request.header(SHIPMENT, batch);
        }
        self.ask(request, body).await
    }

    /// Files that were sent, whole or half.
    fn incoming(&self) -> usize {
        let folder = self.bench.folder.path().join("installers/incoming");
        std::fs::read_dir(folder).expect("reads").count()
    }
}

#[tokio::test]
async fn what_is_lacking_is_sent_and_machines_boot_it_and_it_is_on_record() {
    let served = Served::new();
    let (kernel, initrd) = (part(b"kernel"), part(b"initrd"));
    let batch = json!({"paths": [{"path": TOPLEVEL, "size": 1000}], "parts": [kernel, initrd]});
    let room = "/admin/v1/publish/room";
    let (status, missing) = served.post(room, &batch).await;
    assert_eq!(status, 200, "{missing}");
    let want = json!({"paths": 1, "bytes": 1000, "parts": [kernel, initrd]});
    assert_eq!(missing, want);

    let name = kernel.sha256.as_str();
    let put = served.put(name, Some(6), Octets::from("kernel")).await;
    assert_eq!(put.0, 201, "{}", put.1);
    let (_, missing) = served.post(room, &batch).await;
    assert_eq!(missing["parts"], json!([initrd]), "the kernel is here");

    let request = InstallerRequest {
        path: "/nix/store/11111111111111111111111111111111-installer"
            .parse()
            .expect("a store path"),
        source: FlakeSource {
            revision: Some("98f5d3d44863881ed45a0e3cb6f6c8ce68d933d0".to_owned()),
            dirty: false,
        },
        parts: Some(InstallerManifest {
            arch: "x86_64".to_owned(),
            cmdline: "console=ttyS0".to_owned(),
            kernel,
            initrd: initrd.clone(),
        }),
    };
    let request = serde_json::to_value(request).expect("writes");
    let call = "/admin/v1/publish/installer";
    let (status, answer) = served.post(call, &request).await;
    assert_eq!(status, 422, "no initrd yet: {answer}");
    let name = initrd.sha256.as_str();
    served.put(name, Some(6), Octets::from("initrd")).await;
    let (status, answer) = served.post(call, &request).await;
    assert_eq!(status, 201, "{answer}");
    let image = served.bench.components.installers.for_arch("x86_64");
    let image = image.expect("machines boot it");
    assert_eq!(std::fs::read(image.initrd).expect("reads"), b"initrd");
    assert_eq!(served.incoming(), 0);

    let (status, _) = served.post(call, &request).await;
    assert_eq!(status, 200, "it is so already");
    let releases = Request::builder().uri("/admin/v1/releases");
    let (_, releases) = served.ask(releases, Octets::empty()).await;
    let known = releases["installers"].as_array().expect("a list");
    assert_eq!(known.len(), 1, "on record once: {releases}");
    assert_eq!(known[0]["source"], request["source"]);
    let events = served
        .bench
        .components
        .store
        .events(None, 0, 10)
        .expect("events");
    let event = serde_json::to_value(events.last()).expect("writes");
    assert_eq!(event["what"]["event"], "installer-published");
}

#[tokio::test]
async fn an_installer_that_cannot_be_put_on_record_is_not_booted() {
    let served = Served::new();
    let components = &served.bench.components;
    for (letter, status) in [('1', 201), ('2', 503)] {
        if status == 503 {
            // The journal takes no more events.
            components.store.close().await;
        }
        let [kernel, initrd] = ["kernel", "initrd"].map(|what| format!("{what} {letter}"));
        for file in [&kernel, &initrd] {
            let name = part(file.as_bytes()).sha256.to_string();
            let length = file.len() as u64;
            let put = served.put(&name, Some(length), Octets::from(file.clone()));
            assert_eq!(put.await.0, 201);
        }
        let request = InstallerRequest {
            path: format!("/nix/store/{}-installer", letter.to_string().repeat(32))
                .parse()
                .expect("a store path"),
            source: FlakeSource::default(),
            parts: Some(InstallerManifest {
                arch: "x86_64".to_owned(),
                cmdline: format!("build={letter}"),
                kernel: part(kernel.as_bytes()),
                initrd: part(initrd.as_bytes()),
            }),
        };
        let request = serde_json::to_value(request).expect("writes");
        let (got, answer) = served.post("/admin/v1/publish/installer", &request).await;
        assert_eq!(got, status, "{answer}");
        let booted = components.installers.for_arch("x86_64").expect("the first");
        assert_eq!(booted.image.cmdline, "build=1");
        let recorded = components.store.state().installers.clone();
        assert_eq!(components.installers.published(), recorded, "{letter}");
    }
}

#[tokio::test]
async fn more_than_the_disk_holds_is_refused_before_anything_is_sent() {
    let served = Served::new();
    let large = ImageFile {
        size: 1 << 60,
        ..part(b"kernel")
    };
    let room = "/admin/v1/publish/room";
    for (what, batch) in [
        ("an installer", json!({"parts": [large]})),
        (
            "a closure",
            json!({"paths": [{"path": TOPLEVEL, "size": 1_u64 << 61}]}),
        ),
    ] {
        let (status, answer) = served.post(room, &batch).await;
        assert_eq!(status, 422, "{what}: {answer}");
        let said = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(said.contains("too little space"), "{what}: {said}");
        let facts = answer["error"]["facts"].to_string();
        assert!(facts.contains("nothing was changed"), "{what}: {facts}");
    }
    assert_eq!(served.incoming(), 0);
}

#[tokio::test]
async fn of_two_who_fit_one_by_one_and_not_together_the_second_waits_until_the_first_is_over() {
    let free = durable::free_space(std::env::temp_dir().as_path()).expect("it has a size");
    // Two of these are more than there is, whatever others do to the disk meanwhile.
    let most = free.saturating_sub(RESERVE) / 5 * 3;
    let (one, two) = ("1".repeat(32), "2".repeat(32));
    let small = part(b"initrd");
    let name = small.sha256.to_string();
    let cut = || {
        Octets::from_stream(stream::iter([
            Ok("ini"),
            Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
        ]))
    };
    let whole = || Octets::from("initrd");
    for (what, body, batch, status, over) in [
        ("it goes on", whole(), Some(&one), 201, false),
        ("it breaks off", cut(), Some(&one), 400, true),
        ("another breaks off", cut(), None, 400, false),
    ] {
        let served = Served::new();
        let asks = async |id: &str, letter: char| {
            let path = format!("/nix/store/{}-system", letter.to_string().repeat(32));
            // Half of it is kept free for a path, which is packed.
            let paths = json!([{"path": path, "size": most.saturating_mul(2)}]);
            let batch = json!({"id": id, "paths": paths, "parts": [small]});
            served.post("/admin/v1/publish/room", &batch).await
        };
        let (answered, answer) = asks(&one, '1').await;
        assert_eq!(answered, 200, "{what}: {answer}");
        let (answered, answer) = asks(&two, '2').await;
        assert_eq!(answered, 422, "{what}: {answer}");
        let error = answer["error"].to_string();
        for words in [
            "the cache's filesystem has too little space",
            "promised to another publication that is under way",
            "nothing was changed",
            "publish again once the other one is over",
        ] {
            assert!(error.contains(words), "{what}: no `{words}`: {error}");
        }
        let (answered, answer) = asks(&one, '1').await;
        assert_eq!(answered, 200, "{what}: asked again: {answer}");

        let batch = batch.map(String::as_str);
        let (got, answer) = served.put_of(&name, Some(6), body, batch).await;
        assert_eq!(got, status, "{what}: {answer}");
        let (answered, answer) = asks(&two, '2').await;
        assert_eq!(answered == 200, over, "{what}: {answer}");
    }
}

#[tokio::test]
async fn a_file_that_is_not_what_it_should_be_leaves_nothing() {
    let served = Served::new();
    let name = part(b"kernel").sha256.to_string();
    let cut = || {
        Octets::from_stream(stream::iter([
            Ok("ker"),
            Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
        ]))
    };
    for (what, name, length, body, status) in [
        ("no name", "kernel", Some(6), Octets::from("kernel"), 400),
        ("a way out", "..%2Fx", Some(6), Octets::from("kernel"), 400),
        ("no length", &*name, None, cut(), 400),
        ("another file", &*name, Some(6), Octets::from("kernle"), 422),
        ("it breaks off", &*name, Some(6), cut(), 400),
        ("too large", &*name, Some(1 << 40), cut(), 413),
    ] {
        let (got, answer) = served.put(name, length, body).await;
        assert_eq!(got, status, "{what}: {answer}");
        assert_eq!(served.incoming(), 0, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_workstation_that_hangs_is_given_up() {
    let served = Served::new();
    let name = part(b"kernel").sha256.to_string();
    let first = stream::iter([Ok::<_, std::io::Error>("ker")]);
    let body = Octets::from_stream(first.chain(stream::pending()));
    let (status, answer) = served.put(&name, Some(6), body).await;
    assert_eq!(status, 408, "{answer}");
    assert_eq!(served.incoming(), 0);
}
