//! Boot requests on UDP 67 and 4011. Each packet has one outcome and one log line with its reason.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::FutureExt;
use netboot::mac::Mac;
use netboot::reply::{Answer, To};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::app::App;

mod answer;
mod judge;
mod socket;

pub use judge::{Door, Reason};
pub use socket::LanSocket;

/// Packets in work at once, for each door. More wait in the socket's buffer.
const AT_ONCE: usize = 64;

/// What becomes of a packet.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Answer(Answer),
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
    pub outcome: Outcome,
}

/// Answers packets until `stop`.
///
/// # Errors
/// The socket is broken for good.
pub async fn serve(
    app: Arc<App>,
    socket: LanSocket,
    door: Door,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let socket = Arc::new(socket);
    let seats = Arc::new(Semaphore::new(AT_ONCE));
    let mut buffer = [0; 4096];
    loop {
        let received = tokio::select! {
            received = socket.receive(&mut buffer) => received,
            () = stop.cancelled() => return Ok(()),
        };
        let (length, from) = match received {
            Ok(received) => received,
            Err(error) if socket::passes(&error) => {
                tracing::warn!(%error, port = door.port(), "could not receive");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        let seat = tokio::select! {
            seat = seats.clone().acquire_owned() => seat,
            () = stop.cancelled() => return Ok(()),
        };
        let packet = buffer[..length].to_vec();
        let (app, socket) = (app.clone(), socket.clone());
        tokio::spawn(async move {
            let _seat = seat;
            let judging = AssertUnwindSafe(answer::judge(&app, door, &packet));
            let judged = judging.catch_unwind().await.unwrap_or(Judged {
                mac: None,
                xid: None,
                outcome: Outcome::Panicked,
            });
            let span = tracing::info_span!(
                "dhcp",
                mac = judged.mac.map(tracing::field::display),
                xid = judged.xid.map(|x| tracing::field::display(format!("{x:08x}"))),
                iface = %app.config.lan.interface,
                port = door.port(),
            );
            finish(&app, &socket, judged, from).instrument(span).await;
        });
    }
}

/// Sends what is to be sent, and writes the one log line.
async fn finish(app: &App, socket: &LanSocket, judged: Judged, from: SocketAddrV4) {
    let packets = &app.counters.packets;
    match judged.outcome {
        Outcome::Answer(answer) => {
            let sent = match destination(answer.to, from) {
                Some(to) => socket.send(&answer.bytes, to).await,
                None => Err(std::io::Error::other("the sender has no address")),
            };
            match sent {
                Ok(()) => {
                    packets.sent.add(1);
                    tracing::info!(given = answer.given, "answered");
                    if let Some(mac) = judged.mac
                        && app.store.world().by_mac(mac).is_some()
                    {
                        app.tell(mac, answer.given);
                    }
                }
                Err(error) => {
                    packets.failed.add(1);
                    tracing::warn!(%error, given = answer.given, "could not answer");
                }
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

/// RFC 2131 §4.1 for clients and relays; PXE clients on 4011 are answered where they asked from, because
/// EDK2 asks from 4011 and ROMs from 68.
fn destination(to: To, from: SocketAddrV4) -> Option<SocketAddrV4> {
    match to {
        To::Broadcast => Some(SocketAddrV4::new(Ipv4Addr::BROADCAST, 68)),
        To::Client(address) => Some(SocketAddrV4::new(address, 68)),
        To::Relay(address) => Some(SocketAddrV4::new(address, 67)),
        To::Sender if from.ip().is_unspecified() || from.port() == 0 => None,
        To::Sender => Some(from),
    }
}

#[cfg(test)]
mod on_a_lan;
#[cfg(test)]
mod tests;
