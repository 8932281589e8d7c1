//! Each finding with its verdict, and that whatever is not in order comes with something to do.

use std::time::Duration;

use super::host::BUILT;
use super::*;
use crate::base::release::FollowedCommit;
use crate::base::timestamp::Timestamp;
use crate::dhcp::other_servers::{Mode, Rival};
use crate::doctor::firewall::Answer;

#[track_caller]
fn check(name: &str, check: &Check, verdict: Verdict, said: &str) {
    assert_eq!(check.verdict, verdict, "{name}: {check:?}");
    let text = check.what.join("\n");
    assert!(text.contains(said), "{name}: {text}");
    assert!(
        check.verdict == Verdict::Ok || !check.tips.is_empty(),
        "{name}: no tip: {check:?}"
    );
}

#[test]
fn the_lan_has_its_address_and_its_cable() {
    let good = Interface {
        name: "enp1s0".to_owned(),
        address: "10.77.0.1/24".to_owned(),
        exists: true,
        has_address: true,
        carrier: Some(true),
    };
    for (name, interface, verdict, said) in [
        (
            "as it should be",
            good.clone(),
            Verdict::Ok,
            "`enp1s0` has 10.77.0.1/24",
        ),
        (
            "sysfs does not say",
            Interface {
                carrier: None,
                ..good.clone()
            },
            Verdict::Ok,
            "has 10.77.0.1/24",
        ),
        (
            "unplugged",
            Interface {
                carrier: Some(false),
                ..good.clone()
            },
            Verdict::Problem,
            "its cable is out",
        ),
        (
            "another address by now",
            Interface {
                has_address: false,
                ..good.clone()
            },
            Verdict::Problem,
            "does not have 10.77.0.1/24 any more",
        ),
        (
            "a USB card was pulled",
            Interface {
                exists: false,
                ..good
            },
            Verdict::Problem,
            "is gone",
        ),
    ] {
        check(name, &lan(&[interface]), verdict, said);
    }
}

#[test]
fn ports_that_nobody_listens_on_are_named() {
    let door = |open| Door {
        port: "UDP 67".to_owned(),
        what: "DHCP".to_owned(),
        open,
    };
    for (name, open, dhcp, verdict, said) in [
        ("open", Some(true), true, Verdict::Ok, "UDP 67 (DHCP)"),
        ("not to be seen", None, true, Verdict::Ok, "UDP 67 (DHCP)"),
        (
            "closed",
            Some(false),
            true,
            Verdict::Problem,
            "nothing listens on UDP 67 (DHCP)",
        ),
        (
            "off",
            Some(true),
            false,
            Verdict::Warning,
            "no machine is told",
        ),
    ] {
        check(name, &ports(&[door(open)], dhcp), verdict, said);
    }
}

#[test]
fn a_missing_loader_says_whom_it_keeps_from_booting() {
    let loader = |name, present| Loader {
        name,
        for_whom: "BIOS machines cannot boot",
        present,
    };
    let all = [loader("a", true), loader("b", true)];
    check("all", &loaders(&all, "/x"), Verdict::Ok, "a, b");
    let one = [loader("a", true), loader("b", false)];
    check(
        "one of two",
        &loaders(&one, "/x"),
        Verdict::Warning,
        "`b` is missing: BIOS machines cannot boot",
    );
    let none = [loader("a", false)];
    check(
        "none",
        &loaders(&none, "/x"),
        Verdict::Problem,
        "no boot loader is in `/x`",
    );
}

#[test]
fn an_installer_is_readable_and_of_one_build() {
    let file = |bytes, day: i64| {
        Ok(ImageFile {
            path: "/srv/x".to_owned(),
            bytes,
            written: Timestamp::from_millis(BUILT.millis() + day * 86_400_000),
        })
    };
    let image = |kernel, initrd| Image {
        name: "installer for x86_64".to_owned(),
        kernel,
        initrd,
        version: Some("6.12.21".to_owned()),
    };
    let mib = 1 << 20;
    for (name, found, verdict, said) in [
        (
            "good",
            image(file(mib, 0), file(9 * mib, 0)),
            Verdict::Ok,
            "10 MiB, Linux 6.12.21",
        ),
        (
            "two builds",
            image(file(mib, 3), file(mib, 0)),
            Verdict::Warning,
            "two builds",
        ),
        (
            "the other way round",
            image(file(mib, 0), file(mib, 3)),
            Verdict::Warning,
            "two builds",
        ),
        (
            "empty",
            image(file(mib, 0), file(0, 0)),
            Verdict::Problem,
            "is empty",
        ),
        (
            "gone",
            image(Err("`/srv/kernel` is not there".to_owned()), file(mib, 0)),
            Verdict::Problem,
            "`/srv/kernel` is not there",
        ),
    ] {
        check(name, &images(&[found]), verdict, said);
    }
    let none = images(&[]);
    check("none", &none, Verdict::Problem, "no installer image");
    let tip = &none.tips[0];
    assert!(tip.contains("inherit (netboot) packages;"), "{tip}");
}

#[test]
fn the_cache_holds_what_machines_are_to_get() {
    let cached = |fault: Option<&str>| Cached {
        release: "release 3 of `worker`".to_owned(),
        fault: fault.map(str::to_owned),
        system: "worker".to_owned(),
    };
    check(
        "whole",
        &cache(&[cached(None)], &[]),
        Verdict::Ok,
        "is whole",
    );
    let broken = cached(Some("its narinfo is not signed with this appliance's key"));
    check(
        "unsigned",
        &cache(&[broken], &[]),
        Verdict::Problem,
        "is not signed",
    );
    check(
        "empty",
        &cache(&[], &[]),
        Verdict::Warning,
        "no system was published",
    );
    let needed = ["server".to_owned()];
    check(
        "wanted and not there",
        &cache(&[cached(None)], &needed),
        Verdict::Problem,
        "`server` has no release",
    );
}

#[test]
fn a_clock_is_held_against_the_year_the_journal_and_ntp() {
    let now = Timestamp::from_millis(1_775_124_847_000);
    let later = now.plus(Duration::from_secs(60));
    let a_moment = now.plus(Duration::from_secs(1));
    for (name, now, synchronised, last_event, verdict, said) in [
        (
            "right",
            now,
            Some(true),
            Some(now),
            Verdict::Ok,
            "synchronised",
        ),
        (
            "stepped a little",
            now,
            Some(true),
            Some(a_moment),
            Verdict::Ok,
            "synchronised",
        ),
        (
            "free-running",
            now,
            Some(false),
            None,
            Verdict::Warning,
            "not synchronised",
        ),
        (
            "nothing says",
            now,
            None,
            None,
            Verdict::Unknown,
            "nothing says",
        ),
        (
            "went back",
            now,
            Some(true),
            Some(later),
            Verdict::Problem,
            "went back",
        ),
        (
            "no battery",
            Timestamp::from_millis(0),
            None,
            None,
            Verdict::Problem,
            "1970-01-01",
        ),
    ] {
        let found = Clock {
            now,
            synchronised,
            last_event,
        };
        check(name, &clock(found), verdict, said);
    }
}

#[test]
fn space_is_enough_for_the_next_release_or_runs_out() {
    for (name, free, verdict, said) in [
        ("enough", Ok(10 << 30), Verdict::Ok, "10240 MiB are free"),
        ("tight", Ok(1 << 30), Verdict::Warning, "another release"),
        (
            "full",
            Ok(1 << 20),
            Verdict::Problem,
            "nothing can be written",
        ),
        (
            "unreadable",
            Err("permission denied".to_owned()),
            Verdict::Unknown,
            "permission denied",
        ),
    ] {
        let found = Space {
            folder: "/var/lib/x".to_owned(),
            free,
            largest: 3 << 30,
        };
        check(name, &space(&found), verdict, said);
    }
}

#[test]
fn store_profiles_and_cluster() {
    check("store", &store(None, 7), Verdict::Ok, "7 events");
    check(
        "full",
        &store(Some("no space"), 7),
        Verdict::Problem,
        "no space",
    );
    check("profiles", &hosts(&[], 1), Verdict::Ok, "1 profile");
    let problem = ["hosts/profiles/a.toml:1:1: unknown field `dsik`".to_owned()];
    check("typo", &hosts(&problem, 2), Verdict::Problem, "`dsik`");
    let url = || "https://10.77.0.10:6443".to_owned();
    for (found, verdict, said) in [
        (
            Cluster::None { lacking: vec![] },
            Verdict::Ok,
            "join no cluster",
        ),
        (
            Cluster::None {
                lacking: vec!["`worker`".to_owned()],
            },
            Verdict::Warning,
            "installed with `worker`",
        ),
        (
            Cluster::Answers {
                url: url(),
                token: true,
            },
            Verdict::Ok,
            "answers",
        ),
        (
            Cluster::Answers {
                url: url(),
                token: false,
            },
            Verdict::Warning,
            "nobody sees",
        ),
        (
            Cluster::Silent {
                url: url(),
                why: "connection refused".to_owned(),
            },
            Verdict::Warning,
            "connection refused",
        ),
    ] {
        check("cluster", &cluster(&found, false), verdict, said);
        check("one token", &cluster(&found, true), Verdict::Warning, said);
    }
    let one = cluster(
        &Cluster::None {
            lacking: Vec::new(),
        },
        true,
    );
    check("one token", &one, Verdict::Warning, "agents get the token");
    assert!(one.tips[0].contains("agent-token-file"), "{:?}", one.tips);
}

#[test]
fn a_firewall_is_open_closed_or_not_understood() {
    let door = |port: &str, answer| FirewallDoor {
        port: port.to_owned(),
        answer,
    };
    let open = || door("UDP 69", Answer::Open);
    let closed = door("UDP 67", Answer::Closed("the policy of `input`".to_owned()));
    let unclear = |port| door(port, Answer::Unclear("`nft` is not there".to_owned()));
    check(
        "all open",
        &firewall(&[open()]),
        Verdict::Ok,
        "all 1 ports are open",
    );
    let said = "UDP 67 is closed by the policy of `input`";
    check(
        "closed",
        &firewall(&[closed, open()]),
        Verdict::Problem,
        said,
    );
    let found = firewall(&[unclear("UDP 67"), unclear("UDP 69")]);
    check(
        "unclear",
        &found,
        Verdict::Unknown,
        "UDP 67: `nft` is not there",
    );
    assert_eq!(found.what.len(), 1, "{found:?}");
    check(
        "not yet",
        &firewall(&[]),
        Verdict::Unknown,
        "not looked at yet",
    );
}

#[test]
fn other_servers_are_judged_by_the_mode() {
    let rival = |dhcp, pxe| Rival {
        server: [10, 77, 0, 254].into(),
        dhcp,
        pxe,
        boot_file: None,
    };
    let router = || Ok(vec![rival(true, false)]);
    for (name, mode, found, verdict, said) in [
        (
            "a router",
            Mode::Proxy,
            router(),
            Verdict::Ok,
            "10.77.0.254",
        ),
        (
            "no router",
            Mode::Proxy,
            Ok(Vec::new()),
            Verdict::Problem,
            "no DHCP server answers",
        ),
        (
            "two that boot",
            Mode::Proxy,
            Ok(vec![rival(true, true)]),
            Verdict::Warning,
            "another PXE server",
        ),
        (
            "two that lease",
            Mode::Server,
            router(),
            Verdict::Problem,
            "another DHCP server",
        ),
        (
            "alone",
            Mode::Server,
            Ok(Vec::new()),
            Verdict::Ok,
            "no other server",
        ),
        (
            "not allowed",
            Mode::Server,
            Err("no permission".to_owned()),
            Verdict::Unknown,
            "no permission",
        ),
    ] {
        let look = Others {
            interface: "enp1s0".to_owned(),
            at: BUILT,
            found,
        };
        check(name, &others(Some(mode), &[look]), verdict, said);
    }
    check(
        "not yet",
        &others(Some(Mode::Proxy), &[]),
        Verdict::Unknown,
        "not looked for yet",
    );
    check("off", &others(None, &[]), Verdict::Ok, "not looked for");
}

#[test]
fn a_branch_is_where_it_is_or_says_why_not() {
    let at = Timestamp::from_millis(1_775_124_847_000);
    let followed = |trouble: &[&str]| FollowedCommit {
        revision: "a1b2c3".to_owned(),
        at,
        failures: u32::from(!trouble.is_empty()),
        trouble: trouble.iter().map(ToString::to_string).collect(),
    };
    let mut seen = Branch {
        flake: "git+https://example.org/lab".to_owned(),
        every: Duration::from_secs(300),
        now: at.plus(Duration::from_secs(60)),
        look: None,
        publishing: None,
        followed: None,
    };
    assert_eq!(branch(&seen).verdict, Verdict::Unknown);
    seen.look = Some((at, Ok("a1b2c3".to_owned())));
    seen.followed = Some(followed(&[]));
    assert_eq!(branch(&seen).verdict, Verdict::Ok);
    seen.followed = Some(followed(&["`worker` cannot be built", "error: no"]));
    let failed = branch(&seen);
    assert_eq!(failed.verdict, Verdict::Problem);
    assert_eq!(
        failed.what,
        [
            "`git+https://example.org/lab` is at a1b2c3, at 2026-04-02 10:14:07 UTC; it is looked at every 300 s",
            "a1b2c3 could not be published, at 2026-04-02 10:14:07 UTC: `worker` cannot be built; error: no",
            "the next commit is tried at once, this one again at 2026-04-02 10:29:07 UTC",
        ]
    );
    seen.look = Some((at, Err("no host".to_owned())));
    seen.followed = None;
    assert_eq!(branch(&seen).verdict, Verdict::Warning);

    seen.look = Some((at, Ok("a1b2c3".to_owned())));
    let minutes = |n: u64| at.plus(Duration::from_secs(60 * n));
    for (name, now, publishing, want) in [
        ("the next look may still run", 14, None, Verdict::Ok),
        ("looks have stopped", 17, None, Verdict::Warning),
        ("there is none while it builds", 60, Some(0), Verdict::Ok),
        ("no build takes so long", 13 * 60, Some(0), Verdict::Warning),
    ] {
        seen.now = minutes(now);
        seen.publishing = publishing.map(|since| ("a1b2c3".to_owned(), minutes(since)));
        assert_eq!(branch(&seen).verdict, want, "{name}");
    }
}
