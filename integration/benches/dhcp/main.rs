//! How many DORA exchanges a second, and how fast: the appliance, Kea and dnsmasq, one after the other on one LAN,
//! under the same load from perfdhcp. Ours with leases durable before the ACK, theirs as they come.
//!
//! `cargo bench -p integration --bench dhcp` after `integration/build`; `-- SERVER…` for some of them only.

mod load;
mod servers;

use std::fs;
use std::path::Path;

use integration::lab::lan;
use integration::lab::namespaces::enter_namespaces;
use integration::lab::peers;

use load::Run;
use servers::Kind;

/// Exchanges a second that are offered, rung by rung, until one is not served in full.
const LADDER: [u32; 15] = [
    50, 100, 200, 300, 400, 600, 1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 8_000, 10_000, 12_000,
];

/// Rungs after the first that was not clean: a hiccup of the machine is not the end of a server.
const PATIENCE: usize = 1;

fn main() -> anyhow::Result<()> {
    // `cargo bench` adds an option of its own.
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .collect();
    enter_namespaces()?;
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench/dhcp");
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    fs::create_dir_all(&dir)?;
    let dir = dir.canonicalize()?;
    lan::switch()?;
    let load = load::room(&dir)?;
    let mut clean = Vec::new();
    for kind in [Kind::Appliance, Kind::Kea, Kind::Dnsmasq] {
        if !wanted.is_empty() && !wanted.iter().any(|name| name == kind.name()) {
            continue;
        }
        if kind != Kind::Appliance && peers::find(kind.program()).is_none() {
            println!(
                "without {}: `{}` is not there (integration/benches/peers fetches it)",
                kind.name(),
                kind.program()
            );
            continue;
        }
        let _server = servers::start(kind, &dir)?;
        clean.push((kind, climb(kind, &load)?));
    }
    let Some((_, ours)) = clean.iter().find(|(kind, _)| *kind == Kind::Appliance) else {
        return Ok(());
    };
    for (kind, rate) in &clean {
        println!(
            "{:<10} clean up to {rate:>6.0}/s: the appliance has {:.1} ×",
            kind.name(),
            ours / rate
        );
    }
    Ok(())
}

/// The highest rate that was served in full.
fn climb(kind: Kind, load: &lan::LanNamespace) -> anyhow::Result<f64> {
    // The server before it had the same address, and another card.
    load.ip("neighbour flush dev eth0")?;
    let (mut best, mut unclean) = (0.0, 0);
    for offered in LADDER {
        let run = Run::measure(load, offered)?;
        println!("{:<10} {run}", kind.name());
        if run.is_clean() {
            best = run.rate;
            unclean = 0;
        } else {
            unclean += 1;
            if unclean > PATIENCE {
                break;
            }
        }
    }
    Ok(best)
}
