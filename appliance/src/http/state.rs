//! What the routes of one listener hold: the appliance, and the LAN that the listener is on.

use std::sync::Arc;

use axum::extract::FromRef;

use crate::app::App;
use crate::net::Segment;

/// Routes take of it what they need: `State<Arc<App>>`, `State<Arc<Segment>>`.
#[derive(Clone)]
pub(super) struct Listener {
    pub(super) app: Arc<App>,
    pub(super) segment: Arc<Segment>,
}

impl FromRef<Listener> for Arc<App> {
    fn from_ref(listener: &Listener) -> Self {
        listener.app.clone()
    }
}

impl FromRef<Listener> for Arc<Segment> {
    fn from_ref(listener: &Listener) -> Self {
        listener.segment.clone()
    }
}
