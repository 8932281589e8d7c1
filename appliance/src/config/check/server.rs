//! `[dhcp]` in server mode → the networks that addresses are leased in, and what goes out with them.

use std::net::Ipv4Addr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use netboot::base::mac::Mac;
use netboot::dhcp::lease::{Network, Reservations, Site, Subnet};

use crate::config::document::{Placed, Reader, Section};
use crate::config::{Dhcp, values};
use crate::net::Lan;

/// What is said of one network.
const OF_ONE: [&str; 6] = [
    "range",
    "lease-time",
    "router",
    "dns",
    "domain",
    "reservations",
];

/// The keys that mean something in server mode only.
pub(super) const KEYS: [&str; 7] = [
    "range",
    "lease-time",
    "router",
    "dns",
    "domain",
    "reservations",
    "subnet",
];

/// Nobody leases more machines than that from one appliance; a larger pool is a slip of the pen.
const LARGEST: u32 = 1 << 16;

/// Where one LAN is served, what is said of it stands in `[dhcp]` itself; each of several has a `[[dhcp.subnet]]`
/// table, as the networks behind relay agents have.
pub(super) fn read(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    lans: &[Lan],
) -> Option<Dhcp> {
    let links: Vec<Link> = lans.iter().map(Link::of).collect();
    let mut own: Vec<Option<Subnet>> = match links.as_slice() {
        [] | [_] => vec![subnet(reader, section, links.first())],
        [first, ..] => {
            let why = format!("does not say which of the {} LANs it is for", links.len());
            let tip = format!(
                "write it below [[dhcp.subnet]] with network = \"{}\"",
                first.network()
            );
            reader.refuse(section, &OF_ONE, &why, &tip);
            links.iter().map(|_| None).collect()
        }
    };
    let relayed = subnets(reader, section, &links, &mut own);
    let sites = lans.iter().zip(own).map(|(lan, subnet)| {
        let site = Site {
            server: lan.address,
            lan: subnet?,
            relayed: relayed.clone()?,
        };
        Some(Arc::new(site))
    });
    let sites = sites.collect::<Option<Vec<_>>>()?;
    (!sites.is_empty()).then_some(Dhcp::Server(sites))
}

/// A network as far as addresses are held against it.
struct Link {
    address: Ipv4Addr,
    netmask: Ipv4Addr,
    /// The appliance's own address in it.
    own: Option<Ipv4Addr>,
    /// For messages: `the LAN 10.77.0.1/24 of ``enp1s0```.
    name: String,
}

impl Link {
    fn of(lan: &Lan) -> Self {
        Self {
            address: lan.address,
            netmask: lan.netmask,
            own: Some(lan.address),
            name: format!("the LAN {lan} of `{}`", lan.interface),
        }
    }

    fn relayed((network, netmask): (Ipv4Addr, Ipv4Addr)) -> Self {
        let mut link = Self {
            address: network,
            netmask,
            own: None,
            name: String::new(),
        };
        link.name = format!("the network {}", link.network());
        link
    }

    /// An address in it, for tips.
    fn example(&self, host: u32) -> Ipv4Addr {
        let mask = self.netmask.to_bits();
        Ipv4Addr::from((self.address.to_bits() & mask) | (host & !mask))
    }

    /// `10.77.0.0/24`
    fn network(&self) -> String {
        let length = self.netmask.to_bits().count_ones();
        format!("{}/{length}", self.example(0))
    }

    fn contains(&self, address: Ipv4Addr) -> bool {
        let mask = self.netmask.to_bits();
        address.to_bits() & mask == self.address.to_bits() & mask
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.address) || other.contains(self.address)
    }

    fn is(&self, other: &Self) -> bool {
        self.netmask == other.netmask && self.contains(other.address)
    }
}

/// The `[[dhcp.subnet]]` tables: those of LANs into their places in `own`, the others, which are behind relay agents,
/// as a list. `None` if one of those is wrong.
fn subnets(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    lans: &[Link],
    own: &mut [Option<Subnet>],
) -> Option<Vec<Subnet>> {
    // With one LAN, [dhcp] itself describes it, and every table is of a network behind a relay agent.
    let several = lans.len() > 1;
    let mut known: Vec<Link> = Vec::new();
    let mut relayed = Some(Vec::new());
    let mut unread = false;
    let mut described = vec![!several; lans.len()];
    for mut table in reader.tables(section, "subnet") {
        let read = network(reader, &mut table);
        unread |= read.is_none();
        let of_lan = read.as_ref().filter(|_| several);
        let of_lan = of_lan.and_then(|(link, _)| lans.iter().position(|lan| lan.is(link)));
        if let Some((link, at)) = &read {
            let others = known.iter().chain(lans.iter().filter(|_| of_lan.is_none()));
            overlaps(reader, link, at, others);
        }
        // Without knowing the LANs and its network, nobody can tell whether it is one of them.
        let may_be_lan = lans.is_empty() || several && read.is_none();
        if of_lan.is_none() && !may_be_lan && table.key_span("router").is_none() {
            no_router(reader, &table);
        }
        let link = of_lan.and_then(|at| lans.get(at));
        let link = link.or(read.as_ref().map(|(link, _)| link));
        let subnet = subnet(reader, &mut table, link);
        reader.finish(&table);
        match of_lan {
            Some(at) => {
                own[at] = subnet;
                described[at] = true;
            }
            None => match (subnet, &mut relayed) {
                (Some(subnet), Some(all)) => all.push(subnet),
                _ => relayed = None,
            },
        }
        known.extend(read.map(|(link, _)| link));
    }
    // A table whose network cannot be read may be the one that is missed.
    if !unread {
        let lans = lans.iter().zip(described);
        for (lan, _) in lans.filter(|(_, described)| !described) {
            not_described(reader, section, lan);
        }
    }
    relayed
}

/// The key `network` of a table, and where it stands.
fn network(reader: &mut Reader<'_>, table: &mut Section<'_>) -> Option<(Link, Range<usize>)> {
    let network = reader.parsed(table, "network", values::network);
    if network.is_none() && table.key_span("network").is_none() {
        let tip = "write it like network = \"10.78.0.0/24\"";
        reader.problem_with_tip(&table.at(), "the subnet has no `network`", tip);
    }
    network.map(|Placed { value, at }| (Link::relayed(value), at))
}

/// Two networks that share addresses.
fn overlaps<'a>(
    reader: &mut Reader<'_>,
    link: &Link,
    at: &Range<usize>,
    others: impl Iterator<Item = &'a Link>,
) {
    for other in others.filter(|other| other.overlaps(link)) {
        let message = format!("{} overlaps {}", link.name, other.name);
        if other.is(link) && other.own.is_some() {
            let tip = "what is said of the only LAN stands in [dhcp] itself";
            reader.problem_with_tip(at, message, tip);
        } else {
            reader.problem(at, message);
        }
    }
}

fn no_router(reader: &mut Reader<'_>, table: &Section<'_>) {
    let message = "the subnet has no `router`: its machines could not reach the appliance";
    let tip = "write the relay's address in that network, like router = \"10.78.0.1\"";
    reader.problem_with_tip(&table.at(), message, tip);
}

/// A LAN without a table, where there are several.
fn not_described(reader: &mut Reader<'_>, section: &Section<'_>, lan: &Link) {
    let at = section.key_span("mode").unwrap_or_else(|| section.at());
    let [first, last] = [50, 200].map(|host| lan.example(host));
    let message = format!("no [[dhcp.subnet]] says what is leased on {}", lan.name);
    let tip = format!(
        "write one with network = \"{}\" and range = [\"{first}\", \"{last}\"]",
        lan.network()
    );
    reader.problem_with_tip(&at, message, tip);
}

/// The keys that each network has. `None` if they are wrong, or if `link` is not known.
fn subnet(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    link: Option<&Link>,
) -> Option<Subnet> {
    let range = reader.list(section, "range", values::address);
    let lease_time = reader.parsed(section, "lease-time", values::duration);
    let router = reader.parsed(section, "router", values::address);
    let dns = reader.list(section, "dns", values::address);
    let domain = reader.parsed(section, "domain", values::domain);
    let reserved = reader.section(section, "reservations");
    let reserved = reader.pairs(&reserved);

    // Everything is looked at before anything is given up, so that everything is reported.
    if let Some(time) = &lease_time
        && time.value < Duration::from_secs(60)
    {
        reader.problem(
            &time.at,
            "is shorter than a minute; clients would ask without end",
        );
    }
    let reservations = reservations(reader, &reserved, link);
    let link = link?;
    let ends = ends(reader, section, range.as_ref(), link);
    let router_fits = router.as_ref().is_none_or(|r| fits(reader, r, link));
    let (first, last) = ends?;
    if let Some(router) = &router
        && router_fits
        && (first..=last).contains(&router.value)
        && Some(router.value) != link.own
    {
        let message = format!("the router `{}` lies in `range`", router.value);
        reader.problem(&router.at, message);
    }
    Some(Subnet {
        first,
        last,
        lease_time: lease_time.map_or(12 * values::HOUR, |t| t.value),
        reservations,
        network: Network {
            netmask: link.netmask,
            router: router.map(|r| r.value),
            dns: dns.map_or_else(Vec::new, |d| d.value.into_iter().map(|a| a.value).collect()),
            domain: domain.map(|d| d.value),
        },
    })
}

/// The first and last address of the pool.
fn ends(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    range: Option<&Placed<Vec<Placed<Ipv4Addr>>>>,
    link: &Link,
) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let Some(range) = range else {
        if section.key_span("range").is_none() {
            let at = section.key_span("mode").unwrap_or_else(|| section.at());
            let [first, last] = [50, 200].map(|host| link.example(host));
            let tip = format!("write it like range = [\"{first}\", \"{last}\"]");
            reader.problem_with_tip(&at, "server mode needs a `range` of addresses", tip);
        }
        return None;
    };
    let [first, last] = range.value.as_slice() else {
        reader.problem(&range.at, "must have two addresses: the first and the last");
        return None;
    };
    // Both are looked at, so that both are reported.
    let inside = [first, last].map(|end| fits(reader, end, link));
    if first.value > last.value {
        let message = format!("`{}` comes after `{}`", first.value, last.value);
        reader.problem(&range.at, message);
        return None;
    }
    let size = last.value.to_bits() - first.value.to_bits() + 1;
    if size > LARGEST {
        reader.problem(
            &range.at,
            format!("has {size} addresses, at most {LARGEST} are allowed"),
        );
    }
    (inside == [true, true]).then_some((first.value, last.value))
}

/// Whether a machine of this network can have the address.
fn fits(reader: &mut Reader<'_>, address: &Placed<Ipv4Addr>, link: &Link) -> bool {
    let Placed { value, at } = address;
    let hosts = !link.netmask.to_bits();
    let host = value.to_bits() & hosts;
    let message = if !link.contains(*value) {
        format!("`{value}` is outside of {}", link.name)
    } else if hosts > 1 && (host == 0 || host == hosts) {
        format!("`{value}` is the network's own or its broadcast address")
    } else {
        return true;
    };
    reader.problem(at, message);
    false
}

fn reservations(
    reader: &mut Reader<'_>,
    pairs: &[(Placed<&str>, Placed<&str>)],
    link: Option<&Link>,
) -> Reservations {
    let own = link.and_then(|link| link.own);
    let mut reservations = Reservations::default();
    for (card, address) in pairs {
        let mac = match card.value.parse::<Mac>() {
            Ok(mac) => mac,
            Err(error) => {
                reader.problem(&card.at, format!("`{}` {error}", card.value.escape_debug()));
                continue;
            }
        };
        let value = match values::address(address.value) {
            Ok(value) => value,
            Err(why) => {
                let shown = address.value.escape_debug();
                reader.problem(&address.at, format!("`{shown}` {why}"));
                continue;
            }
        };
        let at = address.at.clone();
        if link.is_some_and(|link| !fits(reader, &Placed { value, at }, link)) {
            continue;
        }
        if own == Some(value) {
            reader.problem(
                &address.at,
                format!("`{value}` is the appliance's own address"),
            );
            continue;
        }
        match reservations.reserve(mac, value) {
            Ok(()) => {}
            Err(other) if other == mac => {
                reader.problem(&card.at, format!("{mac} has another reservation already"));
            }
            Err(other) => reader.problem(
                &address.at,
                format!("`{value}` is reserved for {other} already"),
            ),
        }
    }
    reservations
}
