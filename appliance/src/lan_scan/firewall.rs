//! Asks the host's firewall whether machines get in. It only reads the rules: what to open is the operator's business.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use netboot::doctor::firewall::{Admittance, ProbePacket, Protocol, Ruleset, iptables, nft};
use tokio::process::Command;

use crate::config::{Config, Dhcp};
use crate::net::Segment;

/// How long `nft` and `iptables` have: both wait for a lock that another program may hold.
const LIMIT: Duration = Duration::from_secs(5);

/// A port that machines must reach, and whether the firewall lets them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirewallPort {
    pub interface: String,
    /// What listens there: `DHCP`, `http.port`.
    pub what: &'static str,
    /// `UDP 67`
    pub port: String,
    pub answer: Admittance,
}

/// Every port of every LAN, in the order of a boot.
pub async fn check(config: &Config, segments: &[Arc<Segment>]) -> Vec<FirewallPort> {
    let rules = rules().await;
    let knocks = segments.iter().flat_map(|segment| knocks(config, segment));
    let ports = knocks.map(|(what, port, packet)| FirewallPort {
        answer: match &rules {
            Ok(rules) => rules.admits(&packet),
            Err(why) => Admittance::Unclear(why.clone()),
        },
        interface: packet.interface,
        what,
        port,
    });
    ports.collect()
}

fn knocks(config: &Config, segment: &Segment) -> Vec<(&'static str, String, ProbePacket)> {
    // Any of the ports that the kernel gives to sockets that ask for none (ip_local_port_range, ip(7)).
    const EPHEMERAL: u16 = 40_000;

    let (lan, address, ports) = (&segment.lan, &segment.address, &config.ports);
    let packet = |protocol, port| ProbePacket {
        protocol,
        port,
        from_port: None,
        interface: lan.interface.clone(),
        address: lan.address,
        prefix: u8::try_from(lan.netmask.to_bits().count_ones()).unwrap_or(32),
        broadcast: false,
        established: false,
    };
    let dhcp = ProbePacket {
        from_port: Some(68),
        broadcast: true,
        ..packet(Protocol::Udp, ports.dhcp)
    };
    // The acknowledgements of a transfer go to a port that the appliance sent from first.
    let transfer = ProbePacket {
        established: true,
        ..packet(Protocol::Udp, EPHEMERAL)
    };
    let udp = |port: u16| format!("UDP {port}");
    let tcp = |what, port: u16| (what, format!("TCP {port}"), packet(Protocol::Tcp, port));
    let mut knocks = match config.dhcp {
        Dhcp::Off => Vec::new(),
        Dhcp::Proxy | Dhcp::Server { .. } => vec![
            ("DHCP", udp(ports.dhcp), dhcp),
            ("PXE", udp(ports.binl), packet(Protocol::Udp, ports.binl)),
        ],
    };
    knocks.extend([
        ("TFTP", udp(ports.tftp), packet(Protocol::Udp, ports.tftp)),
        ("TFTP transfers", "UDP, established".to_owned(), transfer),
        tcp("http.port", address.http_port),
        tcp("http.node-port", address.node_port),
    ]);
    if let Some(listen) = &config.admin_listen {
        let here = *listen.address.ip() == lan.address || listen.address.ip().is_unspecified();
        knocks.extend(here.then(|| tcp("admin.listen", listen.address.port())));
    }
    knocks
}

/// The rules that are in force, or why they cannot be seen.
async fn rules() -> Result<Ruleset, String> {
    let ruleset = run("nft", &["-j", "list", "ruleset"]).await;
    // `iptables -S` may load modules and make tables, so it is asked only where there is something to see.
    let shown = match &ruleset {
        Ok(Some(text)) => nft::has_table(text, IPTABLES) || legacy(),
        Ok(None) | Err(_) => true,
    };
    let listed = match shown {
        true => run("iptables", &["-S"]).await,
        false => Ok(None),
    };
    let read = |text: &str, without: &[&str]| {
        nft::read(text, without).map_err(|error| format!("cannot read what `nft` prints: {error}"))
    };
    match (ruleset, listed) {
        (Ok(Some(all)), Ok(Some(filter))) => {
            Ok(read(&all, &[IPTABLES])?.and(iptables::read(&filter)))
        }
        (Ok(Some(all)), _) => read(&all, &[]),
        (Ok(None), Ok(Some(filter))) => Ok(iptables::read(&filter)),
        (Ok(None), Ok(None)) => Err("neither `nft` nor `iptables` is installed here".to_owned()),
        (Err(why), _) | (Ok(None), Err(why)) => Err(why),
    }
}

/// The table that iptables keeps within nftables, and shows better than `nft` does.
const IPTABLES: &str = "ip filter";

/// Whether the older iptables of the kernel is in use, whose rules `nft` does not show.
fn legacy() -> bool {
    let tables = std::fs::read_to_string("/proc/net/ip_tables_names").unwrap_or_default();
    tables.lines().any(|table| table == "filter")
}

/// What a program prints; `None` if it is not installed.
async fn run(program: &str, args: &[&str]) -> Result<Option<String>, String> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    let output = match tokio::time::timeout(LIMIT, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Ok(Err(error)) => return Err(format!("cannot run `{program}`: {error}")),
        Err(_) => {
            return Err(format!(
                "`{program}` took longer than {} s",
                LIMIT.as_secs()
            ));
        }
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(Some(text(&output.stdout)));
    }
    let said = text(&output.stderr);
    let said = said.lines().next().unwrap_or("nothing").trim();
    Err(format!("`{program}` may not list the rules: {said}"))
}
