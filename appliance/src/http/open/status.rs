//! `/healthz` and `/metrics`: for monitors.

use std::fmt::Write;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use netboot::api::types::Health;
use netboot::doctor::firewall::Answer;
use netboot::machine::State as MachineState;
use netboot::machine::state::World;

use crate::app::App;
use crate::counters::Counters;
use crate::lan::Findings;

/// 200 while everything works, 503 while the store takes no writes.
pub(super) async fn health(State(app): State<Arc<App>>) -> Response {
    let trouble = app.store.trouble();
    let (status, word) = match &trouble {
        None => (StatusCode::OK, "ok"),
        Some(_) => (StatusCode::SERVICE_UNAVAILABLE, "degraded"),
    };
    let health = Health {
        status: word.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        // The cause itself is in the log: it names paths.
        store: trouble.map(|_| "takes no writes".to_owned()),
    };
    (status, Json(health)).into_response()
}

pub(super) async fn metrics(State(app): State<Arc<App>>) -> Response {
    let text = render(&app.store.world(), &app.counters, &app.findings);
    let kind = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    (kind, text).into_response()
}

const STATES: [MachineState; 8] = [
    MachineState::Seen,
    MachineState::Enrolled,
    MachineState::Installing,
    MachineState::Installed,
    MachineState::Running,
    MachineState::Joined,
    MachineState::Failed,
    MachineState::Retired,
];

/// The Prometheus text format, version 0.0.4.
fn render(world: &World, counters: &Counters, findings: &Findings) -> String {
    let Counters {
        started,
        packets,
        tftp_bytes,
        tftp_sent,
        tftp_refused,
        tftp_broken_off,
        http_bytes,
        http_requests,
    } = counters;
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, rows: &[(String, u64)]| {
        // Writing to a String does not fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in rows {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    let states = STATES.map(|state| {
        let n = world.machines.values().filter(|m| m.state == state).count();
        (format!("{{state=\"{state}\"}}"), n as u64)
    });
    family(
        "pxe_machines",
        "gauge",
        "Machines on record, by state.",
        &states,
    );
    family(
        "pxe_other_servers",
        "gauge",
        "Other servers that answered on a LAN when it was last looked at, by what they do.",
        &others(findings),
    );
    let closed = findings.doors().into_iter().filter_map(|door| {
        let closed = u64::from(matches!(door.answer, Answer::Closed(_)));
        let unclear = matches!(door.answer, Answer::Unclear(_));
        let labels = format!(
            "{{interface=\"{}\",door=\"{}\"}}",
            door.interface, door.what
        );
        (!unclear).then_some((labels, closed))
    });
    family(
        "pxe_firewall_closed",
        "gauge",
        "1 where the host's firewall stops machines, 0 where it lets them in; absent where it cannot be told.",
        &closed.collect::<Vec<_>>(),
    );
    let outcomes = [
        ("sent", &packets.sent),
        ("ignored", &packets.ignored),
        ("unreadable", &packets.unreadable),
        ("failed", &packets.failed),
        ("dropped", &packets.dropped),
        ("panicked", &packets.panicked),
    ]
    .map(|(outcome, n)| (format!("{{outcome=\"{outcome}\"}}"), n.get()));
    family(
        "pxe_dhcp_packets_total",
        "counter",
        "Packets on UDP 67 and 4011, by what became of them.",
        &outcomes,
    );
    let transfers = [
        ("sent", tftp_sent),
        ("refused", tftp_refused),
        ("broken-off", tftp_broken_off),
    ]
    .map(|(outcome, n)| (format!("{{outcome=\"{outcome}\"}}"), n.get()));
    family(
        "pxe_tftp_transfers_total",
        "counter",
        "TFTP requests, by what became of them. A question for the size alone is none.",
        &transfers,
    );
    for (name, help, value) in [
        (
            "pxe_tftp_bytes_total",
            "Bytes of loaders sent over TFTP.",
            tftp_bytes.get(),
        ),
        (
            "pxe_http_bytes_total",
            "Bytes of bodies sent on http.port.",
            http_bytes.get(),
        ),
        (
            "pxe_http_requests_total",
            "Scripts and files asked for on http.port.",
            http_requests.get(),
        ),
    ] {
        family(name, "counter", help, &[(String::new(), value)]);
    }
    family(
        "pxe_uptime_seconds",
        "gauge",
        "Seconds since the start.",
        &[(String::new(), started.elapsed().as_secs())],
    );
    text
}

/// Rows for each LAN that could be looked at.
fn others(findings: &Findings) -> Vec<(String, u64)> {
    let mut rows = Vec::new();
    for look in findings.looks() {
        let Ok(rivals) = look.rivals else { continue };
        let interface = look.interface;
        let dhcp = rivals.iter().filter(|r| r.dhcp).count();
        let pxe = rivals.iter().filter(|r| r.pxe).count();
        for (does, n) in [("dhcp", dhcp), ("pxe", pxe)] {
            rows.push((
                format!("{{interface=\"{interface}\",does=\"{does}\"}}"),
                n as u64,
            ));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use netboot::base::timestamp::Timestamp;

    use super::*;
    use crate::lan::Look;
    use crate::lan::firewall::Door;

    #[test]
    fn every_line_is_a_comment_or_a_name_with_a_number() {
        let counters = Counters::default();
        counters.packets.ignored.add(3);
        let text = render(&World::default(), &counters, &Findings::default());
        assert!(
            text.contains("pxe_dhcp_packets_total{outcome=\"ignored\"} 3\n"),
            "{text}"
        );
        assert!(
            text.contains("pxe_machines{state=\"joined\"} 0\n"),
            "{text}"
        );
        for line in text.lines().filter(|l| !l.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').expect("name and value");
            assert!(name.starts_with("pxe_"), "{line}");
            value.parse::<u64>().expect(line);
        }
    }

    /// What monitors ask for by name. The numbers, and the words for people, are left out.
    #[test]
    fn names_and_labels_are_as_written_down() {
        let look = Look {
            interface: "enp1s0".to_owned(),
            at: Timestamp::MIN,
            rivals: Ok(Vec::new()),
        };
        let door = |what, answer| Door {
            interface: "enp1s0".to_owned(),
            what,
            port: "UDP 67".to_owned(),
            answer,
        };
        let doors = vec![
            door("DHCP", Answer::Open),
            door("TFTP", Answer::Closed("a rule".to_owned())),
        ];
        let findings = Findings::of(look, doors);
        let text = render(&World::default(), &Counters::default(), &findings);
        let names = text
            .lines()
            .filter_map(|line| match line.strip_prefix('#') {
                Some(comment) => comment.strip_prefix(" TYPE ").map(str::to_owned),
                None => line.rsplit_once(' ').map(|(name, _)| format!("    {name}")),
            });
        let names: String = names.map(|line| line + "\n").collect();
        expect![[r#"
            pxe_machines gauge
                pxe_machines{state="seen"}
                pxe_machines{state="enrolled"}
                pxe_machines{state="installing"}
                pxe_machines{state="installed"}
                pxe_machines{state="running"}
                pxe_machines{state="joined"}
                pxe_machines{state="failed"}
                pxe_machines{state="retired"}
            pxe_other_servers gauge
                pxe_other_servers{interface="enp1s0",does="dhcp"}
                pxe_other_servers{interface="enp1s0",does="pxe"}
            pxe_firewall_closed gauge
                pxe_firewall_closed{interface="enp1s0",door="DHCP"}
                pxe_firewall_closed{interface="enp1s0",door="TFTP"}
            pxe_dhcp_packets_total counter
                pxe_dhcp_packets_total{outcome="sent"}
                pxe_dhcp_packets_total{outcome="ignored"}
                pxe_dhcp_packets_total{outcome="unreadable"}
                pxe_dhcp_packets_total{outcome="failed"}
                pxe_dhcp_packets_total{outcome="dropped"}
                pxe_dhcp_packets_total{outcome="panicked"}
            pxe_tftp_transfers_total counter
                pxe_tftp_transfers_total{outcome="sent"}
                pxe_tftp_transfers_total{outcome="refused"}
                pxe_tftp_transfers_total{outcome="broken-off"}
            pxe_tftp_bytes_total counter
                pxe_tftp_bytes_total
            pxe_http_bytes_total counter
                pxe_http_bytes_total
            pxe_http_requests_total counter
                pxe_http_requests_total
            pxe_uptime_seconds gauge
                pxe_uptime_seconds
        "#]]
        .assert_eq(&names);
    }
}
