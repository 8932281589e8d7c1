//! What a machine boots, settled for every door that hands out a script: the ticket, the attempt, the reason.

use netboot::api::agent;
use netboot::base::mac::Mac;
use netboot::base::refusal::{Code, Refusal};
use netboot::doctor::boot_trace::{Mark, Script as Given};
use netboot::loader::local_boot::{Loader, Way};
use netboot::loader::script::{Entry, Errand, Installer};
use netboot::machine::State;
use netboot::machine::decide::Decision;
use netboot::machine::installer_choice::{self, NoImage};

use crate::app::App;
use crate::base::clock;
use crate::boot::requester::Caller;
use crate::config::InstallerImage;

/// Settles what a machine boots that asks for its script, in the language of `loader`; nothing for one that finds its disk
/// by itself. Hands out the ticket and counts the attempt, both durable when
/// this returns; a script that is asked for again within the same boot says the same.
///
/// # Errors
/// The store refused.
pub async fn entry(app: &App, caller: &Caller, loader: Option<Loader>) -> Result<Entry, Refusal> {
    match app.decision(caller.mac) {
        Decision::Install => install(app, caller, loader).await,
        Decision::Discover => discover(app, caller, loader).await,
        other => Ok(leave(app, caller, loader, &other).await),
    }
}

/// The installer that this machine has begun with; the newest where it has with none, or that is gone.
///
/// # Errors
/// There is none for it, in words for its screen.
pub fn begun(app: &App, mac: Mac) -> Result<InstallerImage, NoImage> {
    let newest = image(app, mac)?;
    let name = app.installers.begun_by(mac);
    let begun = name.and_then(|name| app.installers.named(&name, &newest.image.arch));
    Ok(begun.unwrap_or(newest))
}

/// The newest for one that is only now told where its files are. Only a Raspberry Pi finds its disk by itself, and it was
/// told before it asks for its command line.
fn which(app: &App, mac: Mac, loader: Option<Loader>) -> Result<InstallerImage, NoImage> {
    match loader {
        Some(_) => image(app, mac),
        None => begun(app, mac),
    }
}

/// The installer that this machine may boot.
///
/// # Errors
/// There is none for it, in words for its screen.
pub fn image(app: &App, mac: Mac) -> Result<InstallerImage, NoImage> {
    let (world, profiles) = (app.store.world(), app.profiles());
    let machine = world.by_mac(mac);
    let arch = match machine.is_none_or(|m| m.state == State::Seen) {
        true => installer_choice::for_stranger(machine)?,
        false => installer_choice::wanted(machine, &profiles)?,
    };
    let image = app.installers.for_arch(arch.as_str());
    image.ok_or_else(|| NoImage::NotConfigured(arch.to_string()))
}

/// The installer with its ticket. The image is looked for first: without one no attempt is counted.
async fn install(app: &App, caller: &Caller, loader: Option<Loader>) -> Result<Entry, Refusal> {
    let mac = caller.mac;
    let image = match which(app, mac, loader) {
        Ok(image) => image.image,
        Err(why) => {
            tracing::warn!(%mac, reason = %why, "cannot install");
            return Ok(to_disk(app, caller, loader, why.to_string()).await);
        }
    };
    let (policy, fresh) = (app.policy.clone(), clock::ticket());
    let asker = app.asker(caller);
    let serve = move |world: &_, now| agent::serve(world, mac, &policy, now, asker, fresh);
    let decided = app.store.decide(serve).await?;
    match decided.answer {
        (Decision::Install, Some(ticket)) => {
            let machine = decided.world.by_mac(mac);
            let title = machine.map_or_else(|| mac.to_string(), |m| m.title());
            tracing::info!(%mac, %title, "boot script with a ticket");
            app.installers.begin(mac, &image.name);
            let given = Given::Installer;
            app.mark_of(caller, Mark::Script { given });
            Ok(Entry::Installer(Installer {
                title,
                image,
                errand: Errand::Install(ticket),
            }))
        }
        (Decision::Install, None) => {
            let refusal = Refusal::new(Code::Internal, "an install was decided without a ticket");
            Err(refusal)
        }
        // Its last attempt ran out, or its order expired, between the two questions.
        (other, _) => Ok(leave(app, caller, loader, &other).await),
    }
}

/// The installer that only tells what is in the machine. A stranger that is not on record, because there are too many,
/// is not asked.
async fn discover(app: &App, caller: &Caller, loader: Option<Loader>) -> Result<Entry, Refusal> {
    let mac = caller.mac;
    let image = match which(app, mac, loader) {
        Ok(image) => image.image,
        Err(why) => {
            tracing::warn!(%mac, reason = %why, "cannot find out what it is");
            return Ok(to_disk(app, caller, loader, why.to_string()).await);
        }
    };
    if app.store.world().by_mac(mac).is_none() {
        return Ok(to_disk(app, caller, loader, "not on record".to_owned()).await);
    }
    let (policy, fresh) = (app.policy.clone(), clock::ticket());
    let asker = app.asker(caller);
    let serve = move |world: &_, now| agent::serve(world, mac, &policy, now, asker, fresh);
    match app.store.decide(serve).await?.answer.0 {
        Decision::Discover => {
            tracing::info!(%mac, "boot script that has it tell its hardware");
            app.installers.begin(mac, &image.name);
            let given = Given::Discover;
            app.mark_of(caller, Mark::Script { given });
            Ok(Entry::Installer(Installer {
                title: mac.to_string(),
                image,
                errand: Errand::Discover,
            }))
        }
        // It told, or was enrolled, between the two questions.
        other => Ok(leave(app, caller, loader, &other).await),
    }
}

/// What a machine gets that is to install nothing. Its loader is talking already, so even silence has words here.
async fn leave(app: &App, caller: &Caller, loader: Option<Loader>, decision: &Decision) -> Entry {
    let mac = caller.mac;
    match decision {
        Decision::Wait => {
            tracing::info!(%mac, "screen for strangers");
            let given = Given::Wait;
            app.mark_of(caller, Mark::Script { given });
            Entry::Wait
        }
        Decision::Disk(reason) | Decision::Silence(reason) => {
            tracing::info!(%mac, %reason, "boots its own disk");
            to_disk(app, caller, loader, reason.to_string()).await
        }
        Decision::Install | Decision::Discover | Decision::Enroll(_) => {
            tracing::warn!(%mac, "what it gets changed while it asked");
            to_disk(app, caller, loader, "not enrolled".to_owned()).await
        }
    }
}

async fn to_disk(app: &App, caller: &Caller, loader: Option<Loader>, reason: String) -> Entry {
    let way = match loader {
        Some(loader) => Some(app.way_to_disk(caller, loader).await),
        None => None,
    };
    let given = Given::Disk {
        reason: reason.clone(),
        way,
    };
    app.mark_of(caller, Mark::Script { given });
    Entry::Disk {
        why: reason,
        way: way.unwrap_or(Way::NextEntry),
    }
}
