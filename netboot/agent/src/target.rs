//! The guard: the only way to a device that may be written to is a plan, and this module.
//!
//! Kernel names change from boot to boot, so a planned disk is found by everything it says of itself, and looked
//! at again before every step that writes.

use std::path::{Path, PathBuf};

use netboot::hardware::{Disk, Hardware};
use netboot::plan::{Partition, Plan, PlannedDisk};
use netboot::refusal::{Code, Refusal};

use crate::disk_facts::{self, Child};
use crate::outside::Roots;
use crate::real::text;

/// The one disk that the plan names, as it is in this boot. It cannot be made but from a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    name: String,
    node: PathBuf,
    planned: PlannedDisk,
    /// `/sys/block/vda/diskseq`: another medium under the same name has another number (Linux 5.15).
    sequence: Option<String>,
}

/// A partition of the [`Target`], found below it in sysfs, never by a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TargetPartition {
    node: PathBuf,
    pub planned: Partition,
}

impl Target {
    /// Finds the planned disk among those of a fresh inventory.
    ///
    /// # Errors
    /// None or more than one is it, or it cannot take the plan; with what was seen.
    pub(crate) fn identify(
        plan: &Plan,
        hardware: &Hardware,
        roots: &Roots,
    ) -> Result<Self, Refusal> {
        let refuse = |message: String| {
            let refusal = Refusal::new(Code::PlanRefused, message)
                .fact(format!("the plan is for {}", of_planned(&plan.disk)));
            hardware.disks.iter().fold(refusal, |refusal, disk| {
                refusal.fact(format!("this machine has {}", of_disk(disk)))
            })
        };
        let mut matching = hardware.disks.iter().filter(|d| is_it(d, &plan.disk));
        let disk = match (matching.next(), matching.next()) {
            (Some(disk), None) => disk,
            (None, _) => return Err(refuse("no disk is the one of the plan".to_owned())),
            (Some(_), Some(_)) => {
                return Err(refuse(
                    "more than one disk is like the one of the plan; nothing tells them apart"
                        .to_owned(),
                ));
            }
        };
        if disk.read_only {
            return Err(refuse(format!("`{}` cannot be written to", disk.node)));
        }
        let end = plan
            .partitions
            .iter()
            .map(|p| p.start.saturating_add(p.size));
        let end = end.max().unwrap_or(0);
        if end > disk.size {
            return Err(refuse(format!(
                "the plan ends at byte {end}, `{}` at {}",
                disk.node, disk.size
            )));
        }
        Ok(Self {
            node: roots.dev.join(&disk.node),
            name: disk.node.clone(),
            planned: plan.disk.clone(),
            sequence: sequence(roots, &disk.node),
        })
    }

    /// Looks again, before a write, whether the name still leads to the same disk.
    pub(crate) fn still_it(&self, roots: &Roots) -> Result<(), Refusal> {
        let now = disk_facts::read(roots, &self.name);
        let same = now.as_ref().is_some_and(|disk| is_it(disk, &self.planned))
            && sequence(roots, &self.name) == self.sequence;
        if same {
            return Ok(());
        }
        let seen = now.map_or_else(|| "nothing: it is gone".to_owned(), |disk| of_disk(&disk));
        let message = format!("`{}` is not the disk of the plan any more", self.name);
        Err(Refusal::new(Code::PlanRefused, message)
            .fact(format!("the plan is for {}", of_planned(&self.planned)))
            .fact(format!("that name now leads to {seen}")))
    }

    /// `vda`
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// `/dev/vda`
    pub(crate) fn node(&self) -> &Path {
        &self.node
    }

    pub(crate) fn size(&self) -> u64 {
        self.planned.size
    }

    pub(crate) fn sector(&self) -> u32 {
        self.planned.sector
    }

    /// The device nodes and sizes in bytes of the partitions that are on it now, in disk order.
    pub(crate) fn old_partitions(&self, roots: &Roots) -> Vec<(PathBuf, u64)> {
        disk_facts::children(roots, &self.name)
            .into_iter()
            .map(|child| (roots.dev.join(child.node), child.size))
            .collect()
    }

    /// What it is, and what has become of it, for a report of something that went wrong.
    pub(crate) fn words(&self, roots: &Roots) -> Vec<String> {
        let mut words = vec![format!("the disk is {}", of_planned(&self.planned))];
        if let Err(refusal) = self.still_it(roots) {
            words.push(refusal.message);
            words.extend(refusal.facts.into_iter().skip(1));
        } else if disk_facts::read(roots, &self.name).is_some_and(|disk| disk.read_only) {
            words.push(format!("`{}` has become read-only", self.name));
        }
        words
    }

    /// The planned partitions as the kernel shows them, or nothing as long as it shows anything else.
    pub(crate) fn partitions(&self, roots: &Roots, plan: &Plan) -> Option<Vec<TargetPartition>> {
        let shown = disk_facts::children(roots, &self.name);
        if shown.len() != plan.partitions.len() {
            return None;
        }
        let found = |planned: &Partition| {
            let is = |child: &&Child| {
                (child.number, child.start, child.size)
                    == (planned.number, planned.start, planned.size)
            };
            let node = roots.dev.join(&shown.iter().find(is)?.node);
            node.exists().then(|| TargetPartition {
                node,
                planned: planned.clone(),
            })
        };
        plan.partitions.iter().map(found).collect()
    }
}

impl TargetPartition {
    /// `/dev/vda1`
    pub(crate) fn node(&self) -> &Path {
        &self.node
    }
}

fn sequence(roots: &Roots, name: &str) -> Option<String> {
    text(roots.sys.join("block").join(name).join("diskseq"))
}

fn is_it(disk: &Disk, planned: &PlannedDisk) -> bool {
    disk.size == planned.size
        && disk.sector == planned.sector
        && disk.model == planned.model
        && disk.serial == planned.serial
        && disk.wwn == planned.wwn
}

fn of_disk(disk: &Disk) -> String {
    let Disk {
        node,
        size,
        sector,
        model,
        serial,
        wwn,
        ..
    } = disk.clone();
    let mut text = of_planned(&PlannedDisk {
        node,
        size,
        sector,
        model,
        serial,
        wwn,
    });
    if disk.read_only {
        text.push_str(", read-only");
    }
    text
}

fn of_planned(disk: &PlannedDisk) -> String {
    let said = |text: &str| {
        if text.is_empty() {
            "none".to_owned()
        } else {
            format!("`{text}`")
        }
    };
    format!(
        "{}: {} bytes in sectors of {}, model {}, serial {}, wwn {}",
        disk.node,
        disk.size,
        disk.sector,
        said(&disk.model),
        said(&disk.serial),
        said(&disk.wwn)
    )
}
