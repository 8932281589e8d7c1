//! What goes from a profile into its system as it is written: labels of the node and parameters of the kernel, held to what
//! takes them there.

use crate::base::toml_reader::{Placed, Reader};

/// They become arguments of k3s, and its kubelet does not start with one that is wrong.
pub(super) fn labels(reader: &mut Reader<'_>, labels: &[(Placed<&str>, Placed<&str>)]) {
    for (key, value) in labels {
        let (name, text) = (key.value, value.value);
        if let Err(why) = is_key(name) {
            let tip = "write it like tier, or example.org/tier";
            reader.problem_with_tip(&key.at, format!("the label `{name}` {why}"), tip);
        } else if is_of_the_cluster(name) {
            let message = format!(
                "a node may not give itself the label `{name}`: the kubelet would not start"
            );
            let tip = format!(
                "take another name, or give it once the node has joined: kubectl label node NAME '{name}={text}'"
            );
            reader.problem_with_tip(&key.at, message, tip);
        }
        // A label may have no value.
        if !text.is_empty()
            && let Err(why) = is_word(text)
        {
            reader.problem(&value.at, format!("the label's value `{text}` {why}"));
        }
    }
}

/// `[prefix/]name`, as Kubernetes has it ("Labels and Selectors", syntax and character set).
fn is_key(key: &str) -> Result<(), String> {
    let Some((prefix, name)) = key.split_once('/') else {
        return is_word(key);
    };
    let of_dns = |part: &str| {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !part.is_empty()
            && part.chars().all(allowed)
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    if prefix.len() > 253 || !prefix.split('.').all(of_dns) {
        return Err(format!("has the prefix `{prefix}`, which is no DNS name"));
    }
    is_word(name)
}

/// A name, or a value.
fn is_word(word: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric();
    match word.chars().find(|c| !plain(*c) && !"-_.".contains(*c)) {
        _ if word.is_empty() => Err("has no name".to_owned()),
        Some(odd) => Err(format!(
            "has the character {odd:?}; allowed are letters, digits, -, _ and ."
        )),
        None if word.len() > 63 => Err(format!(
            "has {} characters, at most 63 are allowed",
            word.len()
        )),
        None if !word.starts_with(plain) || !word.ends_with(plain) => {
            Err("must begin and end with a letter or a digit".to_owned())
        }
        None => Ok(()),
    }
}

/// The labels with Kubernetes' own prefixes that a kubelet may give its own node (`--node-labels`).
const OF_A_NODE: [&str; 11] = [
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/instance-type",
    "beta.kubernetes.io/os",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "kubernetes.io/arch",
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];

/// Kubernetes' own names, most of which only the cluster gives.
fn is_of_the_cluster(key: &str) -> bool {
    let Some((prefix, _)) = key.split_once('/') else {
        return false;
    };
    let below = |domain: &str| {
        prefix
            .strip_suffix(domain)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    let own = ["kubernetes.io", "k8s.io"].into_iter().any(below);
    let free = ["kubelet.kubernetes.io", "node.kubernetes.io"];
    own && !free.into_iter().any(below) && !OF_A_NODE.contains(&key)
}

/// Each is one word of the command line. NixOS takes blanks in quotes, and the quotes must be closed.
pub(super) fn kernel_params(reader: &mut Reader<'_>, params: &[Placed<&str>]) {
    for Placed { value: text, at } in params {
        let (mut quoted, mut torn) = (false, false);
        for c in text.chars() {
            quoted ^= c == '"';
            torn |= c.is_whitespace() && !quoted;
        }
        if text.is_empty() {
            reader.problem(at, "is empty; a kernel parameter is one word");
        } else if quoted {
            reader.problem(at, format!("`{text}` has a quote that is not closed"));
        } else if torn {
            let parts = text.split_whitespace().map(|part| format!("\"{part}\""));
            let parts: Vec<String> = parts.collect();
            reader.problem_with_tip(
                at,
                format!("`{text}` is more than one kernel parameter"),
                format!("write each by itself: {}", parts.join(", ")),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_s_key_is_what_kubernetes_takes() {
        let long = "a".repeat(64);
        for (key, good) in [
            ("tier", true),
            ("Tier_1.x-y", true),
            ("example.org/tier", true),
            ("9", true),
            (&long[..63], true),
            (&long[..], false),
            ("", false),
            ("/tier", false),
            ("example.org/", false),
            ("Example.org/tier", false),
            ("example..org/tier", false),
            ("-example/tier", false),
            ("a/b/c", false),
            ("-tier", false),
            ("tier.", false),
            ("bad key !", false),
            ("tiër", false),
        ] {
            assert_eq!(is_key(key).is_ok(), good, "{key}");
        }
    }

    #[test]
    fn names_of_the_cluster_are_not_a_node_s_to_give() {
        for (key, of_the_cluster) in [
            ("node-role.kubernetes.io/worker", true),
            ("node-restriction.kubernetes.io/x", true),
            ("kubernetes.io/role", true),
            ("k8s.io/x", true),
            ("x.k8s.io/y", true),
            ("topology.kubernetes.io/zone", false),
            ("node.kubernetes.io/shelf", false),
            ("my.node.kubernetes.io/shelf", false),
            ("notkubernetes.io/x", false),
            ("svccontroller.k3s.cattle.io/enablelb", false),
            ("tier", false),
        ] {
            assert_eq!(is_of_the_cluster(key), of_the_cluster, "{key}");
        }
    }
}
