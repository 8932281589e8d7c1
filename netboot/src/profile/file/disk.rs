//! The table `[disk]` of a profile → which disks, which are kept, and what goes onto the chosen ones.

use std::ops::Range;

use toml::Spanned;

use super::tables::{DiskTable, SelectTable, place_in_disk};
use super::{Reader, devices};
use crate::disk::hardware::{DiskBus, Firmware};
use crate::disk::layout::{Layout, Named};
use crate::profile::Select;

/// What the table says.
pub(super) struct Disk {
    pub(super) select: Vec<Select>,
    pub(super) keep: Vec<Select>,
    pub(super) layout: Layout,
}

/// Nothing if there is no layout; other problems are only reported. `arch`: that of `system`, if it is one.
pub(super) fn read(
    reader: &mut Reader<'_>,
    written: &DiskTable,
    arch: Option<&str>,
) -> Option<Disk> {
    let layout = layout(reader, written, arch);
    let place = place_in_disk(reader.text, "select");
    let tables = &written.select.0;
    if tables.is_empty() {
        selects_nothing(reader, &place);
    }
    let select: Vec<Select> = tables
        .iter()
        .map(|table| selection(reader, table, &place))
        .collect();
    if let Some(layout) = &layout {
        // How many disks there are is the same for both.
        let wanted = layout.devices(Firmware::Uefi).disks.len();
        if select.len() > 1 && select.len() != wanted {
            let has = select.len();
            let message = format!(
                "`select` has {has} tables, but layout `{}` is for {}",
                layout.name(),
                disks(wanted)
            );
            reader.wrong(&place, message);
        }
    }
    let keep = written.keep.iter().map(|table| {
        let place = table.span();
        let select = selection(reader, table.get_ref(), &place);
        if select.smallest || select.largest {
            let message = "`keep` says which disks are kept by what they are, not by their order";
            reader.wrong(&place, message);
        }
        select
    });
    let keep = keep.collect();
    Some(Disk {
        select,
        keep,
        layout: layout?,
    })
}

fn disks(count: usize) -> String {
    match count {
        1 => "1 disk".to_owned(),
        n => format!("{n} disks"),
    }
}

/// Either a name, or all of it.
fn layout(reader: &mut Reader<'_>, written: &DiskTable, arch: Option<&str>) -> Option<Layout> {
    let swap = written.swap.as_ref();
    let scripted = scripted(reader, written)?;
    match (&written.layout, &written.devices) {
        (Some(name), None) => {
            let swap = swap.map(|text| self::swap(reader, text));
            let name = named(reader, name)?;
            Some(Layout::Named {
                name,
                swap: swap.flatten(),
            })
        }
        (None, Some(devices)) => {
            if let Some(swap) = swap {
                let tip = "give it a partition: content = { type = \"swap\" }";
                let message = "`swap` is for layouts that have a name";
                reader.wrong(&swap.span(), message).tip = Some(tip.to_owned());
            }
            let place = place_in_disk(reader.text, "devices");
            if scripted {
                let read = devices::scripted::read(reader, devices, &place);
                return read.map(Layout::Scripted);
            }
            devices::read(reader, devices, &place, arch).map(Layout::Table)
        }
        (Some(name), Some(_)) => {
            let message = format!(
                "there is a layout by name (`{}`) and one in `[disk.devices]`",
                name.get_ref()
            );
            let tip = "take one of them out";
            reader.wrong(&name.span(), message).tip = Some(tip.to_owned());
            None
        }
        (None, None) => {
            let place = place_in_disk(reader.text, "select");
            let tip = "write layout = \"ext4\", or the whole table under [disk.devices]";
            let message = "`[disk]` says not what goes onto the disk";
            reader.wrong(&place, message).tip = Some(tip.to_owned());
            None
        }
    }
}

/// Whether disko's own script is to lay the table out; nothing if that is told wrong.
fn scripted(reader: &mut Reader<'_>, written: &DiskTable) -> Option<bool> {
    let Some(engine) = &written.engine else {
        return Some(false);
    };
    let (message, tip) = match engine.get_ref().as_str() {
        "disko" if written.devices.is_some() && written.layout.is_none() => return Some(true),
        "disko" => (
            "`engine = \"disko\"` is for a table under [disk.devices]".to_owned(),
            "take it out: a layout that has a name is laid out by the plan",
        ),
        other => (
            format!("no engine is called `{other}`, expected `disko`"),
            "take it out: then the plan lays the table out, command by command",
        ),
    };
    reader.wrong(&engine.span(), message).tip = Some(tip.to_owned());
    None
}

fn named(reader: &mut Reader<'_>, text: &Spanned<String>) -> Option<Named> {
    reader.word(
        text,
        "layout",
        &Named::ALL.map(|named| (named.name(), named)),
    )
}

fn swap(reader: &mut Reader<'_>, text: &Spanned<String>) -> Option<u64> {
    let bytes = size(reader, text)?;
    if bytes == 0 || bytes % (1 << 20) != 0 {
        let message = format!("`{}` is no whole number of MiB", text.get_ref());
        reader.wrong(&text.span(), message);
        return None;
    }
    Some(bytes)
}

fn selects_nothing(reader: &mut Reader<'_>, place: &Range<usize>) {
    let tip = "say which disk is meant, like { smallest = true, min-size = \"20G\" }";
    reader.wrong(place, "selects no disk").tip = Some(tip.to_owned());
}

fn selection(reader: &mut Reader<'_>, written: &SelectTable, place: &Range<usize>) -> Select {
    let min_size = written
        .min_size
        .as_ref()
        .and_then(|text| size(reader, text));
    let max_size = written
        .max_size
        .as_ref()
        .and_then(|text| size(reader, text));
    let select = Select {
        by_id: written.by_id.clone(),
        serial: written.serial.clone(),
        wwn: written.wwn.clone(),
        model: written.model.clone(),
        bus: written.bus.as_deref().map(DiskBus::from),
        min_size,
        max_size,
        smallest: written.smallest,
        largest: written.largest,
        not_removable: written.not_removable,
    };
    if select == Select::default() {
        selects_nothing(reader, place);
    }
    for (key, text) in [
        ("by-id", &select.by_id),
        ("serial", &select.serial),
        ("wwn", &select.wwn),
        ("model", &select.model),
        ("bus", &written.bus),
    ] {
        // Many disks have no serial number: each of them would be meant.
        if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
            let tip = "write what `lsblk -o NAME,MODEL,SERIAL,WWN` or `pxe-admin show` prints, or take it out";
            reader.wrong(place, format!("`{key}` is empty")).tip = Some(tip.to_owned());
        }
    }
    if select.smallest && select.largest {
        reader.wrong(place, "a disk cannot be the smallest and the largest");
    }
    select
}

fn size(reader: &mut Reader<'_>, text: &Spanned<String>) -> Option<u64> {
    let bytes = bytes(text.get_ref());
    if bytes.is_none() {
        let message = format!(
            "`{}` is not a size; write it like 20G or 512M",
            text.get_ref()
        );
        reader.wrong(&text.span(), message);
    }
    bytes
}

/// `20G`, `512M`, `1T`, `1048576`: powers of 1024, as disk tools mean them.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let (digits, unit) = text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    );
    let shift = match unit {
        "" => 0,
        "K" | "KiB" => 10,
        "M" | "MiB" => 20,
        "G" | "GiB" => 30,
        "T" | "TiB" => 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}
