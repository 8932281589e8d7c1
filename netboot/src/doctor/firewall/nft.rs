//! What `nft -j list ruleset` prints (libnftables-json(5)) → the rules of its chains on the input hook.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde_json::Value;

use super::{EntryChain, FirewallRule, Protocol, RuleMatch, RuleVerdict, Ruleset, network};

/// Reads all tables that IPv4 packets to this host meet. `without` leaves out a table (such as `ip filter`)
/// whose rules are known from elsewhere.
///
/// # Errors
/// It is not what `nft -j` prints.
pub fn read(text: &str, without: &[&str]) -> Result<Ruleset, serde_json::Error> {
    let document: Value = serde_json::from_str(text)?;
    let objects = document["nftables"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let sets = objects
        .iter()
        .filter_map(|o| o.get("set").or_else(|| o.get("map")));
    let sets = sets.map(|set| (key(set, "name"), &set["elem"])).collect();
    let mut ruleset = Ruleset::default();
    let mut entries: Vec<(i64, EntryChain)> = Vec::new();
    for object in objects {
        let seen = |of: &&Value| {
            let (family, table) = (word(of, "family"), word(of, "table"));
            matches!(family, "ip" | "inet") && !without.contains(&&*format!("{family} {table}"))
        };
        if let Some(chain) = object.get("chain").filter(seen) {
            let name = key(chain, "name");
            ruleset.chains.entry(name.clone()).or_default();
            if word(chain, "hook") == "input" && word(chain, "type") == "filter" {
                let accepts = word(chain, "policy") != "drop";
                let entry = EntryChain {
                    chain: name,
                    accepts,
                };
                entries.push((chain["prio"].as_i64().unwrap_or(0), entry));
            }
        } else if let Some(rule) = object.get("rule").filter(seen) {
            let (name, table) = (key(rule, "chain"), key(rule, ""));
            let reader = NftReader { table, sets: &sets };
            let rules = ruleset.chains.entry(name).or_default();
            rules.extend(reader.rules(rule["expr"].as_array().map_or(&[], Vec::as_slice)));
        }
    }
    entries.sort_by_key(|(priority, _)| *priority);
    ruleset.entries = entries.into_iter().map(|(_, entry)| entry).collect();
    Ok(ruleset)
}

/// Whether there is a table of this family and name, such as `ip filter`.
pub fn has_table(text: &str, name: &str) -> bool {
    let document: Value = serde_json::from_str(text).unwrap_or_default();
    let mut objects = document["nftables"].as_array().into_iter().flatten();
    objects.any(|object| {
        let table = &object["table"];
        name == format!("{} {}", word(table, "family"), word(table, "name"))
    })
}

fn word<'v>(object: &'v Value, key: &str) -> &'v str {
    object[key].as_str().unwrap_or("")
}

/// `inet filter input`; with an empty field `inet filter `.
fn key(object: &Value, field: &str) -> String {
    let (family, table, name) = (
        word(object, "family"),
        word(object, "table"),
        word(object, field),
    );
    format!("{family} {table} {name}")
}

struct NftReader<'d> {
    /// `inet filter `
    table: String,
    sets: &'d BTreeMap<String, &'d Value>,
}

impl NftReader<'_> {
    /// One rule; with a verdict map, one for each of its entries.
    fn rules(&self, expressions: &[Value]) -> Vec<FirewallRule> {
        let mut rule = FirewallRule::default();
        for expression in expressions {
            let Some((kind, body)) = expression.as_object().and_then(|o| o.iter().next()) else {
                // `"accept"` alone, as older versions print it.
                rule.verdict = expression
                    .as_str()
                    .and_then(|w| self.verdict(w, &Value::Null));
                continue;
            };
            match kind.as_str() {
                "match" => rule.tests.push(self.matches(body)),
                "vmap" => return self.verdict_map(&rule, body),
                // A limit holds for the few packets of a boot; an inverted one does not.
                "limit" if body["inv"].as_bool() == Some(true) => rule.tests.push(RuleMatch::Never),
                "limit" | "counter" | "log" | "mangle" | "notrack" | "quota" | "meter"
                | "ct helper" => {}
                "xt" if word(body, "type") == "target" && word(body, "name") == "LOG" => {}
                "xt" => rule
                    .tests
                    .push(RuleMatch::Unclear("an extension of iptables".to_owned())),
                verdict => rule.verdict = rule.verdict.or_else(|| self.verdict(verdict, body)),
            }
        }
        vec![rule]
    }

    fn verdict(&self, word: &str, body: &Value) -> Option<RuleVerdict> {
        let chain = || format!("{}{}", self.table, body["target"].as_str().unwrap_or(""));
        match word {
            "accept" => Some(RuleVerdict::Accept),
            "drop" | "reject" => Some(RuleVerdict::Drop),
            "return" => Some(RuleVerdict::Return),
            "jump" => Some(RuleVerdict::Jump(chain())),
            "goto" => Some(RuleVerdict::Goto(chain())),
            "queue" => Some(RuleVerdict::Unclear("a program (queue)".to_owned())),
            _ => None,
        }
    }

    fn verdict_map(&self, rule: &FirewallRule, body: &Value) -> Vec<FirewallRule> {
        let pairs = self.elements(&body["data"]);
        let rules = pairs.iter().filter_map(|pair| {
            let (at, verdict) = (pair.get(0)?, pair.get(1)?);
            let (word, to) = verdict.as_object()?.iter().next()?;
            let mut tests = rule.tests.clone();
            tests.push(self.one(&body["key"], at));
            Some(FirewallRule {
                tests,
                verdict: self.verdict(word, to),
            })
        });
        rules.collect()
    }

    fn matches(&self, body: &Value) -> RuleMatch {
        let (left, right) = (&body["left"], &body["right"]);
        // `tcp flags & (syn | ack) == syn` and its like.
        if left.get("&").is_some() {
            return match left["&"][0]["payload"]["protocol"].as_str() {
                Some("tcp") => self.and_tcp(),
                _ => RuleMatch::Unclear("single bits".to_owned()),
            };
        }
        let wanted = self.elements(right);
        let any = RuleMatch::Any(wanted.iter().map(|value| self.one(left, value)).collect());
        match word(body, "op") {
            "==" | "in" => any,
            // A packet of another protocol has no such field that could differ.
            "!=" => RuleMatch::All(vec![of_its_protocol(left), RuleMatch::Not(Box::new(any))]),
            op => RuleMatch::Unclear(format!("`{op}`")),
        }
    }

    fn and_tcp(&self) -> RuleMatch {
        RuleMatch::All(vec![
            RuleMatch::Protocol(Protocol::Tcp),
            RuleMatch::Unclear("flags of TCP".to_owned()),
        ])
    }

    /// The values that stand on the right: one, a list, a set written out, or a set by its name.
    fn elements(&self, right: &Value) -> Vec<Value> {
        let list = match right {
            Value::Array(list) => Some(list),
            Value::Object(object) => object.get("set").and_then(Value::as_array),
            Value::String(name) => match name.strip_prefix('@') {
                Some(name) => {
                    let set = self.sets.get(&format!("{}{name}", self.table));
                    return set.map_or_else(Vec::new, |elements| {
                        let elements = elements.as_array().map_or(&[][..], Vec::as_slice);
                        elements.iter().map(element_value).collect()
                    });
                }
                None => None,
            },
            _ => None,
        };
        match list {
            Some(list) => list.iter().map(element_value).collect(),
            None => vec![right.clone()],
        }
    }

    /// Whether what `left` names is this one value.
    fn one(&self, left: &Value, value: &Value) -> RuleMatch {
        if let Some(parts) = left["concat"].as_array() {
            let values = value["concat"].as_array().map_or(&[][..], Vec::as_slice);
            let pairs = parts.iter().zip(values).map(|(l, v)| self.one(l, v));
            return RuleMatch::All(pairs.collect());
        }
        if value == "*" {
            return RuleMatch::Always;
        }
        if let Some(key) = left["meta"]["key"].as_str() {
            return meta(key, value);
        }
        if let Some(payload) = left.get("payload") {
            return field(word(payload, "protocol"), word(payload, "field"), value);
        }
        if let Some(key) = left["ct"]["key"].as_str() {
            return match (key, value.as_str()) {
                ("state", Some(state)) => RuleMatch::State(state.to_owned()),
                // Packets to this host's own services are not translated.
                ("status", Some("dnat" | "snat")) => RuleMatch::Never,
                _ => RuleMatch::Unclear(format!("`ct {key}`")),
            };
        }
        if let Some(fib) = left.get("fib") {
            return match (word(fib, "result"), value) {
                ("type", Value::String(kind)) => RuleMatch::Kind(kind.clone()),
                // The way back to a machine of the LAN is there.
                ("oif" | "oifname", Value::Bool(true)) => RuleMatch::Always,
                ("oif" | "oifname", Value::Bool(false) | Value::Number(_)) => RuleMatch::Never,
                _ => RuleMatch::Unclear("`fib`".to_owned()),
            };
        }
        let named = left.as_object().and_then(|o| o.keys().next());
        RuleMatch::Unclear(named.map_or_else(|| "something".to_owned(), |n| format!("`{n}`")))
    }
}

/// An element of a set may carry a timeout or a comment around its value.
fn element_value(element: &Value) -> Value {
    element
        .get("elem")
        .and_then(|e| e.get("val"))
        .unwrap_or(element)
        .clone()
}

fn meta(key: &str, value: &Value) -> RuleMatch {
    let text = value.as_str().unwrap_or("");
    match key {
        "iifname" | "iif" => RuleMatch::Interface(text.to_owned()),
        "l4proto" => protocol(value),
        "nfproto" if text == "ipv4" => RuleMatch::Always,
        "protocol" if text == "ip" => RuleMatch::Always,
        "nfproto" | "protocol" => RuleMatch::Never,
        "pkttype" => RuleMatch::Kind(text.to_owned()),
        _ => RuleMatch::Unclear(format!("`meta {key}`")),
    }
}

fn protocol(value: &Value) -> RuleMatch {
    match (value.as_str(), value.as_u64()) {
        (Some("udp"), _) | (_, Some(17)) => RuleMatch::Protocol(Protocol::Udp),
        (Some("tcp"), _) | (_, Some(6)) => RuleMatch::Protocol(Protocol::Tcp),
        _ => RuleMatch::Never,
    }
}

/// What must hold for a packet to have what `left` names.
fn of_its_protocol(left: &Value) -> RuleMatch {
    if let Some(parts) = left["concat"].as_array() {
        return RuleMatch::All(parts.iter().map(of_its_protocol).collect());
    }
    match left["payload"]["protocol"].as_str() {
        None => RuleMatch::Always,
        Some(protocol) => header(protocol).unwrap_or(RuleMatch::Always),
    }
}

/// Whether a packet has the header of this protocol; `None` if the protocol is not known here.
fn header(protocol: &str) -> Option<RuleMatch> {
    match protocol {
        "udp" => Some(RuleMatch::Protocol(Protocol::Udp)),
        "tcp" => Some(RuleMatch::Protocol(Protocol::Tcp)),
        "th" | "ip" => Some(RuleMatch::Always),
        // Booting machines do not use these protocols.
        "ip6" | "icmp" | "icmpv6" | "sctp" | "dccp" | "esp" | "ah" | "igmp" => {
            Some(RuleMatch::Never)
        }
        _ => None,
    }
}

fn field(of: &str, field: &str, value: &Value) -> RuleMatch {
    let unclear = || RuleMatch::Unclear(format!("`{of} {field}`"));
    if of == "ip" {
        return match (field, address(value)) {
            ("saddr", Some((ip, prefix))) => RuleMatch::From(ip, prefix),
            ("daddr", Some((ip, prefix))) => RuleMatch::To(ip, prefix),
            ("protocol", _) => protocol(value),
            _ => unclear(),
        };
    }
    let is = match header(of) {
        Some(RuleMatch::Never) => return RuleMatch::Never,
        Some(is) => is,
        None => return unclear(),
    };
    let what = match (field, ports(value)) {
        ("dport", Some(ports)) => RuleMatch::Port(ports),
        ("sport", Some(ports)) => RuleMatch::FromPort(ports),
        _ => unclear(),
    };
    RuleMatch::All(vec![is, what])
}

/// `67`, `{"range": [67, 69]}`, or the name of a service in `/etc/services`, which nft prints for some.
fn ports(value: &Value) -> Option<RangeInclusive<u16>> {
    let port = |value: &Value| match value.as_str() {
        Some("bootps") => Some(67),
        Some("tftp") => Some(69),
        Some("http-alt") => Some(8080),
        Some(other) => other.parse().ok(),
        None => value.as_u64().and_then(|n| u16::try_from(n).ok()),
    };
    match value["range"].as_array().map(Vec::as_slice) {
        Some([first, last]) => Some(port(first)?..=port(last)?),
        _ => port(value).map(|port| port..=port),
    }
}

fn address(value: &Value) -> Option<(std::net::Ipv4Addr, u8)> {
    match value.get("prefix") {
        Some(prefix) => {
            let length = u8::try_from(prefix["len"].as_u64()?).ok()?;
            Some((network(word(prefix, "addr"))?.0, length))
        }
        None => network(value.as_str()?),
    }
}
