//! Addresses that others use already, and more clients than a home has.

use super::*;

#[test]
fn an_address_that_somebody_uses_is_not_offered() -> anyhow::Result<()> {
    let dir = folder("leases-in-use")?;
    let mut appliance = appliance(SERVER, &dir)?;
    let first = Ipv4Addr::new(10, 77, 0, 100);
    let _squatter = LanNamespace::new("squatter", first, &dir.join("rooms"))?;
    appliance.start()?;
    let mut client = DhcpClient::start(Program::Udhcpc, 1, SWITCH, &dir)?;
    let address = client.wait_for_address()?;
    ensure!(address == Ipv4Addr::new(10, 77, 0, 101), "it has {address}");
    let events = appliance.must("events")?;
    ensure!(events.contains("10.77.0.100 is used by"), "{events}");
    Ok(())
}

/// The appliance may not ask the wire, so the client is the first to notice.
#[test]
fn an_address_that_a_client_declines_rests() -> anyhow::Result<()> {
    let dir = folder("leases-declined")?;
    let mut appliance = appliance(SERVER, &dir)?;
    let first = Ipv4Addr::new(10, 77, 0, 100);
    let _squatter = LanNamespace::new("squatter", first, &dir.join("rooms"))?;
    appliance.forbid_raw_sockets();
    appliance.start()?;
    let mut clients = Vec::new();
    for (number, program) in (1..).zip([Program::Udhcpc, Program::Dhcpcd]) {
        let mut client = DhcpClient::start_careful(program, number, SWITCH, &dir)?;
        let address = client.wait_for_address()?;
        println!("{program:?}: {address}");
        ensure!(
            address != first,
            "{program:?} has an address that is in use"
        );
        clients.push(client);
    }
    let declined = format!("declined {first}; it rests");
    let by = clients
        .iter()
        .map(|client| says(&appliance, &client.mac, &declined));
    let by = by.collect::<anyhow::Result<Vec<_>>>()?;
    ensure!(
        by == [true, false],
        "declined by the first alone, and rests: {by:?}"
    );
    let events = appliance.must("events")?;
    ensure!(events.contains("10.77.0.100"), "{events}");
    Ok(())
}

/// A client on the LAN invents cards until no address is left for strangers; an enrolled machine comes after it.
#[test]
fn a_flood_of_invented_cards_leaves_an_address_for_an_enrolled_machine() -> anyhow::Result<()> {
    let dir = folder("leases-flood")?;
    let subnet = r#"
[[dhcp.subnet]]
network = "10.80.0.0/24"
range = ["10.80.0.50", "10.80.0.199"]
router = "10.80.0.1"
"#;
    let mut appliance = appliance(&format!("{SERVER}{subnet}"), &dir)?;
    let load = LanNamespace::new("load", Ipv4Addr::new(10, 77, 0, 2), &dir.join("rooms"))?;
    load.ip("address add 10.80.0.1/24 dev eth0")?;
    appliance.room().ip("route add 10.80.0.0/24 dev eth0")?;
    let hosts = appliance.dir().join("hosts/profiles/worker.toml");
    fs::write(hosts, integration::lab::testbed::WORKER)?;
    appliance.set_env("RUST_LOG", "info,appliance::dhcp=debug");
    appliance.start()?;
    let client = "52:54:00:aa:00:01";
    appliance.must(&format!("enroll {client} --profile worker --name node1"))?;

    let mut perfdhcp = load.command("perfdhcp");
    perfdhcp.args([
        "-4",
        "-l",
        "10.80.0.1",
        "-r",
        "1000",
        "-R",
        "60000",
        "-p",
        "20",
    ]);
    perfdhcp.arg(APPLIANCE.to_string());
    let mut flood = Process::start("perfdhcp", &mut perfdhcp, &dir.join("flood.log"))?;
    let exhausted = "10.80.0.50 to 10.80.0.181";
    wait_for(
        "the strangers' part to be used up",
        Duration::from_secs(15),
        || {
            flood.still_runs()?;
            Ok(appliance.must("events")?.contains(exhausted))
        },
    )?;
    // On the LAN, beside it.
    let begun = std::time::Instant::now();
    let mut plain = DhcpClient::start(Program::Udhcpc, 1, SWITCH, &dir)?;
    let address = plain.wait_for_address()?;
    println!(
        "an enrolled machine has {address} after {:?}",
        begun.elapsed()
    );
    flood.still_runs()?;
    let events = appliance.must("events")?;
    let told = events.matches(exhausted).count();
    ensure!(told == 1, "told {told} times: {events}");
    Ok(())
}

#[test]
fn five_hundred_exchanges_a_second_lose_nothing() -> anyhow::Result<()> {
    let dir = folder("leases-load")?;
    let subnet = r#"
[[dhcp.subnet]]
network = "10.80.0.0/16"
range = ["10.80.1.0", "10.80.200.0"]
router = "10.80.0.1"
"#;
    let mut appliance = appliance(&format!("{SERVER}{subnet}"), &dir)?;
    // perfdhcp plays a relay with clients behind it.
    let load = LanNamespace::new("load", Ipv4Addr::new(10, 77, 0, 2), &dir.join("rooms"))?;
    load.ip("address add 10.80.0.1/16 dev eth0")?;
    appliance.room().ip("route add 10.80.0.0/16 dev eth0")?;
    appliance.set_env("RUST_LOG", "info");
    appliance.start()?;
    let mut perfdhcp = load.command("perfdhcp");
    perfdhcp.args([
        "-4",
        "-l",
        "10.80.0.1",
        "-r",
        "500",
        "-R",
        "20000",
        "-p",
        "6",
        // Microseconds for the last answers.
        "-W",
        "2000000",
    ]);
    perfdhcp.arg(APPLIANCE.to_string());
    let said = perfdhcp.output().context("cannot run `perfdhcp`")?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    println!("{said}");
    let drops: Vec<&str> = said
        .lines()
        .filter_map(|l| l.strip_prefix("drops: "))
        .collect();
    ensure!(drops == ["0", "0"], "some exchanges were lost: {drops:?}");
    let received = said
        .lines()
        .filter_map(|l| l.strip_prefix("received packets: "));
    let received: Vec<u32> = received.filter_map(|n| n.parse().ok()).collect();
    ensure!(
        received.iter().all(|n| *n >= 2_000),
        "too few for six seconds: {received:?}"
    );
    Ok(())
}
