//! Disk keys over the calls: who gets one, and where no word of it is.

use netboot::api::admin;

use super::*;

/// Asks with a credential; the answer is opened if there is one.
async fn unlocks(bench: &Bench, credential: &str) -> (u16, Value) {
    let envelope = age::x25519::Identity::generate();
    let router = router(
        bench.components.node.clone(),
        bench.components.settings.segments()[0].clone(),
    );
    let body = json!({ "recipient": envelope.to_public().to_string() });
    let (status, answer) = post(
        &router,
        "/node/v1/unlock",
        Some(credential),
        body.to_string(),
    )
    .await;
    let Some(sealed) = answer["sealed"].as_str() else {
        return (status, answer);
    };
    let sealed = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, sealed);
    let opened = age::decrypt(&envelope, &sealed.expect("base64")).expect("opens");
    (status, serde_json::from_slice(&opened).expect("JSON"))
}

/// Formats; the key and the credential.
async fn formats(agent: &mut Agent) -> (String, String) {
    let opened = agent.formats().await;
    let text = |name: &str| opened[name].as_str().expect("a text").to_owned();
    (text("key"), text("credential"))
}

async fn forget(bench: &Bench) {
    let profiles = bench.components.settings.profiles();
    let forget = move |state: &_, now| {
        let operator = admin::Operator {
            profiles: &profiles,
            armed_for: std::time::Duration::from_secs(60),
            now,
            ticket: clock::ticket(),
            by: "uid 0",
        };
        admin::forget(state, &operator, "node1")
    };
    bench
        .components
        .store
        .decide(forget)
        .await
        .expect("forgotten");
}

#[tokio::test]
async fn a_disk_key_goes_to_the_agent_and_to_its_machine_and_is_nowhere_in_the_clear() {
    let bench = Bench::new();
    bench.encrypts();
    bench.release("worker", TOPLEVEL).await;
    bench.enroll(MAC, "worker", "node1").await;
    let ticket = bench.boots(MAC).await;
    let mut agent = Agent::claims(&bench, &ticket).await;
    let (key, credential) = formats(&mut agent).await;
    assert_eq!((key.len(), credential.len()), (71, 64));
    assert_eq!(unlocks(&bench, &credential).await.0, 401, "not installed");
    agent.installs().await;
    let want = (200, json!({ "key": key }));
    assert_eq!(unlocks(&bench, &credential).await, want);
    assert_eq!(unlocks(&bench, &"ab".repeat(32)).await.0, 401);

    let events = bench
        .components
        .store
        .events(None, 0, 1000)
        .expect("events");
    let journal = serde_json::to_string(&events).expect("writes");
    assert!(journal.contains("unlocked") && journal.contains("disk-key-made"));
    let mut files = vec![bench.folder.path().to_owned()];
    let mut searched = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).expect("reads").flatten();
            files.extend(entries.map(|entry| entry.path()));
            continue;
        }
        let octets = std::fs::read(&path).expect("reads");
        searched += 1;
        for secret in [&key, &credential] {
            let found = octets.windows(secret.len()).any(|w| w == secret.as_bytes());
            assert!(!found, "in {}", path.display());
        }
    }
    assert!(searched > 3, "{searched} files");

    forget(&bench).await;
    let (status, answer) = unlocks(&bench, &credential).await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (401, &json!("unauthorized"))
    );
}

#[tokio::test]
async fn who_guesses_is_not_listened_to_and_does_not_fill_the_journal() {
    let bench = Bench::new();
    let before = bench.components.store.state().seq;
    let mut statuses = Vec::new();
    for guess in 0..14 {
        statuses.push(unlocks(&bench, &format!("{guess:064x}")).await.0);
    }
    assert_eq!(statuses[..10], [401; 10]);
    assert_eq!(statuses[10..], [429; 4]);
    let written = bench.components.store.state().seq - before;
    assert_eq!(written, 2, "the first and the last that was looked at");
}

#[tokio::test]
async fn a_request_that_is_none_is_no_reason_to_hand_out_a_key() {
    let bench = Bench::new();
    bench.encrypts();
    bench.release("worker", TOPLEVEL).await;
    bench.enroll(MAC, "worker", "node1").await;
    let ticket = bench.boots(MAC).await;
    let mut agent = Agent::claims(&bench, &ticket).await;
    let (_, credential) = formats(&mut agent).await;
    agent.installs().await;
    let before = bench.components.store.state().seq;
    let body = json!({ "recipient": "hunter2" }).to_string();
    let (status, answer) = post(&agent.router, "/node/v1/unlock", Some(&credential), body).await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (400, &json!("bad_json"))
    );
    assert_eq!(bench.components.store.state().seq, before);
}
