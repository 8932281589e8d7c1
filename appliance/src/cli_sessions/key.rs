//! `key`: a secret that a person asks for.

use serde_json::Value;

use super::Served;
use crate::testing::bench::{Agent, MAC, TOPLEVEL};

/// A machine whose disk this appliance encrypted.
async fn encrypted() -> Served {
    let served = Served::new();
    let bench = &served.bench;
    bench.encrypts();
    bench.release("worker", TOPLEVEL).await;
    bench.enroll(MAC, "worker", "node1").await;
    let ticket = bench.boots(MAC).await;
    let mut agent = Agent::claims(bench, &ticket).await;
    agent.formats().await;
    agent.installs().await;
    served
}

fn is_a_key(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let letters = |group: &&str| group.len() == 8 && group.chars().all(|c| c.is_ascii_lowercase());
    groups.len() == 8 && groups.iter().all(letters)
}

#[tokio::test]
async fn a_recovery_key_is_printed_alone_and_who_asked_is_on_record() {
    let served = encrypted().await;
    let (exit, stdout, stderr) = served.run("key node1").await;
    assert_eq!(exit, 0, "{stderr}");
    let key = stdout.trim_end().to_owned();
    assert!(is_a_key(&key), "{stdout}");
    assert!(
        stderr.starts_with("it opens the disks of node1 since "),
        "{stderr}"
    );

    let (exit, stdout, _) = served.run(&format!("--json key {MAC}")).await;
    let json: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!((exit, json["key"].as_str()), (0, Some(key.as_str())));

    let mut said = String::new();
    for line in [
        "events",
        "--json events",
        "machines",
        "--json show node1",
        "--json plan node1",
    ] {
        said += &served.run(line).await.1;
    }
    let shown = format!(
        "its recovery key was shown to uid {}",
        nix::unistd::getuid()
    );
    assert_eq!(said.matches(&shown).count(), 2, "{said}");
    assert!(!said.contains(&key));

    let (exit, _, stderr) = served.run("forget node1").await;
    assert_eq!(exit, 0);
    assert!(
        stderr.contains(&format!("`pxe-admin key {MAC}`")),
        "{stderr}"
    );
    let (exit, stdout, _) = served.run(&format!("key {MAC}")).await;
    assert_eq!((exit, stdout.trim_end()), (0, key.as_str()));
}

#[tokio::test]
async fn a_machine_without_one_is_refused_with_what_to_do() {
    let served = Served::new();
    served.bench.release("worker", TOPLEVEL).await;
    served.bench.enroll(MAC, "worker", "node1").await;
    let (exit, stdout, stderr) = served.run("key node1").await;
    assert_eq!((exit, stdout.as_str()), (1, ""));
    assert_eq!(
        stderr,
        "error: node1 has no disk key\n  it is enrolled and was never installed\n  nothing was changed\n\n  \
         tip: pxe-admin show node1\n"
    );
    let ticket = served.bench.boots(MAC).await;
    Agent::claims(&served.bench, &ticket).await.installs().await;
    let (exit, _, stderr) = served.run("key node1").await;
    assert_eq!(exit, 1);
    assert!(
        stderr.contains("tip: in its profile: [disk] layout = \"luks-ext4\""),
        "{stderr}"
    );
}
