//! What `watch` prints of a whole installation, and of its bad days.

use expect_test::{Expect, expect};
use netboot::api::event_view::EventView;
use netboot::doctor::boot_trace::BootEvent;
use netboot::install::report::Report;
use netboot::machine::event::{Event, EventKind};
use serde_json::json;

use super::*;

const MAC: &str = "52:54:00:12:34:56";

/// 2026-04-02 10:14:07 UTC
const BEGUN: i64 = 1_775_124_847_000;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(BEGUN + millis)
}

fn mac() -> Mac {
    MAC.parse().expect("a MAC")
}

/// An event `millis` after the beginning, from its JSON.
fn event(millis: i64, what: serde_json::Value) -> EventLine {
    let what: EventKind = serde_json::from_value(what).expect("a happening");
    EventLine::Event {
        event: EventView::of(Event {
            seq: 1,
            at: at(millis),
            machine: Some(mac()),
            what,
        }),
    }
}

fn report(millis: i64, step: InstallStep, outcome: StepOutcome) -> EventLine {
    let number = u64::try_from(millis).expect("after the beginning") + 1;
    let report = Report {
        number,
        step,
        outcome,
    };
    let what = serde_json::to_value(EventKind::Reported { report }).expect("writes");
    event(millis, what)
}

fn bytes_copied(millis: i64, done: u64) -> EventLine {
    EventLine::Progress {
        at: at(millis),
        machine: mac(),
        step: InstallStep::Copy,
        done,
        total: 3000 << 20,
    }
}

fn enrolled(millis: i64) -> EventLine {
    event(
        millis,
        json!({"event": "enrolled", "macs": [MAC], "name": "node1", "profile": "worker",
            "until": "2026-04-03T10:14:07Z", "ticket": "00".repeat(16), "by": "uid 0"}),
    )
}

fn claimed(millis: i64) -> EventLine {
    let ticket = "00".repeat(16);
    event(
        millis,
        json!({"event": "claimed", "ticket": ticket,
            "claim": {"recipient": "age1x", "session": "11".repeat(32), "at": "2026-04-02T10:14:07Z"}}),
    )
}

#[track_caller]
fn check(screen: &mut Screen, lives: &[EventLine], want: &Expect) {
    let printed: Vec<String> = lives
        .iter()
        .flat_map(|live| screen.update(live))
        .map(|line| match line {
            ScreenLine::Lasting(text) => text,
            ScreenLine::Passing(text) => format!("{text} ~"),
        })
        .collect();
    want.assert_eq(&printed.join("\n"));
}

#[test]
fn an_installation_is_told_step_by_step() {
    let mut screen = Screen::new(Some(mac()));
    let lives = [
        enrolled(-60_000),
        EventLine::Alive,
        EventLine::Boot {
            at: at(0),
            machine: mac(),
            mark: BootEvent::Answered {
                given: "offered ipxe.efi".to_owned(),
            },
        },
        event(2000, json!({"event": "served", "ticket": "00".repeat(16)})),
        claimed(41_000),
        report(41_500, InstallStep::Copy, StepOutcome::Started),
        bytes_copied(42_000, 0),
        bytes_copied(42_900, 50 << 20),
        bytes_copied(43_000, 100 << 20),
        bytes_copied(44_500, 250 << 20),
        report(
            45_000,
            InstallStep::Copy,
            StepOutcome::Retry {
                attempt: 2,
                cause: "connection reset".to_owned(),
            },
        ),
        bytes_copied(45_100, 200 << 20),
        bytes_copied(45_200, 3000 << 20),
        report(46_000, InstallStep::Copy, StepOutcome::Done),
        report(46_100, InstallStep::Configure, StepOutcome::Started),
        event(3_601_000, json!({"event": "joined", "node": "node1"})),
    ];
    check(
        &mut screen,
        &lives,
        &expect![[r#"
        node1  --:--         enrolled as `node1` with profile `worker` by uid 0, in force until 2026-04-03 10:14:07 UTC
        node1  00:00         offered ipxe.efi
        node1  00:02         boot script sent, with the ticket
        node1  00:41         an agent holds the ticket
        node1  00:41   7/10  copying the system
        node1  00:42   7/10  copying the system  0.0 / 2.9 GiB ~
        node1  00:43   7/10  copying the system  0.1 / 2.9 GiB  100 MiB/s ~
        node1  00:44   7/10  copying the system  0.2 / 2.9 GiB  100 MiB/s ~
        node1  00:45   7/10  retry 2: connection reset; copying the system again
        node1  00:45   7/10  copying the system  0.2 / 2.9 GiB ~
        node1  00:45   7/10  copying the system  2.9 / 2.9 GiB ~
        node1  00:46   8/10  writing name, keys and tokens
        node1  60:01         joined: k3s says that node `node1` is Ready"#]],
    );
}

#[test]
fn a_failed_step_shows_its_causes_outermost_first() {
    let mut screen = Screen::new(Some(mac()));
    let failed = StepOutcome::Failed {
        causes: vec![
            "cannot copy the system".to_owned(),
            "connection refused".to_owned(),
        ],
    };
    let lives = [
        enrolled(0),
        EventLine::Alive,
        claimed(1000),
        report(2000, InstallStep::Copy, failed),
    ];
    check(
        &mut screen,
        &lives,
        &expect![[r#"
        node1  --:--         enrolled as `node1` with profile `worker` by uid 0, in force until 2026-04-03 10:14:07 UTC
        node1  00:00         an agent holds the ticket
        node1  00:01   7/10  failed while copying the system: cannot copy the system: connection refused"#]],
    );
    assert!(screen.saw_it_fail(mac()));
}

#[test]
fn only_the_past_since_the_last_order_is_told() {
    let mut screen = Screen::new(Some(mac()));
    let again = json!({"event": "reimaged", "until": "2026-04-03T10:14:07Z",
        "ticket": "22".repeat(16), "by": "uid 0"});
    let lives = [
        enrolled(0),
        claimed(1000),
        event(9000, again),
        EventLine::Alive,
    ];
    check(
        &mut screen,
        &lives,
        &expect![
            "node1  --:--         to be installed again, by uid 0, in force until 2026-04-03 10:14:07 UTC"
        ],
    );

    let mut all = Screen::new(None);
    check(&mut all, &lives, &expect![""]);
}

#[test]
fn a_failure_of_the_past_is_not_the_end() {
    let mut screen = Screen::new(Some(mac()));
    let failed = StepOutcome::Failed {
        causes: vec!["no disk".to_owned()],
    };
    for live in [
        enrolled(0),
        claimed(1),
        report(2, InstallStep::Plan, failed),
        EventLine::Alive,
    ] {
        screen.update(&live);
    }
    assert!(!screen.saw_it_fail(mac()));
    let machine = screen.machine(mac()).expect("known");
    assert!(machine.attempt.as_ref().is_some_and(|a| a.progress.ended()));
}
