//! A layout on the partitions of its disks → arrays, encrypted volumes, filesystems, mounts.

use std::collections::BTreeMap;

use super::{Device, DiskPlan, PlannedArray, PlannedFilesystem, PlannedMount, PlannedVolume};
use crate::disk::layout::{Content, Devices, Format, Pool};

/// What lies on the partitions, in the order in which it is made.
#[derive(Default)]
pub(super) struct StorageStack {
    pub arrays: Vec<PlannedArray>,
    pub volumes: Vec<PlannedVolume>,
    pub filesystems: Vec<PlannedFilesystem>,
    pub mounts: Vec<PlannedMount>,
}

pub(super) fn storage_stack(disks: &[DiskPlan], devices: &Devices) -> StorageStack {
    let mut outline = StorageStack::default();
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
                Some((_, Content::Zfs { pool })) => {
                    let pool = devices.pools.iter().filter(|one| one.name == *pool);
                    pool.for_each(|pool| outline.pool(&on, pool));
                }
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

impl StorageStack {
    /// `name`: the partition's name in the layout, for the filesystem's label.
    fn add(&mut self, on: &Device, name: &str, content: &Content, kept: bool) {
        let mut filesystem = |format, args: &[String], subvolumes| {
            let mut args = args.to_vec();
            // mkfs.xfs takes its label once.
            let flag = args.iter().position(|arg| arg == "-L" || arg == "-n");
            let written = flag.filter(|at| at + 1 < args.len());
            let written = written.and_then(|at| args.drain(at..at + 2).nth(1));
            self.filesystems.push(PlannedFilesystem {
                on: on.clone(),
                format,
                // 11 octets are what FAT has room for.
                label: written.unwrap_or_else(|| name.chars().take(11).collect()),
                args,
                subvolumes,
                kept,
            });
        };
        match content {
            Content::Filesystem {
                format,
                mountpoint,
                options,
                args,
            } => {
                filesystem(*format, args, Vec::new());
                self.mount(on, *format, mountpoint.as_deref(), installs(options));
            }
            Content::Btrfs {
                mountpoint,
                options,
                args,
                subvolumes,
            } => {
                let names = subvolumes.iter().map(|s| s.name.clone()).collect();
                filesystem(Format::Btrfs, args, names);
                let btrfs = Format::Btrfs;
                self.mount(on, btrfs, mountpoint.as_deref(), installs(options));
                for one in subvolumes {
                    let mut options = installs(&one.options);
                    options.push(format!("subvol={}", one.name));
                    self.mount(on, btrfs, one.mountpoint.as_deref(), options);
                }
            }
            Content::Swap => filesystem(Format::Swap, &[], Vec::new()),
            Content::Luks { name, content } => {
                self.volumes.push(PlannedVolume {
                    name: name.clone(),
                    on: on.clone(),
                });
                self.add(&Device::Volume(name.clone()), name, content, kept);
            }
            // The members of an array were collected before, and a pool is handled with its partition.
            Content::Raid { .. } | Content::Zfs { .. } => {}
        }
    }

    fn pool(&mut self, on: &Device, pool: &Pool) {
        let args = |flag: &str, all: &BTreeMap<String, String>| {
            let args = all
                .iter()
                .flat_map(|(name, value)| [flag.to_owned(), format!("{name}={value}")]);
            args.collect::<Vec<_>>()
        };
        self.filesystems.push(PlannedFilesystem {
            on: on.clone(),
            format: Format::Zfs,
            label: pool.name.clone(),
            args: [args("-o", &pool.properties), args("-O", &pool.inherited)].concat(),
            subvolumes: pool.datasets.iter().map(|one| one.name.clone()).collect(),
            kept: false,
        });
        for one in &pool.datasets {
            let dataset = Device::Dataset(format!("{}/{}", pool.name, one.name));
            self.mount(&dataset, Format::Zfs, Some(&one.mountpoint), Vec::new());
        }
    }

    fn mount(&mut self, on: &Device, format: Format, at: Option<&str>, options: Vec<String>) {
        self.mounts.extend(at.map(|at| PlannedMount {
            at: at.to_owned(),
            device: on.clone(),
            format,
            options,
        }));
    }
}

/// The mount options that hold during the install: those that only say when a filesystem is mounted, and by whom
/// (fstab(5), systemd.mount(5)), are left out, for the agent mounts it now.
fn installs(options: &[String]) -> Vec<String> {
    let only_at_boot = |option: &str| {
        let words = [
            "defaults", "auto", "noauto", "nofail", "user", "nouser", "users", "owner", "group",
            "_netdev",
        ];
        words.contains(&option) || option.starts_with("x-")
    };
    let kept = options.iter().filter(|option| !only_at_boot(option));
    kept.cloned().collect()
}
