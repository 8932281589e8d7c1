//! What `iptables -S` prints → the rules of its INPUT chain.

use std::ops::RangeInclusive;

use super::{EntryChain, FirewallRule, Protocol, RuleMatch, RuleVerdict, Ruleset, network};

/// Reads the filter table. A rule that cannot be read may hold or not.
pub fn read(text: &str) -> Ruleset {
    let mut ruleset = Ruleset::default();
    for line in text.lines() {
        let words = arguments(line);
        let mut words = words.iter().map(String::as_str);
        let (Some(command), Some(chain)) = (words.next(), words.next()) else {
            continue;
        };
        let rules = ruleset.chains.entry(named(chain)).or_default();
        match command {
            "-A" => rules.push(rule(&words.collect::<Vec<_>>())),
            "-P" if chain == "INPUT" => ruleset.entries.push(EntryChain {
                chain: named(chain),
                accepts: words.next() == Some("ACCEPT"),
            }),
            _ => {}
        }
    }
    ruleset
}

/// Chains of nftables have other names, so that both can stand beside each other.
fn named(chain: &str) -> String {
    format!("iptables {chain}")
}

/// A quoted text (a comment, a log prefix) is one word that is not looked at, since it may contain what looks like an
/// option.
fn arguments(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.chars();
    while let (Some(c), Some(word)) = (chars.next(), words.last_mut()) {
        match c {
            '\\' if quoted => drop(chars.next()),
            '"' => {
                quoted = !quoted;
                word.push(c);
            }
            _ if quoted => {}
            c if c.is_whitespace() => words.push(String::new()),
            c => word.push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Options whose value does not matter for whether the rule holds.
const SILENT: [&str; 12] = [
    "-m",
    "--comment",
    "--reject-with",
    "--limit",
    "--limit-burst",
    "--log-prefix",
    "--log-level",
    "--nflog-prefix",
    "--nflog-group",
    "--set-xmark",
    "--set-mark",
    "-c",
];

fn rule(words: &[&str]) -> FirewallRule {
    let mut rule = FirewallRule::default();
    let mut rest = words;
    while let [option, after @ ..] = rest {
        let (negated, option, after) = match (*option, after) {
            ("!", [option, after @ ..]) => (true, *option, after),
            (option, after) => (false, option, after),
        };
        let values = after
            .iter()
            .take_while(|w| !w.starts_with('-') && **w != "!");
        let count = values.count();
        let value = after.first().filter(|_| count > 0).copied().unwrap_or("");
        rest = &after[count..];
        if SILENT.contains(&option) {
            continue;
        }
        if let "-j" | "-g" = option {
            rule.verdict = verdict(option, value);
            continue;
        }
        let test = match count {
            0 | 1 => test(option, value),
            _ => RuleMatch::Unclear(format!("`{option}`")),
        };
        rule.tests.push(match negated {
            true => RuleMatch::Not(Box::new(test)),
            false => test,
        });
    }
    rule
}

fn verdict(option: &str, target: &str) -> Option<RuleVerdict> {
    match target {
        "ACCEPT" => Some(RuleVerdict::Accept),
        "DROP" | "REJECT" => Some(RuleVerdict::Drop),
        "RETURN" => Some(RuleVerdict::Return),
        "LOG" | "NFLOG" | "MARK" | "CONNMARK" | "TRACE" | "CT" | "AUDIT" => None,
        "QUEUE" | "NFQUEUE" => Some(RuleVerdict::Unclear("a program (NFQUEUE)".to_owned())),
        chain if option == "-g" => Some(RuleVerdict::Goto(named(chain))),
        chain => Some(RuleVerdict::Jump(named(chain))),
    }
}

fn test(option: &str, value: &str) -> RuleMatch {
    let unclear = || RuleMatch::Unclear(format!("`{option} {value}`"));
    let any = |of: fn(String) -> RuleMatch, value: &str| {
        let words = value.split(',').map(|w| of(w.to_ascii_lowercase()));
        RuleMatch::Any(words.collect())
    };
    match option {
        // The sign for "any name that begins so" is `+` here.
        "-i" => RuleMatch::Interface(value.replace('+', "*")),
        "-p" => match value {
            "udp" | "17" => RuleMatch::Protocol(Protocol::Udp),
            "tcp" | "6" => RuleMatch::Protocol(Protocol::Tcp),
            "all" | "0" => RuleMatch::Always,
            _ => RuleMatch::Never,
        },
        "--dport" | "--dports" => ports(value, RuleMatch::Port).unwrap_or_else(unclear),
        "--sport" | "--sports" => ports(value, RuleMatch::FromPort).unwrap_or_else(unclear),
        "--ctstate" | "--state" => any(RuleMatch::State, value),
        "--pkt-type" | "--dst-type" => any(RuleMatch::Kind, value),
        "-s" => network(value).map_or_else(unclear, |(ip, prefix)| RuleMatch::From(ip, prefix)),
        "-d" => network(value).map_or_else(unclear, |(ip, prefix)| RuleMatch::To(ip, prefix)),
        // A first packet of TCP is a SYN.
        "--syn" => RuleMatch::State("new".to_owned()),
        "--icmp-type" => RuleMatch::Never,
        _ => unclear(),
    }
}

/// `67`, `67:69`, `67,69,4011`
fn ports(value: &str, test: fn(RangeInclusive<u16>) -> RuleMatch) -> Option<RuleMatch> {
    let range = |text: &str| {
        let (first, last) = text.split_once(':').unwrap_or((text, text));
        Some(test(first.parse().ok()?..=last.parse().ok()?))
    };
    value
        .split(',')
        .map(range)
        .collect::<Option<_>>()
        .map(RuleMatch::Any)
}
