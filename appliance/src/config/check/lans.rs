//! `[lan]`, or `[[lan]]` for each of several → the LANs that are served.

use netboot::base::toml_reader::{Reader, Section};

use crate::config::values;
use crate::net;
use crate::net::{Interface, Lan, NoLan};

/// All LANs. The error is for the case that no key of the file is to blame.
pub(super) fn read(
    reader: &mut Reader<'_>,
    top: &mut Section<'_>,
    interfaces: &[Interface],
) -> Result<Vec<Lan>, Option<NoLan>> {
    let mut sections = top.one_or_several(reader, "lan");
    if sections.is_empty() {
        // The table is absent, and the interface may be obvious.
        sections.push(top.section(reader, "lan"));
    }
    let several = sections.len() > 1;
    let mut lans: Vec<Lan> = Vec::new();
    let mut wrong = None;
    for mut section in sections {
        let at = section.at();
        match one(reader, &mut section, interfaces, several) {
            Ok(lan) => match lans.iter().find_map(|other| clash(&lan, other)) {
                Some(message) => {
                    reader.problem(&at, message);
                    wrong = Some(None);
                }
                None => lans.push(lan),
            },
            Err(error) => wrong = Some(error),
        }
    }
    match wrong {
        Some(error) => Err(error),
        None => Ok(lans),
    }
}

/// One table; of several, each must be told from the others.
fn one(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    interfaces: &[Interface],
    several: bool,
) -> Result<Lan, Option<NoLan>> {
    let known_problems = reader.problem_count();
    let interface = section.text(reader, "interface");
    let address = section.parsed(reader, "address", values::address);
    let named = ["interface", "address"].map(|key| section.has(key));
    if several && named == [false, false] {
        let tip = "write interface = \"enp1s0\" below it";
        reader.problem_with_tip(
            &section.at(),
            "one LAN of several must say which it is",
            tip,
        );
    }
    let unread = reader.problem_count() > known_problems;
    section.finish(reader);
    if unread {
        return Err(None);
    }
    let name = interface.as_ref().map(|i| i.value);
    let chosen = net::choose(interfaces, name, address.as_ref().map(|a| a.value));
    chosen.map_err(|error| {
        let place = match (&interface, &address, &error) {
            (_, Some(address), NoLan::OtherAddress { .. } | NoLan::NobodyHas(_)) => &address.at,
            (Some(interface), _, _) => &interface.at,
            _ => return Some(error),
        };
        let facts = error
            .facts()
            .iter()
            .map(|f| format!(" ({f})"))
            .collect::<String>();
        reader.problem_with_tip(place, format!("{error}{facts}"), error.tip());
        None
    })
}

/// A broadcast is heard on every LAN of an interface, and an address may lie on one LAN only.
fn clash(lan: &Lan, other: &Lan) -> Option<String> {
    if lan.interface == other.interface {
        Some(format!(
            "`{}` is served by another [[lan]] already",
            lan.interface
        ))
    } else if lan.contains(other.address) || other.contains(lan.address) {
        Some(format!(
            "the LAN {lan} of `{}` overlaps with {other} of `{}`",
            lan.interface, other.interface
        ))
    } else {
        None
    }
}
