//! One file on its way to one client, from a socket of its own (RFC 1350 §4: the server's TID).
//!
//! A transfer is a thread, and its socket blocks. Its packets go to and fro one at a time, so that every turn
//! through an event loop is time in which the machine waits for its loader: two system calls for a block, one
//! to hear and one to send, are the least there are.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use netboot::tftp::options::{Limits, negotiate};
use netboot::tftp::packet::{self, ErrorCode, Packet};
use netboot::tftp::sender::{Sender, SenderAction, TransferEnd};
use netboot::tftp::source_filter::may_be_answered;
use nix::sys::socket::{getsockopt, sockopt};
use tokio_util::sync::CancellationToken;

use crate::clients::TransferPermit;
use crate::content::Pages;
use crate::provider::{FileProvider, OpenFile, TransferStats};
use crate::server::{RequestSocket, TransferRefusal};
use crate::window::Window;

/// Bytes of a client's packet that are looked at: an acknowledgement has 4, an error has words.
const HEARD: usize = 600;

/// The MTU of Ethernet, for a link whose own MTU the kernel does not tell.
const MTU: u32 = 1500;

/// The longest time in which a thread looks at its socket only, and not at whether the server stops or the client asks again.
const POLL: Duration = Duration::from_millis(100);

/// Serves a request, and those that come from the same port before it ends. Blocks until then, or until `stop`.
pub(crate) fn serve<P: FileProvider>(
    requests: &RequestSocket<P>,
    mut permit: TransferPermit,
    request: Vec<u8>,
    stop: &CancellationToken,
) {
    let mut next = Some(request);
    while let Some(request) = next.filter(|_| !stop.is_cancelled()) {
        next = serve_one(requests, &mut permit, &request, stop);
        next = next.or_else(|| permit.leave());
    }
}

/// Serves one request to its end. Gives the request that ended it, if one did.
fn serve_one<P: FileProvider>(
    requests: &RequestSocket<P>,
    permit: &mut TransferPermit,
    request: &[u8],
    stop: &CancellationToken,
) -> Option<Vec<u8>> {
    let client = permit.client;
    match ActiveTransfer::open(requests, client, request) {
        Ok((mut transfer, first)) => {
            let Ended { end, next } = transfer.run(first, request, permit, stop)?;
            transfer.close(end);
            next
        }
        Err(refusal) => {
            requests.refuse(client, request, refusal);
            None
        }
    }
}

/// What the link to this client carries in one packet, as far as is known.
fn mtu(from: Ipv4Addr, to: SocketAddrV4) -> io::Result<u32> {
    let probe = UdpSocket::bind((from, 0))?;
    probe.connect(to)?;
    let mtu = getsockopt(&probe, sockopt::IpMtu)?;
    u32::try_from(mtu).map_err(io::Error::other)
}

struct ActiveTransfer<'a, P: FileProvider> {
    requests: &'a RequestSocket<P>,
    file: OpenFile<P::Context>,
    /// It is not connected: packets of others must be received, so that they can be told that they are wrong here.
    socket: UdpSocket,
    client: SocketAddrV4,
    /// How long the socket waits for a packet at the moment.
    waits: Duration,
    begun: Instant,
    /// The OACK.
    options: Vec<u8>,
    pages: Pages,
    window: Window,
    heard: [u8; HEARD],
    sender: Sender,
    /// The first block went out.
    started: bool,
}

/// How a transfer ended.
struct Ended {
    end: io::Result<TransferEnd>,
    /// The request that ended it, if one did.
    next: Option<Vec<u8>>,
}

impl<'a, P: FileProvider> ActiveTransfer<'a, P> {
    /// Opens the file that is asked for and a socket to send it from. Gives the first step too.
    fn open(
        requests: &'a RequestSocket<P>,
        client: SocketAddrV4,
        request: &[u8],
    ) -> Result<(Self, SenderAction), TransferRefusal> {
        let Ok(Packet::Read(asked)) = packet::read(request) else {
            let text = "files are only read here";
            return Err(TransferRefusal::of(ErrorCode::IllegalOperation, text));
        };
        let opened = requests.provider.open(client, asked.name);
        let file = opened.map_err(|reason| TransferRefusal {
            reason: Some(reason),
            ..TransferRefusal::of(ErrorCode::NotFound, "not found")
        })?;
        let size = file.content.size();
        let here = *requests.at.ip();
        let limits = Limits::of_link(mtu(here, client).unwrap_or(MTU));
        let options = negotiate(&asked.options, size, limits)
            .map_err(|error| TransferRefusal::of(ErrorCode::OptionRefused, error.to_string()))?;
        let socket = UdpSocket::bind((here, 0)).map_err(|error| {
            tracing::warn!(%client, %error, "no socket for a TFTP transfer");
            let text = "the server is out of sockets; ask again";
            TransferRefusal::of(ErrorCode::Undefined, text)
        })?;
        let (block, window) = (options.block, options.window);
        tracing::debug!(%client, file = file.name, size, block, window, "TFTP transfer begins");
        requests
            .provider
            .packet(&file, client, requests.at, request);
        let accepted = options.accepted.iter();
        let (sender, first) = Sender::new(size, &options, Duration::ZERO);
        let transfer = Self {
            requests,
            socket,
            client,
            waits: Duration::ZERO,
            begun: Instant::now(),
            options: packet::options(accepted.map(|(name, value)| (name.as_slice(), *value))),
            pages: Pages::of(file.content.clone()),
            file,
            window: Window::new(block),
            heard: [0; HEARD],
            sender,
            started: false,
        };
        Ok((transfer, first))
    }

    /// Sends and receives until the end. Gives `None` if the server stops before.
    fn run(
        &mut self,
        first: SenderAction,
        request: &[u8],
        permit: &mut TransferPermit,
        stop: &CancellationToken,
    ) -> Option<Ended> {
        let mut step = first;
        let mut polled = Duration::ZERO;
        loop {
            if let Some(end) = self.perform(step).transpose() {
                return Some(Ended { end, next: None });
            }
            let received = self.receive();
            let now = self.begun.elapsed();
            step = match received {
                Some((length, from)) => self.hear(length, from, now),
                None => SenderAction::Wait,
            };
            if received.is_none() || now - polled >= POLL {
                polled = now;
                if stop.is_cancelled() {
                    return None;
                }
                if step == SenderAction::Wait
                    && let Some(again) = permit.asked_again()
                {
                    match self.asked_again(again == request, now) {
                        ControlFlow::Continue(next) => step = next,
                        ControlFlow::Break(end) => {
                            let next = Some(again);
                            return Some(Ended { end, next });
                        }
                    }
                }
            }
            if step == SenderAction::Wait {
                step = self.sender.expired(now);
            }
        }
    }

    /// What follows on a request from the same port, the `same` as the one before or another: a step, or the end.
    ///
    /// Packets that were received before it are handled first. A ROM breaks off and asks anew at once: its error and
    /// its request come in at two sockets, and the error came first.
    fn asked_again(
        &mut self,
        same: bool,
        now: Duration,
    ) -> ControlFlow<io::Result<TransferEnd>, SenderAction> {
        if let Some(end) = self.hear_all().transpose() {
            return ControlFlow::Break(end);
        }
        match self.sender.asked_again(same, now) {
            SenderAction::Ended(end) => ControlFlow::Break(Ok(end)),
            step => ControlFlow::Continue(step),
        }
    }

    /// Sends what the step says. A packet that cannot be sent is as if it were lost on the way: the timer sends it
    /// again.
    fn perform(&mut self, step: SenderAction) -> io::Result<Option<TransferEnd>> {
        let sent = match step {
            SenderAction::Wait => return Ok(None),
            SenderAction::Ended(end) => return Ok(Some(end)),
            SenderAction::Options => {
                self.tell_of_sent(&self.options);
                self.socket.send_to(&self.options, self.client).map(drop)
            }
            SenderAction::Blocks(blocks) => {
                if !std::mem::replace(&mut self.started, true) {
                    self.requests.provider.started(&self.file);
                }
                let first = self.sender.bytes(blocks.start);
                let last = self.sender.bytes(blocks.end - 1);
                let content = self.pages.read(first.start..last.end)?;
                self.window.pack(blocks, content);
                self.window.send(&self.socket, self.client)
            }
        };
        if let Err(error) = sent {
            tracing::debug!(client = %self.client, %error, "cannot send TFTP data");
        }
        Ok(None)
    }

    /// Receives a packet into `heard`. Gives `None` if none comes until the timer may have expired, or for [`POLL`].
    fn receive(&mut self) -> Option<(usize, SocketAddrV4)> {
        let left = self.sender.due().saturating_sub(self.begun.elapsed());
        let wanted = left.clamp(Duration::from_millis(1), POLL);
        // To set the timeout for every block costs more than to wake up a little late, or once too often.
        if self.waits > wanted + wanted / 4 || self.waits < wanted / 2 {
            match self.socket.set_read_timeout(Some(wanted)) {
                Ok(()) => self.waits = wanted,
                Err(error) => tracing::warn!(%error, "cannot set how long a socket waits"),
            }
        }
        match self.socket.recv_from(&mut self.heard) {
            Ok((length, SocketAddr::V4(from))) => Some((length, from)),
            // An error here is an ICMP answer to a packet that was sent and not received.
            Ok((_, SocketAddr::V6(_))) | Err(_) => None,
        }
    }

    /// The packet that was received.
    fn hear(&mut self, length: usize, from: SocketAddrV4, now: Duration) -> SenderAction {
        let said = packet::read(&self.heard[..length]);
        if from != self.client {
            if may_be_answered(from) && !matches!(said, Ok(Packet::Error { .. })) {
                let error = packet::error(ErrorCode::UnknownTransfer, "not your transfer");
                let _ = self.socket.send_to(&error, from);
            }
            return SenderAction::Wait;
        }
        match said {
            Ok(Packet::Acknowledged(number)) => self.sender.acknowledged(number, now),
            Ok(Packet::Error { code, text }) => {
                if let Ok(SocketAddr::V4(here)) = self.socket.local_addr() {
                    let error = &self.heard[..length];
                    self.requests.provider.packet(&self.file, from, here, error);
                }
                tracing::debug!(client = %from, code, ?text, "the client sent a TFTP error");
                self.sender.broken_off(code)
            }
            Ok(Packet::Read(_) | Packet::Write(_) | Packet::Answer) | Err(_) => SenderAction::Wait,
        }
    }

    /// Hears what was received already.
    fn hear_all(&mut self) -> io::Result<Option<TransferEnd>> {
        self.socket.set_nonblocking(true)?;
        let mut ended = Ok(None);
        while let (Ok(None), Some((length, from))) = (&ended, self.receive()) {
            let step = self.hear(length, from, self.begun.elapsed());
            ended = self.perform(step);
        }
        self.socket.set_nonblocking(false)?;
        ended
    }

    /// Tells the client, if it may still listen, and the provider.
    fn close(&self, end: io::Result<TransferEnd>) {
        let last_word = match &end {
            Ok(TransferEnd::Silent) => Some("no acknowledgement came"),
            Err(_) => Some("the file cannot be read any more"),
            Ok(
                TransferEnd::Complete
                | TransferEnd::Probed
                | TransferEnd::BrokenOff(_)
                | TransferEnd::Unconfirmed
                | TransferEnd::Anew,
            ) => None,
        };
        if let Some(text) = last_word {
            let error = packet::error(ErrorCode::Undefined, text);
            self.tell_of_sent(&error);
            let _ = self.socket.send_to(&error, self.client);
        }
        let stats = TransferStats {
            end,
            bytes: self.sender.delivered(),
            took: self.begun.elapsed(),
            resent: self.sender.resent(),
        };
        self.requests
            .provider
            .ended(self.client, &self.file, &stats);
    }

    /// Tells the provider of a packet that goes to the client.
    fn tell_of_sent(&self, packet: &[u8]) {
        if let Ok(SocketAddr::V4(here)) = self.socket.local_addr() {
            let provider = &self.requests.provider;
            provider.packet(&self.file, here, self.client, packet);
        }
    }
}
