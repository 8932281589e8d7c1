//! Packets in, outcomes out; and a real socket where the test may have one.

use netboot::dhcp::offer_fallback::{BootMethod, OfferForm};
use netboot::dhcp::request::Ignored;
use netboot::doctor::boot_trace::BootEvent;
use netboot::machine::State;

use super::*;
use crate::run::components::Components;
use crate::testing::{
    BIOS, DISCOVER, IPXE, MAC, REQUEST, STRANGER, TestConfig, UEFI, at_home, boot, enroll, mac,
    packet,
};

const SERVER: &str = "[dhcp]\nmode = \"server\"\nrange = [\"127.1.0.10\", \"127.1.0.20\"]\n";

async fn components(more: &str) -> (TestConfig, Arc<Components>) {
    let house = TestConfig::new(more);
    let components = house.bind().await.components().clone();
    (house, components)
}

/// The words of an outcome: what was given and where to, or why there is no answer.
fn outcome_text(outcome: &PacketOutcome) -> String {
    match &outcome.answers {
        Ok(answers) => {
            let told = answers.iter().map(|a| match a.to {
                ReplyTo::Unconfigured { .. } => format!("{} → its card", a.given),
                to => format!("{} → {to:?}", a.given),
            });
            told.collect::<Vec<_>>().join(", ")
        }
        Err(reason) => format!("ignored: {reason}"),
    }
}

async fn judge(components: &Components, door: DhcpPort, packet: &[u8]) -> String {
    outcome_text(&outcome(components, door, packet).await)
}

async fn outcome(components: &Components, door: DhcpPort, packet: &[u8]) -> PacketOutcome {
    answer::answer(
        &components.dhcp,
        &components.settings.segments()[0],
        door,
        packet,
        None,
    )
    .await
}

#[tokio::test]
async fn a_stranger_is_written_down_and_gets_silence_at_every_door() {
    let (_house, components) = components(&boot("")).await;
    for (name, door, kind, options) in [
        ("UEFI on 67", DhcpPort::Dhcp, DISCOVER, &UEFI[..]),
        ("BIOS on 67", DhcpPort::Dhcp, DISCOVER, &BIOS[..]),
        ("iPXE on 67", DhcpPort::Dhcp, DISCOVER, &IPXE[..]),
        ("UEFI on 4011", DhcpPort::Binl, REQUEST, &UEFI[..]),
    ] {
        let got = judge(&components, door, &packet(kind, STRANGER, options)).await;
        assert_eq!(got, "ignored: not enrolled", "{name}");
    }
    let state = components.store.state();
    let machine = state.by_mac(mac(STRANGER)).expect("is on record");
    assert_eq!(machine.state, State::Seen);
    let class = machine.facts.vendor_class.as_deref();
    assert_eq!(class, Some("PXEClient:Arch:00007:UNDI:003016"));
}

#[tokio::test]
async fn asking_again_writes_nothing() {
    let (_house, components) = components(&boot("")).await;
    let ask = packet(DISCOVER, STRANGER, &UEFI);
    let _ = judge(&components, DhcpPort::Dhcp, &ask).await;
    let before = components.store.state().seq;
    for _ in 0..10 {
        let _ = judge(&components, DhcpPort::Dhcp, &ask).await;
    }
    assert_eq!(components.store.state().seq, before);
}

#[tokio::test]
async fn an_enrolled_machine_is_offered_what_it_can_run() {
    let (_house, components) = components(&boot("")).await;
    enroll(&components, mac(MAC)).await;
    for (name, door, kind, options, want) in [
        (
            "UEFI on 67",
            DhcpPort::Dhcp,
            DISCOVER,
            &UEFI[..],
            "offered snponly.efi → Broadcast",
        ),
        (
            "BIOS on 67",
            DhcpPort::Dhcp,
            DISCOVER,
            &BIOS[..],
            "offered undionly.kpxe → Broadcast",
        ),
        (
            "iPXE on 67",
            DhcpPort::Dhcp,
            DISCOVER,
            &IPXE[..],
            "offered boot script → Broadcast",
        ),
        (
            "UEFI on 4011",
            DhcpPort::Binl,
            REQUEST,
            &UEFI[..],
            "named snponly.efi on 4011 → Sender",
        ),
        (
            "its request to the router",
            DhcpPort::Dhcp,
            REQUEST,
            &UEFI[..],
            "ignored: the network's own DHCP server answers it",
        ),
        (
            "a discover on 4011",
            DhcpPort::Binl,
            DISCOVER,
            &UEFI[..],
            "ignored: not a question for port 4011",
        ),
        (
            "its installed system",
            DhcpPort::Dhcp,
            DISCOVER,
            &[(60, &b"udhcp"[..])][..],
            "ignored: does not want to netboot",
        ),
        (
            "an architecture without a loader",
            DhcpPort::Dhcp,
            DISCOVER,
            &[
                (60, &b"PXEClient:Arch:00012:UNDI:003016"[..]),
                (93, &[0, 12]),
            ][..],
            "ignored: no loader for its architecture (Other(12))",
        ),
    ] {
        let got = judge(&components, door, &packet(kind, MAC, options)).await;
        assert_eq!(got, want, "{name}");
    }
}

#[tokio::test]
async fn a_loader_that_is_not_there_is_not_promised() {
    let (house, _) = components(&boot("")).await;
    for loader in ["ipxe/snponly.efi", "grub/shimx64.efi"] {
        std::fs::remove_file(house.path().join(loader)).expect("removes");
    }
    std::fs::remove_dir_all(house.path().join("state")).expect("removes");
    std::fs::remove_file(house.path().join("admin.sock")).ok();
    let components = house.bind().await.components().clone();
    enroll(&components, mac(MAC)).await;
    let got = judge(&components, DhcpPort::Dhcp, &packet(DISCOVER, MAC, &UEFI)).await;
    assert_eq!(
        got,
        "ignored: no loader for it is in `boot.ipxe-dir` or `boot.grub-dir`: it needs `snponly.efi` or `ipxe.efi` \
         or `snponly-shimx64.efi` or `ipxe-shimx64.efi` or `shimx64.efi`"
    );
}

#[tokio::test]
async fn a_loader_that_led_nowhere_gives_way_and_the_one_that_worked_is_kept() {
    let house = TestConfig::new(&boot(""));
    std::fs::write(house.path().join("ipxe/ipxe.efi"), "a loader").expect("writes");
    let components = house.bind().await.components().clone();
    enroll(&components, mac(MAC)).await;
    let discover = packet(DISCOVER, MAC, &UEFI);
    for (name, want) in [
        ("at first", "offered snponly.efi → Broadcast"),
        ("a packet may be lost", "offered snponly.efi → Broadcast"),
        (
            "the form is at fault",
            "offered snponly.efi (option 43 turned round) → Broadcast",
        ),
    ] {
        assert_eq!(
            judge(&components, DhcpPort::Dhcp, &discover).await,
            want,
            "{name}"
        );
    }
    components
        .boot
        .loaders
        .attempts(|loader_attempts| loader_attempts.loaded(mac(MAC)));
    let got = judge(&components, DhcpPort::Dhcp, &discover).await;
    let want = "offered ipxe.efi (option 43 turned round) → Broadcast";
    assert_eq!(got, want, "loaded, and never heard of again");
    components
        .boot
        .loaders
        .attempts(|loader_attempts| loader_attempts.loaded(mac(MAC)));
    let stranger = components
        .boot
        .identification
        .identify(mac(MAC), Ipv4Addr::LOCALHOST);
    components.boot.loaders.reached(&stranger).await;
    let state = components.store.state();
    let kept = state.by_mac(mac(MAC)).and_then(|m| m.boot_method.clone());
    assert_eq!(kept, None, "somebody says so in its name");
    at_home(&components, mac(MAC));
    let caller = components
        .boot
        .identification
        .identify(mac(MAC), Ipv4Addr::LOCALHOST);
    components.boot.loaders.reached(&caller).await;
    let state = components.store.state();
    let kept = state.by_mac(mac(MAC)).and_then(|m| m.boot_method.clone());
    let boot_method = BootMethod {
        form: OfferForm::Turned,
        loader: Some("ipxe.efi".to_owned()),
    };
    assert_eq!(kept, Some(boot_method));
    components.boot.loaders.reached(&caller).await;
    assert_eq!(components.store.state().seq, state.seq, "once a boot");
}

#[tokio::test]
async fn boot_unknown_may_name_a_profile() {
    let (_house, components) = components(&boot("unknown = \"worker\"")).await;
    let got = judge(
        &components,
        DhcpPort::Dhcp,
        &packet(DISCOVER, STRANGER, &UEFI),
    )
    .await;
    assert_eq!(got, "offered snponly.efi → Broadcast");
    let state = components.store.state();
    let machine = state.by_mac(mac(STRANGER)).expect("is on record");
    assert_eq!(machine.state, State::Enrolled);
    assert!(machine.is_armed(crate::base::clock::now()));
}

#[tokio::test]
async fn boot_unknown_may_be_to_discover() {
    let (_house, components) = components(&boot("unknown = \"discover\"")).await;
    let got = judge(
        &components,
        DhcpPort::Dhcp,
        &packet(DISCOVER, STRANGER, &UEFI),
    )
    .await;
    assert_eq!(got, "offered snponly.efi → Broadcast");
    let state = components.store.state();
    let machine = state.by_mac(mac(STRANGER)).expect("is on record");
    assert_eq!(machine.state, State::Seen);
    assert_eq!(machine.discovery, None, "the script counts, not the packet");
}

#[tokio::test]
async fn in_server_mode_everybody_has_an_address_but_strangers_no_boot() {
    let (_house, components) = components(&format!("{}{SERVER}", boot(""))).await;
    enroll(&components, mac(MAC)).await;
    for (name, mac, options, want) in [
        (
            "a phone",
            STRANGER,
            &[][..],
            "offered 127.1.0.10 → its card",
        ),
        (
            "a stranger that netboots",
            STRANGER,
            &UEFI[..],
            "offered 127.1.0.10, nothing to boot: not enrolled → its card",
        ),
        (
            "an enrolled machine",
            MAC,
            &UEFI[..],
            "offered 127.1.0.11 with snponly.efi → its card",
        ),
        (
            "an enrolled machine in iPXE",
            MAC,
            &IPXE[..],
            "offered 127.1.0.11 with boot script → its card",
        ),
    ] {
        let got = judge(&components, DhcpPort::Dhcp, &packet(DISCOVER, mac, options)).await;
        assert_eq!(got, want, "{name}");
    }
    let ask: Vec<(u8, &[u8])> = vec![(54, &[127, 0, 0, 1]), (50, &[127, 1, 0, 10])];
    let got = judge(
        &components,
        DhcpPort::Dhcp,
        &packet(REQUEST, STRANGER, &ask),
    )
    .await;
    assert_eq!(got, "leased 127.1.0.10 → its card");
}

#[tokio::test]
async fn odd_packets_are_ignored_with_their_reason() {
    let (_house, components) = components(&boot("")).await;
    let good = packet(DISCOVER, MAC, &UEFI);
    let edit = |at: usize, value: u8| {
        let mut packet = good.clone();
        packet[at] = value;
        packet
    };
    for (name, packet) in [
        ("hlen 17, on which dhcproto panics", edit(2, 17)),
        ("hlen 255", edit(2, 255)),
        ("no cookie", edit(236, 0)),
        ("an answer, such as our own", edit(0, 2)),
        ("a group address", edit(28, 1)),
        ("empty", Vec::new()),
    ] {
        let outcome = outcome(&components, DhcpPort::Dhcp, &packet).await;
        let Err(UnansweredReason::Unreadable(_)) = outcome.answers else {
            panic!("{name}: {outcome:?}");
        };
    }
    for length in 0..240 {
        let outcome = outcome(&components, DhcpPort::Dhcp, &good[..length]).await;
        let want = Err(UnansweredReason::Unreadable(Ignored::Short(length)));
        assert_eq!(outcome.answers, want);
    }
    assert!(
        components.store.state().machines.is_empty(),
        "none was written down"
    );
}

#[test]
fn answers_go_where_the_rules_say() {
    let from = |text: &str| text.parse::<SocketAddrV4>().expect("an address");
    let client = Ipv4Addr::new(10, 0, 0, 5);
    for (name, to, sender, want) in [
        (
            "broadcast",
            ReplyTo::Broadcast,
            "0.0.0.0:68",
            Some("255.255.255.255:68"),
        ),
        (
            "to a client",
            ReplyTo::Client(client),
            "10.0.0.5:68",
            Some("10.0.0.5:68"),
        ),
        (
            "to a relay",
            ReplyTo::Relay(client),
            "10.0.0.5:67",
            Some("10.0.0.5:67"),
        ),
        (
            "EDK2 on 4011",
            ReplyTo::Sender,
            "10.0.0.5:4011",
            Some("10.0.0.5:4011"),
        ),
        (
            "a ROM on 4011",
            ReplyTo::Sender,
            "10.0.0.5:68",
            Some("10.0.0.5:68"),
        ),
        ("nobody", ReplyTo::Sender, "0.0.0.0:68", None),
        ("port 0", ReplyTo::Sender, "10.0.0.5:0", None),
    ] {
        let got = destination(to, from(sender)).map(|d| (d.address, d.card));
        let want = want.map(|address| (from(address), None));
        assert_eq!(got, want, "{name}");
    }
}

/// Port 4011 through a real socket: the answer comes from the LAN address, to where it was asked from.
#[tokio::test]
async fn on_4011_the_answer_goes_back_to_the_sender() {
    let (house, components) = components(&boot("")).await;
    enroll(&components, mac(MAC)).await;
    let lan = &house.checked.config.config.lans[0];
    let socket = match LanSocket::bind(lan, 0) {
        Ok(socket) => socket,
        Err(error) => {
            return crate::testing::skipped(&format!(
                "this user may not bind to an interface: {error}"
            ));
        }
    };
    let port = socket.port();
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve(
        components.dhcp.clone(),
        components.settings.segments()[0].clone(),
        socket,
        DhcpPort::Binl,
        stop.clone(),
    ));
    let client = tokio::net::UdpSocket::bind("127.0.0.1:0")
        .await
        .expect("binds");
    let ask = packet(REQUEST, MAC, &UEFI);
    client
        .send_to(&ask, ("127.0.0.1", port))
        .await
        .expect("sends");
    let mut buffer = [0; 2048];
    let receiving = client.recv_from(&mut buffer);
    let (length, from) = tokio::time::timeout(Duration::from_secs(5), receiving)
        .await
        .expect("an answer in time")
        .expect("receives");
    assert_eq!(from.to_string(), format!("127.0.0.1:{port}"));
    assert!(length >= 300, "{length}");
    assert_eq!(buffer[4..8], [0xde, 0xad, 0xbe, 0xef]);
    assert_eq!(components.counters.packets.sent.get(), 1);
    stop.cancel();
    serving.await.expect("ends").expect("ends well");
}

/// What a packet and its answers leave in the sender's timeline, as a line of JSON each without the time.
async fn left_behind(
    components: &Components,
    door: DhcpPort,
    packet: &[u8],
    sends: bool,
) -> Vec<String> {
    let outcome = outcome(components, door, packet).await;
    let here = components.settings.address().ip;
    let card = outcome.mac.expect("a MAC");
    let before = components.boot.log.marks_of(&[card]).len();
    let from = "0.0.0.0:68".parse().expect("an address");
    boot_log::record_packet(&components.boot.log, here, door, packet, from, &outcome);
    if let Ok(answers) = &outcome.answers {
        for answer in answers {
            let sent = match sends {
                true => Ok(SocketAddrV4::new(Ipv4Addr::BROADCAST, 68)),
                false => Err(std::io::Error::other("the cable is out")),
            };
            boot_log::record_answer(&components.boot.log, here, door, &outcome, answer, sent);
        }
    }
    let notes = components.boot.log.marks_of(&[card]);
    let json = |mark: &BootEvent| serde_json::to_string(mark).expect("writes");
    notes[before..]
        .iter()
        .map(|note| json(&note.mark))
        .collect()
}

#[tokio::test]
async fn packets_leave_marks_and_stay_for_a_capture() {
    let (_house, proxy) = components(&boot("")).await;
    enroll(&proxy, mac(MAC)).await;
    let (_other, server) = components(&format!("{}{SERVER}", boot(""))).await;
    enroll(&server, mac(MAC)).await;
    let odd = [
        (60, &b"PXEClient:Arch:00012:UNDI:003016"[..]),
        (93, &[0, 12]),
    ];
    for (name, components, door, packet, sends, want) in [
        (
            "a stranger",
            &proxy,
            DhcpPort::Dhcp,
            packet(DISCOVER, STRANGER, &UEFI),
            true,
            &[
                r#"{"mark":"discover","client":"pxe","arch":"x64"}"#,
                r#"{"mark":"silence","why":"stranger","reason":"not enrolled"}"#,
            ][..],
        ),
        (
            "an offer",
            &proxy,
            DhcpPort::Dhcp,
            packet(DISCOVER, MAC, &UEFI),
            true,
            &[
                r#"{"mark":"discover","client":"pxe","arch":"x64"}"#,
                r#"{"mark":"answered","given":"offered snponly.efi"}"#,
            ],
        ),
        (
            "the router's address",
            &proxy,
            DhcpPort::Dhcp,
            packet(
                REQUEST,
                MAC,
                &[
                    UEFI[0],
                    UEFI[1],
                    (54, &[10, 77, 0, 254]),
                    (50, &[10, 77, 0, 50]),
                ],
            ),
            true,
            &[r#"{"mark":"took-address","server":"10.77.0.254","address":"10.77.0.50"}"#],
        ),
        (
            "port 4011",
            &proxy,
            DhcpPort::Binl,
            packet(REQUEST, MAC, &UEFI),
            true,
            &[
                r#"{"mark":"asked4011"}"#,
                r#"{"mark":"answered4011","given":"named snponly.efi on 4011"}"#,
            ],
        ),
        (
            "an answer that does not get out",
            &proxy,
            DhcpPort::Dhcp,
            packet(DISCOVER, MAC, &IPXE),
            false,
            &[
                r#"{"mark":"discover","client":"ipxe","arch":"x64"}"#,
                r#"{"mark":"silence","why":"trouble","reason":"the answer could not be sent: the cable is out"}"#,
            ],
        ),
        (
            "its installed system",
            &proxy,
            DhcpPort::Dhcp,
            packet(DISCOVER, MAC, &[(60, b"udhcp")]),
            true,
            &[],
        ),
        (
            "an address without a boot file",
            &server,
            DhcpPort::Dhcp,
            packet(DISCOVER, MAC, &odd),
            true,
            &[
                r#"{"mark":"discover","client":"pxe","arch":12}"#,
                r#"{"mark":"silence","why":"no-loader","reason":"offered 127.1.0.10, nothing to boot: no loader for its architecture (Other(12))"}"#,
            ],
        ),
    ] {
        assert_eq!(
            left_behind(components, door, &packet, sends).await,
            want,
            "{name}"
        );
    }
    // Both directions, and the installed system's too.
    let kept = proxy.boot.log.packets_of(&[mac(MAC)]);
    let ports: Vec<(u16, u16)> = kept.iter().map(|p| (p.from.port(), p.to.port())).collect();
    assert_eq!(
        ports,
        [
            (68, 67),
            (67, 68),
            (68, 67),
            (68, 4011),
            (4011, 68),
            (68, 67),
            (68, 67)
        ]
    );
    assert!(
        proxy
            .boot
            .log
            .packets_of(&[mac("52:54:00:00:00:07")])
            .is_empty()
    );
}
