//! Boot loaders and what they load, over TFTP, for machines that are to boot them.
//!
//! The engine is `netboot_tftp`, and the rules of the protocol are `netboot::tftp`. Here is which file a machine gets.
//!
//! | module | does |
//! |---|---|
//! | [`provider`] | is asked by the engine for a file, and records how its transfer went |
//! | [`files`] | the name that is asked for → whose file it is, and its bytes |
//! | [`raspberry_pi`] | the files of a Raspberry Pi's own firmware |

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use netboot_tftp::TftpServer;
use tokio_util::sync::CancellationToken;

use crate::net::Segment;

mod files;
mod provider;
mod raspberry_pi;
mod service;

use provider::TftpFiles;
pub use service::BootFiles;

/// The server, bound. It answers from the address it is bound to, also on a host with several.
pub struct Tftp {
    server: TftpServer<TftpFiles>,
}

impl Tftp {
    /// `socket` is bound to the address of `segment`.
    ///
    /// # Errors
    /// The socket cannot be waited on, or is not bound to an IPv4 address.
    pub fn on(socket: UdpSocket, boot: Arc<BootFiles>, segment: Arc<Segment>) -> io::Result<Self> {
        let server = TftpServer::new(socket, TftpFiles::of(boot, segment))?;
        Ok(Self { server })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address().into()
    }

    /// Serves until `stop`; transfers in flight end with it.
    ///
    /// # Errors
    /// The socket is broken for good.
    pub async fn run(self, stop: CancellationToken) -> io::Result<()> {
        self.server.run(stop).await
    }
}

#[cfg(test)]
mod tests;
