//! A loader that is talking already is sent to the disk: what is said where that does not end there.

use super::*;
use crate::loader::local_boot::{BootLoader, Departure, LocalBootHistory, LocalBootMethod};

fn sent_to_its_disk(way: LocalBootMethod) -> BootEvent {
    BootEvent::Script {
        given: IpxeScript::Disk {
            reason: "joined; boots its own disk".to_owned(),
            way: Some(way),
        },
    }
}

#[track_caller]
fn check(known: Option<LocalBootHistory>, way: LocalBootMethod, later: i64, want: &Expect) {
    let boots = boots(log(&[(0, ipxe()), (2, sent_to_its_disk(way))]), Vec::new());
    let setting = DiagnosisContext {
        local_boot: known,
        ..setting(later, State::Joined)
    };
    want.assert_eq(&said(&diagnose(boots.last(), &setting)));
}

#[test]
fn it_may_be_on_its_way_up() {
    check(
        None,
        LocalBootMethod::NextEntry,
        60,
        &expect![[r#"
            under way: a report of the system on its disk (58 of 600 s)
        "#]],
    );
}

#[test]
fn it_stops_after_one_of_the_ways() {
    let known = LocalBootHistory::came_back(
        None,
        Departure {
            loader: BootLoader::IpxeUefi,
            way: LocalBootMethod::NextEntry,
        },
    );
    check(
        Some(known),
        LocalBootMethod::EspLoader,
        3600,
        &expect![[r#"
            it was left to its own disk; the system there never reported
            - it stops on the way that its loader was sent: the loader on its EFI system partition
              tip: switch it off and on; where that ends the same within 15 minutes, it is sent the next way
            - the firmware does not find its disk: the disk is missing in its boot order
              tip: in the firmware setup, put the disk ("Linux Boot Manager", "NixOS") behind network boot
            - it was installed under UEFI and boots in BIOS mode, or the other way round
              tip: in the firmware setup, choose one mode ("CSM" off), then install it again
              tip: pxe-admin reimage node1
            - the system stops on its way up
              tip: look at its console
            - it runs, and cannot reach the appliance on TCP 8443
              tip: on the node: journalctl -b | grep netboot
              tip: on the node: curl -vk https://10.77.0.1:8443/
        "#]],
    );
}

#[test]
fn every_way_leads_back_to_the_network() {
    let loader = BootLoader::IpxeUefi;
    let known = loader.ways().iter().fold(None, |known, way| {
        let left = Departure { loader, way: *way };
        Some(LocalBootHistory::came_back(known.as_ref(), left))
    });
    check(
        known,
        LocalBootMethod::NextEntry,
        3,
        &expect![[r#"
            it was left to its own disk; every way of iPXE on UEFI led back to the network: the firmware's next boot entry, the loader on its EFI system partition, ending without an error
            - its firmware asks the network again, whatever its loader does
              tip: in the firmware setup, put the disk ("Installed by netboot", "NixOS") directly behind network boot
              tip: or put it first, and press F12 at power-on when it is to be installed again
            - there is nothing on its disk that starts: the disk is another one, or it was installed for BIOS and boots as UEFI, or the other way round
              tip: pxe-admin reimage node1
            - its iPXE is older than March 2024, and cannot start the disk's own loader on UEFI
              tip: put a newer one where it gets iPXE from: the card's ROM, the router, or `boot.ipxe-dir`
            - something other than this appliance makes it netboot each time
              tip: take the boot options (66 and 67, `dhcp-boot`) out of the router's DHCP settings; this appliance leaves an installed machine alone
        "#]],
    );
}
