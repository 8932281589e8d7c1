//! A response body that is counted as it leaves, and told about when all of it did.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{StatusCode, header};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use netboot::mac::Mac;

use crate::app::{App, sent};

/// Whom a file goes to, and what it is called for people.
#[derive(Debug, Clone)]
pub(super) struct Parcel {
    pub(super) mac: Mac,
    pub(super) name: String,
}

struct Counted {
    inner: Body,
    app: Arc<App>,
    bytes: u64,
    /// Bytes of all of it: nobody asks for a frame after the last, so the end is known by counting.
    whole: Option<u64>,
    /// Set if the end of this response is worth telling.
    parcel: Option<Parcel>,
    begun: Instant,
}

/// Counts a response. A parcel is told about only when a whole file went out: a HEAD, a range or a broken
/// connection is none.
pub(super) fn counted(app: &Arc<App>, response: Response, parcel: Option<Parcel>) -> Response {
    app.counters.http_requests.add(1);
    let parcel = parcel.filter(|_| response.status() == StatusCode::OK);
    let length = response.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|l| l.to_str().ok()?.parse().ok());
    response.map(|inner| {
        Body::new(Counted {
            whole: length.or(inner.size_hint().exact()),
            inner,
            app: app.clone(),
            bytes: 0,
            parcel,
            begun: Instant::now(),
        })
    })
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.app.counters.http_bytes.add(self.bytes);
        if let Some(Parcel { mac, name }) = self.parcel.take()
            && self.bytes > 0
            && self.whole == Some(self.bytes)
        {
            let took = self.begun.elapsed();
            let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            tracing::info!(%mac, file = name, bytes = self.bytes, ms, "served");
            self.app.tell(mac, sent(&name, self.bytes, took));
        }
    }
}
