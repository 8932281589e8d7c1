//! Boot loaders over TFTP, from memory, to machines that are to boot them.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_tftp::packet;
use async_tftp::server::{Handler, TftpServer, TftpServerBuilder};
use netboot::decide::Decision;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::app::App;

mod path;
mod transfer;

use path::Asked;
use transfer::Transfer;

/// Transfers at once. async-tftp has no limit of its own, and each transfer holds a socket.
const TRANSFERS: usize = 256;

/// The server, bound. It answers from the address it is bound to, also on a host with several.
pub struct Tftp {
    server: TftpServer<Shelf>,
}

impl Tftp {
    /// `socket` is bound to the LAN address.
    ///
    /// The limits hold what async-tftp 0.4.2 does not: 1468 keeps blocks within one Ethernet frame (edk2
    /// has no fragments, edk2#7632); a window of 16 bounds what one forged acknowledgement can set off;
    /// 7 sends of 300 ms end a transfer whose client gave up, because until then the crate answers
    /// nothing else from that client's port. A client's own `timeout` would stretch that to minutes.
    pub async fn on(socket: UdpSocket, app: Arc<App>) -> Result<Self, async_tftp::Error> {
        let shelf = Shelf {
            app,
            seats: Arc::new(Semaphore::new(TRANSFERS)),
        };
        let server = TftpServerBuilder::with_handler(shelf)
            .std_socket(socket)?
            .block_size_limit(1468)
            .window_size_limit(16)
            .timeout(Duration::from_millis(300))
            .max_send_retries(6)
            .ignore_client_timeout()
            .build()
            .await?;
        Ok(Self { server })
    }

    pub fn address(&self) -> Result<SocketAddr, async_tftp::Error> {
        self.server.listen_addr()
    }

    /// Serves until `stop`; transfers in flight end with it.
    pub async fn run(self, stop: CancellationToken) -> Result<(), async_tftp::Error> {
        tokio::select! {
            ended = self.server.serve() => ended,
            () = stop.cancelled() => Ok(()),
        }
    }
}

/// What can be asked for. Everything is in memory: the crate holds a lock while this answers.
struct Shelf {
    app: Arc<App>,
    seats: Arc<Semaphore>,
}

impl Shelf {
    /// The loader, or the reason for "not found".
    fn open(&self, client: SocketAddr, path: &Path) -> Result<Transfer, String> {
        let Asked { mac, file } = path::read(path)?;
        let Some((name, bytes)) = self.app.loaders.get(&file) else {
            return Err(format!("{mac} asks for a file that is not there"));
        };
        match self.app.decision(mac) {
            Decision::Install | Decision::Wait => {}
            Decision::Disk(reason) | Decision::Silence(reason) => {
                return Err(format!("{mac}: {reason}"));
            }
            // Its DISCOVER enrolls it; a machine that never sent one is none.
            Decision::Enroll(_) => return Err(format!("{mac}: not enrolled")),
        }
        let Ok(seat) = self.seats.clone().try_acquire_owned() else {
            return Err(format!("{TRANSFERS} transfers are under way already"));
        };
        Ok(Transfer::new(
            self.app.clone(),
            mac,
            client,
            name,
            bytes,
            seat,
        ))
    }
}

impl Handler for Shelf {
    type Reader = Transfer;
    type Writer = futures_lite::io::Sink;

    async fn read_req_open(
        &mut self,
        client: &SocketAddr,
        path: &Path,
    ) -> Result<(Self::Reader, Option<u64>), packet::Error> {
        match self.open(*client, path) {
            Ok(transfer) => {
                let size = transfer.size();
                Ok((transfer, Some(size)))
            }
            Err(reason) => {
                self.app.counters.tftp_refused.add(1);
                // The name is a stranger's: quoted, so that it cannot write log lines of its own.
                tracing::info!(%client, file = ?path, reason, "not found");
                Err(packet::Error::FileNotFound)
            }
        }
    }

    async fn write_req_open(
        &mut self,
        client: &SocketAddr,
        path: &Path,
        _size: Option<u64>,
    ) -> Result<Self::Writer, packet::Error> {
        self.app.counters.tftp_refused.add(1);
        tracing::warn!(%client, file = ?path, "somebody tried to write a file; refused");
        Err(packet::Error::IllegalOperation)
    }
}

#[cfg(test)]
mod tests;
