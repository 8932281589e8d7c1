//! One HTTP connection, whatever carries it: header timeout, keep-alive, an end when the service stops.

use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// How long a client may take to send the head of a request, also the next one on a kept connection.
/// Without a limit a half-sent head holds its connection for ever.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a response in flight may go on after the stop; the rest of the 2 s belongs to the store.
pub const GRACE: Duration = Duration::from_secs(1);

/// Serves requests until the client leaves or `stop` is cancelled. Faults of a client end in the log.
pub async fn serve<I>(io: I, router: Router, stop: CancellationToken)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    serve_from(io, (), router, stop).await;
}

/// As [`serve`]; routes find `peer` as `ConnectInfo<P>`.
pub async fn serve_from<I, P>(io: I, peer: P, router: Router, stop: CancellationToken)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    P: Clone + Send + Sync + 'static,
{
    let service = router.map_request(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer.clone()));
        request
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(io), TowerToHyperService::new(service));
    let mut connection = std::pin::pin!(connection);

    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(GRACE, connection).await {
                Ok(ended) => ended,
                Err(_) => {
                    tracing::debug!("connection cut: the service stops");
                    return;
                }
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::Instant;

    use super::*;

    fn hello() -> Router {
        Router::new().route("/", axum::routing::get(|| async { "hello" }))
    }

    /// Without a limit, a half-sent head held its connection for more than 50 s.
    #[tokio::test(start_paused = true)]
    async fn a_half_sent_head_is_cut_after_ten_seconds() {
        for (name, sent) in [
            ("nothing at all", ""),
            ("half a head", "GET / HTTP/1.1\r\nHost: a\r\nX-Slow: "),
        ] {
            let (mut client, server) = duplex(4096);
            let begun = Instant::now();
            let serving = tokio::spawn(serve(server, hello(), CancellationToken::new()));
            client.write_all(sent.as_bytes()).await.expect("sends");
            let mut rest = Vec::new();
            client.read_to_end(&mut rest).await.expect("is hung up on");
            serving.await.expect("ends");
            let took = begun.elapsed();
            let limit = HEADER_TIMEOUT..HEADER_TIMEOUT + Duration::from_secs(1);
            assert!(limit.contains(&took), "{name}: {took:?}");
        }
    }

    #[tokio::test]
    async fn a_kept_connection_ends_when_the_service_stops() {
        let (mut client, server) = duplex(4096);
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve(server, hello(), stop.clone()));
        let head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        client.write_all(head.as_bytes()).await.expect("sends");
        let mut answer = [0; 15];
        client.read_exact(&mut answer).await.expect("answers");
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        stop.cancel();
        tokio::time::timeout(GRACE * 2, serving)
            .await
            .expect("ends in time")
            .expect("ends well");
    }
}
