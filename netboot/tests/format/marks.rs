//! Every mark of a boot, in the note that a log of a machine stores; and what those logs are in.

use std::net::Ipv4Addr;

use netboot::base::arch::Arch;
use netboot::dhcp::request::Client;
use netboot::doctor::boot_trace::{Boot, Log, Mark, Note, Part, Script, Via, Why};
use netboot::install::report::Step;
use netboot::loader::local_boot::Way;

use crate::golden::{check, covers, sample, variants};
use crate::samples::{at, texts};

const FILE: &str = "snponly.efi";

fn marks() -> Vec<(&'static str, Mark)> {
    let file = || FILE.to_owned();
    let text = str::to_owned;
    let from = Ipv4Addr::new(10, 77, 0, 9);
    let took = |address: Option<Ipv4Addr>| Mark::TookAddress {
        server: address,
        address,
    };
    vec![
        ("ordered", Mark::Ordered),
        (
            "discover",
            Mark::Discover {
                client: Client::Pxe,
                arch: Arch::X64,
            },
        ),
        ("took-address", took(Some(from))),
        ("took-address, the least", took(None)),
        (
            "answered",
            Mark::Answered {
                given: text("offered snponly.efi"),
            },
        ),
        ("asked4011", Mark::Asked4011),
        (
            "answered4011",
            Mark::Answered4011 {
                given: text("sent to snponly.efi"),
            },
        ),
        (
            "silence",
            Mark::Silence {
                why: Why::AttemptsUsed,
                reason: text("3 attempts failed"),
            },
        ),
        (
            "no-file",
            Mark::NoFile {
                file: file(),
                reason: text("is not there"),
            },
        ),
        (
            "begun",
            Mark::Begun {
                part: Part::Loader,
                file: file(),
                via: Via::Tftp,
            },
        ),
        (
            "sent",
            Mark::Sent {
                part: Part::Kernel,
                file: file(),
                via: Via::Http,
                bytes: 1000,
                millis: 12,
                resent: 3,
            },
        ),
        (
            "broken",
            Mark::Broken {
                part: Part::Initrd,
                file: file(),
                via: Via::Http,
                bytes: 1000,
                millis: 12,
                resent: 3,
                why: text("the machine went silent"),
            },
        ),
        (
            "script",
            Mark::Script {
                given: Script::Disk {
                    reason: text("it runs"),
                    way: Some(Way::EspLoader),
                },
            },
        ),
        ("unproven", Mark::Unproven { from, file: file() }),
        ("claimed", Mark::Claimed),
        ("discovered", Mark::Discovered),
        ("waits", Mark::Waits),
        ("confirmed", Mark::Confirmed),
        (
            "step",
            Mark::Step {
                step: Step::BootLoader,
            },
        ),
        (
            "retried",
            Mark::Retried {
                step: Step::Copy,
                cause: text("connection refused"),
            },
        ),
        (
            "failed",
            Mark::Failed {
                step: Step::Copy,
                causes: texts(["cannot copy the system", "connection refused"]),
            },
        ),
        ("installed", Mark::Installed),
        (
            "gave-up",
            Mark::GaveUp {
                reason: text("3 attempts failed"),
            },
        ),
        ("booted", Mark::Booted { generation: 2 }),
        ("joined", Mark::Joined),
        ("unknown", Mark::Unknown),
    ]
}

fn scripts() -> Vec<(&'static str, Script)> {
    let disk = |way| Script::Disk {
        reason: "it runs".to_owned(),
        way,
    };
    vec![
        ("script installer", Script::Installer),
        ("script discover", Script::Discover),
        ("script wait", Script::Wait),
        ("script disk", disk(Some(Way::FirstDisk))),
        ("script disk, the least", disk(None)),
        ("script unknown", Script::Unknown),
    ]
}

fn note(mark: Mark) -> Note {
    Note {
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
        variants!(Mark:
            Ordered, Discover, TookAddress, Answered, Asked4011, Answered4011, Silence, NoFile, Begun, Sent, Broken,
            Script, Unproven, Claimed, Discovered, Waits, Confirmed, Step, Retried, Failed, Installed, GaveUp, Booted,
            Joined, Unknown,
        ),
        marks.iter().map(|(_, mark)| mark),
    );
    covers(
        variants!(Script: Installer, Discover, Wait, Disk, Unknown),
        scripts.iter().map(|(_, script)| script),
    );
    let log = Log {
        notes: vec![note(Mark::Ordered)],
    };
    let boot = Boot {
        notes: vec![note(Mark::Claimed)],
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
    let read = |json: &str| serde_json::from_str::<Mark>(json).expect("reads");
    let sent = r#"{"mark":"sent","part":"loader","file":"x","via":"tftp","bytes":1,"millis":2}"#;
    assert!(matches!(read(sent), Mark::Sent { resent: 0, .. }));
    let broken =
        r#"{"mark":"broken","part":"loader","file":"x","via":"tftp","bytes":1,"millis":2}"#;
    let Mark::Broken { resent, why, .. } = read(broken) else {
        panic!("another mark");
    };
    assert_eq!((resent, why.as_str()), (0, ""));
}
