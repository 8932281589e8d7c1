//! Disk keys: one is made for an attempt that formats, and handed to a machine that boots. None is ever logged, and none
//! is stored but sealed.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use netboot::api::agent::{self, KeyToSeal};
use netboot::api::auth_throttle::{FailedAttempt, LIMIT};
use netboot::api::types::{DiskSecrets, SealedAnswer, UnlockRequest, UnlockSecrets};
use netboot::base::refusal::{Refusal, RefusalCode};
use netboot::disk::disk_key;

use super::api::NodeApi;
use crate::base::clock;
use crate::http::error::{JsonResult, Refused, broken, not_now};
use crate::http::request::{Bearer, Body, FromAddress, PeerAddress, bad_json};
use crate::keys::{seal, secret_hash};

pub(super) async fn disk_key(
    State(api): State<Arc<NodeApi>>,
    Bearer(session): Bearer,
    PeerAddress(from): PeerAddress,
) -> JsonResult<SealedAnswer> {
    let asked = {
        let (session, from) = (session.clone(), from.clone());
        api.store
            .decide(move |state, now| agent::disk_key(state, &session, now, &from))
            .await?
            .answer
    };
    let recipient = match asked {
        KeyToSeal::Again(sealed) => return Ok(Json(SealedAnswer { sealed })),
        KeyToSeal::Fresh { recipient } => recipient,
    };
    let secrets = DiskSecrets {
        key: disk_key::text(&clock::random()),
        credential: clock::secret(),
    };
    let kept = api.keys.keep_disk_key(&secrets.key);
    let kept = kept.map_err(|error| broken(&error))?;
    let credential = secret_hash(&secrets.credential);
    let sealed = seal::seal(&recipient, &secrets).map_err(|error| broken(&error))?;
    let sealed = api
        .store
        .decide(move |state, now| {
            agent::disk_key_made(state, &session, kept, credential, sealed, now, &from)
        })
        .await?
        .answer;
    tracing::info!("a disk key was made and handed out, sealed");
    Ok(Json(SealedAnswer { sealed }))
}

/// A client that guesses credentials is blocked for a while, and does not fill the journal.
pub(super) async fn unlock(
    State(api): State<Arc<NodeApi>>,
    Bearer(credential): Bearer,
    FromAddress(address): FromAddress,
    PeerAddress(from): PeerAddress,
    Body(request): Body<UnlockRequest>,
) -> Response {
    let address = IpAddr::V4(address);
    if let Some(wait) = api.unlocks(|attempts| attempts.blocked_for(address, clock::now())) {
        let message = format!("{LIMIT} calls from {from} for disk keys were refused");
        return not_now(Refusal::new(RefusalCode::TooManyAttempts, message), wait);
    }
    // A refusal is found out without an event first; only the first and the last of many refusals are written down.
    let question = agent::unlock(&api.store.state(), &credential, clock::now(), &from);
    if let Err(refusal) = question.answer
        && api.unlocks(|attempts| attempts.failed(address, clock::now())) == FailedAttempt::Again
    {
        return Refused(refusal).into_response();
    }
    if request.recipient.parse::<age::x25519::Recipient>().is_err() {
        return bad_json("`recipient` is not an age recipient").into_response();
    }
    let decision = move |state: &_, now| agent::unlock(state, &credential, now, &from);
    let kept = match api.store.decide(decision).await {
        Ok(decided) => decided.answer,
        Err(refusal) => return Refused(refusal).into_response(),
    };
    let sealed = api.keys.open_disk_key(&kept).and_then(|key| {
        let secrets = UnlockSecrets { key };
        seal::seal(&request.recipient, &secrets)
    });
    match sealed {
        Ok(sealed) => {
            tracing::info!("a disk key was handed out, sealed, to a machine that boots");
            Json(SealedAnswer { sealed }).into_response()
        }
        Err(error) => broken(&error).into_response(),
    }
}
