//! What firmware is known to do, each fact a test over the packets that show it.

use netboot::dhcp::reply::loaders;
use netboot::dhcp::request::{BootClient, read};

use super::text::Decoded;
use super::{AnswerMode, CorpusPacket, MODES, all, answers, decoded};

fn named(name: &str) -> CorpusPacket {
    let found = all().into_iter().find(|packet| packet.name == name);
    found.unwrap_or_else(|| panic!("no packet `{name}`"))
}

fn answer(name: &str, mode: AnswerMode) -> Decoded {
    let answers = answers(&named(name), mode);
    assert_eq!(answers.len(), 1, "{name} in {mode:?}");
    decoded(&answers[0].bytes)
}

fn boot_file(message: &Decoded) -> String {
    let name = message.option(67).unwrap_or_default();
    let name = String::from_utf8(name.to_vec()).expect("is text");
    name.trim_end_matches('\0').to_owned()
}

/// tianocore/edk2#8558.
#[test]
fn edk2_takes_the_loader_from_the_server_that_offers_so_no_other_is_named() {
    let mut seen = 0;
    for packet in all() {
        for (mode, _) in MODES {
            for answer in answers(&packet, mode) {
                let message = decoded(&answer.bytes);
                if let Some(server) = message.option(66) {
                    seen += 1;
                    assert_eq!(server, b"10.77.0.1", "{}", packet.name);
                    assert_eq!(message.siaddr().octets(), [10, 77, 0, 1], "{}", packet.name);
                    assert_eq!(
                        message.option(54),
                        Some(&[10, 77, 0, 1][..]),
                        "{}",
                        packet.name
                    );
                }
            }
        }
    }
    assert!(seen > 20, "{seen} answers name a server");
}

#[test]
fn a_rom_without_a_guid_is_answered_without_one() {
    let offer = answer("bios-rom/no-guid", AnswerMode::Proxy);
    assert_eq!(offer.option(97), None);
    assert_eq!(boot_file(&offer), "52-54-00-12-34-56/undionly.kpxe");
}

#[test]
fn ipxe_takes_a_proxy_offer_at_once_because_it_names_server_and_file() {
    for name in [
        "ipxe/rom-discover",
        "ipxe/undionly-discover",
        "ipxe/snponly-discover",
    ] {
        let offer = answer(name, AnswerMode::Proxy);
        assert!(!offer.siaddr().is_unspecified(), "{name}");
        assert!(
            boot_file(&offer).starts_with("http://10.77.0.1:8080/boot.ipxe?"),
            "{name}"
        );
    }
}

#[test]
fn ipxe_never_gets_a_loader_again_at_any_door() {
    let mut seen = 0;
    for packet in all() {
        let Ok(request) = read(&packet.bytes) else {
            continue;
        };
        if request
            .boot
            .is_none_or(|boot| boot.client != BootClient::Ipxe)
        {
            continue;
        }
        for (mode, _) in MODES {
            for answer in answers(&packet, mode) {
                seen += 1;
                let file = boot_file(&decoded(&answer.bytes));
                let script = "http://10.77.0.1:8080/boot.ipxe?";
                assert!(file.starts_with(script), "{}: {file}", packet.name);
            }
        }
    }
    assert!(seen > 10, "iPXE is answered {seen} times");
}

#[test]
fn port_4011_names_the_file_that_port_67_offered() {
    for (offer, ack) in [
        ("ovmf/pxe-discover", "ovmf/pxe-4011"),
        ("bios-rom/discover", "bios-rom/4011"),
        ("bios-rom/discover", "bios-rom/4011-inform"),
        ("uefi/intel-discover", "uefi/intel-4011"),
        ("ipxe/snponly-discover", "ipxe/4011"),
    ] {
        for (mode, _) in MODES {
            let (offer, ack) = (answer(offer, mode), answer(ack, mode));
            assert_eq!(boot_file(&offer), boot_file(&ack));
            assert_eq!(ack.option(53), Some(&[5][..]), "an ACK");
        }
    }
}

/// Or EDK2 takes the offer for one that wants to be asked on 4011 ("DhcpBinl").
#[test]
fn an_offer_with_an_address_has_no_class_for_edk2_pxe() {
    for name in ["ovmf/pxe-discover", "aavmf/pxe-discover", "uefi/hp-arch-9"] {
        let offer = answer(name, AnswerMode::Server);
        assert_eq!((offer.option(60), offer.option(43)), (None, None), "{name}");
    }
}

#[test]
fn the_dhcp_client_of_an_operating_system_never_hears_a_proxy() {
    let mut seen = 0;
    let clients = ["udhcpc/", "dhclient/", "dhcpcd/", "systemd-networkd/"];
    for packet in all() {
        if clients.iter().any(|client| packet.name.starts_with(client)) {
            seen += 1;
            assert_eq!(answers(&packet, AnswerMode::Proxy), [], "{}", packet.name);
        }
    }
    assert_eq!(seen, 12);
}

/// raspberrypi/rpi-eeprom#87: the class is missing in the REQUEST.
#[test]
fn a_raspberry_pi_is_known_by_its_guid_where_it_says_no_class() {
    let ack = answer("raspberry-pi/pi4-request", AnswerMode::Server);
    let menu = ack.option(43).expect("the boot menu");
    assert!(menu.windows(17).any(|text| text == b"Raspberry Pi Boot"));
}

#[test]
fn uefi_and_linux_on_a_raspberry_pi_are_ordinary() {
    let offer = answer("raspberry-pi/uefi-discover", AnswerMode::Proxy);
    assert_eq!(boot_file(&offer), "dc-a6-32-12-34-56/snponly-arm64.efi");
    assert_eq!(
        answers(&named("raspberry-pi/linux-discover"), AnswerMode::Proxy),
        []
    );
}

/// u-boot include/config_distro_bootcmd.h (`BOOTENV_EFI_RUN_DHCP`) and net/bootp.c. Its UEFI has no file system for what it
/// got over the network, which is where shim looks for GRUB.
#[test]
fn u_boot_that_asks_as_uefi_gets_no_shim_and_nothing_beside_a_router() {
    for name in ["u-boot/discover", "u-boot/uefi-discover"] {
        assert!(
            answers(&named(name), AnswerMode::Proxy).is_empty(),
            "{name}"
        );
    }
    let request = read(&named("u-boot/uefi-discover").bytes).expect("reads");
    let boot = request.boot.expect("wants to netboot");
    assert_eq!(boot.client, BootClient::UBootUefi);
    let loaders = loaders(boot);
    assert_eq!(loaders.last(), Some(&"grubaa64.efi"));
    assert!(!loaders.contains(&"shimaa64.efi"));
    let offer = answer("u-boot/uefi-discover", AnswerMode::Server);
    assert_eq!(offer.option(60), None);
    let first = format!("52-52-52-52-52-52/{}", loaders[0]);
    assert_eq!(boot_file(&offer), first);
}

/// When it boots over HTTP, it takes 66 out of its list and leaves in its place whatever was in memory: two recordings
/// of one code differ in that octet.
#[test]
fn edk2_http_boot_leaves_one_octet_of_its_list_to_chance() {
    let mut octets = Vec::new();
    for name in ["ovmf/http-discover", "aavmf/http-discover"] {
        let request = read(&named(name).bytes).expect("reads");
        assert!(!request.wanted.contains(&66), "{name}");
        let file = request.wanted.iter().position(|code| *code == 67);
        octets.push(request.wanted[file.expect("wants a boot file") - 1]);
        for (mode, _) in MODES {
            let offer = answer(name, mode);
            assert_eq!(offer.option(60), Some(&b"HTTPClient"[..]), "{name}");
            let url = "http://10.77.0.1:8080/loaders/";
            assert!(boot_file(&offer).starts_with(url), "{name}");
        }
    }
    assert_eq!(octets, [0xeb, 0x00]);
}
