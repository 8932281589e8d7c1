//! What a publication from another machine asks before it sends anything, and the files of installers that it sends.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::{post, put};
use axum::{Json, Router};
use netboot::api::types::{Missing, UploadBatch};
use netboot::base::refusal::RefusalCode;
use netboot::base::token::Digest;
use netboot::publish::space_reservation::Item;

use super::api::AdminApi;
use super::operator::AuthenticatedOperator;
use super::upload::{bad, batch, length, received};
use crate::http::error::Refused;
use crate::http::request::Body;

/// Bytes of the largest list: a closure of a hundred thousand paths.
const LIST: usize = 16 << 20;

pub(super) fn router() -> Router<Arc<AdminApi>> {
    Router::new()
        .route(
            "/admin/v1/publish/room",
            post(room).layer(DefaultBodyLimit::max(LIST)),
        )
        .route("/admin/v1/publish/installer/parts/{sha256}", put(part))
}

/// What has to be sent of a shipment, and a reservation of space for it. Refused if it does not fit as a whole, so that
/// no byte is sent in vain.
async fn room(
    State(api): State<Arc<AdminApi>>,
    _: AuthenticatedOperator,
    Body(asked): Body<UploadBatch>,
) -> Result<Json<Missing>, Refused> {
    let UploadBatch {
        id,
        paths,
        mut parts,
    } = asked;
    parts.retain(|part| !api.installers.has(part));
    let more = parts.iter();
    let more = more.map(|part| (Item::Part(part.sha256.clone()), part.size));
    let public = api.keys.cache_public().to_owned();
    let missing = api.cache.missing(paths, more.collect(), id, public).await?;
    Ok(Json(Missing { parts, ..missing }))
}

async fn part(
    State(api): State<Arc<AdminApi>>,
    Path(sha256): Path<String>,
    operator: AuthenticatedOperator,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Response> {
    let name: Digest = sha256
        .parse()
        .map_err(|error| bad(RefusalCode::BadName, format!("the file's name {error}")))?;
    let length = length(&headers);
    let length =
        length.ok_or_else(|| bad(RefusalCode::BadJson, "the call does not say how long it is"))?;
    let batch = batch(&headers);
    let receiving = api.installers.receive(&name, length, batch).await;
    let receiving = receiving.map_err(|refusal| Refused(refusal).into_response())?;
    let received = received(receiving, request).await?;
    tracing::info!(command = "upload", installer_file = %name, bytes = length, by = operator.by);
    Ok(received)
}

#[cfg(test)]
mod tests;
