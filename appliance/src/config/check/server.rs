//! `[dhcp]` in server mode → the pool and what goes out with an address.

use std::net::Ipv4Addr;
use std::time::Duration;

use netboot::lease::Pool;
use netboot::mac::Mac;
use netboot::reply::Network;

use super::{HOUR, Reservations};
use crate::config::document::{Placed, Reader, Section};
use crate::config::{Dhcp, values};
use crate::lan::Lan;

/// The keys that mean something in server mode only.
pub(super) const KEYS: [&str; 6] = [
    "range",
    "lease-time",
    "router",
    "dns",
    "domain",
    "reservations",
];

/// A pool is walked address by address, so it has an end.
const LARGEST: u32 = 1 << 16;

pub(super) fn read(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    lan: Option<&Lan>,
) -> Option<Dhcp> {
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
    let reservations = reservations(reader, &reserved, lan);
    let lan = lan?;
    let router_fits = router.as_ref().is_none_or(|r| on_the_lan(reader, r, lan));
    let (first, last) = ends(reader, section, range.as_ref(), lan)?;
    if let Some(router) = &router
        && router_fits
        && (first..=last).contains(&router.value)
        && router.value != lan.address
    {
        let message = format!("the router `{}` lies in `range`", router.value);
        reader.problem(&router.at, message);
    }
    Some(Dhcp::Server {
        pool: Pool {
            first,
            last,
            netmask: lan.netmask,
            server: lan.address,
            lease_time: lease_time.map_or(12 * HOUR, |t| t.value),
            reservations,
        },
        network: Network {
            netmask: lan.netmask,
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
    lan: &Lan,
) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let Some(range) = range else {
        if section.key_span("range").is_none() {
            let at = section.key_span("mode").unwrap_or_default();
            let tip = "write it like range = [\"10.77.0.50\", \"10.77.0.200\"]";
            reader.problem_with_tip(&at, "server mode needs a `range` of addresses", tip);
        }
        return None;
    };
    let [first, last] = range.value.as_slice() else {
        reader.problem(&range.at, "must have two addresses: the first and the last");
        return None;
    };
    // Both are looked at, so that both are reported.
    let inside = [first, last].map(|end| on_the_lan(reader, end, lan));
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

/// An address that a machine of this LAN can have.
fn on_the_lan(reader: &mut Reader<'_>, address: &Placed<Ipv4Addr>, lan: &Lan) -> bool {
    let Placed { value, at } = address;
    let hosts = !lan.netmask.to_bits();
    let host = value.to_bits() & hosts;
    let message = if !lan.contains(*value) {
        format!(
            "`{value}` is outside of the LAN {lan} of `{}`",
            lan.interface
        )
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
    lan: Option<&Lan>,
) -> Reservations {
    let mut reservations = Reservations::new();
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
        if lan.is_some_and(|lan| !on_the_lan(reader, &Placed { value, at }, lan)) {
            continue;
        }
        if lan.is_some_and(|lan| value == lan.address) {
            reader.problem(
                &address.at,
                format!("`{value}` is the appliance's own address"),
            );
        } else if let Some((other, _)) = reservations.iter().find(|(_, a)| **a == value) {
            reader.problem(
                &address.at,
                format!("`{value}` is reserved for {other} already"),
            );
        } else if reservations.insert(mac, value).is_some() {
            reader.problem(&card.at, format!("{mac} has another reservation already"));
        }
    }
    reservations
}
