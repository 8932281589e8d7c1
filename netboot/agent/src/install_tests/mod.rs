//! The whole install against a world of folders: what it does, in which order, and what it does not do.

mod consent;
mod copying;
mod course;
mod encrypted;
mod faults;
mod guard;
mod late_disks;
mod preserved;
mod scripted;

use netboot::install::report::InstallStep;
use netboot_pin::Pin;

use crate::cmdline::Orders;
use crate::fake::FakeMachine;
use crate::install::install;
use crate::run::AttemptEnd;

fn orders() -> Orders {
    Orders {
        url: "https://10.77.0.1:8443".to_owned(),
        ticket: "00112233445566778899aabbccddeeff"
            .parse()
            .expect("a ticket"),
        pin: Pin::of(b"the appliance"),
        booted_from: None,
    }
}

fn run(fake: &mut FakeMachine) -> Result<(), AttemptEnd> {
    let roots = fake.roots();
    install(fake, &roots, &orders())
}

/// Whether a command only reads.
fn looks(line: &str) -> bool {
    ["wipefs --json ", "pvs ", "udevadm ", "zpool version"]
        .iter()
        .any(|look| line.starts_with(look))
}

/// All commands that do more than read.
fn doings(fake: &FakeMachine) -> Vec<&String> {
    fake.log.iter().filter(|line| !looks(line)).collect()
}

#[track_caller]
fn failed(stop: Result<(), AttemptEnd>) -> (InstallStep, String) {
    match stop.expect_err("fails") {
        AttemptEnd::Failed { step, causes } => (step, causes.join("; ")),
        AttemptEnd::Superseded { step, .. } => panic!("superseded in {step}"),
    }
}
