//! An install that encrypts: where the key goes, and a TPM that does or does not take it.

use netboot::api::types::UnlockToken;
use netboot::disk::hardware::Firmware;
use netboot::install::report::{InstallStep, StepOutcome};

use super::{doings, failed, orders, run};
use crate::fake::{DiskSpec, FakeAnswer, FakeMachine, plan_on};

const LAYOUT: &str = "layout = \"luks-btrfs\"\nswap = \"1G\"";

fn machine(tpm2: bool) -> FakeMachine {
    let disk = DiskSpec::virtio("vda", 8 << 30, "root");
    let mut fake = FakeMachine::new(Firmware::Bios);
    fake.add_disk(&disk);
    fake.add_disk(&DiskSpec::virtio("vdb", 9 << 30, "data"));
    fake.plan = plan_on(Firmware::Bios, LAYOUT, &[disk], tpm2);
    fake
}

fn about_volumes(fake: &FakeMachine) -> Vec<&str> {
    let lines = doings(fake).into_iter().map(String::as_str);
    let ours = |line: &&str| line.starts_with("cryptsetup") || line.contains("cryptenroll");
    lines.filter(ours).collect()
}

#[test]
fn volumes_are_made_with_a_key_that_is_on_no_command_line() {
    let mut fake = machine(true);
    run(&mut fake).expect("installs");
    let format =
        "--batch-mode --type=luks2 --pbkdf=pbkdf2 --pbkdf-force-iterations=1000 --key-file=-";
    let enroll =
        "systemd-cryptenroll --tpm2-device=auto --tpm2-pcrs=7 --unlock-key-file=/dev/stdin";
    let make = |device: &str, name: &str| {
        [
            format!("cryptsetup luksFormat {format} {device}"),
            format!("cryptsetup token import --json-file=- {device}"),
            format!("{enroll} {device}"),
            format!("cryptsetup open --type=luks2 --key-file=- {device} {name}"),
        ]
    };
    let mut want: Vec<String> = Vec::new();
    want.extend(make("/dev/vda3", "swap"));
    want.extend(make("/dev/vda4", "root"));
    want.extend(["root", "swap"].map(|name| format!("cryptsetup close {name}")));
    assert_eq!(about_volumes(&fake), want);

    let key = |text: &&String| *text == "canary-disk-key";
    assert_eq!(fake.secret_inputs.iter().filter(key).count(), 6);
    let tokens = fake.secret_inputs.iter().filter(|text| !key(text));
    let tokens: Vec<UnlockToken> = tokens
        .map(|json| serde_json::from_str(json).expect("a token"))
        .collect();
    assert_eq!(tokens.len(), 2);
    assert!(tokens[0] == tokens[1]);
    assert_eq!(tokens[0].credential, "canary-credential");
    assert_eq!(tokens[0].appliance, orders().url);
    assert_eq!(tokens[0].pin, orders().pin.to_string());
    let said = [fake.log.join("\n"), fake.console.join("\n")].concat();
    assert!(!said.contains("canary"), "{said}");
    assert!(!fake.bodies("/node/v1/report").concat().contains("canary"));
}

#[test]
fn a_tpm_that_refuses_is_a_warning_on_record() {
    let mut fake = machine(true);
    run(&mut fake).expect("installs");
    let at = fake
        .log
        .iter()
        .position(|line| line.contains("cryptenroll"));
    let mut fake = machine(true);
    fake.fail_at = at;
    run(&mut fake).expect("installs all the same");
    let reports = fake.reports();
    let warnings: Vec<_> = reports
        .iter()
        .filter_map(|report| match &report.outcome {
            StepOutcome::Warning { causes } => Some((report.step, causes.join("; "))),
            _ => None,
        })
        .collect();
    let [(InstallStep::Format, causes)] = warnings.as_slice() else {
        panic!("{warnings:?}");
    };
    assert!(
        causes.contains("cryptenroll") && causes.contains("it broke"),
        "{causes}"
    );
}

#[test]
fn without_a_tpm_none_is_asked_and_without_a_key_nothing_is_formatted() {
    let mut fake = machine(false);
    run(&mut fake).expect("installs");
    assert!(!fake.log.iter().any(|line| line.contains("cryptenroll")));

    let mut fake = machine(false);
    fake.answer("/node/v1/disk-key", FakeAnswer::Status(409));
    let (step, causes) = failed(run(&mut fake));
    assert_eq!(step, InstallStep::Format);
    assert!(causes.contains("there is no disk key"), "{causes}");
    assert_eq!(about_volumes(&fake), [""; 0]);
    assert!(!fake.log.iter().any(|line| line.starts_with("mkfs")));
}
