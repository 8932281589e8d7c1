//! Every mark of a boot, in the note that a log of a machine stores; and what those logs are in.

use std::net::Ipv4Addr;

use netboot::base::arch::Arch;
use netboot::dhcp::request::BootClient;
use netboot::doctor::boot_trace::{
    Boot, BootEvent, BootTrace, FileRole, IpxeScript, NoAnswerReason, TraceEntry, TransferProtocol,
};
use netboot::install::report::InstallStep;
use netboot::loader::local_boot::LocalBootMethod;

use crate::golden::{check, covers, sample, variants};
use crate::samples::{at, texts};

const FILE: &str = "snponly.efi";

fn marks() -> Vec<(&'static str, BootEvent)> {
    let file = || FILE.to_owned();
    let text = str::to_owned;
    let from = Ipv4Addr::new(10, 77, 0, 9);
    let took = |address: Option<Ipv4Addr>| BootEvent::TookAddress {
        server: address,
        address,
    };
    vec![
        ("ordered", BootEvent::Ordered),
        (
            "discover",
            BootEvent::Discover {
                client: BootClient::Pxe,
                arch: Arch::X64,
            },
        ),
        ("took-address", took(Some(from))),
        ("took-address, the least", took(None)),
        (
            "answered",
            BootEvent::Answered {
                given: text("offered snponly.efi"),
            },
        ),
        ("asked4011", BootEvent::Asked4011),
        (
            "answered4011",
            BootEvent::Answered4011 {
                given: text("sent to snponly.efi"),
            },
        ),
        (
            "silence",
            BootEvent::Silence {
                why: NoAnswerReason::AttemptsUsed,
                reason: text("3 attempts failed"),
            },
        ),
        (
            "no-file",
            BootEvent::NoFile {
                file: file(),
                reason: text("is not there"),
            },
        ),
        (
            "begun",
            BootEvent::Begun {
                part: FileRole::Loader,
                file: file(),
                via: TransferProtocol::Tftp,
            },
        ),
        (
            "sent",
            BootEvent::Sent {
                part: FileRole::Kernel,
                file: file(),
                via: TransferProtocol::Http,
                bytes: 1000,
                millis: 12,
                resent: 3,
            },
        ),
        (
            "broken",
            BootEvent::Broken {
                part: FileRole::Initrd,
                file: file(),
                via: TransferProtocol::Http,
                bytes: 1000,
                millis: 12,
                resent: 3,
                why: text("the machine went silent"),
            },
        ),
        (
            "script",
            BootEvent::Script {
                given: IpxeScript::Disk {
                    reason: text("it runs"),
                    way: Some(LocalBootMethod::EspLoader),
                },
            },
        ),
        ("unproven", BootEvent::Unproven { from, file: file() }),
        ("claimed", BootEvent::Claimed),
        ("discovered", BootEvent::Discovered),
        ("waits", BootEvent::Waits),
        ("confirmed", BootEvent::Confirmed),
        (
            "step",
            BootEvent::Step {
                step: InstallStep::BootLoader,
            },
        ),
        (
            "retried",
            BootEvent::Retried {
                step: InstallStep::Copy,
                cause: text("connection refused"),
            },
        ),
        (
            "failed",
            BootEvent::Failed {
                step: InstallStep::Copy,
                causes: texts(["cannot copy the system", "connection refused"]),
            },
        ),
        ("installed", BootEvent::Installed),
        (
            "gave-up",
            BootEvent::GaveUp {
                reason: text("3 attempts failed"),
            },
        ),
        ("booted", BootEvent::Booted { generation: 2 }),
        ("joined", BootEvent::Joined),
        ("unknown", BootEvent::Unknown),
    ]
}

fn scripts() -> Vec<(&'static str, IpxeScript)> {
    let disk = |way| IpxeScript::Disk {
        reason: "it runs".to_owned(),
        way,
    };
    vec![
        ("script installer", IpxeScript::Installer),
        ("script discover", IpxeScript::Discover),
        ("script wait", IpxeScript::Wait),
        ("script disk", disk(Some(LocalBootMethod::FirstDisk))),
        ("script disk, the least", disk(None)),
        ("script unknown", IpxeScript::Unknown),
    ]
}

fn note(mark: BootEvent) -> TraceEntry {
    TraceEntry {
        at: at(0),
        last: at(9),
        times: 3,
        mark,
    }
}

#[test]
fn every_mark_is_stored_as_written_down() {
    let (marks, scripts) = (marks(), scripts());
    covers(
        variants!(BootEvent:
            Ordered, Discover, TookAddress, Answered, Asked4011, Answered4011, Silence, NoFile, Begun, Sent, Broken,
            Script, Unproven, Claimed, Discovered, Waits, Confirmed, Step, Retried, Failed, Installed, GaveUp, Booted,
            Joined, Unknown,
        ),
        marks.iter().map(|(_, mark)| mark),
    );
    covers(
        variants!(IpxeScript: Installer, Discover, Wait, Disk, Unknown),
        scripts.iter().map(|(_, script)| script),
    );
    let log = BootTrace {
        notes: vec![note(BootEvent::Ordered)],
    };
    let boot = Boot {
        notes: vec![note(BootEvent::Claimed)],
    };
    let marks = marks.into_iter();
    let marks = marks.map(|(name, mark)| sample(name, &note(mark)));
    let scripts = scripts.into_iter();
    let scripts = scripts.map(|(name, script)| sample(name, &script));
    let whole = [sample("a log", &log), sample("a boot", &boot)];
    check("marks", marks.chain(scripts).chain(whole));
}

/// Logs that were written before these were counted.
#[test]
fn what_a_mark_may_lack_is_read_as_absent() {
    let read = |json: &str| serde_json::from_str::<BootEvent>(json).expect("reads");
    let sent = r#"{"mark":"sent","part":"loader","file":"x","via":"tftp","bytes":1,"millis":2}"#;
    assert!(matches!(read(sent), BootEvent::Sent { resent: 0, .. }));
    let broken =
        r#"{"mark":"broken","part":"loader","file":"x","via":"tftp","bytes":1,"millis":2}"#;
    let BootEvent::Broken { resent, why, .. } = read(broken) else {
        panic!("another mark");
    };
    assert_eq!((resent, why.as_str()), (0, ""));
}
