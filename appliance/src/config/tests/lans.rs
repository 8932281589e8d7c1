//! Several LANs, and what is said of each.

use super::*;

const LANS: &str = include_str!("../samples/lans.toml");

#[test]
fn several_lans_are_a_list() {
    let text = "[[lan]]\ninterface = \"enp2s0\"\n[[lan]]\naddress = \"10.77.0.1\"\n";
    let source = ConfigText {
        file: String::new(),
        text: text.to_owned(),
    };
    let loaded = source.check(&interfaces_of_two_lans());
    let loaded = loaded.unwrap_or_else(|t| panic!("{t:#?}"));
    let lans = loaded
        .config
        .lans
        .iter()
        .map(|l| format!("{} {l}", l.interface));
    let lans: Vec<String> = lans.collect();
    assert_eq!(lans, ["enp2s0 10.78.0.1/24", "enp1s0 10.77.0.1/24"]);
}

#[test]
fn lans_must_be_told_apart() {
    let wide = Interface {
        name: "enp3s0".to_owned(),
        addresses: vec![(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(255, 0, 0, 0))],
        ..interfaces()[1].clone()
    };
    let all = [interfaces_of_two_lans(), vec![wide]].concat();
    problems_among(
        &all,
        "[[lan]]\ninterface = \"enp1s0\"\n[[lan]]\n[[lan]]\naddress = \"10.77.0.1\"\n\
         [[lan]]\ninterface = \"enp3s0\"\nbogus = 1\n[[lan]]\ninterface = \"eth9\"\n",
        &expect![[r#"
            appliance.toml:3:1: one LAN of several must say which it is
              tip: write interface = "enp1s0" below it
            appliance.toml:4:1: `enp1s0` is served by another [[lan]] already
            appliance.toml:6:1: the LAN 10.0.0.1/8 of `enp3s0` overlaps with 10.77.0.1/24 of `enp1s0`
            appliance.toml:8:1: unknown field `bogus`, expected one of `address`, `interface`
            appliance.toml:10:13: there is no network interface `eth9` on this machine (there are: lo, enp1s0, enp2s0, enp3s0)
              tip: see `ip -brief address`
        "#]],
    );
    problems_among(
        &interfaces_of_two_lans(),
        "lan = 7\n",
        &expect![[r#"
            appliance.toml:1:7: `lan` must be a table, written [lan], found an integer
            2 network interfaces could be the LAN: write into appliance.toml: [lan] interface = "enp1s0"
        "#]],
    );
}

#[test]
fn in_server_mode_each_lan_has_a_subnet_of_its_own() {
    let folder = folder();
    let file = folder.path().join("appliance.toml").display().to_string();
    let text = LANS.to_owned();
    let loaded = ConfigText { file, text }.check(&interfaces_of_two_lans());
    let config = loaded.unwrap_or_else(|t| panic!("{t:#?}")).config;
    for (server, first, router) in [
        ([10, 77, 0, 1], [10, 77, 0, 50], Some([10, 77, 0, 254])),
        ([10, 78, 0, 1], [10, 78, 0, 50], None),
    ] {
        let site = config.dhcp.site(server.into()).expect("is leased from");
        assert_eq!(site.lan.first, Ipv4Addr::from(first));
        assert_eq!(site.lan.network.router, router.map(Ipv4Addr::from));
        let [attic] = &site.relayed[..] else {
            panic!("{:?}", site.relayed);
        };
        assert_eq!(attic.first, Ipv4Addr::new(10, 79, 0, 50));
    }
    assert!(config.dhcp.site(Ipv4Addr::new(10, 79, 0, 1)).is_none());
}

#[test]
fn what_is_said_of_lans_must_say_of_which() {
    let lans = "[[lan]]\ninterface = \"enp1s0\"\n[[lan]]\ninterface = \"enp2s0\"\n";
    for (text, want) in [
        (
            r#"mode = "server"
range = ["10.77.0.50", "10.77.0.60"]
domain = "lan""#,
            expect![[r#"
                appliance.toml:6:1: no [[dhcp.subnet]] says what is leased on the LAN 10.77.0.1/24 of `enp1s0`
                  tip: write one with network = "10.77.0.0/24" and range = ["10.77.0.50", "10.77.0.200"]
                appliance.toml:6:1: no [[dhcp.subnet]] says what is leased on the LAN 10.78.0.1/24 of `enp2s0`
                  tip: write one with network = "10.78.0.0/24" and range = ["10.78.0.50", "10.78.0.200"]
                appliance.toml:7:1: `range` does not say which of the 2 LANs it is for
                  tip: write it below [[dhcp.subnet]] with network = "10.77.0.0/24"
                appliance.toml:8:1: `domain` does not say which of the 2 LANs it is for
                  tip: write it below [[dhcp.subnet]] with network = "10.77.0.0/24"
            "#]],
        ),
        (
            r#"mode = "server"
[[dhcp.subnet]]
network = "10.78.0.0/24"
range = ["10.78.0.50", "10.77.0.60"]
[dhcp.subnet.reservations]
"52:54:00:00:00:03" = "10.78.0.1"
[[dhcp.subnet]]
network = "10.78.0.0/24"
range = ["10.78.0.70", "10.78.0.80"]
[[dhcp.subnet]]
network = "10.77.0.0/25"
range = ["10.77.0.70", "10.77.0.80"]
router = "10.77.0.2""#,
            expect![[r#"
                appliance.toml:6:1: no [[dhcp.subnet]] says what is leased on the LAN 10.77.0.1/24 of `enp1s0`
                  tip: write one with network = "10.77.0.0/24" and range = ["10.77.0.50", "10.77.0.200"]
                appliance.toml:9:9: `10.78.0.50` comes after `10.77.0.60`
                appliance.toml:9:24: `10.77.0.60` is outside of the LAN 10.78.0.1/24 of `enp2s0`
                appliance.toml:11:23: `10.78.0.1` is the appliance's own address
                appliance.toml:13:11: the network 10.78.0.0/24 overlaps the network 10.78.0.0/24
                appliance.toml:16:11: the network 10.77.0.0/25 overlaps the LAN 10.77.0.1/24 of `enp1s0`
            "#]],
        ),
        (
            r#"mode = "server"
[[dhcp.subnet]]
network = "10.77.0.0/33"
range = ["10.77.0.50", "10.77.0.60"]"#,
            expect![[r#"
                appliance.toml:8:11: `10.77.0.0/33` is not an IPv4 network (like 10.78.0.0/24)
            "#]],
        ),
    ] {
        let text = format!("{lans}[dhcp]\n{text}\n");
        problems_among(&interfaces_of_two_lans(), &text, &want);
    }
    problems(
        r#"[dhcp]
mode = "server"
[[dhcp.subnet]]
network = "10.77.0.0/24"
range = ["10.77.0.50", "10.77.0.60"]
"#,
        &expect![[r#"
            appliance.toml:2:1: server mode needs a `range` of addresses
              tip: write it like range = ["10.77.0.50", "10.77.0.200"]
            appliance.toml:3:1: the subnet has no `router`: its machines could not reach the appliance
              tip: write the relay's address in that network, like router = "10.78.0.1"
            appliance.toml:4:11: the network 10.77.0.0/24 overlaps the LAN 10.77.0.1/24 of `enp1s0`
              tip: what is said of the only LAN stands in [dhcp] itself
        "#]],
    );
}

#[test]
fn a_wrong_interface_is_located_where_it_is_written() {
    problems(
        "[lan]\ninterface = \"eth9\"\n",
        &expect![[r#"
        appliance.toml:2:13: there is no network interface `eth9` on this machine (there are: lo, enp1s0)
          tip: see `ip -brief address`
    "#]],
    );
    problems(
        "[lan]\naddress = \"10.9.9.9\"\n",
        &expect![[r#"
        appliance.toml:2:11: no interface has the address `10.9.9.9`
          tip: see `ip -brief address`
    "#]],
    );
    problems(
        "[lan]\naddress = \"10.9.9\"\n",
        &expect![[r#"
        appliance.toml:2:11: `10.9.9` is not an IPv4 address (like 10.77.0.1)
    "#]],
    );
}
