//! A copy that breaks off, and one that must not be believed.

use netboot::disk::hardware::Firmware;
use netboot::install::report::{InstallStep, StepOutcome};

use super::{failed, run};
use crate::fake::FakeMachine;

#[test]
fn a_copy_that_breaks_off_is_tried_again_and_a_wrong_signature_is_not() {
    let word = |level: u32, text: &str| {
        format!(r#"@nix {{"action":"msg","level":{level},"msg":"{text}"}}"#)
    };
    let cut = || {
        vec![
            word(
                0,
                "error: unable to download 'x': Transferred a partial file",
            ),
            word(0, "error: build of '/nix/store/x' failed"),
        ]
    };

    let mut fake = FakeMachine::machine(Firmware::Uefi);
    fake.nix_fails.extend([cut(), cut()]);
    run(&mut fake).expect("installs");
    let retries: Vec<StepOutcome> = fake
        .reports()
        .into_iter()
        .map(|r| r.outcome)
        .filter(|o| matches!(o, StepOutcome::Retry { .. }))
        .collect();
    let retry = |attempt| StepOutcome::Retry {
        attempt,
        cause: "error: unable to download 'x': Transferred a partial file".to_owned(),
    };
    assert_eq!(retries, [retry(2), retry(3)]);

    let mut fake = FakeMachine::machine(Firmware::Uefi);
    fake.nix_fails.extend((0..99).map(|_| cut()));
    let (step, causes) = failed(run(&mut fake));
    assert_eq!(step, InstallStep::Copy);
    assert!(
        causes.contains("the cache does not deliver the system") && causes.contains("partial file"),
        "{causes}"
    );
    assert_eq!(
        fake.log.iter().filter(|l| l.starts_with("nix-env")).count(),
        5
    );

    let mut fake = FakeMachine::machine(Firmware::Uefi);
    let unsigned = "warning: the substitute for '/nix/store/x' is not signed by any of the keys in 'trusted-public-keys'";
    fake.nix_fails.push_back(vec![word(1, unsigned)]);
    let (step, causes) = failed(run(&mut fake));
    assert_eq!(step, InstallStep::Copy);
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
        [
            r#"{"action":"start","id":7,"type":103}"#.to_owned(),
            r#"{"action":"start","id":1,"type":100}"#.to_owned(),
            format!(r#"{{"action":"result","id":1,"type":105,"fields":[{done},{done},0,0]}}"#),
            r#"{"action":"stop","id":1}"#.to_owned(),
            r#"{"action":"result","id":7,"type":105,"fields":[1,9,0,0]}"#.to_owned(),
        ]
        .map(|line| format!("@nix {line}"))
        .to_vec()
    };
    let mut fake = FakeMachine::machine(Firmware::Uefi);
    fake.nix_fails.extend((0..20).map(|_| lines(3)));
    run(&mut fake).expect("installs");
    let progress: Vec<u64> = fake
        .reports()
        .into_iter()
        .filter_map(|r| match r.outcome {
            StepOutcome::Progress { done, total: 100 } => Some(done),
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
        let mut fake = FakeMachine::machine(Firmware::Uefi);
        fake.lacking = Some(part);
        let (step, causes) = failed(run(&mut fake));
        assert_eq!(step, InstallStep::Copy);
        assert!(causes.contains(&format!("it has no `{part}`")), "{causes}");
    }
}
