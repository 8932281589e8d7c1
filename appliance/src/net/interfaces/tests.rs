//! Lists of interfaces → the choice, or what to write.

use super::*;

fn wired(name: &str, address: &str) -> Interface {
    Interface {
        name: name.to_owned(),
        up: true,
        loopback: false,
        ethernet: true,
        wireless: false,
        default_route: false,
        part_of: None,
        mac: None,
        addresses: vec![(
            address.parse().expect("an address"),
            Ipv4Addr::new(255, 255, 255, 0),
        )],
    }
}

fn loopback() -> Interface {
    Interface {
        loopback: true,
        ethernet: false,
        ..wired("lo", "127.0.0.1")
    }
}

#[track_caller]
fn check(name: &str, got: Result<Lan, NoLan>, want: &str) {
    let got = match got {
        Ok(lan) => format!("{} {lan}: {}", lan.interface, lan.why),
        Err(error) => [vec![error.to_string()], error.facts(), vec![error.tip()]]
            .concat()
            .join(" | "),
    };
    assert_eq!(got, want, "{name}");
}

#[test]
fn one_obvious_interface_is_chosen_and_the_reason_said() {
    const WHY: &str = "the only Ethernet interface that is up and has an IPv4 address";
    let down = Interface {
        up: false,
        ..wired("enp2s0", "10.2.0.1")
    };
    let wifi = Interface {
        wireless: true,
        ..wired("wlp1s0", "192.168.1.7")
    };
    let tunnel = Interface {
        ethernet: false,
        ..wired("wg0", "10.100.0.1")
    };
    let bare = Interface {
        addresses: Vec::new(),
        ..wired("enp3s0", "0.0.0.0")
    };
    let port = Interface {
        part_of: Some("br0".to_owned()),
        ..wired("enp4s0", "10.4.0.1")
    };
    for (name, others) in [
        ("loopback beside it", vec![loopback()]),
        ("one that is down", vec![down]),
        ("Wi-Fi", vec![wifi]),
        ("a tunnel", vec![tunnel]),
        ("one without address", vec![bare]),
        ("a port of a bridge", vec![port]),
        ("docker0", vec![wired("docker0", "172.17.0.1")]),
        (
            "a docker network",
            vec![wired("br-0123456789ab", "172.18.0.1")],
        ),
        ("libvirt", vec![wired("virbr0", "192.168.122.1")]),
    ] {
        let all = [others, vec![wired("enp1s0", "10.77.0.1")]].concat();
        let want = format!("enp1s0 10.77.0.1/24: {WHY}");
        check(name, choose(&all, None, None), &want);
    }
    let bridge = [loopback(), wired("br-lan", "10.77.0.1")];
    let want = format!("br-lan 10.77.0.1/24: {WHY}");
    check(
        "a bridge of the user's own",
        choose(&bridge, None, None),
        &want,
    );
}

#[test]
fn a_doubt_is_an_error_that_says_what_to_write() {
    let two = [
        loopback(),
        wired("enp1s0", "10.77.0.1"),
        wired("enp2s0", "192.168.1.2"),
    ];
    for (name, interfaces, wanted, address, want) in [
        (
            "two candidates",
            &two[..],
            None,
            None,
            "2 network interfaces could be the LAN | enp1s0 has 10.77.0.1 | enp2s0 has 192.168.1.2 \
             | write into appliance.toml: [lan] interface = \"enp1s0\"",
        ),
        (
            "only loopback",
            &two[..1],
            None,
            None,
            "no network interface can be the LAN | lo: loopback \
             | give an Ethernet interface an address, or write [lan] interface = \"…\"",
        ),
        (
            "an absent one",
            &two[..2],
            Some("eth7"),
            None,
            "there is no network interface `eth7` on this machine | there are: lo, enp1s0 \
             | see `ip -brief address`",
        ),
        (
            "an address of another",
            &two[..],
            Some("enp1s0"),
            Some("192.168.1.2"),
            "`enp1s0` does not have the address `192.168.1.2`; it has `10.77.0.1` \
             | see `ip -brief address`",
        ),
        (
            "nobody's address",
            &two[..],
            None,
            Some("10.0.0.9"),
            "no interface has the address `10.0.0.9` | see `ip -brief address`",
        ),
    ] {
        let address = address.map(|a: &str| a.parse().expect("an address"));
        check(name, choose(interfaces, wanted, address), want);
    }
}

#[test]
fn what_is_configured_is_taken_even_if_nobody_would_guess_it() {
    let all = [loopback(), wired("enp1s0", "10.77.0.1")];
    let got = choose(&all, Some("lo"), None);
    check("loopback by name", got, "lo 127.0.0.1/24: configured");
    let address = Some(Ipv4Addr::new(10, 77, 0, 1));
    let want = "enp1s0 10.77.0.1/24: it has the configured address";
    check("by address", choose(&all, None, address), want);
}

#[test]
fn this_machine_has_a_loopback_with_its_address() {
    let all = interfaces().expect("the kernel lists interfaces");
    let lo = all.iter().find(|i| i.loopback).expect("a loopback");
    assert!(!lo.ethernet && !lo.wireless);
    assert!(lo.addresses.iter().any(|(a, _)| a.is_loopback()));
}
