//! The loaders of an appliance on loopback: who gets them, who does not, and what is told of it.

use netboot::api::agent::RequesterIdentity;
use netboot::api::types::EventLine;
use netboot::base::arch::Arch;
use netboot::dhcp::offer_fallback::OfferForm;
use netboot::dhcp::request::{BootClient, NetbootRequest};
use netboot_tftp::testing::{LIMIT, TestClient as Peer, fetch, read, request, said};
use tokio::sync::broadcast::Receiver;
use tokio::task::JoinHandle;

use super::*;
use crate::run::components::Components;
use crate::testing::{
    ARM, ARM_IMAGE, DISCOVER, MAC, STRANGER, TestConfig, UEFI, at_home, boot, enroll, enroll_as,
    mac, packet, wait_until,
};

mod meanwhile;

struct Served {
    house: TestConfig,
    components: Arc<Components>,
    at: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<io::Result<()>>,
}

async fn served() -> Served {
    serving(TestConfig::new(&boot(""))).await
}

async fn serving(house: TestConfig) -> Served {
    let components = house.bind().await.components().clone();
    enroll(&components, mac(MAC)).await;
    at_home(&components, mac(MAC));
    let socket = UdpSocket::bind("127.0.0.1:0").expect("binds");
    let tftp = Tftp::on(
        socket,
        components.tftp.clone(),
        components.settings.segments()[0].clone(),
    )
    .expect("starts");
    let at = tftp.address();
    let stop = CancellationToken::new();
    let serving = tokio::spawn(tftp.run(stop.clone()));
    Served {
        house,
        components,
        at,
        stop,
        serving,
    }
}

/// What was told, as lines of JSON, up to when `what` was.
async fn told(live: &mut Receiver<EventLine>, what: &str) -> String {
    let mut told = String::new();
    wait_until(what, LIMIT, || {
        while let Ok(line) = live.try_recv() {
            told += &serde_json::to_string(&line).expect("writes");
            told.push('\n');
        }
        told.contains(what)
    })
    .await;
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn an_armed_machine_gets_its_loader_whole() {
    let Served {
        house,
        components,
        at,
        stop,
        serving,
    } = served().await;
    let want = std::fs::read(house.path().join("ipxe/snponly.efi")).expect("reads");
    let dashed = mac(MAC).dashed();
    let uefi = NetbootRequest {
        arch: Arch::X64,
        client: BootClient::Pxe,
    };
    let forms = OfferForm::all(uefi, false);
    let now = crate::base::clock::now();
    let given = components
        .boot
        .loaders
        .attempts(|t| t.discover(mac(MAC), uefi, None, forms, &["snponly.efi"], now));
    let mut live = components.store.live();
    for (name, path, options) in [
        ("plain", format!("{dashed}/snponly.efi"), &[][..]),
        (
            "as iPXE asks",
            format!("{dashed}/snponly.efi"),
            &[("blksize", "1432"), ("tsize", "0")],
        ),
        (
            "as EDK2 asks",
            format!("{dashed}/snponly.efi"),
            &[("blksize", "1468"), ("windowsize", "4")],
        ),
        ("as WDS asks", format!("\\{dashed}\\snponly.efi"), &[]),
    ] {
        let got = fetch(at, &path, options).await;
        assert_eq!(got.as_deref(), Ok(want.as_slice()), "{name}");
    }
    wait_until("four to be counted", LIMIT, || {
        components.counters.tftp_sent.get() == 4
    })
    .await;
    assert_eq!(components.counters.tftp_bytes.get(), 4 * 290_001);
    let reached = components
        .boot
        .loaders
        .attempts(|loader_attempts| loader_attempts.arrived(mac(MAC)));
    assert_eq!(
        reached,
        Some(given),
        "what was loaded is what gets it to its script"
    );
    // Of two that took equally long the second is a repeat.
    let told = told(&mut live, r#""mark":"sent""#).await;
    let sent = r#""mark":"sent","part":"loader","file":"snponly.efi","via":"tftp","bytes":290001"#;
    assert!(told.contains(sent), "{told}");

    stop.cancel();
    serving.await.expect("ends").expect("ends well");
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_else_is_told_that_there_is_nothing() {
    let Served {
        components,
        at,
        stop,
        house: _house,
        ..
    } = served().await;
    let (armed, stranger) = (mac(MAC).dashed(), mac(STRANGER).dashed());
    for (name, path) in [
        ("a stranger", format!("{stranger}/snponly.efi")),
        ("nobody's folder", "snponly.efi".to_owned()),
        ("a loader that is not there", format!("{armed}/ipxe.efi")),
        ("a file beside the loaders", format!("{armed}/secret")),
        ("out of the folder", format!("{armed}/../secret")),
        (
            "far out of the folder",
            format!("{armed}/../../../../etc/passwd"),
        ),
        ("backslashes", format!("{armed}\\..\\secret")),
        ("a long name", format!("{armed}/{}", "x".repeat(3000))),
        ("grub's probes", "grub/x86_64-efi/command.lst".to_owned()),
    ] {
        assert_eq!(fetch(at, &path, &[]).await, Err(1), "{name}");
    }
    assert_eq!(components.counters.tftp_sent.get(), 0);
    assert_eq!(components.counters.tftp_refused.get(), 9);
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_writes() {
    let Served {
        at, stop, house, ..
    } = served().await;
    let client = Peer::of(at).await;
    let name = format!("{}/snponly.efi", mac(MAC).dashed());
    let answer = client.answer(&request(2, &name, "octet", &[])).await;
    assert!(answer.starts_with("ERROR 4: "), "{answer}");
    let there = std::fs::read(house.path().join("ipxe/snponly.efi")).expect("reads");
    assert_eq!(there.len(), 290_001);
    stop.cancel();
}

/// EDK2 asks for the size, breaks off with an error, and asks again.
#[tokio::test(flavor = "multi_thread")]
async fn a_probe_of_the_size_is_no_transfer() {
    let Served {
        components,
        at,
        stop,
        house: _house,
        ..
    } = served().await;
    let mut live = components.store.live();
    let client = Peer::of(at).await;
    let name = format!("{}/snponly.efi", mac(MAC).dashed());
    client.ask(&read(&name, &[("tsize", "0")])).await;
    let (packet, from) = client.hear().await;
    assert_eq!(said(&packet), "OACK tsize 290001");
    client.say(b"\0\x05\0\x08aborted\0", from).await;
    let kinds = || -> Vec<u8> {
        let kept = components.boot.log.packets_of(&[mac(MAC)]);
        kept.iter().map(|packet| packet.payload[1]).collect()
    };
    // The first transfer's port may hear its error after the next request has come to another.
    wait_until("the error is kept", LIMIT, || kinds() == [1, 6, 5]).await;
    let got = fetch(at, &name, &[("blksize", "1468")]).await;
    assert_eq!(got.map(|f| f.len()), Ok(290_001));
    let told = told(&mut live, r#""mark":"sent""#).await;
    assert_eq!(components.counters.tftp_sent.get(), 1);
    assert_eq!(components.counters.tftp_broken_off.get(), 0);
    assert_eq!(told.matches(r#""mark":"begun""#).count(), 1, "{told}");
    assert!(!told.contains(r#""mark":"broken""#), "{told}");
    // Request, sizes, the error; request, sizes.
    assert_eq!(kinds(), [1, 6, 5, 1, 6]);
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_is_broken_off_is_told() {
    let Served {
        components,
        at,
        stop,
        house: _house,
        ..
    } = served().await;
    let mut live = components.store.live();
    let client = Peer::of(at).await;
    client
        .ask(&read(&format!("{}/snponly.efi", mac(MAC).dashed()), &[]))
        .await;
    let (_, from) = client.hear().await;
    client.acknowledge(1, from).await;
    client.say(b"\0\x05\0\x03disk full\0", from).await;
    let told = told(&mut live, r#""mark":"broken""#).await;
    for part in [r#""bytes":512"#, r#""why":"TFTP error 3 of the machine""#] {
        assert!(told.contains(part), "{told}");
    }
    assert_eq!(components.counters.tftp_broken_off.get(), 1);
    stop.cancel();
}

fn text(got: Result<Vec<u8>, u8>) -> String {
    String::from_utf8(got.expect("a file")).expect("text")
}

/// What shim, GRUB and U-Boot ask for from power-on to the installer, and the ticket is one and the same.
#[tokio::test(flavor = "multi_thread")]
async fn every_loader_is_led_to_the_installer() {
    let Served {
        house,
        components,
        at,
        stop,
        ..
    } = served().await;
    let dashed = mac(MAC).dashed();
    for (name, want) in [("shimx64.efi", "shim"), ("grubx64.efi", "GRUB")] {
        assert_eq!(
            text(fetch(at, &format!("{dashed}/{name}"), &[]).await),
            want
        );
    }
    for probe in ["revocations_sku.efi", "shim_certificate_0.efi"] {
        assert_eq!(
            fetch(at, &format!("{dashed}/{probe}"), &[]).await,
            Err(1),
            "{probe}"
        );
    }
    let menu = text(fetch(at, "/grub/grub.cfg", &[]).await);
    assert!(
        menu.contains("source (tftp,127.0.0.1)/grub/$net_default_mac.cfg"),
        "{menu}"
    );

    let before = components
        .store
        .state()
        .by_mac(mac(MAC))
        .cloned()
        .expect("is there");
    assert!(
        before.attempt.is_some_and(|a| a.served.is_none()),
        "no ticket went out yet"
    );
    let grub = text(fetch(at, &format!("/grub/{MAC}.cfg"), &[]).await);
    assert!(
        grub.contains(&format!(
            "linux (tftp,127.0.0.1)/{dashed}/installer/kernel "
        )),
        "{grub}"
    );
    let extlinux = text(fetch(at, &format!("pxelinux.cfg/01-{dashed}"), &[]).await);
    assert!(
        extlinux.contains(&format!("KERNEL {dashed}/installer/kernel\n")),
        "{extlinux}"
    );
    let attempt = components
        .store
        .state()
        .by_mac(mac(MAC))
        .and_then(|m| m.attempt.clone())
        .expect("one");
    assert_eq!(attempt.number, 1, "asked twice, one boot");
    for script in [&grub, &extlinux] {
        assert!(
            script.contains(&format!("netboot.ticket={}", attempt.ticket)),
            "{script}"
        );
    }
    let autoexec = text(fetch(at, &format!("{dashed}/autoexec.ipxe"), &[]).await);
    assert!(
        autoexec.contains("dhcp ${card}") && !autoexec.contains("ticket"),
        "{autoexec}"
    );

    let fast = [("blksize", "1468"), ("windowsize", "16")];
    let kernel = fetch(at, &format!("{dashed}/installer/kernel"), &fast)
        .await
        .expect("the kernel");
    assert!(kernel == std::fs::read(house.path().join("kernel")).expect("reads"));
    assert_eq!(
        text(fetch(at, &format!("{dashed}/installer/initrd"), &[]).await),
        "initrd"
    );
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_is_not_to_install_gets_words_from_grub_and_nothing_else() {
    let Served {
        at,
        stop,
        house: _house,
        ..
    } = served().await;
    let stranger = mac(STRANGER).dashed();
    let grub = text(fetch(at, &format!("/grub/{STRANGER}.cfg"), &[]).await);
    assert!(
        grub.starts_with("echo 'Nothing to install: not enrolled.'\n"),
        "{grub}"
    );
    assert!(!grub.contains("linux"), "{grub}");
    for file in [
        "installer/kernel",
        "installer/initrd",
        "autoexec.ipxe",
        "shimx64.efi",
        "grubx64.efi",
    ] {
        assert_eq!(
            fetch(at, &format!("{stranger}/{file}"), &[]).await,
            Err(1),
            "{file}"
        );
    }
    assert_eq!(
        fetch(at, &format!("pxelinux.cfg/01-{stranger}"), &[]).await,
        Err(1)
    );
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_with_a_disk_of_its_own_is_sent_there() {
    let Served {
        components,
        at,
        stop,
        house: _house,
        ..
    } = served().await;
    let retire = |state: &netboot::machine::state::ApplianceState, _| {
        let machine = state.by_mac(mac(MAC)).expect("is there").id;
        let reason = "for the test".to_owned();
        let gave_up = netboot::machine::event::EventKind::GaveUp { reason };
        netboot::machine::event::Decided {
            answer: Ok(()),
            events: vec![netboot::machine::event::NewEvent::of(machine, gave_up)],
        }
    };
    components.store.decide(retire).await.expect("decides");
    let dashed = mac(MAC).dashed();
    let grub = text(fetch(at, &format!("/grub/{MAC}.cfg"), &[]).await);
    assert!(
        grub.contains("chainloader") && !grub.contains("linux"),
        "{grub}"
    );
    let extlinux = text(fetch(at, &format!("pxelinux.cfg/01-{dashed}"), &[]).await);
    assert!(extlinux.contains("LOCALBOOT 1"), "{extlinux}");
    for file in [
        "installer/kernel",
        "installer/initrd",
        "autoexec.ipxe",
        "snponly.efi",
    ] {
        assert_eq!(
            fetch(at, &format!("{dashed}/{file}"), &[]).await,
            Err(1),
            "{file}"
        );
    }
    stop.cancel();
}

const PI: &str = "dc:a6:32:00:00:04";

#[tokio::test(flavor = "multi_thread")]
async fn a_raspberry_pi_gets_its_firmware_and_its_installer_by_its_serial_number() {
    let house = TestConfig::with(&format!("{ARM_IMAGE}{}", boot("")), &[ARM]);
    std::os::unix::fs::symlink("../secret", house.path().join("pi/start.elf")).expect("links");
    let Served {
        components,
        at,
        stop,
        house: _house,
        ..
    } = serving(house).await;
    // The ROM's GUID, and an address of the Foundation's.
    let guid = b"\0RPi4\x11\x31\xc0\0\x32\0\0\x04\x90\x8f\x7e\x6d";
    let discover = packet(
        DISCOVER,
        PI,
        &[
            (60, b"PXEClient:Arch:00000:UNDI:002001"),
            (93, &[0, 0]),
            (97, guid),
        ],
    );
    let request = netboot::dhcp::request::read(&discover).expect("reads");
    components
        .boot
        .decisions
        .observe(mac(PI), &request.facts, RequesterIdentity::Verified)
        .await
        .expect("is seen");

    for file in [
        "bootcode.bin",
        "6d7e8f90/start4.elf",
        "6d7e8f90/config.txt",
        "6d7e8f90/kernel",
    ] {
        assert_eq!(fetch(at, file, &[]).await, Err(1), "{file}, not enrolled");
    }
    enroll_as(&components, mac(PI), "arm", "pi1").await;
    for (file, want) in [
        ("bootcode.bin", "bootcode"),
        ("6d7e8f90/start4.elf", "start4"),
        ("6d7e8f90/overlays/vc4.dtbo", "overlay"),
        ("6d7e8f90/kernel", "start4"),
        ("6d7e8f90/initrd", "initrd"),
    ] {
        assert_eq!(text(fetch(at, file, &[]).await), want, "{file}");
    }
    let config = text(fetch(at, "6d7e8f90/config.txt", &[]).await);
    assert!(config.contains("kernel=kernel\n"), "{config}");
    let cmdline = text(fetch(at, "6d7e8f90/cmdline.txt", &[]).await);
    assert!(
        cmdline.starts_with("BOOTIF=01-dc-a6-32-00-00-04 ") && cmdline.contains("netboot.ticket="),
        "{cmdline}"
    );
    for (name, file) in [
        ("another board", "00000000/start4.elf"),
        ("a link out of the folder", "6d7e8f90/start.elf"),
        ("what is no firmware", "6d7e8f90/secret.elf"),
        ("out of the folder", "6d7e8f90/../secret"),
        ("what would write to its EEPROM", "6d7e8f90/pieeprom.upd"),
    ] {
        assert_eq!(fetch(at, file, &[]).await, Err(1), "{name}");
    }
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_never_gets_the_kernel_of_another_architecture() {
    let house = TestConfig::with(&format!("{ARM_IMAGE}{}", boot("")), &[ARM]);
    let Served {
        components,
        at,
        stop,
        house: _house,
        ..
    } = serving(house).await;
    let other = "52:54:00:00:00:07";
    let discover = packet(DISCOVER, other, &UEFI);
    let request = netboot::dhcp::request::read(&discover).expect("reads");
    enroll_as(&components, mac(other), "arm", "arm1").await;
    components
        .boot
        .decisions
        .observe(mac(other), &request.facts, RequesterIdentity::Verified)
        .await
        .expect("is seen");
    at_home(&components, mac(other));
    let mut live = components.store.live();
    let grub = text(fetch(at, &format!("/grub/{other}.cfg"), &[]).await);
    let want = "its profile arm is for aarch64, and this machine boots as x86-64 UEFI";
    assert!(grub.contains(want) && !grub.contains("linux"), "{grub}");
    let told = serde_json::to_string(&live.recv().await.expect("is told")).expect("writes");
    assert!(told.contains(want), "{told}");
    let kernel = format!("{}/installer/kernel", mac(other).dashed());
    assert_eq!(fetch(at, &kernel, &[]).await, Err(1));
    let attempt = components
        .store
        .state()
        .by_mac(mac(other))
        .and_then(|m| m.attempt.clone());
    assert!(
        attempt.is_some_and(|a| a.served.is_none()),
        "no attempt is counted"
    );
    stop.cancel();
}
