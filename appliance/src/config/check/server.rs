//! `[dhcp]` in server mode → the networks that addresses are leased in, and what goes out with them.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use netboot::lease::{Network, Reservations, Site, Subnet};
use netboot::mac::Mac;

use super::HOUR;
use crate::config::document::{Placed, Reader, Section};
use crate::config::{Dhcp, values};
use crate::lan::Lan;

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

pub(super) fn read(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    lan: Option<&Lan>,
) -> Option<Dhcp> {
    let link = lan.map(Link::of);
    let own = lan.map(|lan| lan.address);
    let subnet = subnet(reader, section, link.as_ref(), own);
    let relayed = relayed(reader, section, link.as_ref(), own);
    Some(Dhcp::Server(Arc::new(Site {
        server: own?,
        lan: subnet?,
        relayed: relayed?,
    })))
}

/// A network as far as addresses are held against it.
struct Link {
    network: Ipv4Addr,
    netmask: Ipv4Addr,
    /// For messages: `the LAN 10.77.0.1/24 of ``enp1s0```.
    name: String,
}

impl Link {
    fn of(lan: &Lan) -> Self {
        Self {
            network: lan.address,
            netmask: lan.netmask,
            name: format!("the LAN {lan} of `{}`", lan.interface),
        }
    }

    /// An address in it, for tips.
    fn example(&self, host: u32) -> Ipv4Addr {
        let mask = self.netmask.to_bits();
        Ipv4Addr::from((self.network.to_bits() & mask) | (host & !mask))
    }

    fn contains(&self, address: Ipv4Addr) -> bool {
        let mask = self.netmask.to_bits();
        address.to_bits() & mask == self.network.to_bits() & mask
    }
}

/// The `[[dhcp.subnet]]` tables: networks behind relay agents. Nothing if one of them is wrong.
fn relayed(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    lan: Option<&Link>,
    own: Option<Ipv4Addr>,
) -> Option<Vec<Subnet>> {
    let mut links: Vec<Placed<Link>> = Vec::new();
    let mut subnets = Some(Vec::new());
    for mut table in reader.tables(section, "subnet") {
        let network = reader.parsed(&mut table, "network", values::network);
        if network.is_none() && table.key_span("network").is_none() {
            let tip = "write it like network = \"10.78.0.0/24\"";
            reader.problem_with_tip(&table.at(), "the subnet has no `network`", tip);
        }
        if table.key_span("router").is_none() {
            let message = "the subnet has no `router`: its machines could not reach the appliance";
            let tip = "write the relay's address in that network, like router = \"10.78.0.1\"";
            reader.problem_with_tip(&table.at(), message, tip);
        }
        let link = network.map(|Placed { value, at }| {
            let (network, netmask) = value;
            let length = netmask.to_bits().count_ones();
            let name = format!("the network {network}/{length}");
            let value = Link {
                network,
                netmask,
                name,
            };
            Placed { value, at }
        });
        let subnet = subnet(reader, &mut table, link.as_ref().map(|l| &l.value), own);
        reader.finish(&table);
        if let Some(link) = &link {
            let others = lan.into_iter().chain(links.iter().map(|l| &l.value));
            for other in others {
                if other.contains(link.value.network) || link.value.contains(other.network) {
                    let message = format!("{} overlaps {}", link.value.name, other.name);
                    reader.problem(&link.at, message);
                }
            }
        }
        links.extend(link);
        match (subnet, &mut subnets) {
            (Some(subnet), Some(all)) => all.push(subnet),
            _ => subnets = None,
        }
    }
    subnets
}

/// The keys that the LAN and each subnet have. Nothing if they are wrong, or if `link` is not known.
fn subnet(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    link: Option<&Link>,
    own: Option<Ipv4Addr>,
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
    let reservations = reservations(reader, &reserved, link, own);
    let link = link?;
    let ends = ends(reader, section, range.as_ref(), link);
    let router_fits = router.as_ref().is_none_or(|r| fits(reader, r, link));
    let (first, last) = ends?;
    if let Some(router) = &router
        && router_fits
        && (first..=last).contains(&router.value)
        && Some(router.value) != own
    {
        let message = format!("the router `{}` lies in `range`", router.value);
        reader.problem(&router.at, message);
    }
    Some(Subnet {
        first,
        last,
        lease_time: lease_time.map_or(12 * HOUR, |t| t.value),
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
    own: Option<Ipv4Addr>,
) -> Reservations {
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
