//! `/boot.ipxe`: what iPXE says of the machine, and the script that it gets.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Response};
use netboot::base::arch::Arch;
use netboot::dhcp::request::Facts;
use netboot::loader::local_boot::BootLoader;
use netboot::loader::script::{BootScript, ipxe};
use netboot::machine::decide::Decision;
use serde::Deserialize;

use super::super::counted::counted;
use super::super::error::Refused;
use super::super::request::{FromAddress, query};
use super::api::PublicApi;
use super::asked::read_mac;
use crate::net::Segment;

/// What iPXE says of the machine. Only the MAC reaches a script, and only as a MAC.
#[derive(Deserialize)]
struct BootQuery {
    mac: Option<String>,
    uuid: Option<String>,
    serial: Option<String>,
    arch: Option<String>,
    platform: Option<String>,
}

pub(super) async fn boot_script(
    State(api): State<Arc<PublicApi>>,
    State(segment): State<Arc<Segment>>,
    FromAddress(from): FromAddress,
    uri: Uri,
) -> Result<Response, Refused> {
    let asked: BootQuery = query(&uri)?;
    let mac = read_mac(asked.mac.as_deref())?;
    let requester = api.identification.identify(mac, from);
    // Anybody can write a MAC and a serial number into a URL.
    let told = match requester.verified {
        true => facts(&asked),
        false => Facts::default(),
    };
    let identity = api.identification.identity(&requester);
    api.decisions.observe(mac, &told, identity).await?;
    api.loaders.reached(&requester).await;
    if let Decision::Enroll(profile) = api.decisions.decision(mac) {
        api.decisions.enroll_stranger(mac, profile).await?;
    }
    let arch = api.store.state().by_mac(mac).and_then(|m| m.facts.arch);
    let loader = BootLoader::ipxe(asked.platform.as_deref(), arch);
    let entry = api.scripts.entry(&requester, Some(loader)).await?;
    let text = ipxe::text(&BootScript {
        address: &segment.address,
        mac,
        entry: &entry,
    });
    let plain = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok(counted(&api.counters, (plain, text).into_response(), None))
}

/// What iPXE tells, as far as it is what it should be. `${uuid}` that iPXE did not fill in is left out.
fn facts(asked: &BootQuery) -> Facts {
    let arch = match (asked.platform.as_deref(), asked.arch.as_deref()) {
        (Some("pcbios"), _) => Some(Arch::Bios),
        (Some("efi"), Some("x86_64")) => Some(Arch::X64),
        (Some("efi"), Some("i386")) => Some(Arch::X86),
        (Some("efi"), Some("arm64")) => Some(Arch::Arm64),
        (Some("efi"), Some("riscv64")) => Some(Arch::Riscv64),
        _ => None,
    };
    let uuid = asked.uuid.as_deref().filter(|text| {
        let form = [8, 13, 18, 23];
        let fits = |(at, b): (usize, u8)| match form.contains(&at) {
            true => b == b'-',
            false => b.is_ascii_hexdigit(),
        };
        text.len() == 36 && text.bytes().enumerate().all(fits)
    });
    let serial = asked.serial.as_deref().map(str::trim).filter(|text| {
        (1..=64).contains(&text.len())
            && text.chars().all(|c| (' '..='~').contains(&c))
            && !text.contains("${")
    });
    Facts {
        arch,
        vendor_class: None,
        uuid: uuid.map(str::to_ascii_lowercase),
        serial: serial.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(uuid: &str, serial: &str, arch: &str, platform: &str) -> BootQuery {
        let given = |text: &str| Some(text.to_owned());
        BootQuery {
            mac: None,
            uuid: given(uuid),
            serial: given(serial),
            arch: given(arch),
            platform: given(platform),
        }
    }

    #[test]
    fn only_what_is_well_formed_becomes_a_fact() {
        const UUID: &str = "A1B2C3D4-0000-1111-2222-333344445555";
        let good = facts(&asked(UUID, "PF2ABC 1", "x86_64", "efi"));
        assert_eq!(good.arch, Some(Arch::X64));
        assert_eq!(good.uuid.as_deref(), Some(UUID.to_lowercase().as_str()));
        assert_eq!(good.serial.as_deref(), Some("PF2ABC 1"));

        let bios = facts(&asked(UUID, "x", "i386", "pcbios"));
        assert_eq!(bios.arch, Some(Arch::Bios));

        let long = "x".repeat(65);
        for (name, uuid, serial) in [
            ("variables that nobody filled in", "${uuid}", "${serial}"),
            ("empty", "", ""),
            ("a script", "a\n#!ipxe\nshell\n", "$\u{7b}x}"),
            ("control characters", UUID, "a\u{1b}[2Jb"),
            (
                "too long",
                "a1b2c3d4-0000-1111-2222-3333444455556",
                long.as_str(),
            ),
        ] {
            let got = facts(&asked(uuid, serial, "$(id)", "`id`"));
            assert_eq!(got.arch, None, "{name}");
            assert_eq!(got.serial, None, "{name}");
            assert!(got.uuid.is_none() || uuid == UUID, "{name}");
        }
    }
}
