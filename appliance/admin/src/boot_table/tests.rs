//! `show`'s table of a good install, and of three bad boots.

use expect_test::{Expect, expect};
use netboot::doctor::boot_trace::{BootTrace, NoAnswerReason, boots};
use netboot::install::report::InstallStep;

use super::*;

/// 2026-04-02 10:14:07 UTC
const BEGUN: i64 = 1_775_124_847_000;

#[track_caller]
fn check(marks: Vec<(i64, BootEvent)>, want: &Expect) {
    let mut log = BootTrace::default();
    for (millis, mark) in marks {
        log.note(Timestamp::from_millis(BEGUN + millis), Timestamp::MIN, mark);
    }
    let boots = boots(log.notes, Vec::new());
    assert_eq!(boots.len(), 1, "{boots:?}");
    want.assert_eq(&boot_table(&boots[0]));
}

fn uefi() -> BootEvent {
    BootEvent::Discover {
        client: BootClient::Pxe,
        arch: Arch::X64,
    }
}

fn ipxe(arch: Arch) -> BootEvent {
    BootEvent::Discover {
        client: BootClient::Ipxe,
        arch,
    }
}

fn answered(given: &str) -> BootEvent {
    BootEvent::Answered {
        given: given.to_owned(),
    }
}

fn took_address() -> BootEvent {
    BootEvent::TookAddress {
        server: Some([10, 77, 0, 254].into()),
        address: Some([10, 77, 0, 50].into()),
    }
}

fn begun(part: FileRole, file: &str, via: TransferProtocol) -> BootEvent {
    let file = file.to_owned();
    BootEvent::Begun { part, file, via }
}

fn sent(
    part: FileRole,
    file: &str,
    via: TransferProtocol,
    bytes: u64,
    millis: u64,
    resent: u64,
) -> BootEvent {
    BootEvent::Sent {
        part,
        file: file.to_owned(),
        via,
        bytes,
        millis,
        resent,
    }
}

fn loader() -> [(i64, BootEvent); 2] {
    let file = "snponly.efi";
    [
        (4_320, begun(FileRole::Loader, file, TransferProtocol::Tftp)),
        (
            4_560,
            sent(
                FileRole::Loader,
                file,
                TransferProtocol::Tftp,
                290_001,
                240,
                2,
            ),
        ),
    ]
}

fn images(at: i64) -> [(i64, BootEvent); 4] {
    let mib = 1 << 20;
    [
        (
            at,
            begun(FileRole::Kernel, "kernel", TransferProtocol::Http),
        ),
        (
            at + 110,
            sent(
                FileRole::Kernel,
                "kernel",
                TransferProtocol::Http,
                9 * mib,
                110,
                0,
            ),
        ),
        (
            at + 120,
            begun(FileRole::Initrd, "initrd", TransferProtocol::Http),
        ),
        (
            at + 5_120,
            sent(
                FileRole::Initrd,
                "initrd",
                TransferProtocol::Http,
                480 * mib,
                5_000,
                0,
            ),
        ),
    ]
}

fn installer() -> BootEvent {
    BootEvent::Script {
        given: IpxeScript::Installer,
    }
}

#[test]
fn a_good_install() {
    let mut marks = vec![
        (-60_000, BootEvent::Ordered),
        (0, uefi()),
        (3, answered("offered snponly.efi")),
        (4_010, took_address()),
        (4_100, BootEvent::Asked4011),
        (
            4_102,
            BootEvent::Answered4011 {
                given: "named snponly.efi on 4011".to_owned(),
            },
        ),
    ];
    marks.extend(loader());
    marks.extend([
        (6_500, ipxe(Arch::X64)),
        (6_502, answered("offered boot script")),
        (7_700, installer()),
    ]);
    marks.extend(images(7_800));
    marks.extend([
        (41_000, BootEvent::Claimed),
        (
            41_200,
            BootEvent::Step {
                step: InstallStep::Plan,
            },
        ),
        (
            41_900,
            BootEvent::Step {
                step: InstallStep::Copy,
            },
        ),
        (
            61_900,
            BootEvent::Retried {
                step: InstallStep::Copy,
                cause: "connection reset".to_owned(),
            },
        ),
        (
            131_900,
            BootEvent::Step {
                step: InstallStep::Unmount,
            },
        ),
        (132_000, BootEvent::Installed),
        (150_000, uefi()),
        (
            150_001,
            BootEvent::Silence {
                why: NoAnswerReason::Disk,
                reason: "installed; boots its own disk".to_owned(),
            },
        ),
        (180_000, BootEvent::Booted { generation: 1 }),
        (199_000, BootEvent::Joined),
    ]);
    check(
        marks,
        &expect![[r#"
        AT      GAP     WHAT
        0.0 s   -       DISCOVER: UEFI PXE (x64)
        0.0 s   0.0 s   offered snponly.efi
        4.0 s   4.0 s   took the address 10.77.0.50 from 10.77.0.254
        4.1 s   0.1 s   asked for its boot file on port 4011
        4.1 s   0.0 s   named snponly.efi on 4011
        4.3 s   0.2 s   snponly.efi begins to go out over TFTP
        4.6 s   0.2 s   sent the loader snponly.efi (283 KiB in 0.2 s, 2 blocks sent again)
        6.5 s   1.9 s   DISCOVER: iPXE (x64)
        6.5 s   0.0 s   offered boot script
        7.7 s   1.2 s   sent the boot script of the installer
        7.8 s   0.1 s   kernel begins to go out over HTTP
        7.9 s   0.1 s   sent kernel (9.0 MiB in 0.1 s)
        7.9 s   0.0 s   initrd begins to go out over HTTP
        12.9 s  5.0 s   sent initrd (480 MiB in 5.0 s)
        41.0 s  28.1 s  an agent holds the ticket
        41.2 s  0.2 s   asking for the plan
        41.9 s  0.7 s   copying the system
        01:01   20.0 s  copying the system again: connection reset
        02:11   01:10   unmounting
        02:12   0.1 s   installed; it reboots
        02:30   18.0 s  DISCOVER: UEFI PXE (x64)
        02:30   0.0 s   not answered: installed; boots its own disk
        03:00   30.0 s  runs generation 1 from its own disk
        03:19   19.0 s  joined"#]],
    );
}

#[test]
fn an_offer_that_is_ignored() {
    let offered = || answered("offered snponly.efi");
    check(
        vec![
            (0, uefi()),
            (3, offered()),
            (4_000, uefi()),
            (4_002, offered()),
            (12_000, uefi()),
            (12_004, offered()),
            (12_100, took_address()),
        ],
        &expect![[r#"
            AT      GAP    WHAT
            0.0 s   -      DISCOVER: UEFI PXE (x64) (3 times in 12.0 s)
            0.0 s   0.0 s  offered snponly.efi (3 times in 12.0 s)
            12.1 s  0.1 s  took the address 10.77.0.50 from 10.77.0.254"#]],
    );
}

#[test]
fn a_loader_and_then_nothing() {
    let mut marks = vec![(0, uefi()), (3, answered("offered snponly.efi"))];
    marks.extend(loader());
    check(
        marks,
        &expect![[r#"
        AT     GAP    WHAT
        0.0 s  -      DISCOVER: UEFI PXE (x64)
        0.0 s  0.0 s  offered snponly.efi
        4.3 s  4.3 s  snponly.efi begins to go out over TFTP
        4.6 s  0.2 s  sent the loader snponly.efi (283 KiB in 0.2 s, 2 blocks sent again)"#]],
    );
}

#[test]
fn a_kernel_and_no_claim() {
    let mut marks = vec![
        (0, ipxe(Arch::Bios)),
        (2, answered("offered boot script")),
        (1_200, installer()),
    ];
    marks.extend(images(1_300));
    check(
        marks,
        &expect![[r#"
        AT     GAP    WHAT
        0.0 s  -      DISCOVER: iPXE (bios)
        0.0 s  0.0 s  offered boot script
        1.2 s  1.2 s  sent the boot script of the installer
        1.3 s  0.1 s  kernel begins to go out over HTTP
        1.4 s  0.1 s  sent kernel (9.0 MiB in 0.1 s)
        1.4 s  0.0 s  initrd begins to go out over HTTP
        6.4 s  5.0 s  sent initrd (480 MiB in 5.0 s)"#]],
    );
}

#[test]
fn a_transfer_that_broke_off_says_how_far_it_came_and_why() {
    let mark = BootEvent::Broken {
        part: FileRole::Loader,
        file: "snponly.efi".to_owned(),
        via: TransferProtocol::Tftp,
        bytes: 12_345,
        millis: 9_000,
        resent: 8,
        why: "the machine went silent".to_owned(),
    };
    assert_eq!(
        mark_text(&mark),
        "the loader snponly.efi broke off after 12.1 KiB and 9.0 s: the machine went silent, 8 blocks sent again"
    );
}

#[test]
fn what_a_machine_asks_for_is_quoted() {
    let mark = BootEvent::NoFile {
        file: "pxelinux.0\u{1b}[2J".to_owned(),
        reason: "there is no such file".to_owned(),
    };
    assert_eq!(
        mark_text(&mark),
        r"asked TFTP for `pxelinux.0\u{1b}[2J`, which it does not get: there is no such file"
    );
}
