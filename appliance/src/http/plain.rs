//! HTTP over plain TCP.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection;

/// Connections at once. More wait in the kernel's queue.
const CONNECTIONS: usize = 512;

/// How long sent bytes may stay unacknowledged: a machine that was switched off in the middle of a
/// download must not hold a connection for the quarter of an hour that TCP would grant it.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// Serves until `stop` is cancelled, then lets responses in flight end for [`connection::GRACE`].
///
/// # Errors
/// The listener itself is broken; a client's fault is none.
pub async fn serve_plain(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
) -> io::Result<()> {
    let seats = Arc::new(Semaphore::new(CONNECTIONS));
    let connections = TaskTracker::new();
    loop {
        let Ok(seat) = seats.clone().acquire_owned().await else {
            break;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                tune(&stream);
                let serve =
                    connection::serve_from(stream, peer, router.clone(), stop.child_token());
                connections.spawn(async move {
                    serve.await;
                    drop(seat);
                });
            }
            Err(error) if passes(&error) => {
                tracing::warn!(%error, "could not take a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) => return Err(error),
        }
    }
    connections.close();
    connections.wait().await;
    Ok(())
}

/// Without NODELAY, Nagle and delayed acknowledgements add 40 ms to each small answer.
pub(super) fn tune(stream: &TcpStream) {
    let socket = socket2::SockRef::from(stream);
    for set in [
        socket.set_tcp_nodelay(true),
        socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED)),
    ] {
        if let Err(error) = set {
            tracing::debug!(%error, "could not tune a connection");
        }
    }
}

/// Whether accepting may work again later: the client left, or descriptors or memory ran out.
pub(crate) fn passes(error: &io::Error) -> bool {
    use nix::errno::Errno;

    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(
            Errno::ECONNABORTED
                | Errno::ECONNRESET
                | Errno::EINTR
                | Errno::EMFILE
                | Errno::ENFILE
                | Errno::ENOBUFS
                | Errno::ENOMEM
                | Errno::EPERM
                | Errno::EPROTO
        )
    )
}
