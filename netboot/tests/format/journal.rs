//! Every kind of event, in the envelope of a line of the journal.

use std::net::Ipv4Addr;

use netboot::base::arch::Arch;
use netboot::dhcp::offer_fallback::{BootMethod, OfferForm};
use netboot::dhcp::request::Facts;
use netboot::install::report::{InstallStep, Report, StepOutcome};
use netboot::loader::local_boot::{BootLoader, Departure, LocalBootMethod};
use netboot::machine::AttemptWait;
use netboot::machine::event::{BY_POLICY, Event, EventKind};

use crate::golden::{check, covers, sample, variants};
use crate::plan::plan;
use crate::samples::{
    at, claim, digest, disk_key, entry, found, generation, hardware, host, installer, mac, profile,
    release, system, texts, ticket,
};

const BY: &str = "uid 1000";

/// Each with the name of its document.
fn of_a_machine() -> Vec<(&'static str, EventKind)> {
    let by = || BY.to_owned();
    let left = Departure {
        loader: BootLoader::IpxeUefi,
        way: LocalBootMethod::NextEntry,
    };
    let facts = Facts {
        arch: Some(Arch::X64),
        vendor_class: Some("PXEClient:Arch:00007:UNDI:003001".to_owned()),
        uuid: Some("1b4e28ba-2fa1-11d2-883f-0016d3cca427".to_owned()),
        serial: Some("box-1".to_owned()),
    };
    let report = Report {
        number: 4,
        step: InstallStep::TearDown,
        outcome: StepOutcome::Started,
    };
    let refused = |admin| EventKind::Refused {
        code: "wrong_state".to_owned(),
        reason: "node1 is not being installed".to_owned(),
        from: "10.77.0.9".to_owned(),
        admin,
    };
    let boot_method = BootMethod {
        form: OfferForm::Split,
        loader: Some("snponly.efi".to_owned()),
    };
    let made = disk_key();
    let waits = AttemptWait::Wipe {
        disks: vec![found(true)],
    };
    let reimaged = |release| EventKind::Reimaged {
        release,
        until: at(1000),
        ticket: ticket(),
        by: by(),
    };
    vec![
        ("seen", EventKind::Seen { facts }),
        (
            "seen, the least",
            EventKind::Seen {
                facts: Facts::default(),
            },
        ),
        (
            "enrolled",
            EventKind::Enrolled {
                macs: vec![mac(0x56), mac(0x57)],
                name: host(),
                profile: profile(),
                until: at(1000),
                ticket: ticket(),
                by: BY_POLICY.to_owned(),
            },
        ),
        ("reimaged", reimaged(Some(3))),
        ("reimaged, the least", reimaged(None)),
        ("forgotten", EventKind::Forgotten { by: by() }),
        (
            "attempt",
            EventKind::Attempt {
                number: 2,
                ticket: ticket(),
            },
        ),
        ("reached", EventKind::Reached { boot_method }),
        (
            "reached, the least",
            EventKind::Reached {
                boot_method: BootMethod::default(),
            },
        ),
        ("served", EventKind::Served { ticket: ticket() }),
        (
            "claimed",
            EventKind::Claimed {
                ticket: ticket(),
                claim: claim(),
            },
        ),
        ("discovering", EventKind::Discovering),
        (
            "discovered",
            EventKind::Discovered {
                hardware: hardware(false),
            },
        ),
        (
            "inventoried",
            EventKind::Inventoried {
                hardware: hardware(true),
            },
        ),
        (
            "planned",
            EventKind::Planned {
                plan: Box::new(plan(true)),
            },
        ),
        (
            "planned, the least",
            EventKind::Planned {
                plan: Box::new(plan(false)),
            },
        ),
        ("waits", EventKind::Waits { waits }),
        (
            "confirmed",
            EventKind::Confirmed {
                disks: vec![found(true), found(false)],
                until: at(1000),
                by: by(),
            },
        ),
        ("reported", EventKind::Reported { report }),
        (
            "sealed",
            EventKind::Sealed {
                sealed: "c2VhbGVk".to_owned(),
                node_key: digest(0x0d),
            },
        ),
        ("received", EventKind::Received),
        (
            "disk-key-made",
            EventKind::DiskKeyMade {
                kept: made.kept,
                credential: made.credential,
                sealed: "c2VhbGVk".to_owned(),
            },
        ),
        (
            "unlocked",
            EventKind::Unlocked {
                from: "10.77.0.9".to_owned(),
            },
        ),
        ("key-shown", EventKind::KeyShown { by: by() }),
        (
            "installed",
            EventKind::Installed {
                generation: generation(false),
                ssh_host_key: "ssh-ed25519 AAAA".to_owned(),
            },
        ),
        (
            "gave-up",
            EventKind::GaveUp {
                reason: "3 attempts failed".to_owned(),
            },
        ),
        (
            "booted",
            EventKind::Booted {
                generation: generation(true),
            },
        ),
        (
            "boot-order",
            EventKind::BootOrder {
                order: vec![entry()],
            },
        ),
        ("left-to-disk", EventKind::LeftToDisk { left }),
        ("came-back", EventKind::CameBack { left }),
        ("joined", EventKind::Joined { node: host() }),
        ("refused", refused(true)),
        ("refused, the least", refused(false)),
    ]
}

fn of_the_appliance() -> Vec<(&'static str, EventKind)> {
    let (first, last) = (Ipv4Addr::new(10, 77, 0, 100), Ipv4Addr::new(10, 77, 0, 199));
    let followed = |trouble| EventKind::Followed {
        revision: "1a2b3c4d5e6f".to_owned(),
        trouble,
    };
    vec![
        ("pool-exhausted", EventKind::PoolExhausted { first, last }),
        ("pool-recovered", EventKind::PoolRecovered { first, last }),
        (
            "address-in-use",
            EventKind::AddressInUse {
                address: first,
                by: mac(0x99),
            },
        ),
        (
            "address-declined",
            EventKind::AddressDeclined { address: last },
        ),
        (
            "released",
            EventKind::ReleasePublished {
                release: release(true),
            },
        ),
        (
            "released, the least",
            EventKind::ReleasePublished {
                release: release(false),
            },
        ),
        (
            "installer-published",
            EventKind::InstallerPublished {
                installer: installer(true),
            },
        ),
        (
            "followed",
            followed(texts(["`worker` cannot be built", "no space"])),
        ),
        ("followed, the least", followed(Vec::new())),
        (
            "pruned",
            EventKind::Pruned {
                system: system(),
                number: 1,
                by: BY.to_owned(),
            },
        ),
    ]
}

/// One of every kind, numbered from 1, with the name of its document.
pub(crate) fn events() -> Vec<(&'static str, Event)> {
    let mine = of_a_machine().into_iter().map(|one| (Some(mac(0x56)), one));
    let ours = of_the_appliance().into_iter().map(|one| (None, one));
    (1..)
        .zip(mine.chain(ours))
        .map(|(seq, (machine, (name, what)))| {
            let at = at(0);
            let event = Event {
                seq,
                at,
                machine,
                what,
            };
            (name, event)
        })
        .collect()
}

#[test]
fn every_kind_of_event_is_stored_as_written_down() {
    let events = events();
    covers(
        variants!(EventKind:
            Seen, Enrolled, Reimaged, Forgotten, Attempt, Reached, Served, Claimed, Discovering, Discovered,
            Inventoried, Planned, Waits, Confirmed, Reported, Sealed, Received, DiskKeyMade, Unlocked, KeyShown,
            Installed, GaveUp, Booted, BootOrder, LeftToDisk, CameBack, Joined, Refused, PoolExhausted, PoolRecovered,
            AddressInUse, AddressDeclined, ReleasePublished, InstallerPublished, Followed, Pruned,
        ),
        events.iter().map(|(_, event)| &event.what),
    );
    for (name, event) in &events {
        let json = serde_json::to_value(event).expect("writes");
        let kind = name.strip_suffix(", the least").unwrap_or(name);
        assert_eq!(
            json["what"]["event"], kind,
            "a document has its event's name"
        );
    }
    check(
        "journal",
        events.iter().map(|(name, event)| sample(name, event)),
    );
}
