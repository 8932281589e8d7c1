//! HTTP on `http.port`: what any machine of the LAN may fetch. Nothing secret is behind it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

use super::error::no_such_route;
use super::state::RouteState;
use crate::net::Segment;

mod api;
mod asked;
mod boot;
mod dashboard;
pub(super) mod files;
mod status;

pub use self::api::PublicApi;

/// The most bytes of a request body: these routes take none.
const BODY: usize = 4096;

/// The timeout until the head of an answer; a download has no limit after that.
const ANSWER: Duration = Duration::from_secs(30);

/// The routes on one LAN. A boot script is never given to a HEAD: asking for it hands out the ticket.
pub fn router(api: Arc<PublicApi>, segment: Arc<Segment>) -> Router {
    Router::new()
        .route("/", get(dashboard::page))
        .route("/boot.ipxe", get(boot::boot_script).head(no_such_route))
        .route("/loaders/{file}", get(files::loader))
        .route("/loaders/{folder}/{file}", get(files::own_loader))
        .route("/images/{name}/{arch}/{file}", get(files::image))
        .route("/cache/{*path}", get(files::cached))
        .route("/healthz", get(status::health))
        .route("/metrics", get(status::metrics))
        .fallback(no_such_route)
        .method_not_allowed_fallback(no_such_route)
        .layer(RequestBodyLimitLayer::new(BODY))
        .layer(TimeoutLayer::with_status_code(
            axum::http::StatusCode::SERVICE_UNAVAILABLE,
            ANSWER,
        ))
        .with_state(RouteState { api, segment })
}

#[cfg(test)]
mod tests;
