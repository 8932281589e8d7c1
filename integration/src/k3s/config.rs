//! `/etc/rancher/k3s/config.yaml` → keys and values: the part of YAML that k3s's configuration is written in.

use std::collections::BTreeMap;

use anyhow::bail;

/// `key: value` and `key:` followed by `- value` lines. A key that is given twice keeps all its values.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct K3sServerConfig(BTreeMap<String, Vec<String>>);

impl K3sServerConfig {
    /// # Errors
    /// A line that is neither, with its number.
    pub fn read(text: &str) -> anyhow::Result<Self> {
        let mut all = BTreeMap::<String, Vec<String>>::new();
        let mut list = None;
        for (number, line) in text.lines().enumerate() {
            let bare = line.trim();
            if bare.is_empty() || bare.starts_with('#') || bare == "---" {
                continue;
            }
            if let Some(item) = bare.strip_prefix("- ") {
                let Some(key) = &list else {
                    bail!("line {}: a list item without a key", number + 1);
                };
                all.entry(String::clone(key))
                    .or_default()
                    .push(scalar(item));
                continue;
            }
            let Some((key, value)) = bare.split_once(':') else {
                bail!("line {}: neither `key: value` nor `- value`", number + 1);
            };
            let key = scalar(key);
            let values = all.entry(key.clone()).or_default();
            list = value.trim().is_empty().then_some(key);
            if list.is_none() {
                values.push(scalar(value));
            }
        }
        Ok(Self(all))
    }

    /// The last value of a key, as k3s takes it.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.all(key).last().map(String::as_str)
    }

    pub fn all(&self, key: &str) -> &[String] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }
}

/// A plain or quoted scalar. JSON strings are double-quoted scalars.
fn scalar(text: &str) -> String {
    let text = text.trim();
    if text.starts_with('"') {
        return serde_json::from_str(text).unwrap_or_else(|_| text.to_owned());
    }
    match text.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')) {
        Some(quoted) => quoted.replace("''", "'"),
        None => text
            .split(" #")
            .next()
            .unwrap_or(text)
            .trim_end()
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_agent_writes_is_read() {
        let text = "# made at install\nserver: https://10.77.0.10:6443\ntoken-file: \"/etc/rancher/k3s/token\"\n\
                    node-name: 'node1' \nnode-label:\n  - tier=worker\n- \"disk=ssd\"\nlisten: 1 # one\n";
        let config = K3sServerConfig::read(text).unwrap();
        let cases = [
            (
                "a URL keeps its colons",
                "server",
                Some("https://10.77.0.10:6443"),
            ),
            (
                "double quotes",
                "token-file",
                Some("/etc/rancher/k3s/token"),
            ),
            ("single quotes", "node-name", Some("node1")),
            ("a comment", "listen", Some("1")),
            ("absent", "agent-token", None),
        ];
        for (name, key, want) in cases {
            assert_eq!(config.get(key), want, "{name}");
        }
        assert_eq!(config.all("node-label"), ["tier=worker", "disk=ssd"]);
    }

    #[test]
    fn other_lines_are_refused_by_number() {
        let said = |text| K3sServerConfig::read(text).unwrap_err().to_string();
        assert_eq!(
            said("server: x\n- y\n"),
            "line 2: a list item without a key"
        );
        assert_eq!(
            said("\nserver\n"),
            "line 2: neither `key: value` nor `- value`"
        );
    }
}
