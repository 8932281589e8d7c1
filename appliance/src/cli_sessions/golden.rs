//! Sessions: commands and what the machines do between them → one file each.

use std::fmt::Write as _;
use std::path::PathBuf;

use netboot::base::arch::Arch;
use netboot::dhcp::request::BootClient;
use netboot::doctor::boot_trace::{BootEvent, NoAnswerReason};
use serde_json::json;

use super::Served;
use crate::testing::bench::{Agent, MAC, TOPLEVEL, node_boots};

const OTHER: &str = "52:54:00:00:00:02";

/// One session's transcript so far.
pub(super) struct Session {
    pub(super) served: Served,
    text: String,
}

impl Session {
    pub(super) fn new() -> Self {
        Self {
            served: Served::new(),
            text: String::new(),
        }
    }

    pub(super) async fn run(&mut self, line: &str) {
        let (exit, stdout, stderr) = self.served.run(line).await;
        let folder = self.served.bench.folder.path().display().to_string();
        let cache_key = self.served.bench.components.keys.cache_public().to_owned();
        let redact = |text: String| {
            let text = text.replace(&folder, "/run/pxe-appliance");
            redacted(&text.replace(&cache_key, "[key]"))
        };
        let (stdout, stderr) = (redact(stdout), redact(stderr));
        let _ = writeln!(
            self.text,
            "$ pxe-admin {}\nexit {exit}",
            redact(line.to_owned())
        );
        for (name, text) in [("stdout", stdout), ("stderr", stderr)] {
            if !text.is_empty() {
                let _ = writeln!(self.text, "--- {name}\n{}", text.trim_end_matches('\n'));
            }
        }
        self.text.push('\n');
    }

    /// Says in the transcript what happens between two commands.
    pub(super) fn meanwhile(&mut self, what: &str) {
        let _ = writeln!(self.text, "# {what}\n");
    }

    #[track_caller]
    pub(super) fn check(&self, name: &str) {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("tests/cli")
            .join(name)
            .with_extension("out");
        let want = std::fs::read_to_string(&path).unwrap_or_default();
        if want == self.text {
            return;
        }
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &self.text).expect("writes");
        }
        for (number, (want, got)) in want.lines().zip(self.text.lines()).enumerate() {
            assert_eq!(got, want, "tests/cli/{name}.out:{}", number + 1);
        }
        panic!(
            "tests/cli/{name}.out has {} lines, this run {}; see it with UPDATE_GOLDEN=1 and git diff",
            want.lines().count(),
            self.text.lines().count()
        );
    }
}

/// Without what differs from run to run: tickets and hashes, and the caller's uid.
fn redacted(text: &str) -> String {
    let uid = format!("uid {}", nix::unistd::getuid());
    let text = text.replace(&uid, "uid 0");
    let mut out = String::new();
    for part in text.split_inclusive(|c: char| !c.is_ascii_hexdigit()) {
        let digits = part.trim_end_matches(|c: char| !c.is_ascii_hexdigit());
        match digits.len() {
            32 | 64 => out.push_str(&part.replace(digits, "[id]")),
            _ => out.push_str(part),
        }
    }
    out
}

#[tokio::test]
async fn help() {
    let mut session = Session::new();
    session.run("--help").await;
    for command in [
        "enroll",
        "reimage",
        "forget",
        "machines",
        "show",
        "watch",
        "events",
        "plan",
        "confirm",
        "key",
        "publish",
        "releases",
        "generations",
        "doctor",
        "completions",
    ] {
        session.run(&format!("{command} --help")).await;
    }
    session.check("help");
}

#[tokio::test]
async fn usage() {
    let mut session = Session::new();
    for line in [
        "",
        "enrol 52:54:00:12:34:56",
        "enroll",
        "enroll 52:54:00:12:34",
        "enroll 01:00:5e:00:00:01",
        "enroll 52:54:00:12:34:5g",
        "enroll 52:54:00:12:34:56 --name Node_1",
        "show ..",
        "show 52:54:00",
        "watch node1 --timeout soon",
        "events --after x",
        "events --pcap node1",
        "events --pcap node_1 /dev/null",
        "events node1 --pcap node1 /dev/null",
        "publish worker",
        "publish worker --toplevel /etc/passwd",
        "--appliance https://10.77.0.1:8444 machines",
        "--appliance /run/x machines",
        "--appliance unix: machines",
        "completions tcsh",
    ] {
        session.run(line).await;
    }
    session.check("usage");
}

#[tokio::test]
async fn an_appliance_that_knows_nothing_yet() {
    let mut session = Session::new();
    for line in [
        "machines",
        "machines --json",
        "releases",
        "generations",
        "events",
        "show node1",
        "watch node1",
        "plan node1",
        "forget node1",
        "reimage node1",
        "generations node1",
        "--json show node1",
        "-v show node1",
    ] {
        session.run(line).await;
    }
    session.check("empty");
}

#[tokio::test]
async fn nobody_at_the_socket() {
    let mut session = Session::new();
    for line in [
        "machines --appliance unix:/nowhere/admin.sock",
        "machines --appliance unix:/nowhere/admin.sock -v",
        "machines --appliance unix:/nowhere/admin.sock --json",
        "enroll 52:54:00:12:34:56 --appliance unix:/nowhere/admin.sock",
        "watch node1 --appliance unix:/nowhere/admin.sock",
    ] {
        session.run(line).await;
    }
    session.check("unreachable");
}

#[tokio::test]
async fn enroll() {
    let mut session = Session::new();
    session.served.bench.seen(MAC).await;
    session.meanwhile("52:54:00:12:34:56 asked for something to boot");
    for line in [
        "machines",
        "show 52-54-00-12-34-56",
        "enroll 52:54:00:12:34:56",
        "enroll 52:54:00:12:34:56 --profile workr",
        "--json enroll 52:54:00:12:34:56 --profile workr",
        "enroll 52:54:00:12:34:56 --profile worker --name node1",
        "enroll 5254.0012.3456 --profile worker --name node1",
        "enroll 52:54:00:12:34:56",
        "enroll 52:54:00:12:34:56 --profile server",
        "enroll 52:54:00:12:34:56 --profile worker --name node2",
        "enroll 52:54:00:00:00:02 --profile worker --name node1",
        "enroll 52:54:00:00:00:02 --profile worker",
        "machines",
        "show node1",
        "show node2",
        "plan node1",
        "watch node1 --timeout 0s",
    ] {
        session.run(line).await;
    }
    session.check("enroll");
}

#[tokio::test]
async fn an_install_from_enroll_to_joined_and_again() {
    let mut session = Session::new();
    let bench = &session.served.bench;
    bench.release("worker", TOPLEVEL).await;
    bench.seen(MAC).await;
    bench.enroll(MAC, "worker", "node1").await;
    let ticket = bench.boots(MAC).await;
    let mut agent = Agent::claims(bench, &ticket).await;
    agent.plans().await;
    agent.reports("copy", json!({"kind": "started"})).await;
    session.meanwhile("node1 is enrolled, booted the installer, and copies");
    for line in [
        "releases",
        "show node1",
        "plan node1",
        "watch node1 --timeout 0s",
        "enroll 52:54:00:12:34:56 --profile server",
    ] {
        session.run(line).await;
    }

    let key = agent.installs().await;
    session.meanwhile("it is installed");
    session.run("watch node1 --timeout 0s").await;
    node_boots(&session.served.bench, &key, "node1").await;
    session.meanwhile("it runs from its own disk");
    session.run("watch node1 --timeout 0s").await;
    session.served.bench.joins(MAC).await;
    session.meanwhile("it joined");
    for line in [
        "machines",
        "show node1",
        "watch node1",
        "enroll 52:54:00:12:34:56 --profile worker",
        "generations",
        "generations node1",
        "events",
        "events node1 --after 8",
        "reimage node1 --now",
        "reimage node1 --release 7",
        "reimage node1 --release 1",
        "reimage node1 --release 1",
        "show node1",
        "plan node1",
        "forget 52:54:00:12:34:56",
        "forget node1",
        "events 52:54:00:12:34:56 --after 17",
    ] {
        session.run(line).await;
    }
    session.check("install");
}

#[tokio::test]
async fn a_machine_without_a_part_in_a_cluster() {
    let mut session = Session::new();
    let bench = &session.served.bench;
    bench.release("plain", TOPLEVEL).await;
    bench.enroll(OTHER, "plain", "desk").await;
    let ticket = bench.boots(OTHER).await;
    let key = Agent::claims(bench, &ticket).await.installs().await;
    node_boots(bench, &key, "desk").await;
    session.meanwhile("desk was installed and runs");
    session.run("watch desk").await;
    session.run("show desk").await;
    session.check("plain");
}

#[tokio::test]
async fn three_attempts_that_fail() {
    let mut session = Session::new();
    session.served.bench.release("worker", TOPLEVEL).await;
    session.served.bench.enroll(MAC, "worker", "node1").await;
    let causes = json!([
        "cannot copy the system",
        "http://10.77.0.1:8080/cache",
        "connection refused"
    ]);
    for attempt in 1..=3 {
        let bench = &session.served.bench;
        let ticket = bench.boots(MAC).await;
        let mut agent = Agent::claims(bench, &ticket).await;
        agent.plans().await;
        let outcome = json!({"kind": "failed", "causes": causes});
        agent.reports("copy", outcome).await;
        session.meanwhile(&format!("attempt {attempt} failed"));
        session.run("show node1").await;
        session.run("watch node1 --timeout 0s").await;
    }
    session.check("failed");
}

#[tokio::test]
async fn what_happened() {
    let mut session = Session::new();
    let asked = BootEvent::Discover {
        client: BootClient::Pxe,
        arch: Arch::X64,
    };
    let components = session.served.bench.components.clone();
    let mac = MAC.parse().expect("a MAC");
    session.run("doctor 52:54:00:12:34:56").await;
    session.run("doctor node1").await;

    session.served.bench.seen(MAC).await;
    components.boot.log.mark(mac, asked.clone());
    let silence = BootEvent::Silence {
        why: NoAnswerReason::Stranger,
        reason: "not enrolled".to_owned(),
    };
    components.boot.log.mark(mac, silence);
    session.meanwhile("52:54:00:12:34:56 asked for something to boot");
    for line in [
        "show 52:54:00:12:34:56",
        "doctor 52:54:00:12:34:56",
        "doctor 52:54:00:12:34:56 --json",
        "events --pcap 52:54:00:12:34:56 /nowhere/x.pcap",
    ] {
        session.run(line).await;
    }

    session.served.bench.enroll(MAC, "worker", "node1").await;
    session.meanwhile("it was enrolled as node1");
    session.run("doctor node1").await;
    components.boot.log.mark(mac, asked);
    let given = "offered snponly.efi".to_owned();
    components.boot.log.mark(mac, BootEvent::Answered { given });
    let (from, to) = ("0.0.0.0:68", "255.255.255.255:67");
    let (from, to) = (from.parse().expect("one"), to.parse().expect("one"));
    components.boot.log.keep_packet(mac, from, to, b"discover");
    session.meanwhile("it boots");
    session.run("show node1").await;
    session.run("doctor node1").await;
    let file = session.served.bench.folder.path().join("node1.pcap");
    let line = format!("events --pcap node1 {}", file.display());
    session.run(&line).await;
    let octets = std::fs::read(&file).expect("was written");
    assert!(octets.ends_with(b"discover"), "{octets:?}");
    session.run("watch node1 --timeout 0s").await;
    session.check("happened");
}

#[tokio::test]
async fn a_stranger_that_told_its_hardware() {
    let mut session = Session::new();
    let bench = &session.served.bench;
    bench.release("worker", TOPLEVEL).await;
    bench.seen(MAC).await;
    session.run("plan 52:54:00:12:34:56 --profile worker").await;
    session.served.bench.discovers(MAC).await;
    session.meanwhile("52:54:00:12:34:56 booted the installer, which told its hardware");
    for line in [
        "machines",
        "show 52:54:00:12:34:56",
        "doctor 52:54:00:12:34:56",
        "plan 52:54:00:12:34:56",
        "plan 52:54:00:12:34:56 --profile workr",
        "plan 52:54:00:12:34:56 --profile worker",
        "confirm 52:54:00:12:34:56",
        "enroll 52:54:00:12:34:56 --profile worker --name node1",
        "plan node1",
        "events",
    ] {
        session.run(line).await;
    }
    session.check("discover");
}

#[tokio::test]
async fn a_machine_that_enrolled_itself_waits() {
    let mut session = Session::new();
    let bench = &session.served.bench;
    bench.release("worker", TOPLEVEL).await;
    bench.seen(MAC).await;
    let (mac, worker) = (MAC.parse().expect("a MAC"), "worker".parse().expect("one"));
    bench
        .components
        .boot
        .decisions
        .enroll_stranger(mac, worker)
        .await
        .expect("enrolls");
    let ticket = bench.boots(MAC).await;
    let mut agent = Agent::claims(bench, &ticket).await;
    let (status, answer) = agent.plans().await;
    assert_eq!(status, 409, "{answer}");
    session.meanwhile(
        "boot.unknown = \"worker\": it enrolled itself, booted the installer, and waits",
    );
    for line in [
        "machines",
        "show worker-123456",
        "plan worker-123456",
        "watch worker-123456 --timeout 0s",
        "doctor worker-123456",
        "confirm worker-123456",
        "confirm worker-123456",
        "show worker-123456",
        "doctor worker-123456",
    ] {
        session.run(line).await;
    }
    let (status, answer) = agent.plans().await;
    assert_eq!(status, 200, "{answer}");
    session.meanwhile("the machine asked again, and has its plan");
    session.run("confirm worker-123456").await;
    session.run("events").await;
    session.check("confirm");
}

#[tokio::test]
async fn publish() {
    let mut session = Session::new();
    let absent = format!("publish worker --toplevel {TOPLEVEL}");
    session.run(&absent).await;
    session.run(&format!("{absent} --json")).await;
    session.run("releases").await;
    session.check("publish");
}

#[tokio::test]
async fn prune() {
    let mut session = Session::new();
    session.meanwhile("nothing was published yet");
    session.run("releases --prune").await;
    let bench = &session.served.bench;
    for (n, system) in ["worker", "worker", "worker", "worker", "db"]
        .into_iter()
        .enumerate()
    {
        let hash = n.to_string().repeat(32);
        bench
            .release(system, &format!("/nix/store/{hash}-nixos-system-{system}"))
            .await;
    }
    bench.enroll(MAC, "worker", "node1").await;
    session.meanwhile(
        "four releases of one system are on record, one of another; their files are not there",
    );
    session.run("reimage node1 --release 2").await;
    session.run("releases --prune --keep 1 --dry-run").await;
    session.run("releases --prune --keep 1").await;
    session.run("releases").await;
    session.run("releases --prune --keep 1").await;
    session.run("reimage node1 --release 1").await;
    session.run("reimage node1 --release 9").await;
    session.run("releases --keep 1").await;
    session.run("releases --prune --keep 0").await;
    session.run("releases --prune --keep 1 --json").await;
    session.run("events --after 7").await;
    session.check("prune");
}

#[tokio::test]
async fn json_is_one_document() {
    let served = Served::new();
    let bench = &served.bench;
    bench.release("worker", TOPLEVEL).await;
    bench.enroll(MAC, "worker", "node1").await;
    let ticket = bench.boots(MAC).await;
    Agent::claims(bench, &ticket).await.installs().await;
    for line in [
        "machines",
        "show node1",
        "doctor",
        "doctor node1",
        "plan node1",
        "releases",
        "releases --prune",
        "generations",
        "reimage node1",
        "forget node1",
    ] {
        let (_, stdout, _) = served.run(&format!("{line} --json")).await;
        let read = serde_json::from_str::<serde_json::Value>(&stdout);
        assert!(read.is_ok_and(|json| json.is_object()), "{line}: {stdout}");
    }
    let (exit, stdout, stderr) = served.run("show node1 --json").await;
    assert_eq!((exit, stdout.as_str()), (1, ""));
    let error: serde_json::Value = serde_json::from_str(&stderr).expect("JSON");
    assert_eq!(error["error"]["code"], "unknown_host");

    let (_, stdout, _) = served.run("events --json").await;
    let last = stdout.lines().last().expect("a line");
    let last: serde_json::Value = serde_json::from_str(last).expect("JSON");
    assert_eq!(last["event"]["what"]["event"], "forgotten");
}

#[tokio::test]
async fn no_secret_is_ever_printed() {
    let served = Served::new();
    let bench = &served.bench;
    bench.release("server", TOPLEVEL).await;
    bench.enroll(MAC, "server", "node1").await;
    let ticket = bench.boots(MAC).await;
    let mut agent = Agent::claims(bench, &ticket).await;
    let key = agent.installs().await;
    node_boots(bench, &key, "node1").await;
    let keys = &bench.components.keys;
    let name = "node1".parse().expect("a name");
    let password = keys.node_password(&name);
    let secrets = [
        keys.server_token(),
        keys.agent_token(),
        &password,
        &key,
        &agent.session,
    ];
    for line in [
        "machines",
        "show node1",
        "plan node1",
        "events",
        "generations",
        "watch --timeout 0s",
    ] {
        for json in ["", " --json -v"] {
            let (_, stdout, stderr) = served.run(&format!("{line}{json}")).await;
            for secret in secrets {
                assert!(
                    !secret.is_empty() && !format!("{stdout}{stderr}").contains(secret),
                    "{line}{json}"
                );
            }
        }
    }
}
