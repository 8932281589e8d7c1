//! The machine waits for an operator to confirm, and writes to no disk before.

use netboot::api::types::PlanRequest;
use netboot::base::refusal::{Refusal, RefusalCode};
use netboot::disk::hardware::Firmware;

use super::{doings, run};
use crate::fake::{DiskSpec, FakeAnswer, FakeMachine};

fn first(what: &str) -> FakeAnswer {
    let refusal = Refusal::new(RefusalCode::ConfirmFirst, "node1 waits")
        .fact(format!("on disk vda: {what}"))
        .tip("to have it wiped: pxe-admin confirm node1");
    FakeAnswer::Refusal(409, refusal)
}

#[test]
fn it_asks_until_it_may_and_shows_each_question_once() {
    let mut fake = FakeMachine::machine(Firmware::Uefi);
    for what in ["photos", "photos", "thesis"] {
        fake.answer("/node/v1/plan", first(what));
    }
    fake.away("/node/v1/plan", 2);
    run(&mut fake).expect("installs");
    assert_eq!(fake.calls("/node/v1/plan"), 6);
    let said = |text: &str| fake.console.iter().filter(|l| l.contains(text)).count();
    assert_eq!((said("WAITING"), said("photos"), said("thesis")), (2, 1, 1));
    assert_eq!(said("pxe-admin confirm node1"), 2);
}

#[test]
fn nothing_is_touched_while_it_waits_and_each_question_has_the_disks_of_that_moment() {
    let mut fake = FakeMachine::machine(Firmware::Uefi);
    fake.answer("/node/v1/plan", first("photos"));
    let refused = Refusal::new(RefusalCode::PlanRefused, "no disk matches");
    fake.answer("/node/v1/plan", FakeAnswer::Refusal(422, refused));
    fake.at(5, |fake| {
        fake.add_disk(&DiskSpec::virtio("vdc", 1 << 30, "late"));
    });
    run(&mut fake).expect_err("the second answer is the last word");
    assert_eq!(doings(&fake), [""; 0]);
    let disks: Vec<usize> = fake
        .bodies("/node/v1/plan")
        .into_iter()
        .map(|body| serde_json::from_str::<PlanRequest>(body).expect("one"))
        .map(|request| request.hardware.disks.len())
        .collect();
    assert_eq!(disks, [2, 3]);
}
