//! The whole install against a world of folders: what it does, in which order, and what it does not do.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use expect_test::{Expect, expect};
use netboot::hardware::Firmware;
use netboot::refusal::{Code, Refusal};
use netboot::report::{Outcome, Step};
use proptest::prelude::*;

use crate::cmdline::Orders;
use crate::fake::{DiskSpec, Fake, Say};
use crate::install::install;
use crate::pin::Pin;
use crate::run::Stop;

fn orders() -> Orders {
    Orders {
        url: "https://10.77.0.1:8443".to_owned(),
        ticket: "00112233445566778899aabbccddeeff"
            .parse()
            .expect("a ticket"),
        pin: Pin::of(b"the appliance"),
        booted_from: None,
    }
}

fn run(fake: &mut Fake) -> Result<(), Stop> {
    let roots = fake.roots();
    install(fake, &roots, &orders())
}

/// All but what only looks.
fn doings(fake: &Fake) -> Vec<&String> {
    let looks = |line: &&String| !line.starts_with("blkid ") && !line.starts_with("udevadm ");
    fake.log.iter().filter(looks).collect()
}

#[track_caller]
fn failed(stop: Result<(), Stop>) -> (Step, String) {
    match stop.expect_err("fails") {
        Stop::Failed { step, causes } => (step, causes.join("; ")),
        Stop::Superseded { step, .. } => panic!("superseded in {step}"),
    }
}

#[track_caller]
fn check_commands(firmware: Firmware, want: &Expect) {
    let mut fake = Fake::machine(firmware);
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
        wipefs --all --quiet /dev/vda
        zero 1048576 bytes at both ends of /dev/vda (8589934592 bytes)
        blockdev --rereadpt /dev/vda
        sfdisk --quiet --lock=yes --wipe always --wipe-partitions always /dev/vda
        label: gpt
        unit: sectors

        1 : start=2048, size=1048576, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name="disk-main-ESP"
        2 : start=1050624, size=15724544, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, name="disk-main-root"
        mkfs.vfat -F 32 -n ESP /dev/vda1
        mkfs.ext4 -F -q -L root /dev/vda2
        mount -t ext4 /dev/vda2 /mnt
        mount -t vfat -o umask=0077 /dev/vda1 /mnt/boot
        nix-env --log-format internal-json -v --store /mnt --option substituters http://10.77.0.1:8080/cache --option trusted-public-keys appliance-1:a2V5 --option require-sigs true --option narinfo-cache-negative-ttl 0 --option narinfo-cache-positive-ttl 0 --option stalled-download-timeout 30 --option connect-timeout 5 --option build-users-group '' --option max-jobs 0 -p /mnt/nix/var/nix/profiles/system --set /nix/store/0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq-nixos-system-worker
        ssh-keygen -q -t ed25519 -N '' -C root@node1 -f /mnt/etc/ssh/ssh_host_ed25519_key
        NIXOS_INSTALL_BOOTLOADER=1 unshare --fork --mount --uts --mount-proc --pid -- sh -c 'set -e
        mount --make-rprivate /
        mount --rbind /dev "$1/dev"
        mount --rbind /sys "$1/sys"
        IN_NIXOS_ENTER=1 chroot "$1" /nix/var/nix/profiles/system/activate >&2 ||
            echo "warning: activate ended with status $?" >&2
        exec chroot "$1" /nix/var/nix/profiles/system/bin/switch-to-configuration boot >&2' sh /mnt
        sync
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
        wipefs --all --quiet /dev/vda
        zero 1048576 bytes at both ends of /dev/vda (8589934592 bytes)
        blockdev --rereadpt /dev/vda
        sfdisk --quiet --lock=yes --wipe always --wipe-partitions always /dev/vda
        label: gpt
        unit: sectors

        1 : start=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649, name="disk-main-boot"
        2 : start=4096, size=16771072, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, name="disk-main-root"
        mkfs.ext4 -F -q -L root /dev/vda2
        mount -t ext4 /dev/vda2 /mnt
        nix-env --log-format internal-json -v --store /mnt --option substituters http://10.77.0.1:8080/cache --option trusted-public-keys appliance-1:a2V5 --option require-sigs true --option narinfo-cache-negative-ttl 0 --option narinfo-cache-positive-ttl 0 --option stalled-download-timeout 30 --option connect-timeout 5 --option build-users-group '' --option max-jobs 0 -p /mnt/nix/var/nix/profiles/system --set /nix/store/0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq-nixos-system-worker
        ssh-keygen -q -t ed25519 -N '' -C root@node1 -f /mnt/etc/ssh/ssh_host_ed25519_key
        NIXOS_INSTALL_BOOTLOADER=1 unshare --fork --mount --uts --mount-proc --pid -- sh -c 'set -e
        mount --make-rprivate /
        mount --rbind /dev "$1/dev"
        mount --rbind /sys "$1/sys"
        IN_NIXOS_ENTER=1 chroot "$1" /nix/var/nix/profiles/system/activate >&2 ||
            echo "warning: activate ended with status $?" >&2
        exec chroot "$1" /nix/var/nix/profiles/system/bin/switch-to-configuration boot >&2' sh /mnt
        sync
        umount /mnt
        blockdev --flushbufs /dev/vda
    "#]],
    );
}

#[test]
fn every_step_is_reported_in_order_with_rising_numbers_and_the_session() {
    let mut fake = Fake::machine(Firmware::Uefi);
    run(&mut fake).expect("installs");
    let reports = fake.reports();
    let want: Vec<(Step, Outcome)> = Step::ALL
        .iter()
        .flat_map(|s| [(*s, Outcome::Started), (*s, Outcome::Done)])
        .collect();
    let got: Vec<(Step, Outcome)> = reports
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
    let mut fake = Fake::machine(Firmware::Uefi);
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

#[test]
fn a_command_that_fails_ends_the_install_there_and_says_which() {
    let mut clean = Fake::machine(Firmware::Uefi);
    run(&mut clean).expect("installs");
    for (place, command) in clean.log.iter().enumerate() {
        let mut fake = Fake::machine(Firmware::Uefi);
        fake.fail_at = Some(place);
        let done = run(&mut fake);
        let first = command
            .split(' ')
            .find(|word| !word.contains('='))
            .unwrap_or_default();
        // Looking may fail; and these are tried again, since a scanner may be at work.
        let again =
            command.starts_with("umount") || command.contains("--rereadpt") || first == "nix-env";
        if ["blkid", "udevadm"].contains(&first) || again {
            done.unwrap_or_else(|stop| panic!("`{command}`: {stop:?}"));
            continue;
        }
        let (step, causes) = failed(done);
        assert!(causes.contains("it broke"), "`{command}`: {causes}");
        assert_eq!(fake.log.len(), place + 1, "nothing after `{command}`");
        let last = fake.reports().pop().expect("a report");
        assert_eq!(last.step, step, "`{command}`");
        assert!(
            matches!(last.outcome, Outcome::Failed { .. }),
            "`{command}`: {last:?}"
        );
        assert!(
            fake.console
                .iter()
                .any(|l| l.contains("INSTALL FAILED") && l.contains(step.sentence()))
        );
        assert_eq!(fake.calls("/node/v1/installed"), 0);
    }
}

#[test]
fn an_appliance_that_is_away_is_waited_for_at_every_call() {
    let mut fake = Fake::machine(Firmware::Uefi);
    for path in [
        "claim",
        "plan",
        "report",
        "secrets",
        "secrets/received",
        "installed",
    ] {
        let path = format!("/node/v1/{path}");
        fake.away(&path, 30);
        fake.answer(&path, Say::Status(503));
        fake.answer(&path, Say::Status(429));
    }
    run(&mut fake).expect("installs");
    assert_eq!(fake.calls("/node/v1/claim"), 33);
    assert_eq!(fake.calls("/node/v1/installed"), 33);
    let told = fake
        .console
        .iter()
        .filter(|l| l.contains("no answer from the appliance"))
        .count();
    assert_eq!(told, 6, "once for each wait: {:?}", fake.console);
    let mut numbers: Vec<u64> = fake.reports().iter().map(|r| r.number).collect();
    numbers.dedup();
    assert_eq!(
        numbers,
        (1..=20).collect::<Vec<u64>>(),
        "a repeat keeps its number"
    );
}

#[test]
fn a_refused_claim_ends_it_before_anything_was_looked_at() {
    let mut fake = Fake::machine(Firmware::Uefi);
    let refusal = Refusal::new(Code::TicketUsed, "this ticket is held by another agent")
        .tip("power it off and on");
    fake.answer("/node/v1/claim", Say::Refusal(409, refusal));
    let (step, causes) = failed(run(&mut fake));
    assert_eq!(step, Step::Claim);
    assert_eq!(
        causes,
        "this machine's ticket is not honoured; the appliance refused; \
         this ticket is held by another agent; tip: power it off and on"
    );
    assert_eq!((fake.log.len(), fake.calls("/node/v1/report")), (0, 0));
}

#[test]
fn another_key_ends_it_at_once_wherever_it_shows() {
    for (path, at) in [
        ("claim", Step::Claim),
        ("plan", Step::Plan),
        ("secrets", Step::Configure),
    ] {
        let mut fake = Fake::machine(Firmware::Uefi);
        let path = format!("/node/v1/{path}");
        fake.answer(&path, Say::Foreign);
        let (step, causes) = failed(run(&mut fake));
        assert_eq!(step, at);
        assert!(
            causes.contains("is not the appliance: its key is another"),
            "{causes}"
        );
        assert_eq!(fake.calls(&path), 1, "not asked again");
    }
}

#[test]
fn a_plan_that_is_refused_is_reported_with_facts_and_tips() {
    let mut fake = Fake::machine(Firmware::Uefi);
    let refusal = Refusal::new(Code::PlanRefused, "two disks match")
        .fact("vda: 8 GiB")
        .tip("write `serial`");
    fake.answer("/node/v1/plan", Say::Refusal(422, refusal));
    let (step, causes) = failed(run(&mut fake));
    assert_eq!(step, Step::Plan);
    assert!(
        causes.ends_with("two disks match; vda: 8 GiB; tip: write `serial`"),
        "{causes}"
    );
    assert_eq!(doings(&fake), [""; 0]);
    let Some(Outcome::Failed { causes }) = fake.reports().pop().map(|r| r.outcome) else {
        panic!("reported");
    };
    assert!(causes.contains(&"tip: write `serial`".to_owned()));
}

#[test]
fn an_attempt_that_was_superseded_touches_nothing_more_and_reports_nothing_more() {
    let mut clean = Fake::machine(Firmware::Uefi);
    run(&mut clean).expect("installs");
    for skip in 0..20 {
        let mut fake = Fake::machine(Firmware::Uefi);
        for _ in 0..skip {
            fake.answer("/node/v1/report", Say::Body("{}".to_owned()));
        }
        let gone = Refusal::new(Code::InstallSuperseded, "this install attempt is over");
        fake.answer("/node/v1/report", Say::Refusal(410, gone));
        let stop = run(&mut fake).expect_err("stops");
        assert!(matches!(stop, Stop::Superseded { .. }), "{stop:?}");
        assert_eq!(fake.calls("/node/v1/report"), skip + 1);
        assert_eq!(fake.log.len(), clean.marks[skip], "report {skip}");
    }
}

#[test]
fn a_copy_that_breaks_off_is_tried_again_and_a_wrong_signature_is_not() {
    let word = |level: u32, text: &str| {
        format!(r#"@nix {{"action":"msg","level":{level},"msg":"{text}"}}"#)
    };
    let cut = || {
        vec![word(
            0,
            "error: unable to download 'x': Transferred a partial file",
        )]
    };

    let mut fake = Fake::machine(Firmware::Uefi);
    fake.nix_fails.extend([cut(), cut()]);
    run(&mut fake).expect("installs");
    let retries: Vec<Outcome> = fake
        .reports()
        .into_iter()
        .map(|r| r.outcome)
        .filter(|o| matches!(o, Outcome::Retry { .. }))
        .collect();
    let retry = |attempt| Outcome::Retry {
        attempt,
        cause: "error: unable to download 'x': Transferred a partial file".to_owned(),
    };
    assert_eq!(retries, [retry(2), retry(3)]);

    let mut fake = Fake::machine(Firmware::Uefi);
    fake.nix_fails.extend((0..99).map(|_| cut()));
    let (step, causes) = failed(run(&mut fake));
    assert_eq!(step, Step::Copy);
    assert!(
        causes.contains("the cache does not deliver the system") && causes.contains("partial file"),
        "{causes}"
    );
    assert_eq!(
        fake.log.iter().filter(|l| l.starts_with("nix-env")).count(),
        5
    );

    let mut fake = Fake::machine(Firmware::Uefi);
    let unsigned = "warning: the substitute for '/nix/store/x' is not signed by any of the keys in 'trusted-public-keys'";
    fake.nix_fails.push_back(vec![word(1, unsigned)]);
    let (step, causes) = failed(run(&mut fake));
    assert_eq!(step, Step::Copy);
    assert!(causes.contains(unsigned), "{causes}");
    assert_eq!(
        fake.log.iter().filter(|l| l.starts_with("nix-env")).count(),
        1
    );
    assert_eq!(
        fake.calls("/node/v1/secrets"),
        0,
        "a half copy is given no secrets"
    );
}

#[test]
fn a_copy_that_makes_headway_is_not_given_up() {
    let lines = |done: u64| {
        vec![
            r#"@nix {"action":"start","id":1,"type":100,"fields":[],"text":""}"#.to_owned(),
            format!(r#"@nix {{"action":"result","id":1,"type":105,"fields":[{done},{done},0,0]}}"#),
            r#"@nix {"action":"stop","id":1}"#.to_owned(),
        ]
    };
    let mut fake = Fake::machine(Firmware::Uefi);
    fake.nix_fails.extend((0..20).map(|_| lines(3)));
    run(&mut fake).expect("installs");
    let progress: Vec<u64> = fake
        .reports()
        .into_iter()
        .filter_map(|r| match r.outcome {
            Outcome::Progress { done, total: 100 } => Some(done),
            _ => None,
        })
        .collect();
    assert_eq!(progress.last(), Some(&60), "{progress:?}");
}

#[test]
fn a_path_that_is_no_system_is_never_installed() {
    for part in [
        "init",
        "kernel",
        "nixos-version",
        "bin/switch-to-configuration",
    ] {
        let mut fake = Fake::machine(Firmware::Uefi);
        fake.lacking = Some(part);
        let (step, causes) = failed(run(&mut fake));
        assert_eq!(step, Step::Copy);
        assert!(causes.contains(&format!("it has no `{part}`")), "{causes}");
    }
}

#[test]
fn secrets_that_are_not_for_this_machine_are_an_error_that_shows_none_of_them() {
    for (name, body) in [
        ("not base64", r#"{"sealed":"canary!"}"#),
        ("not age", r#"{"sealed":"Y2FuYXJ5"}"#),
        ("not an answer", r#"{"token":"canary"}"#),
    ] {
        let mut fake = Fake::machine(Firmware::Uefi);
        fake.answer("/node/v1/secrets", Say::Body(body.to_owned()));
        let (step, causes) = failed(run(&mut fake));
        assert_eq!(step, Step::Configure, "{name}");
        assert!(!causes.contains("canary"), "{name}: {causes}");
        assert_eq!(fake.calls("/node/v1/secrets/received"), 0, "{name}");
    }
}

#[test]
fn a_disk_in_use_by_what_spans_another_disk_is_left_alone() {
    let mut fake = Fake::machine(Firmware::Uefi);
    fake.stack("md127", &["vda1", "vdb"], None);
    let (step, causes) = failed(run(&mut fake));
    assert_eq!(step, Step::TearDown);
    assert!(causes.contains("which also lies on `vdb`"), "{causes}");
    assert_eq!(doings(&fake), [""; 0]);
}

/// Four disks at most, often alike, so that names and identities get in each other's way.
fn disks() -> impl Strategy<Value = Vec<DiskSpec>> {
    const NAMES: [&str; 4] = ["vda", "vdb", "nvme0n1", "sda"];
    let one = (
        0..2u64,
        0..3usize,
        0..2usize,
        prop::bool::weighted(0.1),
        prop::bool::ANY,
    );
    prop::collection::vec(one, 1..5).prop_map(|all| {
        all.into_iter()
            .zip(NAMES)
            .map(|((size, serial, model, read_only, big), name)| DiskSpec {
                serial: ["root", "data", ""][serial],
                model: ["", "QEMU"][model],
                sector: if big { 512 } else { 4096 },
                read_only,
                ..DiskSpec::virtio(name, (8 + size) << 30, "")
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn only_the_one_planned_disk_is_ever_written_to(all in disks(), chosen: prop::sample::Index, renamed: prop::sample::Index) {
        let mut fake = Fake::new(Firmware::Uefi);
        for disk in &all {
            fake.add_disk(disk);
            fake.add_partition(disk.name, 1, 2048, 4096, "disk-main-root");
        }
        let chosen = chosen.get(&all);
        fake.plan.disk.size = chosen.size;
        fake.plan.disk.sector = chosen.sector;
        fake.plan.disk.model = chosen.model.to_owned();
        fake.plan.disk.serial = chosen.serial.to_owned();
        // The name it had when the plan was made says nothing.
        fake.plan.disk.node = renamed.get(&all).name.to_owned();

        let same = |d: &&DiskSpec| (d.size, d.sector, d.model, d.serial)
            == (chosen.size, chosen.sector, chosen.model, chosen.serial);
        let alone = all.iter().filter(same).count() == 1 && !chosen.read_only;
        let done = run(&mut fake);
        prop_assert_eq!(done.is_ok(), alone, "{:?}", done);
        if !alone {
            prop_assert_eq!(doings(&fake), [""; 0]);
        }
        for line in doings(&fake) {
            for node in line.split(|c: char| c.is_whitespace() || c == '\'' || c == '"') {
                let Some(node) = node.strip_prefix("/dev/") else { continue };
                let own = node == chosen.name || [1, 2].iter().any(|n| {
                    node == format!("{}{n}", chosen.name) || node == format!("{}p{n}", chosen.name)
                });
                prop_assert!(own, "`{}` while the disk is {}", line, chosen.name);
            }
        }
    }
}
