//! Boot loaders over TFTP, and what they load, to machines that are to boot them.
//!
//! The rules of the protocol are `netboot::tftp`; here are the sockets, the clock and the files.
//!
//! | module | does |
//! |---|---|
//! | [`server`] | hears requests on port 69 and says no where no transfer comes of them |
//! | [`seats`] | bounds how many transfers are under way; knows a request that comes again |
//! | [`shelf`], [`files`], [`content`] | the name that is asked for → whose file, and its bytes |
//! | [`raspberry_pi`] | the files of a Raspberry Pi's own firmware |
//! | [`transfer`], [`burst`] | one file on its way, from a socket of its own |

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::lan::Segment;

mod burst;
pub mod content;
mod files;
mod raspberry_pi;
mod seats;
mod server;
mod shelf;
mod transfer;

use server::Server;
use shelf::Files;

/// The server, bound. It answers from the address it is bound to, also on a host with several.
pub struct Tftp {
    server: Server<Files>,
}

impl Tftp {
    /// `socket` is bound to the address of `segment`.
    ///
    /// # Errors
    /// It is no socket that can be waited on, or not bound to an IPv4 address.
    pub fn on(socket: UdpSocket, app: Arc<App>, segment: Arc<Segment>) -> io::Result<Self> {
        let server = Server::on(socket, Files::of(app, segment))?;
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
mod testing;
#[cfg(test)]
mod tests;
