//! One install from stranger to joined, and everything that may go wrong on the way.

mod asking;
mod bounds;
mod discovering;
mod encrypted;
mod leaving;
mod waiting;

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::api::admin::{self, CommandTarget, Operator};
use crate::api::types::{BootRequest, EnrollRequest};
use crate::base::release::FlakeSource;
use crate::base::release::Release;
use crate::base::store_path::StorePath;
use crate::base::token::Ticket;
use crate::dhcp::request::Facts;
use crate::disk::hardware::{Disk, Firmware, Hardware};
use crate::install::plan::{Plan, Substituter};
use crate::machine::decide::{Decision, Reason, UnknownPolicy, decide_image};
use crate::machine::event::Event;
use crate::profile::{Profiles, Role};
use crate::test_support::{self, GIB, disk, mac};

pub(crate) const PROFILE: &str = "system = \"x86_64-linux\"\n[disk]\nlayout = \"ext4\"\n\
     select = { smallest = true }\n[k3s]\nrole = \"agent\"\n";
const FROM: &str = "10.77.0.50";

/// A world, a clock and a dice, and the calls as the appliance makes them.
pub(crate) struct Story {
    pub(crate) state: ApplianceState,
    pub(crate) now: Timestamp,
    pub(crate) profiles: Profiles,
    dice: u8,
    /// What the node says of its firmware.
    boot_order: Vec<crate::loader::uefi::boot_order::BootEntry>,
}

pub(crate) fn toplevel(name: &str) -> StorePath {
    format!("/nix/store/0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq-{name}")
        .parse()
        .expect("a path")
}

pub(crate) fn policy() -> Policy {
    Policy {
        unknown: UnknownPolicy::Ignore,
        attempts: 3,
    }
}

fn digest(last: u8) -> Digest {
    Digest::new([last; 32])
}

fn cache() -> Substituter {
    Substituter {
        url: "http://10.77.0.1:8080/cache".to_owned(),
        public_key: "k:AA==".to_owned(),
    }
}

pub(crate) fn hardware() -> Hardware {
    let root = Disk {
        serial: "root".to_owned(),
        ..disk("vda", 8 * GIB)
    };
    Hardware {
        uuid: "u-1".to_owned(),
        ..test_support::hardware(Firmware::Uefi, vec![root])
    }
}

impl Story {
    pub(crate) fn new() -> Self {
        let file = |name: &str| (format!("hosts/profiles/{name}.toml"), PROFILE.to_owned());
        let profiles = Profiles::read(&[file("worker"), file("db")]).expect("reads");
        Self {
            state: ApplianceState::default(),
            now: Timestamp::from_millis(1_000_000),
            profiles,
            dice: 0,
            boot_order: Vec::new(),
        }
    }

    /// Writes down what a verdict drafted, as the store does.
    pub(crate) fn take<T>(&mut self, decided: Decided<T>) -> Result<T, Refusal> {
        for NewEvent { machine, what } in decided.events {
            let event = Event {
                seq: self.state.seq + 1,
                at: self.now,
                machine,
                what,
            };
            self.state.apply(&event);
        }
        decided.answer
    }

    pub(crate) fn later(&mut self, seconds: u64) {
        self.now = self.now.plus(Duration::from_secs(seconds));
    }

    pub(crate) fn ticket(&mut self) -> Ticket {
        self.dice += 1;
        Ticket::new([self.dice; 16])
    }

    pub(crate) fn machine(&self) -> &Machine {
        self.state.by_mac(mac(0x56)).expect("is known")
    }

    pub(crate) fn enroll(&mut self, request: &EnrollRequest) -> Result<CommandTarget, Refusal> {
        let ticket = self.ticket();
        let profiles = self.profiles.clone();
        let armed_for = Duration::from_secs(24 * 3600);
        let operator = Operator {
            profiles: &profiles,
            armed_for,
            now: self.now,
            ticket,
            by: "uid 0",
        };
        let decided = admin::enroll(&self.state, &operator, request);
        self.take(decided)
    }

    pub(crate) fn operate(
        &mut self,
        command: impl FnOnce(&ApplianceState, &Operator<'_>) -> Decided<CommandTarget>,
    ) -> Result<CommandTarget, Refusal> {
        let ticket = self.ticket();
        let profiles = self.profiles.clone();
        let armed_for = Duration::from_secs(24 * 3600);
        let operator = Operator {
            profiles: &profiles,
            armed_for,
            now: self.now,
            ticket,
            by: "uid 0",
        };
        let decided = command(&self.state, &operator);
        self.take(decided)
    }

    pub(crate) fn publish(&mut self, name: &str) -> Release {
        let built = admin::BuiltSystem {
            system: "worker".parse().expect("a name"),
            toplevel: toplevel(name),
            closure_size: 1 << 20,
            label: "25.05".to_owned(),
            script: None,
            source: FlakeSource::default(),
        };
        let decided = admin::release(&self.state, built, self.now);
        self.take(decided).expect("is released")
    }

    pub(crate) fn serve(&mut self) -> (Decision, Option<Ticket>) {
        let fresh = self.ticket();
        let decided = serve(
            &self.state,
            mac(0x56),
            &policy(),
            self.now,
            RequesterIdentity::Verified,
            fresh,
        );
        self.take(decided).expect("answers")
    }

    pub(crate) fn claim(&mut self, ticket: &Ticket, agent: u8) -> Result<ClaimAnswer, Refusal> {
        let request = ClaimRequest {
            ticket: ticket.clone(),
            session: String::new(),
            recipient: format!("age1{agent}"),
        };
        let decided = claim(
            &self.state,
            &request,
            &digest(agent),
            &policy(),
            self.now,
            FROM,
        );
        self.take(decided)
    }

    pub(crate) fn plan(&mut self, agent: u8) -> Result<Plan, Refusal> {
        self.plan_for(agent, &hardware())
    }

    fn plan_for(&mut self, agent: u8, hardware: &Hardware) -> Result<Plan, Refusal> {
        let (profiles, cache) = (self.profiles.clone(), cache());
        let inputs = PlanInputs {
            profiles: &profiles,
            cache: &cache,
            k3s_server: Some("https://10.77.0.10:6443"),
        };
        let decided = plan(
            &self.state,
            &digest(agent),
            hardware,
            &inputs,
            self.now,
            FROM,
        );
        self.take(decided)
    }

    fn report(
        &mut self,
        agent: u8,
        number: u64,
        step: InstallStep,
        outcome: StepOutcome,
    ) -> Result<Mac, Refusal> {
        let said = Report {
            number,
            step,
            outcome,
        };
        let decided = report(
            &self.state,
            &digest(agent),
            &said,
            &policy(),
            self.now,
            FROM,
        );
        self.take(decided)
    }

    fn secrets(&mut self, agent: u8) -> Result<ToSeal, Refusal> {
        let decided = secrets(&self.state, &digest(agent), self.now, FROM);
        self.take(decided)
    }

    fn sealed(&mut self, agent: u8, ciphertext: &str) -> Result<String, Refusal> {
        let decided = sealed(
            &self.state,
            &digest(agent),
            ciphertext.to_owned(),
            digest(agent + 100),
            self.now,
            FROM,
        );
        self.take(decided)
    }

    fn received(&mut self, agent: u8) -> Result<(), Refusal> {
        let decided = received(&self.state, &digest(agent), self.now, FROM);
        self.take(decided)
    }

    fn installed(&mut self, agent: u8) -> Result<(), Refusal> {
        let request = InstalledRequest {
            generation: 1,
            store_path: toplevel("one"),
            label: "25.05".to_owned(),
            ssh_host_key: "ssh-ed25519 AAAA".to_owned(),
        };
        let decided = installed(&self.state, &digest(agent), &request, self.now, FROM);
        self.take(decided)
    }

    pub(crate) fn booted(&mut self, agent: u8, boot_id: &str) -> Result<(), Refusal> {
        let request = BootRequest {
            name: "node1".parse().expect("a name"),
            generation: 1,
            store_path: toplevel("one"),
            label: "25.05".to_owned(),
            kernel: "6.1".to_owned(),
            boot_id: boot_id.to_owned(),
            boot_order: self.boot_order.clone(),
        };
        let decided = booted(&self.state, &digest(agent + 100), &request, self.now, FROM);
        self.take(decided)
    }

    /// Enrolled as node1, with a release to install.
    pub(crate) fn enrolled() -> Self {
        let mut story = Self::new();
        story.publish("one");
        let request = EnrollRequest {
            mac: mac(0x56),
            profile: Some("worker".parse().expect("a name")),
            name: Some("node1".parse().expect("a name")),
        };
        story.enroll(&request).expect("is enrolled");
        story
    }

    /// From the boot script to the first write.
    pub(crate) fn begin(&mut self, agent: u8) {
        let (decision, ticket) = self.serve();
        assert_eq!(decision, Decision::Install);
        self.claim(&ticket.expect("a ticket"), agent)
            .expect("is claimed");
        self.plan(agent).expect("is planned");
        self.report(agent, 1, InstallStep::TearDown, StepOutcome::Started)
            .expect("is taken");
    }

    /// From the boot script to the step `configure`.
    fn up_to_configure(&mut self, agent: u8) {
        let (decision, ticket) = self.serve();
        assert_eq!(decision, Decision::Install);
        self.claim(&ticket.expect("a ticket"), agent)
            .expect("is claimed");
        self.plan(agent).expect("is planned");
        self.report(agent, 1, InstallStep::Copy, StepOutcome::Done)
            .expect("is taken");
        self.report(agent, 2, InstallStep::Configure, StepOutcome::Started)
            .expect("is taken");
    }

    /// A whole install.
    pub(crate) fn install(&mut self, agent: u8) {
        self.up_to_configure(agent);
        self.secrets(agent).expect("are due");
        self.sealed(agent, "sealed").expect("are kept");
        self.received(agent).expect("is taken");
        self.report(agent, 3, InstallStep::Unmount, StepOutcome::Done)
            .expect("is taken");
        self.installed(agent).expect("is taken");
    }
}

#[track_caller]
fn code<T: std::fmt::Debug>(answer: Result<T, Refusal>) -> RefusalCode {
    answer.expect_err("is refused").code
}

fn on_record(story: &mut Story, call: impl FnOnce(&ApplianceState) -> Decided<()>) -> bool {
    call(&story.state)
        .events
        .iter()
        .any(|d| matches!(d.what, EventKind::Refused { .. }))
}

#[test]
fn a_stranger_becomes_a_joined_node_by_evidence_alone() {
    let mut story = Story::new();
    let facts = Facts {
        uuid: Some("u-1".to_owned()),
        ..Facts::default()
    };
    let decided = observe(
        &story.state,
        mac(0x56),
        &facts,
        &policy(),
        story.now,
        RequesterIdentity::Verified,
        9,
    );
    story.take(decided).expect("answers");
    assert_eq!(story.machine().state, State::Seen);
    assert_eq!(story.serve().0, Decision::Silence(Reason::Unknown));

    let mut story = Story::enrolled();
    story.install(1);
    assert_eq!(story.machine().state, State::Installed);
    assert!(story.machine().armed.is_none(), "installed disarms");
    let decided = joined(&story.state, mac(0x56), "b1");
    story.take(decided).expect("answers");
    assert_eq!(
        story.machine().state,
        State::Installed,
        "Ready before it runs is the node it was before"
    );
    story.booted(1, "b1").expect("is taken");
    assert_eq!(story.machine().state, State::Running);
    let awaited: Vec<_> = awaited(&story.state, &story.profiles)
        .map(Machine::title)
        .collect();
    assert_eq!(awaited, ["node1"]);
    for (what, boot_id, want) in [
        ("the boot before, still called Ready", "b0", State::Running),
        ("a node that does not say its boot", "", State::Running),
        ("the boot that reported", "b1", State::Joined),
    ] {
        let decided = joined(&story.state, mac(0x56), boot_id);
        story.take(decided).expect("answers");
        assert_eq!(story.machine().state, want, "{what}");
    }
    assert!(matches!(story.serve().0, Decision::Disk(_)));
    let generation = &story.machine().generations[0];
    assert_eq!(
        (generation.origin, generation.release),
        (GenerationOrigin::Install, Some(1))
    );
    assert!(generation.booted.is_some());
}

#[test]
fn a_reimaged_machine_keeps_both_installs_and_ignores_its_old_system() {
    let mut story = Story::enrolled();
    story.install(1);
    story.booted(1, "b1").expect("is taken");
    story
        .operate(|state, operator| admin::reimage(state, operator, "node1", None))
        .expect("is armed");
    assert_eq!(story.machine().state, State::Enrolled);
    story
        .booted(1, "b2")
        .expect("the old system may still speak");
    assert_eq!(
        story.machine().state,
        State::Enrolled,
        "but it does not disarm"
    );
    story.install(2);
    assert_eq!(
        code(story.booted(1, "b3")),
        RefusalCode::Unauthorized,
        "its key went with its disk"
    );
    story.booted(2, "b4").expect("is taken");
    assert_eq!(story.machine().generations.len(), 2);
    assert_eq!(story.machine().state, State::Running);
}

#[test]
fn a_boot_order_is_told_when_it_changes() {
    use crate::loader::uefi::boot_order::{BootEntry, BootSource, misorder};

    let entry = |number, source| BootEntry {
        number,
        title: "x\u{1b}y".to_owned(),
        source,
    };
    let (network, disk) = (entry(1, BootSource::Network), entry(2, BootSource::Disk));
    let mut story = Story::enrolled();
    story.install(1);
    for (boot_id, order, news) in [
        ("b1", vec![], 1),
        ("b2", vec![network.clone(), disk.clone()], 2),
        ("b2", vec![network.clone(), disk.clone()], 0),
        ("b3", vec![network.clone(), disk.clone()], 1),
        ("b3", vec![disk, network], 1),
        ("b4", vec![], 1),
    ] {
        let seq = story.state.seq;
        story.boot_order = order;
        story.booted(1, boot_id).expect("is taken");
        assert_eq!(story.state.seq - seq, news, "{boot_id}");
    }
    let known = &story.machine().boot_order;
    assert!(
        misorder(known).is_some(),
        "what was seen last holds: {known:?}"
    );
    assert_eq!(known[0].title, "xy");
}

#[test]
fn a_ticket_is_good_for_one_claim() {
    let mut story = Story::enrolled();
    let ticket = story.serve().1.expect("a ticket");
    story.claim(&ticket, 1).expect("the first holds");
    let seq = story.state.seq;
    story.claim(&ticket, 1).expect("a repeat is the same claim");
    assert_eq!(story.state.seq, seq, "and writes nothing down");
    assert_eq!(code(story.claim(&ticket, 2)), RefusalCode::TicketUsed);
    assert_eq!(story.state.seq, seq + 1, "is on record");
    assert_eq!(
        code(story.claim(&Ticket::new([9; 16]), 1)),
        RefusalCode::UnknownInstall
    );
    story.plan(1).expect("the first goes on");
    assert_eq!(code(story.plan(2)), RefusalCode::Unauthorized);
}

#[test]
fn nothing_is_handed_out_once_the_order_expired() {
    let mut story = Story::enrolled();
    let ticket = story.serve().1.expect("a ticket");
    story.later(25 * 3600);
    assert_eq!(code(story.claim(&ticket, 1)), RefusalCode::WrongState);
    assert!(matches!(
        story.serve(),
        (Decision::Disk(Reason::Expired(_)), None)
    ));
}

#[test]
fn secrets_come_at_their_step_to_their_claim_and_once() {
    let mut story = Story::enrolled();
    let ticket = story.serve().1.expect("a ticket");
    story.claim(&ticket, 1).expect("is claimed");
    assert_eq!(
        code(story.secrets(1)),
        RefusalCode::TooEarly,
        "before the plan"
    );
    story.plan(1).expect("is planned");
    assert_eq!(
        code(story.secrets(1)),
        RefusalCode::TooEarly,
        "before the step"
    );
    assert_eq!(code(story.received(1)), RefusalCode::TooEarly);
    assert_eq!(
        code(story.sealed(1, "x")),
        RefusalCode::TooEarly,
        "the second half asks again"
    );
    story
        .report(1, 1, InstallStep::Configure, StepOutcome::Started)
        .expect("is taken");
    assert_eq!(
        code(story.secrets(2)),
        RefusalCode::Unauthorized,
        "another machine"
    );
    let due = story.secrets(1).expect("are due");
    let ToSeal::Fresh {
        recipient, role, ..
    } = due
    else {
        panic!("{due:?}")
    };
    assert_eq!(
        (recipient.as_str(), role),
        ("age11", Some(Role::Agent)),
        "to the key of the claim"
    );
    assert_eq!(story.sealed(1, "first").expect("is kept"), "first");
    assert_eq!(
        story.sealed(1, "second").expect("answers"),
        "first",
        "a race keeps one"
    );
    assert_eq!(
        story.secrets(1).expect("a retry"),
        ToSeal::Again("first".to_owned())
    );
    story.received(1).expect("is taken");
    story.received(1).expect("a repeat is harmless");
    assert_eq!(code(story.secrets(1)), RefusalCode::AlreadyReceived);
    assert!(on_record(&mut story, |state| {
        let Decided { events, .. } = secrets(state, &digest(1), Timestamp::default(), FROM);
        Decided {
            answer: Ok(()),
            events,
        }
    }));
}

#[test]
fn a_boot_that_ends_without_evidence_counts_and_the_third_is_the_last() {
    let mut story = Story::enrolled();
    for attempt in 1..=3 {
        let (decision, ticket) = story.serve();
        assert_eq!(decision, Decision::Install, "attempt {attempt}");
        let ticket = ticket.expect("a ticket");
        assert_eq!(
            story.serve().1.as_ref(),
            Some(&ticket),
            "the same boot asks twice"
        );
        let answer = story.claim(&ticket, attempt).expect("is claimed");
        assert_eq!((answer.attempt, answer.attempts), (u32::from(attempt), 3));
        story.later(5);
    }
    assert_eq!(
        story.serve(),
        (Decision::Disk(Reason::AttemptsUsed(3)), None)
    );
    assert_eq!(story.machine().state, State::Failed);
    assert_eq!(
        story.machine().failure,
        ["all 3 install attempts ended without evidence"]
    );
}

#[test]
fn a_slow_line_still_gets_the_image_that_its_script_named() {
    let mut story = Story::enrolled();
    for _ in 1..=3 {
        let _ = story.serve();
        story.later(600);
    }
    let last = decide_image(Some(story.machine()), &policy(), story.now);
    assert_eq!(last, Decision::Install);
    let _ = story.serve();
    let over = decide_image(Some(story.machine()), &policy(), story.now);
    assert!(matches!(over, Decision::Disk(_)), "{over:?}");
}

#[test]
fn a_machine_that_never_claims_is_given_up_too_at_the_first_door_it_knocks_on() {
    let mut story = Story::enrolled();
    for _ in 1..=3 {
        assert_eq!(story.serve().0, Decision::Install);
        story.later(61);
    }
    let decided = observe(
        &story.state,
        mac(0x56),
        &Facts::default(),
        &policy(),
        story.now,
        RequesterIdentity::Verified,
        9,
    );
    story.take(decided).expect("answers");
    assert_eq!(story.machine().state, State::Failed);
}

#[test]
fn the_last_attempt_that_fails_says_why() {
    let mut story = Story::enrolled();
    for attempt in 1..=3 {
        let ticket = story.serve().1.expect("a ticket");
        story.claim(&ticket, attempt).expect("is claimed");
        let causes = vec!["no disk matches".to_owned(), "vda is too small".to_owned()];
        story
            .report(
                attempt,
                1,
                InstallStep::Plan,
                StepOutcome::Failed { causes },
            )
            .expect("is taken");
        let over = story.report(attempt, 2, InstallStep::Copy, StepOutcome::Started);
        assert_eq!(code(over), RefusalCode::InstallSuperseded);
    }
    assert_eq!(story.machine().state, State::Failed);
    assert_eq!(
        story.machine().failure,
        [
            "attempt 3 of 3 failed",
            "no disk matches",
            "vda is too small"
        ]
    );
    let request = EnrollRequest {
        mac: mac(0x56),
        profile: None,
        name: None,
    };
    story.enroll(&request).expect("its profile is known");
    story
        .operate(|state, operator| admin::reimage(state, operator, "node1", None))
        .expect("is armed");
    assert_eq!(
        story.serve().0,
        Decision::Install,
        "an operator moves it back"
    );
}

#[test]
fn reports_repeat_without_harm_and_progress_is_not_written_down() {
    let mut story = Story::enrolled();
    story.up_to_configure(1);
    let seq = story.state.seq;
    story
        .report(1, 1, InstallStep::Copy, StepOutcome::Done)
        .expect("a repeat");
    story
        .report(
            1,
            9,
            InstallStep::Copy,
            StepOutcome::Progress { done: 1, total: 2 },
        )
        .expect("progress");
    assert_eq!(story.state.seq, seq);
    assert_eq!(
        code(story.report(2, 1, InstallStep::Copy, StepOutcome::Done)),
        RefusalCode::Unauthorized
    );
}

#[test]
fn installed_needs_the_last_step_the_planned_system_and_repeats_well() {
    let mut story = Story::enrolled();
    story.up_to_configure(1);
    assert_eq!(code(story.installed(1)), RefusalCode::TooEarly);
    story.sealed(1, "sealed").expect("are kept");
    story.received(1).expect("is taken");
    story
        .report(1, 3, InstallStep::Unmount, StepOutcome::Done)
        .expect("is taken");
    story.installed(1).expect("is taken");
    let seq = story.state.seq;
    story
        .installed(1)
        .expect("a lost answer must not turn it into a failure");
    assert_eq!(story.state.seq, seq);
    assert_eq!(code(story.installed(2)), RefusalCode::Unauthorized);
}

#[test]
fn reimage_in_the_middle_of_an_install_stops_its_agent() {
    let mut story = Story::enrolled();
    story.up_to_configure(1);
    story
        .operate(|state, operator| admin::reimage(state, operator, "node1", None))
        .expect("is armed");
    assert_eq!(code(story.secrets(1)), RefusalCode::Unauthorized);
    assert_eq!(
        code(story.report(1, 9, InstallStep::Unmount, StepOutcome::Done)),
        RefusalCode::Unauthorized
    );
}

#[test]
fn without_a_release_the_plan_is_refused_and_the_hardware_kept() {
    let mut story = Story::enrolled();
    story.state.releases.clear();
    let ticket = story.serve().1.expect("a ticket");
    story.claim(&ticket, 1).expect("is claimed");
    assert_eq!(code(story.plan(1)), RefusalCode::PlanRefused);
    assert_eq!(story.machine().hardware.as_ref(), Some(&hardware()));
    assert_eq!(story.machine().facts.uuid.as_deref(), Some("u-1"));
}

#[test]
fn strangers_are_bounded_and_say_nothing_new_twice() {
    let mut story = Story::new();
    for last in 0..20 {
        let decided = observe(
            &story.state,
            mac(last),
            &Facts::default(),
            &policy(),
            story.now,
            RequesterIdentity::Verified,
            10,
        );
        story.take(decided).expect("answers");
    }
    assert_eq!(story.state.machines.len(), 10);
    let seq = story.state.seq;
    let decided = observe(
        &story.state,
        mac(1),
        &Facts::default(),
        &policy(),
        story.now,
        RequesterIdentity::Verified,
        10,
    );
    story.take(decided).expect("answers");
    assert_eq!(story.state.seq, seq);
}

proptest! {
    /// Whatever agents and firmware do in whatever order: a machine leaves `installed` and what comes
    /// after it only by the word of an operator.
    #[test]
    fn only_an_operator_moves_a_machine_back(calls in prop::collection::vec((0..8u8, 1..4u8), 1..60)) {
        let mut story = Story::enrolled();
        story.install(1);
        let mut ticket = Ticket::new([1; 16]);
        for (call, agent) in calls {
            let before = story.machine().state;
            match call {
                0 => ticket = story.serve().1.unwrap_or(ticket),
                1 => drop(story.claim(&ticket, agent)),
                2 => drop(story.plan(agent)),
                3 => drop(story.report(agent, 99, InstallStep::Copy, StepOutcome::Failed { causes: Vec::new() })),
                4 => drop(story.sealed(agent, "x")),
                5 => drop(story.installed(agent)),
                6 => drop(story.booted(agent, "b")),
                _ => { let decided = joined(&story.state, mac(0x56), "b"); let _ = story.take(decided); }
            }
            let order = [State::Installed, State::Running, State::Joined];
            let place = |state| order.iter().position(|s| *s == state);
            let (was, is) = (place(before), place(story.machine().state));
            prop_assert!(is.is_some() && is >= was, "{before} became {}", story.machine().state);
        }
    }
}
