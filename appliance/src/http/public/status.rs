//! `/healthz` and `/metrics`: for monitors.

use std::fmt;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use netboot::api::types::Health;
use netboot::doctor::firewall::Admittance;
use netboot::machine::State as MachineState;
use netboot::machine::state::ApplianceState;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::api::PublicApi;
use crate::base::counters::{Counter, Counters};
use crate::lan_scan::LanScan;

/// 200 while everything works, 503 while the store takes no writes.
pub(super) async fn health(State(api): State<Arc<PublicApi>>) -> Response {
    let trouble = api.store.trouble();
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

pub(super) async fn metrics(State(api): State<Arc<PublicApi>>) -> Response {
    let text = render(&api.store.state(), &api.counters, &api.scan);
    let kind = [(header::CONTENT_TYPE, prometheus_text::CONTENT_TYPE)];
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

/// All that is measured, in the Prometheus text format.
fn render(state: &ApplianceState, counters: &Counters, scan: &LanScan) -> String {
    let mut families = seen(state, scan);
    families.extend(counted(counters));
    text(families)
}

/// One name, and what is measured under it now.
#[derive(Debug)]
struct Family {
    /// Counters without their ending `_total`, which the encoder appends.
    name: &'static str,
    kind: MetricType,
    help: &'static str,
    rows: Vec<MetricRow>,
}

type MetricRow = (Vec<(&'static str, String)>, u64);

/// What is so at the moment.
fn seen(appliance_state: &ApplianceState, scan: &LanScan) -> Vec<Family> {
    let states = STATES.map(|state| {
        let n = appliance_state
            .machines
            .values()
            .filter(|m| m.state == state)
            .count();
        (vec![("state", state.to_string())], n as u64)
    });
    let closed = scan.firewall_ports().into_iter().filter_map(|door| {
        let closed = u64::from(matches!(door.answer, Admittance::Closed(_)));
        let unclear = matches!(door.answer, Admittance::Unclear(_));
        let labels = vec![
            ("interface", door.interface),
            ("door", door.what.to_owned()),
        ];
        (!unclear).then_some((labels, closed))
    });
    vec![
        Family {
            name: "pxe_machines",
            kind: MetricType::Gauge,
            help: "Machines on record, by state.",
            rows: states.to_vec(),
        },
        Family {
            name: "pxe_other_servers",
            kind: MetricType::Gauge,
            help: "Other servers that answered on a LAN when it was last looked at, by what they do.",
            rows: others(scan),
        },
        Family {
            name: "pxe_firewall_closed",
            kind: MetricType::Gauge,
            help: "1 where the host's firewall stops machines, 0 where it lets them in; absent where it cannot be told.",
            rows: closed.collect(),
        },
    ]
}

/// Rows for each LAN that could be looked at.
fn others(scan: &LanScan) -> Vec<MetricRow> {
    let mut rows = Vec::new();
    for look in scan.other_servers() {
        let Ok(servers) = look.servers else { continue };
        let dhcp = servers.iter().filter(|r| r.dhcp).count();
        let pxe = servers.iter().filter(|r| r.pxe).count();
        for (does, n) in [("dhcp", dhcp), ("pxe", pxe)] {
            let labels = vec![
                ("interface", look.interface.clone()),
                ("does", does.to_owned()),
            ];
            rows.push((labels, n as u64));
        }
    }
    rows
}

/// What happened since the start.
fn counted(counters: &Counters) -> Vec<Family> {
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
    let outcome = |(outcome, n): (&str, &Counter)| (vec![("outcome", outcome.to_owned())], n.get());
    let packets = [
        ("sent", &packets.sent),
        ("ignored", &packets.ignored),
        ("unreadable", &packets.unreadable),
        ("failed", &packets.failed),
        ("dropped", &packets.dropped),
        ("panicked", &packets.panicked),
    ];
    let transfers = [
        ("sent", tftp_sent),
        ("refused", tftp_refused),
        ("broken-off", tftp_broken_off),
    ];
    let counter = |name, help, rows| Family {
        name,
        kind: MetricType::Counter,
        help,
        rows,
    };
    let one = |value| vec![(Vec::new(), value)];
    vec![
        counter(
            "pxe_dhcp_packets",
            "Packets on UDP 67 and 4011, by what became of them.",
            packets.map(outcome).to_vec(),
        ),
        counter(
            "pxe_tftp_transfers",
            "TFTP requests, by what became of them. A question for the size alone is none.",
            transfers.map(outcome).to_vec(),
        ),
        counter(
            "pxe_tftp_bytes",
            "Bytes of loaders sent over TFTP.",
            one(tftp_bytes.get()),
        ),
        counter(
            "pxe_http_bytes",
            "Bytes of bodies sent on http.port.",
            one(http_bytes.get()),
        ),
        counter(
            "pxe_http_requests",
            "Scripts and files asked for on http.port.",
            one(http_requests.get()),
        ),
        Family {
            name: "pxe_uptime_seconds",
            kind: MetricType::Gauge,
            help: "Seconds since the start.",
            rows: one(started.elapsed().as_secs()),
        },
    ]
}

#[derive(Debug)]
struct Families(Vec<Family>);

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in &self.0 {
            let Family {
                name, kind, help, ..
            } = family;
            let mut encoder = encoder.encode_descriptor(name, help, None, *kind)?;
            for (labels, value) in &family.rows {
                let row = encoder.encode_family(labels)?;
                match kind {
                    MetricType::Counter => ConstCounter::new(*value).encode(row)?,
                    _ => ConstGauge::new(*value).encode(row)?,
                }
            }
        }
        Ok(())
    }
}

/// In the order that is given.
fn text(families: Vec<Family>) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Families(families)));
    let mut text = String::new();
    // Writing to a String does not fail.
    let _ = prometheus_text::encode(&mut text, &registry);
    text
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use netboot::base::timestamp::Timestamp;

    use super::*;
    use crate::lan_scan::OtherServers;
    use crate::lan_scan::firewall::FirewallPort;

    #[test]
    fn every_line_is_a_comment_or_a_name_with_a_number() {
        let counters = Counters::default();
        counters.packets.ignored.add(3);
        let text = render(&ApplianceState::default(), &counters, &LanScan::default());
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
        let found = OtherServers {
            interface: "enp1s0".to_owned(),
            at: Timestamp::MIN,
            servers: Ok(Vec::new()),
        };
        let port = |what, answer| FirewallPort {
            interface: "enp1s0".to_owned(),
            what,
            port: "UDP 67".to_owned(),
            answer,
        };
        let ports = vec![
            port("DHCP", Admittance::Open),
            port("TFTP", Admittance::Closed("a rule".to_owned())),
        ];
        let scan = LanScan::of(found, ports);
        let text = render(&ApplianceState::default(), &Counters::default(), &scan);
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

    /// As it was before a crate wrote it: monitors must not see a difference.
    #[test]
    fn families_are_written_to_the_letter() {
        let counters = Counters::default();
        counters.tftp_bytes.add(u64::MAX);
        let text = render(&ApplianceState::default(), &counters, &LanScan::default());
        let (head, _) = text
            .split_once("pxe_machines{state=\"enrolled\"}")
            .expect("is there");
        expect![[r#"
            # HELP pxe_machines Machines on record, by state.
            # TYPE pxe_machines gauge
            pxe_machines{state="seen"} 0
        "#]]
        .assert_eq(head);
        let from = text.find("# HELP pxe_tftp_bytes").expect("is there");
        let to = text.find("# HELP pxe_http_bytes").expect("is there");
        expect![[r#"
            # HELP pxe_tftp_bytes_total Bytes of loaders sent over TFTP.
            # TYPE pxe_tftp_bytes_total counter
            pxe_tftp_bytes_total 18446744073709551615
        "#]]
        .assert_eq(&text[from..to]);
        assert!(
            text.ends_with("# TYPE pxe_uptime_seconds gauge\npxe_uptime_seconds 0\n"),
            "{text}"
        );
    }

    #[test]
    fn a_name_with_a_quote_stays_within_its_label() {
        let family = Family {
            name: "pxe_other_servers",
            kind: MetricType::Gauge,
            help: "Help.",
            rows: vec![(
                vec![
                    ("interface", "en\"p\\1\n".to_owned()),
                    ("does", "pxe".to_owned()),
                ],
                1,
            )],
        };
        expect![[r#"
            # HELP pxe_other_servers Help.
            # TYPE pxe_other_servers gauge
            pxe_other_servers{interface="en\"p\\1\n",does="pxe"} 1
        "#]]
        .assert_eq(&text(vec![family]));
    }
}
