//! Every kind of event, in the envelope of a line of the journal.

use std::net::Ipv4Addr;

use netboot::base::arch::Arch;
use netboot::dhcp::offer_fallback::{Form, Manner};
use netboot::dhcp::request::Facts;
use netboot::install::report::{Outcome, Report, Step};
use netboot::loader::local_boot::{Left, Loader, Way};
use netboot::machine::Waits;
use netboot::machine::event::{BY_POLICY, Event, Happening};

use crate::golden::{check, covers, sample, variants};
use crate::plan::plan;
use crate::samples::{
    at, claim, digest, disk_key, entry, found, generation, hardware, host, installer, mac, profile,
    release, system, texts, ticket,
};

const BY: &str = "uid 1000";

/// Each with the name of its document.
fn of_a_machine() -> Vec<(&'static str, Happening)> {
    let by = || BY.to_owned();
    let left = Left {
        loader: Loader::IpxeUefi,
        way: Way::NextEntry,
    };
    let facts = Facts {
        arch: Some(Arch::X64),
        vendor_class: Some("PXEClient:Arch:00007:UNDI:003001".to_owned()),
        uuid: Some("1b4e28ba-2fa1-11d2-883f-0016d3cca427".to_owned()),
        serial: Some("box-1".to_owned()),
    };
    let report = Report {
        number: 4,
        step: Step::TearDown,
        outcome: Outcome::Started,
    };
    let refused = |admin| Happening::Refused {
        code: "wrong_state".to_owned(),
        reason: "node1 is not being installed".to_owned(),
        from: "10.77.0.9".to_owned(),
        admin,
    };
    let manner = Manner {
        form: Form::Split,
        loader: Some("snponly.efi".to_owned()),
    };
    let made = disk_key();
    let waits = Waits::Wipe {
        disks: vec![found(true)],
    };
    let reimaged = |release| Happening::Reimaged {
        release,
        until: at(1000),
        ticket: ticket(),
        by: by(),
    };
    vec![
        ("seen", Happening::Seen { facts }),
        (
            "seen, the least",
            Happening::Seen {
                facts: Facts::default(),
            },
        ),
        (
            "enrolled",
            Happening::Enrolled {
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
        ("forgotten", Happening::Forgotten { by: by() }),
        (
            "attempt",
            Happening::Attempt {
                number: 2,
                ticket: ticket(),
            },
        ),
        ("reached", Happening::Reached { manner }),
        (
            "reached, the least",
            Happening::Reached {
                manner: Manner::default(),
            },
        ),
        ("served", Happening::Served { ticket: ticket() }),
        (
            "claimed",
            Happening::Claimed {
                ticket: ticket(),
                claim: claim(),
            },
        ),
        ("discovering", Happening::Discovering),
        (
            "discovered",
            Happening::Discovered {
                hardware: hardware(false),
            },
        ),
        (
            "inventoried",
            Happening::Inventoried {
                hardware: hardware(true),
            },
        ),
        (
            "planned",
            Happening::Planned {
                plan: Box::new(plan(true)),
            },
        ),
        (
            "planned, the least",
            Happening::Planned {
                plan: Box::new(plan(false)),
            },
        ),
        ("waits", Happening::Waits { waits }),
        (
            "confirmed",
            Happening::Confirmed {
                disks: vec![found(true), found(false)],
                until: at(1000),
                by: by(),
            },
        ),
        ("reported", Happening::Reported { report }),
        (
            "sealed",
            Happening::Sealed {
                sealed: "c2VhbGVk".to_owned(),
                node_key: digest(0x0d),
            },
        ),
        ("received", Happening::Received),
        (
            "disk-key-made",
            Happening::DiskKeyMade {
                kept: made.kept,
                credential: made.credential,
                sealed: "c2VhbGVk".to_owned(),
            },
        ),
        (
            "unlocked",
            Happening::Unlocked {
                from: "10.77.0.9".to_owned(),
            },
        ),
        ("key-shown", Happening::KeyShown { by: by() }),
        (
            "installed",
            Happening::Installed {
                generation: generation(false),
                ssh_host_key: "ssh-ed25519 AAAA".to_owned(),
            },
        ),
        (
            "gave-up",
            Happening::GaveUp {
                reason: "3 attempts failed".to_owned(),
            },
        ),
        (
            "booted",
            Happening::Booted {
                generation: generation(true),
            },
        ),
        (
            "boot-order",
            Happening::BootOrder {
                order: vec![entry()],
            },
        ),
        ("left-to-disk", Happening::LeftToDisk { left }),
        ("came-back", Happening::CameBack { left }),
        ("joined", Happening::Joined { node: host() }),
        ("refused", refused(true)),
        ("refused, the least", refused(false)),
    ]
}

fn of_the_appliance() -> Vec<(&'static str, Happening)> {
    let (first, last) = (Ipv4Addr::new(10, 77, 0, 100), Ipv4Addr::new(10, 77, 0, 199));
    let followed = |trouble| Happening::Followed {
        revision: "1a2b3c4d5e6f".to_owned(),
        trouble,
    };
    vec![
        ("pool-exhausted", Happening::PoolExhausted { first, last }),
        ("pool-recovered", Happening::PoolRecovered { first, last }),
        (
            "address-in-use",
            Happening::AddressInUse {
                address: first,
                by: mac(0x99),
            },
        ),
        (
            "address-declined",
            Happening::AddressDeclined { address: last },
        ),
        (
            "released",
            Happening::Released {
                release: release(true),
            },
        ),
        (
            "released, the least",
            Happening::Released {
                release: release(false),
            },
        ),
        (
            "installer-published",
            Happening::InstallerPublished {
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
            Happening::Pruned {
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
        variants!(Happening:
            Seen, Enrolled, Reimaged, Forgotten, Attempt, Reached, Served, Claimed, Discovering, Discovered,
            Inventoried, Planned, Waits, Confirmed, Reported, Sealed, Received, DiskKeyMade, Unlocked, KeyShown,
            Installed, GaveUp, Booted, BootOrder, LeftToDisk, CameBack, Joined, Refused, PoolExhausted, PoolRecovered,
            AddressInUse, AddressDeclined, Released, InstallerPublished, Followed, Pruned,
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
