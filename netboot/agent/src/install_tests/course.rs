//! An install without a fault.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use expect_test::{Expect, expect};
use netboot::disk::hardware::Firmware;
use netboot::install::plan::{Arg, Device};
use netboot::install::report::{InstallStep, StepOutcome};

use super::{doings, failed, run};
use crate::fake::{DiskSpec, FakeMachine, plan_for};

#[track_caller]
fn check_commands(firmware: Firmware, want: &Expect) {
    let mut fake = FakeMachine::machine(firmware);
    run(&mut fake).expect("installs");
    let all: Vec<&str> = doings(&fake).into_iter().map(String::as_str).collect();
    want.assert_eq(&(all.join("\n") + "\n"));
}

#[test]
fn the_commands_of_an_install_on_uefi() {
    check_commands(
        Firmware::Uefi,
        &expect![[r#"
            wipefs --all --quiet /dev/vda1
            zero 1048576 bytes at both ends of /dev/vda1 (2097152 bytes)
            wipefs --all --quiet /dev/vda
            zero 1048576 bytes at both ends of /dev/vda (8589934592 bytes)
            blockdev --rereadpt /dev/vda
            sfdisk --quiet --lock=yes --wipe always --wipe-partitions always /dev/vda
            label: gpt
            unit: sectors

            1 : start=2048, size=1048576, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name="disk-main-ESP"
            2 : start=1050624, size=15724544, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, name="disk-main-root"
            zero 1048576 bytes at both ends of /dev/vda1 (536870912 bytes)
            zero 1048576 bytes at both ends of /dev/vda2 (8050966528 bytes)
            mkfs.vfat -F 32 -n ESP /dev/vda1
            mkfs.ext4 -F -q -L root /dev/vda2
            mount -t ext4 /dev/vda2 /mnt
            mount -t vfat -o umask=0077 /dev/vda1 /mnt/boot
            nix-env --log-format internal-json -v --store /mnt --option substituters http://10.77.0.1:8080/cache --option trusted-public-keys appliance-1:a2V5 --option require-sigs true --option narinfo-cache-negative-ttl 0 --option narinfo-cache-positive-ttl 0 --option stalled-download-timeout 30 --option connect-timeout 5 --option build-users-group '' --option max-jobs 0 -p /mnt/nix/var/nix/profiles/system --set /nix/store/0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq-nixos-system-worker
            sync -f /mnt
            ssh-keygen -q -t ed25519 -N '' -C root@node1 -f /mnt/etc/ssh/ssh_host_ed25519_key
            NIXOS_INSTALL_BOOTLOADER=1 unshare --fork --mount --uts --mount-proc --pid -- sh -c 'set -e
            mount --make-rprivate /
            mount --rbind /dev "$1/dev"
            mount --rbind /sys "$1/sys"
            IN_NIXOS_ENTER=1 chroot "$1" /nix/var/nix/profiles/system/activate >&2 ||
                echo "warning: activate ended with status $?" >&2
            exec chroot "$1" /nix/var/nix/profiles/system/bin/switch-to-configuration boot >&2' sh /mnt
            sync -f /mnt
            sync -f /mnt/boot
            umount /mnt/boot
            umount /mnt
            blockdev --flushbufs /dev/vda
        "#]],
    );
}

#[test]
fn the_commands_of_an_install_on_bios() {
    check_commands(
        Firmware::Bios,
        &expect![[r#"
            wipefs --all --quiet /dev/vda1
            zero 1048576 bytes at both ends of /dev/vda1 (2097152 bytes)
            wipefs --all --quiet /dev/vda
            zero 1048576 bytes at both ends of /dev/vda (8589934592 bytes)
            blockdev --rereadpt /dev/vda
            sfdisk --quiet --lock=yes --wipe always --wipe-partitions always /dev/vda
            label: gpt
            unit: sectors

            1 : start=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649, name="disk-main-boot"
            2 : start=4096, size=16771072, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, name="disk-main-root"
            zero 1048576 bytes at both ends of /dev/vda1 (1048576 bytes)
            zero 1048576 bytes at both ends of /dev/vda2 (8586788864 bytes)
            mkfs.ext4 -F -q -L root /dev/vda2
            mount -t ext4 /dev/vda2 /mnt
            nix-env --log-format internal-json -v --store /mnt --option substituters http://10.77.0.1:8080/cache --option trusted-public-keys appliance-1:a2V5 --option require-sigs true --option narinfo-cache-negative-ttl 0 --option narinfo-cache-positive-ttl 0 --option stalled-download-timeout 30 --option connect-timeout 5 --option build-users-group '' --option max-jobs 0 -p /mnt/nix/var/nix/profiles/system --set /nix/store/0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq-nixos-system-worker
            sync -f /mnt
            ssh-keygen -q -t ed25519 -N '' -C root@node1 -f /mnt/etc/ssh/ssh_host_ed25519_key
            NIXOS_INSTALL_BOOTLOADER=1 unshare --fork --mount --uts --mount-proc --pid -- sh -c 'set -e
            mount --make-rprivate /
            mount --rbind /dev "$1/dev"
            mount --rbind /sys "$1/sys"
            IN_NIXOS_ENTER=1 chroot "$1" /nix/var/nix/profiles/system/activate >&2 ||
                echo "warning: activate ended with status $?" >&2
            exec chroot "$1" /nix/var/nix/profiles/system/bin/switch-to-configuration boot >&2' sh /mnt
            sync -f /mnt
            umount /mnt
            blockdev --flushbufs /dev/vda
        "#]],
    );
}

/// What is done between the wiping and the copying, and after the boot loader.
#[test]
fn a_mirror_is_made_of_both_disks_and_left_stopped() {
    let disks = [
        DiskSpec::virtio("vda", 8 << 30, "one"),
        DiskSpec::virtio("nvme0n1", 8 << 30, "two"),
    ];
    let mut fake = FakeMachine::new(Firmware::Bios);
    for disk in &disks {
        fake.add_disk(disk);
    }
    fake.add_disk(&DiskSpec::virtio("vdb", 9 << 30, "data"));
    fake.plan = plan_for(Firmware::Bios, "mirror", &disks);
    run(&mut fake).expect("installs");
    let ours = [
        "sfdisk",
        "mkfs",
        "MDADM_NO_UDEV=1 mdadm",
        "mount",
        "umount",
        "sync",
        "blockdev --flush",
    ];
    let done = doings(&fake)
        .into_iter()
        .map(|line| line.lines().next().unwrap_or_default());
    let done: Vec<&str> = done
        .filter(|line| ours.iter().any(|own| line.starts_with(own)))
        .collect();
    expect![[r#"
        sfdisk --quiet --lock=yes --wipe always --wipe-partitions always /dev/vda
        sfdisk --quiet --lock=yes --wipe always --wipe-partitions always /dev/nvme0n1
        MDADM_NO_UDEV=1 mdadm --create /dev/md/root --run --level=1 --raid-devices=2 --metadata=1.2 --homehost=any --name=root --bitmap=internal --assume-clean /dev/vda3 /dev/nvme0n1p3
        mkfs.vfat -F 32 -n ESP /dev/vda2
        mkfs.vfat -F 32 -n ESP /dev/nvme0n1p2
        mkfs.ext4 -F -q -L root /dev/md/root
        mount -t ext4 /dev/md/root /mnt
        mount -t vfat -o umask=0077 /dev/vda2 /mnt/boot
        mount -t vfat -o umask=0077 /dev/nvme0n1p2 /mnt/boot-second
        sync -f /mnt
        sync -f /mnt
        sync -f /mnt/boot
        sync -f /mnt/boot-second
        umount /mnt/boot-second
        umount /mnt/boot
        umount /mnt
        MDADM_NO_UDEV=1 mdadm --stop /dev/md/root
        blockdev --flushbufs /dev/vda
        blockdev --flushbufs /dev/nvme0n1
    "#]].assert_eq(&(done.join("\n") + "\n"));
    let links = fake.roots().dev.join("disk/netboot");
    for (name, node) in [("main", "vda"), ("second", "nvme0n1")] {
        let link = fs::read_link(links.join(name)).expect("a link");
        assert_eq!(link, fake.roots().dev.join(node), "{name}");
    }
}

#[test]
fn an_install_on_bios_warns_of_nothing() {
    let disks = [
        DiskSpec::virtio("vda", 8 << 30, "one"),
        DiskSpec::virtio("vdb", 8 << 30, "two"),
    ];
    let layouts = [
        ("ext4", 1),
        ("xfs", 1),
        ("btrfs", 1),
        ("mirror", 2),
        ("zfs", 1),
    ];
    for (layout, count) in layouts {
        let mut fake = FakeMachine::new(Firmware::Bios);
        for disk in &disks[..count] {
            fake.add_disk(disk);
        }
        fake.plan = plan_for(Firmware::Bios, layout, &disks[..count]);
        run(&mut fake).expect(layout);
        let warnings = fake.console.iter().filter(|line| line.contains("warning:"));
        assert_eq!(warnings.collect::<Vec<_>>(), [""; 0], "{layout}");
    }
}

#[test]
fn a_pool_is_made_on_its_partition_and_left_exported() {
    let disk = DiskSpec::virtio("vda", 8 << 30, "root");
    let mut fake = FakeMachine::new(Firmware::Bios);
    fake.add_disk(&disk);
    fake.add_partition("vda", 1, 2048, 4096, "old");
    // A pool of an earlier install, which is imported.
    fake.signatures("vda1", &[("0x3f000", "zfs_member", "rpool", "77")]);
    fake.pools = "rpool\ntank\n".to_owned();
    fake.plan = plan_for(Firmware::Bios, "zfs", &[disk]);
    run(&mut fake).expect("installs");
    let done = doings(&fake).into_iter();
    let done = done.filter(|line| {
        ["zpool", "zfs", "mount", "umount", "sync"]
            .iter()
            .any(|own| line.starts_with(own))
    });
    let done: Vec<&str> = done.map(String::as_str).collect();
    expect![[r#"
        zpool list -H -o name
        zpool export -f rpool
        zpool create -f -o cachefile=none -o ashift=12 -o compatibility=openzfs-2.1-linux -O acltype=posixacl -O atime=off -O compression=zstd -O dnodesize=auto -O mountpoint=none -O xattr=sa rpool /dev/vda3
        zfs create -o mountpoint=legacy rpool/root
        zfs create -o mountpoint=legacy rpool/nix
        zfs create -o mountpoint=legacy rpool/home
        zfs create -o mountpoint=legacy rpool/var
        mount -t zfs rpool/root /mnt
        mount -t vfat -o umask=0077 /dev/vda2 /mnt/boot
        mount -t zfs rpool/nix /mnt/nix
        mount -t zfs rpool/home /mnt/home
        mount -t zfs rpool/var /mnt/var
        sync -f /mnt
        sync -f /mnt
        sync -f /mnt/boot
        sync -f /mnt/nix
        sync -f /mnt/home
        sync -f /mnt/var
        umount /mnt/var
        umount /mnt/home
        umount /mnt/nix
        umount /mnt/boot
        umount /mnt
        zpool export rpool
    "#]].assert_eq(&(done.join("\n") + "\n"));
}

#[test]
fn what_zfs_is_told_names_no_pool_but_the_plans() {
    for (name, arg) in [
        ("a pool by its name alone", Arg::Text("tank".into())),
        (
            "a pool that the plan has not",
            Arg::Device(Device::Dataset("tank".into())),
        ),
        (
            "a dataset that it has not",
            Arg::Device(Device::Dataset("rpool/tank".into())),
        ),
        ("what is no order of a plan", Arg::Text("destroy".into())),
    ] {
        let disk = DiskSpec::virtio("vda", 8 << 30, "root");
        let mut fake = FakeMachine::new(Firmware::Bios);
        fake.add_disk(&disk);
        fake.plan = plan_for(Firmware::Bios, "zfs", &[disk]);
        let mut commands = fake.plan.commands.iter_mut();
        let export = commands.find(|c| c.program == "zpool" && c.step == InstallStep::Unmount);
        export.expect("an export").args.push(arg);
        let (step, causes) = failed(run(&mut fake));
        assert_eq!(step, InstallStep::Plan, "{name}: {causes}");
        assert_eq!(doings(&fake), [""; 0], "{name}");
    }
}

#[test]
fn an_array_that_is_there_already_is_not_taken_for_ours() {
    let disks = ["one", "two"].map(|serial| match serial {
        "one" => DiskSpec::virtio("vda", 8 << 30, serial),
        serial => DiskSpec::virtio("vdb", 8 << 30, serial),
    });
    let mut fake = FakeMachine::new(Firmware::Bios);
    disks.iter().for_each(|disk| fake.add_disk(disk));
    fake.plan = plan_for(Firmware::Bios, "mirror", &disks);
    fake.write("dev/md/root", "somebody's");
    let (step, causes) = failed(run(&mut fake));
    assert_eq!(step, InstallStep::Format);
    assert!(causes.contains("is there already"), "{causes}");
    assert!(!doings(&fake).iter().any(|line| line.contains("mdadm ")));
}

#[test]
fn every_step_is_reported_in_order_with_rising_numbers_and_the_session() {
    let mut fake = FakeMachine::machine(Firmware::Uefi);
    run(&mut fake).expect("installs");
    let reports = fake.reports();
    let want: Vec<(InstallStep, StepOutcome)> = InstallStep::ALL
        .iter()
        .flat_map(|s| [(*s, StepOutcome::Started), (*s, StepOutcome::Done)])
        .collect();
    let got: Vec<(InstallStep, StepOutcome)> = reports
        .iter()
        .map(|r| (r.step, r.outcome.clone()))
        .collect();
    assert_eq!(got, want);
    assert!(reports.windows(2).all(|w| w[0].number < w[1].number));
    assert_eq!(fake.bearers("/node/v1/report"), ["ab".repeat(32)]);
    assert_eq!(fake.bearers("/node/v1/claim"), [""; 0]);
    assert_eq!(
        fake.bodies("/node/v1/installed"),
        [format!(
            r#"{{"generation":1,"store_path":"{}","label":"25.05","ssh_host_key":"ssh-ed25519 AAAAkey"}}"#,
            crate::fake::TOPLEVEL
        )]
    );
}

#[test]
fn what_is_secret_is_for_root_alone_and_not_in_any_command_or_on_the_console() {
    let mut fake = FakeMachine::machine(Firmware::Uefi);
    run(&mut fake).expect("installs");
    let root = fake.roots().target;
    let mut stack = vec![root];
    let mut found = 0;
    while let Some(folder) = stack.pop() {
        for entry in fs::read_dir(&folder).expect("reads").flatten() {
            let path = entry.path();
            if path.is_symlink() {
                continue;
            }
            if path.is_dir() {
                stack.push(path);
                continue;
            }
            if fs::read_to_string(&path).expect("reads").contains("canary") {
                found += 1;
                let mode = fs::metadata(&path).expect("there").permissions().mode() & 0o777;
                assert_eq!(mode, 0o600, "{}", path.display());
            }
        }
    }
    assert_eq!(found, 3, "node key, token, password");
    let said = [fake.log.join("\n"), fake.console.join("\n")].concat();
    assert!(
        !said.contains("canary") && !said.contains(&"ab".repeat(32)),
        "{said}"
    );
}
