//! `[dhcp]` in server mode → the networks that addresses are leased in, and what goes out with them.

mod link;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use netboot::base::mac::Mac;
use netboot::base::toml_reader::{Placed, Reader, Section};
use netboot::dhcp::lease::{NetworkParameters, Reservations, Site, Subnet};

use crate::config::{Dhcp, values};
use crate::net::Lan;
use link::CheckedNetwork;

/// The keys that describe one network.
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

/// The most addresses of a pool: no appliance serves more machines, so a larger pool is a mistake in the file.
const LARGEST: u32 = 1 << 16;

/// Where one LAN is served, what is said of it stands in `[dhcp]` itself; each of several has a `[[dhcp.subnet]]`
/// table, as the networks behind relay agents have.
pub(super) fn read(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    lans: &[Lan],
) -> Option<Dhcp> {
    let links: Vec<CheckedNetwork> = lans.iter().map(CheckedNetwork::of).collect();
    let only = match links.as_slice() {
        [] | [_] => subnet(reader, section, links.first()),
        [first, ..] => {
            refuse_keys_of_one(reader, section, first, links.len());
            None
        }
    };
    let tables = subnets(reader, section, &links);
    let own: Vec<Option<Subnet>> = match links.len() {
        0 | 1 => vec![only],
        several => {
            each_is_described(reader, section, &links, &tables);
            let of_lan = |at| tables.iter().rfind(|table| table.lan == Some(at));
            (0..several)
                .map(|at| of_lan(at).and_then(|table| table.subnet.clone()))
                .collect()
        }
    };
    let relayed = tables.iter().filter(|table| table.lan.is_none());
    let relayed: Option<Vec<Subnet>> = relayed.map(|table| table.subnet.clone()).collect();
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

fn refuse_keys_of_one(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    first: &CheckedNetwork,
    lans: usize,
) {
    let why = format!("does not say which of the {lans} LANs it is for");
    let tip = format!(
        "write it below [[dhcp.subnet]] with network = \"{}\"",
        first.network()
    );
    section.refuse(reader, OF_ONE.map(|key| (key, tip.as_str())), &why);
}

/// A `[[dhcp.subnet]]` table.
struct Described {
    /// `None` if it cannot be read.
    network: Option<CheckedNetwork>,
    /// Which of several LANs it is for; `None`: a network behind a relay agent.
    lan: Option<usize>,
    /// `None` if it has problems.
    subnet: Option<Subnet>,
}

/// The `[[dhcp.subnet]]` tables, in the order of the file.
fn subnets(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    lans: &[CheckedNetwork],
) -> Vec<Described> {
    let mut tables: Vec<Described> = Vec::new();
    for mut table in section.tables(reader, "subnet") {
        let network = network(reader, &mut table);
        let lan = network.as_ref().and_then(|network| lan_of(network, lans));
        if let Some(network) = &network {
            overlaps_none(reader, network, lan, lans, &tables);
        }
        // Without knowing the LANs and its network, it cannot be told whether the table is one of a LAN.
        let may_be_lan = lans.is_empty() || lans.len() > 1 && network.is_none();
        if lan.is_none() && !may_be_lan {
            has_router(reader, &table);
        }
        let network = network.map(|network| network.value);
        let link = lan.and_then(|at| lans.get(at)).or(network.as_ref());
        let subnet = subnet(reader, &mut table, link);
        table.finish(reader);
        tables.push(Described {
            network,
            lan,
            subnet,
        });
    }
    tables
}

fn network(reader: &mut Reader<'_>, table: &mut Section<'_>) -> Option<Placed<CheckedNetwork>> {
    let network = table.parsed(reader, "network", values::network);
    if !table.has("network") {
        let tip = "write it like network = \"10.78.0.0/24\"";
        reader.problem_with_tip(&table.at(), "the subnet has no `network`", tip);
    }
    let Placed { value, at } = network?;
    let value = CheckedNetwork::relayed(value);
    Some(Placed { value, at })
}

/// Which of several LANs the network is; what is said of the only one stands in `[dhcp]` itself.
fn lan_of(network: &Placed<CheckedNetwork>, lans: &[CheckedNetwork]) -> Option<usize> {
    match lans {
        [] | [_] => None,
        several => several.iter().position(|lan| lan.is(&network.value)),
    }
}

/// `lan`: which of the LANs it is.
fn overlaps_none(
    reader: &mut Reader<'_>,
    network: &Placed<CheckedNetwork>,
    lan: Option<usize>,
    lans: &[CheckedNetwork],
    before: &[Described],
) {
    let Placed { value: link, at } = network;
    let before = before.iter().filter_map(|table| table.network.as_ref());
    let others = before.chain(lans.iter().filter(|_| lan.is_none()));
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

fn has_router(reader: &mut Reader<'_>, table: &Section<'_>) {
    if !table.has("router") {
        let message = "the subnet has no `router`: its machines could not reach the appliance";
        let tip = "write the relay's address in that network, like router = \"10.78.0.1\"";
        reader.problem_with_tip(&table.at(), message, tip);
    }
}

/// Each of several LANs needs a table. One whose network cannot be read may be the one that is missed.
fn each_is_described(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    lans: &[CheckedNetwork],
    tables: &[Described],
) {
    if tables.iter().any(|table| table.network.is_none()) {
        return;
    }
    let at = section.key_span("mode").unwrap_or_else(|| section.at());
    for (index, lan) in lans.iter().enumerate() {
        if tables.iter().any(|table| table.lan == Some(index)) {
            continue;
        }
        let [first, last] = [50, 200].map(|host| lan.example(host));
        let message = format!("no [[dhcp.subnet]] says what is leased on {}", lan.name);
        let tip = format!(
            "write one with network = \"{}\" and range = [\"{first}\", \"{last}\"]",
            lan.network()
        );
        reader.problem_with_tip(&at, message, tip);
    }
}

/// The keys that each network has. `None` if they are wrong, or if `link` is not known.
fn subnet(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    link: Option<&CheckedNetwork>,
) -> Option<Subnet> {
    let range = section.list(reader, "range", values::address);
    let lease_time = section.parsed(reader, "lease-time", values::duration);
    let router = section.parsed(reader, "router", values::address);
    let dns = section.list(reader, "dns", values::address);
    let domain = section.parsed(reader, "domain", values::domain);
    let reserved = section.section(reader, "reservations").pairs(reader);

    // All keys are checked before the function returns, so that every problem is reported.
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
        network: NetworkParameters {
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
    link: &CheckedNetwork,
) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let Some(range) = range else {
        if !section.has("range") {
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
fn fits(reader: &mut Reader<'_>, address: &Placed<Ipv4Addr>, link: &CheckedNetwork) -> bool {
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
    link: Option<&CheckedNetwork>,
) -> Reservations {
    let own = link.and_then(|link| link.own);
    let mut reservations = Reservations::default();
    for (card, address) in pairs {
        let Some(mac) = reader.parse::<Mac>(card, "the MAC") else {
            continue;
        };
        let Some(address) = reader.meaning(address, "", values::address) else {
            continue;
        };
        let value = address.value;
        if link.is_some_and(|link| !fits(reader, &address, link)) {
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
