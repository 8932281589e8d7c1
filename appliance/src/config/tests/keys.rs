//! Every key of `appliance.toml`, with the type of its value and its default (`-` where there is none, or it is written
//! elsewhere): configurations of operators must stay valid.
//!
//! The keys are what the reader says that it expects in place of one that it does not know, so that a new one is in the
//! list as well.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use expect_test::expect_file;
use toml_edit::{DocumentMut, Item, Table};

use super::*;

/// The sample, with the keys that it has no use for.
fn every_key() -> DocumentMut {
    let text = SERVER
        .replace("[dhcp]", "[dhcp]\nshare-port = false")
        .replace(
            "[k3s]",
            "[k3s]\nagent-token-file = \"token\"\napi-token-file = \"later\"",
        );
    text.parse().expect("is TOML")
}

/// `boot.attempts` → what it is without the file, or with the least that gives it a meaning.
fn defaults() -> BTreeMap<&'static str, String> {
    let folder = folder();
    let least = "[dhcp]\nmode = \"server\"\nrange = [\"10.77.0.50\", \"10.77.0.99\"]\n";
    let site_of = |text| {
        let loaded = read(folder.path(), text).unwrap_or_else(|t| panic!("{t:#?}"));
        let site = loaded.config.dhcp.site(Ipv4Addr::new(10, 77, 0, 1));
        site.expect("server mode").clone()
    };
    let lan = &site_of(least).lan;
    let loaded = ConfigText::default().check(&interfaces());
    let Config {
        state_dir,
        hosts_dir,
        flake,
        lans,
        dhcp,
        share_port,
        allow_second_server,
        unknown,
        attempts,
        armed_for,
        ipxe_dir,
        grub_dir,
        raspberry_pi_dir,
        http_port,
        node_port,
        ports: _,
        admin_socket,
        admin_listen,
        images,
        k3s,
        publish,
    } = loaded.unwrap_or_else(|t| panic!("{t:#?}")).config;
    assert!(matches!(dhcp, Dhcp::Proxy), "dhcp.mode: {dhcp:?}");
    assert_eq!(unknown, UnknownPolicy::Ignore);
    let absent = [
        flake.is_none(),
        raspberry_pi_dir.is_none(),
        admin_listen.is_none(),
        images.is_empty(),
        k3s.server.is_none(),
        k3s.token_file.is_none(),
        k3s.agent_token_file.is_none(),
        k3s.api_token_file.is_none(),
        publish.watch.is_none(),
        lan.network.router.is_none(),
        lan.network.domain.is_none(),
        lan.network.dns.is_empty(),
    ];
    assert_eq!(absent, [true; 12], "they are absent");
    let [only] = &lans[..] else {
        panic!("{lans:?}");
    };
    let seconds = |time: Duration| format!("{} s", time.as_secs());
    BTreeMap::from([
        ("state-dir", state_dir.display().to_string()),
        ("hosts-dir", hosts_dir.display().to_string()),
        (
            "lan.interface",
            format!("the obvious one: {}", only.interface),
        ),
        ("lan.address", format!("the interface's: {}", only.address)),
        ("dhcp.mode", "proxy".to_owned()),
        ("dhcp.share-port", share_port.to_string()),
        ("dhcp.lease-time", seconds(lan.lease_time)),
        ("dhcp.allow-second-server", allow_second_server.to_string()),
        ("boot.unknown", "ignore".to_owned()),
        ("boot.attempts", attempts.to_string()),
        ("boot.armed-for", seconds(armed_for)),
        ("boot.ipxe-dir", ipxe_dir.display().to_string()),
        ("boot.grub-dir", grub_dir.display().to_string()),
        ("http.port", http_port.to_string()),
        ("http.node-port", node_port.to_string()),
        ("admin.socket", admin_socket.display().to_string()),
        ("publish.keep", publish.keep.to_string()),
    ])
}

/// The table of this path; of several, the first.
fn table<'d>(document: &'d mut DocumentMut, path: &str) -> &'d mut Table {
    let names = path.split('.').filter(|name| !name.is_empty());
    names.fold(document.as_table_mut(), |table, name| {
        match table.get_mut(name).expect("is there") {
            Item::Table(table) => table,
            Item::ArrayOfTables(all) => all.get_mut(0).expect("has one"),
            other => panic!("{path} is {}", other.type_name()),
        }
    })
}

/// What the reader expects in a table where it finds a key that it does not know.
fn expected(path: &str) -> Vec<String> {
    let mut document = every_key();
    table(&mut document, path).insert("bogus", toml_edit::value(1));
    let folder = folder();
    let trouble = read(folder.path(), &document.to_string()).expect_err("has a bogus key");
    let [only] = trouble.problems.as_slice() else {
        panic!("{trouble:#?}");
    };
    let (_, keys) = only
        .message
        .split_once("expected one of ")
        .expect("says which");
    let keys = keys.split(", ").map(|key| key.trim_matches('`').to_owned());
    keys.collect()
}

#[test]
fn every_key_has_its_type_and_its_default() {
    let folder = folder();
    let mut document = every_key();
    read(folder.path(), &document.to_string()).unwrap_or_else(|t| panic!("{t:#?}"));
    let mut defaults = defaults();
    let mut text = String::new();
    for path in [
        "",
        "lan",
        "dhcp",
        "dhcp.subnet",
        "boot",
        "http",
        "admin",
        "images.installer",
        "publish",
        "k3s",
    ] {
        match path {
            "" => text.push_str("above all tables\n"),
            path => text.push_str(&format!("[{path}]\n")),
        }
        let table = table(&mut document, path);
        for key in expected(path) {
            let value = table.get(&key);
            let value = value.unwrap_or_else(|| panic!("[{path}] {key} is not in the sample"));
            let whole = format!("{path}.{key}");
            let default = defaults.remove(whole.trim_start_matches('.'));
            let default = default.unwrap_or_else(|| "-".to_owned());
            let _ = writeln!(text, "    {key}: {}, {default}", value.type_name());
        }
    }
    assert!(defaults.is_empty(), "keys that are not there: {defaults:?}");
    expect_file!["../samples/keys.txt"].assert_eq(&text);
}
