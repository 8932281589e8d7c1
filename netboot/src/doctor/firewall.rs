//! The host's firewall → whether it lets a machine's packets in, as far as its rules can be understood.
//!
//! Rules are read from what `nft -j list ruleset` ([`nft`]) and `iptables -S` ([`iptables`]) print, and walked with one
//! packet at a time. A rule with a condition that is not known here (a mark, a helper, an extension) may match or not;
//! where that decides, the answer is [`Admittance::Unclear`].

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

pub mod iptables;
pub mod nft;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Udp,
    Tcp,
}

/// A packet that must come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbePacket {
    pub protocol: Protocol,
    /// The port it is for.
    pub port: u16,
    /// The port it comes from, where that is known.
    pub from_port: Option<u16>,
    /// The interface that it comes in on.
    pub interface: String,
    /// The appliance's address there, and the length of its network's prefix.
    pub address: Ipv4Addr,
    pub prefix: u8,
    /// To everybody, from a machine without an address (0.0.0.0), rather than between two addresses.
    pub broadcast: bool,
    /// Part of a conversation that the appliance began, or the first packet of a new one.
    pub established: bool,
}

/// Whether it gets in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admittance {
    Open,
    /// It does not get in; the text names what stops it.
    Closed(String),
    /// It cannot be told; the text names the condition that is not known here.
    Unclear(String),
}

/// All rules that a packet to this host meets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ruleset {
    chains: BTreeMap<String, Vec<FirewallRule>>,
    /// Where packets enter. Each chain must let them pass.
    entries: Vec<EntryChain>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct EntryChain {
    chain: String,
    /// Whether what comes to the end of the chain is let in.
    accepts: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct FirewallRule {
    /// The conditions of the rule; all must hold.
    tests: Vec<RuleMatch>,
    verdict: Option<RuleVerdict>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum RuleVerdict {
    Accept,
    Drop,
    Return,
    Jump(String),
    Goto(String),
    /// The packet goes to a place whose rules are not known here.
    Unclear(String),
}

/// What a rule asks of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
enum RuleMatch {
    /// The name, or its beginning if that is followed by `*`.
    Interface(String),
    Protocol(Protocol),
    Port(RangeInclusive<u16>),
    FromPort(RangeInclusive<u16>),
    /// A word of conntrack: `new`, `established`.
    State(String),
    /// `unicast`, `broadcast`, `multicast`.
    Kind(String),
    /// From this network.
    From(Ipv4Addr, u8),
    /// To this network.
    To(Ipv4Addr, u8),
    Always,
    Never,
    Not(Box<RuleMatch>),
    All(Vec<RuleMatch>),
    Any(Vec<RuleMatch>),
    /// A condition that is not known here, by its name.
    Unclear(String),
}

/// What may become of a packet in a chain.
#[derive(Debug, Clone, Default)]
struct ChainOutcome {
    /// It may be let in.
    accepted: bool,
    /// It may be dropped, by which chain.
    dropped: Option<String>,
    /// It may come to the end of the chain.
    passed: bool,
}

/// Chains deeper than the kernel allows are a circle.
const DEEPEST: u32 = 16;

impl Ruleset {
    /// The rules of both rulesets: every packet passes through both.
    pub fn and(mut self, other: Self) -> Self {
        self.chains.extend(other.chains);
        self.entries.extend(other.entries);
        self
    }

    pub fn admits(&self, packet: &ProbePacket) -> Admittance {
        let mut doubt = None;
        for entry in &self.entries {
            let mut unclear = None;
            let mut action = self.walk(&entry.chain, packet, DEEPEST, &mut unclear);
            if action.passed {
                match entry.accepts {
                    true => action.accepted = true,
                    false => {
                        let policy = || format!("no rule of `{}` accepts it", entry.chain);
                        action.dropped.get_or_insert_with(policy);
                    }
                }
            }
            match (action.accepted, action.dropped) {
                (false, Some(by)) => return Admittance::Closed(by),
                (true, None) => {}
                _ => {
                    let unknown = || {
                        format!(
                            "`{}` has rules that this version does not understand",
                            entry.chain
                        )
                    };
                    doubt.get_or_insert_with(|| unclear.unwrap_or_else(unknown));
                }
            }
        }
        doubt.map_or(Admittance::Open, Admittance::Unclear)
    }

    fn walk(
        &self,
        chain: &str,
        packet: &ProbePacket,
        depth: u32,
        doubt: &mut Option<String>,
    ) -> ChainOutcome {
        let mut action = ChainOutcome::default();
        let Some(rules) = self.chains.get(chain).filter(|_| depth > 0) else {
            doubt.get_or_insert_with(|| format!("the chain `{chain}` cannot be followed"));
            return ChainOutcome {
                accepted: true,
                dropped: Some(format!("`{chain}`")),
                passed: true,
            };
        };
        for rule in rules {
            let holds = rule.holds(packet);
            let (Some(verdict), true) = (&rule.verdict, holds != Some(false)) else {
                continue;
            };
            if holds.is_none() {
                let what = rule.tests.iter().find_map(|t| t.unknown(packet));
                let what = what.unwrap_or_default();
                doubt.get_or_insert_with(|| format!("a rule of `{chain}` depends on {what}"));
            }
            // Whether the packet certainly goes no further in this chain, if the rule holds.
            let ends = match verdict {
                RuleVerdict::Accept => {
                    action.accepted = true;
                    true
                }
                RuleVerdict::Drop => {
                    action
                        .dropped
                        .get_or_insert_with(|| format!("`{chain}` drops it"));
                    true
                }
                RuleVerdict::Return => {
                    action.passed = true;
                    true
                }
                RuleVerdict::Jump(to) | RuleVerdict::Goto(to) => {
                    let inner = self.walk(to, packet, depth - 1, doubt);
                    action.accepted |= inner.accepted;
                    action.dropped = action.dropped.or(inner.dropped);
                    let leaves = matches!(verdict, RuleVerdict::Goto(_));
                    action.passed |= inner.passed && leaves;
                    leaves || !inner.passed
                }
                RuleVerdict::Unclear(what) => {
                    doubt.get_or_insert_with(|| format!("`{chain}` hands it to {what}"));
                    action.accepted = true;
                    action.dropped.get_or_insert_with(|| format!("`{chain}`"));
                    true
                }
            };
            if ends && holds == Some(true) {
                return action;
            }
        }
        action.passed = true;
        action
    }
}

impl FirewallRule {
    fn holds(&self, packet: &ProbePacket) -> Option<bool> {
        all(self.tests.iter().map(|test| test.holds(packet)))
    }
}

impl RuleMatch {
    /// Whether the condition holds for the packet; `None` where that cannot be told.
    fn holds(&self, packet: &ProbePacket) -> Option<bool> {
        match self {
            Self::Always => Some(true),
            Self::Never => Some(false),
            Self::Unclear(_) => None,
            Self::Not(test) => test.holds(packet).map(|holds| !holds),
            Self::All(tests) => all(tests.iter().map(|test| test.holds(packet))),
            Self::Any(tests) => {
                all(tests.iter().map(|t| t.holds(packet).map(|h| !h))).map(|none| !none)
            }
            Self::Interface(name) => Some(match name.strip_suffix('*') {
                Some(beginning) => packet.interface.starts_with(beginning),
                None => packet.interface == *name,
            }),
            Self::Protocol(protocol) => Some(packet.protocol == *protocol),
            Self::Port(ports) => Some(ports.contains(&packet.port)),
            Self::FromPort(ports) => match packet.from_port {
                Some(port) => Some(ports.contains(&port)),
                None if *ports == (0..=u16::MAX) => Some(true),
                None => None,
            },
            Self::State(word) => Some(match word.as_str() {
                "new" => !packet.established,
                "established" => packet.established,
                _ => false,
            }),
            Self::Kind(kind) => Some(match kind.as_str() {
                "broadcast" => packet.broadcast,
                "unicast" | "host" | "local" => !packet.broadcast,
                _ => false,
            }),
            Self::From(network, prefix) => from(packet, *network, *prefix),
            Self::To(network, prefix) => {
                let to = match packet.broadcast {
                    true => Ipv4Addr::BROADCAST,
                    false => packet.address,
                };
                Some(same(to, *network, *prefix))
            }
        }
    }

    /// The name of the condition that is not known here, if it decides.
    fn unknown(&self, packet: &ProbePacket) -> Option<String> {
        match self {
            Self::Unclear(what) => Some(what.clone()),
            Self::Not(test) => test.unknown(packet),
            Self::All(tests) | Self::Any(tests) => tests.iter().find_map(|t| t.unknown(packet)),
            Self::FromPort(_) if self.holds(packet).is_none() => Some("the source port".to_owned()),
            Self::From(..) if self.holds(packet).is_none() => Some("the source address".to_owned()),
            _ => None,
        }
    }
}

/// Whether all hold: one that does not hold decides first, then one that cannot be told.
fn all(holds: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut certain = true;
    for one in holds {
        match one {
            Some(false) => return Some(false),
            Some(true) => {}
            None => certain = false,
        }
    }
    certain.then_some(true)
}

/// Machines of the LAN have any address of it; one that has none yet says 0.0.0.0.
fn from(packet: &ProbePacket, network: Ipv4Addr, prefix: u8) -> Option<bool> {
    if packet.broadcast {
        return Some(same(Ipv4Addr::UNSPECIFIED, network, prefix));
    }
    if !same(packet.address, network, prefix.min(packet.prefix)) {
        Some(false)
    } else if prefix <= packet.prefix {
        Some(true)
    } else {
        None
    }
}

fn same(one: Ipv4Addr, other: Ipv4Addr, prefix: u8) -> bool {
    let mask = u32::MAX
        .checked_shl(32 - u32::from(prefix.min(32)))
        .unwrap_or(0);
    one.to_bits() & mask == other.to_bits() & mask
}

/// `10.0.0.0/8`, `10.77.0.1`
fn network(text: &str) -> Option<(Ipv4Addr, u8)> {
    match text.split_once('/') {
        None => Some((text.parse().ok()?, 32)),
        Some((address, prefix)) => {
            let prefix = match prefix.parse::<Ipv4Addr>() {
                // iptables also takes a netmask, and prints one that is no prefix.
                Ok(mask) if mask.to_bits().leading_ones() == mask.to_bits().count_ones() => {
                    u8::try_from(mask.to_bits().count_ones()).ok()?
                }
                Ok(_) => return None,
                Err(_) => prefix.parse().ok().filter(|p| *p <= 32)?,
            };
            Some((address.parse().ok()?, prefix))
        }
    }
}

#[cfg(test)]
mod tests;
