//! Which way is handed out for what is known of a machine.

use super::*;
use crate::base::arch::Arch;

const UEFI: BootLoader = BootLoader::IpxeUefi;

fn known(works: Option<LocalBootMethod>, failed: &[LocalBootMethod]) -> LocalBootHistory {
    LocalBootHistory {
        loader: UEFI,
        works,
        failed: failed.to_vec(),
    }
}

#[test]
fn the_way_is_the_one_that_worked_or_else_the_next_that_did_not_fail() {
    use LocalBootMethod::{Done, EspLoader, NextEntry};

    let all = [NextEntry, EspLoader, Done];
    for (name, known, last, want) in [
        ("nothing known", None, None, NextEntry),
        ("one worked", Some(known(Some(Done), &[])), None, Done),
        (
            "one failed",
            Some(known(None, &[NextEntry])),
            None,
            EspLoader,
        ),
        (
            "what worked failed since",
            Some(known(Some(EspLoader), &[EspLoader])),
            None,
            NextEntry,
        ),
        ("all failed", Some(known(None, &all)), None, NextEntry),
        (
            "all failed, and it goes round",
            Some(known(None, &all)),
            Some(NextEntry),
            EspLoader,
        ),
        (
            "and round again",
            Some(known(None, &all)),
            Some(Done),
            NextEntry,
        ),
    ] {
        assert_eq!(UEFI.way(known.as_ref(), last), want, "{name}");
    }
    let learnt = known(Some(Done), &[NextEntry]);
    assert_eq!(
        BootLoader::Grub.way(Some(&learnt), None),
        EspLoader,
        "what one loader learnt says nothing of another"
    );
}

#[test]
fn ipxe_says_what_it_runs_on_and_else_the_packets_do() {
    for (name, platform, arch, want) in [
        (
            "it says so",
            Some("efi"),
            Some(Arch::Bios),
            BootLoader::IpxeUefi,
        ),
        (
            "it says BIOS",
            Some("pcbios"),
            Some(Arch::X64),
            BootLoader::IpxeBios,
        ),
        (
            "an ARM board",
            None,
            Some(Arch::Arm64),
            BootLoader::IpxeUefi,
        ),
        (
            "nobody filled it in",
            Some("${platform}"),
            Some(Arch::Bios),
            BootLoader::IpxeBios,
        ),
        ("nothing is known", None, None, BootLoader::IpxeBios),
    ] {
        assert_eq!(BootLoader::ipxe(platform, arch), want, "{name}");
    }
}

#[test]
fn what_is_known_is_said_in_words() {
    use LocalBootMethod::{Done, EspLoader, NextEntry};

    for (known, want) in [
        (
            known(Some(NextEntry), &[]),
            "by the firmware's next boot entry (iPXE on UEFI), which worked",
        ),
        (
            known(Some(NextEntry), &[NextEntry]),
            "next by the loader on its EFI system partition (iPXE on UEFI); \
             led back to the network: the firmware's next boot entry",
        ),
        (
            known(None, &[NextEntry, EspLoader, Done]),
            "every way of iPXE on UEFI led back to the network: the firmware's next boot entry, \
             the loader on its EFI system partition, ending without an error",
        ),
    ] {
        assert_eq!(known.description(), want);
    }
}

#[test]
fn a_name_of_a_later_version_is_survived() {
    let left: Departure =
        serde_json::from_str(r#"{"loader":"systemd","way":"teleport"}"#).expect("survives");
    let unknown = Departure {
        loader: BootLoader::Unknown,
        way: LocalBootMethod::Unknown,
    };
    assert_eq!(left, unknown);
    assert_eq!(
        left.loader.way(Some(&LocalBootHistory::worked(left)), None),
        LocalBootMethod::Unknown
    );
}
