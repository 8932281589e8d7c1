//! Each finding with its verdict, and that whatever is not in order comes with something to do.

use std::time::Duration;

use super::host::BUILT;
use super::*;
use crate::base::release::FollowedCommit;
use crate::base::timestamp::Timestamp;
use crate::dhcp::other_servers::{DhcpMode, OtherServer};
use crate::doctor::firewall::Admittance;

#[track_caller]
fn check(name: &str, check: &Check, verdict: CheckResult, said: &str) {
    assert_eq!(check.verdict, verdict, "{name}: {check:?}");
    let text = check.what.join("\n");
    assert!(text.contains(said), "{name}: {text}");
    assert!(
        check.verdict == CheckResult::Ok || !check.tips.is_empty(),
        "{name}: no tip: {check:?}"
    );
}

#[test]
fn the_lan_has_its_address_and_its_cable() {
    let good = ServedInterface {
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
            CheckResult::Ok,
            "`enp1s0` has 10.77.0.1/24",
        ),
        (
            "sysfs does not say",
            ServedInterface {
                carrier: None,
                ..good.clone()
            },
            CheckResult::Ok,
            "has 10.77.0.1/24",
        ),
        (
            "unplugged",
            ServedInterface {
                carrier: Some(false),
                ..good.clone()
            },
            CheckResult::Problem,
            "its cable is out",
        ),
        (
            "another address by now",
            ServedInterface {
                has_address: false,
                ..good.clone()
            },
            CheckResult::Problem,
            "does not have 10.77.0.1/24 any more",
        ),
        (
            "a USB card was pulled",
            ServedInterface {
                exists: false,
                ..good
            },
            CheckResult::Problem,
            "is gone",
        ),
    ] {
        check(name, &lan(&[interface]), verdict, said);
    }
}

#[test]
fn ports_that_nobody_listens_on_are_named() {
    let door = |open| ServicePort {
        port: "UDP 67".to_owned(),
        what: "DHCP".to_owned(),
        open,
    };
    for (name, open, dhcp, verdict, said) in [
        ("open", Some(true), true, CheckResult::Ok, "UDP 67 (DHCP)"),
        (
            "not to be seen",
            None,
            true,
            CheckResult::Ok,
            "UDP 67 (DHCP)",
        ),
        (
            "closed",
            Some(false),
            true,
            CheckResult::Problem,
            "nothing listens on UDP 67 (DHCP)",
        ),
        (
            "off",
            Some(true),
            false,
            CheckResult::Warning,
            "no machine is told",
        ),
    ] {
        check(name, &ports(&[door(open)], dhcp), verdict, said);
    }
}

#[test]
fn a_missing_loader_says_whom_it_keeps_from_booting() {
    let loader = |name, present| LoaderFile {
        name,
        for_whom: "BIOS machines cannot boot",
        present,
    };
    let all = [loader("a", true), loader("b", true)];
    check("all", &loaders(&all, "/x"), CheckResult::Ok, "a, b");
    let one = [loader("a", true), loader("b", false)];
    check(
        "one of two",
        &loaders(&one, "/x"),
        CheckResult::Warning,
        "`b` is missing: BIOS machines cannot boot",
    );
    let none = [loader("a", false)];
    check(
        "none",
        &loaders(&none, "/x"),
        CheckResult::Problem,
        "no boot loader is in `/x`",
    );
}

#[test]
fn an_installer_is_readable_and_of_one_build() {
    let file = |bytes, day: i64| {
        Ok(FileFacts {
            path: "/srv/x".to_owned(),
            bytes,
            written: Timestamp::from_millis(BUILT.millis() + day * 86_400_000),
        })
    };
    let image = |kernel, initrd| BootImageFiles {
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
            CheckResult::Ok,
            "10 MiB, Linux 6.12.21",
        ),
        (
            "two builds",
            image(file(mib, 3), file(mib, 0)),
            CheckResult::Warning,
            "two builds",
        ),
        (
            "the other way round",
            image(file(mib, 0), file(mib, 3)),
            CheckResult::Warning,
            "two builds",
        ),
        (
            "empty",
            image(file(mib, 0), file(0, 0)),
            CheckResult::Problem,
            "is empty",
        ),
        (
            "gone",
            image(Err("`/srv/kernel` is not there".to_owned()), file(mib, 0)),
            CheckResult::Problem,
            "`/srv/kernel` is not there",
        ),
    ] {
        check(name, &images(&[found]), verdict, said);
    }
    let none = images(&[]);
    check("none", &none, CheckResult::Problem, "no installer image");
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
        CheckResult::Ok,
        "is whole",
    );
    let broken = cached(Some("its narinfo is not signed with this appliance's key"));
    check(
        "unsigned",
        &cache(&[broken], &[]),
        CheckResult::Problem,
        "is not signed",
    );
    check(
        "empty",
        &cache(&[], &[]),
        CheckResult::Warning,
        "no system was published",
    );
    let needed = ["server".to_owned()];
    check(
        "wanted and not there",
        &cache(&[cached(None)], &needed),
        CheckResult::Problem,
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
            CheckResult::Ok,
            "synchronised",
        ),
        (
            "stepped a little",
            now,
            Some(true),
            Some(a_moment),
            CheckResult::Ok,
            "synchronised",
        ),
        (
            "free-running",
            now,
            Some(false),
            None,
            CheckResult::Warning,
            "not synchronised",
        ),
        (
            "it is not known",
            now,
            None,
            None,
            CheckResult::Unknown,
            "it is not known",
        ),
        (
            "went back",
            now,
            Some(true),
            Some(later),
            CheckResult::Problem,
            "went back",
        ),
        (
            "no battery",
            Timestamp::from_millis(0),
            None,
            None,
            CheckResult::Problem,
            "1970-01-01",
        ),
    ] {
        let found = WallClock {
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
        (
            "enough",
            Ok(10 << 30),
            CheckResult::Ok,
            "10240 MiB are free",
        ),
        (
            "tight",
            Ok(1 << 30),
            CheckResult::Warning,
            "another release",
        ),
        (
            "full",
            Ok(1 << 20),
            CheckResult::Problem,
            "will soon be read-only",
        ),
        (
            "unreadable",
            Err("permission denied".to_owned()),
            CheckResult::Unknown,
            "permission denied",
        ),
    ] {
        let found = StateSpace {
            folder: "/var/lib/x".to_owned(),
            free,
            largest: 3 << 30,
        };
        check(name, &space(&found), verdict, said);
    }
}

#[test]
fn store_profiles_and_cluster() {
    check("store", &store(None, 7), CheckResult::Ok, "7 events");
    check(
        "full",
        &store(Some("no space"), 7),
        CheckResult::Problem,
        "no space",
    );
    check("profiles", &hosts(&[], 1), CheckResult::Ok, "1 profile");
    let problem = ["hosts/profiles/a.toml:1:1: unknown field `dsik`".to_owned()];
    check("typo", &hosts(&problem, 2), CheckResult::Problem, "`dsik`");
    let url = || "https://10.77.0.10:6443".to_owned();
    for (found, verdict, said) in [
        (
            KubernetesApi::None { missing: vec![] },
            CheckResult::Ok,
            "join no cluster",
        ),
        (
            KubernetesApi::None {
                missing: vec!["`worker`".to_owned()],
            },
            CheckResult::Warning,
            "with `worker` are not installed",
        ),
        (
            KubernetesApi::Answers {
                url: url(),
                token: true,
            },
            CheckResult::Ok,
            "answers",
        ),
        (
            KubernetesApi::Answers {
                url: url(),
                token: false,
            },
            CheckResult::Warning,
            "no node is seen",
        ),
        (
            KubernetesApi::Silent {
                url: url(),
                why: "connection refused".to_owned(),
            },
            CheckResult::Warning,
            "connection refused",
        ),
    ] {
        check("cluster", &cluster(&found, false), verdict, said);
        check(
            "one token",
            &cluster(&found, true),
            CheckResult::Warning,
            said,
        );
    }
    let one = cluster(
        &KubernetesApi::None {
            missing: Vec::new(),
        },
        true,
    );
    check(
        "one token",
        &one,
        CheckResult::Warning,
        "agents get the token",
    );
    assert!(one.tips[0].contains("agent-token-file"), "{:?}", one.tips);
}

#[test]
fn a_firewall_is_open_closed_or_not_understood() {
    let door = |port: &str, answer| FirewalledPort {
        port: port.to_owned(),
        answer,
    };
    let open = || door("UDP 69", Admittance::Open);
    let closed = door(
        "UDP 67",
        Admittance::Closed("the policy of `input`".to_owned()),
    );
    let unclear = |port| door(port, Admittance::Unclear("`nft` is not there".to_owned()));
    check(
        "all open",
        &firewall(&[open()]),
        CheckResult::Ok,
        "all 1 ports are open",
    );
    let said = "UDP 67 is closed by the policy of `input`";
    check(
        "closed",
        &firewall(&[closed, open()]),
        CheckResult::Problem,
        said,
    );
    let found = firewall(&[unclear("UDP 67"), unclear("UDP 69")]);
    check(
        "unclear",
        &found,
        CheckResult::Unknown,
        "UDP 67: `nft` is not there",
    );
    assert_eq!(found.what.len(), 1, "{found:?}");
    check(
        "not yet",
        &firewall(&[]),
        CheckResult::Unknown,
        "not looked at yet",
    );
}

#[test]
fn other_servers_are_judged_by_the_mode() {
    let other_server = |dhcp, pxe| OtherServer {
        server: [10, 77, 0, 254].into(),
        dhcp,
        pxe,
        boot_file: None,
    };
    let router = || Ok(vec![other_server(true, false)]);
    for (name, mode, found, verdict, said) in [
        (
            "a router",
            DhcpMode::Proxy,
            router(),
            CheckResult::Ok,
            "10.77.0.254",
        ),
        (
            "no router",
            DhcpMode::Proxy,
            Ok(Vec::new()),
            CheckResult::Problem,
            "no DHCP server answers",
        ),
        (
            "two that boot",
            DhcpMode::Proxy,
            Ok(vec![other_server(true, true)]),
            CheckResult::Warning,
            "another PXE server",
        ),
        (
            "two that lease",
            DhcpMode::Server,
            router(),
            CheckResult::Problem,
            "another DHCP server",
        ),
        (
            "alone",
            DhcpMode::Server,
            Ok(Vec::new()),
            CheckResult::Ok,
            "no other server",
        ),
        (
            "not allowed",
            DhcpMode::Server,
            Err("no permission".to_owned()),
            CheckResult::Unknown,
            "no permission",
        ),
    ] {
        let look = OtherServersReport {
            interface: "enp1s0".to_owned(),
            at: BUILT,
            found,
        };
        check(name, &others(Some(mode), &[look]), verdict, said);
    }
    check(
        "not yet",
        &others(Some(DhcpMode::Proxy), &[]),
        CheckResult::Unknown,
        "not looked for yet",
    );
    check("off", &others(None, &[]), CheckResult::Ok, "not looked for");
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
    let mut seen = FollowedBranch {
        flake: "git+https://example.org/lab".to_owned(),
        every: Duration::from_secs(300),
        now: at.plus(Duration::from_secs(60)),
        look: None,
        publishing: None,
        followed: None,
    };
    assert_eq!(branch(&seen).verdict, CheckResult::Unknown);
    seen.look = Some((at, Ok("a1b2c3".to_owned())));
    seen.followed = Some(followed(&[]));
    assert_eq!(branch(&seen).verdict, CheckResult::Ok);
    seen.followed = Some(followed(&["`worker` cannot be built", "error: no"]));
    let failed = branch(&seen);
    assert_eq!(failed.verdict, CheckResult::Problem);
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
    assert_eq!(branch(&seen).verdict, CheckResult::Warning);

    seen.look = Some((at, Ok("a1b2c3".to_owned())));
    let minutes = |n: u64| at.plus(Duration::from_secs(60 * n));
    for (name, now, publishing, want) in [
        ("the next look may still run", 14, None, CheckResult::Ok),
        ("looks have stopped", 17, None, CheckResult::Warning),
        (
            "there is none while it builds",
            60,
            Some(0),
            CheckResult::Ok,
        ),
        (
            "no build takes so long",
            13 * 60,
            Some(0),
            CheckResult::Warning,
        ),
    ] {
        seen.now = minutes(now);
        seen.publishing = publishing.map(|since| ("a1b2c3".to_owned(), minutes(since)));
        assert_eq!(branch(&seen).verdict, want, "{name}");
    }
}
