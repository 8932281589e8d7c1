//! Machines, releases and leases as the index keeps them, and what an agent reports.

use std::net::Ipv4Addr;

use netboot::base::arch::Arch;
use netboot::dhcp::lease::Lease;
use netboot::dhcp::offer_fallback::{BootMethod, OfferForm};
use netboot::dhcp::request::Facts;
use netboot::install::report::{InstallProgress, InstallStep, Report, StepOutcome};
use netboot::loader::local_boot::{BootLoader, LocalBootHistory, LocalBootMethod};
use netboot::machine::{
    Armed, Attempt, AttemptWait, Discovery, HandedKey, Machine, Secrets, State,
};

use crate::golden::{both, check, covers, sample, variants};
use crate::plan::plan;
use crate::samples::{
    at, claim, digest, disk_key, entry, found, generation, hardware, host, list, mac, planned_disk,
    profile, release, some, text, texts, ticket, written,
};

pub(crate) fn machine(full: bool) -> Machine {
    Machine {
        id: mac(0x56),
        macs: vec![mac(0x56), mac(0x57)],
        name: some(full, host()),
        profile: some(full, profile()),
        state: State::Installing,
        since: at(5),
        first_seen: at(1),
        enrolled: some(full, at(2)),
        enrolled_itself: full,
        installed: some(full, at(9)),
        facts: facts(full),
        boot_method: some(full, boot_method(true)),
        hardware: some(full, hardware(true)),
        discovery: some(full, discovery(true)),
        armed: some(full, armed(true)),
        attempt: some(full, attempt(true)),
        written: list(full, vec![written(true)]),
        begun: list(full, vec![planned_disk(true)]),
        confirmed: list(full, vec![found(true)]),
        failure: list(full, texts(["cannot copy the system"])),
        ssh_host_key: some(full, "ssh-ed25519 AAAA".to_owned()),
        disk_key: some(full, disk_key()),
        node_key: some(full, digest(0x0d)),
        boot_id: text(full, "8b1c8a4e-5a2c-4c0c-9a53-0b2a1c9d8e7f"),
        boot_order: list(full, vec![entry()]),
        local_boot: some(full, local_boot(true)),
        generations: list(full, vec![generation(true), generation(false)]),
        tally: Default::default(),
    }
}

fn facts(full: bool) -> Facts {
    Facts {
        arch: some(full, Arch::X64),
        vendor_class: some(full, "PXEClient:Arch:00007:UNDI:003001".to_owned()),
        uuid: some(full, "1b4e28ba-2fa1-11d2-883f-0016d3cca427".to_owned()),
        serial: some(full, "box-1".to_owned()),
    }
}

fn boot_method(full: bool) -> BootMethod {
    BootMethod {
        form: OfferForm::InHeader,
        loader: some(full, "snponly.efi".to_owned()),
    }
}

fn discovery(full: bool) -> Discovery {
    Discovery {
        tries: 2,
        served: at(3),
        discovered: some(full, at(4)),
    }
}

fn armed(full: bool) -> Armed {
    Armed {
        until: at(1000),
        release: some(full, 3),
    }
}

fn attempt(full: bool) -> Attempt {
    Attempt {
        number: 2,
        ticket: ticket(),
        served: some(full, at(6)),
        claim: some(full, claim()),
        plan: some(full, plan(false)),
        waits: some(full, waits()),
        progress: progress(full),
        secrets: if full {
            Secrets::Sealed {
                sealed: "c2VhbGVk".to_owned(),
            }
        } else {
            Secrets::Kept
        },
        tally: Default::default(),
        disk_key: some(
            full,
            HandedKey {
                key: disk_key(),
                sealed: "c2VhbGVk".to_owned(),
            },
        ),
    }
}

fn waits() -> AttemptWait {
    AttemptWait::Wipe {
        disks: vec![found(true)],
    }
}

fn progress(full: bool) -> InstallProgress {
    InstallProgress {
        number: 4,
        step: some(full, InstallStep::Copy),
        outcome: some(full, StepOutcome::Done),
    }
}

fn local_boot(full: bool) -> LocalBootHistory {
    LocalBootHistory {
        loader: BootLoader::IpxeBios,
        works: some(full, LocalBootMethod::FirstDisk),
        failed: list(full, vec![LocalBootMethod::NextEntry]),
    }
}

fn lease(full: bool) -> Lease {
    Lease {
        address: Ipv4Addr::new(10, 77, 0, 100),
        mac: mac(0x56),
        until: at(1000),
        declined: full,
        host_name: some(full, host()),
    }
}

#[test]
fn machines_and_releases_are_stored_as_written_down() {
    let waits = [waits()];
    covers(variants!(AttemptWait: Wipe), &waits);
    let parts = [
        both("machine", machine),
        both("facts", facts),
        both("manner", boot_method),
        both("discovery", discovery),
        both("armed", armed),
        both("attempt", attempt),
        both("progress", progress),
        both("local boot", local_boot),
        both("generation", generation),
        both("release", release),
    ];
    let sealed = "c2VhbGVk".to_owned();
    let secrets = [Secrets::Kept, Secrets::Sealed { sealed }, Secrets::Received];
    covers(variants!(Secrets: Kept, Sealed, Received), &secrets);
    let secrets: Vec<Secrets> = secrets.into();
    let kinds = [sample("secrets", &secrets)];
    check("machine", parts.into_iter().flatten().chain(kinds));
}

#[test]
fn leases_are_stored_as_written_down() {
    check("lease", both("lease", lease));
}

#[test]
fn reports_are_read_as_written_down() {
    let causes = || texts(["cannot copy the system", "connection refused"]);
    let outcomes = [
        ("started", StepOutcome::Started),
        (
            "progress",
            StepOutcome::Progress {
                done: 1000,
                total: 5000,
            },
        ),
        (
            "retry",
            StepOutcome::Retry {
                attempt: 2,
                cause: "connection refused".to_owned(),
            },
        ),
        ("done", StepOutcome::Done),
        ("warning", StepOutcome::Warning { causes: causes() }),
        ("failed", StepOutcome::Failed { causes: causes() }),
        ("unknown", StepOutcome::Unknown),
    ];
    covers(
        variants!(StepOutcome: Started, Progress, Retry, Done, Warning, Failed, Unknown),
        outcomes.iter().map(|(_, outcome)| outcome),
    );
    let reports = outcomes.map(|(name, outcome)| {
        let report = Report {
            number: 4,
            step: InstallStep::Copy,
            outcome,
        };
        sample(name, &report)
    });
    check("report", reports);
}

/// What an index of an older version may lack of a machine is read as absent.
#[test]
fn what_a_machine_may_lack_is_read_as_absent() {
    let json = serde_json::to_value(machine(false)).expect("writes");
    let needed = ["id", "macs", "state", "since", "first_seen"];
    let all = json.as_object().expect("a map");
    let least = all.iter().filter(|(key, _)| needed.contains(&key.as_str()));
    let least: serde_json::Map<_, _> = least.map(|(k, v)| (k.clone(), v.clone())).collect();
    let read: Machine = serde_json::from_value(least.into()).expect("reads");
    assert_eq!(read, machine(false));
}
