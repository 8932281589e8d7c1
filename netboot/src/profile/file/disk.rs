//! The table `[disk]` of a profile → which disks, which are kept, and what goes onto the chosen ones.

use super::devices;
use crate::base::arch::CpuArch;
use crate::base::size::parse_size;
use crate::base::toml_reader::{Placed, Reader, Section};
use crate::disk::hardware::{DiskBus, Firmware};
use crate::disk::layout::{Layout, NamedLayout};
use crate::profile::{Select, Wipe};

const DESCRIBE: &str = "say which disk is meant, like { smallest = true, min-size = \"20G\" }";

/// What the table says.
pub(super) struct DiskSettings {
    pub(super) select: Vec<Select>,
    pub(super) keep: Vec<Select>,
    pub(super) layout: Layout,
    pub(super) wipe: Option<Wipe>,
}

/// `None` if there is no layout; other problems are only noted. `arch`: that of `system`, if it is one.
pub(super) fn read(
    reader: &mut Reader<'_>,
    top: &mut Section<'_>,
    arch: Option<&CpuArch>,
) -> Option<DiskSettings> {
    let Some(mut section) = top.table(reader, "disk") else {
        if !top.has("disk") {
            let tip = "add [disk] with select = { smallest = true } and layout = \"ext4\"";
            reader.problem_with_tip(&top.at(), "the profile has no table `[disk]`", tip);
        }
        return None;
    };
    let layout = layout(reader, &mut section, arch);
    let select = select(reader, &mut section);
    let keep = keep(reader, &mut section);
    let wipe = section.text(reader, "wipe").and_then(|text| {
        let words = [("allow", Wipe::Allow), ("ask", Wipe::Ask)];
        reader.word(&text, "answer to `wipe`", &words)
    });
    section.finish(reader);
    let layout = layout?;
    // How many disks there are is the same for both kinds of firmware.
    let wanted = layout.devices(Firmware::Uefi).disks.len();
    if select.len() > 1 && select.len() != wanted {
        let message = format!(
            "`select` has {} tables, but layout `{}` is for {}",
            select.len(),
            layout.name(),
            disks(wanted)
        );
        let place = section.key_span("select").unwrap_or_default();
        reader.problem(&place, message);
    }
    Some(DiskSettings {
        select,
        keep,
        layout,
        wipe,
    })
}

fn disks(count: usize) -> String {
    match count {
        1 => "1 disk".to_owned(),
        n => format!("{n} disks"),
    }
}

/// Which disks are chosen: one table, or one for each disk.
fn select(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Vec<Select> {
    let before = reader.problem_count();
    let mut tables = section.one_or_several(reader, "select");
    if tables.is_empty() && reader.problem_count() == before {
        let place = section.key_span("select").unwrap_or(section.at());
        let message = "`[disk]` needs a `select` that describes a disk";
        reader.problem_with_tip(&place, message, DESCRIBE);
    }
    let read = tables
        .iter_mut()
        .map(|table| selection(reader, table, "select"));
    read.collect()
}

/// Which disks are never written to.
fn keep(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Vec<Select> {
    let mut tables = section.tables(reader, "keep");
    let read = tables.iter_mut().map(|table| {
        let kept = selection(reader, table, "keep");
        if kept.smallest || kept.largest {
            let message = "`keep` says which disks are kept by what they are, not by their order";
            reader.problem(&table.at(), message);
        }
        kept
    });
    read.collect()
}

/// A table that says of disks what they are. `key`: how it is called.
fn selection(reader: &mut Reader<'_>, table: &mut Section<'_>, key: &str) -> Select {
    let before = reader.problem_count();
    let bus = word(reader, table, "bus");
    let select = Select {
        by_id: word(reader, table, "by-id"),
        serial: word(reader, table, "serial"),
        wwn: word(reader, table, "wwn"),
        model: word(reader, table, "model"),
        bus: bus.as_deref().map(DiskBus::from),
        min_size: size(reader, table, "min-size"),
        max_size: size(reader, table, "max-size"),
        smallest: flag(reader, table, "smallest"),
        largest: flag(reader, table, "largest"),
        not_removable: flag(reader, table, "not-removable"),
    };
    table.finish(reader);
    if select == Select::default() && reader.problem_count() == before {
        reader.problem_with_tip(&table.at(), format!("`{key}` describes no disk"), DESCRIBE);
    }
    if select.smallest && select.largest {
        let message = "a disk cannot be the smallest and the largest";
        reader.problem(&table.at(), message);
    }
    select
}

fn flag(reader: &mut Reader<'_>, table: &mut Section<'_>, key: &'static str) -> bool {
    let flag = table.flag(reader, key);
    flag.is_some_and(|flag| flag.value)
}

/// Many disks have no serial number: an empty one would mean each of them.
fn word(reader: &mut Reader<'_>, table: &mut Section<'_>, key: &'static str) -> Option<String> {
    let text = table.text(reader, key)?;
    if text.value.trim().is_empty() {
        let tip = "write what `lsblk -o NAME,MODEL,SERIAL,WWN` or `pxe-admin show` prints, or take it out";
        reader.problem_with_tip(&text.at, format!("`{key}` is empty"), tip);
    }
    Some(text.value.to_owned())
}

fn size(reader: &mut Reader<'_>, table: &mut Section<'_>, key: &'static str) -> Option<u64> {
    let size = table.parsed(reader, key, bytes)?;
    Some(size.value)
}

fn bytes(text: &str) -> Result<u64, String> {
    parse_size(text).ok_or_else(|| "is not a size; write it like 20G or 512M".to_owned())
}

/// The layout: by its name, or as a table.
fn layout(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    arch: Option<&CpuArch>,
) -> Option<Layout> {
    let name = section.text(reader, "layout");
    let devices = section.table(reader, "devices");
    let engine = section.text(reader, "engine");
    let swap = section.parsed(reader, "swap", bytes);
    match (section.has("layout"), section.has("devices")) {
        (true, false) => {
            refuse_engine(reader, engine.as_ref());
            let swap = swap.map(|size| whole_mebibytes(reader, size));
            let words = NamedLayout::ALL.map(|named| (named.name(), named));
            let name = reader.word(&name?, "layout", &words)?;
            Some(Layout::Named { name, swap })
        }
        (false, true) => {
            if let Some(swap) = swap {
                let tip = "give it a partition: content = { type = \"swap\" }";
                let message = "`swap` is for layouts that have a name";
                reader.problem_with_tip(&swap.at, message, tip);
            }
            match section.has("engine") {
                true => {
                    by_disko(reader, &engine?)?;
                    devices::scripted::read(reader, devices?).map(Layout::Scripted)
                }
                false => devices::read(reader, devices?, arch).map(Layout::Table),
            }
        }
        (true, true) => {
            refuse_engine(reader, engine.as_ref());
            let name = name?;
            let message = format!(
                "there is a layout by name (`{}`) and one in `[disk.devices]`",
                name.value
            );
            reader.problem_with_tip(&name.at, message, "take one of them out");
            None
        }
        (false, false) => {
            let tip = "write layout = \"ext4\", or the whole table under [disk.devices]";
            let message = "`[disk]` needs either `layout` or `devices`";
            reader.problem_with_tip(&section.at(), message, tip);
            refuse_engine(reader, engine.as_ref());
            None
        }
    }
}

/// `engine`, where there is a table of devices and no name: disko's own script lays it out.
fn by_disko(reader: &mut Reader<'_>, engine: &Placed<&str>) -> Option<()> {
    if engine.value == "disko" {
        return Some(());
    }
    no_engine(reader, engine);
    None
}

/// `engine`, where there is no table that it could lay out.
fn refuse_engine(reader: &mut Reader<'_>, engine: Option<&Placed<&str>>) {
    match engine {
        Some(engine) if engine.value == "disko" => {
            let message = "`engine = \"disko\"` is for a table under [disk.devices]";
            let tip = "take it out: a layout that has a name is laid out by the plan";
            reader.problem_with_tip(&engine.at, message, tip);
        }
        Some(other) => no_engine(reader, other),
        None => {}
    }
}

fn no_engine(reader: &mut Reader<'_>, engine: &Placed<&str>) {
    let message = format!("no engine is called `{}`, expected `disko`", engine.value);
    let tip = "take it out: then the plan lays the table out, command by command";
    reader.problem_with_tip(&engine.at, message, tip);
}

/// The size; partitions are made of whole MiB.
fn whole_mebibytes(reader: &mut Reader<'_>, size: Placed<u64>) -> u64 {
    let Placed { value: bytes, at } = size;
    if bytes == 0 || bytes % (1 << 20) != 0 {
        let message = format!("`swap` is {bytes} bytes, which is not a whole number of MiB");
        reader.problem_with_tip(&at, message, "write it like 512M or 4G");
    }
    bytes
}
