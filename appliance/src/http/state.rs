//! What the routes of one listener are given: the calls, and the LAN that the listener is on.

use std::sync::Arc;

use axum::extract::FromRef;

use crate::net::Segment;

/// Routes take of it what they need: `State<Arc<PublicApi>>`, `State<Arc<Segment>>`.
pub(super) struct RouteState<A> {
    pub(super) api: Arc<A>,
    pub(super) segment: Arc<Segment>,
}

impl<A> Clone for RouteState<A> {
    fn clone(&self) -> Self {
        Self {
            api: self.api.clone(),
            segment: self.segment.clone(),
        }
    }
}

impl<A> FromRef<RouteState<A>> for Arc<Segment> {
    fn from_ref(listener: &RouteState<A>) -> Self {
        listener.segment.clone()
    }
}
