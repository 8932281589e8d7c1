//! Which way opens a volume, in which order, and when the wait ends.

use netboot::base::refusal::{Refusal, RefusalCode};
use netboot::disk::hardware::Firmware;
use serde_json::json;

use super::*;
use crate::access::ReadAccess as _;
use crate::fake::{FakeAnswer, FakeMachine};

const PATIENCE_OF_TEST: Duration = Duration::from_secs(60);

/// Root and swap, both closed; with a TPM in the machine and in the headers, or without.
fn machine(tpm: bool) -> (FakeMachine, Roots, Vec<Volume>) {
    let mut fake = FakeMachine::new(Firmware::Uefi);
    let mut tokens = json!({
        "0": {
            "type": "netboot-unlock", "keyslots": ["0"], "machine": "node1",
            "appliance": "https://10.77.0.1:8443", "pin": Pin::of(b"the appliance").to_string(),
            "credential": "canary-credential",
        },
    });
    if tpm {
        tokens["1"] = json!({ "type": "systemd-tpm2", "keyslots": ["1"] });
        fake.write("sys/class/tpm/tpm0/tpm_version_major", "2\n");
    }
    for part in ["disk-main-root", "disk-main-swap"] {
        let header = json!({ "tokens": tokens }).to_string();
        fake.headers.insert(part.to_owned(), header);
    }
    let volumes = ["root", "swap"].map(|name| {
        let text = format!("{name}=/dev/disk/by-partlabel/disk-main-{name}");
        text.parse().expect("a volume")
    });
    let roots = fake.roots();
    (fake, roots, volumes.to_vec())
}

/// As the command does it: what is closed in the end, and how the appliance answered if it was asked.
fn unlock(
    fake: &mut FakeMachine,
    roots: &Roots,
    volumes: &[Volume],
) -> (Vec<String>, Option<String>) {
    let mut all = closed(fake, roots, volumes);
    by_tpm(fake, roots, &mut all);
    let error = token(&all).and_then(|token| {
        let place = place(&token).expect("a place");
        assert_eq!(
            place,
            (
                "https://10.77.0.1:8443".to_owned(),
                Pin::of(b"the appliance")
            )
        );
        let asked = by_appliance(fake, roots, &mut all, &token, PATIENCE_OF_TEST);
        asked.err().map(|error| causes(&error).join("; "))
    });
    (all.iter().map(|one| one.name().to_owned()).collect(), error)
}

fn ran<'a>(fake: &'a FakeMachine, start: &str) -> Vec<&'a str> {
    let lines = fake.log.iter().map(String::as_str);
    lines.filter(|line| line.starts_with(start)).collect()
}

#[test]
fn a_tpm_opens_everything_and_nobody_is_asked() {
    let (mut fake, roots, volumes) = machine(true);
    let (left, error) = unlock(&mut fake, &roots, &volumes);
    assert_eq!((left.len(), error), (0, None));
    assert_eq!(
        ran(&fake, "SYSTEMD_CRYPTSETUP_USE_TOKEN_MODULE=0 SYSTEMD_LOG_TARGET=console systemd-cryptsetup"),
        ["root", "swap"].map(|name| format!(
            "SYSTEMD_CRYPTSETUP_USE_TOKEN_MODULE=0 SYSTEMD_LOG_TARGET=console systemd-cryptsetup attach {name} /dev/disk/by-partlabel/disk-main-{name} - tpm2-device=auto,headless=1"
        ))
    );
    assert_eq!(fake.calls("/node/v1/unlock"), 0);
}

#[test]
fn what_the_tpm_does_not_open_is_asked_for_once() {
    let (mut fake, roots, volumes) = machine(true);
    // After both headers, the first volume at the TPM.
    fake.fail_at = Some(2);
    let (left, error) = unlock(&mut fake, &roots, &volumes);
    assert_eq!((left.len(), error), (0, None));
    assert_eq!(fake.calls("/node/v1/unlock"), 1);
    assert_eq!(fake.bearers("/node/v1/unlock"), ["canary-credential"]);
    assert_eq!(
        ran(&fake, "cryptsetup open"),
        ["cryptsetup open --type=luks2 --key-file=- /dev/disk/by-partlabel/disk-main-root root"]
    );
    assert_eq!(fake.secret_inputs, ["canary-disk-key"]);
    let said = [fake.log.join("\n"), fake.console.join("\n")].concat();
    assert!(!said.contains("canary"), "{said}");
}

#[test]
fn a_tpm_that_is_gone_is_waited_for_a_moment_only() {
    let (mut fake, roots, volumes) = machine(true);
    std::fs::remove_dir_all(roots.sys.join("class/tpm")).expect("removes");
    let (left, error) = unlock(&mut fake, &roots, &volumes);
    assert_eq!((left.len(), error), (0, None));
    assert!(
        ran(
            &fake,
            "SYSTEMD_CRYPTSETUP_USE_TOKEN_MODULE=0 SYSTEMD_LOG_TARGET=console systemd-cryptsetup"
        )
        .is_empty()
    );
    assert!(
        fake.elapsed() < Duration::from_secs(7),
        "{:?}",
        fake.elapsed()
    );
    assert_eq!(fake.secret_inputs.len(), 2);
}

#[test]
fn nobody_is_asked_for_ever() {
    let refusal = Refusal::new(
        RefusalCode::WrongState,
        "node1 gets no disk key: it is enrolled",
    );
    type Trouble = fn(&mut FakeMachine, Refusal);
    let rows: [(&str, Trouble, usize, &str); 3] = [
        (
            "refused",
            |fake, refusal| fake.answer("/node/v1/unlock", FakeAnswer::Refusal(409, refusal)),
            1,
            "node1 gets no disk key: it is enrolled",
        ),
        (
            "another appliance",
            |fake, _| fake.answer("/node/v1/unlock", FakeAnswer::Foreign),
            1,
            "its key is another",
        ),
        (
            "away",
            |fake, _| fake.away("/node/v1/unlock", 1000),
            12,
            "connection refused",
        ),
    ];
    for (name, trouble, most, want) in rows {
        let (mut fake, roots, volumes) = machine(false);
        trouble(&mut fake, refusal.clone());
        let (left, error) = unlock(&mut fake, &roots, &volumes);
        assert_eq!(left, ["root", "swap"], "{name}");
        let error = error.expect(name);
        assert!(error.contains(want), "{name}: {error}");
        assert!(fake.calls("/node/v1/unlock") <= most, "{name}");
        assert!(fake.elapsed() < PATIENCE_OF_TEST * 2, "{name}");
    }
}

#[test]
fn an_open_volume_and_one_without_a_token_are_left_alone() {
    let (mut fake, roots, volumes) = machine(false);
    fake.headers.remove("disk-main-swap");
    fake.write("dev/mapper/root", "");
    let (left, error) = unlock(&mut fake, &roots, &volumes);
    assert_eq!((left, error), (vec!["swap".to_owned()], None));
    assert_eq!(fake.calls("/node/v1/unlock"), 0);
}

#[test]
fn volumes_are_named_with_their_devices() {
    for (text, good) in [
        ("root=/dev/disk/by-partlabel/disk-main-root", true),
        ("root=/dev/vda3", true),
        ("root", false),
        ("=/dev/vda3", false),
        ("../x=/dev/vda3", false),
        ("root=vda3", false),
    ] {
        assert_eq!(text.parse::<Volume>().is_ok(), good, "{text}");
    }
}
