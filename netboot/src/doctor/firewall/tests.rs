//! What real firewalls print, and what they do to the packets of a boot.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

fn packet(protocol: Protocol, port: u16) -> ProbePacket {
    ProbePacket {
        protocol,
        port,
        from_port: None,
        interface: "enp1s0".to_owned(),
        address: Ipv4Addr::new(10, 77, 0, 1),
        prefix: 24,
        broadcast: false,
        established: false,
    }
}

/// All that machines send in one boot.
fn boot(interface: &str) -> Vec<(&'static str, ProbePacket)> {
    let dhcp = ProbePacket {
        from_port: Some(68),
        broadcast: true,
        ..packet(Protocol::Udp, 67)
    };
    let transfer = ProbePacket {
        established: true,
        ..packet(Protocol::Udp, 40_000)
    };
    let mut knocks = vec![
        ("DHCP", dhcp),
        ("PXE", packet(Protocol::Udp, 4011)),
        ("TFTP", packet(Protocol::Udp, 69)),
        ("TFTP's transfers", transfer),
        ("http.port", packet(Protocol::Tcp, 8080)),
        ("http.node-port", packet(Protocol::Tcp, 8443)),
    ];
    for (_, packet) in &mut knocks {
        packet.interface = interface.to_owned();
    }
    knocks
}

#[track_caller]
fn check(ruleset: &Ruleset, interface: &str, want: &Expect) {
    let rows = boot(interface).into_iter().map(|(name, packet)| {
        let answer = match ruleset.admits(&packet) {
            Admittance::Open => "open".to_owned(),
            Admittance::Closed(by) => format!("closed: {by}"),
            Admittance::Unclear(why) => format!("unclear: {why}"),
        };
        format!("{name}: {answer}\n")
    });
    want.assert_eq(&rows.collect::<String>());
}

fn nft(text: &str) -> Ruleset {
    nft::read(text, &[]).expect("JSON")
}

#[test]
fn a_host_without_rules_is_open() {
    let open = expect![[r#"
        DHCP: open
        PXE: open
        TFTP: open
        TFTP's transfers: open
        http.port: open
        http.node-port: open
    "#]];
    check(&nft(include_str!("samples/plain.json")), "enp1s0", &open);
    check(&nft(r#"{"nftables": []}"#), "enp1s0", &open);
    check(
        &iptables::read("-P INPUT ACCEPT\n-P FORWARD DROP\n"),
        "enp1s0",
        &open,
    );
    check(&iptables::read(""), "enp1s0", &open);
}

#[test]
fn nixos_with_nftables_admits_the_ports_that_are_opened() {
    let ruleset = nft(include_str!("samples/nixos.json"));
    check(
        &ruleset,
        "enp1s0",
        &expect![[r#"
            DHCP: open
            PXE: open
            TFTP: open
            TFTP's transfers: open
            http.port: open
            http.node-port: open
        "#]],
    );
    let ssh = packet(Protocol::Tcp, 23);
    let by = "no rule of `inet nixos-fw input` accepts it".to_owned();
    assert_eq!(ruleset.admits(&ssh), Admittance::Closed(by));
}

/// TCP 4011 opened where UDP was meant, as in nixpkgs#252116.
#[test]
fn nixos_with_iptables_and_the_wrong_protocol_for_4011() {
    check(
        &iptables::read(include_str!("samples/nixos.iptables")),
        "enp1s0",
        &expect![[r#"
            DHCP: open
            PXE: closed: `iptables nixos-fw-refuse` drops it
            TFTP: open
            TFTP's transfers: open
            http.port: open
            http.node-port: closed: `iptables nixos-fw-refuse` drops it
        "#]],
    );
    check(
        &iptables::read(include_str!("samples/nixos.iptables")),
        "enp2s0",
        &expect![[r#"
            DHCP: closed: `iptables nixos-fw-refuse` drops it
            PXE: closed: `iptables nixos-fw-refuse` drops it
            TFTP: open
            TFTP's transfers: open
            http.port: open
            http.node-port: closed: `iptables nixos-fw-refuse` drops it
        "#]],
    );
}

#[test]
fn ufw_admits_what_its_user_rules_say() {
    check(
        &iptables::read(include_str!("samples/ufw.iptables")),
        "enp1s0",
        &expect![[r#"
            DHCP: open
            PXE: open
            TFTP: open
            TFTP's transfers: open
            http.port: unclear: a rule of `iptables ufw-user-input` depends on the source address
            http.node-port: closed: no rule of `iptables INPUT` accepts it
        "#]],
    );
}

#[test]
fn firewalld_has_a_zone_for_each_interface() {
    let ruleset = nft(include_str!("samples/firewalld.json"));
    check(
        &ruleset,
        "enp1s0",
        &expect![[r#"
            DHCP: open
            PXE: closed: `inet firewalld filter_IN_home` drops it
            TFTP: open
            TFTP's transfers: open
            http.port: open
            http.node-port: open
        "#]],
    );
    check(
        &ruleset,
        "enp2s0",
        &expect![[r#"
            DHCP: closed: `inet firewalld filter_IN_public` drops it
            PXE: closed: `inet firewalld filter_IN_public` drops it
            TFTP: closed: `inet firewalld filter_IN_public` drops it
            TFTP's transfers: open
            http.port: closed: `inet firewalld filter_IN_public` drops it
            http.node-port: closed: `inet firewalld filter_IN_public` drops it
        "#]],
    );
}

/// Named sets, concatenations, interfaces by the beginning of their name, marks, limits, two chains on one hook.
#[test]
fn rules_written_by_hand_are_followed_as_far_as_they_can_be() {
    let ruleset = nft(include_str!("samples/odd.json"));
    check(
        &ruleset,
        "enp1s0",
        &expect![[r#"
            DHCP: open
            PXE: unclear: a rule of `inet mine input` depends on `meta mark`
            TFTP: open
            TFTP's transfers: open
            http.port: unclear: a rule of `inet mine input` depends on the source address
            http.node-port: open
        "#]],
    );
    let wifi = ProbePacket {
        interface: "wlp1s0".to_owned(),
        ..packet(Protocol::Udp, 69)
    };
    let by = "`inet mine input` drops it".to_owned();
    assert_eq!(ruleset.admits(&wifi), Admittance::Closed(by));
}

#[test]
fn every_chain_on_the_way_must_admit() {
    let both = nft(include_str!("samples/plain.json"))
        .and(iptables::read(include_str!("samples/nixos.iptables")));
    let closed = Admittance::Closed("`iptables nixos-fw-refuse` drops it".to_owned());
    assert_eq!(both.admits(&packet(Protocol::Udp, 4011)), closed);
    assert_eq!(both.admits(&packet(Protocol::Udp, 69)), Admittance::Open);
}

#[test]
fn a_table_that_iptables_shows_better_is_left_out() {
    let text = r#"{"nftables": [
        {"chain": {"family": "ip", "table": "filter", "name": "INPUT",
                   "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}},
        {"rule": {"family": "ip", "table": "filter", "chain": "INPUT",
                  "expr": [{"xt": {"type": "match", "name": "udp"}}, {"accept": null}]}}]}"#;
    let why = "a rule of `ip filter INPUT` depends on an extension of iptables".to_owned();
    assert_eq!(
        nft(text).admits(&packet(Protocol::Udp, 69)),
        Admittance::Unclear(why)
    );
    let rest = nft::read(text, &["ip filter"]).expect("JSON");
    assert_eq!(rest.admits(&packet(Protocol::Udp, 69)), Admittance::Open);
}

#[test]
fn single_rules_of_iptables_hold_or_not() {
    let open = Admittance::Open;
    let closed = Admittance::Closed("no rule of `iptables INPUT` accepts it".to_owned());
    let unclear =
        |what: &str| Admittance::Unclear(format!("a rule of `iptables INPUT` depends on `{what}`"));
    for (name, rule, want) in [
        ("all", "-j ACCEPT", open.clone()),
        ("an interface", "-i enp1s0 -j ACCEPT", open.clone()),
        ("the beginning of one", "-i enp+ -j ACCEPT", open.clone()),
        ("not this one", "! -i enp1s0 -j ACCEPT", closed.clone()),
        ("not another", "! -i lo -j ACCEPT", open.clone()),
        (
            "a range",
            "-p udp -m udp --dport 60:70 -j ACCEPT",
            open.clone(),
        ),
        (
            "another range",
            "-p udp -m udp --dport 70:80 -j ACCEPT",
            closed.clone(),
        ),
        (
            "several",
            "-p udp -m multiport --dports 67,69,4011 -j ACCEPT",
            open.clone(),
        ),
        (
            "new ones",
            "-p udp -m conntrack --ctstate NEW -j ACCEPT",
            open.clone(),
        ),
        (
            "the older word",
            "-p udp -m state --state NEW -j ACCEPT",
            open.clone(),
        ),
        (
            "established ones",
            "-m state --state ESTABLISHED -j ACCEPT",
            closed.clone(),
        ),
        ("of the LAN", "-s 10.0.0.0/8 -j ACCEPT", open.clone()),
        (
            "by netmask",
            "-s 10.77.0.0/255.255.255.0 -j ACCEPT",
            open.clone(),
        ),
        ("of another", "-s 192.168.0.0/16 -j ACCEPT", closed.clone()),
        (
            "to the appliance",
            "-d 10.77.0.1/32 -j ACCEPT",
            open.clone(),
        ),
        ("another protocol", "-p icmp -j ACCEPT", closed.clone()),
        (
            "a set",
            "-m set --match-set lan src -j ACCEPT",
            unclear("--match-set"),
        ),
        (
            "a mark",
            "-m mark --mark 0x1 -j ACCEPT",
            unclear("--mark 0x1"),
        ),
        (
            "a mark on TCP",
            "-p tcp -m mark --mark 0x1 -j ACCEPT",
            closed.clone(),
        ),
        (
            "a quote",
            "-m comment --comment \"-j DROP\" -j ACCEPT",
            open.clone(),
        ),
        (
            "a chain that is not there",
            "-j nowhere",
            Admittance::Unclear("the chain `iptables nowhere` cannot be followed".to_owned()),
        ),
        (
            "a circle",
            "-j INPUT",
            Admittance::Unclear("the chain `iptables INPUT` cannot be followed".to_owned()),
        ),
    ] {
        let ruleset = iptables::read(&format!("-P INPUT DROP\n-A INPUT {rule}\n"));
        assert_eq!(ruleset.admits(&packet(Protocol::Udp, 69)), want, "{name}");
    }
}

proptest! {
    #[test]
    fn any_text_has_an_answer(text: String, lines in proptest::collection::vec("(-A|-P|-N)( [!a-zA-Z0-9:/,-]{1,9}){0,6}", 0..9)) {
        let _ = nft::read(&text, &[]);
        let _ = iptables::read(&text).admits(&packet(Protocol::Udp, 69));
        let _ = iptables::read(&lines.join("\n")).admits(&packet(Protocol::Tcp, 8080));
    }

    /// The samples with one value exchanged: nothing may panic, whatever stands where.
    #[test]
    fn any_json_has_an_answer(at in 0..4000usize, word in "null|1|\\[\\]|\\{\\}|\"@x\"|\"set\"") {
        let text = include_str!("samples/odd.json");
        if let Some(begin) = text[at.min(text.len())..].find(": ").map(|n| n + at) {
            let end = text[begin..].find([',', '}']).map_or(text.len(), |n| n + begin);
            let text = format!("{}: {word}{}", &text[..begin], &text[end..]);
            if let Ok(ruleset) = nft::read(&text, &[]) {
                let _ = ruleset.admits(&packet(Protocol::Udp, 69));
            }
        }
    }
}
