//! What operators may do, and the words they get when they may not.

use expect_test::{Expect, expect};

use super::*;
use crate::api::agent::tests::{Story, toplevel};
use crate::api::types::EnrollRequest;
use crate::machine::Machine;
use crate::test_support::{mac, refusal_text};

fn request(last: u8, profile: Option<&str>, name: Option<&str>) -> EnrollRequest {
    EnrollRequest {
        mac: mac(last),
        profile: profile.map(|p| p.parse().expect("a name")),
        name: name.map(|n| n.parse().expect("a name")),
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T, Refusal>, want: Expect) {
    let refusal = answer.expect_err("is refused");
    want.assert_eq(&refusal_text(&refusal));
}

#[test]
fn the_same_again_changes_nothing() {
    let mut story = Story::enrolled();
    let seq = story.state.seq;
    for again in [
        request(0x56, Some("worker"), Some("node1")),
        request(0x56, Some("worker"), None),
        request(0x56, None, None),
    ] {
        story.enroll(&again).expect("is a success");
    }
    story
        .operate(|state, operator| reimage(state, operator, "node1", None))
        .expect("is armed already");
    assert_eq!(story.state.seq, seq);
    story.install(1);
    let seq = story.state.seq;
    story
        .enroll(&request(0x56, Some("worker"), None))
        .expect("is a success");
    assert_eq!(
        story.state.seq, seq,
        "an installed machine is not armed by enrolling it again"
    );
}

#[test]
fn an_expired_order_is_renewed_by_enrolling_again() {
    let mut story = Story::enrolled();
    story.later(25 * 3600);
    let seq = story.state.seq;
    story
        .enroll(&request(0x56, Some("worker"), None))
        .expect("is enrolled");
    assert!(story.state.seq > seq && story.machine().is_armed(story.now));
    assert_eq!(story.machine().title(), "node1", "keeps its name");
}

#[test]
fn an_order_that_expired_in_the_middle_is_over_and_given_again_by_enrolling() {
    let again = request(0x56, Some("worker"), None);
    let observe = |story: &mut Story| {
        let facts = crate::dhcp::request::Facts::default();
        let policy = agent::tests::policy();
        let decided = agent::observe(
            &story.state,
            mac(0x56),
            &facts,
            &policy,
            story.now,
            agent::RequesterIdentity::Verified,
            9,
        );
        story.take(decided).expect("answers");
    };
    for (name, boots) in [("it booted again", true), ("it did not", false)] {
        let mut story = Story::enrolled();
        story.begin(1);
        story.later(25 * 3600);
        if boots {
            observe(&mut story);
            assert_eq!(story.machine().state, State::Failed, "{name}");
            let why = story.machine().failure.first().expect("a cause");
            assert!(why.starts_with("the order to install expired"), "{why}");
        }
        story.enroll(&again).expect("is enrolled");
        assert!(story.machine().is_armed(story.now), "{name}");
        assert_eq!(story.machine().state, State::Enrolled, "{name}");
    }
    let mut story = Story::enrolled();
    story.later(25 * 3600);
    observe(&mut story);
    assert_eq!(story.machine().state, State::Enrolled, "nothing was begun");
}

#[test]
fn another_profile_or_name_is_refused_and_says_how() {
    let mut story = Story::enrolled();
    refused(
        story.enroll(&request(0x56, Some("db"), None)),
        expect![[r#"
            52:54:00:12:34:56 is already enrolled with profile `worker`
              state: enrolled since 1970-01-01 00:16:40 UTC; enrolled 1970-01-01 00:16:40 UTC
              nothing was changed
              tip: to move it, run `pxe-admin forget node1 && pxe-admin enroll 52:54:00:12:34:56 --profile db --name node1`
              tip: to install it again as it is, run `pxe-admin reimage node1`
        "#]],
    );
    refused(
        story.enroll(&request(0x56, Some("worker"), Some("node2"))),
        expect![[r#"
            52:54:00:12:34:56 is already enrolled as `node1`
              state: enrolled since 1970-01-01 00:16:40 UTC; enrolled 1970-01-01 00:16:40 UTC
              nothing was changed
              tip: to move it, run `pxe-admin forget node1 && pxe-admin enroll 52:54:00:12:34:56 --profile worker --name node2`
              tip: to install it again as it is, run `pxe-admin reimage node1`
        "#]],
    );
    refused(
        story.enroll(&request(0x57, Some("worker"), Some("node1"))),
        expect![[r#"
            `node1` is the name of 52:54:00:12:34:56 already
              nothing was changed
              tip: give another with `--name NAME`
        "#]],
    );
}

#[test]
fn an_unknown_profile_is_refused_with_the_known_ones() {
    let mut story = Story::new();
    refused(
        story.enroll(&request(0x56, Some("workr"), None)),
        expect![[r#"
            no profile named `workr`
              known profiles: db, worker
              nothing was changed
              tip: did you mean `worker`?
        "#]],
    );
    refused(
        story.enroll(&request(0x56, None, None)),
        expect![[r#"
        no profile lists 52:54:00:12:34:56
          known profiles: db, worker
          nothing was changed
          tip: pxe-admin enroll 52:54:00:12:34:56 --profile NAME
    "#]],
    );
    story.profiles.by_name.clear();
    refused(
        story.enroll(&request(0x56, Some("zebra"), None)),
        expect![[r#"
            no profile named `zebra`
              there are no profiles in hosts-dir
              nothing was changed
        "#]],
    );
}

#[test]
fn a_machine_without_a_name_gets_one_from_its_profile_and_mac() {
    let mut story = Story::new();
    story
        .enroll(&request(0x56, Some("worker"), None))
        .expect("is enrolled");
    assert_eq!(story.machine().title(), "worker-123456");
}

#[test]
fn a_listed_machine_brings_its_name_and_cards() {
    let listed = format!(
        "{}[[machine]]\nname = \"box\"\nmac = [\"52:54:00:12:34:56\", \"52:54:00:12:34:57\"]\n",
        agent::tests::PROFILE
    );
    let mut story = Story::new();
    story.profiles =
        Profiles::read(&[("hosts/profiles/lab.toml".to_owned(), listed)]).expect("reads");
    let decided = agent::observe(
        &story.state,
        mac(0x57),
        &crate::dhcp::request::Facts::default(),
        &agent::tests::policy(),
        story.now,
        agent::RequesterIdentity::Verified,
        9,
    );
    story.take(decided).expect("answers");
    story
        .enroll(&request(0x56, None, None))
        .expect("is enrolled");
    assert_eq!(
        story.state.machines.len(),
        1,
        "its second card is no stranger any more"
    );
    assert_eq!(
        story
            .state
            .find("52-54-00-12-34-57")
            .map(Machine::title)
            .as_deref(),
        Ok("box")
    );
    refused(
        story.enroll(&request(0x57, None, Some("other"))),
        expect![[r#"
            52:54:00:12:34:57 is already enrolled as `box`
              state: enrolled since 1970-01-01 00:16:40 UTC; enrolled 1970-01-01 00:16:40 UTC
              nothing was changed
              tip: to move it, run `pxe-admin forget box && pxe-admin enroll 52:54:00:12:34:57 --profile lab --name other`
              tip: to install it again as it is, run `pxe-admin reimage box`
        "#]],
    );
}

#[test]
fn a_card_of_another_machine_is_not_taken_from_it() {
    let mut story = Story::enrolled();
    story.install(1);
    let slip = format!(
        "{}[[machine]]\nname = \"box\"\nmac = [\"52:54:00:12:34:57\", \"52:54:00:12:34:56\"]\n",
        agent::tests::PROFILE
    );
    story.profiles =
        Profiles::read(&[("hosts/profiles/lab.toml".to_owned(), slip)]).expect("reads");
    let seq = story.state.seq;
    refused(
        story.enroll(&request(0x57, None, None)),
        expect![[r#"
            52:54:00:12:34:56 is a card of `node1` already
              `node1` is installed since 1970-01-01 00:16:40 UTC
              nothing was changed
              tip: if it is listed by mistake: take it out of `mac` in hosts/profiles/lab.toml
              tip: if `node1` does not exist any more: pxe-admin forget node1 && pxe-admin enroll 52:54:00:12:34:57
        "#]],
    );
    assert_eq!(story.state.seq, seq);
    story
        .operate(|state, operator| forget(state, operator, "node1"))
        .expect("is forgotten");
    story
        .enroll(&request(0x57, None, None))
        .expect("nobody has the card now");
}

#[test]
fn the_plan_of_an_attempt_that_is_over_is_not_the_next_one() {
    let mut story = Story::enrolled();
    let select = |story: &mut Story, serial: &str| {
        for profile in story.profiles.by_name.values_mut() {
            profile.select[0].serial = Some(serial.to_owned());
        }
    };
    select(&mut story, "root");
    story.install(1);
    let mut machine = story.machine().clone();
    let hardware = machine.hardware.as_mut().expect("told");
    let mut second = hardware.disks[0].clone();
    "data".clone_into(&mut second.serial);
    "vdb".clone_into(&mut second.node);
    hardware.disks.push(second);
    select(&mut story, "data");
    let shown = |machine: &Machine| {
        let cache = crate::install::plan::Substituter {
            url: "http://10.77.0.1:8080/cache".to_owned(),
            public_key: "k:AA==".to_owned(),
        };
        let inputs = agent::PlanInputs {
            profiles: &story.profiles,
            cache: &cache,
            k3s_server: Some("https://10.77.0.10:6443"),
        };
        let preview = preview(&story.state, machine, None, &inputs).expect("a plan");
        preview.plan.disks[0].disk.serial.clone()
    };
    for (name, state, failed, want) in [
        ("an attempt that runs", State::Installing, false, "root"),
        ("one that failed", State::Installing, true, "data"),
        ("installed", State::Installed, false, "data"),
        ("given up", State::Failed, false, "data"),
    ] {
        let mut machine = machine.clone();
        machine.state = state;
        if failed {
            let attempt = machine.attempt.as_mut().expect("one");
            attempt.progress.outcome =
                Some(crate::install::report::StepOutcome::Failed { causes: vec![] });
        }
        assert_eq!(shown(&machine), want, "{name}");
    }
}

#[test]
fn reimage_and_forget_need_a_machine_that_is_there() {
    let mut story = Story::enrolled();
    let answer = story.operate(|state, operator| reimage(state, operator, "node2", None));
    refused(
        answer,
        expect![[r#"
        no machine is called `node2`
          known machines: node1
          tip: did you mean `node1`?
    "#]],
    );
    let answer = story.operate(|state, operator| reimage(state, operator, "node1", Some(7)));
    refused(
        answer,
        expect![[r#"
        system `worker` has no release 7
          its releases: 1
          nothing was changed
          tip: pxe-admin releases
    "#]],
    );
    story
        .operate(|state, operator| forget(state, operator, "node1"))
        .expect("is forgotten");
    let answer = story.operate(|state, operator| forget(state, operator, "node1"));
    refused(
        answer,
        expect![[r#"
        no machine is called `node1`
          no machine is known yet
          tip: pxe-admin machines
    "#]],
    );
}

#[test]
fn releases_are_numbered_per_system_and_the_same_toplevel_is_none() {
    let mut story = Story::new();
    assert_eq!(story.publish("one").number, 1);
    assert_eq!(story.publish("one").number, 1);
    assert_eq!(story.publish("two").number, 2);
    assert_eq!(story.state.releases.len(), 2);
    let worker = "worker".parse().expect("a name");
    assert_eq!(
        story.state.newest(&worker).map(|r| &r.toplevel),
        Some(&toplevel("two"))
    );
    let none = warnings(
        &story.state,
        &story.profiles,
        &"db".parse().expect("a name"),
        None,
    );
    assert_eq!(
        none,
        ["system `db` has no release yet; run `pxe-admin publish db`"]
    );
}
