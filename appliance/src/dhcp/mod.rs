//! Boot requests on UDP 67 and 4011. Each packet has one outcome and one log line with its reason.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::FutureExt;
pub use netboot::api::dhcp::DhcpPort;
use netboot::api::dhcp::{PacketOutcome, UnansweredReason};
use netboot::dhcp::reply::{DhcpReply, ReplyTo};
use netboot_listen::admission::Admission;
use netboot_listen::transient::is_transient;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::net::Segment;

mod answer;
mod boot_log;
mod link;
mod origin;
mod responder;
mod socket;

use origin::PacketOrigin;
pub use responder::Responder;
pub use socket::LanSocket;
use socket::{Destination, Received};

/// Answers the packets of one LAN until `stop`.
///
/// # Errors
/// The socket is broken for good.
pub async fn serve(
    responder: Arc<Responder>,
    segment: Arc<Segment>,
    socket: LanSocket,
    door: DhcpPort,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let socket = Arc::new(socket);
    let admission = Admission::new(origin::ALL);
    // Ends with this function.
    let mut listening = JoinSet::new();
    if let Some(link) = socket.link().cloned() {
        listening.spawn(async move { link.listen().await });
    }
    let mut buffer = [0; 4096];
    loop {
        let received = tokio::select! {
            received = socket.receive(&mut buffer) => received,
            () = stop.cancelled() => return Ok(()),
        };
        let received = match received {
            Ok(received) => received,
            Err(error) if is_transient(&error) => {
                tracing::warn!(%error, port = door.port(), "could not receive");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        let origin = PacketOrigin::of(&received.payload, |card| {
            responder.decisions.client_class(card)
        });
        let permit = match admission.try_admit(origin.counted()) {
            Ok(permit) => permit,
            // One line for each packet would be part of the flood.
            Err(full) => {
                responder.counters.packets.dropped.add(1);
                if full.is_news {
                    let (iface, port) = (&segment.lan.interface, door.port());
                    tracing::warn!(iface, port, from = %received.from, "more packets than can be answered: some are dropped");
                }
                continue;
            }
        };
        let (responder, segment, socket) = (responder.clone(), segment.clone(), socket.clone());
        tokio::spawn(async move {
            let _permit = permit;
            handle(&responder, &segment, &socket, door, received).await;
        });
    }
}

/// One packet, from its bytes to what is sent and written down.
async fn handle(
    responder: &Responder,
    segment: &Segment,
    socket: &LanSocket,
    door: DhcpPort,
    received: Received,
) {
    let Received {
        payload,
        from,
        card,
    } = received;
    let link = socket.link().map(Arc::as_ref);
    let answering = AssertUnwindSafe(answer::answer(responder, segment, door, &payload, link));
    let outcome = answering.catch_unwind().await.ok();
    let (mac, xid) = outcome.as_ref().map_or((None, None), |o| (o.mac, o.xid));
    let span = tracing::info_span!(
        "dhcp",
        mac = mac.map(tracing::field::display),
        xid = xid.map(|x| tracing::field::display(format!("{x:08x}"))),
        iface = %segment.lan.interface,
        port = door.port(),
    );
    let Some(outcome) = outcome else {
        // A fault of the appliance: this packet is lost, and the service goes on.
        responder.counters.packets.panicked.add(1);
        let _span = span.enter();
        tracing::error!(%from, "a packet could not be handled; please report this");
        return;
    };
    let here = segment.address.ip;
    boot_log::record_packet(&responder.log, here, door, &payload, from, &outcome);
    let sending = finish(responder, here, socket, door, &outcome, from, card);
    sending.instrument(span).await;
}

/// Sends what is to be sent, and writes the one log line.
async fn finish(
    responder: &Responder,
    here: Ipv4Addr,
    socket: &LanSocket,
    door: DhcpPort,
    outcome: &PacketOutcome,
    from: SocketAddrV4,
    card: Option<[u8; 6]>,
) {
    let packets = &responder.counters.packets;
    let answers = match &outcome.answers {
        Ok(answers) => answers,
        Err(reason) => {
            match reason {
                UnansweredReason::Unreadable(_) => packets.unreadable.add(1),
                _ => packets.ignored.add(1),
            }
            if reason.is_noise() {
                tracing::debug!(%reason, "ignored");
            } else {
                tracing::info!(%reason, "ignored");
            }
            return;
        }
    };
    let mut failure = None;
    for answer in answers {
        let sent = send(socket, answer, destination(answer.to, from), card).await;
        match &sent {
            Ok(_) => packets.sent.add(1),
            Err(error) => {
                packets.failed.add(1);
                failure = Some(error.to_string());
            }
        }
        boot_log::record_answer(&responder.log, here, door, outcome, answer, sent);
    }
    let given = &*outcome.given();
    match failure {
        None => tracing::info!(given, "answered"),
        Some(error) => tracing::warn!(%error, given, "could not answer"),
    }
}

/// Sends an answer; returns where it went to.
async fn send(
    socket: &LanSocket,
    answer: &DhcpReply,
    to: Option<Destination>,
    card: Option<[u8; 6]>,
) -> std::io::Result<SocketAddrV4> {
    let to = to.ok_or_else(|| std::io::Error::other("the sender has no address"))?;
    socket.send(&answer.bytes, to, card).await?;
    Ok(to.address)
}

/// RFC 2131 §4.1 for clients and relays; PXE clients on 4011 are answered where they asked from, because
/// EDK2 asks from 4011 and ROMs from 68.
fn destination(to: ReplyTo, from: SocketAddrV4) -> Option<Destination> {
    let (address, card) = match to {
        ReplyTo::Broadcast => (SocketAddrV4::new(Ipv4Addr::BROADCAST, 68), None),
        ReplyTo::Client(address) => (SocketAddrV4::new(address, 68), None),
        ReplyTo::Unconfigured { mac, address } => {
            (SocketAddrV4::new(address, 68), Some(mac.octets()))
        }
        ReplyTo::Relay(address) => (SocketAddrV4::new(address, 67), None),
        ReplyTo::Sender if from.ip().is_unspecified() || from.port() == 0 => return None,
        ReplyTo::Sender => (from, None),
    };
    Some(Destination { address, card })
}

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod on_a_lan;
#[cfg(test)]
mod tests;
