//! Broadcasts between two network namespaces that the test makes: the appliance in one, a machine in the
//! other. Needs root; says so where it has to skip.

use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::process::{Child, Command};

use nix::sched::{CloneFlags, setns, unshare};
use socket2::{Domain, Socket, Type};

use super::*;
use crate::config::Ports;
use crate::lan;
use crate::testing::{DISCOVER, House, MAC, REQUEST, STRANGER, UEFI, boot, enroll, mac, packet};

/// A process that holds the machine's namespace; ends with the test.
struct Holder(Child);

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(line: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    let status = Command::new(words[0]).args(&words[1..]).status();
    assert!(status.is_ok_and(|s| s.success()), "{line}");
}

/// This thread moves into a namespace of its own, with one end of a cable; the machine has the other.
fn two_ends_of_a_cable() -> Holder {
    run("ip link set lo up");
    let holder = Command::new("unshare").args(["-n", "sleep", "60"]).spawn();
    let holder = Holder(holder.expect("starts"));
    let pid = holder.0.id();
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
        "ip link add lan0 type veth peer name pc0 netns {pid}"
    ));
    run("ip address add 10.77.0.1/24 dev lan0");
    run("ip link set lan0 up");
    holder
}

/// Port `port` of the machine, which has no address yet.
fn machine(namespace: &std::fs::File, port: u16) -> UdpSocket {
    let namespace = namespace.try_clone().expect("is open");
    let enter = move || {
        setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET).expect("enters");
        run("ip link set pc0 up");
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
        socket.set_broadcast(true).expect("may broadcast");
        socket.bind_device(Some(b"pc0")).expect("binds to the card");
        let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port);
        socket.bind(&any.into()).expect("binds");
        let limit = Some(Duration::from_secs(5));
        socket.set_read_timeout(limit).expect("has a limit");
        UdpSocket::from(socket)
    };
    std::thread::spawn(enter).join().expect("enters")
}

#[test]
fn a_machine_without_an_address_is_offered_a_loader_by_broadcast() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: network namespaces need root");
        return;
    }
    if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
        println!("skipped: no network namespace: {error}");
        return;
    }
    let holder = two_ends_of_a_cable();
    let path = format!("/proc/{}/ns/net", holder.0.id());
    let namespace = std::fs::File::open(path).expect("opens");
    let socket = machine(&namespace, 68);

    let mut house = House::new(&boot(""));
    let interfaces = lan::interfaces().expect("lists interfaces");
    let config = &mut house.checked.config.config;
    config.lan = lan::choose(&interfaces, None, None).expect("lan0 is obvious");
    assert_eq!(config.lan.interface, "lan0");
    config.ports = Ports {
        tftp: 0,
        ..Ports::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let bound = house.bind().await;
        let app = bound.app().clone();
        enroll(&app, mac(MAC)).await;
        let stop = CancellationToken::new();
        let running = tokio::spawn(bound.run(stop.clone()));
        let asking = tokio::task::spawn_blocking(move || {
            let everybody = ("255.255.255.255", 67);
            let mut stranger = packet(DISCOVER, STRANGER, &UEFI);
            stranger[4..8].copy_from_slice(b"none");
            for packet in [stranger, packet(DISCOVER, MAC, &UEFI)] {
                socket.send_to(&packet, everybody).expect("sends");
            }
            let mut offer = [0; 1500];
            let (length, from) = socket.recv_from(&mut offer).expect("an offer");
            (offer[..length].to_vec(), from)
        });
        let (offer, from) = asking.await.expect("asks");
        assert_eq!(from.to_string(), "10.77.0.1:67");
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
        let pid = holder.0.id();
        run(&format!(
            "nsenter -t {pid} -n ip address add 10.77.0.9/24 dev pc0"
        ));
        let socket = machine(&namespace, 4011);
        let asking = tokio::task::spawn_blocking(move || {
            let mut ask = packet(REQUEST, MAC, &UEFI);
            ask[12..16].copy_from_slice(&[10, 77, 0, 9]);
            socket.send_to(&ask, ("10.77.0.1", 4011)).expect("sends");
            let mut answer = [0; 1500];
            let (length, from) = socket.recv_from(&mut answer).expect("an answer");
            (answer[..length].to_vec(), from)
        });
        let (answer, from) = asking.await.expect("asks");
        assert_eq!(from.to_string(), "10.77.0.1:4011");
        assert!(String::from_utf8_lossy(&answer).contains("snponly.efi"));
        assert_eq!(app.counters.packets.sent.get(), 2);
        assert_eq!(app.counters.packets.ignored.get(), 1);
        stop.cancel();
        running.await.expect("ends").expect("ends well");
    });
}
