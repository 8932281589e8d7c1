//! Whole files → whole lists of problems.

use std::net::Ipv4Addr;
use std::path::Path;

use expect_test::{Expect, expect};

use super::*;

fn interfaces() -> Vec<Interface> {
    let wired = |name: &str, address: [u8; 4]| Interface {
        name: name.to_owned(),
        up: true,
        loopback: false,
        ethernet: true,
        wireless: false,
        part_of: None,
        mac: None,
        addresses: vec![(address.into(), Ipv4Addr::new(255, 255, 255, 0))],
    };
    vec![
        Interface {
            loopback: true,
            ..wired("lo", [127, 0, 0, 1])
        },
        wired("enp1s0", [10, 77, 0, 1]),
    ]
}

/// A folder with all the files that the samples name.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    for dir in ["hosts/profiles", "ipxe", "no-loaders"] {
        std::fs::create_dir_all(at.join(dir)).expect("makes a folder");
    }
    for file in ["ipxe/snponly.efi", "bzImage", "initrd", "token"] {
        std::fs::write(at.join(file), "x").expect("writes");
    }
    folder
}

fn read(folder: &Path, text: &str) -> Result<Loaded, Trouble> {
    let file = folder.join("appliance.toml").display().to_string();
    Source {
        file,
        text: text.to_owned(),
    }
    .check(&interfaces())
}

#[track_caller]
fn problems(text: &str, want: &Expect) {
    let folder = folder();
    let got = match read(folder.path(), text) {
        Ok(_) => "valid\n".to_owned(),
        Err(Trouble { problems, lan, .. }) => problems
            .iter()
            .map(ToString::to_string)
            .chain(lan.map(|l| format!("{l}: {}", l.tip())))
            .map(|line| line + "\n")
            .collect(),
    };
    let here = format!("{}/", folder.path().display());
    want.assert_eq(&got.replace(&here, ""));
}

const SERVER: &str = include_str!("samples/server.toml");

#[test]
fn the_example_reads_as_it_is_written() {
    let folder = folder();
    let loaded = read(folder.path(), SERVER).unwrap_or_else(|t| panic!("{t:#?}"));
    let config = &loaded.config;
    let Dhcp::Server { pool, network } = &config.dhcp else {
        panic!("mode is {}", config.dhcp);
    };
    assert_eq!(pool.first, Ipv4Addr::new(10, 77, 0, 50));
    assert_eq!(pool.last, Ipv4Addr::new(10, 77, 0, 200));
    assert_eq!(pool.server, Ipv4Addr::new(10, 77, 0, 1));
    assert_eq!(pool.lease_time, Duration::from_secs(43_200));
    assert_eq!(pool.reservations.len(), 1);
    assert_eq!(network.router, Some(Ipv4Addr::new(10, 77, 0, 254)));
    assert_eq!(network.domain.as_deref(), Some("lan"));
    assert_eq!(config.armed_for, Duration::from_secs(86_400));
    assert_eq!(config.attempts, 3);
    assert_eq!((config.http_port, config.node_port), (8080, 8443));
    let image = config.image_for("x86_64").expect("the image is there");
    assert_eq!(image.image.name, "installer");
    assert_eq!(image.kernel, folder.path().join("bzImage"));
    assert!(config.image_for("aarch64").is_none());
    assert_eq!(
        config.k3s.server.as_deref(),
        Some("https://10.77.0.10:6443")
    );
}

#[test]
fn no_file_at_all_is_proxy_mode_on_the_obvious_interface() {
    let loaded = Source::default()
        .check(&interfaces())
        .unwrap_or_else(|t| panic!("{t:#?}"));
    let config = &loaded.config;
    assert!(matches!(config.dhcp, Dhcp::Proxy));
    assert_eq!(config.unknown, Unknown::Ignore);
    assert_eq!(config.lan.interface, "enp1s0");
    assert_eq!(config.state_dir, Path::new("/var/lib/pxe-appliance"));
    assert_eq!(config.ports, Ports::default());
}

/// Every table of the sample, with a key that does not exist.
#[test]
fn a_bogus_key_in_any_table_is_refused() {
    let folder = folder();
    let headers: Vec<&str> = SERVER.lines().filter(|l| l.starts_with('[')).collect();
    assert!(headers.len() >= 6, "{headers:?}");
    for header in headers {
        let text = SERVER.replace(header, &format!("{header}\nbogus = 1"));
        let trouble = read(folder.path(), &text).expect_err(header);
        let [only] = trouble.problems.as_slice() else {
            panic!("{header}: {trouble:#?}");
        };
        assert!(only.message.contains("`bogus`"), "{header}: {only}");
        let line = SERVER.lines().position(|l| l == header).expect("is there") + 2;
        assert_eq!((only.line, only.column), (line, 1), "{header}: {only}");
    }
    let top = format!("bogus = 1\n{SERVER}");
    assert_eq!(
        read(folder.path(), &top).expect_err("top").problems.len(),
        1
    );
}

#[test]
fn every_problem_is_reported_at_once() {
    problems(
        r#"
state-dir = 7
hosts-dri = "hosts/profiles"

[dhcp]
mode = "server"
range = ["10.77.0.200", "10.77.0.50"]
lease-time = "12x"
dns = ["10.77.0.254", 9]
domain = "my lan"
reservations = { "52:54:00:00:00" = "10.77.0.10", "01:00:5e:00:00:01" = "10.77.0.11" }

[boot]
unknown = "Wait!"
attempts = 0
ipxe-dir = "no-loaders"

[http]
port = 8443

[images.installer]
kernel = "bzImage"
initrd = "missing"
cmdline = "quiet\nboom"
arch = "amd64"

[k3s]
server = "http://10.77.0.10"
token-file = "no-token"
"#,
        &expect![[r#"
            appliance.toml:2:13: must be a string in quotes, found integer
            appliance.toml:3:1: unknown field `hosts-dri`, expected one of `admin`, `boot`, `dhcp`, `hosts-dir`, `http`, `images`, `k3s`, `lan`, `state-dir`
              tip: did you mean `hosts-dir`?
            appliance.toml:7:9: `10.77.0.200` comes after `10.77.0.50`
            appliance.toml:8:14: `12x` is not a duration (write it like 30s, 15m, 12h or 7d)
            appliance.toml:9:23: must be a string in quotes, found integer
            appliance.toml:10:10: `my lan` is not a domain name (like lan or home.example)
            appliance.toml:11:18: `52:54:00:00:00` has 5 octets, a MAC address has 6 (like 52:54:00:12:34:56)
            appliance.toml:11:51: `01:00:5e:00:00:01` is a group address; network cards do not have one
            appliance.toml:14:11: `Wait!` is neither "ignore" nor "wait" nor the name of a profile
            appliance.toml:15:12: `0` is not between 1 and 100
            appliance.toml:16:12: `no-loaders` has none of `undionly.kpxe`, `snponly.efi`, `ipxe.efi`
              tip: on Debian: apt install ipxe
            appliance.toml:19:8: `port` and `node-port` are both 8443
            appliance.toml:23:10: `missing` does not exist
            appliance.toml:24:11: `quiet\nboom` has the character '\n'; it must be one line
            appliance.toml:25:8: `amd64` is not an architecture (write "x86_64" or "aarch64")
            appliance.toml:28:10: `http://10.77.0.10` is neither the URL of a cluster (like https://10.77.0.10:6443) nor a machine's name
            appliance.toml:29:14: `no-token` does not exist
        "#]],
    );
}

#[test]
fn a_key_without_effect_is_refused_and_not_ignored() {
    problems(
        r#"
flake = "."
[dhcp]
range = ["10.77.0.50", "10.77.0.200"]
[boot]
unknown = "discover"
grub-dir = "/usr/lib/grub"
[admin]
listen = "10.77.0.1:8444"
token-file = "token"
"#,
        &expect![[r#"
            appliance.toml:2:1: `flake` is not available in this version
              tip: build the system and run `pxe-admin publish SYSTEM --toplevel PATH`
            appliance.toml:4:1: `range` has no effect in proxy mode
              tip: set mode = "server", or take the line out
            appliance.toml:6:11: `discover` is not available in this version (use "ignore", "wait" or the name of a profile)
            appliance.toml:7:1: `grub-dir` is not available in this version
              tip: this version boots machines by iPXE only: take the line out
            appliance.toml:9:1: `listen` is not available in this version
              tip: run `pxe-admin` on the appliance, or carry the socket over ssh
            appliance.toml:10:1: `token-file` is not available in this version
              tip: run `pxe-admin` on the appliance, or carry the socket over ssh
        "#]],
    );
}

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
            appliance.toml:2:8: `both` is not a mode, expected one of `proxy`, `server`, `off`
        "#]],
        ),
    ] {
        problems(&format!("[dhcp]\n{text}\n"), &want);
    }
}

#[test]
fn what_is_not_toml_is_located() {
    problems(
        "[dhcp\nmode = 1\n",
        &expect![[r#"
        appliance.toml:1:6: invalid table header
    "#]],
    );
    problems(
        "a = 1\na = 2\n",
        &expect![[r#"
        appliance.toml:2:1: duplicate key `a` in document root
    "#]],
    );
    problems(
        "dhcp = \"server\"\n[images]\ninstaller = 1\n",
        &expect![[r#"
        appliance.toml:1:8: `dhcp` must be a table, written [dhcp], found string
        appliance.toml:3:13: `images.installer` must be a table, written [images.installer], found integer
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

#[test]
fn a_profile_for_strangers_must_exist() {
    let folder = folder();
    let text = "[boot]\nunknown = \"worker\"\n";
    let loaded = read(folder.path(), text).expect("is valid by itself");
    let problems = loaded.against(&Profiles::default());
    let [only] = problems.as_slice() else {
        panic!("{problems:?}");
    };
    assert_eq!((only.line, only.column), (2, 11));
    assert!(only.message.contains("`worker`"), "{only}");
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused(text: String) {
        let _ = Source { file: "f".to_owned(), text }.check(&interfaces());
    }
}
