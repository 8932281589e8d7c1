//! Watching while things happen: the end, a restart of the appliance, a reader that leaves.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{Output, Printed, Served, run};
use crate::testing::bench::{Agent, MAC, TOPLEVEL, node_boots};

/// Waits until `text` was printed.
async fn until_printed(printed: &Printed, text: &str) {
    let limit = Instant::now() + Duration::from_secs(10);
    while !printed.text().contains(text) {
        assert!(
            Instant::now() < limit,
            "`{text}` was not printed within 10 s, but:\n{}",
            printed.text()
        );
        sleep(Duration::from_millis(10)).await;
    }
}

struct Watching {
    stdout: Printed,
    stderr: Printed,
    task: tokio::task::JoinHandle<u8>,
}

impl Watching {
    fn new(served: &Served, line: &str) -> Self {
        let (stdout, stderr) = (Printed::default(), Printed::default());
        let mut output = Output::to(Box::new(stdout.clone()), Box::new(stderr.clone()));
        let args = served.args(line);
        let task = tokio::spawn(async move { run(args, &mut output).await });
        Self {
            stdout,
            stderr,
            task,
        }
    }

    async fn ends(self) -> u8 {
        let ended = tokio::time::timeout(Duration::from_secs(10), self.task).await;
        ended
            .unwrap_or_else(|_| panic!("still watching after 10 s:\n{}", self.stdout.text()))
            .expect("no panic")
    }
}

async fn enrolled() -> Served {
    let served = Served::new();
    served.bench.release("worker", TOPLEVEL).await;
    served.bench.enroll(MAC, "worker", "node1").await;
    served
}

#[tokio::test]
async fn watching_ends_when_the_node_joined() {
    let served = enrolled().await;
    let watching = Watching::new(&served, "watch node1");
    until_printed(&watching.stdout, "enrolled as").await;
    let ticket = served.bench.boots(MAC).await;
    let mut agent = Agent::claims(&served.bench, &ticket).await;
    agent.plans().await;
    agent.reports("copy", json!({"kind": "started"})).await;
    let progress = json!({"kind": "progress", "done": 1_u64 << 30, "total": 3_u64 << 30});
    agent.reports("copy", progress).await;
    until_printed(&watching.stdout, "copying the system  1.0 / 3.0 GiB").await;
    let key = agent.installs().await;
    node_boots(&served.bench, &key, "node1").await;
    served.bench.joins(MAC).await;
    let stdout = watching.stdout.clone();
    assert_eq!(watching.ends().await, 0);
    assert!(
        stdout
            .text()
            .ends_with("joined: k3s says that node `node1` is Ready\n")
    );
}

#[tokio::test]
async fn watching_ends_when_an_attempt_fails() {
    let served = enrolled().await;
    let watching = Watching::new(&served, "watch node1");
    until_printed(&watching.stdout, "enrolled as").await;
    let ticket = served.bench.boots(MAC).await;
    let mut agent = Agent::claims(&served.bench, &ticket).await;
    agent.plans().await;
    let failed = json!({"kind": "failed", "causes": ["no disk", "unplugged"]});
    agent.reports("partition", failed).await;
    let (stdout, stderr) = (watching.stdout.clone(), watching.stderr.clone());
    assert_eq!(watching.ends().await, 6);
    assert!(
        stdout
            .text()
            .ends_with("failed while partitioning: no disk: unplugged\n")
    );
    assert!(stderr.text().starts_with("next: "), "{}", stderr.text());
}

#[tokio::test]
async fn a_restart_of_the_appliance_is_bridged() {
    let mut served = enrolled().await;
    let watching = Watching::new(&served, "watch node1");
    until_printed(&watching.stdout, "enrolled as").await;
    served.stop().await;
    until_printed(&watching.stderr, "the appliance is gone; waiting for it").await;
    let ticket = served.bench.boots(MAC).await;
    let key = Agent::claims(&served.bench, &ticket).await.installs().await;
    served.start();
    until_printed(&watching.stderr, "the appliance is back").await;
    node_boots(&served.bench, &key, "node1").await;
    served.bench.joins(MAC).await;
    let stdout = watching.stdout.clone();
    assert_eq!(watching.ends().await, 0);
    for once in [
        "enrolled as",
        "an agent holds the ticket",
        "installed generation",
        "joined",
    ] {
        let count = stdout.text().matches(once).count();
        assert_eq!(count, 1, "{once}:\n{}", stdout.text());
    }
}

#[tokio::test]
async fn a_machine_that_is_forgotten_ends_the_watch() {
    let served = enrolled().await;
    let watching = Watching::new(&served, "watch node1");
    until_printed(&watching.stdout, "enrolled as").await;
    assert_eq!(served.run("forget node1").await.0, 0);
    let stderr = watching.stderr.clone();
    assert_eq!(watching.ends().await, 6);
    assert_eq!(stderr.text(), format!("{MAC} was forgotten\n"));
}

#[tokio::test]
async fn all_machines_are_watched_from_now_on() {
    let served = enrolled().await;
    let watching = Watching::new(&served, "watch");
    // Nothing of the past is printed, so what is new tells that it listens.
    let limit = Instant::now() + Duration::from_secs(10);
    let mut n = 2;
    while watching.stdout.text().is_empty() {
        assert!(Instant::now() < limit, "nothing printed within 10 s");
        served.bench.seen(&format!("52:54:00:00:00:{n:02x}")).await;
        n += 1;
        sleep(Duration::from_millis(10)).await;
    }
    assert!(!watching.stdout.text().contains("node1"));
    watching.task.abort();
}

/// A pipe whose reader has left.
struct LeftWatch;

impl Write for LeftWatch {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_reader_that_left_is_no_error() {
    let served = enrolled().await;
    for line in ["machines", "watch node1", "events -f"] {
        let stderr = Printed::default();
        let mut output = Output::to(Box::new(LeftWatch), Box::new(stderr.clone()));
        let exit = run(served.args(line), &mut output).await;
        assert_eq!((exit, stderr.text().as_str()), (0, ""), "{line}");
    }
}

#[tokio::test]
async fn an_appliance_that_was_never_there_is_not_waited_for() {
    let mut served = enrolled().await;
    served.stop().await;
    for line in ["machines", "watch", "watch node1", "events -f"] {
        let (exit, stdout, stderr) = served.run(line).await;
        assert_eq!((exit, stdout.as_str()), (3, ""), "{line}");
        assert!(stderr.contains("nothing was sent"), "{line}: {stderr}");
    }
}
