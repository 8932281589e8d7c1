//! What callers say cannot fill the journal, whoever they are.

use super::*;
use crate::disk::hardware::Nic;

const DAY: u64 = 24 * 60 * 60;

impl Story {
    fn seen(&mut self, mac: Mac, facts: &Facts) {
        let decided = observe(
            &self.state,
            mac,
            facts,
            &policy(),
            self.now,
            RequesterIdentity::Verified,
            10,
        );
        self.take(decided).expect("answers");
    }

    /// Events that these calls write.
    fn writes(&mut self, calls: impl FnOnce(&mut Self)) -> u64 {
        let before = self.state.seq;
        calls(self);
        self.state.seq - before
    }
}

fn serial(text: &str) -> Facts {
    Facts {
        serial: Some(text.to_owned()),
        ..Facts::default()
    }
}

#[test]
fn stray_refusals_do_not_fill_the_journal_and_count_anew_each_day() {
    let mut story = Story::new();
    let strays = |story: &mut Story| {
        for _ in 0..1100 {
            let _ = story.claim(&Ticket::new([9; 16]), 1);
        }
    };
    assert_eq!(story.writes(strays), 1000);
    story.later(DAY);
    assert_eq!(story.writes(strays), 1000);
}

/// A flood of refusals for strangers does not hide who tries the token.
#[test]
fn refusals_at_the_operators_door_are_counted_by_themselves() {
    let mut story = Story::new();
    let turned_away = |story: &mut Story| {
        let refusal = Refusal::new(RefusalCode::Unauthorized, "no token");
        let decided = admin::turned_away(&story.state, refusal, story.now, FROM);
        let _ = story.take(decided);
    };
    for _ in 0..1100 {
        let _ = story.claim(&Ticket::new([9; 16]), 1);
    }
    assert_eq!(story.writes(turned_away), 1);
    assert_eq!(
        story.writes(|story| (0..1100).for_each(|_| turned_away(story))),
        999
    );
    story.later(DAY);
    assert_eq!(story.writes(turned_away), 1);
}

#[test]
fn others_with_the_ticket_are_on_record_but_not_without_end() {
    let mut story = Story::enrolled();
    let ticket = story.serve().1.expect("a ticket");
    story.claim(&ticket, 1).expect("is claimed");
    let others = |story: &mut Story| {
        for _ in 0..200 {
            assert_eq!(code(story.claim(&ticket, 2)), RefusalCode::TicketUsed);
        }
    };
    assert_eq!(story.writes(others), 50);
    story.later(DAY);
    assert_eq!(story.writes(others), 50);
}

/// Invented MACs cost nothing, so strangers do not have fifty each.
#[test]
fn refusals_of_strangers_are_counted_together() {
    let mut story = Story::new();
    let who = mac(1);
    story.seen(who, &Facts::default());
    let no = || Refusal::new(RefusalCode::TooLarge, "no");
    let left = story.writes(|story| {
        for _ in 0..1100 {
            let decided = refused::<()>(&story.state, Some(who), no(), story.now, FROM);
            let _ = story.take(decided);
        }
    });
    assert_eq!(left, 1000);
}

#[test]
fn what_is_known_of_firmware_is_replaced_now_and_then_only() {
    let mut story = Story::new();
    let known = |story: &Story| story.machine().facts.clone();
    story.seen(mac(0x56), &Facts::default());
    story.seen(mac(0x56), &serial("first"));
    let uuid = Facts {
        uuid: Some("u-1".to_owned()),
        ..serial("second")
    };
    story.seen(mac(0x56), &uuid);
    assert_eq!(known(&story).serial.as_deref(), Some("second"));
    let third = Facts {
        uuid: Some("u-2".to_owned()),
        vendor_class: Some("PXEClient".to_owned()),
        ..serial("third")
    };
    story.seen(mac(0x56), &third);
    let facts = known(&story);
    assert_eq!(facts.serial.as_deref(), Some("second"), "that is too soon");
    assert_eq!(facts.uuid.as_deref(), Some("u-1"), "and so is that");
    assert_eq!(
        facts.vendor_class.as_deref(),
        Some("PXEClient"),
        "this is news"
    );
    let flood = |story: &mut Story| {
        for n in 0..100 {
            story.seen(mac(0x56), &serial(&n.to_string()));
        }
    };
    assert_eq!(story.writes(flood), 0);
    story.later(60);
    assert_eq!(story.writes(flood), 1);

    // A day of it, a minute at a time, of ten machines.
    let patient = story.writes(|story| {
        for minute in 0..1440 {
            story.later(60);
            for last in 0..10 {
                story.seen(mac(last), &serial(&format!("{minute}")));
            }
        }
    });
    assert!(patient < 2100, "{patient}: of two days at most");
}

#[test]
fn an_agent_cannot_report_without_end() {
    let mut story = Story::enrolled();
    let ticket = story.serve().1.expect("a ticket");
    story.claim(&ticket, 1).expect("is claimed");
    story.plan(1).expect("is planned");
    let mut number = 0;
    let mut say = |story: &mut Story, outcome: StepOutcome| {
        number += 1;
        story.report(1, number, InstallStep::Copy, outcome)
    };
    let again = || StepOutcome::Retry {
        attempt: 2,
        cause: "\u{f6}".repeat(1 << 19),
    };
    let left = story.writes(|story| {
        for _ in 0..500 {
            say(story, again()).expect("a line that is down is no fault of the agent");
        }
    });
    assert_eq!(left, 100);
    let progress = &story.machine().attempt.as_ref().expect("runs").progress;
    let Some(StepOutcome::Retry { cause, .. }) = &progress.outcome else {
        panic!("{progress:?}");
    };
    assert_eq!(cause.len(), 2048);

    let mut refused = 0;
    let left = story.writes(|story| {
        for _ in 0..1000 {
            refused += u32::from(say(story, StepOutcome::Started).is_err());
        }
    });
    assert_eq!(
        (left, refused),
        (300 + 50, 700),
        "what is refused is on record"
    );
    let causes = vec!["x".repeat(1 << 10); 1000];
    say(&mut story, StepOutcome::Failed { causes }).expect("its end is taken all the same");
    assert_eq!(story.machine().failure.len(), 32);
}

#[test]
fn an_agent_cannot_tell_its_hardware_without_end() {
    let mut story = Story::enrolled();
    let ticket = story.serve().1.expect("a ticket");
    story.claim(&ticket, 1).expect("is claimed");
    let (profiles, cache) = (story.profiles.clone(), cache());
    let inputs = PlanInputs {
        profiles: &profiles,
        cache: &cache,
        k3s_server: Some("https://10.77.0.10:6443"),
    };
    let tell = |story: &mut Story, product: String| {
        let hardware = Hardware {
            product,
            ..hardware()
        };
        let decided = plan(
            &story.state,
            &digest(1),
            &hardware,
            &inputs,
            story.now,
            FROM,
        );
        story.take(decided)
    };
    let large = tell(&mut story, "x".repeat(128 << 10));
    assert_eq!(code(large), RefusalCode::TooLarge);
    assert_eq!(story.machine().hardware, None);
    for n in 0..32 {
        tell(&mut story, n.to_string()).expect("is planned");
    }
    assert_eq!(
        code(tell(&mut story, "more".to_owned())),
        RefusalCode::TooManyAttempts
    );
    tell(&mut story, "31".to_owned()).expect("what is known is no news");
}

#[test]
fn machines_that_enroll_themselves_are_bounded_like_strangers() {
    let mut story = Story::new();
    let mut enrolled = 0;
    for last in 0..20 {
        story.seen(mac(last), &Facts::default());
        let profiles = story.profiles.clone();
        let operator = Operator {
            profiles: &profiles,
            armed_for: Duration::from_secs(DAY),
            now: story.now,
            ticket: story.ticket(),
            by: crate::machine::event::BY_POLICY,
        };
        let request = EnrollRequest {
            mac: mac(last),
            profile: Some("worker".parse().expect("a name")),
            name: None,
        };
        let decided = admin::enroll_stranger(&story.state, &operator, &request);
        enrolled += u32::from(story.take(decided).is_ok());
    }
    assert_eq!((enrolled, story.state.machines.len()), (10, 10));
}

#[test]
fn a_cable_that_comes_and_goes_is_no_other_inventory() {
    let mut story = Story::enrolled();
    let ticket = story.serve().1.expect("a ticket");
    story.claim(&ticket, 1).expect("is claimed");
    let mut hardware = hardware();
    hardware.nics = vec![Nic {
        name: "eth0".to_owned(),
        mac: mac(0x56),
        link: true,
    }];
    let plan = |story: &mut Story, hardware: &Hardware| {
        story.plan_for(1, hardware).expect("is planned");
    };
    let first = story.writes(|story| plan(story, &hardware));
    assert_eq!(first, 2, "inventory and plan");
    hardware.nics[0].link = false;
    assert_eq!(story.writes(|story| plan(story, &hardware)), 0);
    hardware.nics[0].name = "eth1".to_owned();
    assert_eq!(story.writes(|story| plan(story, &hardware)), 1);
}
