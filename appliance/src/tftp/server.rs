//! Port 69: requests come in, transfers begin, and whatever cannot be gets an error with words.

use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::thread;

use netboot::tftp::packet::{self, ErrorCode, Mode, Packet, Request, Unreadable};
use netboot::tftp::source_filter::may_be_answered;
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;

use super::seats::{Asked, Seats};
use super::shelf::Shelf;
use super::transfer;
use crate::dhcp::passes;

/// Longer requests are cut and then not understood. RFC 2347 allows 512 bytes.
const REQUEST: usize = 4096;

pub(super) struct Server<S> {
    counter: Arc<Counter<S>>,
}

/// Where clients ask. A refusal goes out from here, so that it takes no socket.
pub(super) struct Counter<S> {
    socket: UdpSocket,
    pub(super) at: SocketAddrV4,
    seats: Arc<Seats>,
    pub(super) shelf: S,
}

impl<S: Shelf> Server<S> {
    pub(super) fn on(socket: std::net::UdpSocket, shelf: S) -> io::Result<Self> {
        let SocketAddr::V4(at) = socket.local_addr()? else {
            return Err(io::Error::other("TFTP is served on IPv4 only"));
        };
        socket.set_nonblocking(true)?;
        let counter = Counter {
            socket: UdpSocket::from_std(socket)?,
            at,
            seats: Arc::default(),
            shelf,
        };
        Ok(Self {
            counter: Arc::new(counter),
        })
    }

    pub(super) fn address(&self) -> SocketAddrV4 {
        self.counter.at
    }

    pub(super) async fn run(self, stop: CancellationToken) -> io::Result<()> {
        let Self { counter } = self;
        // However this ends, the transfers end with it.
        let stop = stop.child_token();
        let _ends = stop.clone().drop_guard();
        let mut buffer = [0; REQUEST];
        loop {
            let received = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                received = counter.socket.recv_from(&mut buffer) => received,
            };
            let (bytes, client) = match received {
                Ok((length, SocketAddr::V4(client))) => (&buffer[..length], client),
                Ok((_, SocketAddr::V6(_))) => continue,
                Err(error) if passes(&error) => {
                    tracing::warn!(%error, "cannot receive TFTP requests at the moment");
                    continue;
                }
                Err(error) => return Err(error),
            };
            if !may_be_answered(client) {
                tracing::debug!(%client, "a TFTP packet from nobody; ignored");
                continue;
            }
            if let Err(refusal) = readable(bytes) {
                if let Some((code, text)) = refusal {
                    counter.refuse(client, bytes, code, &text);
                }
                continue;
            }
            match counter.seats.ask(client, bytes) {
                Asked::Seat(seat) => {
                    let (of, request, stop) = (counter.clone(), bytes.to_vec(), stop.clone());
                    let serve = move || transfer::serve(&of, seat, request, &stop);
                    // Not one of the runtime's own: those read files for HTTP, and are not to run out.
                    if let Err(error) = thread::Builder::new().name("tftp".to_owned()).spawn(serve)
                    {
                        tracing::warn!(%client, %error, "no thread for a TFTP transfer");
                        let text = "the server is too busy; ask again";
                        counter.refuse(client, bytes, ErrorCode::Undefined, text);
                    }
                }
                Asked::Told => tracing::debug!(%client, "the TFTP request came again"),
                Asked::Full(why) => counter.refuse(client, bytes, ErrorCode::Undefined, why),
            }
        }
    }
}

impl<S: Shelf> Counter<S> {
    /// Says no to a request, to the client and in the log.
    pub(super) fn refuse(&self, client: SocketAddrV4, request: &[u8], code: ErrorCode, text: &str) {
        let name = match packet::read(request) {
            Ok(Packet::Read(Request { name, .. }) | Packet::Write(Request { name, .. })) => name,
            _ => b"",
        };
        self.shelf.refused(client, name, text);
        self.tell(client, code, text);
    }

    /// Sends an error. One that does not go out is as one that is lost: the client asks again.
    pub(super) fn tell(&self, client: SocketAddrV4, code: ErrorCode, text: &str) {
        let error = packet::error(code, text);
        if let Err(error) = self.socket.try_send_to(&error, client.into()) {
            tracing::debug!(%client, %error, "cannot send a TFTP error");
        }
    }
}

/// What is said instead of a file; nothing to what wants no answer.
type Refusal = Option<(ErrorCode, String)>;

/// Whether it is a request that a file can be sent for.
fn readable(bytes: &[u8]) -> Result<(), Refusal> {
    let refuse = |code, text: &str| Err(Some((code, text.to_owned())));
    match packet::read(bytes) {
        Ok(Packet::Read(request)) => match request.mode {
            Mode::Octet => Ok(()),
            Mode::Netascii => refuse(
                ErrorCode::IllegalOperation,
                "no netascii here: ask in mode octet (binary)",
            ),
            Mode::Mail | Mode::Other => refuse(
                ErrorCode::IllegalOperation,
                "the only mode here is octet (binary)",
            ),
        },
        Ok(Packet::Write(_)) => refuse(ErrorCode::IllegalOperation, "files are only read here"),
        // Answers to errors could go round for ever.
        Ok(Packet::Error { .. }) | Err(Unreadable::Short) => Err(None),
        Ok(Packet::Acknowledged(_) | Packet::Answer) => {
            refuse(ErrorCode::UnknownTransfer, "no such transfer")
        }
        Err(error) => refuse(ErrorCode::IllegalOperation, &error.to_string()),
    }
}

#[cfg(test)]
mod tests;
