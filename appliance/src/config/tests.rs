//! Whole files → whole lists of problems.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use expect_test::{Expect, expect};
use netboot::machine::decide::UnknownPolicy;
use netboot::profile::Profiles;

use super::*;
use crate::net::Interface;

mod keys;
mod lans;
mod server;

fn interfaces() -> Vec<Interface> {
    let wired = |name: &str, address: [u8; 4]| Interface {
        name: name.to_owned(),
        up: true,
        loopback: false,
        ethernet: true,
        wireless: false,
        default_route: false,
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

/// A second card, for those who have one.
fn interfaces_of_two_lans() -> Vec<Interface> {
    let mut all = interfaces();
    let second = Interface {
        name: "enp2s0".to_owned(),
        addresses: vec![(Ipv4Addr::new(10, 78, 0, 1), Ipv4Addr::new(255, 255, 255, 0))],
        ..all[1].clone()
    };
    all.push(second);
    all
}

/// A folder with all the files that the samples name.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    for dir in ["hosts/profiles", "ipxe", "grub", "pi", "no-loaders"] {
        std::fs::create_dir_all(at.join(dir)).expect("makes a folder");
    }
    for file in [
        "grub/shimx64.efi",
        "ipxe/snponly.efi",
        "bzImage",
        "initrd",
        "token",
    ] {
        std::fs::write(at.join(file), "x").expect("writes");
    }
    folder
}

fn read(folder: &Path, text: &str) -> Result<Loaded, ConfigTrouble> {
    let file = folder.join("appliance.toml").display().to_string();
    ConfigText {
        file,
        text: text.to_owned(),
    }
    .check(&interfaces())
}

#[track_caller]
fn problems(text: &str, want: &Expect) {
    problems_among(&interfaces(), text, want);
}

#[track_caller]
fn problems_among(interfaces: &[Interface], text: &str, want: &Expect) {
    let folder = folder();
    let file = folder.path().join("appliance.toml").display().to_string();
    let text = text.to_owned();
    let got = match (ConfigText { file, text }).check(interfaces) {
        Ok(_) => "valid\n".to_owned(),
        Err(ConfigTrouble { problems, lan, .. }) => problems
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
    let own = Ipv4Addr::new(10, 77, 0, 1);
    let site = config.dhcp.site(own).expect("server mode");
    let lan = &site.lan;
    assert_eq!(site.server, Ipv4Addr::new(10, 77, 0, 1));
    assert_eq!(lan.first, Ipv4Addr::new(10, 77, 0, 50));
    assert_eq!(lan.last, Ipv4Addr::new(10, 77, 0, 200));
    assert_eq!(lan.lease_time, Duration::from_secs(43_200));
    let reserved = lan.reservations.holder(Ipv4Addr::new(10, 77, 0, 10));
    assert_eq!(reserved, "52:54:00:00:00:01".parse().ok());
    assert_eq!(lan.network.router, Some(Ipv4Addr::new(10, 77, 0, 254)));
    assert_eq!(lan.network.domain.as_deref(), Some("lan"));
    let [attic] = &site.relayed[..] else {
        panic!("{:?}", site.relayed);
    };
    assert_eq!(attic.first, Ipv4Addr::new(10, 78, 0, 50));
    assert_eq!(attic.network.netmask, Ipv4Addr::new(255, 255, 255, 0));
    assert_eq!(attic.network.router, Some(Ipv4Addr::new(10, 78, 0, 1)));
    assert!(!config.share_port);
    assert_eq!(config.armed_for, Duration::from_secs(86_400));
    assert_eq!(config.attempts, 3);
    let publish = PublishConfig {
        keep: 5,
        watch: Some(Duration::from_secs(300)),
    };
    assert_eq!(config.publish, publish);
    assert_eq!((config.http_port, config.node_port), (8080, 8443));
    let [image] = &config.images[..] else {
        panic!("{:?}", config.images);
    };
    assert_eq!(
        (&*image.image.name, &*image.image.arch),
        ("installer", "x86_64")
    );
    assert_eq!(image.kernel, folder.path().join("bzImage"));
    // `pxe-admin` is told, and runs in another folder.
    let flake = folder.path().display().to_string();
    assert_eq!(config.flake, Some(flake));
    let listen = config.admin_listen.as_ref().expect("it listens");
    assert_eq!(listen.address.to_string(), "10.77.0.1:8444");
    assert_eq!(listen.token_file, Some(folder.path().join("admin.token")));
    assert_eq!(
        config.k3s.server.as_deref(),
        Some("https://10.77.0.10:6443")
    );
}

#[test]
fn no_file_at_all_is_proxy_mode_on_the_obvious_interface() {
    let loaded = ConfigText::default()
        .check(&interfaces())
        .unwrap_or_else(|t| panic!("{t:#?}"));
    let config = &loaded.config;
    assert!(matches!(config.dhcp, Dhcp::Proxy));
    assert_eq!(config.unknown, UnknownPolicy::Ignore);
    assert_eq!(config.lans[0].interface, "enp1s0");
    assert_eq!(config.state_dir, Path::new("/var/lib/pxe-appliance"));
    assert_eq!(config.hosts_dir, Path::new("hosts/profiles"));
    assert_eq!(config.admin_listen, None, "nobody on the LAN commands");
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
grub-dir = "no-loaders"
raspberry-pi-dir = "no-pi"

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

[publish]
keep = 0
watch = "5s"
"#,
        &expect![[r#"
            appliance.toml:2:13: `state-dir` must be a string in quotes, found an integer
            appliance.toml:3:1: unknown field `hosts-dri`, expected one of `admin`, `boot`, `dhcp`, `flake`, `hosts-dir`, `http`, `images`, `k3s`, `lan`, `publish`, `state-dir`
              tip: did you mean `hosts-dir`?
            appliance.toml:7:9: `10.77.0.200` comes after `10.77.0.50`
            appliance.toml:8:14: `12x` is not a duration (write it like 30s, 15m, 12h or 7d)
            appliance.toml:9:23: each of `dns` must be a string in quotes, found an integer
            appliance.toml:10:10: `my lan` is not a domain name (like lan or home.example)
            appliance.toml:11:18: the MAC `52:54:00:00:00` has 5 octets, a MAC address has 6 (like 52:54:00:12:34:56)
            appliance.toml:11:51: the MAC `01:00:5e:00:00:01` is a group address; network cards do not have one
            appliance.toml:14:11: `Wait!` is neither "ignore" nor "wait" nor "discover" nor the name of a profile
            appliance.toml:15:12: `0` is not between 1 and 100
            appliance.toml:16:12: `no-loaders` has no boot loader; looked for `undionly.kpxe`, `snponly.efi`, `ipxe.efi`
              tip: on Debian: apt install ipxe
            appliance.toml:17:12: `no-loaders` has no boot loader; looked for `shimx64.efi`, `grubx64.efi`, `shimia32.efi`
              tip: on Debian: apt install shim-signed grub-efi-amd64-signed
            appliance.toml:18:20: `no-pi` does not exist
            appliance.toml:21:8: `port` and `node-port` are both 8443
            appliance.toml:25:10: `missing` does not exist
            appliance.toml:26:11: `quiet\nboom` has the character '\n'; it must be one line of ASCII
            appliance.toml:27:8: `amd64` is not an architecture (write "x86_64" or "aarch64")
            appliance.toml:30:10: `http://10.77.0.10` is neither the URL of a cluster (like https://10.77.0.10:6443) nor a machine's name
            appliance.toml:31:14: `no-token` does not exist
            appliance.toml:34:8: `0` is not between 1 and 1000
            appliance.toml:35:9: is shorter than ten seconds
            appliance.toml:35:9: `watch` follows the flake, and `flake` is not set
              tip: write at the top of the file, such as flake = "git+https://example.org/lab"
        "#]],
    );
}

#[test]
fn a_key_without_effect_is_refused_and_not_ignored() {
    problems(
        r#"
[dhcp]
range = ["10.77.0.50", "10.77.0.200"]
[admin]
token-file = "token"
"#,
        &expect![[r#"
            appliance.toml:3:1: `range` has no effect in proxy mode
              tip: set mode = "server", or take the line out
            appliance.toml:5:1: `token-file` has no effect without `listen`
              tip: write listen = "10.77.0.1:8444", or take the line out
        "#]],
    );
}

#[test]
fn a_flake_is_there_or_is_a_url() {
    problems(
        "flake = \"nowhere\"\n",
        &expect![[r#"
            appliance.toml:1:9: `nowhere` does not exist
        "#]],
    );
    problems(
        "flake = \".#worker\"\n",
        &expect![[r#"
            appliance.toml:1:9: `.#worker` is neither a path nor a flake URL (like git+https://example.org/lab)
        "#]],
    );
    // Without a word of the secret.
    problems(
        "flake = \"git+https://me:s3cret@example.org/lab\"\n",
        &expect![[r#"
            appliance.toml:1:9: holds credentials, and a flake's URL is in the log, in events and in what `pxe-admin` prints
              tip: take out what stands before the `@`, and give it to Git: in `.netrc` in the folder that the service's `HOME` names
        "#]],
    );
    problems(
        "flake = \"https://s3cret@example.org/lab.tar.gz\"\n",
        &expect![[r#"
            appliance.toml:1:9: holds credentials, and a flake's URL is in the log, in events and in what `pxe-admin` prints
              tip: take out what stands before the `@`, and give it to Nix: as `access-tokens` in nix.conf, or in the file that its `netrc-file` names
        "#]],
    );
}

#[test]
fn the_door_on_the_network_is_an_address_and_a_port_of_its_own() {
    for (listen, token_file, want) in [
        (
            "10.77.0.1:8443",
            "token",
            expect![[r#"
                appliance.toml:3:10: port 8443 is that of `http.node-port`
            "#]],
        ),
        (
            "10.77.0.1",
            "hosts",
            expect![[r#"
                appliance.toml:3:10: `10.77.0.1` is not an IPv4 address and a port (like 10.77.0.1:8444)
                appliance.toml:4:14: `hosts` is not a file
            "#]],
        ),
        (
            "appliance.lan:8444",
            "",
            expect![[r#"
                appliance.toml:3:10: `appliance.lan:8444` is not an IPv4 address and a port (like 10.77.0.1:8444)
                appliance.toml:4:14: `` is not a path
            "#]],
        ),
    ] {
        let text = format!("\n[admin]\nlisten = \"{listen}\"\ntoken-file = \"{token_file}\"\n");
        problems(&text, &want);
    }
}

#[test]
fn a_port_is_shared_in_so_many_words_only() {
    problems(
        "[dhcp]\nshare-port = \"yes\"\n",
        &expect![[r#"
            appliance.toml:2:14: `share-port` must be true or false, found a string
        "#]],
    );
    let folder = folder();
    let loaded = read(folder.path(), "[dhcp]\nshare-port = true\n");
    assert!(loaded.expect("reads").config.share_port);
}

#[test]
fn what_is_not_toml_is_located() {
    problems(
        "[dhcp\nmode = 1\n",
        &expect![[r#"
            appliance.toml:1:6: invalid table header: expected `.`, `]`
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
            appliance.toml:1:8: `dhcp` must be a table, written [dhcp], found a string
            appliance.toml:3:13: `images.installer` must be a table, written [images.installer], found an integer
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
        let _ = ConfigText { file: "f".to_owned(), text }.check(&interfaces());
    }
}
