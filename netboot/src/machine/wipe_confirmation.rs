//! What is on a machine's disks, against what this appliance put there → what an operator must say yes to first.

use crate::profile::Wipe;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::base::refusal::{Code, Refusal};
use crate::disk::hardware::{Disk, Hardware, Holding};
use crate::install::plan::{Partition, Plan, PlannedDisk, size_words};
use crate::machine::Machine;
use crate::profile::{Profile, Select};

/// What holds for a machine and a plan: what its profile says, and else what follows from who enrolled it. A person
/// who typed its MAC means it; a machine that enrolled itself may be anybody's laptop. And who has a machine
/// installed again means the disks it was installed on: that one of them is gone, so that `smallest` finds another,
/// is nobody's word. A disk that `select` names is. Nor is it, that a profile no longer has the partition which it had
/// preserved: its label may be mistyped.
pub fn wipe_rule(profile: &Profile, machine: &Machine, plan: &Plan) -> Wipe {
    let named = profile.select.iter().all(Select::names_a_disk);
    match profile.wipe {
        Some(written) => written,
        None if machine.enrolled_itself => Wipe::Ask,
        None if !named && is_elsewhere(machine, plan) => Wipe::Ask,
        None if drops_what_stayed(machine, plan) => Wipe::Ask,
        None => Wipe::Allow,
    }
}

/// Whether this appliance wrote to disks of the machine before, and the plan is for one that is none of them.
fn is_elsewhere(machine: &Machine, plan: &Plan) -> bool {
    let known = |disk: &PlannedDisk| machine.written.iter().any(|written| written.is_on(disk));
    !machine.written.is_empty() && !plan.disks.iter().all(|chosen| known(&chosen.disk))
}

/// Whether a partition was to be preserved on one of the plan's disks, and is not any more.
fn drops_what_stayed(machine: &Machine, plan: &Plan) -> bool {
    plan.disks.iter().any(|chosen| {
        let here = machine.written.iter().filter(|old| old.is_on(&chosen.disk));
        let mut stayed = here.flat_map(|old| &old.preserved);
        let stays = |label: &str| {
            let mut all = chosen.partitions.iter();
            all.any(|p| (p.kept || p.preserve) && p.label == label)
        };
        stayed.any(|old| !stays(&old.label))
    })
}

/// A disk, and the partitions that an attempt was going to write to it: what the appliance knows again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    pub disk: PlannedDisk,
    pub partitions: Vec<WrittenPartition>,
    /// Those that were to stay, whoever made them: what they hold is somebody's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preserved: Vec<WrittenPartition>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenPartition {
    /// From 1, the place in the GPT.
    pub number: u32,
    pub label: String,
    /// Bytes.
    pub size: u64,
}

impl Written {
    /// What a plan writes, disk by disk.
    pub fn by(plan: &Plan) -> Vec<Self> {
        let disks = plan.disks.iter().map(|chosen| {
            let (preserved, partitions): (Vec<_>, Vec<_>) = chosen
                .partitions
                .iter()
                .partition(|partition| partition.kept || partition.preserve);
            let known = |partition: &Partition| WrittenPartition {
                number: partition.number,
                label: partition.label.clone(),
                size: partition.size,
            };
            // What an install that was cut off had not yet made whole, nobody has put anything into.
            let half_made = chosen.partitions.iter().filter_map(|partition| {
                let label = partition.made_as.clone()?;
                Some(WrittenPartition {
                    label,
                    ..known(partition)
                })
            });
            let whole = partitions.into_iter().map(known);
            Self {
                disk: chosen.disk.clone(),
                partitions: whole.chain(half_made).collect(),
                preserved: preserved.into_iter().map(known).collect(),
            }
        });
        disks.collect()
    }

    /// Whether both are the same partitions on the same disk.
    pub fn is(&self, other: &Self) -> bool {
        self.is_on(&other.disk)
            && (&self.partitions, &self.preserved) == (&other.partitions, &other.preserved)
    }

    /// Whether this is on the same disk, whatever the kernel called it then.
    pub fn is_on(&self, disk: &PlannedDisk) -> bool {
        self.disk.is_same(disk)
    }

    /// Whether this is a trace of what was written: the table, or one of its partitions, whatever is in it by now.
    /// A disk that says nothing of itself cannot be known again, so nothing on it is.
    fn explains(&self, disk: &Disk, held: &Holding) -> bool {
        let ours = |number| {
            let is = |p: &WrittenPartition| {
                (p.number, p.size, p.label.as_str()) == (number, held.size, &held.partition_label)
            };
            self.partitions.iter().any(is)
        };
        can_be_known_again(disk)
            && self.disk.is(disk)
            && match place(&disk.node, held) {
                Place::Whole => held.kind == "gpt",
                Place::Partition(number) => ours(number),
                Place::Unknown => false,
            }
    }
}

fn can_be_known_again(disk: &Disk) -> bool {
    !disk.serial.is_empty() || !disk.wwn.is_empty()
}

/// A disk with what is on it: what an operator is asked about, and what he said yes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    pub disk: PlannedDisk,
    /// In disk order; only what holds something.
    pub holds: Vec<Holding>,
}

impl Found {
    /// Whether this was looked at when the operator said yes. What is gone since, or wiped by an attempt that was cut
    /// off, is no reason to ask again; anything else is.
    fn covers(&self, disk: &Disk, held: &Holding) -> bool {
        let same = |now: &str, then: &str| now.is_empty() || now == then;
        self.disk.is(disk)
            && self.holds.iter().any(|then| {
                let here = place(&disk.node, held);
                here != Place::Unknown
                    && here == place(&self.disk.node, then)
                    && held.size == then.size
                    && same(&held.kind, &then.kind)
                    && same(&held.label, &then.label)
                    && same(&held.partition_label, &then.partition_label)
            })
    }
}

/// For a person: `vda, 8.0 GiB, serial root: vda1: ext4 "photos", 7.9 GiB`.
impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PlannedDisk {
            node,
            size,
            model,
            serial,
            wwn,
            ..
        } = &self.disk;
        write!(f, "{node}, {}", size_words(*size))?;
        for (name, text) in [("", model), ("serial ", serial), ("wwn ", wwn)] {
            if !text.is_empty() {
                write!(f, ", {name}{text}")?;
            }
        }
        let holds: Vec<String> = self.holds.iter().map(Holding::words).collect();
        write!(f, ": {}", holds.join("; "))
    }
}

/// The disks that the plan would wipe and that hold something which neither this appliance put there for this machine
/// nor an operator said yes to, with all that is on them. None: the plan may be carried out.
pub fn question(wipe: Wipe, machine: &Machine, plan: &Plan, hardware: &Hardware) -> Vec<Found> {
    if wipe == Wipe::Allow {
        return Vec::new();
    }
    let asked = |disk: &&Disk| {
        // What an attempt left half torn down is nothing anybody put there.
        let begun = machine.begun.iter().any(|begun| begun.is(disk));
        if begun && can_be_known_again(disk) {
            return false;
        }
        let answered = |held: &Holding| {
            stays(plan, disk, held)
                || machine.written.iter().any(|w| w.explains(disk, held))
                || machine.confirmed.iter().any(|f| f.covers(disk, held))
        };
        // What is built on a partition (an array, an opened volume) follows it, and goes with it.
        let mut below = false;
        disk.holds.iter().any(|held| {
            below = answered(held) || (below && place(&disk.node, held) == Place::Unknown);
            !below
        })
    };
    let chosen = Written::by(plan).into_iter().filter_map(|written| {
        let is = |disk: &&Disk| PlannedDisk::from(*disk) == written.disk;
        hardware.disks.iter().find(is)
    });
    chosen
        .filter(asked)
        .map(|disk| Found {
            disk: PlannedDisk::from(disk),
            holds: disk.holds.clone(),
        })
        .collect()
}

/// Whether the plan leaves this where it is.
fn stays(plan: &Plan, disk: &Disk, held: &Holding) -> bool {
    let chosen = plan.disks.iter().filter(|chosen| chosen.disk.is(disk));
    let mut partitions = chosen.flat_map(|chosen| &chosen.partitions);
    partitions.any(|p| p.kept && (p.start, p.size) == (held.start, held.size))
}

/// What the agent is told, and shows on its console, until the operator has said yes.
pub fn refusal(title: &str, asked: &[Found]) -> Refusal {
    let message = format!("{title} waits: this appliance did not put there what would be wiped");
    let refusal = Refusal::new(Code::ConfirmFirst, message);
    let facts = asked.iter().map(|found| format!("on disk {found}"));
    facts
        .fold(refusal, Refusal::fact)
        .fact("nothing was written")
        .tip(format!("to have it wiped: pxe-admin confirm {title}"))
}

/// Where on its disk something is; the kernel's names change from boot to boot, this does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Whole,
    Partition(u32),
    Unknown,
}

impl Disk {
    /// The number of the partition that this is.
    pub(crate) fn number_of(&self, held: &Holding) -> Option<u32> {
        match place(&self.node, held) {
            Place::Partition(number) => Some(number),
            Place::Whole | Place::Unknown => None,
        }
    }
}

/// `vda` and `vda1`, `nvme0n1` and `nvme0n1p1`.
fn place(disk: &str, held: &Holding) -> Place {
    match held.node.strip_prefix(disk) {
        Some("") => Place::Whole,
        Some(rest) => match rest.strip_prefix('p').unwrap_or(rest).parse() {
            Ok(number) => Place::Partition(number),
            Err(_) => Place::Unknown,
        },
        None => Place::Unknown,
    }
}

#[cfg(test)]
mod tests;
