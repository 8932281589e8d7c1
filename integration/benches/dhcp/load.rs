//! perfdhcp (of Kea) as the load: it plays a relay with thousands of clients behind it.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::{Context as _, ensure};
use integration::lab::lan::{APPLIANCE, LanNamespace};

/// The relay's address, in the network that is leased from.
pub(crate) const RELAY: Ipv4Addr = Ipv4Addr::new(10, 80, 0, 1);

const SECONDS: u32 = 5;
const CLIENTS: u32 = 50_000;

/// One rung of the ladder.
pub(crate) struct Run {
    offered: u32,
    pub(crate) rate: f64,
    /// Percent of DISCOVERs and of REQUESTs that got no answer within a second.
    lost: Vec<f64>,
    /// Average milliseconds to the OFFER and to the ACK.
    delays: Vec<f64>,
}

pub(crate) fn room(dir: &Path) -> anyhow::Result<LanNamespace> {
    let room = LanNamespace::new("load", Ipv4Addr::new(10, 77, 0, 2), &dir.join("rooms"))?;
    room.ip(&format!("address add {RELAY}/16 dev eth0"))?;
    Ok(room)
}

impl Run {
    pub(crate) fn measure(room: &LanNamespace, offered: u32) -> anyhow::Result<Self> {
        let mut perfdhcp = room.command("perfdhcp");
        perfdhcp
            .args(["-4", "-l", &RELAY.to_string()])
            .args(["-r", &offered.to_string(), "-p", &SECONDS.to_string()])
            // Microseconds for the last answers.
            .args(["-R", &CLIENTS.to_string(), "-W", "1500000"])
            .arg(APPLIANCE.to_string());
        let said = perfdhcp
            .output()
            .context("cannot run `perfdhcp` (package kea-admin)")?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let numbers = |start: &str| -> Vec<f64> {
            let found = said.lines().filter_map(|line| line.strip_prefix(start));
            let words = found.filter_map(|rest| rest.split_whitespace().next());
            words.filter_map(|word| word.parse().ok()).collect()
        };
        // Its own rate counts the wait at the end in.
        let received = numbers("received packets: ");
        ensure!(received.len() == 2, "perfdhcp counted no packets:\n{said}");
        Ok(Self {
            offered,
            rate: received[1] / f64::from(SECONDS),
            lost: numbers("drops ratio: "),
            delays: numbers("avg delay: "),
        })
    }

    /// At most one exchange in a hundred lost, and the rate reached.
    pub(crate) fn is_clean(&self) -> bool {
        self.lost.len() == 2
            && self.lost.iter().all(|percent| *percent <= 1.0)
            && self.rate >= 0.95 * f64::from(self.offered)
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [lost, delays] = [&self.lost, &self.delays].map(|both| {
            let both: Vec<String> = both.iter().map(|n| format!("{n:.2}")).collect();
            both.join(" / ")
        });
        write!(
            f,
            "offered {:>6}/s  served {:>8.0}/s  lost {lost:>14} %  OFFER / ACK after {delays:>16} ms{}",
            self.offered,
            self.rate,
            if self.is_clean() { "" } else { "  not clean" }
        )
    }
}
