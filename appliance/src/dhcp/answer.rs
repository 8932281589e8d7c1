//! One packet, from its bytes to its outcome: read, write down, decide, answer.

use netboot::decide::Decision;
use netboot::lease::{Settled, settle};
use netboot::reply::{self, Answer, BootFile, loader};
use netboot::request::{Boot, Request};

use super::judge::{Door, Reason, sift};
use super::{Judged, Outcome};
use crate::app::App;
use crate::config::Dhcp;

/// Judges one packet. Whatever must be durable before the answer is durable when this returns.
pub(super) async fn judge(app: &App, door: Door, packet: &[u8]) -> Judged {
    let request = match sift(packet, door, &app.config.dhcp, app.config.lan.mac) {
        Ok(request) => request,
        Err(reason) => {
            let read = netboot::request::read(packet).ok();
            return Judged {
                mac: read.as_ref().map(|r| r.mac),
                xid: read.as_ref().map(|r| r.xid),
                outcome: Outcome::Ignored(reason),
            };
        }
    };
    let (mac, xid) = (Some(request.mac), Some(request.xid));
    let outcome = match answer(app, door, request).await {
        Ok(answer) => Outcome::Answer(answer),
        Err(reason) => Outcome::Ignored(reason),
    };
    Judged { mac, xid, outcome }
}

async fn answer(app: &App, door: Door, request: Request) -> Result<Answer, Reason> {
    let file = match &request.boot {
        Some(boot) => netboots(app, &request, boot).await?,
        None => Err(Reason::NotNetboot),
    };
    match (&app.config.dhcp, door, &request.boot) {
        (_, Door::Binl, _) => Ok(reply::binl_ack(&request, &file?, &app.address)),
        (Dhcp::Server { pool, network }, Door::Dhcp, _) => {
            let (pool, asked) = (pool.clone(), request.clone());
            let settled = app
                .store
                .lease(move |leases, now| settle(leases, &pool, &asked, now))
                .await
                .map_err(Reason::Refused)?;
            let file = file.ok();
            let answer =
                reply::server_answer(&request, &settled, file.as_ref(), network, &app.address);
            answer.ok_or_else(|| match settled {
                Settled::Silence(why) => Reason::Lease(why),
                other => Reason::Lease(format!("{other:?} has no answer")),
            })
        }
        (Dhcp::Proxy | Dhcp::Off, Door::Dhcp, Some(boot)) => {
            Ok(reply::proxy_offer(&request, boot, &file?, &app.address))
        }
        (Dhcp::Proxy | Dhcp::Off, Door::Dhcp, None) => Err(Reason::NotNetboot),
    }
}

/// A machine that wants to netboot: the file it is to load, or why it gets none. The outer error is
/// silence in every mode; with the inner one it may still have an address.
async fn netboots(
    app: &App,
    request: &Request,
    boot: &Boot,
) -> Result<Result<BootFile, Reason>, Reason> {
    let mac = request.mac;
    app.see(mac, &request.facts)
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
        Decision::Install | Decision::Wait => Ok(file(app, request, boot)),
        Decision::Disk(reason) => Ok(Err(Reason::Decided(reason))),
        Decision::Silence(reason) => Err(Reason::Decided(reason)),
        Decision::Enroll(_) => Err(Reason::NotArmed),
    }
}

fn file(app: &App, request: &Request, boot: &Boot) -> Result<BootFile, Reason> {
    let file = reply::boot_file(request, boot, &app.address)
        .ok_or_else(|| Reason::NoLoader(format!("{:?}", boot.arch)))?;
    match (&file, loader(boot.arch)) {
        (BootFile::Loader(_), Some(name)) if app.loaders.get(name).is_none() => {
            Err(Reason::LoaderMissing(name.to_owned()))
        }
        _ => Ok(file),
    }
}
