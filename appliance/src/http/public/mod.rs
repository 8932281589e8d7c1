//! HTTP on `http.port`: what any machine of the LAN may fetch. Nothing secret is behind it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Uri;
use axum::routing::get;
use netboot::base::mac::Mac;
use netboot::base::refusal::{Code, Refusal};
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

use super::error::{Refused, no_such_route};
use super::request::query;
use super::state::Listener;
use crate::app::App;
use crate::net::Segment;

mod boot;
mod dashboard;
pub(super) mod files;
mod status;

/// Nobody has anything to send here.
const BODY: usize = 4096;

/// Until the head of an answer; a download may then take as long as it takes.
const ANSWER: Duration = Duration::from_secs(30);

/// The routes on one LAN. A boot script is never given to a HEAD: asking for it hands out the ticket.
pub fn router(app: Arc<App>, segment: Arc<Segment>) -> Router {
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
        .with_state(Listener { app, segment })
}

/// `?mac=`, which says for whom a file is asked.
#[derive(serde::Deserialize)]
struct ForMac {
    mac: Option<String>,
}

fn for_mac(uri: &Uri) -> Result<Mac, Refused> {
    let ForMac { mac } = query(uri)?;
    read_mac(mac.as_deref())
}

fn read_mac(text: Option<&str>) -> Result<Mac, Refused> {
    let text = text.ok_or_else(|| {
        Refusal::new(Code::BadMac, "the URL does not say for which machine")
            .tip("add `?mac=52:54:00:12:34:56`")
    })?;
    text.parse::<Mac>().map_err(|error| {
        Refused(Refusal::new(
            Code::BadMac,
            format!("`{}` {error}", text.escape_debug()),
        ))
    })
}

#[cfg(test)]
mod tests;
