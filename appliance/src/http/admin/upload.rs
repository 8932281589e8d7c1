//! `/cache/…` on the operators' port: where `nix copy --to` puts a system that was built elsewhere.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::StreamExt;
use netboot::api::types::SHIPMENT;
use netboot::base::refusal::{Refusal, RefusalCode};
use netboot::base::token::UploadBatchId;
use netboot::publish::narinfo::{NarFile, NarInfo};
use serde_json::json;

use super::operator::AuthenticatedOperator;
use crate::base::counters::Counters;
use crate::cache::{Cache, Uploads};
use crate::files::receive::FileReceiver;
use crate::http::error::{Refused, changed, too_slow};
use crate::http::public::files;
use crate::http::request::BODY_LIMIT;
use crate::keys::Keys;

/// The timeout of a client that stops sending in the middle of a body.
const QUIET: Duration = Duration::from_secs(30);

/// What uploads to the cache take from the rest of the service.
#[derive(Clone)]
pub struct UploadState {
    cache: Cache,
    keys: Arc<Keys>,
    counters: Arc<Counters>,
    uploads: Arc<Uploads>,
}

impl UploadState {
    /// # Errors
    /// The folder for what is being uploaded cannot be made.
    pub fn open(cache: Cache, keys: Arc<Keys>, counters: Arc<Counters>) -> anyhow::Result<Self> {
        let uploads = Uploads::open(cache.clone())?;
        Ok(Self {
            cache,
            keys,
            counters,
            uploads: Arc::new(uploads),
        })
    }
}

pub(super) fn router(state: UploadState) -> Router {
    Router::new()
        .route("/cache/{*path}", get(given).put(taken))
        .with_state(state)
}

/// As `/cache/…` for machines, but 404 for an entry that is torn, so that the client sends it again.
async fn given(
    State(state): State<UploadState>,
    Path(path): Path<String>,
    request: Request,
) -> Result<Response, Refused> {
    let uploads = &state.uploads;
    uploads.heard(batch(request.headers()).as_ref());
    let there = match (path.strip_suffix(".narinfo"), path.parse()) {
        (Some(hash), _) => uploads.has(hash, state.keys.cache_public()).await,
        (None, Ok(nar)) => uploads.has_nar(nar).await,
        (None, Err(_)) => true,
    };
    if !there {
        let message = "the cache has no such path, or not all of it";
        return Err(Refusal::new(RefusalCode::NotFound, message).into());
    }
    files::from_cache(&state.cache, &state.counters, &path, request).await
}

async fn taken(
    State(state): State<UploadState>,
    Path(path): Path<String>,
    operator: AuthenticatedOperator,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Response> {
    match path.strip_suffix(".narinfo") {
        Some(hash) => narinfo(state, hash, &operator, &headers, request).await,
        None => nar(&state, &path, &headers, request).await,
    }
}

async fn nar(
    state: &UploadState,
    path: &str,
    headers: &HeaderMap,
    request: Request,
) -> Result<Response, Response> {
    let name: NarFile = path.parse().map_err(|error| {
        bad(
            RefusalCode::BadName,
            format!("the cache takes no file of this name: {error}"),
        )
    })?;
    let receiving = state
        .uploads
        .receive(name, length(headers), batch(headers))
        .await
        .map_err(|refusal| Refused(refusal).into_response())?;
    received(receiving, request).await
}

/// How many bytes the body has, if that was said.
pub(super) fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The upload that the request is a part of, if it names one.
pub(super) fn batch(headers: &HeaderMap) -> Option<UploadBatchId> {
    headers.get(SHIPMENT)?.to_str().ok()?.parse().ok()
}

/// Receives the whole body. If it fails, what was received is deleted with `receiving`.
pub(super) async fn received(
    mut receiving: FileReceiver,
    request: Request,
) -> Result<Response, Response> {
    let mut body = request.into_body().into_data_stream();
    while let Some(octets) = next(&mut body).await? {
        let taken = receiving.take(&octets).await;
        taken.map_err(|refusal| Refused(refusal).into_response())?;
    }
    let finished = receiving.finish().await;
    finished.map_err(|refusal| Refused(refusal).into_response())?;
    Ok(changed(true, json!({})))
}

async fn next(
    body: &mut (impl futures_util::Stream<Item = Result<Bytes, axum::Error>> + Unpin),
) -> Result<Option<Bytes>, Response> {
    let next = tokio::time::timeout(QUIET, body.next()).await;
    let next = next.map_err(|_| too_slow())?.transpose();
    next.map_err(|_| bad(RefusalCode::BadJson, "the body broke off"))
}

async fn narinfo(
    state: UploadState,
    hash: &str,
    operator: &AuthenticatedOperator,
    headers: &HeaderMap,
    request: Request,
) -> Result<Response, Response> {
    let octets = tokio::time::timeout(QUIET, to_bytes(request.into_body(), BODY_LIMIT)).await;
    let octets = octets.map_err(|_| too_slow())?.map_err(|_| {
        bad(
            RefusalCode::TooLarge,
            format!("the narinfo broke off, or is larger than {BODY_LIMIT} bytes"),
        )
    })?;
    let text = std::str::from_utf8(&octets).unwrap_or_default();
    let info: NarInfo = text.parse().map_err(|error| {
        bad(
            RefusalCode::BadName,
            format!("this is not a narinfo: {error}"),
        )
    })?;
    if info.path.hash() != hash {
        let message = format!("the narinfo describes {}, its name another path", info.path);
        return Err(bad(RefusalCode::BadName, message));
    }
    let path = info.path.clone();
    let UploadState { keys, uploads, .. } = state;
    let public = keys.cache_public().to_owned();
    let sign = move |text: &str| keys.sign(text);
    let admitted = uploads
        .admit(info, batch(headers), public, sign)
        .await
        .map_err(|refusal| Refused(refusal).into_response())?;
    tracing::info!(command = "upload", %path, by = operator.by, changed = admitted);
    Ok(changed(admitted, json!({})))
}

pub(super) fn bad(code: RefusalCode, message: impl Into<String>) -> Response {
    Refused(Refusal::new(code, message)).into_response()
}

#[cfg(test)]
mod tests;
