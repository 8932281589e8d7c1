//! What operators are shown, held against what is stored: which members are left out, and that no secret is anywhere in
//! the rest.

use std::collections::{BTreeMap, BTreeSet};

use netboot::api::event_view::EventView;
use netboot::api::machine_view::MachineView;
use netboot::machine::{Machine, Secrets};
use serde_json::Value;

use crate::journal::events;
use crate::machine::machine;
use crate::samples::{claim, digest, disk_key, ticket};

/// Every text that grants something in the samples.
fn secrets() -> [String; 6] {
    let (claim, disk_key) = (claim(), disk_key());
    [
        ticket().to_string(),
        claim.session.to_string(),
        disk_key.kept,
        disk_key.credential.to_string(),
        digest(0x0d).to_string(),
        "c2VhbGVk".to_owned(),
    ]
}

/// The members that hold no others, by their path: `attempt.claim.session`.
fn leaves(path: &str, json: &Value, found: &mut BTreeMap<String, Value>) {
    let below = |name: &str| match path {
        "" => name.to_owned(),
        _ => format!("{path}.{name}"),
    };
    match json {
        Value::Object(members) => {
            for (name, member) in members {
                leaves(&below(name), member, found);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                leaves(&below(&at.to_string()), item, found);
            }
        }
        _ => {
            found.insert(path.to_owned(), json.clone());
        }
    }
}

fn flat(value: &impl serde::Serialize) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    leaves(
        "",
        &serde_json::to_value(value).expect("writes"),
        &mut found,
    );
    found
}

#[track_caller]
fn holds_no_secret(name: &str, shown: &BTreeMap<String, Value>) {
    for (path, value) in shown {
        for secret in secrets() {
            assert!(
                !value.to_string().contains(&secret),
                "{name}: `{path}` holds the secret {secret}"
            );
        }
    }
}

#[test]
fn a_machine_is_shown_whole_but_for_what_grants_something() {
    let stored: Machine = machine(true);
    let attempt = stored.attempt.as_ref().expect("an attempt");
    assert!(matches!(attempt.secrets, Secrets::Sealed { .. }));
    let (stored, shown) = (flat(&stored), flat(&MachineView::of(&stored)));

    let everything = serde_json::to_string(&stored).expect("writes");
    for secret in secrets() {
        assert!(everything.contains(&secret), "{secret} is in no sample");
    }
    holds_no_secret("machine", &shown);

    let left_out: Vec<&str> = stored
        .keys()
        .filter(|path| !shown.contains_key(*path))
        .map(String::as_str)
        .collect();
    assert_eq!(
        left_out,
        [
            "attempt.claim.session",
            "attempt.disk_key.key.credential",
            "attempt.disk_key.key.kept",
            "attempt.disk_key.sealed",
            "attempt.secrets.sealed",
            "attempt.ticket",
            "disk_key.credential",
            "disk_key.kept",
            "node_key",
        ]
    );
    for (path, value) in &shown {
        assert_eq!(Some(value), stored.get(path), "{path}");
    }
}

/// What commands are decided by is the same of both.
#[test]
fn a_view_has_the_title_and_the_question_of_its_machine() {
    let waiting = |full| {
        let mut machine = machine(full);
        machine.confirmed.clear();
        if let Some(attempt) = &mut machine.attempt {
            attempt.plan = None;
            attempt.progress = netboot::install::report::InstallProgress::default();
        }
        machine
    };
    let all = [machine(true), machine(false), waiting(true), waiting(false)];
    let asks: Vec<bool> = all.iter().map(|m| m.waiting().is_some()).collect();
    assert_eq!(asks, [false, false, true, false]);
    for machine in all {
        let view = MachineView::of(&machine);
        assert_eq!(view.title(), machine.title());
        assert_eq!(view.waiting(), machine.waiting());
    }
}

#[test]
fn events_are_shown_whole_but_for_what_grants_something() {
    let mut blank = BTreeSet::new();
    for (name, event) in events() {
        let (stored, shown) = (flat(&event), flat(&EventView::of(event)));
        holds_no_secret(name, &shown);
        let paths = |all: &BTreeMap<String, Value>| all.keys().cloned().collect::<Vec<_>>();
        assert_eq!(paths(&stored), paths(&shown), "{name}");
        for (path, value) in &shown {
            let text = value.as_str().unwrap_or("something else");
            if Some(value) != stored.get(path) {
                assert!(text.chars().all(|c| c == '0'), "{name}: `{path}` is {text}");
                blank.insert(format!("{}.{path}", name.trim_end_matches(", the least")));
            }
        }
    }
    let blank: Vec<String> = blank.into_iter().collect();
    assert_eq!(
        blank,
        [
            "attempt.what.ticket",
            "claimed.what.claim.session",
            "claimed.what.ticket",
            "disk-key-made.what.credential",
            "disk-key-made.what.kept",
            "disk-key-made.what.sealed",
            "enrolled.what.ticket",
            "reimaged.what.ticket",
            "sealed.what.node_key",
            "sealed.what.sealed",
            "served.what.ticket",
        ]
    );
}
