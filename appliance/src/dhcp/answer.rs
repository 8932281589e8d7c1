//! One packet, from its bytes to its outcome: read, write down, decide, answer.

use std::sync::Arc;

use netboot::api::agent::Asker;
use netboot::base::address::Address;
use netboot::dhcp::lease::{Settled, Site};
use netboot::dhcp::offer_fallback::{Form, Manner};
use netboot::dhcp::reply::{self, Answer, BootFile};
use netboot::dhcp::request::{Boot, Client, Kind, Request};
use netboot::machine::decide::Decision;

use super::judge::{Door, Reason, sift};
use super::link::Link;
use super::{Judged, Outcome, boot_log, lease};
use crate::app::App;
use crate::base::clock;
use crate::config::Dhcp;
use crate::net::Segment;

/// Judges one packet. Whatever must be durable before the answer is durable when this returns.
pub(super) async fn judge(
    app: &App,
    segment: &Segment,
    door: Door,
    packet: &[u8],
    link: Option<&Link>,
) -> Judged {
    let request = match sift(packet, door, &app.config.dhcp, &app.cards()) {
        Ok(request) => request,
        Err(reason) => {
            let read = netboot::dhcp::request::read(packet).ok();
            return Judged {
                mac: read.as_ref().map(|r| r.mac),
                xid: read.as_ref().map(|r| r.xid),
                asked: read.and_then(|r| boot_log::asked(&r, door)),
                no_file: None,
                outcome: Outcome::Ignored(reason),
            };
        }
    };
    let (mac, xid) = (Some(request.mac), Some(request.xid));
    let asked = boot_log::asked(&request, door);
    let (no_file, outcome) = match answer(app, &segment.address, door, request, link).await {
        Ok((answers, no_file)) => (no_file, Outcome::Answers(answers)),
        Err(reason) => (None, Outcome::Ignored(reason)),
    };
    Judged {
        mac,
        xid,
        asked,
        no_file,
        outcome,
    }
}

/// Answers, and why they name no boot file if they do not.
type Answered = (Vec<Answer>, Option<Reason>);

async fn answer(
    app: &App,
    address: &Address,
    door: Door,
    request: Request,
    link: Option<&Link>,
) -> Result<Answered, Reason> {
    let told = match request.boot {
        Some(boot) => netboots(app, address, door, &request, boot).await,
        None => Err(Reason::NotNetboot),
    };
    match (app.config.dhcp.site(address.ip), door) {
        (_, Door::Binl) => {
            let (boot, file, form) = told?;
            let ack = reply::binl_ack(&request, boot, &file, form, address);
            Ok((vec![ack], None))
        }
        (Some(site), Door::Dhcp) => leased(app, address, site, &request, told, link).await,
        (None, Door::Dhcp) => {
            let (boot, file, form) = told?;
            if boot.client.follows_its_lease() {
                return Err(Reason::ForTheServer);
            }
            let offer = reply::proxy_offer(&request, boot, &file, form, address);
            Ok((vec![offer], None))
        }
    }
}

/// Server mode: an address for everybody, whether or not there is something to boot with it.
async fn leased(
    app: &App,
    address: &Address,
    site: &Arc<Site>,
    request: &Request,
    told: Result<Told, Reason>,
    link: Option<&Link>,
) -> Result<Answered, Reason> {
    let standing = app.standing(request.mac.octets());
    let settled = lease::settled(app, site, request, standing, link)
        .await
        .map_err(Reason::Refused)?;
    if let Settled::Silence(why) = settled {
        return Err(Reason::Lease(why));
    }
    let Some(subnet) = site.subnet(request) else {
        return Err(Reason::Lease("of no subnet".to_owned()));
    };
    let world = app.store.world();
    let name = world.by_mac(request.mac).and_then(|m| m.name.as_ref());
    let file = told.as_ref().ok();
    let file = file.map(|(boot, file, form)| (*boot, file, *form));
    let network = &subnet.network;
    let mut answers = reply::server_answers(request, &settled, file, network, name, address);
    let no_file = told.err();
    if let (Some(why), Some(_), Some(answer)) = (&no_file, request.boot, answers.first_mut()) {
        answer.given = format!("{}, nothing to boot: {why}", answer.given);
    }
    Ok((answers, no_file))
}

/// What a machine is told to load, and in which form.
type Told = (Boot, BootFile, Form);

/// A machine that wants to netboot: the file it is to load, or why it gets none.
async fn netboots(
    app: &App,
    address: &Address,
    door: Door,
    request: &Request,
    boot: Boot,
) -> Result<Told, Reason> {
    let mac = request.mac;
    app.see(mac, &request.facts, Asker::Itself)
        .await
        .map_err(Reason::Refused)?;
    let decision = match app.decision(mac) {
        Decision::Enroll(profile) => {
            let enrolled = app.enroll_stranger(mac, profile).await;
            enrolled.map_err(Reason::Refused)?;
            app.decision(mac)
        }
        decision => decision,
    };
    match decision {
        Decision::Install | Decision::Wait | Decision::Discover => {
            file(app, address, door, request, boot)
        }
        Decision::Disk(reason) | Decision::Silence(reason) => Err(Reason::Decided(reason)),
        Decision::Enroll(_) => Err(Reason::NotArmed),
    }
}

fn file(
    app: &App,
    address: &Address,
    door: Door,
    request: &Request,
    boot: Boot,
) -> Result<Told, Reason> {
    let manner = manner(app, door, request, boot);
    let file = reply::boot_file(request, boot, manner.loader.as_deref(), address);
    let file = file.ok_or_else(|| match reply::loaders(boot) {
        [] => Reason::NoLoader(format!("{:?}", boot.arch)),
        names => Reason::LoaderMissing(names.join("` or `")),
    })?;
    Ok((boot, file, manner.form))
}

/// The form and the loader: what worked before, else what has not been tried yet. Only ROMs are tried with; iPXE and
/// the others have one form that is specified.
fn manner(app: &App, door: Door, request: &Request, boot: Boot) -> Manner {
    let mac = request.mac;
    if !matches!(boot.client, Client::Pxe | Client::Http | Client::UBootUefi) {
        return Manner::default();
    }
    let here = |name: &&&str| app.loaders.get(name).is_some();
    let loaders: Vec<&str> = reply::loaders(boot).iter().filter(here).copied().collect();
    let forms = Form::all(boot, matches!(app.config.dhcp, Dhcp::Server(_)));
    let world = app.store.world();
    let known = world.by_mac(mac).and_then(|m| m.manner.as_ref());
    app.trials(|trials| match (door, request.kind) {
        (Door::Dhcp, Kind::Discover) => {
            trials.discover(mac, boot, known, forms, &loaders, clock::now())
        }
        (Door::Dhcp, _) => trials.current(mac, boot, known, forms, &loaders),
        (Door::Binl, _) => {
            trials.taken(mac);
            trials.current(mac, boot, known, forms, &loaders)
        }
    })
}
