//! One packet, from its bytes to its outcome: the core walks, and what it needs on the way is found here.

use std::net::Ipv4Addr;
use std::sync::Arc;

use netboot::api::agent::RequesterIdentity;
use netboot::api::dhcp::{self, DhcpPort, KnownFacts, MissingFact, PacketContext, PacketOutcome};
use netboot::base::mac::Mac;
use netboot::base::name::HostName;
use netboot::base::refusal::Refusal;
use netboot::dhcp::lease::{ClientClass, LeaseAnswer, ProbeResult, Site, settle};
use netboot::dhcp::offer_fallback::BootMethod;
use netboot::dhcp::request::{self, NetbootRequest, Request};
use netboot::machine::decide::Decision;

use super::link::ArpLink;
use super::responder::Responder;
use crate::base::clock;
use crate::net::Segment;

/// The outcome of one packet. Whatever must be durable before it is answered is durable when this returns. Without a
/// `link` addresses are not probed.
pub(super) async fn answer(
    responder: &Responder,
    segment: &Segment,
    door: DhcpPort,
    packet: &[u8],
    link: Option<&ArpLink>,
) -> PacketOutcome {
    let (address, own) = (&segment.address, &responder.own_cards);
    let question = PacketContext {
        request: request::read(packet),
        door,
        address,
        site: responder.mode.site(address.ip),
        own,
    };
    let mut known = KnownFacts::new(link.is_some());
    let mut client_class = None;
    loop {
        let need = match dhcp::answer(&question, &known) {
            Ok(outcome) => return outcome,
            Err(need) => need,
        };
        match need {
            MissingFact::Decision(request) => known.decided(decide(responder, request).await),
            MissingFact::Enrollment(request, profile) => {
                let enrolled = responder
                    .decisions
                    .enroll_stranger(request.mac, profile)
                    .await;
                known.enrolled(enrolled.map(|()| responder.decisions.decision(request.mac)));
            }
            MissingFact::Manner(request, boot) => {
                known.tries(boot_method(responder, &question, request, boot));
            }
            MissingFact::Lease {
                request,
                site,
                probe,
            } => {
                let client_class = *client_class
                    .get_or_insert_with(|| responder.decisions.client_class(request.mac.octets()));
                let settled = lease(responder, site, request, client_class, probe).await;
                let name = name(responder, request.mac, &settled);
                known.settled(settled, name);
            }
            MissingFact::Probe(request, address) => {
                let client_class = *client_class
                    .get_or_insert_with(|| responder.decisions.client_class(request.mac.octets()));
                known.probed(address, who_has(link, address, client_class).await);
            }
        }
    }
}

async fn decide(responder: &Responder, request: &Request) -> Result<Decision, Refusal> {
    responder
        .decisions
        .observe(request.mac, &request.facts, RequesterIdentity::Verified)
        .await?;
    Ok(responder.decisions.decision(request.mac))
}

fn boot_method(
    responder: &Responder,
    question: &PacketContext<'_>,
    request: &Request,
    boot: NetbootRequest,
) -> BootMethod {
    let state = responder.store.state();
    let machine = state.by_mac(request.mac);
    let worked = machine.and_then(|machine| machine.boot_method.as_ref());
    let has = |name: &str| responder.loaders.get(name).is_some();
    responder.loaders.attempts(|loader_attempts| {
        question.boot_method(loader_attempts, request, boot, worked, has, clock::now())
    })
}

async fn lease(
    responder: &Responder,
    site: &Arc<Site>,
    request: &Request,
    client_class: ClientClass,
    probe: ProbeResult,
) -> Result<LeaseAnswer, Refusal> {
    let (site, request) = (site.clone(), request.clone());
    let rules =
        move |leases: &mut _, now| settle(leases, &site, &request, client_class, probe, now);
    responder.store.lease(rules).await
}

/// What a machine is called here, for an answer that tells it.
fn name(
    responder: &Responder,
    mac: Mac,
    settled: &Result<LeaseAnswer, Refusal>,
) -> Option<HostName> {
    match settled {
        Ok(LeaseAnswer::Offer { .. } | LeaseAnswer::Ack { .. } | LeaseAnswer::Inform) => {
            let state = responder.store.state();
            state.by_mac(mac).and_then(|machine| machine.name.clone())
        }
        Ok(LeaseAnswer::Probe(_) | LeaseAnswer::Nak(_) | LeaseAnswer::Silence(_)) | Err(_) => None,
    }
}

async fn who_has(
    link: Option<&ArpLink>,
    address: Ipv4Addr,
    client_class: ClientClass,
) -> Result<Option<Mac>, String> {
    match link {
        Some(link) => {
            let card = link.who_has(address, client_class).await;
            card.map_err(|error| error.to_string())
        }
        None => Err("the link is not open".to_owned()),
    }
}
