//! Compares what is on a machine's disks with what this appliance wrote there → what an operator must confirm before it is
//! wiped.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::base::refusal::{Refusal, RefusalCode};
use crate::base::size::size_words;
use crate::disk::hardware::{Disk, DiskLocation, Hardware, Signature, SignatureKind};
use crate::install::plan::{Partition, Plan, PlannedDisk};
use crate::machine::Machine;
use crate::profile::{Profile, Select, Wipe};

/// Whether an operator must first confirm what a plan wipes (`Ask`), or the order to install is enough (`Allow`). The
/// first row that fits decides; "—" fits anything.
///
/// | `wipe` in the profile | enrolled by | the plan's disks   | `select`     | preserved before | decided        |
/// |-----------------------|-------------|--------------------|--------------|------------------|----------------|
/// | written               | —           | —                  | —            | —                | what it says   |
/// | absent                | the machine | —                  | —            | —                | ask            |
/// | absent                | an operator | —                  | —            | is given up      | ask            |
/// | absent                | an operator | one is unknown     | describes it | stays            | ask            |
/// | absent                | an operator | one is unknown     | names each   | stays            | allow          |
/// | absent                | an operator | all are known      | —            | stays            | allow          |
/// | absent                | an operator | the machine's first| —            | stays            | allow          |
///
/// Why: an operator who typed a MAC means that machine, while one that enrolled itself may be anybody's laptop. An
/// order to install a machine again means the disks that it was installed on: if one of them is gone, `smallest` finds
/// another disk, which no operator meant, but a disk that `select` names is meant. And a profile that no longer has a
/// partition which it preserved before may have its label mistyped.
pub fn wipe_rule(profile: &Profile, machine: &Machine, plan: &Plan) -> Wipe {
    let enrolled = EnrolledBy::of(machine);
    let disks = PlannedDisks::of(machine, plan);
    let select = Selector::of(profile);
    let preserved = PreservedBefore::of(machine, plan);
    match (profile.wipe, enrolled, disks, select, preserved) {
        (Some(written), _, _, _, _) => written,
        (None, EnrolledBy::Machine, _, _, _) => Wipe::Ask,
        (None, EnrolledBy::Operator, _, _, PreservedBefore::GivenUp) => Wipe::Ask,
        (
            None,
            EnrolledBy::Operator,
            PlannedDisks::OneUnknown,
            Selector::Describes,
            PreservedBefore::Stays,
        ) => Wipe::Ask,
        (
            None,
            EnrolledBy::Operator,
            PlannedDisks::OneUnknown,
            Selector::NamesEach,
            PreservedBefore::Stays,
        ) => Wipe::Allow,
        (
            None,
            EnrolledBy::Operator,
            PlannedDisks::AllKnown | PlannedDisks::First,
            Selector::Describes | Selector::NamesEach,
            PreservedBefore::Stays,
        ) => Wipe::Allow,
    }
}

/// Who brought a machine into the appliance's care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EnrolledBy {
    Operator,
    Machine,
}

impl EnrolledBy {
    fn of(machine: &Machine) -> Self {
        if machine.enrolled_itself {
            Self::Machine
        } else {
            Self::Operator
        }
    }
}

/// The disks of a plan, against those that this appliance wrote to in the same machine before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PlannedDisks {
    /// It never wrote to any.
    First,
    /// It wrote to each of these.
    AllKnown,
    /// It wrote to some, and at least one disk of the plan is not among them.
    OneUnknown,
}

impl PlannedDisks {
    fn of(machine: &Machine, plan: &Plan) -> Self {
        let known = |disk: &PlannedDisk| machine.written.iter().any(|written| written.is_on(disk));
        if machine.written.is_empty() {
            Self::First
        } else if plan.disks.iter().all(|chosen| known(&chosen.disk)) {
            Self::AllKnown
        } else {
            Self::OneUnknown
        }
    }
}

/// What `select` of a profile says of the disks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Selector {
    /// Each of them by serial number, WWN or link.
    NamesEach,
    /// At least one of them only by its size, model or bus.
    Describes,
}

impl Selector {
    fn of(profile: &Profile) -> Self {
        if profile.select.iter().all(Select::names_a_disk) {
            Self::NamesEach
        } else {
            Self::Describes
        }
    }
}

/// The partitions that earlier plans preserved on the disks of this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PreservedBefore {
    /// The plan preserves each of them, or there are none.
    Stays,
    /// The plan does not preserve one of them.
    GivenUp,
}

impl PreservedBefore {
    fn of(machine: &Machine, plan: &Plan) -> Self {
        let gives_up = plan.disks.iter().any(|chosen| {
            let here = machine.written.iter().filter(|old| old.is_on(&chosen.disk));
            let mut preserved = here.flat_map(|old| &old.preserved);
            let stays = |label: &str| {
                let mut all = chosen.partitions.iter();
                all.any(|p| (p.kept || p.preserve) && p.label == label)
            };
            preserved.any(|old| !stays(&old.label))
        });
        if gives_up { Self::GivenUp } else { Self::Stays }
    }
}

/// A disk, and the partitions that an attempt was going to write to it: what the appliance knows again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenDisk {
    pub disk: PlannedDisk,
    pub partitions: Vec<WrittenPartition>,
    /// The partitions that were to stay, whoever made them: what they hold belongs to somebody.
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

impl WrittenDisk {
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
            // No operator has put data into a partition that an install had not yet completed when it was cut off.
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

    /// Whether this is a trace of what was written: the table, or one of its partitions, whatever is in it by now. A
    /// disk without serial number and WWN cannot be known again, so for it the answer is no.
    fn explains(&self, disk: &Disk, held: &Signature) -> bool {
        let ours = |number| {
            let is = |p: &WrittenPartition| {
                (p.number, p.size, p.label.as_str()) == (number, held.size, &held.partition_label)
            };
            self.partitions.iter().any(is)
        };
        can_be_known_again(disk)
            && self.disk.is(disk)
            && match held.place_on(&disk.node) {
                DiskLocation::Whole => held.kind == SignatureKind::Gpt,
                DiskLocation::Partition(number) => ours(number),
                DiskLocation::Unknown => false,
            }
    }
}

fn can_be_known_again(disk: &Disk) -> bool {
    !disk.serial.is_empty() || !disk.wwn.is_empty()
}

/// A disk with what is on it, about which an operator is asked or which an operator has confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskContents {
    pub disk: PlannedDisk,
    /// The signatures on it, in disk order; blank places are left out.
    pub holds: Vec<Signature>,
}

impl DiskContents {
    /// Whether the operator saw this when confirming. A signature that is gone since, or was wiped by an attempt that
    /// was cut off, is no reason to ask again; any other change is.
    fn covers(&self, disk: &Disk, held: &Signature) -> bool {
        let same = |now: &str, then: &str| now.is_empty() || now == then;
        self.disk.is(disk)
            && self.holds.iter().any(|then| {
                let here = held.place_on(&disk.node);
                here != DiskLocation::Unknown
                    && here == then.place_on(&self.disk.node)
                    && held.size == then.size
                    && same(held.kind.as_str(), then.kind.as_str())
                    && same(&held.label, &then.label)
                    && same(&held.partition_label, &then.partition_label)
            })
    }
}

/// For a person: `vda, 8.0 GiB, serial root: vda1: ext4 "photos", 7.9 GiB`.
impl fmt::Display for DiskContents {
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
        let holds: Vec<String> = self.holds.iter().map(Signature::description).collect();
        write!(f, ": {}", holds.join("; "))
    }
}

/// The disks that the plan would wipe and that hold something which neither this appliance put there for this machine
/// nor an operator confirmed, with all that is on them. Empty: the plan may be carried out.
pub fn question(
    wipe: Wipe,
    machine: &Machine,
    plan: &Plan,
    hardware: &Hardware,
) -> Vec<DiskContents> {
    if wipe == Wipe::Allow {
        return Vec::new();
    }
    let asked = |disk: &&Disk| {
        // What an attempt left half torn down was not put there by an operator.
        let begun = machine.begun.iter().any(|begun| begun.is(disk));
        if begun && can_be_known_again(disk) {
            return false;
        }
        let answered = |held: &Signature| {
            stays(plan, disk, held)
                || machine.written.iter().any(|w| w.explains(disk, held))
                || machine.confirmed.iter().any(|f| f.covers(disk, held))
        };
        // What is built on a partition (an array, an opened volume) follows it, and goes with it.
        let mut below = false;
        disk.holds.iter().any(|held| {
            below = answered(held) || (below && held.place_on(&disk.node) == DiskLocation::Unknown);
            !below
        })
    };
    let chosen = WrittenDisk::by(plan).into_iter().filter_map(|written| {
        let is = |disk: &&Disk| PlannedDisk::from(*disk) == written.disk;
        hardware.disks.iter().find(is)
    });
    chosen
        .filter(asked)
        .map(|disk| DiskContents {
            disk: PlannedDisk::from(disk),
            holds: disk.holds.clone(),
        })
        .collect()
}

/// Whether the plan leaves this where it is.
fn stays(plan: &Plan, disk: &Disk, held: &Signature) -> bool {
    let chosen = plan.disks.iter().filter(|chosen| chosen.disk.is(disk));
    let mut partitions = chosen.flat_map(|chosen| &chosen.partitions);
    partitions.any(|p| p.kept && (p.start, p.size) == (held.start, held.size))
}

/// The refusal that the agent gets, and shows on its console, until an operator has confirmed.
pub fn refusal(title: &str, asked: &[DiskContents]) -> Refusal {
    let message = format!("{title} waits: this appliance did not put there what would be wiped");
    let refusal = Refusal::new(RefusalCode::ConfirmFirst, message);
    let facts = asked.iter().map(|found| format!("on disk {found}"));
    facts
        .fold(refusal, Refusal::fact)
        .fact("nothing was written")
        .tip(format!("to have it wiped: pxe-admin confirm {title}"))
}

#[cfg(test)]
mod tests;
