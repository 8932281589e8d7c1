//! HTTP over plain TCP.

use std::io;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection;
use super::seats::Seats;

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
    let seats = Seats::new(CONNECTIONS);
    let connections = TaskTracker::new();
    loop {
        let room = tokio::select! {
            room = seats.room() => room,
            () = stop.cancelled() => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Some(seat) = seats.take(room, peer.ip()) else {
                    continue;
                };
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::super::seats::OF_ONE;
    use super::*;

    /// Half-sent heads from one address, as many as it is let have: the next is hung up on, and a neighbour is served.
    #[tokio::test]
    async fn one_address_cannot_take_all_connections() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let to = listener.local_addr().expect("bound");
        let stop = CancellationToken::new();
        let router = Router::new().route("/", axum::routing::get(|| async { "hello" }));
        let task = tokio::spawn(serve_plain(listener, router, stop.clone()));
        let mut held = Vec::new();
        for _ in 0..OF_ONE {
            held.push(TcpStream::connect(to).await.expect("connects"));
        }
        let mut more = TcpStream::connect(to).await.expect("the kernel takes it");
        let end = tokio::time::timeout(Duration::from_secs(5), more.read(&mut [0; 1])).await;
        assert!(matches!(end.expect("is hung up on"), Ok(0) | Err(_)));

        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket
            .bind("127.0.0.2:0".parse().expect("an address"))
            .expect("binds");
        let mut other = socket.connect(to).await.expect("connects");
        let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        other.write_all(request).await.expect("sends");
        let mut answer = String::new();
        other.read_to_string(&mut answer).await.expect("reads");
        assert!(answer.ends_with("hello"), "{answer}");
        stop.cancel();
        task.await.expect("ends").expect("ends well");
    }
}
