//! Looks at the LANs at start and then every ten minutes, and says what is new.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use netboot::dhcp::other_servers::{Concern, Mode, concerns};
use netboot::doctor::firewall::Answer;
use tokio_util::sync::CancellationToken;

use super::firewall::{self, Door};
use super::{Findings, Look, probe};
use crate::config::settings::Settings;

/// Often enough to name a router that somebody brought home, seldom enough to disturb nobody.
const EVERY: Duration = Duration::from_secs(600);

/// Looks until `stop`.
pub async fn watch(settings: Settings, findings: Arc<Findings>, stop: CancellationToken) {
    // Server mode has looked for others before it began; that look is only to be told.
    let looked = findings.looks();
    for look in &looked {
        report(settings.config().mode(), look);
    }
    let mut due = looked.is_empty();
    loop {
        let round = async {
            knock(&settings, &findings).await;
            if due {
                look(&settings, &findings).await;
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

/// At the doors of the host's firewall.
async fn knock(settings: &Settings, findings: &Findings) {
    let doors = firewall::look(settings.config(), settings.segments()).await;
    let before = findings.knocked(doors.clone());
    if doors != before {
        report_doors(&doors);
    }
}

/// For other servers. Where the appliance answers no DHCP, somebody else is meant to.
async fn look(settings: &Settings, findings: &Findings) {
    let Some(mode) = settings.config().mode() else {
        return;
    };
    let own: Vec<Ipv4Addr> = settings.segments().iter().map(|s| s.lan.address).collect();
    let looks = settings
        .segments()
        .iter()
        .map(|s| probe::look(&s.lan, &own));
    for look in futures_util::future::join_all(looks).await {
        let before = findings.looked(look.clone());
        if before.is_none_or(|before| before.rivals != look.rivals) {
            report(Some(mode), &look);
        }
    }
}

fn report(mode: Option<Mode>, look: &Look) {
    let interface = &look.interface;
    let rivals = match &look.rivals {
        Ok(rivals) => rivals,
        Err(reason) => {
            tracing::warn!(interface, reason, "could not look for other servers");
            return;
        }
    };
    let found: Vec<String> = rivals.iter().map(ToString::to_string).collect();
    let found = match found.as_slice() {
        [] => "nobody".to_owned(),
        some => some.join(", "),
    };
    tracing::info!(interface, found, "looked for other DHCP and PXE servers");
    for concern in mode.iter().flat_map(|mode| concerns(*mode, rivals)) {
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

fn report_doors(doors: &[Door]) {
    let mut reasons: Vec<&str> = Vec::new();
    for door in doors {
        let (interface, what, port) = (&door.interface, door.what, &door.port);
        match &door.answer {
            Answer::Open => {}
            Answer::Closed(by) => {
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
            Answer::Unclear(why) if reasons.contains(&why.as_str()) => {}
            Answer::Unclear(why) => {
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
    if doors.iter().all(|door| door.answer == Answer::Open) {
        tracing::info!("the firewall is open for everything that machines call");
    }
}
