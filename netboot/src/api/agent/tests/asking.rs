//! A requester that is not known to be the machine asks in its name: what it gets, and that no attempt is counted or
//! ended by it.

use super::*;

impl Story {
    /// Somebody reads the machine's boot script, in the way of its door: first it is seen, then served.
    fn somebody_asks(&mut self) -> (Decision, Option<Ticket>) {
        let (identity, facts) = (RequesterIdentity::Unverified, Facts::default());
        let decided = observe(
            &self.state,
            mac(0x56),
            &facts,
            &policy(),
            self.now,
            identity,
            9,
        );
        self.take(decided).expect("answers");
        let fresh = self.ticket();
        let decided = serve(&self.state, mac(0x56), &policy(), self.now, identity, fresh);
        self.take(decided).expect("answers")
    }
}

#[test]
fn somebody_who_asks_in_a_machines_name_uses_up_none_of_its_attempts() {
    let mut story = Story::enrolled();
    for _ in 0..10 {
        story.later(600);
        assert_eq!(story.somebody_asks().0, Decision::Install);
    }
    let (_, ticket) = story.serve();
    assert_eq!(story.somebody_asks().1, ticket, "the ticket that there is");
    for _ in 0..10 {
        story.later(600);
        assert_eq!(story.somebody_asks(), (Decision::Install, ticket.clone()));
    }
    let attempt = story.machine().attempt.as_ref().expect("is armed");
    assert_eq!(attempt.number, 1);
    story
        .claim(&ticket.expect("a ticket"), 1)
        .expect("it is the machine's all the same");
}

#[test]
fn somebody_who_asks_in_a_machines_name_ends_no_install_that_runs() {
    for last in 1..=policy().attempts {
        let mut story = Story::enrolled();
        for agent in 1..=last {
            let (_, ticket) = story.serve();
            let agent = u8::try_from(agent).expect("few");
            story
                .claim(&ticket.expect("a ticket"), agent)
                .expect("is claimed");
            story.later(600);
        }
        let seq = story.state.seq;
        let _ = story.somebody_asks();
        assert_eq!(story.state.seq, seq, "during attempt {last}");
        let agent = u8::try_from(last).expect("few");
        story.plan(agent).expect("the install goes on");
        assert_eq!(story.machine().state, State::Installing);
    }
}

#[test]
fn a_machine_that_only_somebody_asks_for_still_comes_to_an_end_of_its_attempts() {
    let mut story = Story::enrolled();
    for agent in 1..=3 {
        let (decision, ticket) = story.serve();
        assert_eq!(decision, Decision::Install, "boot {agent}");
        story
            .claim(&ticket.expect("a ticket"), agent)
            .expect("is claimed");
        story.later(600);
        let _ = story.somebody_asks();
    }
    assert_eq!(story.serve().0, Decision::Disk(Reason::AttemptsUsed(3)));
    assert_eq!(story.machine().state, State::Failed);
}
