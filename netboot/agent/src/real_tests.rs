//! The real world, as far as a test may touch it: programs, and a file in the place of a disk.

use std::fs;

use crate::access::{HostCommand, WriteAccess as _, run, start};
use crate::real::RealMachine;

#[test]
fn a_program_is_given_its_input_and_says_how_it_ended() {
    let mut real = RealMachine::alone();
    let cat = HostCommand::new("cat").stdin("a line\n".repeat(20_000));
    assert_eq!(run(&mut real, &cat).expect("runs").len(), 140_000);

    let loud = HostCommand::new("sh").args([
        "-c",
        "for n in 1 2 3 4 5 6 7 8 9; do echo $n >&2; done; exit 3",
    ]);
    let error = run(&mut real, &loud).expect_err("fails");
    assert!(
        error.to_string().ends_with("ended with status 3"),
        "{error}"
    );
    assert_eq!(
        (error.said.len(), error.said.last().map(String::as_str)),
        (8, Some("9"))
    );

    let killed = run(
        &mut real,
        &HostCommand::new("sh").args(["-c", "kill -9 $$"]),
    )
    .expect_err("fails");
    assert_eq!(killed.how, "was ended by a signal");

    let absent = run(&mut real, &HostCommand::new("no-such-program-here")).expect_err("fails");
    assert!(absent.absent, "{absent}");
}

#[test]
fn lines_come_while_the_program_runs() {
    let mut real = RealMachine::alone();
    // It goes on only when the file is gone, which happens after its line was read.
    let dir = tempfile::tempdir().expect("tempdir");
    let flag = dir.path().join("flag");
    fs::write(&flag, "").expect("writes");
    let script = "echo one >&2; while [ -e \"$1\" ]; do sleep 0.02; done; echo two >&2";
    let mut running = start(
        &mut real,
        &HostCommand::new("sh")
            .args(["-c", script, "sh"])
            .path(&flag),
    )
    .expect("starts");
    assert_eq!(running.line().as_deref(), Some("one"));
    fs::remove_file(&flag).expect("removes");
    assert_eq!(running.line().as_deref(), Some("two"));
    running.end().expect("ends well");
}

#[test]
fn the_ends_of_a_disk_are_overwritten_and_nothing_between_them() {
    let dir = tempfile::tempdir().expect("tempdir");
    let disk = dir.path().join("disk");
    fs::write(&disk, [7; 5000]).expect("writes");
    let mut real = RealMachine::alone();

    let error = real.zero_ends(&disk, 5001, 1000).expect_err("another size");
    assert_eq!(error.to_string(), "it has 5000 bytes, 5001 were planned");
    assert_eq!(fs::read(&disk).expect("reads"), [7; 5000]);

    real.zero_ends(&disk, 5000, 1000).expect("writes");
    let now = fs::read(&disk).expect("reads");
    assert_eq!(now.len(), 5000);
    assert!(now[..1000].iter().chain(&now[4000..]).all(|b| *b == 0));
    assert!(now[1000..4000].iter().all(|b| *b == 7));

    real.zero_ends(&dir.path().join("absent"), 1, 1)
        .expect_err("never makes a file");
    assert!(!dir.path().join("absent").exists());
}
