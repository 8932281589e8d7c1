//! Plans and refusals: golden ones for the usual machine.

mod properties;
mod scripted;
mod tables;

use expect_test::expect;

use super::*;
use crate::base::arch::CpuArch;
use crate::base::refusal::Refusal;
use crate::base::release::Release;
use crate::base::size::size_words;
use crate::base::timestamp::Timestamp;
use crate::disk::hardware::{DiskBus, Group, Hardware, Signature, SignatureKind};
use crate::profile::{Profile, Profiles};
use crate::test_support::{GIB, disk, hardware, refusal_text};

pub(super) fn signature(node: &str, kind: &str, partition_label: &str) -> Signature {
    Signature {
        node: node.to_owned(),
        size: GIB,
        kind: SignatureKind::from(kind),
        label: String::new(),
        partition_label: partition_label.to_owned(),
        start: 0,
        member_of: None,
    }
}

fn plan_with(hardware: &Hardware, select: &str) -> Result<Plan, Refusal> {
    plan_of(hardware, &format!("select = {select}\nlayout = \"ext4\""))
}

#[test]
fn a_tpm_gets_a_key_of_its_own_for_each_encrypted_volume() {
    let disk_of = |layout: &str| {
        format!("select = {{ smallest = true }}\nlayout = \"{layout}\"\nswap = \"1G\"")
    };
    let mut machine = hardware(Firmware::Uefi, vec![disk("vda", 32 * GIB)]);
    for (layout, tpm2, want) in [
        ("luks-ext4", false, Vec::new()),
        ("luks-ext4", true, vec!["/dev/vda2", "/dev/vda3"]),
        ("ext4", true, Vec::new()),
    ] {
        machine.tpm2 = tpm2;
        let plan = plan_of(&machine, &disk_of(layout)).expect("a plan");
        let enroll = plan.commands.iter().filter(|c| c.may_fail);
        let said: Vec<String> = enroll.map(|command| command.command_line(&plan)).collect();
        let want: Vec<String> = want
            .into_iter()
            .map(|device| {
                format!(
                    "systemd-cryptenroll --tpm2-device=auto --tpm2-pcrs=7 --unlock-key-file=/dev/stdin {device} (reads the disk key)"
                )
            })
            .collect();
        assert_eq!(said, want, "{layout} {tpm2}");
    }
}

/// `disk`: the lines of the profile's table.
pub(super) fn plan_of(hardware: &Hardware, disk: &str) -> Result<Plan, Refusal> {
    plan_in(hardware, disk, "agent", Some("https://10.77.0.10:6443"))
}

fn plan_in(
    hardware: &Hardware,
    disk: &str,
    role: &str,
    k3s_server: Option<&str>,
) -> Result<Plan, Refusal> {
    let profile = try_profile(disk, role).expect("reads");
    plan_with_profile(hardware, &profile, k3s_server)
}

/// `None` if the lines have problems.
fn try_profile(disk: &str, role: &str) -> Option<Profile> {
    let text = format!("system = \"x86_64-linux\"\n[disk]\n{disk}\n[k3s]\nrole = \"{role}\"\n");
    let profiles = Profiles::read(&[("hosts/profiles/worker.toml".to_owned(), text)]).ok()?;
    profiles.by_name.into_values().next()
}

fn plan_with_profile(
    hardware: &Hardware,
    profile: &Profile,
    k3s_server: Option<&str>,
) -> Result<Plan, Refusal> {
    let release = release();
    let cache = Substituter {
        url: "http://10.77.0.1:8080/cache".to_owned(),
        public_key: "k:AA==".to_owned(),
    };
    let order = PlanOrder {
        host_name: &"node1".parse().expect("a name"),
        profile,
        release: &release,
        cache: &cache,
        k3s_server,
    };
    plan(hardware, &order)
}

fn release() -> Release {
    let toplevel = "/nix/store/0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq-nixos-system-worker";
    Release {
        pruned: None,
        system: "worker".parse().expect("a name"),
        number: 3,
        toplevel: toplevel.parse().expect("a path"),
        closure_size: GIB,
        published: Timestamp::default(),
        revision: None,
        dirty: false,
        label: String::new(),
        script: None,
    }
}

#[track_caller]
fn refusal(hardware: &Hardware, select: &str, want: expect_test::Expect) {
    let refusal = plan_with(hardware, select).expect_err("is refused");
    want.assert_eq(&refusal_text(&refusal));
}

#[test]
fn uefi_gets_an_esp_and_a_root() {
    let mut root = disk("vda", 8 * GIB);
    root.holds = vec![
        signature("vda", "gpt", ""),
        signature("vda1", "ext4", "old"),
    ];
    let machine = hardware(Firmware::Uefi, vec![root, disk("vdb", 16 * GIB)]);
    let plan = plan_with(&machine, "{ smallest = true }").expect("a plan");
    expect![[r#"
        {
          "host_name": "node1",
          "firmware": "uefi",
          "layout": "ext4",
          "seen": [
            {
              "disk": {
                "node": "vda",
                "size": 8589934592,
                "sector": 512,
                "model": "",
                "serial": "serial-vda",
                "wwn": "",
                "bus": "virtio",
                "removable": false,
                "read_only": false,
                "by_id": [
                  "virtio-serial-vda"
                ],
                "holds": [
                  {
                    "node": "vda",
                    "size": 1073741824,
                    "kind": "gpt",
                    "label": "",
                    "partition_label": "",
                    "start": 0
                  },
                  {
                    "node": "vda1",
                    "size": 1073741824,
                    "kind": "ext4",
                    "label": "",
                    "partition_label": "old",
                    "start": 0
                  }
                ]
              },
              "fate": "written",
              "why": "chosen by `select` for `main`"
            },
            {
              "disk": {
                "node": "vdb",
                "size": 17179869184,
                "sector": 512,
                "model": "",
                "serial": "serial-vdb",
                "wwn": "",
                "bus": "virtio",
                "removable": false,
                "read_only": false,
                "by_id": [
                  "virtio-serial-vdb"
                ],
                "holds": []
              },
              "fate": "left",
              "why": "is not the smallest of those that fit"
            }
          ],
          "disks": [
            {
              "name": "main",
              "disk": {
                "node": "vda",
                "size": 8589934592,
                "sector": 512,
                "model": "",
                "serial": "serial-vda",
                "wwn": ""
              },
              "partitions": [
                {
                  "number": 1,
                  "label": "disk-main-ESP",
                  "purpose": "esp",
                  "start": 1048576,
                  "size": 536870912,
                  "holds": "vfat"
                },
                {
                  "number": 2,
                  "label": "disk-main-root",
                  "purpose": "linux",
                  "start": 537919488,
                  "size": 8050966528,
                  "holds": "ext4"
                }
              ]
            }
          ],
          "filesystems": [
            {
              "on": {
                "partition": {
                  "disk": "main",
                  "number": 1
                }
              },
              "format": "vfat",
              "label": "ESP"
            },
            {
              "on": {
                "partition": {
                  "disk": "main",
                  "number": 2
                }
              },
              "format": "ext4",
              "label": "root"
            }
          ],
          "mounts": [
            {
              "at": "/",
              "device": {
                "partition": {
                  "disk": "main",
                  "number": 2
                }
              },
              "format": "ext4"
            },
            {
              "at": "/boot",
              "device": {
                "partition": {
                  "disk": "main",
                  "number": 1
                }
              },
              "format": "vfat",
              "options": [
                "umask=0077"
              ]
            }
          ],
          "destroys": [
            "vda: gpt, 1.0 GiB",
            "vda1: ext4 \"old\", 1.0 GiB"
          ],
          "commands": [
            {
              "step": "partition",
              "program": "sfdisk",
              "args": [
                "--quiet",
                "--lock=yes",
                "--wipe",
                "always",
                "--wipe-partitions",
                "always",
                {
                  "device": {
                    "disk": "main"
                  }
                }
              ],
              "input": {
                "text": "label: gpt\nunit: sectors\n\n1 : start=2048, size=1048576, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name=\"disk-main-ESP\"\n2 : start=1050624, size=15724544, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, name=\"disk-main-root\"\n"
              }
            },
            {
              "step": "format",
              "program": "mkfs.vfat",
              "args": [
                "-F",
                "32",
                "-n",
                "ESP",
                {
                  "device": {
                    "partition": {
                      "disk": "main",
                      "number": 1
                    }
                  }
                }
              ]
            },
            {
              "step": "format",
              "program": "mkfs.ext4",
              "args": [
                "-F",
                "-q",
                "-L",
                "root",
                {
                  "device": {
                    "partition": {
                      "disk": "main",
                      "number": 2
                    }
                  }
                }
              ]
            },
            {
              "step": "mount",
              "program": "mount",
              "args": [
                "-t",
                "ext4",
                {
                  "device": {
                    "partition": {
                      "disk": "main",
                      "number": 2
                    }
                  }
                },
                {
                  "below": "/"
                }
              ]
            },
            {
              "step": "mount",
              "program": "mount",
              "args": [
                "-t",
                "vfat",
                "-o",
                "umask=0077",
                {
                  "device": {
                    "partition": {
                      "disk": "main",
                      "number": 1
                    }
                  }
                },
                {
                  "below": "/boot"
                }
              ]
            },
            {
              "step": "unmount",
              "program": "sync",
              "args": [
                "-f",
                {
                  "below": "/"
                }
              ]
            },
            {
              "step": "unmount",
              "program": "sync",
              "args": [
                "-f",
                {
                  "below": "/boot"
                }
              ]
            },
            {
              "step": "unmount",
              "program": "umount",
              "args": [
                {
                  "below": "/boot"
                }
              ]
            },
            {
              "step": "unmount",
              "program": "umount",
              "args": [
                {
                  "below": "/"
                }
              ]
            },
            {
              "step": "unmount",
              "program": "blockdev",
              "args": [
                "--flushbufs",
                {
                  "device": {
                    "disk": "main"
                  }
                }
              ]
            }
          ],
          "release": {
            "system": "worker",
            "number": 3,
            "toplevel": "/nix/store/0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq-nixos-system-worker",
            "closure_size": 1073741824
          },
          "cache": {
            "url": "http://10.77.0.1:8080/cache",
            "public_key": "k:AA=="
          },
          "k3s": {
            "role": "agent",
            "server": "https://10.77.0.10:6443"
          }
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&plan).expect("writes"));
}

#[test]
fn bios_gets_a_boot_partition_for_grub() {
    let machine = hardware(Firmware::Bios, vec![disk("vda", 8 * GIB)]);
    let plan = plan_with(&machine, "{ serial = \"serial-vda\" }").expect("a plan");
    let rows: Vec<String> = plan.disks[0]
        .partitions
        .iter()
        .map(|p| format!("{} {} {} {}", p.number, p.label, p.start, p.size))
        .collect();
    assert_eq!(
        rows,
        [
            "1 disk-main-boot 1048576 1048576",
            "2 disk-main-root 2097152 8586788864"
        ]
    );
}

/// What a person would read of a plan's disks.
fn outline(plan: &Plan) -> String {
    let mut text = String::new();
    for disk in &plan.disks {
        for p in &disk.partitions {
            let kept = if p.kept { ", kept" } else { "" };
            let from = size_words(p.start);
            text.push_str(&format!(
                "{}{} {} from {from}, {}: {}{kept}\n",
                disk.disk.node,
                p.number,
                p.label,
                size_words(p.size),
                p.holds
            ));
        }
    }
    let commands = plan
        .commands
        .iter()
        .filter(|c| c.step != crate::install::report::InstallStep::Unmount);
    for command in commands {
        text.push_str(
            command
                .command_line(plan)
                .lines()
                .next()
                .unwrap_or_default(),
        );
        text.push('\n');
    }
    text
}

#[test]
fn every_layout_as_it_is_made_on_either_firmware() {
    let mut text = String::new();
    for named in crate::disk::layout::NamedLayout::ALL {
        for (firmware, swap) in [(Firmware::Uefi, ""), (Firmware::Bios, "swap = \"2G\"")] {
            let name = named.name();
            let count = named.devices(firmware, None).disks.len();
            let disks = ["vda", "nvme0n1"].map(|node| disk(node, 32 * GIB));
            let machine = hardware(firmware, disks[..count].to_vec());
            let table = format!("select = {{ min-size = \"1G\" }}\nlayout = \"{name}\"\n{swap}");
            let plan = plan_of(&machine, &table).expect(name);
            text.push_str(&format!(
                "{name} on {firmware:?} {swap}\n{}\n",
                outline(&plan)
            ));
        }
    }
    expect_test::expect_file!["layouts.txt"].assert_eq(&text);
}

#[test]
fn a_mirror_needs_two_disks_and_says_which_there_are() {
    let three = ["vda", "vdb", "vdc"]
        .map(|node| disk(node, 32 * GIB))
        .to_vec();
    let refused = |disks: &[Disk], select: &str, want: expect_test::Expect| {
        let machine = hardware(Firmware::Uefi, disks.to_vec());
        let table = format!("select = {select}\nlayout = \"mirror\"");
        want.assert_eq(&refusal_text(
            &plan_of(&machine, &table).expect_err("is refused"),
        ));
    };
    refused(
        &three,
        "{ smallest = true }",
        expect![[r#"
        3 disks match `select` of profile `worker`, layout `mirror` needs 2
          disk vda: 32.0 GiB virtio, serial serial-vda, empty
          disk vdb: 32.0 GiB virtio, serial serial-vdb, empty
          disk vdc: 32.0 GiB virtio, serial serial-vdc, empty
          nothing was written
          tip: in hosts/profiles/worker.toml: [disk] select = [{ serial = "serial-vda" }, { serial = "serial-vdb" }]
    "#]],
    );
    refused(
        &three[..1],
        "{ smallest = true }",
        expect![[r#"
        1 disk matches `select` of profile `worker`, layout `mirror` needs 2
          disk vda: 32.0 GiB virtio, serial serial-vda, empty
          nothing was written
          tip: put another disk in, or choose a layout of one disk
    "#]],
    );
    for (select, want) in [
        (
            "[{ serial = \"serial-vdc\" }, { serial = \"serial-vda\" }]",
            ["vdc", "vda"],
        ),
        ("{ largest = true }", ["vdb", "vdc"]),
    ] {
        let mut disks = three.clone();
        disks[0].size -= GIB;
        disks.reverse();
        let machine = hardware(Firmware::Uefi, disks);
        let table = format!("select = {select}\nlayout = \"mirror\"");
        let plan = plan_of(&machine, &table).expect(select);
        let nodes: Vec<&str> = plan
            .disks
            .iter()
            .map(|disk| disk.disk.node.as_str())
            .collect();
        assert_eq!(nodes, want, "{select}");
    }
}

#[test]
fn a_kept_disk_is_no_candidate_and_the_plan_says_why() {
    let disks = ["vda", "vdb"].map(|node| disk(node, 32 * GIB)).to_vec();
    let machine = hardware(Firmware::Uefi, disks);
    let table =
        "select = { min-size = \"1G\" }\nlayout = \"ext4\"\nkeep = [{ serial = \"serial-vda\" }]";
    let plan = plan_of(&machine, table).expect("a plan");
    let seen: Vec<(&str, DiskAction, &str)> = plan
        .seen
        .iter()
        .map(|seen| (seen.disk.node.as_str(), seen.action, seen.why.as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            ("vda", DiskAction::Kept, "named by `keep`"),
            ("vdb", DiskAction::Written, "chosen by `select` for `main`"),
        ]
    );
}

#[test]
fn a_disk_is_named_as_people_and_their_tools_write_it() {
    // Both of a kind that `lsblk` calls `WDC WD40EFRX-68N32N0`.
    let sata = |node: &str, wwn: &str| Disk {
        model: "WDC WD40EFRX-68N".to_owned(),
        wwn: wwn.to_owned(),
        bus: DiskBus::Sata,
        ..disk(node, 32 * GIB)
    };
    let disks = vec![
        sata("sda", "naa.50014ee2b1a2c3d4"),
        sata("sdb", "naa.50014ee2b1a2ffff"),
        Disk {
            model: "Samsung SSD 980 PRO 1TB".to_owned(),
            wwn: "eui.0025385b21404b3c".to_owned(),
            ..disk("nvme0n1", 32 * GIB)
        },
        disk("vda", 32 * GIB),
    ];
    let machine = hardware(Firmware::Uefi, disks);
    let all = ["sda", "sdb", "nvme0n1", "vda"];
    for (written, kept, selected) in [
        ("model = \"WDC WD40EFRX-68N\"", &all[..2], &all[..2]),
        ("model = \"WDC WD40EFRX-68N32N0\"", &all[..2], &all[..2]),
        ("model = \"WDC_WD40EFRX-68N32N0\"", &all[..2], &all[..2]),
        ("model = \"WDC WD40EFRX\"", &all[..2], &[][..]),
        ("model = \"Samsung SSD 980 PRO 1TB rev 2\"", &all[2..3], &[]),
        ("model = \"Samsung SSD 980\"", &all[2..3], &[]),
        (
            "model = \"Samsung SSD 980 PRO 1TB\"",
            &all[2..3],
            &all[2..3],
        ),
        ("wwn = \"0x50014ee2b1a2c3d4\"", &all[..1], &all[..1]),
        ("wwn = \"wwn-0x50014EE2B1A2C3D4\"", &all[..1], &all[..1]),
        ("wwn = \"naa.50014ee2b1a2c3d4\"", &all[..1], &all[..1]),
        ("wwn = \"eui.0025385b21404b3c\"", &all[2..3], &all[2..3]),
        ("wwn = \"0x50014ee2b1a2\"", &[], &[]),
        ("serial = \"SERIAL-SDA\"", &[], &[]),
    ] {
        let keep = format!(
            "select = {{ serial = \"serial-vda\" }}\nlayout = \"ext4\"\nkeep = [{{ {written} }}]"
        );
        let plan = plan_of(&machine, &keep).expect(written);
        let is = |seen: &&SeenDisk| seen.action == DiskAction::Kept;
        let seen = plan.seen.iter().filter(is);
        let nodes: Vec<&str> = seen.map(|seen| seen.disk.node.as_str()).collect();
        assert_eq!(nodes, kept, "keep {written}");
        let told = format!("`keep` {{ {written} }} fits no disk here");
        let told = if kept.is_empty() { vec![told] } else { vec![] };
        assert_eq!(plan.warnings, told, "keep {written}");

        let planned = plan_with(&machine, &format!("{{ {written} }}"));
        match (planned, selected) {
            (Ok(plan), [one]) => assert_eq!(plan.disks[0].disk.node, *one, "{written}"),
            (Err(refusal), []) => assert!(refusal.message.starts_with("no disk"), "{refusal}"),
            (Err(refusal), _) => assert!(refusal.message.starts_with("2 disks"), "{refusal}"),
            (Ok(_), _) => panic!("{written} selects one of {selected:?}"),
        }
    }
}

/// The kernel says no more than the first 16 characters of both; their links say all.
#[test]
fn of_two_sata_disks_that_begin_alike_the_model_means_one() {
    let sata = |node: &str, whole: &str| Disk {
        model: "Samsung SSD 870".to_owned(),
        bus: DiskBus::Sata,
        by_id: vec![
            format!("ata-{}_S5Y1-{node}", whole.replace(' ', "_")),
            format!("wwn-0x5002538f-{node}"),
        ],
        ..disk(node, 32 * GIB)
    };
    let evo = sata("sda", "Samsung SSD 870 EVO 1TB");
    let qvo = sata("sdb", "Samsung SSD 870 QVO 1TB");
    let unlinked = Disk {
        by_id: Vec::new(),
        ..evo.clone()
    };
    let select = "{ model = \"Samsung SSD 870 EVO 1TB\" }";
    let chosen = |disks: &[&Disk]| {
        let disks = disks.iter().map(|disk| (*disk).clone()).collect();
        let plan = plan_with(&hardware(Firmware::Uefi, disks), select);
        plan.ok().map(|plan| plan.disks[0].disk.node.clone())
    };
    assert_eq!(chosen(&[&qvo, &evo]).as_deref(), Some("sda"));
    assert_eq!(chosen(&[&qvo]), None);
    assert_eq!(chosen(&[&unlinked]).as_deref(), Some("sda"));
}

#[test]
fn a_line_to_write_selects_the_disk_that_it_is_for() {
    let nameless = |node: &str, size| Disk {
        serial: String::new(),
        by_id: Vec::new(),
        ..disk(node, size)
    };
    let usb = |disk: Disk| Disk {
        bus: DiskBus::Usb,
        removable: true,
        ..disk
    };
    let twin = |node: &str| Disk {
        serial: "0123456789".to_owned(),
        ..disk(node, 8 * GIB)
    };
    for (name, disks, want) in [
        (
            "without any name, of other sizes",
            vec![nameless("vda", 8 * GIB), nameless("vdb", 9 * GIB)],
            &["{ min-size = \"8589934592\", max-size = \"8589934592\" }"][..],
        ),
        (
            "without any name, alike",
            vec![nameless("vda", 8 * GIB), nameless("vdb", 8 * GIB)],
            &[],
        ),
        (
            "of one serial number",
            vec![twin("vda"), twin("vdb")],
            &[
                "{ by-id = \"virtio-serial-vda\" }",
                "{ by-id = \"virtio-serial-vdb\" }",
            ],
        ),
        (
            "sticks alone",
            vec![usb(nameless("sda", 8 * GIB))],
            &["{ bus = \"usb\", min-size = \"8589934592\", max-size = \"8589934592\" }"],
        ),
    ] {
        let machine = hardware(Firmware::Uefi, disks);
        let refused = plan_with(&machine, "{ min-size = \"1G\", max-size = \"9G\" }");
        let refusal = refused.expect_err(name);
        let lines: Vec<String> = refusal
            .tips
            .iter()
            .filter_map(|tip| Some(tip.split_once("select = ")?.1.to_owned()))
            .filter(|line| !line.contains(" },"))
            .collect();
        let some: Vec<&String> = lines
            .iter()
            .filter(|line| want.contains(&line.as_str()))
            .collect();
        assert_eq!(some.len(), want.len(), "{name}: {refusal}");
        for line in &lines {
            plan_with(&machine, line).expect(line);
        }
        if want.is_empty() {
            let tip = "these disks cannot be told apart";
            let told = refusal.tips.iter().any(|one| one.starts_with(tip));
            assert!(told, "{name}: {refusal:?}");
        }
    }
}

#[test]
fn no_match_lists_what_there_is() {
    let mut stick = disk("sda", 16 * GIB);
    stick.bus = DiskBus::Usb;
    stick.removable = true;
    let machine = hardware(Firmware::Uefi, vec![disk("vda", 8 * GIB), stick]);
    refusal(
        &machine,
        "{ min-size = \"20G\" }",
        expect![[r#"
        no disk matches `select` of profile `worker`
          disk vda: 8.0 GiB virtio, serial serial-vda, empty
          disk sda: 16.0 GiB usb, serial serial-sda, removable, empty
          nothing was written
          tip: in hosts/profiles/worker.toml: [disk] select = { serial = "serial-vda" }
    "#]],
    );
}

#[test]
fn two_matches_are_a_refusal_with_the_lines_to_write() {
    let mut data = disk("vdb", 8 * GIB);
    data.holds = vec![signature("vdb1", "ext4", "photos")];
    let machine = hardware(Firmware::Uefi, vec![disk("vda", 8 * GIB), data]);
    refusal(
        &machine,
        "{ smallest = true }",
        expect![[r#"
        2 disks match `select` of profile `worker`
          disk vda: 8.0 GiB virtio, serial serial-vda, empty
          disk vdb: 8.0 GiB virtio, serial serial-vdb, holds vdb1: ext4 "photos", 1.0 GiB
          nothing was written
          tip: in hosts/profiles/worker.toml: [disk] select = { serial = "serial-vda" }
          tip: in hosts/profiles/worker.toml: [disk] select = { serial = "serial-vdb" }
    "#]],
    );
}

#[test]
fn equal_partition_labels_on_another_disk_are_refused() {
    let mut old = disk("vdb", 16 * GIB);
    old.holds = vec![signature("vdb2", "ext4", "disk-main-root")];
    let machine = hardware(Firmware::Uefi, vec![disk("vda", 8 * GIB), old]);
    refusal(
        &machine,
        "{ smallest = true }",
        expect![[r#"
            another disk has a partition labelled `disk-main-root`
              disk vdb: 16.0 GiB virtio, serial serial-vdb, holds vdb2: ext4 "disk-main-root", 1.0 GiB
              the installed system finds its partitions by label, and could mount that one
              nothing was written
              tip: give it another label: sfdisk --part-label /dev/vdb 2 old-disk-main-root
        "#]],
    );
}

#[test]
fn a_small_disk_and_another_architecture_are_refused() {
    refusal(
        &hardware(Firmware::Uefi, vec![disk("vda", 2 * GIB)]),
        "{ smallest = true }",
        expect![[r#"
            the chosen disk is too small for this system
              disk vda: 2.0 GiB virtio, serial serial-vda, empty
              needed: 3.0 GiB
              nothing was written
        "#]],
    );
    let mut arm = hardware(Firmware::Uefi, vec![disk("vda", 8 * GIB)]);
    arm.arch = CpuArch::Aarch64;
    refusal(
        &arm,
        "{ smallest = true }",
        expect![[r#"
        profile `worker` is for x86_64, this machine is aarch64
    "#]],
    );
}

/// Sizes are what an agent and a narinfo say.
#[test]
fn sizes_that_nobody_has_are_survived() {
    let small = hardware(Firmware::Uefi, vec![disk("vda", 8 * GIB)]);
    let huge = hardware(Firmware::Uefi, vec![disk("vda", u64::MAX)]);
    let whole = |machine: &Hardware, disk: &str, closure_size| {
        let release = Release {
            closure_size,
            ..release()
        };
        let profile = try_profile(disk, "none").expect("reads");
        let cache = Substituter {
            url: "http://10.77.0.1:8080/cache".to_owned(),
            public_key: "k:AA==".to_owned(),
        };
        let order = PlanOrder {
            host_name: &"node1".parse().expect("a name"),
            profile: &profile,
            release: &release,
            cache: &cache,
            k3s_server: None,
        };
        plan(machine, &order)
    };
    let usual = "select = { smallest = true }\nlayout = \"ext4\"";
    for (machine, size) in [(&small, u64::MAX), (&huge, u64::MAX)] {
        let refusal = whole(machine, usual, size).expect_err("is refused");
        let message = "the chosen disk is too small for this system";
        assert_eq!(refusal.message, message, "{refusal:?}");
    }
    whole(&huge, usual, GIB).expect("a plan");

    let table = r#"select = { smallest = true }
[disk.devices.disk.main.content]
type = "gpt"
[disk.devices.disk.main.content.partitions]
ESP = { type = "EF00", size = "1G", content = { type = "filesystem", format = "vfat", mountpoint = "/boot" } }
root = { size = "100%", content = { type = "filesystem", format = "ext4", mountpoint = "/" } }
a = { size = "4G", label = "a", preserve = true, content = { type = "filesystem", format = "ext4", mountpoint = "/a" } }
b = { size = "4G", label = "b", preserve = true, content = { type = "filesystem", format = "ext4", mountpoint = "/b" } }
"#;
    let mut odd = disk("vda", u64::MAX);
    odd.sector = 0;
    let held = |node: &str, label: &str, start| Signature {
        start,
        size: u64::MAX,
        ..signature(node, "ext4", label)
    };
    odd.holds = vec![held("vda1", "a", MIB), held("vda2", "b", u64::MAX)];
    let refusal = whole(&hardware(Firmware::Uefi, vec![odd]), table, GIB).expect_err("no room");
    let message = "the chosen disk is too small for this system";
    assert_eq!(refusal.message, message, "{refusal:?}");
}

#[test]
fn who_joins_a_cluster_is_told_where_it_is_or_refused() {
    let machine = hardware(Firmware::Uefi, vec![disk("vda", 8 * GIB)]);
    let planned = |role: &str, server: Option<&str>| {
        let disk = "select = { smallest = true }\nlayout = \"ext4\"";
        plan_in(&machine, disk, role, server)
    };
    let at = "https://10.77.0.10:6443";
    for (role, server, want) in [
        ("none", None, Some("-")),
        ("none", Some(at), Some("-")),
        ("server-init", None, Some("founds")),
        ("server-init", Some(at), Some("founds")),
        ("server", None, None),
        ("server", Some(at), Some(at)),
        ("agent", None, None),
        ("agent", Some(at), Some(at)),
    ] {
        let plan = planned(role, server).ok();
        let said = plan.map(|plan| match plan.k3s {
            None => "-".to_owned(),
            Some(k3s) => k3s.server.unwrap_or_else(|| "founds".to_owned()),
        });
        assert_eq!(said.as_deref(), want, "{role} {server:?}");
    }
    expect![[r#"
        profile `worker` joins a cluster as `server`, and none is configured
          nothing was written
          tip: in appliance.toml: [k3s] server = "https://ADDRESS:6443", then restart the appliance
          tip: for the first server of a cluster, in hosts/profiles/worker.toml: [k3s] role = "server-init"
    "#]]
    .assert_eq(&refusal_text(&planned("server", None).expect_err("is refused")));
}

#[test]
fn a_removable_or_usb_disk_is_chosen_only_by_name() {
    let mut stick = disk("sda", 8 * GIB);
    stick.bus = DiskBus::Usb;
    stick.removable = true;
    for (select, chosen) in [
        ("{ smallest = true }", false),
        ("{ min-size = \"1G\" }", false),
        ("{ serial = \"serial-sda\" }", true),
        ("{ by-id = \"/dev/disk/by-id/virtio-serial-sda\" }", true),
        ("{ bus = \"usb\" }", true),
    ] {
        let machine = hardware(Firmware::Uefi, vec![stick.clone()]);
        assert_eq!(plan_with(&machine, select).is_ok(), chosen, "{select}");
        stick.read_only = true;
        let machine = hardware(Firmware::Uefi, vec![stick.clone()]);
        assert!(plan_with(&machine, select).is_err(), "read-only, {select}");
        stick.read_only = false;
    }
}

#[test]
fn sizes_read_well() {
    for (bytes, want) in [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (32 * GIB, "32.0 GiB"),
        (u64::MAX, "16383.9 PiB"),
    ] {
        assert_eq!(size_words(bytes), want);
    }
}

#[test]
fn a_card_beside_a_disk_is_chosen_only_by_name() {
    let card = Disk {
        bus: DiskBus::Mmc,
        removable: true,
        ..disk("mmcblk0", 8 * GIB)
    };
    let machine = hardware(Firmware::Uefi, vec![card, disk("nvme0n1", 500 * GIB)]);
    for (select, chosen) in [
        ("{ smallest = true }", "nvme0n1"),
        ("{ smallest = true, bus = \"mmc\" }", "mmcblk0"),
        ("{ bus = \"mmc\" }", "mmcblk0"),
        ("{ serial = \"serial-mmcblk0\" }", "mmcblk0"),
    ] {
        let plan = plan_with(&machine, select).expect(select);
        assert_eq!(plan.disks[0].disk.node, chosen, "{select}");
    }
}

#[test]
fn the_medium_it_booted_from_is_meant_only_when_it_is_named() {
    let medium = Disk {
        boot_medium: true,
        ..disk("vda", 8 * GIB)
    };
    let machine = hardware(Firmware::Uefi, vec![medium, disk("vdb", 16 * GIB)]);
    let chosen =
        |select: &str| plan_with(&machine, select).map(|plan| plan.disks[0].disk.node.clone());
    assert_eq!(chosen("{ smallest = true }").as_deref(), Ok("vdb"));
    let named = "{ serial = \"serial-vda\" }";
    assert_eq!(chosen(named).as_deref(), Ok("vda"));
}

#[test]
fn an_array_that_also_lies_on_another_disk_is_refused() {
    let member = |node: &str| Signature {
        member_of: Some(Group {
            name: "nas:0".to_owned(),
            id: "3a".to_owned(),
        }),
        ..signature(node, "linux_raid_member", "")
    };
    let with = |node: &str, size| Disk {
        holds: vec![member(&format!("{node}1"))],
        ..disk(node, size)
    };
    let machine = hardware(
        Firmware::Uefi,
        vec![with("vda", 8 * GIB), with("vdb", 16 * GIB)],
    );
    let refusal = plan_with(&machine, "{ smallest = true }").expect_err("is refused");
    assert!(refusal.message.contains("array `nas:0`"), "{refusal}");
}
