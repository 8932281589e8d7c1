//! What the API server of the stand-in remembers: node passwords, certificates, nodes and their last heartbeat.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::certs::{Authority, Issued};
use super::token::hex;

/// Kubernetes' `node-monitor-grace-period`: a node without a heartbeat for longer is Unknown.
pub const GRACE: Duration = Duration::from_secs(40);

/// The passwords that open the API. Never printed.
pub struct ClusterTokens {
    /// For servers, and good for agents too.
    pub server: String,
    /// For agents alone.
    pub agent: Option<String>,
    /// A service account's bearer token that may get, list and delete nodes.
    pub api: Option<String>,
}

/// What outlives a restart.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ClusterRecords {
    /// Node name → `<salt>:<sha256 of salt and password>`.
    pub passwords: BTreeMap<String, String>,
    /// SHA-256 of a kubelet's certificate → node name.
    pub certificates: BTreeMap<String, String>,
    pub nodes: BTreeMap<String, ClusterNode>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClusterNode {
    pub labels: BTreeMap<String, String>,
    /// `status.nodeInfo` as the kubelet posted it.
    pub info: Value,
    /// Seconds since the epoch.
    pub created: u64,
    pub heartbeat: u64,
    /// When Ready last changed between True and Unknown.
    pub transition: u64,
}

/// A name that was used with another password.
#[derive(Debug, PartialEq, Eq)]
pub struct PasswordRejected;

pub struct Cluster {
    pub tokens: ClusterTokens,
    pub authority: Authority,
    pub kept: ClusterRecords,
}

impl Cluster {
    /// The first password of a name is kept; every later one must be the same.
    pub fn check_password(&mut self, node: &str, password: &str) -> Result<(), PasswordRejected> {
        if let Some(kept) = self.kept.passwords.get(node) {
            let salt = kept.split(':').next().unwrap_or_default();
            return (*kept == salted(salt, password))
                .then_some(())
                .ok_or(PasswordRejected);
        }
        let salt = super::identity::random_hex();
        self.kept
            .passwords
            .insert(node.to_owned(), salted(&salt, password));
        Ok(())
    }

    pub fn issue(&mut self, node: &str) -> anyhow::Result<Issued> {
        let issued = self.authority.kubelet(node)?;
        self.kept
            .certificates
            .insert(fingerprint(&issued.der), node.to_owned());
        Ok(issued)
    }

    /// Whose client certificate this is.
    pub fn node_of(&self, certificate: &[u8]) -> Option<&str> {
        self.kept
            .certificates
            .get(&fingerprint(certificate))
            .map(String::as_str)
    }

    /// A kubelet says that it lives.
    pub fn heartbeat(&mut self, name: &str, body: &Value, now: u64) {
        let labels = body["metadata"]["labels"].as_object().into_iter().flatten();
        let labels = labels.map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned()));
        let before = self.kept.nodes.get(name);
        let known = before.map(|node| (node.created, node.transition, node.is_ready(now)));
        let node = ClusterNode {
            labels: labels.collect(),
            info: body["status"]["nodeInfo"].clone(),
            created: known.map_or(now, |(created, ..)| created),
            heartbeat: now,
            transition: known
                .filter(|k| k.2)
                .map_or(now, |(_, transition, _)| transition),
        };
        self.kept.nodes.insert(name.to_owned(), node);
    }

    /// Removes the Node object; with it goes its password, so that the name is free again. False: no such node.
    pub fn delete(&mut self, name: &str) -> bool {
        self.kept.passwords.remove(name);
        self.kept.certificates.retain(|_, node| node != name);
        self.kept.nodes.remove(name).is_some()
    }
}

impl ClusterNode {
    pub fn is_ready(&self, now: u64) -> bool {
        now.saturating_sub(self.heartbeat) <= GRACE.as_secs()
    }

    /// The Node object of the Kubernetes API, as far as it is read here.
    pub fn object(&self, name: &str, now: u64) -> Value {
        let ready = if self.is_ready(now) {
            json!({ "status": "True", "reason": "KubeletReady",
                    "message": "k3s stand-in: the agent stand-in sends heartbeats",
                    "lastTransitionTime": rfc3339(self.transition) })
        } else {
            json!({ "status": "Unknown", "reason": "NodeStatusUnknown",
                    "message": "Kubelet stopped posting node status.",
                    "lastTransitionTime": rfc3339(self.heartbeat + GRACE.as_secs()) })
        };
        let mut condition = ready;
        condition["type"] = json!("Ready");
        condition["lastHeartbeatTime"] = json!(rfc3339(self.heartbeat));
        json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": { "name": name, "labels": self.labels, "creationTimestamp": rfc3339(self.created) },
            "spec": {},
            "status": { "conditions": [condition], "nodeInfo": self.info },
        })
    }
}

fn salted(salt: &str, password: &str) -> String {
    format!(
        "{salt}:{}",
        hex(&Sha256::digest(format!("{salt}{password}")))
    )
}

fn fingerprint(certificate: &[u8]) -> String {
    hex(&Sha256::digest(certificate))
}

fn rfc3339(seconds: u64) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).unwrap_or(0))
        .unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_lasts_as_long_as_the_grace_period() {
        let node = ClusterNode {
            labels: BTreeMap::new(),
            info: json!({ "bootID": "b" }),
            created: 0,
            heartbeat: 1000,
            transition: 900,
        };
        for (now, want, since) in [
            (1000, "True", "1970-01-01T00:15:00Z"),
            (1040, "True", "1970-01-01T00:15:00Z"),
            (1041, "Unknown", "1970-01-01T00:17:20Z"),
        ] {
            let object = node.object("node1", now);
            let condition = &object["status"]["conditions"][0];
            assert_eq!(condition["status"], want, "at {now}");
            assert_eq!(condition["lastTransitionTime"], since, "at {now}");
        }
    }
}
