//! The one accept loop of HTTP: over plain TCP, under TLS and on the admin socket.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use netboot_listen::admission::{Admission, AdmissionKey};
use netboot_listen::transient::is_transient;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections at once with one address. Nix opens up to 25 (`http-connections`), and machines behind a router that
/// translates addresses share one.
pub(super) const OF_ONE_ADDRESS: usize = 64;

/// How long the loop waits after an error that passes, such as descriptors that ran out.
const PAUSE: Duration = Duration::from_millis(100);

/// The address that a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct CallerAddress(IpAddr);

impl AdmissionKey for CallerAddress {
    fn limit(&self) -> usize {
        OF_ONE_ADDRESS
    }
}

/// A listening socket.
pub(super) trait Listener: Sync {
    type Stream: Send + 'static;
    type Peer: Send + 'static;

    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Self::Peer)>> + Send;

    /// What the connection counts for, besides the limit in all.
    fn source(peer: &Self::Peer) -> Option<CallerAddress>;
}

impl Listener for TcpListener {
    type Stream = TcpStream;
    type Peer = SocketAddr;

    fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send {
        Self::accept(self)
    }

    fn source(peer: &SocketAddr) -> Option<CallerAddress> {
        Some(CallerAddress(peer.ip()))
    }
}

/// Callers on the same host have no address: only the limit in all holds for them.
impl Listener for UnixListener {
    type Stream = UnixStream;
    type Peer = tokio::net::unix::SocketAddr;

    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Self::Peer)>> + Send {
        Self::accept(self)
    }

    fn source(_: &Self::Peer) -> Option<CallerAddress> {
        None
    }
}

/// Accepts until `stop` is cancelled, `limit` connections at once at most (more wait in the kernel's queue), then waits
/// for those that are open. `connection` serves one, and has to end soon after `stop`.
///
/// # Errors
/// The listener itself is broken; a client's fault is none.
pub(super) async fn accept_all<L, C>(
    listener: &L,
    limit: usize,
    stop: &CancellationToken,
    connection: impl Fn(L::Stream, L::Peer) -> C,
) -> io::Result<()>
where
    L: Listener,
    C: Future<Output = ()> + Send + 'static,
{
    let admission = Admission::new(limit);
    let connections = TaskTracker::new();
    loop {
        let slot = tokio::select! {
            slot = admission.slot() => slot,
            () = stop.cancelled() => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_transient(&error) => {
                tracing::warn!(%error, "could not take a connection");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        match admission.admit(slot, L::source(&peer)) {
            Ok(permit) => {
                let served = connection(stream, peer);
                connections.spawn(async move {
                    served.await;
                    drop(permit);
                });
            }
            Err(full) => {
                if let (true, Some(CallerAddress(peer))) = (full.is_news, full.source) {
                    let most = OF_ONE_ADDRESS;
                    tracing::warn!(%peer, most, "has too many connections open: more are hung up on");
                }
            }
        }
    }
    connections.close();
    connections.wait().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_address_has_64_and_leaves_room_for_others() {
        let admission = Admission::new(128);
        let one = || Some(CallerAddress(IpAddr::from([10, 77, 0, 1])));
        let mut held = Vec::new();
        for _ in 0..OF_ONE_ADDRESS {
            let slot = admission.slot().await;
            held.push(admission.admit(slot, one()).expect("has room"));
        }
        for _ in 0..200 {
            let slot = admission.slot().await;
            assert!(admission.admit(slot, one()).is_err());
        }
        let slot = admission.slot().await;
        let other = admission.admit(slot, Some(CallerAddress(IpAddr::from([10, 77, 0, 2]))));
        assert!(other.is_ok());
        held.pop();
        let slot = admission.slot().await;
        assert!(admission.admit(slot, one()).is_ok(), "one was given back");
        drop((held, other));
        assert_eq!((admission.sources(), admission.free()), (0, 128));
    }
}
