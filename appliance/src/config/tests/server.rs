//! Server mode: what is leased, and where it is refused.

use super::*;

#[test]
fn server_mode_stays_within_its_lan() {
    for (text, want) in [
        (
            r#"mode = "server""#,
            expect![[r#"
            appliance.toml:2:1: server mode needs a `range` of addresses
              tip: write it like range = ["10.77.0.50", "10.77.0.200"]
        "#]],
        ),
        (
            r#"mode = "server"
range = ["10.78.0.50", "10.77.0.255"]"#,
            expect![[r#"
                appliance.toml:3:9: `10.78.0.50` comes after `10.77.0.255`
                appliance.toml:3:10: `10.78.0.50` is outside of the LAN 10.77.0.1/24 of `enp1s0`
                appliance.toml:3:24: `10.77.0.255` is the network's own or its broadcast address
            "#]],
        ),
        (
            r#"mode = "server"
range = ["10.77.0.50"]"#,
            expect![[r#"
                appliance.toml:3:9: must have two addresses: the first and the last
            "#]],
        ),
        (
            r#"mode = "server"
range = ["10.77.0.50", "10.77.0.60"]
router = "10.77.0.55"
lease-time = "5s"
[dhcp.reservations]
"52:54:00:00:00:01" = "10.77.0.10"
"52-54-00-00-00-02" = "10.77.0.10"
"5254.0000.0001" = "10.77.0.11"
"52:54:00:00:00:03" = "10.77.0.1"
"52:54:00:00:00:04" = "192.168.1.1""#,
            expect![[r#"
                appliance.toml:4:10: the router `10.77.0.55` lies in `range`
                appliance.toml:5:14: is shorter than a minute; clients would ask without end
                appliance.toml:8:23: `10.77.0.10` is reserved for 52:54:00:00:00:01 already
                appliance.toml:9:1: 52:54:00:00:00:01 has another reservation already
                appliance.toml:10:23: `10.77.0.1` is the appliance's own address
                appliance.toml:11:23: `192.168.1.1` is outside of the LAN 10.77.0.1/24 of `enp1s0`
            "#]],
        ),
        (
            r#"mode = "both""#,
            expect![[r#"
                appliance.toml:2:8: no mode is called `both`, expected one of `proxy`, `server`, `off`
            "#]],
        ),
    ] {
        problems(&format!("[dhcp]\n{text}\n"), &want);
    }
}

#[test]
fn a_relayed_subnet_has_a_network_of_its_own_and_a_way_back() {
    let lan = "[dhcp]\nmode = \"server\"\nrange = [\"10.77.0.50\", \"10.77.0.60\"]\n";
    for (text, want) in [
        (
            r#"subnet = "10.78.0.0/24""#,
            expect![[r#"
                appliance.toml:4:10: `dhcp.subnet` must be tables, each written [[dhcp.subnet]], found a string
            "#]],
        ),
        (
            "[[dhcp.subnet]]",
            expect![[r#"
                appliance.toml:4:1: the subnet has no `network`
                  tip: write it like network = "10.78.0.0/24"
                appliance.toml:4:1: the subnet has no `router`: its machines could not reach the appliance
                  tip: write the relay's address in that network, like router = "10.78.0.1"
            "#]],
        ),
        (
            r#"[[dhcp.subnet]]
network = "10.78.0.0/24"
router = "10.77.0.1"
lease-time = "10s"
"#,
            expect![[r#"
                appliance.toml:4:1: server mode needs a `range` of addresses
                  tip: write it like range = ["10.78.0.50", "10.78.0.200"]
                appliance.toml:6:10: `10.77.0.1` is outside of the network 10.78.0.0/24
                appliance.toml:7:14: is shorter than a minute; clients would ask without end
            "#]],
        ),
        (
            r#"[[dhcp.subnet]]
network = "10.77.0.0/16"
range = ["10.77.9.1", "10.77.9.9"]
router = "10.77.9.1"
[[dhcp.subnet]]
network = "10.77.9.128/25"
range = ["10.77.9.130", "10.77.9.140"]
router = "10.77.9.129"
[[dhcp.subnet]]
network = "10.79.0.1/24"
range = ["10.79.0.5", "10.79.0.6"]
router = "10.79.0.1"
mode = "proxy"
"#,
            expect![[r#"
                appliance.toml:5:11: the network 10.77.0.0/16 overlaps the LAN 10.77.0.1/24 of `enp1s0`
                appliance.toml:7:10: the router `10.77.9.1` lies in `range`
                appliance.toml:9:11: the network 10.77.9.128/25 overlaps the network 10.77.0.0/16
                appliance.toml:13:11: `10.79.0.1/24` is an address in the network 10.79.0.0/24
                appliance.toml:16:1: unknown field `mode`, expected one of `dns`, `domain`, `lease-time`, `network`, `range`, `reservations`, `router`
            "#]],
        ),
    ] {
        problems(&format!("{lan}{text}\n"), &want);
    }
}

#[test]
fn server_mode_is_refused_where_it_would_do_harm() {
    let card = |wireless, default_route| {
        let mut all = interfaces();
        (all[1].wireless, all[1].default_route) = (wireless, default_route);
        all
    };
    let server = |more: &str| {
        format!(
            "[lan]\ninterface = \"enp1s0\"\n[dhcp]\nmode = \"server\"\n\
             range = [\"10.77.0.50\", \"10.77.0.60\"]\n{more}"
        )
    };
    problems_among(
        &card(true, true),
        &server(""),
        &expect![[r#"
        appliance.toml:4:1: `enp1s0` is Wi-Fi: machines do not boot over it, phones are on it
          tip: serve an Ethernet interface, or if it is meant: allow-wifi = true
        appliance.toml:4:1: `enp1s0` has the default route: what is behind it usually hands out addresses already
          tip: set mode = "proxy", or if this LAN has no other DHCP server: allow-default-route = true
    "#]],
    );
    let valid = expect![["valid\n"]];
    let allowed = "allow-wifi = true\nallow-default-route = true\nallow-second-server = true\n";
    problems_among(&card(true, true), &server(allowed), &valid);
    problems_among(&card(false, false), &server(""), &valid);
    let proxy = "[lan]\ninterface = \"enp1s0\"\n";
    problems_among(&card(true, true), proxy, &valid);
    problems(
        &server("allow-wifi = \"yes\"\n"),
        &expect![[r#"
            appliance.toml:6:14: `allow-wifi` must be true or false, found a string
        "#]],
    );
    problems(
        "[dhcp]\nallow-second-server = true\n",
        &expect![[r#"
        appliance.toml:2:1: `allow-second-server` has no effect in proxy mode
          tip: set mode = "server", or take the line out
    "#]],
    );
}
