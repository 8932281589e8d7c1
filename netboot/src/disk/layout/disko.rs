//! A layout → `disko.devices`, from which the built system gets its fstab.

use serde_json::{Map, Value, json};

use super::{Content, Devices, DiskLayout, LayoutPartition, Pool};

const MIB: u64 = 1 << 20;

impl Devices {
    /// In disko's schema, as JSON. The path of a disk is the link that the agent makes to the disk that it chose; of
    /// all that is built from it, only GRUB for BIOS writes there.
    pub fn disko(&self) -> Value {
        let disks = self.disks.iter().map(|disk| {
            let table = json!({
                "type": "disk",
                "device": format!("/dev/disk/netboot/{}", disk.name),
                "content": { "type": "gpt", "partitions": partitions(disk) },
            });
            (disk.name.clone(), table)
        });
        let mut devices = json!({ "disk": disks.collect::<Map<_, _>>() });
        if !self.arrays.is_empty() {
            let arrays = self.arrays.iter().map(|array| {
                let table = json!({
                    "type": "mdadm",
                    "level": array.level,
                    "metadata": "1.2",
                    "content": content(&array.content),
                });
                (array.name.clone(), table)
            });
            devices["mdadm"] = arrays.collect::<Map<_, _>>().into();
        }
        if !self.pools.is_empty() {
            let pools = self.pools.iter().map(|one| (one.name.clone(), pool(one)));
            devices["zpool"] = pools.collect::<Map<_, _>>().into();
        }
        devices
    }
}

fn partitions(disk: &DiskLayout) -> Map<String, Value> {
    let one = |(slot, priority): (&LayoutPartition, u32)| {
        let size = match slot.size {
            Some(size) => format!("{}M", size / MIB),
            None => "100%".to_owned(),
        };
        let mut table = json!({
            "label": slot.label,
            "type": slot.purpose.type_guid(),
            "size": size,
            // Otherwise disko orders them by name.
            "priority": priority,
        });
        if let Some(inner) = &slot.content {
            table["content"] = content(inner);
        }
        (slot.name.clone(), table)
    };
    disk.partitions.iter().zip(1..).map(one).collect()
}

fn pool(pool: &Pool) -> Value {
    let datasets = pool.datasets.iter().map(|one| {
        let table = json!({
            "type": "zfs_fs",
            "mountpoint": one.mountpoint,
            // Mounted by fstab, like everything else.
            "options": { "mountpoint": "legacy" },
        });
        (one.name.clone(), table)
    });
    json!({
        "type": "zpool",
        "options": pool.properties,
        "rootFsOptions": pool.inherited,
        "datasets": datasets.collect::<Map<_, _>>(),
    })
}

fn content(content: &Content) -> Value {
    let options = |options: &[String]| match options {
        [] => json!(["defaults"]),
        options => json!(options),
    };
    match content {
        Content::Filesystem {
            format,
            mountpoint,
            options: written,
            ..
        } => json!({
            "type": "filesystem",
            "format": format.name(),
            "mountpoint": mountpoint,
            "mountOptions": options(written),
        }),
        Content::Btrfs { subvolumes, .. } => {
            let all = subvolumes.iter().map(|one| {
                let table =
                    json!({ "mountpoint": one.mountpoint, "mountOptions": options(&one.options) });
                (one.name.clone(), table)
            });
            json!({ "type": "btrfs", "subvolumes": all.collect::<Map<_, _>>() })
        }
        Content::Swap => json!({ "type": "swap" }),
        Content::Luks {
            name,
            content: inner,
        } => json!({ "type": "luks", "name": name, "content": self::content(inner) }),
        Content::Raid { array } => json!({ "type": "mdraid", "name": array }),
        Content::Zfs { pool } => json!({ "type": "zfs", "pool": pool }),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect_file;

    use super::*;
    use crate::disk::hardware::Firmware;
    use crate::disk::layout::NamedLayout;

    #[test]
    fn the_flake_reads_these_very_layouts() {
        let layout = |name: NamedLayout| {
            let by_swap = |firmware| {
                let with = |swap| name.devices(firmware, swap).disko();
                json!({ "plain": with(None), "swap": with(Some(4 << 30)) })
            };
            let by_firmware =
                json!({ "uefi": by_swap(Firmware::Uefi), "bios": by_swap(Firmware::Bios) });
            (name.name().to_owned(), by_firmware)
        };
        let all: Map<_, _> = NamedLayout::ALL.into_iter().map(layout).collect();
        let text = serde_json::to_string_pretty(&all).expect("writes");
        expect_file!["../layout.json"].assert_eq(&(text + "\n"));
    }
}
