//! Marks into boots, and what is said of each place where a boot can get stuck.

mod leaving;
mod reordered;

use std::fmt::Write as _;
use std::time::Duration;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::loader::local_boot::{BootLoader, Departure, LocalBootHistory};
use crate::machine::State;

/// 2026-04-02 10:14:07 UTC
const BEGUN: i64 = 1_775_124_847_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(BEGUN + seconds * 1000)
}

fn discover(client: BootClient, arch: Arch) -> BootEvent {
    BootEvent::Discover { client, arch }
}

fn uefi() -> BootEvent {
    discover(BootClient::Pxe, Arch::X64)
}

fn ipxe() -> BootEvent {
    discover(BootClient::Ipxe, Arch::X64)
}

fn answered(given: &str) -> BootEvent {
    BootEvent::Answered {
        given: given.to_owned(),
    }
}

fn begun(part: FileRole) -> BootEvent {
    let (file, via) = file(part);
    BootEvent::Begun { part, file, via }
}

fn sent(part: FileRole) -> BootEvent {
    let (file, via) = file(part);
    BootEvent::Sent {
        part,
        file,
        via,
        bytes: 290_001,
        millis: 240,
        resent: 0,
    }
}

fn file(part: FileRole) -> (String, TransferProtocol) {
    match part {
        FileRole::Kernel => ("kernel".to_owned(), TransferProtocol::Http),
        FileRole::Initrd => ("initrd".to_owned(), TransferProtocol::Http),
        FileRole::Loader | FileRole::Unknown => ("snponly.efi".to_owned(), TransferProtocol::Tftp),
    }
}

fn left_to_its_disk() -> BootEvent {
    BootEvent::Silence {
        why: NoAnswerReason::Disk,
        reason: "joined; boots its own disk".to_owned(),
    }
}

fn installer() -> BootEvent {
    BootEvent::Script {
        given: IpxeScript::Installer,
    }
}

/// A log of marks at these seconds, as a card's log takes them.
fn log(marks: &[(i64, BootEvent)]) -> Vec<TraceEntry> {
    let mut log = BootTrace::default();
    for (seconds, mark) in marks {
        log.note(at(*seconds), Timestamp::MIN, mark.clone());
    }
    log.notes
}

fn journal(marks: &[(i64, BootEvent)]) -> Vec<TraceEntry> {
    marks
        .iter()
        .map(|(seconds, mark)| TraceEntry::once(at(*seconds), mark.clone()))
        .collect()
}

/// Boots as text: one line each, marks by their names in JSON.
fn text(boots: &[Boot]) -> String {
    let mut text = String::new();
    for boot in boots {
        let marks: Vec<String> = boot
            .notes
            .iter()
            .map(|note| {
                let json = serde_json::to_value(&note.mark).expect("writes");
                let name = json["mark"].as_str().expect("a name").to_owned();
                let seconds = (note.at.millis() - BEGUN) / 1000;
                match note.times {
                    1 => format!("{seconds} {name}"),
                    times => format!("{seconds} {name} ×{times}"),
                }
            })
            .collect();
        let _ = writeln!(text, "{}", marks.join(", "));
    }
    text
}

#[track_caller]
fn check(seen: &[(i64, BootEvent)], known: &[(i64, BootEvent)], want: &Expect) {
    want.assert_eq(&text(&boots(log(seen), journal(known))));
}

#[test]
fn an_install_is_one_boot_from_the_order_to_joined() {
    check(
        &[
            (60, uefi()),
            (60, answered("offered snponly.efi")),
            (64, BootEvent::Asked4011),
            (64, answered("x")),
            (65, begun(FileRole::Loader)),
            (66, sent(FileRole::Loader)),
            (70, ipxe()),
            (70, answered("offered boot script")),
            (74, installer()),
            (75, begun(FileRole::Kernel)),
            (76, sent(FileRole::Kernel)),
            (77, begun(FileRole::Initrd)),
            (90, sent(FileRole::Initrd)),
            // The reboot.
            (400, uefi()),
            (400, left_to_its_disk()),
        ],
        &[
            (0, BootEvent::Ordered),
            (120, BootEvent::Claimed),
            (
                121,
                BootEvent::Step {
                    step: InstallStep::Plan,
                },
            ),
            (330, BootEvent::Installed),
            (440, BootEvent::Booted { generation: 1 }),
            (470, BootEvent::Joined),
        ],
        &expect![[r#"
            0 ordered, 60 discover, 60 answered, 64 asked4011, 64 answered, 65 begun, 66 sent, 70 discover, 70 answered, 74 script, 75 begun, 76 sent, 77 begun, 90 sent, 120 claimed, 121 step, 330 installed, 400 discover, 400 silence, 440 booted, 470 joined
        "#]],
    );
}

#[test]
fn firmware_that_asks_over_and_over_is_one_note() {
    // EDK2's 4, 8, 16 and 32 s, then the next entry of the boot order.
    let mut marks = Vec::new();
    for seconds in [0, 4, 12, 28, 60, 64, 72] {
        marks.push((seconds, uefi()));
        marks.push((seconds, left_to_its_disk()));
    }
    check(
        &marks,
        &[],
        &expect![[r#"
            0 discover ×7, 0 silence ×7
        "#]],
    );
}

/// Switched off and on within the pause that tells boots apart, and enrolled between.
#[test]
fn what_a_stranger_asked_is_not_what_the_enrolled_machine_asks() {
    let mut log = BootTrace::default();
    assert!(log.note(at(0), at(0), uefi()));
    assert!(
        log.note(at(40), at(30), uefi()),
        "the order was given at 30 s"
    );
    assert!(!log.note(at(44), at(30), uefi()));
    let boots = boots(log.notes, journal(&[(30, BootEvent::Ordered)]));
    expect![[r#"
        0 discover
        30 ordered, 40 discover ×2
    "#]]
    .assert_eq(&text(&boots));
}

#[test]
fn another_boot_begins_where_the_firmware_starts_anew() {
    for (name, seen, known, want) in [
        (
            "a DISCOVER of firmware after its loader",
            vec![(0, uefi()), (1, sent(FileRole::Loader)), (30, uefi())],
            vec![],
            2,
        ),
        (
            "iPXE after its loader is the same boot",
            vec![(0, uefi()), (1, sent(FileRole::Loader)), (30, ipxe())],
            vec![],
            1,
        ),
        (
            "iPXE in the card's ROM after its script",
            vec![(0, ipxe()), (1, installer()), (30, ipxe())],
            vec![],
            2,
        ),
        (
            "a pause that no firmware makes",
            vec![(0, uefi()), (600, uefi())],
            vec![],
            2,
        ),
        (
            "the reboot into what was installed belongs to the install",
            vec![(0, uefi()), (200, uefi()), (200, left_to_its_disk())],
            vec![(100, BootEvent::Installed), (220, BootEvent::Joined)],
            1,
        ),
        (
            "the day after is another boot",
            vec![(0, uefi()), (86_400, uefi())],
            vec![
                (100, BootEvent::Installed),
                (86_500, BootEvent::Booted { generation: 1 }),
            ],
            2,
        ),
        (
            "a joined machine that asks again",
            vec![(0, uefi()), (300, uefi())],
            vec![
                (100, BootEvent::Booted { generation: 1 }),
                (101, BootEvent::Joined),
            ],
            2,
        ),
        (
            "an order begins anew whatever was before",
            vec![(0, uefi()), (20, uefi())],
            vec![(10, BootEvent::Ordered)],
            2,
        ),
        (
            "each claim is a boot, also where nobody saw it begin",
            vec![],
            vec![(0, BootEvent::Claimed), (100, BootEvent::Claimed)],
            2,
        ),
        (
            "each report of a boot from its own disk is one",
            vec![],
            vec![
                (0, BootEvent::Booted { generation: 1 }),
                (600, BootEvent::Booted { generation: 1 }),
            ],
            2,
        ),
    ] {
        let got = boots(log(&seen), journal(&known));
        assert_eq!(got.len(), want, "{name}:\n{}", text(&got));
    }
}

#[test]
fn only_the_last_boots_are_told_and_a_log_is_bounded() {
    let mut log = BootTrace::default();
    for n in 0..1000 {
        log.note(at(n * 600), Timestamp::MIN, uefi());
        log.note(at(n * 600 + 1), Timestamp::MIN, sent(FileRole::Loader));
    }
    assert_eq!(log.notes.len(), BootTrace::MOST);
    let boots = boots(log.notes, Vec::new());
    assert_eq!(boots.len(), Boot::KEPT);
    assert_eq!(boots.last().and_then(Boot::last), Some(at(999 * 600 + 1)));
}

/// What another does in a machine's name neither becomes a step of its boot nor drives one out.
#[test]
fn what_others_did_in_its_name_changes_no_boot() {
    let own = [
        (0, uefi()),
        (0, answered("offered snponly.efi")),
        (1, begun(FileRole::Loader)),
        (2, sent(FileRole::Loader)),
    ];
    let mut log = BootTrace::default();
    for (seconds, mark) in own.clone() {
        assert!(log.note(at(seconds), at(0), mark));
    }
    for last in 0..=255 {
        let from = Ipv4Addr::new(10, 77, 0, last);
        for mark in [installer(), begun(FileRole::Kernel), sent(FileRole::Kernel)] {
            if let Some(mark) = mark.unproven(from) {
                log.note(at(3), at(0), mark);
            }
        }
    }
    // Said once more, with what others did in between.
    assert!(!log.note(at(4), at(0), sent(FileRole::Loader)));
    let of_others = |note: &&TraceEntry| note.mark.is_unproven();
    assert_eq!(
        log.notes.iter().filter(of_others).count(),
        BootTrace::UNPROVEN
    );
    assert_eq!(log.notes.len(), own.len() + BootTrace::UNPROVEN);

    let boots = boots(log.notes, Vec::new());
    let [boot] = boots.as_slice() else {
        panic!("{}", text(&boots));
    };
    assert_eq!(boot.last(), Some(at(4)));
    let without = [Boot {
        notes: own
            .map(|(seconds, mark)| TraceEntry::once(at(seconds), mark))
            .to_vec(),
    }];
    let setting = setting(100, State::Installing);
    assert_eq!(
        said(&diagnose(Some(boot), &setting)),
        said(&diagnose(without.last(), &setting)),
    );
    let alone = [TraceEntry::once(
        at(0),
        installer()
            .unproven([10, 77, 0, 66].into())
            .expect("a mark"),
    )];
    let boots = super::boots(alone.to_vec(), Vec::new());
    let finding = diagnose(boots.last(), &setting);
    assert_eq!(
        said(&finding),
        said(&diagnose(None, &setting)),
        "it was never heard of"
    );
}

#[test]
fn names_of_machines_do_not_fill_a_log() {
    let mut log = BootTrace::default();
    let file = "ü".repeat(1000);
    let reason = "x".repeat(1000);
    log.note(at(0), Timestamp::MIN, BootEvent::NoFile { file, reason });
    let Some(BootEvent::NoFile { file, reason }) = log.notes.pop().map(|note| note.mark) else {
        panic!("the mark is not there");
    };
    assert_eq!((file.len(), reason.len()), (200, 200));
}

#[test]
fn marks_of_a_newer_version_are_survived() {
    let json = r#"{"notes":[{"at":"2026-04-02T10:14:07Z","last":"2026-04-02T10:14:07Z","times":1,
        "mark":"painted","colour":"red"}]}"#;
    let log: BootTrace = serde_json::from_str(json).expect("survives");
    assert_eq!(log.notes[0].mark, BootEvent::Unknown);
    for mark in every_mark() {
        let json = serde_json::to_string(&TraceEntry::once(at(0), mark.clone())).expect("writes");
        let read: TraceEntry =
            serde_json::from_str(&json).unwrap_or_else(|e| panic!("{json}: {e}"));
        assert_eq!(read.mark, mark);
    }
}

fn setting(now: i64, state: State) -> DiagnosisContext {
    DiagnosisContext {
        now: at(now),
        title: "node1".to_owned(),
        mac: "52:54:00:12:34:56".parse().expect("a MAC"),
        state,
        failure: Vec::new(),
        joins: true,
        boot_order: Vec::new(),
        local_boot: None,
        proxy: true,
        address: [10, 77, 0, 1].into(),
        http_port: 8080,
        node_port: 8443,
    }
}

/// The finding in lines: what happened, what did not, causes with their tips.
fn said(finding: &Finding) -> String {
    match finding {
        Finding::Well { why } => format!("well: {why}\n"),
        Finding::UnderWay {
            awaited,
            quiet,
            patience,
        } => format!("under way: {awaited} ({quiet} of {patience} s)\n"),
        Finding::Stuck(diagnosis) | Finding::Amiss(diagnosis) => {
            let mut text = format!("{}; {}\n", diagnosis.after, diagnosis.missing);
            for cause in &diagnosis.causes {
                let _ = writeln!(text, "- {}", cause.what);
                for tip in &cause.tips {
                    let _ = writeln!(text, "  tip: {tip}");
                }
            }
            text
        }
    }
}

#[track_caller]
fn diagnosed(
    seen: &[(i64, BootEvent)],
    known: &[(i64, BootEvent)],
    setting: &DiagnosisContext,
    want: &Expect,
) {
    let boots = boots(log(seen), journal(known));
    want.assert_eq(&said(&diagnose(boots.last(), setting)));
}

#[test]
fn a_machine_that_was_never_heard_of() {
    diagnosed(
        &[],
        &[],
        &setting(0, State::Seen),
        &expect![[r#"
        there is no sign of it; it never asked this appliance for anything to boot
        - it was not switched on since, or booted its disk: network boot is off, or behind the disk in its boot order
          tip: in the firmware setup, switch on network boot ("PXE", "Network Stack", "UEFI Network") and put it first; often F12 at power-on asks for it once
        - the cable is in another card than the one that boots, or in none
          tip: compare the MAC on the firmware's screen with 52:54:00:12:34:56; `pxe-admin machines` lists what else asked
        - its switch port is in another VLAN than the appliance, or spanning tree holds the port for the first 30 s
          tip: make the port an edge port ("PortFast") in the appliance's VLAN
        - the host's firewall drops UDP 67 before the appliance sees it
          tip: pxe-admin doctor
        - its firmware boots over Ethernet only, and it is on Wi-Fi or a USB adapter that it has no driver for
    "#]],
    );
}

#[test]
fn an_offer_that_uefi_ignores_beside_a_router() {
    diagnosed(
        &[
            (0, uefi()),
            (0, answered("offered snponly.efi")),
            (4, uefi()),
            (4, answered("offered snponly.efi")),
            (
                5,
                BootEvent::TookAddress {
                    server: Some([10, 77, 0, 254].into()),
                    address: Some([10, 77, 0, 50].into()),
                },
            ),
        ],
        &[],
        &setting(60, State::Enrolled),
        &expect![[r#"
            it asked, and was answered; it never came for what it was offered
            - another PXE or DHCP server on the LAN answers it first
              tip: pxe-admin doctor
            - its question on port 4011 does not arrive: the host's firewall has UDP 4011 closed
              tip: pxe-admin doctor
              tip: on NixOS: networking.firewall.allowedUDPPorts = [ 67 69 4011 ];
            - its firmware drops this form of the offer, as UEFI of 2014 to 2017 and some HP and Intel ROMs do
              tip: leave it on, or switch it on again: each second time that it asks, it is answered in the next form
              tip: update the firmware, or choose its HTTP boot entry instead of PXE
            - the answers do not arrive: the switch filters DHCP answers ("DHCP snooping")
              tip: make the appliance's switch port a trusted one
              tip: pxe-admin events --pcap node1 node1.pcap && tcpdump -nvr node1.pcap
        "#]],
    );
}

#[test]
fn a_router_that_gives_no_address_is_the_first_cause() {
    let offered = [(0, uefi()), (0, answered("offered snponly.efi"))];
    let boots = boots(log(&offered), Vec::new());
    let finding = diagnose(boots.last(), &setting(60, State::Enrolled));
    let Finding::Stuck(diagnosis) = finding else {
        panic!("not stuck: {finding:?}");
    };
    assert!(
        diagnosis.causes[0]
            .what
            .contains("no DHCP server gave it an address"),
        "{diagnosis:?}"
    );
}

#[test]
fn a_loader_that_secure_boot_refuses_or_that_hangs() {
    diagnosed(
        &[
            (0, uefi()),
            (0, answered("offered snponly.efi")),
            (5, begun(FileRole::Loader)),
            (6, sent(FileRole::Loader)),
        ],
        &[],
        &setting(600, State::Enrolled),
        &expect![[r#"
            the whole boot loader went out; the loader never asked for anything
            - Secure Boot refused the loader, which is not signed; the screen says "Access Denied" or "Security Violation" for a moment
              tip: switch Secure Boot off in the firmware setup, or put a signed shim and GRUB into `boot.grub-dir`
            - the loader hangs on this card: some Intel I219-V, Realtek and Broadcom cards do, with one of its builds
              tip: switch the machine off and on: each time it comes back like this, it is sent the next loader that there is
            - the loader restarts the link, and spanning tree holds the switch port longer than it waits
              tip: make the port an edge port ("PortFast")
            - the loader is for another architecture, or the file is damaged; the firmware went on to its next entry
              tip: pxe-admin doctor
        "#]],
    );
}

#[test]
fn grub_that_asks_the_router_for_its_files() {
    let grub = BootEvent::Sent {
        part: FileRole::Loader,
        file: "grubx64.efi".to_owned(),
        via: TransferProtocol::Tftp,
        bytes: 2_000_000,
        millis: 400,
        resent: 0,
    };
    diagnosed(
        &[
            (0, uefi()),
            (0, answered("offered shimx64.efi")),
            (5, sent(FileRole::Loader)),
            (6, grub),
        ],
        &[],
        &setting(600, State::Enrolled),
        &expect![[r#"
            the whole boot loader went out; the loader never asked for anything
            - GRUB asks the router for its files, because the address came from there
              tip: have the router name 10.77.0.1 as the next server (dnsmasq, OpenWrt: dhcp-boot=,,10.77.0.1)
              tip: or set `[dhcp] mode = "server"`, and switch the router's DHCP off
        "#]],
    );
}

#[test]
fn a_kernel_that_never_brings_up_the_installer() {
    diagnosed(
        &[
            (0, ipxe()),
            (1, installer()),
            (2, begun(FileRole::Kernel)),
            (3, sent(FileRole::Kernel)),
            (4, begun(FileRole::Initrd)),
            (9, sent(FileRole::Initrd)),
        ],
        &[],
        &setting(600, State::Enrolled),
        &expect![[r#"
            kernel and initrd went out; the installer never called the appliance
            - the kernel stops: too little RAM (less than 1.5 GiB), or a kernel and an initrd of two builds
              tip: look at the screen
              tip: pxe-admin doctor
            - nothing is to be seen because the console is another
              tip: in `[images.installer]`, set cmdline = "console=ttyS0 console=tty0"
            - the installer has no driver for the network card, or brings up another card than the one with the cable
              tip: pull all cables but one; on the console: ip -brief address
            - TLS does not come through: TCP 8443 is closed in the host's firewall
              tip: pxe-admin doctor
              tip: from another computer: curl -vk https://10.77.0.1:8443/
            - no DHCP server gives the installer an address
              tip: pxe-admin doctor
        "#]],
    );
}

#[test]
fn where_a_boot_stands_is_said_of_its_last_mark() {
    let stranger = BootEvent::Silence {
        why: NoAnswerReason::Stranger,
        reason: "not enrolled".to_owned(),
    };
    let nofile = BootEvent::NoFile {
        file: "pxelinux.0".to_owned(),
        reason: "not there".to_owned(),
    };
    let broken = BootEvent::Broken {
        part: FileRole::Loader,
        file: "snponly.efi".to_owned(),
        via: TransferProtocol::Tftp,
        bytes: 1468,
        millis: 9000,
        resent: 12,
        why: "the machine went silent".to_owned(),
    };
    let failed = BootEvent::Failed {
        step: InstallStep::Copy,
        causes: vec![
            "cannot copy the system".to_owned(),
            "connection refused".to_owned(),
        ],
    };
    let mut text = String::new();
    for (name, state, seen, known, now) in [
        (
            "silence",
            State::Seen,
            vec![(0, uefi()), (0, stranger)],
            vec![],
            5,
        ),
        (
            "just offered",
            State::Enrolled,
            vec![(0, uefi()), (0, answered("x"))],
            vec![],
            5,
        ),
        (
            "told on 4011",
            State::Enrolled,
            vec![(0, uefi()), (4, BootEvent::Asked4011)],
            vec![],
            60,
        ),
        (
            "a file of somebody else's",
            State::Enrolled,
            vec![(0, nofile)],
            vec![],
            60,
        ),
        (
            "a loader broken off",
            State::Enrolled,
            vec![(0, uefi()), (1, broken)],
            vec![],
            600,
        ),
        (
            "iPXE without its script",
            State::Enrolled,
            vec![(0, ipxe()), (0, answered("x"))],
            vec![],
            600,
        ),
        (
            "a script alone",
            State::Enrolled,
            vec![(0, installer())],
            vec![],
            600,
        ),
        (
            "a kernel alone",
            State::Enrolled,
            vec![(0, sent(FileRole::Kernel))],
            vec![],
            600,
        ),
        (
            "an initrd that stops",
            State::Enrolled,
            vec![(0, begun(FileRole::Initrd))],
            vec![],
            6000,
        ),
        (
            "copying",
            State::Installing,
            vec![],
            vec![(
                0,
                BootEvent::Step {
                    step: InstallStep::Copy,
                },
            )],
            600,
        ),
        (
            "copying for hours",
            State::Installing,
            vec![],
            vec![(
                0,
                BootEvent::Step {
                    step: InstallStep::Copy,
                },
            )],
            9000,
        ),
        ("failed", State::Installing, vec![], vec![(0, failed)], 1),
        (
            "given up",
            State::Failed,
            vec![(9, uefi()), (9, left_to_its_disk())],
            vec![],
            10,
        ),
        (
            "installed",
            State::Installed,
            vec![],
            vec![(0, BootEvent::Installed)],
            60,
        ),
        (
            "installed, and then nothing",
            State::Installed,
            vec![],
            vec![(0, BootEvent::Installed)],
            6000,
        ),
        (
            "left to its disk",
            State::Joined,
            vec![(0, uefi()), (0, left_to_its_disk())],
            vec![],
            6000,
        ),
        (
            "runs",
            State::Running,
            vec![],
            vec![(0, BootEvent::Booted { generation: 1 })],
            60,
        ),
        (
            "runs and does not join",
            State::Running,
            vec![],
            vec![(0, BootEvent::Booted { generation: 1 })],
            6000,
        ),
        (
            "the old system instead",
            State::Enrolled,
            vec![],
            vec![(0, BootEvent::Booted { generation: 1 })],
            60,
        ),
        (
            "joined",
            State::Joined,
            vec![],
            vec![
                (0, BootEvent::Booted { generation: 1 }),
                (9, BootEvent::Joined),
            ],
            6000,
        ),
    ] {
        let boots = boots(log(&seen), journal(&known));
        let finding = diagnose(boots.last(), &setting(now, state));
        let first = said(&finding)
            .lines()
            .take(2)
            .collect::<Vec<_>>()
            .join("\n    ");
        let _ = writeln!(text, "{name}:\n    {first}");
    }
    expect![[r#"
        silence:
            it asked for something to boot; it was not answered: not enrolled
            - nobody enrolled it; strangers get silence
        just offered:
            under way: its request for the boot file (5 of 20 s)
        told on 4011:
            it was told its boot file on port 4011; it never fetched the file
            - TFTP does not come through: UDP 69 is closed in the host's firewall
        a file of somebody else's:
            it asked TFTP for `pxelinux.0`; it does not get that: not there
            - another DHCP server sends it here with a boot file of its own (options 66 and 67)
        a loader broken off:
            the boot loader began to go out; it never came to its end
            - a firewall lets port 69 in but not the transfer, which has a port of its own each time
        iPXE without its script:
            iPXE asked, and was answered; it never fetched its boot script over HTTP
            - iPXE got no address: in proxy mode the router's DHCP server must give one
        a script alone:
            it got its boot script; it never asked for the kernel
            - kernel or initrd cannot be read on the appliance
        a kernel alone:
            the kernel went out; it never asked for the initrd
            - kernel or initrd cannot be read on the appliance
        an initrd that stops:
            kernel and initrd began to go out; they never came to their end
            - iPXE ran out of memory in the middle of the initrd; it says "Out of memory" or "No space"
        copying:
            under way: the next step of the installation (600 of 3600 s)
        copying for hours:
            the installer was copying the system; it was not heard of again
            - the copy is slow: a port at 100 Mbit/s or less takes minutes for each gigabyte
        failed:
            the installer was copying the system; that failed
            - cannot copy the system: connection refused
        given up:
            its install attempts are used up; it is left to its own disk until somebody orders it anew
            - no attempt left evidence that it ended well
        installed:
            under way: the first report of the installed system (60 of 600 s)
        installed, and then nothing:
            it was installed; the installed system never reported
            - the firmware does not find its disk: the disk is missing in its boot order
        left to its disk:
            it was left to its own disk; the system there never reported
            - the firmware does not find its disk: the disk is missing in its boot order
        runs:
            under way: k3s's word that the node is Ready (60 of 600 s)
        runs and does not join:
            the installed system runs; k3s does not call the node Ready
            - k3s is still coming up, or cannot reach its server or pull its images
        the old system instead:
            it is to be installed; it booted its old system instead
            - its disk comes before network boot in its boot order
        joined:
            well: it joined the cluster
    "#]].assert_eq(&text);
}

fn every_mark() -> Vec<BootEvent> {
    let reason = || "why".to_owned();
    let mut marks = vec![
        BootEvent::Ordered,
        BootEvent::TookAddress {
            server: None,
            address: None,
        },
        answered("offered snponly.efi"),
        BootEvent::Asked4011,
        BootEvent::Answered4011 { given: reason() },
        BootEvent::NoFile {
            file: "x".to_owned(),
            reason: reason(),
        },
        installer(),
        BootEvent::Script {
            given: IpxeScript::Wait,
        },
        BootEvent::Script {
            given: IpxeScript::Discover,
        },
        BootEvent::Script {
            given: IpxeScript::Disk {
                reason: reason(),
                way: Some(LocalBootMethod::NextEntry),
            },
        },
        BootEvent::Unproven {
            from: [10, 77, 0, 66].into(),
            file: "kernel".to_owned(),
        },
        BootEvent::Claimed,
        BootEvent::Discovered,
        BootEvent::Waits,
        BootEvent::Confirmed,
        BootEvent::Installed,
        BootEvent::GaveUp { reason: reason() },
        BootEvent::Booted { generation: 1 },
        BootEvent::Joined,
    ];
    for client in [
        BootClient::Pxe,
        BootClient::Http,
        BootClient::Ipxe,
        BootClient::RaspberryPi,
        BootClient::UBoot,
        BootClient::UBootUefi,
    ] {
        for arch in [Arch::Bios, Arch::X64, Arch::Other(11)] {
            marks.push(discover(client, arch));
        }
    }
    for why in [
        NoAnswerReason::Stranger,
        NoAnswerReason::Disk,
        NoAnswerReason::Expired,
        NoAnswerReason::AttemptsUsed,
        NoAnswerReason::NoLoader,
        NoAnswerReason::Trouble,
    ] {
        marks.push(BootEvent::Silence {
            why,
            reason: reason(),
        });
    }
    for part in [FileRole::Loader, FileRole::Kernel, FileRole::Initrd] {
        marks.extend([begun(part), sent(part)]);
        let (file, via) = file(part);
        marks.push(BootEvent::Broken {
            part,
            file,
            via,
            bytes: 1,
            millis: 1,
            resent: 1,
            why: reason(),
        });
    }
    for step in InstallStep::ALL {
        marks.push(BootEvent::Step { step });
        marks.push(BootEvent::Retried {
            step,
            cause: reason(),
        });
        marks.push(BootEvent::Failed {
            step,
            causes: vec![reason()],
        });
    }
    marks
}

fn marks() -> impl Strategy<Value = Vec<(i64, BootEvent)>> {
    let mark = prop::sample::select(every_mark());
    prop::collection::vec((0..5000_i64, mark), 0..40).prop_map(|mut marks| {
        marks.sort_by_key(|(seconds, _)| *seconds);
        marks
    })
}

proptest! {
    #[test]
    fn whatever_happened_nothing_is_lost_and_something_is_said(
        seen in marks(), known in marks(), state in 0..8_usize, proxy: bool, joins: bool, later in 0..100_000_i64,
        failed in 0..4_usize,
    ) {
        let state = [
            State::Seen, State::Enrolled, State::Installing, State::Installed,
            State::Running, State::Joined, State::Failed, State::Retired,
        ][state];
        let (seen, known) = (log(&seen), journal(&known));
        let all = seen.len() + known.len();
        let boots = boots(seen, known);
        let kept: usize = boots.iter().map(|boot| boot.notes.len()).sum();
        prop_assert!(boots.len() <= Boot::KEPT);
        prop_assert!(kept == all || boots.len() == Boot::KEPT);
        prop_assert!(boots.iter().all(|boot| !boot.notes.is_empty()));
        for boot in &boots {
            prop_assert!(boot.notes.is_sorted_by_key(|note| note.at), "{boot:?}");
        }

        let loader = BootLoader::IpxeUefi;
        let local_boot = loader.ways().iter().take(failed).fold(None, |known, way| {
            Some(LocalBootHistory::came_back(known.as_ref(), Departure { loader, way: *way }))
        });
        let setting = DiagnosisContext { proxy, joins, local_boot, ..setting(5000 + later, state) };
        match diagnose(boots.last(), &setting) {
            Finding::Stuck(diagnosis) | Finding::Amiss(diagnosis) => {
                prop_assert!(!diagnosis.after.is_empty() && !diagnosis.missing.is_empty());
                prop_assert!(!diagnosis.causes.is_empty());
                prop_assert!(diagnosis.causes.iter().any(|cause| !cause.tips.is_empty()));
                prop_assert!(diagnosis.causes.iter().all(|cause| !cause.what.is_empty()));
            }
            Finding::UnderWay { awaited, quiet, patience } => {
                prop_assert!(!awaited.is_empty() && quiet < patience);
            }
            Finding::Well { why } => prop_assert!(!why.is_empty()),
        }
    }

    #[test]
    fn what_is_said_over_and_over_adds_no_note(marks in marks()) {
        let mut log = BootTrace::default();
        for (seconds, mark) in &marks {
            log.note(at(*seconds), Timestamp::MIN, mark.clone());
        }
        let before = log.notes.len();
        if let Some((seconds, mark)) = marks.last() {
            log.note(at(*seconds).plus(Duration::from_secs(1)), Timestamp::MIN, mark.clone());
            prop_assert_eq!(log.notes.len(), before);
        }
    }
}
