//! The guard: the only way to a device that may be written to is a plan, and this module.
//!
//! Kernel names change from boot to boot, so a planned disk is found by everything it says of itself, and looked
//! at again before every step that writes. Partitions, arrays and volumes are found below it in sysfs, never by a label.

use std::fs;
use std::path::{Path, PathBuf};

use netboot::base::refusal::{Refusal, RefusalCode};
use netboot::disk::hardware::{Disk, Hardware};
use netboot::install::plan::{Device, DiskPlan, Partition, Plan, PlannedDisk};

use crate::access::Roots;
use crate::disk_facts::{self, Child};
use crate::inventory::names;
use crate::real::text;

/// A disk that the plan names, as it is in this boot. It can only be made from a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    name: String,
    node: PathBuf,
    planned: DiskPlan,
    /// `/sys/block/vda/diskseq`: another medium under the same name has another number (Linux 5.15).
    sequence: Option<String>,
}

/// All disks of the plan, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Targets(Vec<Target>);

impl Targets {
    /// Finds the planned disks among those of a fresh inventory.
    ///
    /// # Errors
    /// None or more than one is such a disk, or it cannot take the plan; with what was seen.
    pub(crate) fn identify(
        plan: &Plan,
        hardware: &Hardware,
        roots: &Roots,
    ) -> Result<Self, Refusal> {
        let identify = |planned| Target::identify(planned, hardware, roots);
        plan.disks
            .iter()
            .map(identify)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Target> {
        self.0.iter()
    }

    /// Looks again, before a write, whether every name still leads to the same disk.
    pub(crate) fn still_they(&self, roots: &Roots) -> Result<(), Refusal> {
        self.0.iter().try_for_each(|target| target.still_it(roots))
    }

    /// A device that `node` (`vda1`, `dm-0`) lies on and that is not a part of the plan's disks; `node` itself if it
    /// does not lie on any device.
    pub(crate) fn elsewhere(&self, roots: &Roots, node: &str) -> Option<String> {
        let own = self.0.iter().flat_map(|target| {
            let mut own = target.own_nodes(roots);
            own.push(target.name.clone());
            own
        });
        foreign(roots, node, &own.collect::<Vec<_>>())
    }

    /// The path of a device of the plan; `None` as long as the kernel does not show it as planned.
    ///
    /// # Errors
    /// The device of this name lies on a disk that the plan does not name.
    pub(crate) fn path(&self, roots: &Roots, device: &Device) -> Result<Option<PathBuf>, Refusal> {
        let disk = |name: &str| self.0.iter().find(|target| target.planned.name == name);
        match device {
            Device::Disk(name) => Ok(disk(name).map(|target| target.node.clone())),
            Device::Partition { disk: name, number } => {
                Ok(disk(name).and_then(|target| target.partition(roots, *number)))
            }
            // `zpool create` fails where a pool of this name exists, so the pool is the plan's once it was made.
            Device::Dataset(_) => Ok(Some(named(roots, device))),
            Device::Array(_) | Device::Volume(_) => {
                let path = named(roots, device);
                let Ok(real) = fs::canonicalize(&path) else {
                    return Ok(None);
                };
                let node = real
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned());
                let own = self.0.iter().flat_map(|target| target.own_nodes(roots));
                match node.and_then(|node| foreign(roots, &node, &own.collect::<Vec<_>>())) {
                    None => Ok(Some(path)),
                    Some(other) => Err(Refusal::new(
                        RefusalCode::PlanRefused,
                        format!("`{}` is there already, on `{other}`", path.display()),
                    )
                    .fact("no plan names that device, so it is not touched")
                    .tip("take that disk out, or have what is on it stopped")),
                }
            }
        }
    }
}

/// Where an array or a volume shows by its name; what ZFS calls a dataset.
pub(crate) fn named(roots: &Roots, device: &Device) -> PathBuf {
    match device {
        Device::Array(name) => roots.dev.join("md").join(name),
        Device::Volume(name) => roots.dev.join("mapper").join(name),
        Device::Dataset(name) => PathBuf::from(name),
        Device::Disk(name) | Device::Partition { disk: name, .. } => roots.dev.join(name),
    }
}

/// A device below `node` (`dm-0`, `md127`) that is not in `own`; `node` itself if it does not lie on any device.
fn foreign(roots: &Roots, node: &str, own: &[String]) -> Option<String> {
    let mut below = vec![node.to_owned()];
    let mut seen = Vec::new();
    while let Some(name) = below.pop() {
        if own.contains(&name) || seen.contains(&name) {
            continue;
        }
        let slaves = names(&roots.sys.join("class/block").join(&name).join("slaves"));
        if slaves.is_empty() {
            return Some(name);
        }
        below.extend(slaves);
        seen.push(name);
    }
    None
}

impl Target {
    fn identify(planned: &DiskPlan, hardware: &Hardware, roots: &Roots) -> Result<Self, Refusal> {
        let refuse = |message: String| {
            let refusal = Refusal::new(RefusalCode::PlanRefused, message)
                .fact(format!("the plan is for {}", of_planned(&planned.disk)));
            hardware.disks.iter().fold(refusal, |refusal, disk| {
                refusal.fact(format!("this machine has {}", of_disk(disk)))
            })
        };
        let mut matching = hardware.disks.iter().filter(|disk| planned.disk.is(disk));
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
        let ends = planned.partitions.iter();
        let end = ends.map(|p| p.start.saturating_add(p.size)).max();
        let end = end.unwrap_or(0);
        if end > disk.size {
            return Err(refuse(format!(
                "the plan ends at byte {end}, `{}` at {}",
                disk.node, disk.size
            )));
        }
        Ok(Self {
            node: roots.dev.join(&disk.node),
            name: disk.node.clone(),
            planned: planned.clone(),
            sequence: sequence(roots, &disk.node),
        })
    }

    /// Looks again, before a write, whether the name still leads to the same disk.
    pub(crate) fn still_it(&self, roots: &Roots) -> Result<(), Refusal> {
        let now = disk_facts::read(roots, &self.name);
        let same = now.as_ref().is_some_and(|disk| self.planned.disk.is(disk))
            && sequence(roots, &self.name) == self.sequence;
        if same {
            return Ok(());
        }
        let seen = now.map_or_else(|| "nothing: it is gone".to_owned(), |disk| of_disk(&disk));
        let message = format!("`{}` is not the disk of the plan any more", self.name);
        Err(Refusal::new(RefusalCode::PlanRefused, message)
            .fact(format!(
                "the plan is for {}",
                of_planned(&self.planned.disk)
            ))
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

    pub(crate) fn planned(&self) -> &DiskPlan {
        &self.planned
    }

    /// The device nodes and sizes in bytes of the partitions that are on the disk now and will be replaced, in disk
    /// order.
    pub(crate) fn old_partitions(&self, roots: &Roots) -> Vec<(PathBuf, u64)> {
        disk_facts::children(roots, &self.name)
            .into_iter()
            .filter(|child| {
                let mut kept = self.planned.partitions.iter().filter(|p| p.kept);
                !kept.any(|p| (p.start, p.size) == (child.start, child.size))
            })
            .map(|child| (roots.dev.join(child.node), child.size))
            .collect()
    }

    /// The device nodes and sizes in bytes of the planned partitions that are shown and are new, in disk order.
    pub(crate) fn new_partitions(&self, roots: &Roots) -> Vec<(PathBuf, u64)> {
        let new = self.planned.partitions.iter().filter(|p| !p.kept);
        new.filter_map(|p| Some((self.partition(roots, p.number)?, p.size)))
            .collect()
    }

    /// The disk, and whether it has changed since it was found, for the report of an error.
    pub(crate) fn condition(&self, roots: &Roots) -> Vec<String> {
        let mut words = vec![format!("the disk is {}", of_planned(&self.planned.disk))];
        if let Err(refusal) = self.still_it(roots) {
            words.push(refusal.message);
            words.extend(refusal.facts.into_iter().skip(1));
        } else if disk_facts::read(roots, &self.name).is_some_and(|disk| disk.read_only) {
            words.push(format!("`{}` has become read-only", self.name));
        }
        words
    }

    /// Whether the kernel shows every planned partition, and no other.
    pub(crate) fn is_partitioned(&self, roots: &Roots) -> bool {
        let mut planned = self.planned.partitions.iter();
        planned.all(|partition| self.partition(roots, partition.number).is_some())
    }

    /// The node of a planned partition; `None` as long as the kernel shows anything else than what is planned.
    fn partition(&self, roots: &Roots, number: u32) -> Option<PathBuf> {
        let shown = disk_facts::children(roots, &self.name);
        if shown.len() != self.planned.partitions.len() {
            return None;
        }
        let planned: &Partition = self
            .planned
            .partitions
            .iter()
            .find(|p| p.number == number)?;
        let is = |child: &&Child| {
            (child.number, child.start, child.size) == (planned.number, planned.start, planned.size)
        };
        let node = roots.dev.join(&shown.iter().find(is)?.node);
        node.exists().then_some(node)
    }

    fn own_nodes(&self, roots: &Roots) -> Vec<String> {
        let children = disk_facts::children(roots, &self.name);
        children.into_iter().map(|child| child.node).collect()
    }
}

fn sequence(roots: &Roots, name: &str) -> Option<String> {
    text(roots.sys.join("block").join(name).join("diskseq"))
}

fn of_disk(disk: &Disk) -> String {
    let read_only = if disk.read_only { ", read-only" } else { "" };
    let Disk {
        node,
        size,
        sector,
        model,
        serial,
        wwn,
        ..
    } = disk;
    facts(node, *size, *sector, [model, serial, wwn]) + read_only
}

fn of_planned(disk: &PlannedDisk) -> String {
    let said = [&disk.model, &disk.serial, &disk.wwn];
    facts(&disk.node, disk.size, disk.sector, said)
}

fn facts(node: &str, size: u64, sector: u32, said: [&String; 3]) -> String {
    let [model, serial, wwn] = said.map(|text| match text.as_str() {
        "" => "none".to_owned(),
        text => format!("`{text}`"),
    });
    format!(
        "{node}: {size} bytes in sectors of {sector}, model {model}, serial {serial}, wwn {wwn}"
    )
}
