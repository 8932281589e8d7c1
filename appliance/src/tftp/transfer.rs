//! One file on its way to one client, from a socket of its own (RFC 1350 §4: the server's TID).
//!
//! A transfer is a thread, and its socket blocks. Its packets go to and fro one at a time, so that every turn
//! through an event loop is time in which the machine waits for its loader: two system calls for a block, one
//! to hear and one to send, are the least there are.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

use netboot::tftp::options::{Limits, settle};
use netboot::tftp::packet::{self, ErrorCode, Packet};
use netboot::tftp::sender::{End, Sender, Step};
use netboot::tftp::source_filter::may_be_answered;
use nix::sys::socket::{getsockopt, sockopt};
use tokio_util::sync::CancellationToken;

use super::burst::Burst;
use super::content::Pages;
use super::seats::Seat;
use super::server::Counter;
use super::shelf::{Course, Loan, Shelf};

/// Bytes of a client's packet that are looked at: an acknowledgement has 4, an error has words.
const HEARD: usize = 600;

/// Where the link's own number cannot be had: Ethernet.
const MTU: u32 = 1500;

/// How long a thread hears nothing but its socket: neither that the service stops nor that the client asks
/// again.
const DEAF: Duration = Duration::from_millis(100);

/// Serves a request, and those that come from the same port before it ends. Blocks until then, or `stop`.
pub(super) fn serve<S: Shelf>(
    counter: &Counter<S>,
    mut seat: Seat,
    request: Vec<u8>,
    stop: &CancellationToken,
) {
    let mut next = Some(request);
    while let Some(request) = next.filter(|_| !stop.is_cancelled()) {
        next = one(counter, &mut seat, &request, stop);
        next = next.or_else(|| seat.leave());
    }
}

/// Serves one request to its end. Gives another that has begun anew meanwhile.
fn one<S: Shelf>(
    counter: &Counter<S>,
    seat: &mut Seat,
    request: &[u8],
    stop: &CancellationToken,
) -> Option<Vec<u8>> {
    let client = seat.client;
    let Ok(Packet::Read(asked)) = packet::read(request) else {
        return None;
    };
    let loan = match counter.shelf.open(client, asked.name) {
        Ok(loan) => loan,
        Err(reason) => {
            counter.shelf.refused(client, asked.name, &reason);
            counter.tell(client, ErrorCode::NotFound, "not found");
            return None;
        }
    };
    let size = loan.content.size();
    let limits = Limits::of_link(mtu(*counter.at.ip(), client).unwrap_or(MTU));
    let terms = match settle(&asked.options, size, limits) {
        Ok(terms) => terms,
        Err(error) => {
            counter.refuse(
                client,
                request,
                ErrorCode::OptionRefused,
                &error.to_string(),
            );
            return None;
        }
    };
    let socket = match UdpSocket::bind((*counter.at.ip(), 0)) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::warn!(%client, %error, "no socket for a TFTP transfer");
            let text = "the server is out of sockets; ask again";
            counter.refuse(client, request, ErrorCode::Undefined, text);
            return None;
        }
    };
    let (block, window) = (terms.block, terms.window);
    tracing::debug!(%client, mac = loan.caller.map(|caller| tracing::field::display(caller.mac)), file = loan.name, size, block, window, "TFTP transfer begins");
    let accepted = terms.accepted.iter();
    let (sender, step) = Sender::new(size, &terms, Duration::ZERO);
    let mut transfer = Transfer {
        counter,
        loan: &loan,
        socket,
        client,
        waits: Duration::ZERO,
        begun: Instant::now(),
        options: packet::options(accepted.map(|(name, value)| (name.as_slice(), *value))),
        pages: Pages::of(loan.content.clone()),
        burst: Burst::new(block),
        heard: [0; HEARD],
        sender,
        under_way: false,
    };
    counter.shelf.passed(&loan, client, counter.at, request);
    let (end, anew) = transfer.run(step, request, seat, stop)?;
    transfer.close(end);
    anew
}

/// What the link to this client carries in one packet, as far as is known.
fn mtu(from: Ipv4Addr, to: SocketAddrV4) -> io::Result<u32> {
    let probe = UdpSocket::bind((from, 0))?;
    probe.connect(to)?;
    let mtu = getsockopt(&probe, sockopt::IpMtu)?;
    u32::try_from(mtu).map_err(io::Error::other)
}

struct Transfer<'a, S> {
    counter: &'a Counter<S>,
    loan: &'a Loan,
    /// Not connected: packets of others must be heard to be told that they are wrong here.
    socket: UdpSocket,
    client: SocketAddrV4,
    /// How long the socket waits for a packet at the moment.
    waits: Duration,
    begun: Instant,
    options: Vec<u8>,
    pages: Pages,
    burst: Burst,
    heard: [u8; HEARD],
    sender: Sender,
    /// The first block went out.
    under_way: bool,
}

/// How it ended, and the request that ended it if one did.
type Ended = (io::Result<End>, Option<Vec<u8>>);

impl<S: Shelf> Transfer<'_, S> {
    /// Nothing: the service stops.
    fn run(
        &mut self,
        first: Step,
        request: &[u8],
        seat: &mut Seat,
        stop: &CancellationToken,
    ) -> Option<Ended> {
        let mut step = first;
        let mut listened = Duration::ZERO;
        loop {
            match self.perform(step) {
                Ok(None) => {}
                Ok(Some(end)) => return Some((Ok(end), None)),
                Err(error) => return Some((Err(error), None)),
            }
            let received = self.receive();
            let now = self.begun.elapsed();
            step = match received {
                Some((length, from)) => self.hear(length, from, now),
                None => Step::Wait,
            };
            if received.is_none() || now - listened >= DEAF {
                listened = now;
                if stop.is_cancelled() {
                    return None;
                }
                if step == Step::Wait
                    && let Some(again) = seat.asked_again()
                {
                    match self.hear_all() {
                        Ok(None) => step = self.sender.asked_again(again == request, now),
                        Ok(Some(end)) => return Some((Ok(end), Some(again))),
                        Err(error) => return Some((Err(error), Some(again))),
                    }
                    if let Step::Ended(end) = step {
                        return Some((Ok(end), Some(again)));
                    }
                }
            }
            if step == Step::Wait {
                step = self.sender.expired(now);
            }
        }
    }

    /// Does what comes next. A packet that does not go out is as one that is lost on the way: the timer knows.
    fn perform(&mut self, step: Step) -> io::Result<Option<End>> {
        let sent = match step {
            Step::Wait => return Ok(None),
            Step::Ended(end) => return Ok(Some(end)),
            Step::Options => {
                self.passes_out(&self.options);
                self.socket.send_to(&self.options, self.client).map(drop)
            }
            Step::Blocks(blocks) => {
                if !std::mem::replace(&mut self.under_way, true) {
                    self.counter.shelf.begun(self.loan);
                }
                let first = self.sender.bytes(blocks.start);
                let last = self.sender.bytes(blocks.end - 1);
                let content = self.pages.read(first.start..last.end)?;
                self.burst.pack(blocks, content);
                self.burst.send(&self.socket, self.client)
            }
        };
        if let Err(error) = sent {
            tracing::debug!(client = %self.client, %error, "cannot send TFTP data");
        }
        Ok(None)
    }

    /// A packet into `heard`; nothing if none comes until the timer may have rung, or for [`DEAF`].
    fn receive(&mut self) -> Option<(usize, SocketAddrV4)> {
        let left = self.sender.due().saturating_sub(self.begun.elapsed());
        let wanted = left.clamp(Duration::from_millis(1), DEAF);
        // To set it for every block costs more than to be woken a little late, or once too often.
        if self.waits > wanted + wanted / 4 || self.waits < wanted / 2 {
            match self.socket.set_read_timeout(Some(wanted)) {
                Ok(()) => self.waits = wanted,
                Err(error) => tracing::warn!(%error, "cannot set how long a socket waits"),
            }
        }
        match self.socket.recv_from(&mut self.heard) {
            Ok((length, SocketAddr::V4(from))) => Some((length, from)),
            // Errors are of packets that were sent and met nobody.
            Ok((_, SocketAddr::V6(_))) | Err(_) => None,
        }
    }

    /// The packet that was received.
    fn hear(&mut self, length: usize, from: SocketAddrV4, now: Duration) -> Step {
        let said = packet::read(&self.heard[..length]);
        if from != self.client {
            if may_be_answered(from) && !matches!(said, Ok(Packet::Error { .. })) {
                let error = packet::error(ErrorCode::UnknownTransfer, "not your transfer");
                let _ = self.socket.send_to(&error, from);
            }
            return Step::Wait;
        }
        match said {
            Ok(Packet::Acknowledged(number)) => self.sender.acknowledged(number, now),
            Ok(Packet::Error { code, text }) => {
                if let Ok(SocketAddr::V4(here)) = self.socket.local_addr() {
                    let error = &self.heard[..length];
                    self.counter.shelf.passed(self.loan, from, here, error);
                }
                tracing::debug!(client = %from, code, ?text, "the client sent a TFTP error");
                self.sender.broken_off(code)
            }
            Ok(Packet::Read(_) | Packet::Write(_) | Packet::Answer) | Err(_) => Step::Wait,
        }
    }

    /// Hears what is there already. A ROM breaks off and asks anew at once, from the same port: its error and
    /// its request come in at two sockets, and the error was the first.
    fn hear_all(&mut self) -> io::Result<Option<End>> {
        self.socket.set_nonblocking(true)?;
        let mut ended = Ok(None);
        while let (Ok(None), Some((length, from))) = (&ended, self.receive()) {
            let step = self.hear(length, from, self.begun.elapsed());
            ended = self.perform(step);
        }
        self.socket.set_nonblocking(false)?;
        ended
    }

    /// Tells the client, if it may still listen, and the shelf.
    fn close(&self, end: io::Result<End>) {
        let last_word = match &end {
            Ok(End::Silent) => Some("no acknowledgement came"),
            Err(_) => Some("the file cannot be read any more"),
            Ok(End::Complete | End::Probed | End::BrokenOff(_) | End::Unconfirmed | End::Anew) => {
                None
            }
        };
        if let Some(text) = last_word {
            let error = packet::error(ErrorCode::Undefined, text);
            self.passes_out(&error);
            let _ = self.socket.send_to(&error, self.client);
        }
        let course = Course {
            end,
            bytes: self.sender.delivered(),
            took: self.begun.elapsed(),
            resent: self.sender.resent(),
        };
        let shelf = &self.counter.shelf;
        shelf.ended(self.client, self.loan, &course);
    }

    fn passes_out(&self, packet: &[u8]) {
        if let Ok(SocketAddr::V4(here)) = self.socket.local_addr() {
            let shelf = &self.counter.shelf;
            shelf.passed(self.loan, here, self.client, packet);
        }
    }
}
