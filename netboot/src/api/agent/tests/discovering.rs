//! A stranger is asked what it is, once, and comes to its own disk.

use super::*;
use crate::api::admin::preview;
use crate::machine::Discovery;

fn policy() -> Policy {
    Policy {
        unknown: UnknownPolicy::Discover,
        attempts: 3,
    }
}

impl Story {
    fn stranger() -> Self {
        let mut story = Self::new();
        story.publish("one");
        let facts = Facts::default();
        let decided = observe(
            &story.state,
            mac(0x56),
            &facts,
            &policy(),
            story.now,
            RequesterIdentity::Verified,
            9,
        );
        story.take(decided).expect("is seen");
        story
    }

    fn asks(&mut self) -> Decision {
        let fresh = self.ticket();
        let decided = serve(
            &self.state,
            mac(0x56),
            &policy(),
            self.now,
            RequesterIdentity::Verified,
            fresh,
        );
        let (decision, ticket) = self.take(decided).expect("answers");
        assert_eq!(ticket, None, "a stranger holds no ticket");
        decision
    }

    fn tells(&mut self, hardware: &Hardware) -> Result<(), Refusal> {
        let decided = discovered(&self.state, mac(0x56), hardware, &policy(), self.now, FROM);
        self.take(decided)
    }

    fn image(&self) -> Decision {
        decide_image(self.state.by_mac(mac(0x56)), &policy(), self.now)
    }
}

#[test]
fn a_stranger_tells_once_and_is_left_to_its_disk() {
    let mut story = Story::stranger();
    assert_eq!(story.asks(), Decision::Discover);
    story.later(10);
    assert_eq!(story.asks(), Decision::Discover, "the same boot");
    let tries = |story: &Story| story.machine().discovery.as_ref().map(|d| d.tries);
    assert_eq!(tries(&story), Some(1));
    story.later(3600);
    assert_eq!(story.image(), Decision::Discover, "however slow the line");
    story.tells(&hardware()).expect("is taken");
    let seq = story.state.seq;
    story.tells(&hardware()).expect("a repeat is fine");
    assert_eq!(story.state.seq, seq, "and no news");
    let mut other = hardware();
    other.memory = 1;
    assert_eq!(code(story.tells(&other)), RefusalCode::WrongState);
    let machine = story.machine();
    assert_eq!(machine.state, State::Seen);
    assert_eq!(machine.hardware, Some(hardware()));
    let left = Decision::Disk(Reason::Discovered);
    assert_eq!((story.asks(), story.image()), (left.clone(), left));
}

#[test]
fn a_stranger_that_never_tells_is_left_to_its_disk_too() {
    let mut story = Story::stranger();
    for tries in 1..=3 {
        story.later(600);
        assert_eq!(story.asks(), Decision::Discover);
        let Some(Discovery { tries: got, .. }) = story.machine().discovery else {
            panic!("it was asked");
        };
        assert_eq!(got, tries);
    }
    story.later(600);
    assert_eq!(story.asks(), Decision::Disk(Reason::Undiscovered(3)));
}

#[test]
fn only_a_stranger_that_was_asked_is_listened_to() {
    let told = |story: &mut Story| code(story.tells(&hardware()));
    assert_eq!(
        told(&mut Story::new()),
        RefusalCode::WrongState,
        "never seen"
    );
    assert_eq!(
        told(&mut Story::stranger()),
        RefusalCode::WrongState,
        "not asked"
    );
    let mut enrolled = Story::stranger();
    assert_eq!(enrolled.asks(), Decision::Discover);
    let request = EnrollRequest {
        mac: mac(0x56),
        profile: Some("worker".parse().expect("a name")),
        name: None,
    };
    enrolled.enroll(&request).expect("is enrolled");
    assert_eq!(
        told(&mut enrolled),
        RefusalCode::WrongState,
        "enrolled since"
    );

    let mut story = Story::stranger();
    assert_eq!(story.asks(), Decision::Discover);
    let decided = discovered(
        &story.state,
        mac(0x56),
        &hardware(),
        &super::policy(),
        story.now,
        FROM,
    );
    let answer = story.take(decided);
    assert_eq!(
        code(answer),
        RefusalCode::WrongState,
        "nobody wants to know any more"
    );

    for (name, text) in [
        ("a terminal's orders", "\u{1b}[2J".to_owned()),
        ("more than a machine has", "x".repeat(1 << 20)),
    ] {
        let mut odd = hardware();
        odd.disks[0].model = text;
        assert_eq!(code(story.tells(&odd)), RefusalCode::TooLarge, "{name}");
        assert_eq!(story.machine().hardware, None, "{name}");
    }
}

#[test]
fn the_plan_of_a_stranger_is_shown_before_anybody_enrolls_it() {
    let mut story = Story::stranger();
    let profiles = story.profiles.clone();
    let cache = cache();
    let inputs = PlanInputs {
        profiles: &profiles,
        cache: &cache,
        k3s_server: Some("https://10.77.0.10:6443"),
    };
    let worker = "worker".parse().expect("a name");
    let gone = "gone".parse().expect("a name");
    let show = |story: &Story, profile| preview(&story.state, story.machine(), profile, &inputs);
    assert_eq!(code(show(&story, Some(&worker))), RefusalCode::WrongState);
    assert_eq!(story.asks(), Decision::Discover);
    story.tells(&hardware()).expect("is taken");
    let seq = story.state.seq;

    let plan = show(&story, Some(&worker)).expect("a plan").plan;
    assert_eq!(plan.disks[0].disk.serial, "root");
    assert_eq!(plan.host_name.as_str(), "worker-123456");
    let refusal = show(&story, None).expect_err("no profile is for it");
    assert_eq!(
        refusal.tips,
        ["pxe-admin plan 52:54:00:12:34:56 --profile NAME"]
    );
    assert_eq!(code(show(&story, Some(&gone))), RefusalCode::UnknownProfile);
    assert_eq!((story.state.seq, story.machine().state), (seq, State::Seen));

    // What is shown is what it gets.
    let request = EnrollRequest {
        mac: mac(0x56),
        profile: Some(worker.clone()),
        name: None,
    };
    story.enroll(&request).expect("is enrolled");
    assert_eq!(show(&story, None).expect("a plan").plan, plan);
}

#[test]
fn somebody_who_asks_in_a_strangers_name_uses_up_none_of_its_boots() {
    let mut story = Story::stranger();
    for _ in 0..10 {
        story.later(600);
        let fresh = story.ticket();
        let decided = serve(
            &story.state,
            mac(0x56),
            &policy(),
            story.now,
            RequesterIdentity::Unverified,
            fresh,
        );
        assert_eq!(decided.events, []);
        assert_eq!(story.take(decided).expect("answers").0, Decision::Discover);
    }
    assert_eq!(story.asks(), Decision::Discover, "its own first boot");
}
