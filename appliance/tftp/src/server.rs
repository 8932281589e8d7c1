//! The socket on port 69: requests come in, transfers begin, and what cannot be served gets an error with words.

use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::thread;

use netboot::tftp::packet::{self, ErrorCode, FileRequest, MalformedPacket, Packet, TransferMode};
use netboot::tftp::source_filter::may_be_answered;
use netboot_listen::transient::is_transient;
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;

use crate::clients::{Admitted, Clients};
use crate::provider::FileProvider;
use crate::transfer;

/// The most bytes of a request that are read. RFC 2347 allows 512; a longer request is cut, and then cannot be read.
const REQUEST: usize = 4096;

/// A server, bound. It answers from the address that it is bound to, also on a host with several.
pub struct TftpServer<P> {
    requests: Arc<RequestSocket<P>>,
}

/// Where clients ask. A refusal goes out from here, so that it takes no other socket.
pub(crate) struct RequestSocket<P> {
    socket: UdpSocket,
    pub(crate) at: SocketAddrV4,
    clients: Arc<Clients>,
    pub(crate) provider: P,
}

/// Why a request is not served.
pub(crate) struct TransferRefusal {
    pub(crate) code: ErrorCode,
    /// For the client's screen.
    pub(crate) text: String,
    /// For the provider, if it is another than the client's.
    pub(crate) reason: Option<String>,
}

impl TransferRefusal {
    pub(crate) fn of(code: ErrorCode, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
            reason: None,
        }
    }
}

impl<P: FileProvider> TftpServer<P> {
    /// Serves from `socket`, within a Tokio runtime.
    ///
    /// # Errors
    /// The socket cannot be waited on, or is not bound to an IPv4 address.
    pub fn new(socket: std::net::UdpSocket, provider: P) -> io::Result<Self> {
        let SocketAddr::V4(at) = socket.local_addr()? else {
            return Err(io::Error::other("TFTP is served on IPv4 only"));
        };
        socket.set_nonblocking(true)?;
        let requests = RequestSocket {
            socket: UdpSocket::from_std(socket)?,
            at,
            clients: Clients::new(),
            provider,
        };
        Ok(Self {
            requests: Arc::new(requests),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddrV4 {
        self.requests.at
    }

    /// Serves until `stop`; transfers in flight end with it.
    ///
    /// # Errors
    /// Receiving fails with an error that is not transient.
    pub async fn run(self, stop: CancellationToken) -> io::Result<()> {
        // However this ends, the transfers end with it.
        let stop = stop.child_token();
        let _ends = stop.clone().drop_guard();
        let mut buffer = [0; REQUEST];
        loop {
            let received = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                received = self.requests.socket.recv_from(&mut buffer) => received,
            };
            match received {
                Ok((length, SocketAddr::V4(client))) => {
                    answer(&self.requests, client, &buffer[..length], &stop);
                }
                Ok((_, SocketAddr::V6(_))) => {}
                Err(error) if is_transient(&error) => {
                    tracing::warn!(%error, "cannot receive TFTP requests at the moment");
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Begins a transfer, or refuses.
fn answer<P: FileProvider>(
    requests: &Arc<RequestSocket<P>>,
    client: SocketAddrV4,
    bytes: &[u8],
    stop: &CancellationToken,
) {
    if !may_be_answered(client) {
        tracing::debug!(%client, "a TFTP packet from a source that cannot be one machine; ignored");
        return;
    }
    if let Err(refusal) = readable(bytes) {
        if let Some(refusal) = refusal {
            requests.refuse(client, bytes, refusal);
        }
        return;
    }
    match requests.clients.admit(client, bytes) {
        Admitted::New(permit) => {
            let (socket, request, stop) = (requests.clone(), bytes.to_vec(), stop.clone());
            let serve = move || transfer::serve(&socket, permit, request, &stop);
            // Not one of the runtime's own threads: those read files for HTTP, and must not run out.
            let spawned = thread::Builder::new().name("tftp".to_owned()).spawn(serve);
            if let Err(error) = spawned {
                tracing::warn!(%client, %error, "no thread for a TFTP transfer");
                let text = "the server is too busy; ask again";
                requests.refuse(
                    client,
                    bytes,
                    TransferRefusal::of(ErrorCode::Undefined, text),
                );
            }
        }
        Admitted::Repeated => tracing::debug!(%client, "the TFTP request came again"),
        Admitted::Full(why) => {
            requests.refuse(
                client,
                bytes,
                TransferRefusal::of(ErrorCode::Undefined, why),
            );
        }
    }
}

impl<P: FileProvider> RequestSocket<P> {
    /// Tells the provider and the client that a request is not served.
    pub(crate) fn refuse(&self, client: SocketAddrV4, request: &[u8], refusal: TransferRefusal) {
        let name = match packet::read(request) {
            Ok(
                Packet::Read(FileRequest { name, .. }) | Packet::Write(FileRequest { name, .. }),
            ) => name,
            _ => b"",
        };
        let TransferRefusal { code, text, reason } = refusal;
        self.provider
            .refused(client, name, reason.as_ref().unwrap_or(&text));
        let error = packet::error(code, &text);
        // If the error cannot be sent, it is as if it were lost: the client asks again.
        if let Err(error) = self.socket.try_send_to(&error, client.into()) {
            tracing::debug!(%client, %error, "cannot send a TFTP error");
        }
    }
}

/// Whether it is a request that a file can be sent for. What must not be answered has no refusal.
fn readable(bytes: &[u8]) -> Result<(), Option<TransferRefusal>> {
    let refuse = |code, text: &str| Err(Some(TransferRefusal::of(code, text)));
    match packet::read(bytes) {
        Ok(Packet::Read(request)) => match request.mode {
            TransferMode::Octet => Ok(()),
            TransferMode::Netascii => refuse(
                ErrorCode::IllegalOperation,
                "no netascii here: ask in mode octet (binary)",
            ),
            TransferMode::Mail | TransferMode::Other => refuse(
                ErrorCode::IllegalOperation,
                "the only mode here is octet (binary)",
            ),
        },
        Ok(Packet::Write(_)) => refuse(ErrorCode::IllegalOperation, "files are only read here"),
        // Two servers that answer errors with errors would do so for ever.
        Ok(Packet::Error { .. }) | Err(MalformedPacket::Short) => Err(None),
        Ok(Packet::Acknowledged(_) | Packet::Answer) => {
            refuse(ErrorCode::UnknownTransfer, "no such transfer")
        }
        Err(error) => refuse(ErrorCode::IllegalOperation, &error.to_string()),
    }
}

#[cfg(test)]
mod tests;
