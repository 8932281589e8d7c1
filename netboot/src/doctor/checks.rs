//! What was found on the appliance itself → what is in order, what is not, and what to do about it.

use std::fmt;

use serde::{Deserialize, Serialize};

mod branch;
mod files;
mod host;
mod network;

pub use branch::{FollowedBranch, branch};
pub use files::{BootImageFiles, Cached, FileFacts, LoaderFile, cache, hosts, images, loaders};
pub use host::{
    KubernetesApi, ONE_TOKEN, StateSpace, TWO_TOKENS, WallClock, clock, cluster, space, store,
};
pub use network::{
    FirewalledPort, OtherServersReport, ServedInterface, ServicePort, firewall, lan, others, ports,
};

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    pub name: String,
    pub verdict: CheckResult,
    /// What was found, one line each.
    pub what: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tips: Vec<String>,
}

/// From good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckResult {
    Ok,
    /// It could not be found out.
    Unknown,
    /// It works, but only for some machines or for a short time.
    Warning,
    /// Machines cannot be installed like this.
    Problem,
}

impl fmt::Display for CheckResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Problem => "problem",
        })
    }
}

impl Check {
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            verdict: CheckResult::Ok,
            what: Vec::new(),
            tips: Vec::new(),
        }
    }

    #[must_use]
    pub fn found(self, what: impl Into<String>) -> Self {
        self.judged(CheckResult::Ok, what)
    }

    /// Adds a finding; the worst of them is the verdict.
    #[must_use]
    pub fn judged(mut self, verdict: CheckResult, what: impl Into<String>) -> Self {
        self.verdict = self.verdict.max(verdict);
        self.what.push(what.into());
        self
    }

    #[must_use]
    pub fn tip(mut self, tip: impl Into<String>) -> Self {
        let tip = tip.into();
        if !self.tips.contains(&tip) {
            self.tips.push(tip);
        }
        self
    }
}

#[cfg(test)]
mod tests;
