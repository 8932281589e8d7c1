//! A Raspberry Pi, played by the packets of its ROM and by the names that it asks TFTP for: no emulator has that ROM.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use integration::lab::appliance::RunningAppliance;
use integration::lab::lan::{self, APPLIANCE, LanNamespace, ROUTER, SWITCH};
use integration::lab::namespaces::enter_namespaces;
use integration::lab::products::Products;
use integration::lab::services::{self, DhcpSetup};
use integration::lab::wait::wait_until;
use nix::sys::socket::{setsockopt, sockopt};

const MAC: &str = "dc:a6:32:12:34:56";
/// As its packets have it.
const SERIAL: &str = "12345678";
const DISCOVER: &str = include_str!("../../netboot/tests/packets/raspberry-pi/pi4-discover.hex");

/// What the ROM of a Raspberry Pi 4 takes from `raspberry-pi-dir`.
const FIRMWARE: [&str; 3] = ["start4.elf", "fixup4.dat", "bcm2711-rpi-4-b.dtb"];

const PROFILE: &str = "system = \"aarch64-linux\"
[disk]
select = { smallest = true, min-size = \"2G\" }
layout = \"ext4\"
[k3s]
role = \"none\"
";

const CONFIGURATION: &str = "state-dir = \"state\"
[admin]
socket = \"admin.sock\"
[boot]
raspberry-pi-dir = \"firmware\"
[images.installer]
arch = \"aarch64\"
kernel = \"kernel\"
initrd = \"initrd\"
cmdline = \"console=serial0,115200\"
";

/// No two files alike, and none that ends with a full block.
fn contents(name: &str) -> Vec<u8> {
    let length = 100_003 + 10_000 * name.len();
    let of = name.bytes().cycle().zip(0_u32..);
    let mixed = of.map(|(byte, at)| byte ^ (at * 31 % 251) as u8);
    mixed.take(length).collect()
}

/// The octets of a packet of the corpus.
fn octets(text: &str) -> anyhow::Result<Vec<u8>> {
    let lines = text
        .lines()
        .filter(|l| !l.starts_with('#') && !l.starts_with("port "));
    let octets = lines.flat_map(str::split_whitespace);
    Ok(octets
        .map(|octet| u8::from_str_radix(octet, 16))
        .collect::<Result<_, _>>()?)
}

/// The board's network socket, which has no address yet.
fn open_socket() -> anyhow::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 68))?;
    setsockopt(&socket, sockopt::BindToDevice, &"eth0".into())?;
    socket.set_broadcast(true)?;
    socket.set_read_timeout(Some(Duration::from_millis(500)))?;
    Ok(socket)
}

/// Asks as the ROM does, again and again, until the appliance answers.
fn ask(room: &LanNamespace) -> anyhow::Result<Vec<u8>> {
    let discover = octets(DISCOVER)?;
    room.inside(|| {
        let socket = open_socket()?;
        wait_until("the appliance's offer", Duration::from_secs(20), || {
            socket.send_to(&discover, (Ipv4Addr::BROADCAST, 67))?;
            let mut packet = [0; 1500];
            // The router answers as well.
            while let Ok((length, from)) = socket.recv_from(&mut packet) {
                if from.ip() == APPLIANCE {
                    return Ok(Some(packet[..length].to_vec()));
                }
            }
            Ok(None)
        })
    })
}

/// Gets a file by TFTP, in blocks as the ROM takes them; `None` if there is no file of that name.
fn fetch(room: &LanNamespace, name: &str) -> anyhow::Result<Option<Vec<u8>>> {
    let url = format!("tftp://{APPLIANCE}/{name}");
    let options = [
        "-sS",
        "--path-as-is",
        "--max-time",
        "20",
        "--tftp-blksize",
        "1024",
        &url,
    ];
    let output = room.command("curl").args(options).output()?;
    match output.status.code() {
        Some(0) => Ok(Some(output.stdout)),
        // CURLE_TFTP_NOTFOUND
        Some(68) => Ok(None),
        _ => bail!("{name}: {}", String::from_utf8_lossy(&output.stderr)),
    }
}

fn appliance(dir: &Path) -> anyhow::Result<RunningAppliance> {
    let room = LanNamespace::new("appliance", APPLIANCE, &dir.join("rooms"))?;
    let dir = dir.join("appliance");
    let appliance =
        RunningAppliance::configured(room, &Products::find()?, CONFIGURATION, dir.clone())?;
    fs::write(dir.join("hosts/profiles/board.toml"), PROFILE)?;
    fs::create_dir(dir.join("firmware"))?;
    for name in FIRMWARE {
        fs::write(dir.join("firmware").join(name), contents(name))?;
    }
    // What would write to the board's EEPROM, left behind by somebody.
    fs::write(dir.join("firmware/recovery.bin"), "for the EEPROM")?;
    for name in ["kernel", "initrd"] {
        fs::write(dir.join(name), contents(name))?;
    }
    Ok(appliance)
}

#[test]
fn a_raspberry_pi_fetches_its_firmware_and_its_installer_by_its_serial_number_beside_a_home_router()
-> anyhow::Result<()> {
    enter_namespaces()?;
    let dir = tempfile::tempdir()?;
    lan::switch()?;
    let handles = dir.path().join("rooms");
    let home = LanNamespace::new("router", ROUTER, &handles)?;
    let _router = services::router(&home, DhcpSetup::ByRouter, dir.path())?;
    let mut appliance = appliance(dir.path())?;
    appliance.start()?;
    appliance.must(&format!("enroll {MAC} --profile board --name board1"))?;

    let board = LanNamespace::without_address("board", SWITCH, &handles)?;
    board.ip(&format!("link set eth0 address {MAC}"))?;
    let offer =
        ask(&board).with_context(|| fs::read_to_string(&appliance.log).unwrap_or_default())?;
    let has = |text: &[u8]| offer.windows(text.len()).any(|window| window == text);
    ensure!(has(b"Raspberry Pi Boot"), "the ROM takes no other offer");
    ensure!(offer[16..20] == [0; 4], "addresses are the router's");
    ensure!(offer[20..24] == APPLIANCE.octets(), "the server is another");

    // The one that the router gave it.
    board.ip("address add 10.77.0.60/24 dev eth0")?;
    let own = |name: &str| fetch(&board, &format!("{SERIAL}/{name}"));
    for name in FIRMWARE.into_iter().chain(["kernel", "initrd"]) {
        let got = own(name)?.with_context(|| format!("there is no {name}"))?;
        ensure!(
            got == contents(name),
            "{name} came as {} bytes, different",
            got.len()
        );
    }
    let config = String::from_utf8(own("config.txt")?.context("there is no config.txt")?)?;
    ensure!(
        config.contains("kernel=kernel\ninitramfs initrd followkernel"),
        "{config}"
    );
    let cmdline = String::from_utf8(own("cmdline.txt")?.context("there is no cmdline.txt")?)?;
    let attempt = appliance.machine(MAC)?.and_then(|board| board.attempt);
    attempt.context("the board is not to be installed")?;
    let ticket = appliance.ticket(MAC)?;
    ensure!(
        cmdline.contains(&format!("netboot.ticket={ticket}")),
        "{cmdline}"
    );
    ensure!(cmdline.contains("console=serial0,115200"), "{cmdline}");
    let shown = appliance.admin("show board1")?.stdout;
    for line in ["DISCOVER: a Raspberry Pi", "sent kernel", "sent initrd"] {
        ensure!(shown.contains(line), "no `{line}`:\n{shown}");
    }

    for (name, why) in [
        ("12345678/recovery.bin", "writes to the EEPROM"),
        ("12345678/autoboot.txt", "is none"),
        ("12345678/../appliance.toml", "lies elsewhere"),
        ("87654321/start4.elf", "is another board's"),
        ("start4.elf", "is nobody's"),
    ] {
        ensure!(fetch(&board, name)?.is_none(), "{name} {why}, and was sent");
    }

    appliance.must("forget board1")?;
    for name in ["start4.elf", "config.txt", "cmdline.txt", "kernel"] {
        ensure!(
            own(name)?.is_none(),
            "{name} for a board that is not to be installed"
        );
    }
    Ok(())
}
