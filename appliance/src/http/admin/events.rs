//! `GET /admin/v1/events`: what happened, and, if asked to, what happens from now on. One JSON line each.
//!
//! # Design
//! The listener is taken before the past is read, and an event's number tells whether it was given already: no event is
//! lost between past and present, and none comes twice. A listener that fell behind reads what it missed from the
//! journal. What is not written down may be lost. The first `alive` line marks the end of the past.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use netboot::api::event_view::EventView;
use netboot::api::types::EventLine;
use netboot::base::mac::Mac;
use netboot::base::refusal::{Refusal, RefusalCode};
use serde::Deserialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::api::AdminApi;
use super::operator::AuthenticatedOperator;
use crate::http::error::Refused;
use crate::store::Store;

/// How long the stream may be quiet: a reader that gets no line for much longer knows that the connection is broken.
const ALIVE_EVERY: Duration = Duration::from_secs(10);

/// Events read from the journal at once.
const PAGE: usize = 256;

#[derive(Debug, Deserialize)]
pub(super) struct EventQuery {
    /// A name, or a MAC in any spelling.
    machine: Option<String>,
    /// Only events of a higher number.
    #[serde(default)]
    after: u64,
    #[serde(default)]
    follow: bool,
}

pub(super) async fn events(
    State(api): State<Arc<AdminApi>>,
    operator: AuthenticatedOperator,
    wanted: Result<Query<EventQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Refused> {
    let Query(wanted) = wanted.map_err(|_| {
        let takes = "`machine` (name or MAC), `after` (a number), `follow` (true or false)";
        Refusal::new(RefusalCode::BadJson, format!("the call takes {takes}"))
    })?;
    let machine = wanted
        .machine
        .map(|who| machine_id(&api.store, &who))
        .transpose()?;
    let mut feed = EventFeed {
        store: api.store.clone(),
        live: api.store.live(),
        stop: operator.stop,
        machine,
        last: wanted.after,
        follow: wanted.follow,
        behind: true,
        ready: VecDeque::new(),
    };
    // Read before the head of the answer goes out: a journal that cannot be read is an error, not an end.
    feed.past()?;
    let lines = stream::unfold(feed, |mut feed| async move {
        let line = feed.next().await?;
        Some((line, feed))
    });
    let kind = [(CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, Body::from_stream(lines)).into_response())
}

/// A machine that was forgotten still has its past, under its MAC.
fn machine_id(store: &Store, who: &str) -> Result<Mac, Refusal> {
    match (store.state().find(who), who.parse()) {
        (Ok(machine), _) => Ok(machine.id),
        (Err(_), Ok(mac)) => Ok(mac),
        (Err(refusal), Err(_)) => Err(refusal),
    }
}

struct EventFeed {
    store: Store,
    live: Receiver<EventLine>,
    stop: CancellationToken,
    machine: Option<Mac>,
    /// The highest number given.
    last: u64,
    follow: bool,
    /// Whether the journal holds events that were not given yet.
    behind: bool,
    ready: VecDeque<EventLine>,
}

impl EventFeed {
    /// The next line; `None` at the end.
    async fn next(&mut self) -> Option<Result<Bytes, Refusal>> {
        loop {
            if let Some(live) = self.ready.pop_front() {
                return Some(line(&live));
            }
            if self.behind {
                if let Err(refusal) = self.past() {
                    tracing::error!(cause = %refusal, "the journal cannot be read");
                    return Some(Err(refusal));
                }
                continue;
            }
            if !self.follow {
                return None;
            }
            let heard = tokio::select! {
                heard = self.live.recv() => heard,
                () = tokio::time::sleep(ALIVE_EVERY) => Ok(EventLine::Alive),
                () = self.stop.cancelled() => return None,
            };
            match heard {
                Ok(live) => self.hear(live),
                Err(RecvError::Lagged(_)) => self.behind = true,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Reads a page of the journal.
    fn past(&mut self) -> Result<(), Refusal> {
        let page = self.store.events(self.machine, self.last, PAGE)?;
        self.behind = page.len() == PAGE;
        for event in page {
            self.last = self.last.max(event.seq);
            let event = EventView::of(event);
            self.ready.push_back(EventLine::Event { event });
        }
        if !self.behind && self.follow {
            self.ready.push_back(EventLine::Alive);
        }
        Ok(())
    }

    fn hear(&mut self, live: EventLine) {
        let about = match &live {
            EventLine::Event { event } if event.seq <= self.last => return,
            EventLine::Event { event } => {
                self.last = event.seq;
                event.machine
            }
            EventLine::Progress { machine, .. } | EventLine::Boot { machine, .. } => Some(*machine),
            EventLine::Alive | EventLine::Unknown => None,
        };
        let wanted = self.machine.is_none() || about == self.machine || live == EventLine::Alive;
        if wanted {
            self.ready.push_back(live);
        }
    }
}

fn line(live: &EventLine) -> Result<Bytes, Refusal> {
    let mut json = serde_json::to_vec(live)
        .map_err(|error| Refusal::new(RefusalCode::Internal, error.to_string()))?;
    json.push(b'\n');
    Ok(json.into())
}
