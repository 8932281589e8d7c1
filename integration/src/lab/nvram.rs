//! A boot order in OVMF's variables: network over IPv4 (PXE or HTTP boot) and disk, as one sets it in a firmware's menu.
//!
//! QEMU's `bootindex` cannot say that: to OVMF it means PXE over IPv4, then IPv6, then HTTP boot over both, and each of
//! them that gets no answer costs another minute. Formats: UEFI 2.10 §3.1.3 (load option), §10.3 (device paths); EDK2
//! `AuthenticatedVariableFormat.h`.

use std::ops::Range;

use anyhow::{Context as _, bail};

use super::machine::PciSlot;

/// EFI_GLOBAL_VARIABLE, 8BE4DF61-93CA-11D2-AA0D-00E098032B8C.
const GLOBAL: [u8; 16] = [
    0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c,
];
/// gEfiAuthenticatedVariableGuid, AAF32C78-947B-439A-A180-2E144EC37792.
const STORE: [u8; 16] = [
    0x78, 0x2c, 0xf3, 0xaa, 0x7b, 0x94, 0x9a, 0x43, 0xa1, 0x80, 0x2e, 0x14, 0x4e, 0xc3, 0x77, 0x92,
];
const STORE_HEADER: usize = 28;
const VARIABLE_HEADER: usize = 60;
const VARIABLE_ID: u16 = 0x55aa;
/// The variable is complete and in force.
const ADDED: u8 = 0x3f;
/// The mask that is applied to the state of a variable that is no longer in force.
const DELETED: u8 = !0x02;
/// Non-volatile, seen by boot services and at run time.
const ATTRIBUTES: u32 = 7;
/// Far from the numbers that OVMF gives to the options it finds by itself.
const NUMBERS: [u16; 2] = [0x0100, 0x0101];

/// What is tried first at every power-on; the other follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstBoot {
    Network,
    /// The network again, by UEFI HTTP boot: firmware that was told to do so does not try PXE.
    Http,
    Disk,
}

/// Writes the order into a copy of OVMF's template of variables. The disk is the nodes below a slot.
pub fn boot_order(
    vars: &mut [u8],
    mac: [u8; 6],
    card: PciSlot,
    (disk, nodes): (PciSlot, &[u8]),
    first: FirstBoot,
) -> anyhow::Result<()> {
    let ipv4 = [mac_node(mac), ipv4_node()].concat();
    let network = match first {
        FirstBoot::Http => (
            "Network (HTTP over IPv4)",
            device_path(card, &[ipv4, uri_node()].concat()),
        ),
        FirstBoot::Network | FirstBoot::Disk => {
            ("Network (PXE over IPv4)", device_path(card, &ipv4))
        }
    };
    let options = [network, ("Disk", device_path(disk, nodes))];
    for (number, (name, path)) in NUMBERS.into_iter().zip(options) {
        append(
            vars,
            &format!("Boot{number:04X}"),
            &load_option(name, &path),
        )?;
    }
    let mut order = NUMBERS;
    if first == FirstBoot::Disk {
        order.reverse();
    }
    append(vars, "BootOrder", &order.map(u16::to_le_bytes).concat())
}

/// The network for the next power-on only: what the key for the boot menu does (UEFI 2.10 §3.1.2, `BootNext`).
pub fn network_next(vars: &mut [u8]) -> anyhow::Result<()> {
    append(vars, "BootNext", &NUMBERS[0].to_le_bytes())
}

/// The entry with this title for the next power-on only.
pub fn next(vars: &mut [u8], title: &str) -> anyhow::Result<()> {
    let number = number_of(vars, &variables(vars)?, title)?;
    append(vars, "BootNext", &number.to_le_bytes())
}

/// The number of the boot entry with this title.
fn number_of(vars: &[u8], all: &[Variable], title: &str) -> anyhow::Result<u16> {
    let wanted = utf16(title);
    let of = all.iter().find_map(|variable| {
        let digits = variable
            .name
            .strip_prefix("Boot")
            .filter(|d| d.len() == 4)?;
        let number = u16::from_str_radix(digits, 16).ok()?;
        // A load option: attributes, length of the path, title (UEFI 2.10 §3.1.3).
        let title = vars.get(variable.data.clone())?.get(6..)?;
        title.starts_with(&wanted).then_some(number)
    });
    of.with_context(|| format!("the firmware has no boot entry `{title}`"))
}

/// The entries with these titles first, in this order, and the others behind them as they were: what people do in the menu,
/// and some firmware by itself.
pub fn put_first(vars: &mut [u8], titles: &[&str]) -> anyhow::Result<()> {
    let all = variables(vars)?;
    let number = |title: &&str| number_of(vars, &all, title);
    let mut order: Vec<u16> = titles.iter().map(number).collect::<Result<_, _>>()?;
    let known = all.iter().find(|variable| variable.name == "BootOrder");
    let known = known.context("the firmware has no boot order")?;
    for pair in vars[known.data.clone()].chunks_exact(2) {
        let number = u16::from_le_bytes([pair[0], pair[1]]);
        if !order.contains(&number) {
            order.push(number);
        }
    }
    let state = known.at + 2;
    vars[state] &= DELETED;
    let octets: Vec<u8> = order.iter().flat_map(|n| n.to_le_bytes()).collect();
    append(vars, "BootOrder", &octets)
}

/// A variable that is in force.
struct Variable {
    name: String,
    /// Where its header begins.
    at: usize,
    data: Range<usize>,
}

fn variables(vars: &[u8]) -> anyhow::Result<Vec<Variable>> {
    let mut all = Vec::new();
    let mut at = first(vars)?;
    while u16_at(vars, at)? == VARIABLE_ID {
        let size = |offset| anyhow::Ok(usize::try_from(u32_at(vars, at + offset)?)?);
        let data = at + VARIABLE_HEADER + size(36)?;
        let name = vars.get(at + VARIABLE_HEADER..data);
        let units = name.context("the variables are cut off")?.chunks_exact(2);
        let units: Vec<u16> = units
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        let name = String::from_utf16_lossy(&units);
        let data = data..data + size(40)?;
        if vars[at + 2] == ADDED {
            let name = name.trim_end_matches('\0').to_owned();
            all.push(Variable {
                name,
                at,
                data: data.clone(),
            });
        }
        at = align(data.end);
    }
    Ok(all)
}

fn append(vars: &mut [u8], name: &str, data: &[u8]) -> anyhow::Result<()> {
    let at = end(vars)?;
    let name = utf16(name);
    let mut bytes = Vec::new();
    bytes.extend(VARIABLE_ID.to_le_bytes());
    bytes.extend([ADDED, 0]);
    bytes.extend(ATTRIBUTES.to_le_bytes());
    // Monotonic count, time and key: zero, since the variable is not signed.
    bytes.extend([0; 8 + 16 + 4]);
    bytes.extend(u32::try_from(name.len())?.to_le_bytes());
    bytes.extend(u32::try_from(data.len())?.to_le_bytes());
    bytes.extend(GLOBAL);
    bytes.extend(name);
    bytes.extend(data);
    let free = vars
        .get_mut(at..at + bytes.len())
        .context("the variables are full")?;
    if free.iter().any(|byte| *byte != 0xff) {
        bail!("the variables are not empty after the last one");
    }
    free.copy_from_slice(&bytes);
    Ok(())
}

/// Where the first variable is.
fn first(vars: &[u8]) -> anyhow::Result<usize> {
    let volume = usize::from(u16_at(vars, 0x30)?);
    if vars.get(volume..volume + 16) != Some(&STORE) {
        bail!("these are no variables of OVMF: another format after the volume's header");
    }
    Ok(align(volume + STORE_HEADER))
}

/// Where the next variable goes.
fn end(vars: &[u8]) -> anyhow::Result<usize> {
    let mut at = first(vars)?;
    while u16_at(vars, at)? == VARIABLE_ID {
        let size = |offset| anyhow::Ok(usize::try_from(u32_at(vars, at + offset)?)?);
        at = align(at + VARIABLE_HEADER + size(36)? + size(40)?);
    }
    Ok(at)
}

fn load_option(name: &str, path: &[u8]) -> Vec<u8> {
    let active = 1_u32;
    let length = u16::try_from(path.len()).unwrap_or(u16::MAX);
    [
        &active.to_le_bytes()[..],
        &length.to_le_bytes(),
        &utf16(name),
        path,
    ]
    .concat()
}

/// `PciRoot(0x0)/Pci(device,0x0)/…` and the end.
fn device_path(place: PciSlot, rest: &[u8]) -> Vec<u8> {
    let root = [2, 1, 12, 0, 0xd0, 0x41, 0x03, 0x0a, 0, 0, 0, 0];
    let pci = [1, 1, 6, 0, 0, place.0];
    [&root[..], &pci, rest, &[0x7f, 0xff, 4, 0]].concat()
}

fn mac_node(mac: [u8; 6]) -> Vec<u8> {
    let mut node = vec![3, 11, 37, 0];
    node.extend(mac);
    node.extend([0; 26]);
    // Ethernet.
    node.push(1);
    node
}

/// Addresses from DHCP: all zero.
fn ipv4_node() -> Vec<u8> {
    let mut node = vec![3, 12, 27, 0];
    node.extend([0; 23]);
    node
}

/// A URI node without a URI: the firmware takes the one that DHCP names.
fn uri_node() -> Vec<u8> {
    vec![3, 24, 4, 0]
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16()
        .chain([0])
        .flat_map(u16::to_le_bytes)
        .collect()
}

fn align(at: usize) -> usize {
    at.next_multiple_of(4)
}

fn u16_at(bytes: &[u8], at: usize) -> anyhow::Result<u16> {
    let found = bytes.get(at..at + 2).context("the variables are cut off")?;
    Ok(u16::from_le_bytes(found.try_into()?))
}

fn u32_at(bytes: &[u8], at: usize) -> anyhow::Result<u32> {
    let found = bytes.get(at..at + 4).context("the variables are cut off")?;
    Ok(u32::from_le_bytes(found.try_into()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Vec<u8> {
        let mut vars = vec![0xff; 4096];
        vars[0x30..0x32].copy_from_slice(&0x48_u16.to_le_bytes());
        vars[0x48..0x58].copy_from_slice(&STORE);
        vars
    }

    #[test]
    fn variables_stand_one_after_the_other() {
        let mut vars = empty();
        let first = end(&vars).unwrap();
        assert_eq!(first, 0x64);
        append(&mut vars, "A", b"12345").unwrap();
        // Header 60, name 4, data 5, rounded up.
        assert_eq!(end(&vars).unwrap(), first + 72);
        let mac = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
        for (first, want) in [
            (FirstBoot::Network, [0x00, 0x01, 0x01, 0x01]),
            (FirstBoot::Http, [0x00, 0x01, 0x01, 0x01]),
            (FirstBoot::Disk, [0x01, 0x01, 0x00, 0x01]),
        ] {
            let mut vars = vars.clone();
            boot_order(&mut vars, mac, PciSlot(3), (PciSlot(4), &[]), first).unwrap();
            network_next(&mut vars).unwrap();
            let order = utf16("BootOrder");
            let at = vars.windows(order.len()).position(|w| w == order).unwrap();
            assert_eq!(
                vars[at + order.len()..at + order.len() + 4],
                want,
                "{first:?}"
            );
            let http = vars
                .windows(8)
                .any(|w| w == [3, 24, 4, 0, 0x7f, 0xff, 4, 0]);
            assert_eq!(http, first == FirstBoot::Http, "{first:?}");
        }
    }

    #[test]
    fn entries_are_put_first_by_their_titles_and_none_is_lost() {
        let mut vars = empty();
        let mac = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
        boot_order(
            &mut vars,
            mac,
            PciSlot(3),
            (PciSlot(4), &[]),
            FirstBoot::Network,
        )
        .unwrap();
        let order = |vars: &[u8]| {
            let all = variables(vars).unwrap();
            let mut orders = all.iter().filter(|v| v.name == "BootOrder");
            let order = vars[orders.next().unwrap().data.clone()].to_vec();
            assert!(orders.next().is_none(), "one is in force");
            order
        };
        assert_eq!(order(&vars), [0, 1, 1, 1]);
        put_first(&mut vars, &["Disk"]).unwrap();
        assert_eq!(order(&vars), [1, 1, 0, 1]);
        put_first(&mut vars, &["Network (PXE over IPv4)"]).unwrap();
        assert_eq!(order(&vars), [0, 1, 1, 1]);
        assert!(put_first(&mut vars, &["Dis"]).is_err(), "a part of a title");
        assert_eq!(order(&vars), [0, 1, 1, 1]);
    }

    #[test]
    fn what_is_not_ovmf_s_is_left_alone() {
        let mut other = vec![0; 4096];
        assert!(
            boot_order(
                &mut other,
                [0; 6],
                PciSlot(3),
                (PciSlot(4), &[]),
                FirstBoot::Network
            )
            .is_err()
        );
        assert!(other.iter().all(|byte| *byte == 0));
        let mut full = empty();
        full.truncate(0x80);
        assert!(
            boot_order(
                &mut full,
                [0; 6],
                PciSlot(3),
                (PciSlot(4), &[]),
                FirstBoot::Network
            )
            .is_err()
        );
    }
}
