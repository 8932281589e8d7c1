//! What was found on the appliance itself → what is in order, what is not, and what to do about it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::firewall::Answer;
use crate::rivals::{Concern, Mode, Rival, concerns};
use crate::timestamp::Timestamp;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    pub name: String,
    pub verdict: Verdict,
    /// What was found, one line each.
    pub what: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tips: Vec<String>,
}

/// From good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Ok,
    /// It could not be found out.
    Unknown,
    /// It works, but not for every machine or not for long.
    Warning,
    /// Machines cannot be installed like this.
    Problem,
}

impl fmt::Display for Verdict {
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
            verdict: Verdict::Ok,
            what: Vec::new(),
            tips: Vec::new(),
        }
    }

    #[must_use]
    pub fn found(self, what: impl Into<String>) -> Self {
        self.judged(Verdict::Ok, what)
    }

    /// Adds a finding; the worst of them is the verdict.
    #[must_use]
    pub fn judged(mut self, verdict: Verdict, what: impl Into<String>) -> Self {
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

/// The interface that is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    pub name: String,
    /// `10.77.0.1/24`
    pub address: String,
    /// Whether the kernel knows the interface, and whether it still has that address.
    pub exists: bool,
    pub has_address: bool,
    /// Whether a cable is in; nothing where that is not known.
    pub carrier: Option<bool>,
}

pub fn lan(interfaces: &[Interface]) -> Check {
    interfaces.iter().fold(Check::new("lan"), |check, lan| {
        let Interface { name, address, .. } = lan;
        if !lan.exists {
            return check
                .judged(Verdict::Problem, format!("the interface `{name}` is gone"))
                .tip("ip -brief address");
        }
        if !lan.has_address {
            return check
                .judged(
                    Verdict::Problem,
                    format!("`{name}` does not have {address} any more"),
                )
                .tip(format!("ip address add {address} dev {name}"))
                .tip("systemctl restart pxe-appliance");
        }
        match lan.carrier {
            Some(false) => check
                .judged(
                    Verdict::Problem,
                    format!("`{name}` ({address}) has no link: its cable is out"),
                )
                .tip(format!("ip -s link show {name}")),
            _ => check.found(format!("`{name}` has {address}")),
        }
    })
}

/// A port, what is behind it, and whether something of ours listens there; nothing if that cannot be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    /// `UDP 67`
    pub port: String,
    /// `DHCP`
    pub what: String,
    pub open: Option<bool>,
}

pub fn ports(doors: &[Door], answers_dhcp: bool) -> Check {
    let mut check = Check::new("ports");
    let open: Vec<String> = doors
        .iter()
        .filter(|door| door.open != Some(false))
        .map(|door| format!("{} ({})", door.port, door.what))
        .collect();
    if !open.is_empty() {
        check = check.found(open.join(", "));
    }
    for door in doors.iter().filter(|door| door.open == Some(false)) {
        let what = format!("nothing listens on {} ({})", door.port, door.what);
        check = check
            .judged(Verdict::Problem, what)
            .tip("systemctl restart pxe-appliance");
    }
    if answers_dhcp {
        check
    } else {
        check
            .judged(
                Verdict::Warning,
                "`dhcp.mode` is \"off\": no machine is told to boot from here",
            )
            .tip("write into appliance.toml: [dhcp] mode = \"proxy\"")
    }
}

/// A port as the host's firewall treats it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirewallDoor {
    /// `UDP 67 (DHCP) on `enp1s0``
    pub port: String,
    pub answer: Answer,
}

/// None at all: nobody looked yet.
pub fn firewall(doors: &[FirewallDoor]) -> Check {
    let check = Check::new("firewall");
    if doors.is_empty() {
        return check
            .judged(Verdict::Unknown, "it was not looked at yet")
            .tip("ask again in a minute");
    }
    let open = doors
        .iter()
        .filter(|door| door.answer == Answer::Open)
        .count();
    let mut check = match open {
        0 => check,
        n if n == doors.len() => check.found(format!("all {n} ports are open")),
        n => check.found(format!("{n} of {} ports are open", doors.len())),
    };
    let mut unclear: Vec<&str> = Vec::new();
    for FirewallDoor { port, answer } in doors {
        match answer {
            Answer::Open => {}
            Answer::Closed(by) => {
                check = check
                    .judged(Verdict::Problem, format!("{port} is closed by {by}"))
                    .tip("nft list ruleset");
            }
            // One reason for all of them is said once.
            Answer::Unclear(why) if unclear.contains(&why.as_str()) => {}
            Answer::Unclear(why) => {
                unclear.push(why);
                check = check
                    .judged(Verdict::Unknown, format!("{port}: {why}"))
                    .tip("nft list ruleset");
            }
        }
    }
    check
}

/// The last look for other DHCP and PXE servers on one LAN: who answered, or why nobody could be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Others {
    pub interface: String,
    pub at: Timestamp,
    pub found: Result<Vec<Rival>, String>,
}

/// `mode`: nothing where DHCP is off, and nobody is looked for.
pub fn others(mode: Option<Mode>, looks: &[Others]) -> Check {
    let check = Check::new("others");
    let Some(mode) = mode else {
        return check.found("other servers are not looked for while `dhcp.mode` is \"off\"");
    };
    if looks.is_empty() {
        return check
            .judged(
                Verdict::Unknown,
                "other DHCP and PXE servers were not looked for yet",
            )
            .tip("ask again in a minute");
    }
    looks.iter().fold(check, |check, look| {
        let Others { interface, at, found } = look;
        let rivals = match found {
            Ok(rivals) => rivals,
            Err(why) => {
                return check
                    .judged(Verdict::Unknown, format!("`{interface}`: could not look: {why}"))
                    .tip("give the service CAP_NET_RAW");
            }
        };
        let names: Vec<String> = rivals.iter().map(ToString::to_string).collect();
        let names = match names.len() {
            0 => "no other server".to_owned(),
            _ => names.join(", "),
        };
        let check = check.found(format!("`{interface}`: {names}, at {at}"));
        concerns(mode, rivals).iter().fold(check, |check, concern| {
            let (verdict, tip) = match concern {
                Concern::NoAddresses => (
                    Verdict::Problem,
                    "switch the router's DHCP on, or set `[dhcp] mode = \"server\"`",
                ),
                Concern::SecondPxe(_) => (
                    Verdict::Warning,
                    "switch that one off, or take the boot options out of the router's DHCP settings",
                ),
                Concern::SecondDhcp(_) => (
                    Verdict::Problem,
                    "switch that one off, or set `[dhcp] mode = \"proxy\"`",
                ),
            };
            check.judged(verdict, format!("`{interface}`: {concern}")).tip(tip)
        })
    })
}

/// A loader by name, and for which machines it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loader {
    pub name: &'static str,
    pub for_whom: &'static str,
    pub present: bool,
}

pub fn loaders(loaders: &[Loader], folder: &str) -> Check {
    let present: Vec<&str> = loaders
        .iter()
        .filter(|loader| loader.present)
        .map(|loader| loader.name)
        .collect();
    let mut check = Check::new("loaders");
    if present.is_empty() {
        return check
            .judged(Verdict::Problem, format!("no boot loader is in `{folder}`"))
            .tip("apt-get install ipxe")
            .tip("on NixOS: `boot.ipxe-dir` = \"${pkgs.ipxe}\"");
    }
    check = check.found(present.join(", "));
    for loader in loaders.iter().filter(|loader| !loader.present) {
        let what = format!("`{}` is missing: {}", loader.name, loader.for_whom);
        check = check.judged(Verdict::Warning, what).tip(format!(
            "put it into `{folder}`, then systemctl restart pxe-appliance"
        ));
    }
    check
}

/// Kernel and initrd of an architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// `installer for x86_64`
    pub name: String,
    pub kernel: Result<ImageFile, String>,
    pub initrd: Result<ImageFile, String>,
    /// The kernel's own version, where it says one.
    pub version: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFile {
    pub path: String,
    pub bytes: u64,
    /// When it was written; files of the Nix store are all of 1970.
    pub written: Timestamp,
}

/// Kernel and initrd that were written further apart are hardly of one build.
const ONE_BUILD: Duration = Duration::from_secs(3600);

pub fn images(images: &[Image]) -> Check {
    let mut check = Check::new("installer");
    if images.is_empty() {
        return check
            .judged(Verdict::Problem, "no installer image is configured")
            .tip("write into appliance.toml: [images.installer] with kernel, initrd, cmdline and arch");
    }
    for image in images {
        let Image { name, version, .. } = image;
        check = match (&image.kernel, &image.initrd) {
            (Ok(kernel), Ok(initrd)) => {
                let apart = kernel.written.since(initrd.written).max(initrd.written.since(kernel.written));
                let mib = (kernel.bytes + initrd.bytes) >> 20;
                let version = version.as_ref().map_or_else(String::new, |v| format!(", Linux {v}"));
                let check = check.found(format!("{name}: {mib} MiB{version}"));
                if kernel.bytes == 0 || initrd.bytes == 0 {
                    check
                        .judged(Verdict::Problem, format!("{name}: a file of it is empty"))
                        .tip("build it anew")
                } else if apart > ONE_BUILD {
                    check
                        .judged(
                            Verdict::Warning,
                            format!(
                                "{name}: the kernel is of {}, the initrd of {}: they may be of two builds, and then the installer finds no drivers",
                                kernel.written, initrd.written
                            ),
                        )
                        .tip("build both anew, from one revision")
                } else {
                    check
                }
            }
            (kernel, initrd) => [kernel, initrd]
                .into_iter()
                .filter_map(|file| file.as_ref().err())
                .fold(check, |check, why| {
                    check
                        .judged(Verdict::Problem, format!("{name}: {why}"))
                        .tip("mend the path in [images.installer], then systemctl restart pxe-appliance")
                }),
        };
    }
    check
}

/// The newest release of a system, and what is wrong with it in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cached {
    /// `release 3 of worker`
    pub release: String,
    pub fault: Option<String>,
    pub system: String,
}

/// `needed`: systems of profiles that machines have, without a release.
pub fn cache(cached: &[Cached], needed: &[String]) -> Check {
    let mut check = Check::new("cache");
    if cached.is_empty() && needed.is_empty() {
        return check
            .judged(Verdict::Warning, "no system was published yet")
            .tip("pxe-admin publish");
    }
    for Cached {
        release,
        fault,
        system,
    } in cached
    {
        check = match fault {
            None => check.found(format!(
                "{release} is whole, and signed with this appliance's key"
            )),
            Some(fault) => check
                .judged(Verdict::Problem, format!("{release}: {fault}"))
                .tip(format!("pxe-admin publish {system}")),
        };
    }
    for system in needed {
        check = check
            .judged(
                Verdict::Problem,
                format!("`{system}` has no release, and machines are to get it"),
            )
            .tip(format!("pxe-admin publish {system}"));
    }
    check
}

/// The wall clock, and what may be compared with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    pub now: Timestamp,
    /// Whether it is set by NTP; nothing where that cannot be seen.
    pub synchronised: Option<bool>,
    /// When the last thing happened that is on record.
    pub last_event: Option<Timestamp>,
}

/// 2025-01-01: no clock that is right is before it.
const BUILT: Timestamp = Timestamp::from_millis(1_735_689_600_000);

pub fn clock(clock: Clock) -> Check {
    let check = Check::new("clock");
    let Clock {
        now,
        synchronised,
        last_event,
    } = clock;
    let set = "timedatectl set-ntp true";
    if now < BUILT {
        return check
            .judged(
                Verdict::Problem,
                format!("it is said to be {now}; certificates do not hold then"),
            )
            .tip(set);
    }
    // A second may be stepped back by NTP.
    if let Some(last) = last_event.filter(|last| last.since(now) > Duration::from_secs(5)) {
        return check
            .judged(
                Verdict::Problem,
                format!("it is {now}, and the journal has an event of {last}: the clock went back"),
            )
            .tip(set);
    }
    match synchronised {
        Some(true) => check.found(format!("{now}, synchronised")),
        Some(false) => check
            .judged(Verdict::Warning, format!("{now}, and not synchronised"))
            .tip(set),
        None => check
            .judged(
                Verdict::Unknown,
                format!("{now}; nothing says whether it is synchronised"),
            )
            .tip("timedatectl show -p NTPSynchronized"),
    }
}

/// Bytes of the file system that holds `state-dir`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Space {
    pub folder: String,
    pub free: Result<u64, String>,
    /// Bytes of the largest release.
    pub largest: u64,
}

/// The store stops at a full disk; it is to be told long before.
const NEARLY_FULL: u64 = 256 << 20;

pub fn space(space: &Space) -> Check {
    let check = Check::new("disk");
    let folder = &space.folder;
    let tip = format!("df -h {folder}");
    match space.free {
        Err(ref why) => check
            .judged(Verdict::Unknown, format!("`{folder}`: {why}"))
            .tip(tip),
        Ok(free) => {
            let text = format!("{} MiB are free in `{folder}`", free >> 20);
            if free < NEARLY_FULL {
                check
                    .judged(
                        Verdict::Problem,
                        format!("{text}: soon nothing can be written down"),
                    )
                    .tip(tip)
            } else if free < space.largest {
                check
                    .judged(
                        Verdict::Warning,
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
            .judged(Verdict::Problem, format!("takes no writes: {trouble}"))
            .tip("journalctl -u pxe-appliance -n 50"),
    }
}

/// What is wrong in `hosts-dir` since it was read last; the last good set stays in force.
pub fn hosts(problems: &[String], profiles: usize) -> Check {
    let check = Check::new("profiles");
    if problems.is_empty() {
        let s = if profiles == 1 { "" } else { "s" };
        return check.found(format!("{profiles} profile{s}"));
    }
    problems
        .iter()
        .fold(check, |check, problem| {
            check.judged(Verdict::Problem, problem.clone())
        })
        .judged(Verdict::Problem, "the last good set stays in force")
        .tip("pxe-appliance check")
}

/// The Kubernetes API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cluster {
    /// No server is configured: nobody joins.
    None,
    /// It answers at this URL; whether a token is there that may ask for nodes.
    Answers { url: String, token: bool },
    /// It does not answer, and why.
    Silent { url: String, why: String },
}

pub fn cluster(cluster: &Cluster) -> Check {
    let check = Check::new("k3s");
    match cluster {
        Cluster::None => check.found("`k3s.server` is not set: machines join no cluster"),
        Cluster::Answers { url, token: true } => check.found(format!("{url} answers")),
        Cluster::Answers { url, token: false } => check
            .judged(
                Verdict::Warning,
                format!(
                    "{url} answers, but without `k3s.api-token-file` nobody sees that a node joined"
                ),
            )
            .tip("kubectl create token SERVICE-ACCOUNT > FILE"),
        Cluster::Silent { url, why } => check
            .judged(Verdict::Warning, format!("{url} does not answer: {why}"))
            .tip(format!("curl -vk {url}/cacerts")),
    }
}

#[cfg(test)]
mod tests;
