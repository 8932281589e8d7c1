//! Scans the LANs at start and then every ten minutes, and says what is new.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use netboot::dhcp::other_servers::{Concern, DhcpMode, concerns};
use netboot::doctor::firewall::Admittance;
use tokio_util::sync::CancellationToken;

use super::firewall::{self, FirewallPort};
use super::{LanScan, OtherServers, probe};
use crate::config::settings::Settings;

/// The time between two scans: short enough to notice a new router, long enough not to disturb the LAN.
const EVERY: Duration = Duration::from_secs(600);

/// Scans until `stop`.
pub async fn watch(settings: Settings, scan: Arc<LanScan>, stop: CancellationToken) {
    // Server mode has scanned for other servers before it began: those results are only reported.
    let scanned = scan.other_servers();
    for found in &scanned {
        report(settings.config().mode(), found);
    }
    let mut due = scanned.is_empty();
    loop {
        let round = async {
            check_firewall(&settings, &scan).await;
            if due {
                ask_for_servers(&settings, &scan).await;
            }
        };
        tokio::select! {
            () = round => due = true,
            () = stop.cancelled() => return,
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Checks which ports the host's firewall lets machines reach.
async fn check_firewall(settings: &Settings, scan: &LanScan) {
    let ports = firewall::check(settings.config(), settings.segments()).await;
    let before = scan.keep_firewall_ports(ports.clone());
    if ports != before {
        report_firewall(&ports);
    }
}

/// Asks every LAN for other servers. Where the appliance answers no DHCP, another server is meant to.
async fn ask_for_servers(settings: &Settings, scan: &LanScan) {
    let Some(mode) = settings.config().mode() else {
        return;
    };
    let own: Vec<Ipv4Addr> = settings.segments().iter().map(|s| s.lan.address).collect();
    let scans = settings.segments().iter().map(|s| probe::ask(&s.lan, &own));
    for found in futures_util::future::join_all(scans).await {
        let before = scan.keep_other_servers(found.clone());
        if before.is_none_or(|before| before.servers != found.servers) {
            report(Some(mode), &found);
        }
    }
}

fn report(mode: Option<DhcpMode>, result: &OtherServers) {
    let interface = &result.interface;
    let servers = match &result.servers {
        Ok(servers) => servers,
        Err(reason) => {
            tracing::warn!(interface, reason, "could not look for other servers");
            return;
        }
    };
    let found: Vec<String> = servers.iter().map(ToString::to_string).collect();
    let found = match found.as_slice() {
        [] => "nobody".to_owned(),
        some => some.join(", "),
    };
    tracing::info!(interface, found, "looked for other DHCP and PXE servers");
    for concern in mode.iter().flat_map(|mode| concerns(*mode, servers)) {
        tracing::warn!(interface, tip = tip(&concern), "{concern}");
    }
}

fn tip(concern: &Concern) -> &'static str {
    match concern {
        Concern::NoAddresses => "turn on DHCP in the router, or set [dhcp] mode = \"server\"",
        Concern::SecondPxe(_) => "turn that one off, or take its boot options out of the router",
        Concern::SecondDhcp(_) => "turn that one off, or set [dhcp] mode = \"proxy\"",
    }
}

fn report_firewall(ports: &[FirewallPort]) {
    let mut reasons: Vec<&str> = Vec::new();
    for port_of in ports {
        let (interface, what, port) = (&port_of.interface, port_of.what, &port_of.port);
        match &port_of.answer {
            Admittance::Open => {}
            Admittance::Closed(by) => {
                let tip = "let it in on this interface";
                tracing::warn!(
                    interface,
                    door = what,
                    port,
                    by,
                    tip,
                    "the firewall is closed"
                );
            }
            Admittance::Unclear(why) if reasons.contains(&why.as_str()) => {}
            Admittance::Unclear(why) => {
                reasons.push(why);
                tracing::info!(
                    interface,
                    door = what,
                    port,
                    why,
                    "cannot tell whether the firewall is open"
                );
            }
        }
    }
    if ports
        .iter()
        .all(|port_of| port_of.answer == Admittance::Open)
    {
        tracing::info!("the firewall is open for everything that machines call");
    }
}
