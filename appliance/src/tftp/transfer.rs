//! One loader on its way: read from memory, counted, and told about when it ends.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::Bytes;
use futures_lite::AsyncRead;
use netboot::mac::Mac;
use tokio::sync::OwnedSemaphorePermit;

use crate::app::{App, sent};

/// Dropped when the transfer ends, however it ends: the crate tells no other way.
pub(super) struct Transfer {
    app: Arc<App>,
    mac: Mac,
    client: SocketAddr,
    name: &'static str,
    bytes: Bytes,
    read: usize,
    /// The read that finds nothing more: the last block was made.
    ended: bool,
    begun: Instant,
    _seat: OwnedSemaphorePermit,
}

impl Transfer {
    pub(super) fn new(
        app: Arc<App>,
        mac: Mac,
        client: SocketAddr,
        name: &'static str,
        bytes: Bytes,
        seat: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            app,
            mac,
            client,
            name,
            bytes,
            read: 0,
            ended: false,
            begun: Instant::now(),
            _seat: seat,
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.bytes.len() as u64
    }
}

impl AsyncRead for Transfer {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<std::io::Result<usize>> {
        let rest = &self.bytes[self.read..];
        let n = rest.len().min(into.len());
        into[..n].copy_from_slice(&rest[..n]);
        self.read += n;
        self.ended |= n == 0 && !into.is_empty();
        Poll::Ready(Ok(n))
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        let Self {
            app,
            mac,
            client,
            name,
            read,
            begun,
            ..
        } = self;
        let (bytes, took) = (*read as u64, begun.elapsed());
        app.counters.tftp_bytes.add(bytes);
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        if self.ended {
            app.counters.tftp_sent.add(1);
            tracing::info!(%mac, %client, file = name, bytes, ms, "loader sent");
            app.tell(*mac, sent(name, bytes, took));
        } else {
            // EDK2 and many ROMs ask for the size first and break off: not an error (trap 26).
            tracing::debug!(%mac, %client, file = name, bytes, ms, "transfer broken off");
        }
    }
}
