//! The files of `tables/`: profiles with a table in disko's schema, and what a system is made of by it. The `.json` beside each is
//! compared with our own reading here, and with what disko makes of the same table by `integration/nix/test`.

use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use netboot::disk::layout::{Content, Devices, Layout, LayoutPartition};
use netboot::profile::Profiles;
use serde_json::{Map, Value, json};

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tables");
    let entries = fs::read_dir(&folder).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} holds no file", folder.display());
    files
}

/// What of a table shows in the built system.
#[derive(Default)]
struct System {
    file_systems: Map<String, Value>,
    swap: Vec<String>,
    encrypted: Map<String, Value>,
}

fn system(devices: &Devices) -> Value {
    let mut system = System::default();
    let mut disks = Map::new();
    for disk in &devices.disks {
        let mut partitions = Vec::new();
        for slot in &disk.partitions {
            partitions.push(partition(slot));
            if let Some(content) = &slot.content {
                let device = format!("/dev/disk/by-partlabel/{}", slot.label);
                system.add(&device, content);
            }
        }
        disks.insert(disk.name.clone(), partitions.into());
    }
    let mut arrays = Map::new();
    for array in &devices.arrays {
        arrays.insert(array.name.clone(), array.level.into());
        system.add(&format!("/dev/md/{}", array.name), &array.content);
    }
    system.swap.sort();
    json!({
        "disks": disks,
        "arrays": arrays,
        "encrypted": system.encrypted,
        "fileSystems": system.file_systems,
        "swap": system.swap,
    })
}

fn partition(slot: &LayoutPartition) -> Value {
    json!({
        "name": slot.name,
        "label": slot.label,
        "type": slot.purpose.type_guid(),
    })
}

fn options(written: &[String]) -> Vec<String> {
    match written {
        [] => vec!["defaults".to_owned()],
        written => written.to_vec(),
    }
}

impl System {
    fn mount(&mut self, at: Option<&String>, device: &str, kind: &str, options: Vec<String>) {
        let mount = json!({ "device": device, "fsType": kind, "options": options });
        self.file_systems.extend(at.map(|at| (at.clone(), mount)));
    }

    fn add(&mut self, device: &str, content: &Content) {
        match content {
            Content::Filesystem {
                format,
                mountpoint,
                options: written,
                ..
            } => self.mount(mountpoint.as_ref(), device, format.name(), options(written)),
            Content::Btrfs {
                mountpoint,
                options: written,
                subvolumes,
                ..
            } => {
                self.mount(mountpoint.as_ref(), device, "btrfs", options(written));
                for one in subvolumes {
                    let mut options = options(&one.options);
                    options.push(format!("subvol={}", one.name));
                    self.mount(one.mountpoint.as_ref(), device, "btrfs", options);
                }
            }
            Content::Swap => self.swap.push(device.to_owned()),
            Content::Luks { name, content } => {
                self.encrypted.insert(name.clone(), device.into());
                self.add(&format!("/dev/mapper/{name}"), content);
            }
            Content::Raid { .. } | Content::Zfs { .. } => {}
        }
    }
}

#[test]
fn a_table_is_read_as_disko_reads_it() {
    for path in files() {
        let name = path.file_stem().expect("a name").to_string_lossy();
        let text = fs::read_to_string(&path).expect("is text");
        let profiles = Profiles::read(&[(format!("{name}.toml"), text)]);
        let profiles = profiles.unwrap_or_else(|problems| {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            panic!("{}", lines.join("\n"))
        });
        let profile = profiles.by_name.values().next().expect("one");
        let Layout::Table(devices) = &profile.layout else {
            panic!("{name} has no table")
        };
        let text = serde_json::to_string_pretty(&system(devices)).expect("writes");
        expect_file![path.with_extension("json")].assert_eq(&(text + "\n"));
    }
}
