//! Programs that fail, an appliance that is away, refuses, or is another.

use netboot::base::refusal::{Refusal, RefusalCode};
use netboot::disk::hardware::Firmware;
use netboot::install::report::{InstallStep, StepOutcome};

use super::{doings, failed, looks, run};
use crate::fake::{FakeAnswer, FakeMachine};
use crate::run::AttemptEnd;

#[test]
fn a_command_that_fails_ends_the_install_there_and_says_which() {
    let mut clean = FakeMachine::machine(Firmware::Uefi);
    run(&mut clean).expect("installs");
    for (place, command) in clean.log.iter().enumerate() {
        let mut fake = FakeMachine::machine(Firmware::Uefi);
        fake.fail_at = Some(place);
        let done = run(&mut fake);
        let first = command
            .split(' ')
            .find(|word| !word.contains('='))
            .unwrap_or_default();
        // Programs that only read may fail; and these are tried again, since a scanner may hold the device.
        let again =
            command.starts_with("umount") || command.contains("--rereadpt") || first == "nix-env";
        if looks(command) || again {
            done.unwrap_or_else(|stop| panic!("`{command}`: {stop:?}"));
            continue;
        }
        let (step, causes) = failed(done);
        assert!(causes.contains("it broke"), "`{command}`: {causes}");
        assert!(!causes.contains("set -emount"), "lines run together");
        assert_eq!(fake.log.len(), place + 1, "nothing after `{command}`");
        let last = fake.reports().pop().expect("a report");
        assert_eq!(last.step, step, "`{command}`");
        assert!(
            matches!(last.outcome, StepOutcome::Failed { .. }),
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
    let mut fake = FakeMachine::machine(Firmware::Uefi);
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
        fake.answer(&path, FakeAnswer::Status(503));
        fake.answer(&path, FakeAnswer::Status(429));
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
    let mut fake = FakeMachine::machine(Firmware::Uefi);
    let refusal = Refusal::new(
        RefusalCode::TicketUsed,
        "this ticket is held by another agent",
    )
    .tip("power it off and on");
    fake.answer("/node/v1/claim", FakeAnswer::Refusal(409, refusal));
    let (step, causes) = failed(run(&mut fake));
    assert_eq!(step, InstallStep::Claim);
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
        ("claim", InstallStep::Claim),
        ("plan", InstallStep::Plan),
        ("secrets", InstallStep::Configure),
    ] {
        let mut fake = FakeMachine::machine(Firmware::Uefi);
        let path = format!("/node/v1/{path}");
        fake.answer(&path, FakeAnswer::Foreign);
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
    let mut fake = FakeMachine::machine(Firmware::Uefi);
    let refusal = Refusal::new(RefusalCode::PlanRefused, "two disks match")
        .fact("vda: 8 GiB")
        .tip("write `serial`");
    fake.answer("/node/v1/plan", FakeAnswer::Refusal(422, refusal));
    let (step, causes) = failed(run(&mut fake));
    assert_eq!(step, InstallStep::Plan);
    assert_eq!(fake.calls("/node/v1/plan"), 1, "these disks are known");
    assert!(
        causes.ends_with("two disks match; vda: 8 GiB; tip: write `serial`"),
        "{causes}"
    );
    assert_eq!(doings(&fake), [""; 0]);
    let Some(StepOutcome::Failed { causes }) = fake.reports().pop().map(|r| r.outcome) else {
        panic!("reported");
    };
    assert!(causes.contains(&"tip: write `serial`".to_owned()));
}

#[test]
fn an_attempt_that_was_superseded_touches_nothing_more_and_reports_nothing_more() {
    let mut clean = FakeMachine::machine(Firmware::Uefi);
    run(&mut clean).expect("installs");
    for skip in 0..20 {
        let mut fake = FakeMachine::machine(Firmware::Uefi);
        for _ in 0..skip {
            fake.answer("/node/v1/report", FakeAnswer::Body("{}".to_owned()));
        }
        let gone = Refusal::new(
            RefusalCode::InstallSuperseded,
            "this install attempt is over",
        );
        fake.answer("/node/v1/report", FakeAnswer::Refusal(410, gone));
        let stop = run(&mut fake).expect_err("stops");
        assert!(matches!(stop, AttemptEnd::Superseded { .. }), "{stop:?}");
        assert_eq!(fake.calls("/node/v1/report"), skip + 1);
        assert_eq!(fake.log.len(), clean.marks[skip], "report {skip}");
    }
}

#[test]
fn secrets_that_are_not_for_this_machine_are_an_error_that_shows_none_of_them() {
    for (name, body) in [
        ("not base64", r#"{"sealed":"canary!"}"#),
        ("not age", r#"{"sealed":"Y2FuYXJ5"}"#),
        ("not an answer", r#"{"token":"canary"}"#),
    ] {
        let mut fake = FakeMachine::machine(Firmware::Uefi);
        fake.answer("/node/v1/secrets", FakeAnswer::Body(body.to_owned()));
        let (step, causes) = failed(run(&mut fake));
        assert_eq!(step, InstallStep::Configure, "{name}");
        assert!(!causes.contains("canary"), "{name}: {causes}");
        assert_eq!(fake.calls("/node/v1/secrets/received"), 0, "{name}");
    }
}
