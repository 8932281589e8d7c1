//! A machine that waits for an operator: through restarts, for days, and without using up its attempts.

use super::*;
use crate::disk::hardware::{Signature, SignatureKind};
use crate::machine::AttemptWait;
use crate::machine::event::BY_POLICY;
use crate::machine::wipe_confirmation::DiskContents;
use crate::profile::Wipe;

fn signature(label: &str) -> Signature {
    Signature {
        node: "vda".to_owned(),
        size: 8 << 30,
        kind: SignatureKind::Ext4,
        label: label.to_owned(),
        partition_label: String::new(),
        start: 0,
        member_of: None,
    }
}

impl Story {
    /// Enrolled by `boot.unknown`.
    fn enrolled_itself() -> Self {
        let mut story = Self::new();
        story.publish("one");
        let request = EnrollRequest {
            mac: mac(0x56),
            profile: Some("worker".parse().expect("a name")),
            name: Some("node1".parse().expect("a name")),
        };
        let (ticket, profiles) = (story.ticket(), story.profiles.clone());
        let operator = Operator {
            profiles: &profiles,
            armed_for: Duration::from_secs(24 * 3600),
            now: story.now,
            ticket,
            by: BY_POLICY,
        };
        let decided = admin::enroll(&story.state, &operator, &request);
        story.take(decided).expect("is enrolled");
        story
    }

    /// Asks for the plan, with a file system of this label on the disk, or with a blank disk.
    fn plan_holding(&mut self, agent: u8, label: &str) -> Result<Plan, Refusal> {
        self.plan_on("root", agent, label)
    }

    /// The same, with a disk of this serial number and no other.
    fn plan_on(&mut self, serial: &str, agent: u8, label: &str) -> Result<Plan, Refusal> {
        let mut hardware = hardware();
        hardware.disks[0].serial = serial.to_owned();
        if !label.is_empty() {
            hardware.disks[0].holds = vec![signature(label)];
        }
        self.plan_for(agent, &hardware)
    }

    /// From the plan on.
    fn carries_out(&mut self, agent: u8) {
        for (number, step, outcome) in [
            (1, InstallStep::TearDown, StepOutcome::Started),
            (2, InstallStep::Copy, StepOutcome::Done),
            (3, InstallStep::Configure, StepOutcome::Started),
        ] {
            self.report(agent, number, step, outcome).expect("is taken");
        }
        self.secrets(agent).expect("are due");
        self.sealed(agent, "sealed").expect("are kept");
        self.received(agent).expect("is taken");
        self.report(agent, 4, InstallStep::Unmount, StepOutcome::Done)
            .expect("is taken");
        self.installed(agent).expect("is taken");
    }

    /// Switched on: the script, the claim. Gives the number of the attempt.
    fn boots(&mut self, agent: u8) -> u32 {
        self.later(600);
        let (decision, ticket) = self.serve();
        assert_eq!(decision, Decision::Install);
        let answer = self.claim(&ticket.expect("a ticket"), agent);
        answer.expect("is claimed").attempt
    }

    /// What it waits with, as `pxe-admin confirm` shows it.
    fn asked(&self) -> Vec<DiskContents> {
        let waits = self.machine().waiting();
        waits.map_or_else(Vec::new, |AttemptWait::Wipe { disks }| disks.clone())
    }

    /// Whether it changed anything.
    fn confirm(&mut self) -> Result<bool, Refusal> {
        let asked = self.asked();
        self.confirm_seen(&asked)
    }

    fn confirm_seen(&mut self, seen: &[DiskContents]) -> Result<bool, Refusal> {
        let seq = self.state.seq;
        self.operate(|state, operator| admin::confirm(state, operator, "node1", seen))?;
        Ok(self.state.seq > seq)
    }

    #[track_caller]
    fn must_ask(&mut self, agent: u8, label: &str) {
        assert_eq!(
            code(self.plan_holding(agent, label)),
            RefusalCode::ConfirmFirst
        );
        let Some(AttemptWait::Wipe { disks }) = self.machine().waiting() else {
            panic!("it waits for nothing: {:?}", self.machine());
        };
        assert_eq!(disks[0].holds, [signature(label)]);
    }
}

#[test]
fn a_machine_that_enrolled_itself_waits_as_long_as_it_takes_and_installs_then() {
    let mut story = Story::enrolled_itself();
    // Many more boots than there are attempts.
    for agent in 1..=9 {
        assert_eq!(story.boots(agent), 1, "waiting is no attempt");
        story.must_ask(agent, "photos");
        let seq = story.state.seq;
        story.must_ask(agent, "photos");
        assert_eq!(story.state.seq, seq, "asking again is no news");
    }
    assert_eq!(story.machine().state, State::Installing);
    assert!(story.confirm().expect("it waits"));
    assert!(!story.confirm().expect("a repeat is fine"));
    assert_eq!(story.machine().waiting(), None);
    story.plan_holding(9, "photos").expect("may go on");
    assert_eq!(story.boots(10), 2, "an attempt that got its plan counts");
    story
        .plan_holding(10, "photos")
        .expect("is still confirmed");
    story.carries_out(10);
    let machine = story.machine();
    assert_eq!(machine.state, State::Installed);
    assert_eq!(machine.confirmed, [], "a yes is good for one install");
    assert_eq!(machine.written.len(), 1);
    assert_eq!(code(story.confirm()), RefusalCode::WrongState);
}

#[test]
fn a_yes_is_for_what_was_there() {
    let mut story = Story::enrolled_itself();
    story.boots(1);
    story.must_ask(1, "photos");
    story.confirm().expect("it waits");
    story.must_ask(1, "thesis");
    story.confirm().expect("it waits again");
    story.plan_holding(1, "thesis").expect("may go on");
}

#[test]
fn a_yes_to_what_is_not_asked_any_more_is_none() {
    let mut story = Story::enrolled_itself();
    story.boots(1);
    assert_eq!(code(story.confirm_seen(&[])), RefusalCode::WrongState);
    story.must_ask(1, "photos");
    let (photos, seq) = (story.asked(), story.state.seq);
    let blind = story.confirm_seen(&[]).expect_err("nothing was shown");
    assert_eq!(blind.message, "node1 asks about something else by now");
    assert_eq!(story.state.seq, seq);
    story.must_ask(1, "thesis");
    let late = story.confirm_seen(&photos).expect_err("that is gone");
    assert!(late.facts[0].contains("thesis"), "{late:?}");
    story.must_ask(1, "thesis");
    story.confirm().expect("was shown now");
    assert!(!story.confirm_seen(&photos).expect("nothing is asked"));
    story.plan_holding(1, "thesis").expect("may go on");
}

#[test]
fn an_order_that_expired_while_it_waited_is_given_again_by_the_yes() {
    let mut story = Story::enrolled_itself();
    story.boots(1);
    story.must_ask(1, "photos");
    story.later(48 * 3600);
    assert!(matches!(
        story.serve().0,
        Decision::Disk(Reason::Expired(_))
    ));
    assert_eq!(story.machine().state, State::Installing, "goes on waiting");
    story.confirm().expect("it waits");
    assert_eq!(story.boots(2), 1);
    story.plan_holding(2, "photos").expect("may go on");
}

#[test]
fn a_plan_that_is_made_anew_before_anything_is_written_asks_anew() {
    let mut story = Story::enrolled_itself();
    story.boots(1);
    for number in [1, 2] {
        story.plan_holding(1, "").expect("nothing to ask about");
        let again = StepOutcome::Retry {
            attempt: 2,
            cause: "a disk came".to_owned(),
        };
        story
            .report(1, number, InstallStep::Plan, again)
            .expect("is taken");
        // The same question, the second time.
        story.must_ask(1, "photos");
    }
    assert!(story.confirm().expect("it waits"));
    story.plan_holding(1, "photos").expect("may go on");
}

#[test]
fn a_failure_while_it_waits_counts() {
    let mut story = Story::enrolled_itself();
    for agent in 1..=3 {
        assert_eq!(story.boots(agent), u32::from(agent));
        story.must_ask(agent, "photos");
        let causes = vec!["out of memory".to_owned()];
        story
            .report(agent, 1, InstallStep::Plan, StepOutcome::Failed { causes })
            .expect("is taken");
    }
    assert_eq!(story.machine().state, State::Failed);
    assert_eq!(story.machine().waiting(), None);
    assert_eq!(code(story.confirm()), RefusalCode::WrongState);
}

#[test]
fn an_order_given_by_hand_is_word_enough_and_a_blank_disk_needs_none() {
    let mut by_hand = Story::enrolled();
    by_hand.boots(1);
    by_hand.plan_holding(1, "photos").expect("was ordered");

    let mut blank = Story::enrolled_itself();
    blank.boots(1);
    blank.plan_holding(1, "").expect("nothing to ask about");
}

#[test]
fn the_disk_that_is_left_when_the_installed_one_died_is_not_what_was_ordered() {
    let mut story = Story::enrolled();
    story.boots(1);
    story.plan_holding(1, "").expect("was ordered");
    story.carries_out(1);
    let reimage = |story: &mut Story| {
        story
            .operate(|state, operator| admin::reimage(state, operator, "node1", None))
            .expect("is armed");
    };
    reimage(&mut story);
    story.boots(2);
    story
        .plan_holding(2, "photos")
        .expect("the disk it was installed on, whatever is on it");
    reimage(&mut story);
    story.boots(3);
    let left = story.plan_on("data", 3, "photos");
    assert_eq!(code(left), RefusalCode::ConfirmFirst);
    assert!(story.confirm().expect("it waits"));
    story.plan_on("data", 3, "photos").expect("may go on");
    reimage(&mut story);
    story.boots(4);
    story
        .plan_on("new", 4, "")
        .expect("a blank disk in its place");
}

#[test]
fn what_the_profile_says_holds_for_both() {
    let change = |story: &mut Story, wipe| {
        for profile in story.profiles.by_name.values_mut() {
            profile.wipe = Some(wipe);
        }
    };
    let mut story = Story::enrolled();
    change(&mut story, Wipe::Ask);
    story.boots(1);
    story.must_ask(1, "photos");
    change(&mut story, Wipe::Allow);
    story
        .plan_holding(1, "photos")
        .expect("the profile was changed");
    assert_eq!(story.machine().waiting(), None);
}

#[test]
fn a_new_order_needs_a_new_yes() {
    let mut story = Story::enrolled_itself();
    story.boots(1);
    story.must_ask(1, "photos");
    story.confirm().expect("it waits");
    story
        .operate(|state, operator| admin::reimage(state, operator, "node1", None))
        .expect("is armed");
    story.boots(2);
    story.must_ask(2, "photos");
}

#[test]
fn what_is_waited_for_survives_the_journal() {
    let disks = vec![DiskContents {
        disk: (&hardware().disks[0]).into(),
        holds: vec![signature("photos")],
    }];
    for what in [
        EventKind::Waits {
            waits: AttemptWait::Wipe {
                disks: disks.clone(),
            },
        },
        EventKind::Confirmed {
            disks,
            until: Timestamp::default(),
            by: "uid 0".to_owned(),
        },
    ] {
        let json = serde_json::to_string(&what).expect("writes");
        let read: EventKind = serde_json::from_str(&json).expect("reads");
        assert_eq!(read, what, "{json}");
    }
}
