//! `/admin/v1/…`: what an operator commands and asks. The answers are of `netboot::api::types`.

mod api;
mod auth;
mod boots;
mod commands;
mod events;
mod upload_manifest;

mod operator;
mod prune;
mod publish;
mod questions;
mod upload;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use axum::{Router, middleware};

use super::error::no_such_route;
use super::request::{BODY_LIMIT, span};

pub use self::api::AdminApi;
pub use self::auth::AdminAuth;
pub use self::upload::UploadState;

/// The calls of operators, for the admin socket: who may open it may command.
pub fn router(api: Arc<AdminApi>) -> Router {
    finished(calls().with_state(api))
}

/// The same calls for the network, and the cache to put systems into. All of it is behind the gate. What hands out or
/// replaces the appliance's own secrets belongs to the socket alone.
pub fn over_tls(api: Arc<AdminApi>, uploads: UploadState, admin_auth: AdminAuth) -> Router {
    let calls = calls().with_state(api.clone());
    let routes = finished(
        calls
            .merge(upload_manifest::router().with_state(api))
            .merge(upload::router(uploads)),
    );
    routes.layer(middleware::from_fn_with_state(
        Arc::new(admin_auth),
        auth::admit,
    ))
}

fn finished(routes: Router) -> Router {
    routes
        .fallback(no_such_route)
        .method_not_allowed_fallback(no_such_route)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn(span))
}

fn calls() -> Router<Arc<AdminApi>> {
    Router::new()
        .route("/admin/v1/enroll", post(commands::enroll))
        .route("/admin/v1/machines/{who}/reimage", post(commands::reimage))
        .route("/admin/v1/machines/{who}/confirm", post(commands::confirm))
        .route("/admin/v1/machines/{who}/forget", post(commands::forget))
        .route("/admin/v1/machines/{who}/key", post(commands::key))
        .route("/admin/v1/publish", post(publish::system))
        .route("/admin/v1/publish/installer", post(publish::installer))
        .route("/admin/v1/publishing", get(publish::publishing))
        .route("/admin/v1/releases/{system}/closure", get(publish::closure))
        .route("/admin/v1/machines", get(questions::machines))
        .route("/admin/v1/machines/{who}", get(questions::machine))
        .route("/admin/v1/machines/{who}/plan", get(questions::plan))
        .route("/admin/v1/machines/{who}/boots", get(boots::boots))
        .route("/admin/v1/machines/{who}/packets", get(boots::packets))
        .route("/admin/v1/doctor", get(boots::checkup))
        .route(
            "/admin/v1/machines/{who}/generations",
            get(questions::generations_of),
        )
        .route("/admin/v1/generations", get(questions::generations))
        .route("/admin/v1/releases", get(questions::releases))
        .route("/admin/v1/releases/prune", post(prune::prune))
        .route("/admin/v1/events", get(events::events))
}

#[cfg(test)]
mod tests;
