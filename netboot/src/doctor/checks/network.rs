//! The LAN, the ports, the host's firewall, and other servers beside the appliance.

use super::{Check, CheckResult};
use crate::base::timestamp::Timestamp;
use crate::dhcp::other_servers::{Concern, DhcpMode, OtherServer, concerns};
use crate::doctor::firewall::Admittance;

/// The interface that is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedInterface {
    pub name: String,
    /// `10.77.0.1/24`
    pub address: String,
    /// Whether the kernel knows the interface, and whether it still has that address.
    pub exists: bool,
    pub has_address: bool,
    /// Whether a cable is in; `None` where that is not known.
    pub carrier: Option<bool>,
}

pub fn lan(interfaces: &[ServedInterface]) -> Check {
    interfaces.iter().fold(Check::new("lan"), |check, lan| {
        let ServedInterface { name, address, .. } = lan;
        if !lan.exists {
            return check
                .judged(
                    CheckResult::Problem,
                    format!("the interface `{name}` is gone"),
                )
                .tip("ip -brief address");
        }
        if !lan.has_address {
            return check
                .judged(
                    CheckResult::Problem,
                    format!("`{name}` does not have {address} any more"),
                )
                .tip(format!("ip address add {address} dev {name}"))
                .tip("systemctl restart pxe-appliance");
        }
        match lan.carrier {
            Some(false) => check
                .judged(
                    CheckResult::Problem,
                    format!("`{name}` ({address}) has no link: its cable is out"),
                )
                .tip(format!("ip -s link show {name}")),
            _ => check.found(format!("`{name}` has {address}")),
        }
    })
}

/// A port, the service behind it, and whether the appliance listens there; `None` if that cannot be found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePort {
    /// `UDP 67`
    pub port: String,
    /// `DHCP`
    pub what: String,
    pub open: Option<bool>,
}

pub fn ports(doors: &[ServicePort], answers_dhcp: bool) -> Check {
    let mut check = Check::new("ports");
    let open: Vec<String> = doors
        .iter()
        .filter(|door| door.open != Some(false))
        .map(|door| format!("{} ({})", door.port, door.what))
        .collect();
    if !open.is_empty() {
        check = check.found(open.join(", "));
    }
    for door in doors.iter().filter(|door| door.open == Some(false)) {
        let what = format!("nothing listens on {} ({})", door.port, door.what);
        check = check
            .judged(CheckResult::Problem, what)
            .tip("systemctl restart pxe-appliance");
    }
    if answers_dhcp {
        check
    } else {
        check
            .judged(
                CheckResult::Warning,
                "`dhcp.mode` is \"off\": no machine is told to boot from here",
            )
            .tip("write into appliance.toml: [dhcp] mode = \"proxy\"")
    }
}

/// A port as the host's firewall treats it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirewalledPort {
    /// `UDP 67 (DHCP) on `enp1s0``
    pub port: String,
    pub answer: Admittance,
}

/// Empty: the firewall was not looked at yet.
pub fn firewall(doors: &[FirewalledPort]) -> Check {
    let check = Check::new("firewall");
    if doors.is_empty() {
        return check
            .judged(CheckResult::Unknown, "it was not looked at yet")
            .tip("ask again in a minute");
    }
    let open = doors
        .iter()
        .filter(|door| door.answer == Admittance::Open)
        .count();
    let mut check = match open {
        0 => check,
        n if n == doors.len() => check.found(format!("all {n} ports are open")),
        n => check.found(format!("{n} of {} ports are open", doors.len())),
    };
    let mut unclear: Vec<&str> = Vec::new();
    for FirewalledPort { port, answer } in doors {
        match answer {
            Admittance::Open => {}
            Admittance::Closed(by) => {
                check = check
                    .judged(CheckResult::Problem, format!("{port} is closed by {by}"))
                    .tip("nft list ruleset");
            }
            // One reason for all of them is said once.
            Admittance::Unclear(why) if unclear.contains(&why.as_str()) => {}
            Admittance::Unclear(why) => {
                unclear.push(why);
                check = check
                    .judged(CheckResult::Unknown, format!("{port}: {why}"))
                    .tip("nft list ruleset");
            }
        }
    }
    check
}

/// The last look for other DHCP and PXE servers on one LAN: those that answered, or why none could be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherServersReport {
    pub interface: String,
    pub at: Timestamp,
    pub found: Result<Vec<OtherServer>, String>,
}

/// `mode`: `None` where DHCP is off, and other servers are not looked for.
pub fn others(mode: Option<DhcpMode>, looks: &[OtherServersReport]) -> Check {
    let check = Check::new("others");
    let Some(mode) = mode else {
        return check.found("other servers are not looked for while `dhcp.mode` is \"off\"");
    };
    if looks.is_empty() {
        return check
            .judged(
                CheckResult::Unknown,
                "other DHCP and PXE servers were not looked for yet",
            )
            .tip("ask again in a minute");
    }
    looks.iter().fold(check, |check, look| {
        let OtherServersReport { interface, at, found } = look;
        let other_servers = match found {
            Ok(other_servers) => other_servers,
            Err(why) => {
                return check
                    .judged(CheckResult::Unknown, format!("`{interface}`: could not look: {why}"))
                    .tip("give the service CAP_NET_RAW");
            }
        };
        let names: Vec<String> = other_servers.iter().map(ToString::to_string).collect();
        let names = match names.len() {
            0 => "no other server".to_owned(),
            _ => names.join(", "),
        };
        let check = check.found(format!("`{interface}`: {names}, at {at}"));
        concerns(mode, other_servers).iter().fold(check, |check, concern| {
            let (verdict, tip) = match concern {
                Concern::NoAddresses => (
                    CheckResult::Problem,
                    "switch the router's DHCP on, or set `[dhcp] mode = \"server\"`",
                ),
                Concern::SecondPxe(_) => (
                    CheckResult::Warning,
                    "switch that one off, or take the boot options out of the router's DHCP settings",
                ),
                Concern::SecondDhcp(_) => (
                    CheckResult::Problem,
                    "switch that one off, or set `[dhcp] mode = \"proxy\"`",
                ),
            };
            check.judged(verdict, format!("`{interface}`: {concern}")).tip(tip)
        })
    })
}
