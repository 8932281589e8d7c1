//! Whatever the hardware, whatever the profile: only chosen disks, no overlap, whole MiB, the same for the same input.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::*;
use crate::disk::layout::{Content, Devices, LayoutPartition};
use crate::install::report::InstallStep;

/// What a generated profile says, besides the text that is read.
#[derive(Debug, Clone)]
struct WrittenRange {
    text: String,
    /// The serials of `select`, in its order; none: it selects by size.
    serials: Vec<String>,
    min_size: u64,
    keep: Option<String>,
}

fn sizes() -> impl Strategy<Value = u64> {
    // Few real disks are whole MiB, and some broken ones are not whole sectors.
    prop_oneof![
        1 => 0..3 * GIB,
        6 => (4 * GIB..64 * GIB).prop_map(|size| size / 512 * 512),
        2 => 4 * GIB..64 * GIB,
        1 => 1u64 << 42..1 << 45,
    ]
}

fn serials() -> impl Strategy<Value = String> {
    prop_oneof![6 => "[A-D]", 1 => Just(String::new())]
}

/// Partitions one after the other, some of them with the labels of layouts.
fn holdings(node: String, sector: u64, end: u64) -> impl Strategy<Value = Vec<Signature>> {
    let label = prop_oneof![
        2 => "k[0-2][0-2]",
        2 => "x[0-9]",
        1 => Just(String::new()),
        1 => Just("disk-main-root".to_owned()),
    ];
    let kind = prop_oneof![
        6 => Just("ext4"), 2 => Just("xfs"), 1 => Just(""), 1 => Just("linux_raid_member"), 1 => Just("btrfs")
    ];
    let one = (0..8 * GIB, sector..8 * GIB, label, kind, 0..40u8);
    prop::collection::vec(one, 0..4).prop_map(move |all| {
        let mut from = 2048 * 512;
        let mut holds = Vec::new();
        for (number, (gap, size, label, kind, group)) in (1..).zip(all) {
            let start = (from + gap) / sector * sector;
            let size = size / sector * sector;
            if start + size > end {
                break;
            }
            from = start + size;
            holds.push(Signature {
                start,
                size,
                member_of: (kind == "linux_raid_member").then(|| Group {
                    name: "nas:0".to_owned(),
                    id: group.to_string(),
                }),
                ..signature(&format!("{node}{number}"), kind, &label)
            });
        }
        holds
    })
}

fn some_disk(letter: char) -> impl Strategy<Value = Disk> {
    let node = format!("sd{letter}");
    let odd = prop::bool::weighted(0.08);
    (
        sizes(),
        prop_oneof![4 => Just(512u32), 1 => Just(4096)],
        serials(),
        prop_oneof![8 => Just("sata"), 1 => Just("usb")],
        (odd, odd, odd),
    )
        .prop_flat_map(
            move |(size, sector, serial, bus, (removable, read_only, boot_medium))| {
                let node = node.clone();
                let all = holdings(
                    node.clone(),
                    u64::from(sector),
                    size.saturating_sub(34 * 4096),
                );
                all.prop_map(move |holds| Disk {
                    size,
                    sector,
                    serial: serial.clone(),
                    bus: DiskBus::from(bus),
                    removable,
                    read_only,
                    boot_medium,
                    holds,
                    ..disk(&node, size)
                })
            },
        )
}

fn machine() -> impl Strategy<Value = Hardware> {
    let all: Vec<_> = ('a'..='h')
        .map(|letter| some_disk(letter).boxed())
        .collect();
    let some = (0..=8usize).prop_flat_map(move |count| all[..count].to_vec());
    (any::<bool>(), some).prop_map(|(uefi, disks)| {
        let firmware = if uefi { Firmware::Uefi } else { Firmware::Bios };
        hardware(firmware, disks)
    })
}

/// A table of this many disks; not every one is without problems.
fn table(disks: usize) -> impl Strategy<Value = String> {
    let room = prop_oneof![
        16 => (1..3000u32).prop_map(|size| format!("size = \"{size}M\"")),
        1 => (1..60_000u32, 1..4000u32).prop_map(|(start, size)| format!("start = \"{start}M\", size = \"{size}M\"")),
        2 => Just("size = \"100%\"".to_owned()),
        1 => (1..4000u32).prop_map(|free| format!("end = \"-{free}M\"")),
        1 => (1..20_000u32).prop_map(|start| format!("start = \"{start}M\", size = \"100%\"")),
    ];
    let content = prop_oneof![
        4 => "ext4|xfs".prop_map(|format| format!("{{ type = \"filesystem\", format = \"{format}\" }}")),
        1 => Just("{ type = \"swap\" }".to_owned()),
        1 => Just("{ type = \"btrfs\", subvolumes = { \"@\" = {}, \"/@/b\" = {} } }".to_owned()),
    ];
    let keeps = any::<bool>();
    let part = (room, content, keeps, 1..4000u32);
    let per_disk = prop::collection::vec(part, 0..4);
    let root = prop_oneof![
        2 => Just("size = \"100%\""),
        1 => Just("end = \"-512M\""),
        4 => Just("size = \"4G\""),
        1 => Just("size = \"6000M\", start = \"3G\""),
    ];
    (prop::collection::vec(per_disk, disks), 0..disks, root, any::<bool>()).prop_map(
        move |(all, root_on, root, mirrored)| {
            let mut text = String::new();
            for (number, parts) in all.iter().enumerate() {
                let head = format!("disk.devices.disk.d{number}.content");
                text.push_str(&format!("[{head}]\ntype = \"gpt\"\n[{head}.partitions]\n"));
                if number == 0 {
                    text.push_str(concat!(
                        "core = { type = \"EF02\", size = \"1M\" }\n",
                        "ESP = { type = \"EF00\", size = \"512M\", content = ",
                        "{ type = \"filesystem\", format = \"vfat\", mountpoint = \"/boot\" } }\n",
                    ));
                }
                if number == root_on {
                    text.push_str(&format!(
                        "root = {{ {root}, content = {{ type = \"filesystem\", format = \"ext4\", mountpoint = \"/\" }} }}\n"
                    ));
                }
                if mirrored && disks > 1 {
                    text.push_str("half = { size = \"1G\", content = { type = \"mdraid\", name = \"both\" } }\n");
                }
                for (place, (room, content, keeps, priority)) in parts.iter().enumerate() {
                    let keeps = match *keeps && !content.contains("swap") {
                        true => format!("preserve = true, label = \"k{number}{place}\", "),
                        false => String::new(),
                    };
                    text.push_str(&format!(
                        "p{place} = {{ {keeps}{room}, priority = {priority}, content = {content} }}\n"
                    ));
                }
            }
            if mirrored && disks > 1 {
                text.push_str("[disk.devices.mdadm.both]\ncontent = { type = \"luks\", name = \"secret\", content = { type = \"swap\" } }\n");
            }
            text
        },
    )
}

fn profile() -> impl Strategy<Value = WrittenRange> {
    let layout = prop_oneof![
        3 => (prop::sample::select(crate::disk::layout::NamedLayout::ALL.to_vec()), prop_oneof![Just(None), (1..4000u32).prop_map(Some)])
            .prop_map(|(named, swap)| {
                let disks = named.devices(Firmware::Uefi, None).disks.len();
                let swap = swap.map_or_else(String::new, |swap| format!("swap = \"{swap}M\"\n"));
                (disks, format!("layout = \"{}\"\n{swap}", named.name()), String::new())
            }),
        7 => (1..4usize).prop_flat_map(|disks| table(disks).prop_map(move |text| (disks, String::new(), text))),
    ];
    let keep = prop::option::of("[A-D]");
    let wipe = prop_oneof![
        Just(""),
        Just("wipe = \"ask\"\n"),
        Just("wipe = \"allow\"\n")
    ];
    let by = (0..4u8, prop::collection::vec("[A-D]", 3), 1..8u64);
    (layout, keep, wipe, by).prop_map(|((disks, layout, table), keep, wipe, (by, serials, gib))| {
        let mut written = WrittenRange {
            text: String::new(),
            serials: Vec::new(),
            min_size: 0,
            keep,
        };
        let select = match by {
            // A list of one table is a table.
            0 => {
                written.serials = serials[..disks].to_vec();
                let all = written
                    .serials
                    .iter()
                    .map(|serial| format!("{{ serial = \"{serial}\" }}"));
                format!("[{}]", all.collect::<Vec<_>>().join(", "))
            }
            by => {
                written.min_size = gib * GIB;
                let extreme = ["smallest = true, ", "largest = true, ", ""][usize::from(by - 1)];
                format!("{{ {extreme}min-size = \"{gib}G\" }}")
            }
        };
        let keep = written.keep.as_ref();
        let keep = keep.map_or_else(String::new, |serial| {
            format!("keep = [{{ serial = \"{serial}\" }}]\n")
        });
        written.text = format!("select = {select}\n{keep}{wipe}{layout}{table}");
        written
    })
}

/// Counts how often each kind of case was generated: a property that never met a case does not prove it.
#[derive(Default)]
struct SeenPlan(BTreeMap<&'static str, Cell<u32>>);

impl SeenPlan {
    fn count(&self, what: &'static str, is: bool) {
        if let Some(count) = self.0.get(what).filter(|_| is) {
            count.set(count.get() + 1);
        }
    }
}

const AT_LEAST: [(&str, u32); 8] = [
    ("plans", 200),
    ("plans for several disks", 40),
    ("plans beside other disks", 150),
    ("plans that keep a disk", 40),
    ("plans that keep a partition", 30),
    ("plans around a partition that lies askew", 20),
    ("plans with an array", 20),
    ("refusals", 150),
];

#[test]
fn a_plan_writes_to_chosen_disks_only_and_lays_them_out_soundly() {
    let seen = SeenPlan(AT_LEAST.map(|(what, _)| (what, Cell::new(0))).into());
    let config = Config {
        cases: Config::default().cases.max(1000),
        failure_persistence: None,
        ..Config::default()
    };
    let cases = config.cases;
    let mut runner = TestRunner::new(config);
    let run = runner.run(
        &(machine(), profile(), 0..2048u64),
        |(machine, written, nudge)| {
            let Some(profile) = try_profile(&written.text, "agent") else {
                // Two that overlap, two that take all that is left: not every table is one.
                return Ok(());
            };
            match plan_by(&machine, &profile) {
                Ok(plan) => {
                    let devices = profile.layout.devices(machine.firmware);
                    sound(&machine, &written, &devices, &plan, &seen)?;
                    let again = plan_by(&machine, &profile);
                    prop_assert_eq!(again.as_ref(), Ok(&plan), "the same again");
                    let mut other = machine.clone();
                    other.disks.reverse();
                    let again = plan_by(&other, &profile);
                    let again = again.map(|plan| (plan.disks, plan.commands));
                    let first = (plan.disks.clone(), plan.commands.clone());
                    prop_assert_eq!(again, Ok(first), "in whatever order they are listed");
                    let after = installed(&machine, &devices, &plan, nudge);
                    let again = plan_by(&after, &profile);
                    let again =
                        again.map_err(|refusal| TestCaseError::fail(refusal.to_string()))?;
                    sound(&after, &written, &devices, &again, &seen)?;
                    prop_assert_eq!(places(&again), places(&plan), "installed again as it is");
                }
                Err(refusal) => {
                    seen.count("refusals", true);
                    prop_assert!(!refusal.message.is_empty());
                }
            }
            Ok(())
        },
    );
    run.unwrap_or_else(|error| panic!("{error}"));
    for (what, least) in AT_LEAST {
        let count = seen.0[what].get();
        assert!(
            count >= least,
            "{what}: {count} of {cases} cases, {least} are wanted"
        );
    }
}

/// The machine after an install by this plan. What is to stay was made smaller since, by so many sectors at either end that
/// it begins and ends somewhere in its first and last MiB.
fn installed(machine: &Hardware, devices: &Devices, plan: &Plan, nudge: u64) -> Hardware {
    let mut machine = machine.clone();
    for (planned, wanted) in plan.disks.iter().zip(&devices.disks) {
        let disks = &mut machine.disks;
        let disk = disks.iter_mut().find(|disk| disk.node == planned.disk.node);
        let disk = disk.expect("found");
        disk.holds = vec![signature(&disk.node, "gpt", "")];
        for partition in &planned.partitions {
            let slot = wanted
                .partitions
                .iter()
                .find(|s| s.label == partition.label);
            let content = slot.and_then(|slot| slot.content.as_ref());
            let kind = match content {
                None => "",
                Some(Content::Filesystem { format, .. }) => format.name(),
                Some(Content::Btrfs { .. }) => "btrfs",
                Some(Content::Swap) => "swap",
                Some(Content::Luks { .. }) => "crypto_LUKS",
                Some(Content::Raid { .. }) => "linux_raid_member",
                Some(Content::Zfs { .. }) => "zfs_member",
            };
            let sector = u64::from(disk.sector);
            let stays = slot.is_some_and(|slot| slot.preserve) && !partition.kept;
            let less = match stays && partition.size > 2 * MIB {
                true => nudge * sector % MIB,
                false => 0,
            };
            disk.holds.push(Signature {
                start: partition.start + less,
                size: partition.size - 2 * less,
                ..signature(
                    &format!("{}{}", disk.node, partition.number),
                    kind,
                    &partition.label,
                )
            });
        }
    }
    machine
}

/// Label, first and last MiB of every partition.
fn places(plan: &Plan) -> Vec<(&str, u64, u64)> {
    let all = plan.disks.iter().flat_map(|disk| &disk.partitions);
    let place = |p: &'_ Partition| (p.start / MIB, (p.start + p.size).div_ceil(MIB));
    all.map(|p| (p.label.as_str(), place(p).0, place(p).1))
        .collect()
}

fn plan_by(machine: &Hardware, profile: &Profile) -> Result<Plan, Refusal> {
    plan_with_profile(machine, profile, Some("https://10.77.0.10:6443"))
}

fn sound(
    machine: &Hardware,
    written: &WrittenRange,
    devices: &Devices,
    plan: &Plan,
    seen: &SeenPlan,
) -> Result<(), TestCaseError> {
    let nodes: BTreeSet<&str> = plan
        .disks
        .iter()
        .map(|disk| disk.disk.node.as_str())
        .collect();
    prop_assert_eq!(nodes.len(), plan.disks.len(), "a disk is chosen once");
    prop_assert_eq!(plan.disks.len(), devices.disks.len());
    let (chosen, others): (Vec<&Disk>, Vec<&Disk>) = machine
        .disks
        .iter()
        .partition(|disk| nodes.contains(disk.node.as_str()));
    prop_assert_eq!(chosen.len(), plan.disks.len(), "a disk that is there");
    for (place, planned) in plan.disks.iter().enumerate() {
        let disk = chosen
            .iter()
            .find(|disk| disk.node == planned.disk.node)
            .expect("found");
        prop_assert!(planned.disk.is(disk));
        prop_assert!(!disk.read_only);
        prop_assert!(
            written.keep.as_ref() != Some(&disk.serial),
            "kept by the profile"
        );
        match written.serials.get(place) {
            Some(serial) => prop_assert_eq!(&disk.serial, serial),
            None => {
                prop_assert!(disk.size >= written.min_size);
                prop_assert!(!disk.removable && !disk.boot_medium && disk.bus != DiskBus::Usb);
            }
        }
        laid(disk, planned, &devices.disks[place].partitions)?;
    }
    for command in &plan.commands {
        let words = command.command_line(plan);
        for other in &others {
            prop_assert!(!words.contains(&format!("/dev/{}", other.node)), "{words}");
        }
        for arg in &command.args {
            match arg {
                Arg::Device(device) => on_chosen(plan, device)?,
                Arg::Text(text) => prop_assert!(!text.contains("/dev"), "{text}"),
                Arg::Below(_) => {}
            }
        }
    }
    keeps(plan, &chosen, devices)?;
    seen.count("plans", true);
    seen.count("plans for several disks", plan.disks.len() > 1);
    seen.count("plans beside other disks", !others.is_empty());
    seen.count(
        "plans that keep a disk",
        plan.seen.iter().any(|one| one.action == DiskAction::Kept),
    );
    seen.count(
        "plans that keep a partition",
        plan.disks.iter().any(DiskPlan::keeps),
    );
    let mut all = plan.disks.iter().flat_map(|disk| &disk.partitions);
    let askew = all.any(|p| p.kept && (p.start % MIB != 0 || p.size % MIB != 0));
    seen.count("plans around a partition that lies askew", askew);
    seen.count("plans with an array", !plan.arrays.is_empty());
    Ok(())
}

/// The partitions of one disk against what the layout asks for, and the script that makes them against both.
fn laid(disk: &Disk, planned: &DiskPlan, slots: &[LayoutPartition]) -> Result<(), TestCaseError> {
    let sector = u64::from(disk.sector);
    // A header and 32 sectors of entries at the end (UEFI 2.10 §5.3.2).
    let usable = (disk.size / sector - 33) * sector;
    let labels: BTreeSet<&str> = planned
        .partitions
        .iter()
        .map(|p| p.label.as_str())
        .collect();
    let wanted: BTreeSet<&str> = slots.iter().map(|slot| slot.label.as_str()).collect();
    prop_assert_eq!(&labels, &wanted);
    prop_assert_eq!(planned.partitions.len(), slots.len());
    let mut free = MIB;
    for (number, partition) in (1..).zip(&planned.partitions) {
        let slot = slots
            .iter()
            .find(|slot| slot.label == partition.label)
            .expect("compared");
        prop_assert_eq!(partition.number, number);
        let is_made = slot.preserve && !partition.kept;
        prop_assert_eq!(partition.made_as.is_some(), is_made, "{:?}", partition);
        if let Some(name) = &partition.made_as {
            prop_assert!(
                name.len() <= 36 && !wanted.contains(name.as_str()),
                "{name}"
            );
        }
        prop_assert!(
            partition.size > 0 && partition.start >= free,
            "{:?}",
            planned
        );
        free = partition.start + partition.size;
        prop_assert!(free <= usable, "over the second GPT: {:?}", planned);
        if partition.kept {
            prop_assert!(slot.preserve);
            continue;
        }
        prop_assert_eq!((partition.start % MIB, partition.size % MIB), (0, 0));
        prop_assert!(slot.start.is_none_or(|start| start == partition.start));
        match slot.size {
            Some(size) => prop_assert_eq!(size, partition.size),
            None => prop_assert!(free + slot.leave <= disk.size, "leaves what is to be free"),
        }
    }
    Ok(())
}

/// Down to the disks that an array or a volume lies on.
fn on_chosen(plan: &Plan, device: &Device) -> Result<(), TestCaseError> {
    let is_disk = |name: &String| plan.disks.iter().any(|disk| disk.name == *name);
    match device {
        Device::Disk(name) => prop_assert!(is_disk(name)),
        Device::Partition { disk, .. } => {
            prop_assert!(is_disk(disk) && plan.partition(device).is_some());
        }
        Device::Array(name) => {
            let array = plan.arrays.iter().find(|array| array.name == *name);
            let members = array.map_or(&[][..], |array| &array.members);
            prop_assert!(members.len() >= 2);
            members
                .iter()
                .try_for_each(|member| on_chosen(plan, member))?;
        }
        Device::Volume(name) => {
            let volume = plan.volumes.iter().find(|volume| volume.name == *name);
            prop_assert!(volume.is_some());
            volume.map_or(Ok(()), |volume| on_chosen(plan, &volume.on))?;
        }
        Device::Dataset(name) => {
            let whole = name.split('/').next();
            let mut pools = plan.filesystems.iter();
            let pool = pools.find(|f| f.format == Format::Zfs && Some(f.label.as_str()) == whole);
            prop_assert!(pool.is_some(), "{name}");
            pool.map_or(Ok(()), |pool| on_chosen(plan, &pool.on))?;
        }
    }
    Ok(())
}

/// A partition that stays is where it was, and only the table is written.
fn keeps(plan: &Plan, chosen: &[&Disk], devices: &Devices) -> Result<(), TestCaseError> {
    for (planned, wanted) in plan.disks.iter().zip(&devices.disks) {
        let disk = chosen
            .iter()
            .find(|disk| disk.node == planned.disk.node)
            .expect("found");
        for slot in wanted.partitions.iter().filter(|slot| slot.preserve) {
            let mut held = disk
                .holds
                .iter()
                .filter(|held| held.partition_label == slot.label);
            let held = held.find(|held| held.kind != SignatureKind::Blank);
            let mut partitions = planned.partitions.iter();
            let partition = partitions
                .find(|p| p.label == slot.label)
                .expect("compared");
            prop_assert_eq!(partition.kept, held.is_some());
            if let Some(held) = held {
                prop_assert_eq!((partition.start, partition.size), (held.start, held.size));
            }
        }
        let on = Device::Disk(planned.name.clone());
        let tables = plan.commands.iter().filter(|command| {
            command.program == "sfdisk"
                && command.step == InstallStep::Partition
                && command.args.contains(&Arg::Device(on.clone()))
        });
        let tables: Vec<&PlannedCommand> = tables.collect();
        prop_assert_eq!(tables.len(), 1);
        let wipes = tables[0].args.contains(&Arg::Text("always".to_owned()));
        prop_assert_eq!(wipes, !planned.keeps());
        script(disk, planned, tables[0])?;
        let names = plan.commands.iter().filter(|command| {
            command.program == "sfdisk"
                && command.step == InstallStep::Format
                && command.args.contains(&Arg::Device(on.clone()))
        });
        let named: Vec<&[Arg]> = names.map(|c| &c.args[c.args.len() - 2..]).collect();
        let new = planned.partitions.iter().filter(|p| p.made_as.is_some());
        let new = new.map(|p| [p.number.to_string(), p.label.clone()].map(Arg::Text));
        let new: Vec<[Arg; 2]> = new.collect();
        prop_assert_eq!(
            named,
            new.iter().map(<[Arg; 2]>::as_slice).collect::<Vec<_>>()
        );
    }
    for command in &plan.commands {
        let makes = command.program.starts_with("mk")
            || ["wipefs", "mdadm", "cryptsetup", "sfdisk"].contains(&command.program.as_str());
        for arg in command.args.iter().filter(|_| makes) {
            let Arg::Device(device) = arg else { continue };
            let kept = plan
                .partition(device)
                .is_some_and(|partition| partition.kept);
            prop_assert!(!kept, "{}", command.command_line(plan));
        }
    }
    Ok(())
}

/// What sfdisk is told, in sectors, is what the plan says, in bytes.
fn script(disk: &Disk, planned: &DiskPlan, command: &PlannedCommand) -> Result<(), TestCaseError> {
    let Some(Input::Text(text)) = &command.input else {
        return Err(TestCaseError::fail("sfdisk reads nothing"));
    };
    let field = |line: &str, key: &str| {
        let found = line
            .split([',', ' '])
            .find_map(|word| word.strip_prefix(key).map(str::to_owned));
        found.and_then(|number| number.parse::<u64>().ok())
    };
    let told: Vec<_> = text
        .lines()
        .filter(|line| line.contains(" : "))
        .map(|line| (field(line, "start="), field(line, "size=")))
        .collect();
    let sector = u64::from(disk.sector);
    let meant = planned.partitions.iter();
    let meant: Vec<_> = meant
        .map(|p| (Some(p.start / sector), Some(p.size / sector)))
        .collect();
    prop_assert_eq!(told, meant);
    Ok(())
}
