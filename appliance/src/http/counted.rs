//! A response body that is counted as it leaves, and told about when all of it did.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{StatusCode, header};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use netboot::doctor::boot_trace::{Delivery, Transfer};

use crate::base::counters::Counters;
use crate::boot::loaders::BootLoaders;
use crate::boot::log::BootLog;
use crate::boot::requester::Requester;

/// The machine that a file goes to, the file, and where the delivery is noted.
#[derive(Clone)]
pub(super) struct CountedDelivery {
    pub(super) to: Requester,
    pub(super) delivery: Delivery,
    pub(super) log: Arc<BootLog>,
    pub(super) loaders: Arc<BootLoaders>,
}

struct CountedBody {
    inner: Body,
    counters: Arc<Counters>,
    bytes: u64,
    /// Bytes of all of it: nobody asks for a frame after the last, so the end is known by counting.
    whole: Option<u64>,
    /// Set if the delivery is to be noted.
    parcel: Option<CountedDelivery>,
    begun: Instant,
}

/// Counts a response. A parcel is told about when it begins and when it ends; a HEAD or a range is none.
pub(super) fn counted(
    counters: &Arc<Counters>,
    response: Response,
    parcel: Option<CountedDelivery>,
) -> Response {
    counters.http_requests.add(1);
    let parcel = parcel.filter(|_| response.status() == StatusCode::OK);
    let length = response.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|l| l.to_str().ok()?.parse().ok());
    if let Some(CountedDelivery {
        to, delivery, log, ..
    }) = &parcel
    {
        log.mark_of(to, delivery.begun());
    }
    response.map(|inner| {
        Body::new(CountedBody {
            whole: length.or(inner.size_hint().exact()),
            inner,
            counters: counters.clone(),
            bytes: 0,
            parcel,
            begun: Instant::now(),
        })
    })
}

impl HttpBody for CountedBody {
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

impl Drop for CountedBody {
    fn drop(&mut self) {
        self.counters.http_bytes.add(self.bytes);
        let Some(CountedDelivery {
            to,
            delivery,
            log,
            loaders,
        }) = self.parcel.take()
        else {
            return;
        };
        let (mac, file) = (to.mac, &delivery.file);
        let (bytes, took) = (self.bytes, self.begun.elapsed());
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let whole = self.whole == Some(bytes);
        if whole {
            tracing::info!(%mac, file, bytes, ms, "served");
        } else {
            tracing::info!(%mac, file, bytes, ms, "broken off");
        }
        if whole && to.verified && loaders.get(file).is_some() {
            loaders.attempts(|attempts| attempts.loaded(mac));
        }
        let transfer = Transfer {
            bytes,
            took,
            resent: 0,
            broken: (!whole).then(|| "the connection ended".to_owned()),
        };
        log.mark_of(&to, delivery.ended(transfer));
    }
}
