//! The machine, as sysfs and `wipefs` describe it → its inventory. Reads only.

use std::fs;
use std::path::Path;

use netboot::base::arch::CpuArch;
use netboot::disk::hardware::{Disk, Firmware, Hardware, Nic};

use crate::access::{ReadAccess, ReadCommand, Roots, look};
use crate::disk_facts;
use crate::real::text;
use crate::signatures::{read_signatures, volume_groups};

/// What is in this machine.
pub(crate) fn inventory(access: &mut dyn ReadAccess, roots: &Roots) -> Hardware {
    let dmi = |name: &str| text(roots.sys.join("class/dmi/id").join(name)).unwrap_or_default();
    Hardware {
        firmware: firmware(roots),
        arch: CpuArch::from(std::env::consts::ARCH),
        memory: text(roots.proc.join("meminfo")).map_or(0, |t| memory(&t)),
        vendor: dmi("sys_vendor"),
        product: dmi("product_name"),
        serial: dmi("product_serial"),
        uuid: dmi("product_uuid"),
        disks: disks(access, roots),
        nics: nics(&roots.sys),
        tpm2: has_tpm2(&roots.sys),
        zfs: look(access, &ReadCommand::zfs()).is_ok(),
    }
}

pub(crate) fn firmware(roots: &Roots) -> Firmware {
    if roots.sys.join("firmware/efi").is_dir() {
        Firmware::Uefi
    } else {
        Firmware::Bios
    }
}

fn disks(access: &mut dyn ReadAccess, roots: &Roots) -> Vec<Disk> {
    let mut disks = disk_facts::all(roots);
    for disk in &mut disks {
        disk.holds = read_signatures(access, roots, disk);
    }
    volume_groups(access, &mut disks);
    disks
}

/// Whether the first TPM, which programs use by default, speaks version 2.
fn has_tpm2(sys: &Path) -> bool {
    text(sys.join("class/tpm/tpm0/tpm_version_major")).as_deref() == Some("2")
}

/// The entries of a folder, sorted; none if it is not there.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Bytes of RAM that the kernel has, from `/proc/meminfo`.
fn memory(meminfo: &str) -> u64 {
    let line = meminfo.lines().find_map(|l| l.strip_prefix("MemTotal:"));
    let kib = line.and_then(|l| l.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

fn nics(sys: &Path) -> Vec<Nic> {
    let class = sys.join("class/net");
    names(&class)
        .into_iter()
        .filter_map(|name| {
            let folder = class.join(&name);
            // Bridges, tunnels and the loopback have no device behind them.
            folder.join("device").exists().then_some(())?;
            let mac = text(folder.join("address"))?.parse().ok()?;
            let link = text(folder.join("carrier")).as_deref() == Some("1");
            Some(Nic { name, mac, link })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::fake::{DiskSpec, FakeMachine};

    #[test]
    fn an_inventory_is_read_from_sysfs() {
        let mut fake = FakeMachine::new(Firmware::Uefi);
        fake.add_disk(&DiskSpec::virtio("vda", 8 << 30, "root"));
        fake.add_disk(&DiskSpec {
            model: "Samsung SSD 980",
            bus: "pci0000:00/0000:00:1d.0/nvme/nvme0",
            wwid: "eui.0025385b21404b3c",
            sector: 4096,
            ..DiskSpec::virtio("nvme0n1", 500 << 30, "S64DNX0R")
        });
        fake.add_disk(&DiskSpec {
            model: "Ultra Fit",
            bus: "pci0000:00/0000:00:14.0/usb1/1-1/1-1:1.0/host6/target6:0:0/6:0:0:0",
            removable: true,
            ..DiskSpec::virtio("sda", 16 << 30, "")
        });
        let stick = "sys/devices/pci0000:00/0000:00:14.0/usb1/1-1";
        fake.write(&format!("{stick}/idVendor"), "0781\n");
        fake.write(&format!("{stick}/serial"), "4C530001\n");
        fake.add_partition("vda", 1, 2048, 1 << 20, "disk-main-ESP");
        fake.signatures("vda", &[("0x200", "gpt", "", "")]);
        fake.signatures("vda1", &[("0x52", "vfat", "ESP", "AB-12")]);
        for odd in [
            "loop0",
            "ram0",
            "zram0",
            "sr0",
            "fd0",
            "dm-0",
            "md127",
            "mmcblk0boot0",
            "bcache0",
        ] {
            fake.add_disk(&DiskSpec::virtio(odd, 1 << 30, odd));
        }
        fake.write("sys/class/block/bcache0/slaves/vda1", "");
        fake.add_disk(&DiskSpec::virtio("sdb", 0, "an empty card reader"));
        let roots = fake.roots();
        let found = inventory(&mut fake, &roots);
        let json = serde_json::to_string_pretty(&found).expect("writes");
        expect![[r#"
            {
              "firmware": "uefi",
              "arch": "ARCH",
              "memory": 1024000000,
              "vendor": "QEMU",
              "product": "Standard PC",
              "serial": "",
              "uuid": "4c4c",
              "disks": [
                {
                  "node": "nvme0n1",
                  "size": 536870912000,
                  "sector": 4096,
                  "model": "Samsung SSD 980",
                  "serial": "S64DNX0R",
                  "wwn": "eui.0025385b21404b3c",
                  "bus": "nvme",
                  "removable": false,
                  "read_only": false,
                  "by_id": [],
                  "holds": []
                },
                {
                  "node": "sda",
                  "size": 17179869184,
                  "sector": 512,
                  "model": "Ultra Fit",
                  "serial": "4C530001",
                  "wwn": "",
                  "bus": "usb",
                  "removable": true,
                  "read_only": false,
                  "by_id": [],
                  "holds": []
                },
                {
                  "node": "vda",
                  "size": 8589934592,
                  "sector": 512,
                  "model": "",
                  "serial": "root",
                  "wwn": "",
                  "bus": "virtio",
                  "removable": false,
                  "read_only": false,
                  "by_id": [],
                  "holds": [
                    {
                      "node": "vda",
                      "size": 8589934592,
                      "kind": "gpt",
                      "label": "",
                      "partition_label": "",
                      "start": 0
                    },
                    {
                      "node": "vda1",
                      "size": 536870912,
                      "kind": "vfat",
                      "label": "ESP",
                      "partition_label": "disk-main-ESP",
                      "start": 1048576
                    }
                  ]
                }
              ],
              "nics": [
                {
                  "name": "eth0",
                  "mac": "52:54:00:12:34:56",
                  "link": true
                }
              ]
            }"#]]
        .assert_eq(&json.replace(std::env::consts::ARCH, "ARCH"));
    }

    #[test]
    fn zfs_is_there_where_its_program_finds_the_kernels_module() {
        for zfs in [false, true] {
            let mut fake = FakeMachine::new(Firmware::Uefi);
            fake.zfs = zfs;
            let roots = fake.roots();
            assert_eq!(inventory(&mut fake, &roots).zfs, zfs);
            assert!(fake.log.contains(&"zpool version".to_owned()));
        }
    }

    #[test]
    fn a_card_can_be_pulled_out_and_what_is_soldered_in_cannot() {
        for (kind, want) in [("SD", true), ("MMC", false), ("0", false)] {
            let mut fake = FakeMachine::new(Firmware::Uefi);
            let bus = "platform/fe340000.mmc/mmc_host/mmc0/mmc0:aaaa";
            fake.add_disk(&DiskSpec {
                bus,
                ..DiskSpec::virtio("mmcblk0", 32 << 30, "0x1234")
            });
            let file = format!("sys/devices/{bus}/block/mmcblk0/device/type");
            fake.write(&file, &format!("{kind}\n"));
            let roots = fake.roots();
            let disk = inventory(&mut fake, &roots).disks.remove(0);
            let found = (disk.bus.as_str(), disk.removable);
            assert_eq!(found, ("mmc", want), "{kind}");
        }
    }

    #[test]
    fn data_without_a_signature_is_not_called_nothing() {
        for device in ["vda", "vda1"] {
            for (name, at, want) in [
                ("at the beginning", 0, "unknown data"),
                ("at the end", (64 << 20) - 1, "unknown data"),
                ("in the middle, as after a wipe", 32 << 20, ""),
            ] {
                let mut fake = FakeMachine::new(Firmware::Uefi);
                fake.add_disk(&DiskSpec::virtio("vda", 64 << 20, "root"));
                if device == "vda1" {
                    fake.add_partition("vda", 1, 2048, (64 << 20) / 512, "files");
                }
                let roots = fake.roots();
                let file = fs::File::options()
                    .write(true)
                    .open(roots.dev.join(device))
                    .expect("a device");
                file.set_len(64 << 20).expect("grows");
                std::os::unix::fs::FileExt::write_all_at(&file, b"x", at).expect("writes");
                let holds = inventory(&mut fake, &roots).disks[0].holds.clone();
                let kind = holds.first().map_or("", |held| held.kind.as_str());
                assert_eq!(kind, want, "{device}: {name}");
            }
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_called_blank() {
        for (device, want) in [
            ("vda", ["vda unreadable", "vda1 "].as_slice()),
            ("vda1", &["vda1 unreadable"]),
        ] {
            let mut fake = FakeMachine::new(Firmware::Uefi);
            fake.add_disk(&DiskSpec::virtio("vda", 64 << 20, "root"));
            fake.add_partition("vda", 1, 2048, 4096, "files");
            let roots = fake.roots();
            // A folder can be opened, and each read of it is an error.
            let node = roots.dev.join(device);
            fs::remove_file(&node).expect("was there");
            fs::create_dir(&node).expect("makes");
            let disks = inventory(&mut fake, &roots).disks;
            let holds = disks[0].holds.iter();
            let found: Vec<String> = holds
                .map(|held| format!("{} {}", held.node, held.kind))
                .collect();
            assert_eq!(found, want, "{device}");
        }
    }

    #[test]
    fn a_disk_that_cannot_be_looked_at_is_not_called_empty() {
        let mut fake = FakeMachine::new(Firmware::Uefi);
        fake.add_disk(&DiskSpec::virtio("vda", 8 << 30, "root"));
        let roots = fake.roots();
        assert_eq!(inventory(&mut fake, &roots).disks[0].holds, []);
        fake.fail_at = Some(fake.log.len());
        let holds = inventory(&mut fake, &roots).disks[0].holds.clone();
        assert_eq!((holds.len(), holds[0].kind.as_str()), (1, "unreadable"));
    }
}
