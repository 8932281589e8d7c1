//! Broadcasts between network namespaces that the test makes: the appliance in one, a machine in each other.
//! Needs root; says so where it has to skip.

use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::process::{Child, Command};

use nix::sched::{CloneFlags, setns, unshare};
use socket2::{Domain, Socket, Type};

use super::*;
use crate::config::Ports;
use crate::net;
use crate::testing::{
    DISCOVER, IPXE, MAC, REQUEST, STRANGER, TestConfig, UEFI, boot, enroll, mac, packet,
};

/// A machine at the other end of a cable: a process that holds its namespace, and ends with the test.
struct Machine {
    holder: Child,
    card: &'static str,
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn run(line: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    let status = Command::new(words[0]).args(&words[1..]).status();
    assert!(status.is_ok_and(|s| s.success()), "{line}");
}

/// This thread moves into a network namespace of its own, if it may.
fn on_its_own() -> bool {
    if !nix::unistd::geteuid().is_root() {
        crate::testing::skipped("network namespaces need root");
        return false;
    }
    if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
        crate::testing::skipped(&format!("no network namespace: {error}"));
        return false;
    }
    run("ip link set lo up");
    true
}

impl Machine {
    /// A cable between the interface `lan` here, which gets the address, and the machine's `card`.
    fn new(lan: &str, address: &str, card: &'static str) -> Self {
        let holder = Command::new("unshare").args(["-n", "sleep", "60"]).spawn();
        let machine = Self {
            holder: holder.expect("starts"),
            card,
        };
        let pid = machine.holder.id();
        // `unshare` is in its own namespace once it has become `sleep`.
        let begun = std::time::Instant::now();
        let name = format!("/proc/{pid}/comm");
        while std::fs::read_to_string(&name).is_ok_and(|n| n.trim() != "sleep") {
            assert!(
                begun.elapsed() < Duration::from_secs(10),
                "the namespace did not come about"
            );
            std::thread::yield_now();
        }
        run(&format!(
            "ip link add {lan} type veth peer name {card} netns {pid}"
        ));
        run(&format!("ip address add {address}/24 dev {lan}"));
        run(&format!("ip link set {lan} up"));
        machine.run(&format!("ip link set {card} up"));
        machine
    }

    /// A command on the machine.
    fn run(&self, line: &str) {
        run(&format!("nsenter -t {} -n {line}", self.holder.id()));
    }

    /// What a thread on the machine gives.
    fn there<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let namespace = std::fs::File::open(format!("/proc/{}/ns/net", self.holder.id()));
        let namespace = namespace.expect("opens");
        let enter = move || {
            setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET).expect("enters");
            job()
        };
        std::thread::spawn(enter).join().expect("enters")
    }

    /// Port `port` of the machine, which has no address yet.
    fn socket(&self, port: u16) -> UdpSocket {
        let card = self.card;
        self.there(move || {
            let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
            socket.set_broadcast(true).expect("may broadcast");
            socket
                .bind_device(Some(card.as_bytes()))
                .expect("binds to the card");
            let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port);
            socket.bind(&any.into()).expect("binds");
            let limit = Some(Duration::from_secs(5));
            socket.set_read_timeout(limit).expect("has a limit");
            UdpSocket::from(socket)
        })
    }
}

/// An appliance with the ports of the protocols on these interfaces.
fn house_on(interfaces: &[&str]) -> TestConfig {
    let mut house = TestConfig::new(&boot(""));
    let known = net::interfaces().expect("lists interfaces");
    let config = &mut house.checked.config.config;
    config.lans = interfaces
        .iter()
        .map(|name| net::choose(&known, Some(name), None).expect("is there"))
        .collect();
    config.ports = Ports::default();
    house
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Sends a packet and waits for the answer.
async fn ask(
    socket: UdpSocket,
    packets: Vec<Vec<u8>>,
    to: (&'static str, u16),
) -> (Vec<u8>, String) {
    let asking = tokio::task::spawn_blocking(move || {
        for packet in packets {
            socket.send_to(&packet, to).expect("sends");
        }
        let mut answer = [0; 1500];
        let (length, from) = socket.recv_from(&mut answer).expect("an answer");
        (answer[..length].to_vec(), from.to_string())
    });
    asking.await.expect("asks")
}

const EVERYBODY: &str = "255.255.255.255";

#[test]
fn a_machine_without_an_address_is_offered_a_loader_by_broadcast() {
    if !on_its_own() {
        return;
    }
    let machine = Machine::new("lan0", "10.77.0.1", "pc0");
    runtime().block_on(async {
        let bound = house_on(&["lan0"]).bind().await;
        let components = bound.components().clone();
        enroll(&components, mac(MAC)).await;
        let stop = CancellationToken::new();
        let running = tokio::spawn(bound.run(stop.clone()));
        let mut stranger = packet(DISCOVER, STRANGER, &UEFI);
        stranger[4..8].copy_from_slice(b"none");
        let packets = vec![stranger, packet(DISCOVER, MAC, &UEFI)];
        let (offer, from) = ask(machine.socket(68), packets, (EVERYBODY, 67)).await;
        assert_eq!(from, "10.77.0.1:67");
        assert_eq!(offer[0], 2, "an answer");
        assert_eq!(
            offer[4..8],
            [0xde, 0xad, 0xbe, 0xef],
            "and not to the stranger"
        );
        assert_eq!(offer[16..20], [0; 4], "a proxy gives no address");
        let file = String::from_utf8_lossy(&offer[108..236]).into_owned();
        assert!(
            file.starts_with("52-54-00-12-34-56/snponly.efi\0"),
            "{file:?}"
        );

        // By now the machine has an address from its router, and asks again as EDK2 does.
        machine.run("ip address add 10.77.0.9/24 dev pc0");
        let mut again = packet(REQUEST, MAC, &UEFI);
        again[12..16].copy_from_slice(&[10, 77, 0, 9]);
        let (answer, from) = ask(machine.socket(4011), vec![again], ("10.77.0.1", 4011)).await;
        assert_eq!(from, "10.77.0.1:4011");
        assert!(String::from_utf8_lossy(&answer).contains("snponly.efi"));
        assert_eq!(components.counters.packets.sent.get(), 2);
        assert_eq!(components.counters.packets.ignored.get(), 1);
        stop.cancel();
        running.await.expect("ends").expect("ends well");
    });
}

/// Two LANs that do not know of each other: on each, every answer comes from the address there and names it.
#[test]
fn machines_on_two_lans_are_told_the_address_of_their_own() {
    if !on_its_own() {
        return;
    }
    let machines = [
        (
            Machine::new("lan0", "10.77.0.1", "pc0"),
            "10.77.0.1",
            "10.77.0.9",
        ),
        (
            Machine::new("lan1", "10.78.0.1", "pc1"),
            "10.78.0.1",
            "10.78.0.9",
        ),
    ];
    runtime().block_on(async {
        let bound = house_on(&["lan0", "lan1"]).bind().await;
        let components = bound.components().clone();
        enroll(&components, mac(MAC)).await;
        let stop = CancellationToken::new();
        let running = tokio::spawn(bound.run(stop.clone()));
        for ((machine, here, own), segment) in machines.iter().zip(components.settings.segments()) {
            let octets = here.parse::<Ipv4Addr>().expect("an address").octets();
            for (stage, options) in [("UEFI", &UEFI[..]), ("iPXE", &IPXE[..])] {
                let discover = packet(DISCOVER, MAC, options);
                let (offer, from) = ask(machine.socket(68), vec![discover], (EVERYBODY, 67)).await;
                assert_eq!(from, format!("{here}:67"), "{stage}");
                assert_eq!(offer[20..24], octets, "{stage}: the next server");
                let server = [&[54, 4][..], &octets].concat();
                assert!(offer.windows(6).any(|w| w == server), "{stage}: option 54");
                let url = format!("http://{here}:{}/boot.ipxe", segment.address.http_port);
                let text = String::from_utf8_lossy(&offer).into_owned();
                assert_eq!(text.contains(&url), stage == "iPXE", "{stage}: {text:?}");
            }

            machine.run(&format!("ip address add {own}/24 dev {}", machine.card));
            let name = format!("{}/snponly.efi", mac(MAC).dashed());
            let read = [b"\0\x01", name.as_bytes(), b"\0octet\0"].concat();
            let (block, from) = ask(machine.socket(2000), vec![read], (here, 69)).await;
            assert_eq!(block[..4], [0, 3, 0, 1]);
            assert!(from.starts_with(&format!("{here}:")), "{from}");

            let at = (*here, segment.address.http_port);
            let connect = move || std::net::TcpStream::connect(at).expect("connects");
            let script = get_with(machine.there(connect), &format!("/boot.ipxe?mac={MAC}")).await;
            for (what, port) in [
                ("http", segment.address.http_port),
                ("netboot.url=https", segment.address.node_port),
            ] {
                let url = format!("{what}://{here}:{port}");
                assert!(script.contains(&url), "{url}: {script}");
            }
            assert_eq!(script.matches("10.7").count(), script.matches(here).count());
        }
        stop.cancel();
        running.await.expect("ends").expect("ends well");
    });
}

/// The answer to a GET on a connection that stands already.
async fn get_with(stream: std::net::TcpStream, path: &str) -> String {
    use std::io::{Read, Write};

    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let asking = tokio::task::spawn_blocking(move || {
        let mut stream = stream;
        let limit = Some(Duration::from_secs(10));
        stream.set_read_timeout(limit).expect("has a limit");
        stream.write_all(request.as_bytes()).expect("sends");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer in time");
        text
    });
    asking.await.expect("asks")
}
