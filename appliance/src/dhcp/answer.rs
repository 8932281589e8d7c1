//! One packet, from its bytes to its outcome: the core walks, and what it needs on the way is found here.

use std::net::Ipv4Addr;
use std::sync::Arc;

use netboot::api::agent::Asker;
use netboot::api::dhcp::{self, Door, Known, Need, Outcome, Question};
use netboot::base::mac::Mac;
use netboot::base::name::HostName;
use netboot::base::refusal::Refusal;
use netboot::dhcp::lease::{Probe, Settled, Site, Standing, settle};
use netboot::dhcp::offer_fallback::Manner;
use netboot::dhcp::request::{self, Boot, Request};
use netboot::machine::decide::Decision;

use super::link::Link;
use super::responder::Responder;
use crate::base::clock;
use crate::net::Segment;

/// The outcome of one packet. Whatever must be durable before it is answered is durable when this returns. Without a
/// `link` addresses are not probed.
pub(super) async fn answer(
    responder: &Responder,
    segment: &Segment,
    door: Door,
    packet: &[u8],
    link: Option<&Link>,
) -> Outcome {
    let (address, own) = (&segment.address, &responder.own_cards);
    let question = Question {
        request: request::read(packet),
        door,
        address,
        site: responder.mode.site(address.ip),
        own,
    };
    let mut known = Known::new(link.is_some());
    let mut standing = None;
    loop {
        let need = match dhcp::answer(&question, &known) {
            Ok(outcome) => return outcome,
            Err(need) => need,
        };
        match need {
            Need::Decision(request) => known.decided(decide(responder, request).await),
            Need::Enrollment(request, profile) => {
                let enrolled = responder
                    .decisions
                    .enroll_stranger(request.mac, profile)
                    .await;
                known.enrolled(enrolled.map(|()| responder.decisions.decision(request.mac)));
            }
            Need::Manner(request, boot) => known.tries(manner(responder, &question, request, boot)),
            Need::Lease {
                request,
                site,
                probe,
            } => {
                let standing = *standing
                    .get_or_insert_with(|| responder.decisions.standing(request.mac.octets()));
                let settled = lease(responder, site, request, standing, probe).await;
                let name = name(responder, request.mac, &settled);
                known.settled(settled, name);
            }
            Need::Probe(request, address) => {
                let standing = *standing
                    .get_or_insert_with(|| responder.decisions.standing(request.mac.octets()));
                known.probed(address, who_has(link, address, standing).await);
            }
        }
    }
}

async fn decide(responder: &Responder, request: &Request) -> Result<Decision, Refusal> {
    responder
        .decisions
        .observe(request.mac, &request.facts, Asker::Itself)
        .await?;
    Ok(responder.decisions.decision(request.mac))
}

fn manner(responder: &Responder, question: &Question<'_>, request: &Request, boot: Boot) -> Manner {
    let world = responder.store.world();
    let machine = world.by_mac(request.mac);
    let worked = machine.and_then(|machine| machine.manner.as_ref());
    let has = |name: &str| responder.loaders.get(name).is_some();
    responder
        .loaders
        .attempts(|trials| question.manner(trials, request, boot, worked, has, clock::now()))
}

async fn lease(
    responder: &Responder,
    site: &Arc<Site>,
    request: &Request,
    standing: Standing,
    probe: Probe,
) -> Result<Settled, Refusal> {
    let (site, request) = (site.clone(), request.clone());
    let rules = move |leases: &mut _, now| settle(leases, &site, &request, standing, probe, now);
    responder.store.lease(rules).await
}

/// What a machine is called here, for an answer that tells it.
fn name(responder: &Responder, mac: Mac, settled: &Result<Settled, Refusal>) -> Option<HostName> {
    match settled {
        Ok(Settled::Offer { .. } | Settled::Ack { .. } | Settled::Inform) => {
            let world = responder.store.world();
            world.by_mac(mac).and_then(|machine| machine.name.clone())
        }
        Ok(Settled::Probe(_) | Settled::Nak(_) | Settled::Silence(_)) | Err(_) => None,
    }
}

async fn who_has(
    link: Option<&Link>,
    address: Ipv4Addr,
    standing: Standing,
) -> Result<Option<Mac>, String> {
    match link {
        Some(link) => {
            let card = link.who_has(address, standing).await;
            card.map_err(|error| error.to_string())
        }
        None => Err("the link is not open".to_owned()),
    }
}
