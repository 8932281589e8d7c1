//! The API's answer → is this node Ready?

use netboot::base::name::HostName;
use serde::Deserialize;

#[derive(Deserialize)]
struct NodeObject {
    kind: String,
    metadata: ObjectMetadata,
    #[serde(default)]
    status: NodeStatus,
}

#[derive(Deserialize)]
struct ObjectMetadata {
    name: String,
}

#[derive(Default, Deserialize)]
struct NodeStatus {
    #[serde(default)]
    conditions: Vec<NodeCondition>,
    #[serde(default, rename = "nodeInfo")]
    node_info: NodeInfo,
}

#[derive(Default, Deserialize)]
struct NodeInfo {
    /// The boot its kubelet runs in, as `/proc/sys/kernel/random/boot_id` says it.
    #[serde(default, rename = "bootID")]
    boot_id: String,
}

#[derive(Deserialize)]
struct NodeCondition {
    #[serde(rename = "type")]
    kind: String,
    /// `True`, `False` or `Unknown`; the last when its kubelet has been silent for a while.
    status: String,
}

/// Why an answer does not tell the node's state.
#[derive(Debug, thiserror::Error)]
pub(super) enum NodeParseError {
    #[error("it is not the JSON of a node")]
    Json(#[source] serde_json::Error),
    #[error("it is a `{0}`")]
    Kind(String),
    #[error("it is the node `{0}`")]
    Name(String),
}

/// The boot in which the node of this name has the condition Ready; `None` if it does not have it.
pub(super) fn ready_boot(json: &[u8], name: &HostName) -> Result<Option<String>, NodeParseError> {
    let node: NodeObject = serde_json::from_slice(json).map_err(NodeParseError::Json)?;
    if node.kind != "Node" {
        return Err(NodeParseError::Kind(node.kind));
    }
    if node.metadata.name != name.as_str() {
        return Err(NodeParseError::Name(node.metadata.name));
    }
    let ready = |condition: &NodeCondition| condition.kind == "Ready" && condition.status == "True";
    let is_ready = node.status.conditions.iter().any(ready);
    Ok(is_ready.then_some(node.status.node_info.boot_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(status: &str) -> String {
        format!(r#"{{"kind":"Node","metadata":{{"name":"node1"}}{status}}}"#)
    }

    #[test]
    fn only_the_condition_ready_counts() {
        let name = "node1".parse().expect("a name");
        let conditions = |list: &str| node(&format!(r#","status":{{"conditions":[{list}]}}"#));
        let condition = |kind: &str, status: &str| {
            format!(r#"{{"type":"{kind}","status":"{status}","lastHeartbeatTime":null}}"#)
        };
        let ready = |status| conditions(&condition("Ready", status));
        for (what, json, want) in [
            ("ready", ready("True"), true),
            ("not ready", ready("False"), false),
            ("not heard of for a while", ready("Unknown"), false),
            ("another spelling", ready("true"), false),
            (
                "another condition",
                conditions(&condition("DiskPressure", "True")),
                false,
            ),
            (
                "among others",
                conditions(
                    &[
                        condition("PIDPressure", "False"),
                        condition("Ready", "True"),
                    ]
                    .join(","),
                ),
                true,
            ),
            ("no conditions yet", conditions(""), false),
            ("no status yet", node(""), false),
        ] {
            assert_eq!(
                ready_boot(json.as_bytes(), &name).expect(what).is_some(),
                want,
                "{what}"
            );
        }
        for (what, info, want) in [
            ("its boot", r#""nodeInfo":{"bootID":"b1"},"#, "b1"),
            ("no boot", "", ""),
        ] {
            let list = condition("Ready", "True");
            let json = node(&format!(r#","status":{{{info}"conditions":[{list}]}}"#));
            let boot = ready_boot(json.as_bytes(), &name).expect(what);
            assert_eq!(boot.as_deref(), Some(want), "{what}");
        }
        let deep = "[".repeat(100_000);
        for (what, json) in [
            ("nothing", ""),
            (
                "another kind",
                r#"{"kind":"Status","metadata":{"name":"node1"}}"#,
            ),
            (
                "another node",
                r#"{"kind":"Node","metadata":{"name":"node2"}}"#,
            ),
            (
                "conditions of another type",
                &node(r#","status":{"conditions":3}"#),
            ),
            ("brackets without end", &deep),
        ] {
            assert!(ready_boot(json.as_bytes(), &name).is_err(), "{what}");
        }
    }
}
