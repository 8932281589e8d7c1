//! The API's answer → is this node Ready?

use netboot::name::HostName;
use serde::Deserialize;

#[derive(Deserialize)]
struct Node {
    kind: String,
    metadata: Metadata,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

#[derive(Default, Deserialize)]
struct Status {
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    /// `True`, `False` or `Unknown`; the last when its kubelet has been silent for a while.
    status: String,
}

/// Why an answer says nothing about the node.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotANode {
    #[error("it is not the JSON of a node")]
    Json(#[source] serde_json::Error),
    #[error("it is a `{0}`")]
    Kind(String),
    #[error("it is the node `{0}`")]
    Name(String),
}

/// Whether the node of this name has the condition Ready.
pub(super) fn is_ready(json: &[u8], name: &HostName) -> Result<bool, NotANode> {
    let node: Node = serde_json::from_slice(json).map_err(NotANode::Json)?;
    if node.kind != "Node" {
        return Err(NotANode::Kind(node.kind));
    }
    if node.metadata.name != name.as_str() {
        return Err(NotANode::Name(node.metadata.name));
    }
    let ready = |condition: &Condition| condition.kind == "Ready" && condition.status == "True";
    Ok(node.status.conditions.iter().any(ready))
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
                is_ready(json.as_bytes(), &name).expect(what),
                want,
                "{what}"
            );
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
            assert!(is_ready(json.as_bytes(), &name).is_err(), "{what}");
        }
    }
}
