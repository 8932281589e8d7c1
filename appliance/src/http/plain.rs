//! HTTP over plain TCP.

use std::io;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::accept::accept_all;
use super::connection;

/// Connections at once.
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
    accept_all(&listener, CONNECTIONS, &stop, |stream, peer| {
        tune(&stream);
        connection::serve_from(stream, peer, router.clone(), stop.child_token())
    })
    .await
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::super::accept::OF_ONE_ADDRESS;
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
        for _ in 0..OF_ONE_ADDRESS {
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
