//! The appliance itself and what it stands on: clock, disk, store; and the cluster that it reaches.

use std::time::Duration;

use super::{Check, CheckResult};
use crate::base::timestamp::Timestamp;

/// The wall clock, and what may be compared with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WallClock {
    pub now: Timestamp,
    /// Whether it is set by NTP; `None` where that cannot be found out.
    pub synchronised: Option<bool>,
    /// When the last thing happened that is on record.
    pub last_event: Option<Timestamp>,
}

/// 2025-01-01: no clock that is right is before it.
pub(super) const BUILT: Timestamp = Timestamp::from_millis(1_735_689_600_000);

pub fn clock(clock: WallClock) -> Check {
    let check = Check::new("clock");
    let WallClock {
        now,
        synchronised,
        last_event,
    } = clock;
    let set = "timedatectl set-ntp true";
    if now < BUILT {
        return check
            .judged(
                CheckResult::Problem,
                format!("it is said to be {now}; certificates do not hold then"),
            )
            .tip(set);
    }
    // A second may be stepped back by NTP.
    if let Some(last) = last_event.filter(|last| last.since(now) > Duration::from_secs(5)) {
        return check
            .judged(
                CheckResult::Problem,
                format!("it is {now}, and the journal has an event of {last}: the clock went back"),
            )
            .tip(set);
    }
    match synchronised {
        Some(true) => check.found(format!("{now}, synchronised")),
        Some(false) => check
            .judged(CheckResult::Warning, format!("{now}, and not synchronised"))
            .tip(set),
        None => check
            .judged(
                CheckResult::Unknown,
                format!("{now}; it is not known whether it is synchronised"),
            )
            .tip("timedatectl show -p NTPSynchronized"),
    }
}

/// Bytes of the file system that holds `state-dir`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateSpace {
    pub folder: String,
    pub free: Result<u64, String>,
    /// Bytes of the largest release.
    pub largest: u64,
}

/// Free bytes below which a warning is given: the store becomes read-only when the disk is full.
const NEARLY_FULL: u64 = 256 << 20;

pub fn space(space: &StateSpace) -> Check {
    let check = Check::new("disk");
    let folder = &space.folder;
    let tip = format!("df -h {folder}");
    match space.free {
        Err(ref why) => check
            .judged(CheckResult::Unknown, format!("`{folder}`: {why}"))
            .tip(tip),
        Ok(free) => {
            let text = format!("{} MiB are free in `{folder}`", free >> 20);
            if free < NEARLY_FULL {
                check
                    .judged(
                        CheckResult::Problem,
                        format!("{text}: the store will soon be read-only"),
                    )
                    .tip(tip)
            } else if free < space.largest {
                check
                    .judged(
                        CheckResult::Warning,
                        format!("{text}: not enough for another release"),
                    )
                    .tip(tip)
            } else {
                check.found(text)
            }
        }
    }
}

/// `trouble`: why the store takes no writes.
pub fn store(trouble: Option<&str>, events: u64) -> Check {
    let check = Check::new("store");
    match trouble {
        None => check.found(format!("{events} events on record")),
        Some(trouble) => check
            .judged(CheckResult::Problem, format!("takes no writes: {trouble}"))
            .tip("journalctl -u pxe-appliance -n 50"),
    }
}

/// The Kubernetes API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KubernetesApi {
    /// No server is configured: no machine joins, and machines of these profiles, which have a role, are refused their
    /// plan.
    None { missing: Vec<String> },
    /// It answers at this URL; whether a token is there that may ask for nodes.
    Answers { url: String, token: bool },
    /// It does not answer, and why.
    Silent { url: String, why: String },
}

/// Agents are given the token of servers.
pub const ONE_TOKEN: &str = "`k3s.token-file` is set and `k3s.agent-token-file` is not: agents get the token that makes \
     servers, and whoever reads it on one of them has the cluster";

/// What to do about [`ONE_TOKEN`].
pub const TWO_TOKENS: &str = "write `agent-token-file: FILE` into /etc/rancher/k3s/config.yaml of the cluster's \
     servers, restart k3s there, and name a copy of that file as `k3s.agent-token-file` in appliance.toml";

/// `one_token`: whether the configuration has one token for servers and agents, as [`ONE_TOKEN`] says.
pub fn cluster(cluster: &KubernetesApi, one_token: bool) -> Check {
    let check = match one_token {
        true => Check::new("k3s")
            .judged(CheckResult::Warning, ONE_TOKEN)
            .tip(TWO_TOKENS),
        false => Check::new("k3s"),
    };
    match cluster {
        KubernetesApi::None { missing } if missing.is_empty() => {
            check.found("`k3s.server` is not set: machines join no cluster")
        }
        KubernetesApi::None { missing } => check
            .judged(
                CheckResult::Warning,
                format!(
                    "`k3s.server` is not set, so machines with {} are not installed: they would join a cluster",
                    missing.join(", ")
                ),
            )
            .tip("in appliance.toml: [k3s] server = \"https://ADDRESS:6443\""),
        KubernetesApi::Answers { url, token: true } => check.found(format!("{url} answers")),
        KubernetesApi::Answers { url, token: false } => check
            .judged(
                CheckResult::Warning,
                format!(
                    "{url} answers, but without `k3s.api-token-file` no node is seen to join"
                ),
            )
            .tip("kubectl create token SERVICE-ACCOUNT > FILE"),
        KubernetesApi::Silent { url, why } => check
            .judged(CheckResult::Warning, format!("{url} does not answer: {why}"))
            .tip(format!("curl -vk {url}/cacerts")),
    }
}
