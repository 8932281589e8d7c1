//! `/boot.ipxe`: decides, hands out the ticket, and says it in a script.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Response};
use netboot::decide::Decision;
use netboot::install;
use netboot::mac::Mac;
use netboot::machine::Facts;
use netboot::refusal::{Code, Refusal};
use netboot::request::Arch;
use netboot::script;
use netboot::world::World;
use serde::Deserialize;

use super::super::counted::counted;
use super::super::error::Refused;
use crate::app::App;
use crate::clock;
use crate::config::InstallerImage;

/// What iPXE says of the machine. Only the MAC reaches a script, and only as a MAC.
#[derive(Deserialize)]
struct Asked {
    mac: Option<String>,
    uuid: Option<String>,
    serial: Option<String>,
    arch: Option<String>,
    platform: Option<String>,
}

pub(super) async fn script(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Refused> {
    let asked: Asked = super::query(&uri)?;
    let mac = super::read_mac(asked.mac.as_deref())?;
    app.see(mac, &facts(&asked)).await?;
    if let Decision::Enroll(profile) = app.decision(mac) {
        app.enroll_stranger(mac, profile).await?;
    }
    let text = match app.decision(mac) {
        Decision::Install => install(&app, mac).await?,
        other => leave(&app, mac, &other),
    };
    let plain = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok(counted(&app, (plain, text).into_response(), None))
}

/// The installer with its ticket. The image is looked for first: without one no attempt is counted.
async fn install(app: &App, mac: Mac) -> Result<String, Refused> {
    let image = match image(app, &app.store.world(), mac) {
        Ok(image) => image.image.clone(),
        Err(why) => {
            tracing::warn!(%mac, reason = why, "cannot install");
            return Ok(script::disk(&why));
        }
    };
    let (policy, fresh) = (app.policy.clone(), clock::ticket());
    let serve = move |world: &World, now| install::serve(world, mac, &policy, now, fresh);
    let decided = app.store.decide(serve).await?;
    match decided.answer {
        (Decision::Install, Some(ticket)) => {
            let machine = decided.world.by_mac(mac);
            let title = machine.map_or_else(|| mac.to_string(), |m| m.title());
            tracing::info!(%mac, %title, "boot script with a ticket");
            app.tell(mac, "sent the boot script");
            Ok(script::installer(
                &app.address,
                mac,
                &title,
                &image,
                &ticket,
            ))
        }
        (Decision::Install, None) => {
            Err(Refusal::new(Code::Internal, "an install was decided without a ticket").into())
        }
        // Its last attempt ran out, or its order expired, between the two questions.
        (other, _) => Ok(leave(app, mac, &other)),
    }
}

/// What iPXE gets that is to install nothing. It is talking already, so even silence has words here.
fn leave(app: &App, mac: Mac, decision: &Decision) -> String {
    match decision {
        Decision::Wait => {
            tracing::info!(%mac, "screen for strangers");
            script::wait(&app.address, mac)
        }
        Decision::Disk(reason) | Decision::Silence(reason) => {
            tracing::info!(%mac, %reason, "boots its own disk");
            script::disk(&reason.to_string())
        }
        Decision::Install | Decision::Enroll(_) => {
            tracing::warn!(%mac, "enrolling it by `boot.unknown` did not arm it");
            script::disk("not enrolled")
        }
    }
}

/// The installer for the architecture that the machine's profile names.
fn image<'a>(app: &'a App, world: &World, mac: Mac) -> Result<&'a InstallerImage, String> {
    let profiles = app.profiles();
    let profile = world
        .by_mac(mac)
        .and_then(|m| m.profile.as_ref())
        .ok_or("it has no profile")?;
    let arch = profiles.by_name.get(profile).map(|p| p.arch.as_str());
    let arch = arch.ok_or_else(|| format!("its profile {profile} does not exist any more"))?;
    let image = app.config.image_for(arch);
    image.ok_or_else(|| format!("no installer image for {arch} is configured"))
}

/// What iPXE tells, as far as it is what it should be. `${uuid}` that nobody filled in is nothing.
fn facts(asked: &Asked) -> Facts {
    let arch = match (asked.platform.as_deref(), asked.arch.as_deref()) {
        (Some("pcbios"), _) => Some(Arch::Bios),
        (Some("efi"), Some("x86_64")) => Some(Arch::X64),
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

    fn asked(uuid: &str, serial: &str, arch: &str, platform: &str) -> Asked {
        let given = |text: &str| Some(text.to_owned());
        Asked {
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
