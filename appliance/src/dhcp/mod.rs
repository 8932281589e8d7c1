//! Boot requests on UDP 67 and 4011. Each packet has one outcome and one log line with its reason.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::FutureExt;
use netboot::base::mac::Mac;
use netboot::dhcp::reply::{Answer, To};
use netboot::doctor::boot_trace::Mark;
use netboot_listen::admission::Admission;
use netboot_listen::transient::is_transient;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::app::App;
use crate::net::Segment;

mod answer;
mod boot_log;
mod judge;
mod lease;
mod link;
mod origin;
mod socket;

pub use judge::{Door, Reason};
use origin::Origin;
pub use socket::LanSocket;
use socket::{Destination, Received};

/// What becomes of a packet.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// One, or two where the firmware wants address and boot file apart.
    Answers(Vec<Answer>),
    Ignored(Reason),
    /// Our own fault; the one packet is lost, the service is not.
    Panicked,
}

/// An outcome, and of whom the packet was, as far as it could be read.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    pub mac: Option<Mac>,
    pub xid: Option<u32>,
    /// What the question says of a boot, if it is part of one.
    pub asked: Option<Mark>,
    /// Why the answer names no boot file to a machine that asked for one.
    pub no_file: Option<Reason>,
    pub outcome: Outcome,
}

/// Answers the packets of one LAN until `stop`.
///
/// # Errors
/// The socket is broken for good.
pub async fn serve(
    app: Arc<App>,
    segment: Arc<Segment>,
    socket: LanSocket,
    door: Door,
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
        let Received {
            payload,
            from,
            card,
        } = match received {
            Ok(received) => received,
            Err(error) if is_transient(&error) => {
                tracing::warn!(%error, port = door.port(), "could not receive");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        let origin = Origin::of(&payload, |card| app.standing(card));
        let permit = match admission.try_admit(origin.counted()) {
            Ok(permit) => permit,
            // One line for each packet would be part of the flood.
            Err(full) => {
                app.counters.packets.dropped.add(1);
                if full.is_news {
                    let (iface, port) = (&segment.lan.interface, door.port());
                    tracing::warn!(iface, port, %from, "more packets than can be answered: some are dropped");
                }
                continue;
            }
        };
        let (app, segment, socket) = (app.clone(), segment.clone(), socket.clone());
        tokio::spawn(async move {
            let _permit = permit;
            let link = socket.link().map(Arc::as_ref);
            let judging = AssertUnwindSafe(answer::judge(&app, &segment, door, &payload, link));
            let judged = judging.catch_unwind().await.unwrap_or(Judged {
                mac: None,
                xid: None,
                asked: None,
                no_file: None,
                outcome: Outcome::Panicked,
            });
            let span = tracing::info_span!(
                "dhcp",
                mac = judged.mac.map(tracing::field::display),
                xid = judged.xid.map(|x| tracing::field::display(format!("{x:08x}"))),
                iface = %segment.lan.interface,
                port = door.port(),
            );
            let here = segment.address.ip;
            boot_log::came(&app, here, door, &payload, from, &judged);
            let sending = finish(&app, here, &socket, door, judged, from, card);
            sending.instrument(span).await;
        });
    }
}

/// Sends what is to be sent, and writes the one log line.
async fn finish(
    app: &App,
    here: Ipv4Addr,
    socket: &LanSocket,
    door: Door,
    judged: Judged,
    from: SocketAddrV4,
    card: Option<[u8; 6]>,
) {
    let packets = &app.counters.packets;
    match &judged.outcome {
        Outcome::Answers(answers) => {
            for answer in answers {
                let to = destination(answer.to, from);
                let sent = deliver(app, socket, answer, to, card).await;
                boot_log::went(app, here, door, &judged, answer, sent);
            }
        }
        Outcome::Ignored(reason) => {
            match reason {
                Reason::Unreadable(_) => packets.unreadable.add(1),
                _ => packets.ignored.add(1),
            }
            if reason.is_noise() {
                tracing::debug!(%reason, "ignored");
            } else {
                tracing::info!(%reason, "ignored");
            }
        }
        Outcome::Panicked => {
            packets.panicked.add(1);
            tracing::error!(%from, "a packet could not be handled; please report this");
        }
    }
}

/// Sends an answer; where it went to.
async fn deliver(
    app: &App,
    socket: &LanSocket,
    answer: &Answer,
    to: Option<Destination>,
    card: Option<[u8; 6]>,
) -> std::io::Result<SocketAddrV4> {
    let packets = &app.counters.packets;
    let sent = match to {
        Some(to) => {
            let sent = socket.send(&answer.bytes, to, card).await;
            sent.map(|()| to.address)
        }
        None => Err(std::io::Error::other("the sender has no address")),
    };
    match &sent {
        Ok(_) => {
            packets.sent.add(1);
            tracing::info!(given = answer.given, "answered");
        }
        Err(error) => {
            packets.failed.add(1);
            tracing::warn!(%error, given = answer.given, "could not answer");
        }
    }
    sent
}

/// RFC 2131 §4.1 for clients and relays; PXE clients on 4011 are answered where they asked from, because
/// EDK2 asks from 4011 and ROMs from 68.
fn destination(to: To, from: SocketAddrV4) -> Option<Destination> {
    let (address, card) = match to {
        To::Broadcast => (SocketAddrV4::new(Ipv4Addr::BROADCAST, 68), None),
        To::Client(address) => (SocketAddrV4::new(address, 68), None),
        To::Unconfigured { mac, address } => (SocketAddrV4::new(address, 68), Some(mac.octets())),
        To::Relay(address) => (SocketAddrV4::new(address, 67), None),
        To::Sender if from.ip().is_unspecified() || from.port() == 0 => return None,
        To::Sender => (from, None),
    };
    Some(Destination { address, card })
}

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod on_a_lan;
#[cfg(test)]
mod tests;
