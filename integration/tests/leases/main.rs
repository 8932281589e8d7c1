//! Server mode and real DHCP clients: leases through their whole life, a relay, an address in use, a load; and proxy
//! mode beside their own server.

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use integration::lab::appliance::RunningAppliance;
use integration::lab::command::{output, run};
use integration::lab::dhcp_client::{DhcpClient, Program};
use integration::lab::lan::{self, APPLIANCE, LanNamespace, ROUTER, SWITCH};
use integration::lab::namespaces::enter_namespaces;
use integration::lab::optional::Optional;
use integration::lab::process::Process;
use integration::lab::products::Products;
use integration::lab::services::{self, DhcpSetup};
use integration::lab::wait::wait_for;

mod contested;

const SERVER: &str = r#"
[dhcp]
mode = "server"
range = ["10.77.0.100", "10.77.0.199"]
router = "10.77.0.254"
allow-default-route = true
"#;

/// A folder that stays, with what everybody said.
fn folder(name: &str) -> anyhow::Result<PathBuf> {
    let base = std::env::var_os("NETBOOT_LAB_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/lab"),
        PathBuf::from,
    );
    let dir = base.join(name);
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    fs::create_dir_all(&dir)?;
    Ok(dir.canonicalize()?)
}

/// A LAN with the appliance alone on it, which is not started yet.
fn appliance(config: &str, dir: &Path) -> anyhow::Result<RunningAppliance> {
    enter_namespaces()?;
    lan::switch()?;
    let room = LanNamespace::new("appliance", APPLIANCE, &dir.join("rooms"))?;
    let mut text = format!("state-dir = \"state\"\n[admin]\nsocket = \"admin.sock\"\n{config}");
    if let Some(ipxe) = std::env::var_os("IPXE_DIR") {
        text.push_str(&format!("\n[boot]\nipxe-dir = {ipxe:?}\n"));
    }
    let products = Products::find()?;
    let mut appliance =
        RunningAppliance::configured(room, &products, &text, dir.join("appliance"))?;
    // Leases that come to an end are worth a line to a test, not to a person.
    appliance.set_env("RUST_LOG", "debug");
    Ok(appliance)
}

/// Whether the appliance's log has a line about this card with these words.
fn says(appliance: &RunningAppliance, mac: &str, words: &str) -> anyhow::Result<bool> {
    let log = fs::read_to_string(&appliance.log)?;
    Ok(log.lines().any(|l| l.contains(mac) && l.contains(words)))
}

fn wait_for_words(
    appliance: &RunningAppliance,
    client: &DhcpClient,
    words: &str,
    limit: u64,
) -> anyhow::Result<()> {
    let what = format!("{:?} to have `{words}`", client.program());
    wait_for(&what, Duration::from_secs(limit), || {
        says(appliance, &client.mac, words)
    })
}

#[test]
fn real_clients_obtain_renew_rebind_and_release() -> anyhow::Result<()> {
    let dir = folder("leases-life")?;
    let mut appliance = appliance(&format!("{SERVER}lease-time = \"1m\"\n"), &dir)?;
    appliance.start()?;
    let all = Program::all()?;
    let mut clients = Vec::new();
    for (number, program) in (1..).zip([all.clone(), all.clone()].concat()) {
        clients.push(DhcpClient::start(program, number, SWITCH, &dir)?);
    }
    let mut addresses = Vec::new();
    for client in &mut clients {
        addresses.push(client.wait_for_address()?);
    }
    println!("obtained: {addresses:?}");
    let different: BTreeSet<&Ipv4Addr> = addresses.iter().collect();
    ensure!(
        different.len() == clients.len(),
        "two have one address: {addresses:?}"
    );

    // The second half cannot reach the server by unicast, so they must find it again by broadcast.
    for client in &clients[all.len()..] {
        for words in [
            "add table ip cut".to_owned(),
            "add chain ip cut out { type filter hook output priority 0; }".to_owned(),
            format!("add rule ip cut out ip daddr {APPLIANCE} udp dport 67 counter drop"),
        ] {
            run(client.room.command("nft").arg(words))?;
        }
    }
    // Renewing is due after 30 s, rebinding after 52 s; a lease ends after 60 s.
    for (client, address) in clients.iter().zip(&addresses) {
        wait_for_words(&appliance, client, &format!("renewed {address}"), 65)?;
        ensure!(
            client.address()? == Some(*address),
            "{:?} has {:?} instead of {address}",
            client.program(),
            client.address()?
        );
    }
    for client in &clients[all.len()..] {
        let rules = output(
            client
                .room
                .command("nft")
                .args(["list", "table", "ip", "cut"]),
        )?;
        ensure!(
            !rules.contains("counter packets 0 "),
            "{:?} never tried to renew: {rules}",
            client.program()
        );
    }
    for (client, address) in clients.iter_mut().zip(&addresses).take(all.len()) {
        client.release()?;
        wait_for_words(&appliance, client, &format!("released {address}"), 10)?;
    }
    Ok(())
}

#[test]
fn in_proxy_mode_clients_are_served_by_their_own_server_alone() -> anyhow::Result<()> {
    let dir = folder("leases-proxy")?;
    let mut appliance = appliance("", &dir)?;
    let home = LanNamespace::new("router", ROUTER, &dir.join("rooms"))?;
    let _router = services::router(&home, DhcpSetup::ByRouter, &dir)?;
    appliance.start()?;
    let mut clients = Vec::new();
    for (number, program) in (1..).zip(Program::all()?) {
        clients.push(DhcpClient::start(program, number, SWITCH, &dir)?);
    }
    for client in &mut clients {
        let address = client.wait_for_address()?;
        let log = fs::read_to_string(dir.join("router.log"))?;
        ensure!(
            log.contains(&format!("DHCPACK(eth0) {address} {}", client.mac)),
            "the router knows nothing of {address}"
        );
        wait_for_words(&appliance, client, "ignored", 5)?;
        ensure!(
            !says(&appliance, &client.mac, "answered")?,
            "the appliance answered {}",
            client.mac
        );
    }
    for client in &mut clients {
        client.release()?;
    }
    Ok(())
}

#[test]
fn clients_behind_a_relay_get_addresses_of_their_own_subnet() -> anyhow::Result<()> {
    Optional::Relay.command("dhcrelay")?;
    let dir = folder("leases-relay")?;
    let subnet = r#"
[[dhcp.subnet]]
network = "10.78.0.0/24"
range = ["10.78.0.50", "10.78.0.99"]
router = "10.78.0.1"
lease-time = "1h"
"#;
    let mut appliance = appliance(&format!("{SERVER}{subnet}"), &dir)?;
    lan::another_switch("attic")?;
    let relay = LanNamespace::new("relay", Ipv4Addr::new(10, 77, 0, 2), &dir.join("rooms"))?;
    relay.plug("eth1", "relay1", "attic")?;
    relay.ip("address add 10.78.0.1/24 dev eth1")?;
    forward(&relay)?;
    appliance
        .room()
        .ip("route add 10.78.0.0/24 via 10.77.0.2")?;
    appliance.start()?;
    // -a adds option 82, and drops answers that do not bring it back as it was.
    let mut command = relay.command("dhcrelay");
    command.args(["-4", "-d", "-a", "-m", "discard"]);
    command.args(["-id", "eth1", "-iu", "eth0", &APPLIANCE.to_string()]);
    let mut relaying =
        Process::start("the relay (dhcrelay)", &mut command, &dir.join("relay.log"))?;
    let log = dir.join("relay.log");
    wait_for("the relay to listen", Duration::from_secs(10), || {
        relaying.still_runs()?;
        Ok(fs::read_to_string(&log)?.contains("Sending on   Socket/fallback"))
    })?;

    for (number, program) in (1..).zip(Program::all()?) {
        let mut client = DhcpClient::start(program, number, "attic", &dir)?;
        let address = client.wait_for_address()?;
        println!("{program:?} behind the relay: {address}");
        ensure!(
            address.octets()[..3] == [10, 78, 0] && address.octets()[3] >= 50,
            "{program:?} has {address}"
        );
        // Given back by unicast, past the relay.
        client.release()?;
        wait_for_words(&appliance, &client, &format!("released {address}"), 10)?;
    }
    let mut local = DhcpClient::start(Program::Udhcpc, 9, SWITCH, &dir)?;
    let address = local.wait_for_address()?;
    ensure!(
        address.octets()[..3] == [10, 77, 0],
        "on the LAN: {address}"
    );
    Ok(())
}

/// The room passes packets on between its cables.
fn forward(room: &LanNamespace) -> anyhow::Result<()> {
    run(room
        .command("sh")
        .args(["-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"]))
}

/// Two LANs that do not know of each other, and an appliance with a card in each.
fn two_lans(dir: &Path) -> anyhow::Result<RunningAppliance> {
    let config = r#"
[[lan]]
interface = "eth0"
[[lan]]
interface = "eth1"
[dhcp]
mode = "server"
allow-default-route = true
[[dhcp.subnet]]
network = "10.77.0.0/24"
range = ["10.77.0.100", "10.77.0.199"]
[[dhcp.subnet]]
network = "10.78.0.0/24"
range = ["10.78.0.50", "10.78.0.99"]
"#;
    let appliance = appliance(config, dir)?;
    lan::another_switch(RACK)?;
    appliance.room().plug("eth1", "appliance1", RACK)?;
    appliance.room().ip("address add 10.78.0.1/24 dev eth1")?;
    Ok(appliance)
}

const RACK: &str = "rack";

#[test]
fn each_of_two_lans_has_addresses_of_its_own() -> anyhow::Result<()> {
    let dir = folder("leases-two-lans")?;
    let mut appliance = two_lans(&dir)?;
    appliance.start()?;
    for (number, program) in (1..).zip(Program::all()?) {
        for (switch, network, number) in [(SWITCH, 77, number), (RACK, 78, 100 + number)] {
            let mut client = DhcpClient::start(program, number, switch, &dir)?;
            let address = client.wait_for_address()?;
            println!("{program:?} on `{switch}`: {address}");
            ensure!(
                address.octets()[..3] == [10, network, 0],
                "{program:?} on `{switch}` has {address}"
            );
            client.release()?;
            wait_for_words(&appliance, &client, &format!("released {address}"), 10)?;
        }
    }
    // Plugged into the other LAN, a client asks for its address first, which is of no use there.
    let mut moving = DhcpClient::start(Program::Dhcpcd, 9, SWITCH, &dir)?;
    let before = moving.wait_for_address()?;
    moving.move_to(RACK)?;
    wait_for(
        "an address of the other LAN",
        Duration::from_secs(30),
        || {
            let address = moving.address()?;
            Ok(address.is_some_and(|address| address.octets()[..3] == [10, 78, 0]))
        },
    )
    .with_context(|| format!("it had {before}; see `{}`", moving.log.display()))?;
    ensure!(
        says(
            &appliance,
            &moving.mac,
            "nak: this address is not of this network"
        )?,
        "nobody told it that {before} is of no use"
    );
    Ok(())
}

#[test]
fn beside_another_server_of_the_same_host_it_must_be_told_to_share_the_port() -> anyhow::Result<()>
{
    let dir = folder("leases-shared")?;
    let mut alone = appliance("[boot]\nunknown = \"wait\"\n", &dir)?;
    // The router lives in the appliance's own room.
    let mut dnsmasq = alone.room().command("dnsmasq");
    dnsmasq
        .args("--no-daemon --conf-file=/dev/null --port=0 --interface=eth0 --log-facility=- --no-ping".split(' '))
        .arg("--log-dhcp")
        .arg("--dhcp-range=10.77.0.100,10.77.0.199,2m")
        .arg(format!("--dhcp-leasefile={}", dir.join("leases").display()));
    let log = dir.join("router.log");
    let mut router = Process::start("the router (dnsmasq)", &mut dnsmasq, &log)?;
    wait_for("the router to start", Duration::from_secs(10), || {
        router.still_runs()?;
        Ok(fs::read_to_string(&log)?.contains("started"))
    })?;

    ensure!(
        alone.start().is_err(),
        "it starts on a port that another has"
    );
    let said = fs::read_to_string(&alone.log)?;
    ensure!(
        said.contains("another program of this host has that port"),
        "{said}"
    );
    ensure!(said.contains("share-port = true"), "no tip: {said}");

    let config = alone.dir().join("appliance.toml");
    let text = fs::read_to_string(&config)?;
    fs::write(&config, format!("{text}\n[dhcp]\nshare-port = true\n"))?;
    alone.start()?;
    let mut plain = DhcpClient::start(Program::Dhcpcd, 1, SWITCH, &dir)?;
    let address = plain.wait_for_address()?;
    ensure!(
        fs::read_to_string(&log)?.contains(&format!("DHCPACK(eth0) {address} {}", plain.mac)),
        "the router does not know {address}"
    );
    let booting = LanNamespace::without_address("rom", SWITCH, &dir.join("rooms"))?;
    booting.ip("link set eth0 address 52:54:00:aa:00:99")?;
    let mut asks = booting.command("busybox");
    asks.args([
        "udhcpc",
        "-f",
        "-n",
        "-q",
        "-i",
        "eth0",
        "-s",
        "/bin/true",
        "-t",
        "2",
        "-T",
        "1",
        "-A",
        "1",
        "-V",
    ]);
    asks.arg("PXEClient:Arch:00007:UNDI:003016");
    // Whom it believes is its own affair: what counts is that both spoke to it.
    let _ = output(&mut asks);
    wait_for(
        "both to answer a machine that netboots",
        Duration::from_secs(5),
        || {
            let router = fs::read_to_string(&log)?.contains("DHCPOFFER(eth0)");
            Ok(router
                && says(
                    &alone,
                    "52:54:00:aa:00:99",
                    "answered given=\"offered snponly.efi",
                )?)
        },
    )?;
    Ok(())
}
