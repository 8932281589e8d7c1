//! Keys of encrypted disks: made at their step, kept with what they open, handed to machines in good standing.

use super::*;
use crate::machine::HandedKey;

const LUKS: &str = "system = \"x86_64-linux\"\n[disk]\nlayout = \"luks-ext4\"\n\
     select = { smallest = true }\n";

impl Story {
    fn encrypted() -> Self {
        let mut story = Self::enrolled();
        let file = |name: &str| (format!("hosts/profiles/{name}.toml"), LUKS.to_owned());
        story.profiles = Profiles::read(&[file("worker"), file("db")]).expect("reads");
        story
    }

    /// From the boot script to the step `format`.
    fn up_to_format(&mut self, agent: u8) {
        let ticket = self.serve().1.expect("a ticket");
        self.claim(&ticket, agent).expect("is claimed");
        self.plan(agent).expect("is planned");
        for (seq, step) in [(1, InstallStep::TearDown), (2, InstallStep::Format)] {
            self.report(agent, seq, step, StepOutcome::Started)
                .expect("is taken");
        }
    }

    fn disk_key(&mut self, agent: u8) -> Result<KeyToSeal, Refusal> {
        let decided = disk_key(&self.state, &digest(agent), self.now, FROM);
        self.take(decided)
    }

    /// Keeps a key called `kept-<agent>`, with the credential `agent + 50`.
    fn disk_key_made(&mut self, agent: u8) -> Result<String, Refusal> {
        let (kept, sealed) = (format!("kept-{agent}"), format!("sealed-{agent}"));
        let session = digest(agent);
        let decided = disk_key_made(
            &self.state,
            &session,
            kept,
            digest(agent + 50),
            sealed,
            self.now,
            FROM,
        );
        self.take(decided)
    }

    fn finish(&mut self, agent: u8) {
        self.report(agent, 3, InstallStep::Configure, StepOutcome::Started)
            .expect("is taken");
        self.secrets(agent).expect("are due");
        self.sealed(agent, "sealed").expect("are kept");
        self.received(agent).expect("is taken");
        self.report(agent, 4, InstallStep::Unmount, StepOutcome::Done)
            .expect("is taken");
        self.installed(agent).expect("is taken");
    }

    fn install_encrypted(&mut self, agent: u8) {
        self.up_to_format(agent);
        self.disk_key_made(agent).expect("is kept");
        self.finish(agent);
    }

    fn unlock(&mut self, credential: u8) -> Result<String, Refusal> {
        let decided = unlock(&self.state, &digest(credential), self.now, FROM);
        self.take(decided)
    }

    fn key(&mut self, who: &str) -> Result<String, Refusal> {
        let decided = admin::key(&self.state, "uid 7", who);
        self.take(decided).map(|(_, key)| key.kept)
    }

    fn reimage(&mut self) {
        self.operate(|state, operator| admin::reimage(state, operator, "node1", None))
            .expect("is armed");
    }
}

#[test]
fn a_key_is_made_once_an_attempt_in_the_step_that_formats() {
    let mut story = Story::encrypted();
    let ticket = story.serve().1.expect("a ticket");
    story.claim(&ticket, 1).expect("is claimed");
    assert_eq!(
        code(story.disk_key(1)),
        RefusalCode::WrongState,
        "without a plan"
    );
    story.plan(1).expect("is planned");
    assert_eq!(code(story.disk_key(1)), RefusalCode::TooEarly);
    story
        .report(1, 1, InstallStep::Format, StepOutcome::Started)
        .expect("is taken");
    let recipient = "age11".to_owned();
    assert_eq!(story.disk_key(1), Ok(KeyToSeal::Fresh { recipient }));
    assert_eq!(story.disk_key_made(1).as_deref(), Ok("sealed-1"));
    // Another call that was under way at the same time, and a retry.
    let decided = disk_key_made(
        &story.state,
        &digest(1),
        "kept-9".to_owned(),
        digest(9),
        "sealed-9".to_owned(),
        story.now,
        FROM,
    );
    assert_eq!(story.take(decided).as_deref(), Ok("sealed-1"));
    assert_eq!(
        story.disk_key(1),
        Ok(KeyToSeal::Again("sealed-1".to_owned()))
    );
    assert_eq!(code(story.disk_key(2)), RefusalCode::Unauthorized);
    story
        .report(1, 2, InstallStep::Mount, StepOutcome::Started)
        .expect("is taken");
    assert_eq!(code(story.disk_key(1)), RefusalCode::AlreadyReceived);
    let now = story.now;
    assert!(on_record(&mut story, |state| {
        let Decided { answer, events } = disk_key(state, &digest(1), now, FROM);
        let answer = answer.map(drop);
        Decided { answer, events }
    }));
}

#[test]
fn a_layout_without_encryption_gets_no_key() {
    let mut story = Story::enrolled();
    story.up_to_format(1);
    assert_eq!(code(story.disk_key(1)), RefusalCode::WrongState);
    let mut story = Story::encrypted();
    story.install_encrypted(1);
    story.profiles = Story::new().profiles;
    story.reimage();
    story.install(2);
    assert_eq!(story.machine().disk_key, None, "it opens nothing any more");
    assert_eq!(code(story.key("node1")), RefusalCode::WrongState);
}

#[test]
fn the_key_of_what_is_installed_stays_until_the_next_is() {
    let mut story = Story::encrypted();
    story.install_encrypted(1);
    assert_eq!(story.key("node1").as_deref(), Ok("kept-1"));
    story.reimage();
    story.up_to_format(2);
    assert_eq!(story.key("node1").as_deref(), Ok("kept-1"));
    story.disk_key_made(2).expect("is kept");
    assert_eq!(story.key("node1").as_deref(), Ok("kept-1"));
    story.finish(2);
    assert_eq!(story.key("node1").as_deref(), Ok("kept-2"));
    assert_eq!(code(story.unlock(51)), RefusalCode::Unauthorized);
}

#[test]
fn only_a_machine_in_good_standing_gets_its_key_and_each_time_is_on_record() {
    let mut story = Story::encrypted();
    story.up_to_format(1);
    story.disk_key_made(1).expect("is kept");
    assert_eq!(
        code(story.unlock(51)),
        RefusalCode::Unauthorized,
        "not installed"
    );
    story.finish(1);
    for state in [State::Installed, State::Running, State::Joined] {
        if state == State::Running {
            story.booted(1, "b1").expect("is taken");
        }
        if state == State::Joined {
            let decided = joined(&story.state, mac(0x56), "b1");
            story.take(decided).expect("is taken");
        }
        assert_eq!(story.machine().state, state);
        let decided = unlock(&story.state, &digest(51), story.now, FROM);
        let unlocked = EventKind::Unlocked {
            from: FROM.to_owned(),
        };
        assert_eq!(
            decided.events,
            [NewEvent::of(mac(0x56), unlocked)],
            "{state}"
        );
        assert_eq!(decided.answer.as_deref(), Ok("kept-1"), "{state}");
    }
    assert_eq!(code(story.unlock(52)), RefusalCode::Unauthorized);

    // Until something is written the disk is what it was.
    story.reimage();
    assert_eq!(story.unlock(51).as_deref(), Ok("kept-1"), "armed");
    story.later(25 * 3600);
    assert_eq!(story.unlock(51).as_deref(), Ok("kept-1"), "it ran out");
    story.reimage();
    story.up_to_format(2);
    let refused = code(story.unlock(51));
    assert_eq!(refused, RefusalCode::WrongState, "it is overwritten");
    let now = story.now;
    assert!(on_record(&mut story, |appliance_state| {
        let Decided { answer, events } = unlock(appliance_state, &digest(51), now, FROM);
        let answer = answer.map(drop);
        Decided { answer, events }
    }));
    story
        .operate(|appliance_state, operator| admin::forget(appliance_state, operator, "node1"))
        .expect("is forgotten");
    assert_eq!(code(story.unlock(51)), RefusalCode::Unauthorized);
}

#[test]
fn who_forgets_a_machine_can_still_read_its_disk() {
    let mut story = Story::encrypted();
    assert_eq!(code(story.key("node1")), RefusalCode::WrongState);
    assert_eq!(code(story.key("node7")), RefusalCode::UnknownHost);
    story.install_encrypted(1);
    let forget =
        |state: &ApplianceState, operator: &Operator<'_>| admin::forget(state, operator, "node1");
    story.operate(forget).expect("is forgotten");
    for who in ["node1", "52:54:00:12:34:56"] {
        let decided = admin::key(&story.state, "uid 7", who);
        let by = "uid 7".to_owned();
        assert_eq!(
            decided.events,
            [NewEvent::of(mac(0x56), EventKind::KeyShown { by })]
        );
        assert_eq!(
            decided.answer.map(|(_, key)| key.kept).as_deref(),
            Ok("kept-1"),
            "{who}"
        );
    }
    let request = EnrollRequest {
        mac: mac(0x56),
        profile: Some("worker".parse().expect("a name")),
        name: Some("node1".parse().expect("a name")),
    };
    story.enroll(&request).expect("is enrolled");
    assert_eq!(
        story.key("node1").as_deref(),
        Ok("kept-1"),
        "its disk is as it was"
    );
    story.install_encrypted(2);
    assert_eq!(story.key("node1").as_deref(), Ok("kept-2"));
    assert!(story.state.forgotten_keys.is_empty());
}

#[test]
fn no_event_has_a_place_for_a_key_in_the_clear() {
    let mut story = Story::encrypted();
    story.install_encrypted(1);
    let handed = story
        .machine()
        .attempt
        .as_ref()
        .and_then(|a| a.disk_key.clone());
    let HandedKey { key, sealed } = handed.expect("was handed out");
    assert_eq!((key.kept.as_str(), sealed.as_str()), ("kept-1", "sealed-1"));
    assert_eq!(key.credential, digest(51), "the hash of it");
    assert_eq!(story.machine().disk_key, Some(key));
}
