//! Disks that come and go while the plan is made: each that is there may change which is meant.

use std::fs;

use netboot::api::types::PlanRequest;
use netboot::base::refusal::{Refusal, RefusalCode};
use netboot::disk::hardware::Firmware;
use netboot::install::report::{InstallStep, StepOutcome};

use super::{doings, failed, run};
use crate::fake::{DiskSpec, FakeAnswer, FakeMachine};

const PLAN: &str = "/node/v1/plan";

/// How many disks each question had.
fn asked(fake: &FakeMachine) -> Vec<usize> {
    let bodies = fake.bodies(PLAN).into_iter();
    let requests = bodies.map(|body| serde_json::from_str::<PlanRequest>(body).expect("one"));
    requests
        .map(|request| request.hardware.disks.len())
        .collect()
}

fn late(fake: &mut FakeMachine) {
    fake.add_disk(&DiskSpec::virtio("vdc", 1 << 30, "late"));
}

fn unplug(fake: &FakeMachine, name: &str) {
    fs::remove_file(fake.base().join("sys/block").join(name)).expect("was there");
}

/// A change of the machine.
type LateDisk = fn(&mut FakeMachine);

#[test]
fn one_that_shows_late_makes_a_plan_of_a_refusal() {
    let mut fake = FakeMachine::machine(Firmware::Uefi);
    for _ in 0..2 {
        let refusal = Refusal::new(RefusalCode::PlanRefused, "no disk matches");
        fake.answer(PLAN, FakeAnswer::Refusal(422, refusal));
    }
    fake.at(5, late);
    fake.at(15, |fake| {
        fake.add_disk(&DiskSpec::virtio("vdd", 1 << 30, "later"));
    });
    run(&mut fake).expect("installs");
    assert_eq!(asked(&fake), [2, 3, 4]);
}

#[test]
fn no_plan_is_asked_for_while_disks_still_show() {
    let mut fake = FakeMachine::machine(Firmware::Uefi);
    fake.at(2, late);
    run(&mut fake).expect("installs");
    assert_eq!(asked(&fake), [3]);
}

#[test]
fn one_that_comes_or_goes_after_the_plan_has_it_made_anew_before_anything_is_written() {
    let rows: [(LateDisk, [usize; 2]); 2] = [(late, [2, 3]), (|fake| unplug(fake, "vdb"), [2, 1])];
    for (change, want) in rows {
        let mut fake = FakeMachine::machine(Firmware::Uefi);
        fake.on_call(PLAN, change);
        run(&mut fake).expect("installs");
        assert_eq!(asked(&fake), want);
        let reports = fake.reports();
        let again = reports.iter().position(|report| {
            matches!(&report.outcome, StepOutcome::Retry { attempt: 2, .. })
                && report.step == InstallStep::Plan
        });
        let again = again.expect("is on record");
        // The plan may be asked for again only from its own step.
        let steps: Vec<InstallStep> = reports[again - 1..].iter().map(|r| r.step).collect();
        let first = [
            InstallStep::Plan,
            InstallStep::Plan,
            InstallStep::Plan,
            InstallStep::TearDown,
        ];
        assert_eq!(steps[..4], first);
        let until = &fake.log[..fake.marks[again]];
        let written = until.iter().find(|line| !super::looks(line));
        assert_eq!(written, None);
    }
}

#[test]
fn disks_that_never_rest_and_a_planned_one_that_is_gone_end_it_with_nothing_written() {
    fn next(fake: &mut FakeMachine) {
        const NAMES: [&str; 5] = ["vdc", "vdd", "vde", "vdf", "vdg"];
        let name = NAMES[fake.calls(PLAN) - 1];
        fake.add_disk(&DiskSpec::virtio(name, 1 << 30, name));
        fake.on_call(PLAN, next);
    }
    let rows: [(LateDisk, usize, &str); 2] = [
        (next, 5, "disks come and go: after 5 plans"),
        (
            |fake| unplug(fake, "vda"),
            1,
            "no disk is the one of the plan",
        ),
    ];
    for (change, calls, want) in rows {
        let mut fake = FakeMachine::machine(Firmware::Uefi);
        fake.on_call(PLAN, change);
        let (step, causes) = failed(run(&mut fake));
        assert_eq!(step, InstallStep::Plan);
        assert!(causes.contains(want), "{causes}");
        assert_eq!(fake.calls(PLAN), calls);
        assert_eq!(doings(&fake), [""; 0]);
    }
}
