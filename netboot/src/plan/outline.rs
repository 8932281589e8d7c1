//! A layout on the partitions of its disks → arrays, encrypted volumes, filesystems, mounts.

use std::collections::BTreeMap;

use super::{Device, DiskPlan, PlannedArray, PlannedFilesystem, PlannedMount, PlannedVolume};
use crate::layout::{Content, Devices, Format};

/// What lies on the partitions, in the order in which it is made.
#[derive(Default)]
pub(super) struct Outline {
    pub arrays: Vec<PlannedArray>,
    pub volumes: Vec<PlannedVolume>,
    pub filesystems: Vec<PlannedFilesystem>,
    pub mounts: Vec<PlannedMount>,
}

pub(super) fn outline(disks: &[DiskPlan], devices: &Devices) -> Outline {
    let mut outline = Outline::default();
    let mut members: BTreeMap<&str, Vec<Device>> = BTreeMap::new();
    for (disk, wanted) in disks.iter().zip(&devices.disks) {
        for partition in &disk.partitions {
            let slot = wanted
                .partitions
                .iter()
                .find(|s| s.label == partition.label);
            let on = Device::Partition {
                disk: disk.name.clone(),
                number: partition.number,
            };
            match slot.and_then(|slot| Some((&slot.name, slot.content.as_ref()?))) {
                Some((_, Content::Raid { array })) => members.entry(array).or_default().push(on),
                Some((name, content)) => outline.add(&on, name, content, partition.kept),
                None => {}
            }
        }
    }
    for array in &devices.arrays {
        let name = array.name.clone();
        let members = members.remove(name.as_str()).unwrap_or_default();
        outline.arrays.push(PlannedArray {
            name: name.clone(),
            level: array.level,
            members,
        });
        let on = Device::Array(name);
        outline.add(&on, &array.name, &array.content, false);
    }
    outline.mounts.sort_by_key(|mount| depth(&mount.at));
    outline
}

fn depth(path: &str) -> usize {
    path.split('/').filter(|part| !part.is_empty()).count()
}

impl Outline {
    /// `name`: the layout's, for the filesystem's label.
    fn add(&mut self, on: &Device, name: &str, content: &Content, kept: bool) {
        let mut filesystem = |format, subvolumes| {
            self.filesystems.push(PlannedFilesystem {
                on: on.clone(),
                format,
                // 11 octets are what FAT has room for.
                label: name.chars().take(11).collect(),
                subvolumes,
                kept,
            });
        };
        match content {
            Content::Filesystem {
                format,
                mountpoint,
                options,
            } => {
                filesystem(*format, Vec::new());
                self.mounts
                    .extend(mountpoint.as_ref().map(|at| PlannedMount {
                        at: at.clone(),
                        device: on.clone(),
                        format: *format,
                        options: options.clone(),
                    }));
            }
            Content::Btrfs { subvolumes } => {
                filesystem(
                    Format::Btrfs,
                    subvolumes.iter().map(|s| s.name.clone()).collect(),
                );
                for one in subvolumes {
                    let mut options = one.options.clone();
                    options.push(format!("subvol={}", one.name));
                    self.mounts
                        .extend(one.mountpoint.as_ref().map(|at| PlannedMount {
                            at: at.clone(),
                            device: on.clone(),
                            format: Format::Btrfs,
                            options,
                        }));
                }
            }
            Content::Swap => filesystem(Format::Swap, Vec::new()),
            Content::Luks { name, content } => {
                self.volumes.push(PlannedVolume {
                    name: name.clone(),
                    on: on.clone(),
                });
                self.add(&Device::Volume(name.clone()), name, content, kept);
            }
            // The members of an array are collected before.
            Content::Raid { .. } => {}
        }
    }
}
