//! `/node/v1/…`: what the agent and the installed node call. Each call is one question to the core.

mod api;
mod disk_key;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::routing::post;
use axum::{Json, Router, middleware};
use netboot::api::agent::{self, PlanInputs, ToSeal};
use netboot::api::types::{
    BootRequest, ClaimAnswer, ClaimRequest, DiscoveredRequest, EventLine, InstallSecrets,
    InstalledRequest, K3sSecrets, PlanRequest, SealedAnswer,
};
use netboot::base::name::HostName;
use netboot::base::token::Digest;
use netboot::install::plan::Plan;
use netboot::install::report::{Report, StepOutcome};
use netboot::profile::Role;
use serde_json::{Value, json};

pub use self::api::NodeApi;
use super::error::{JsonResult, broken, no_such_route};
use super::machine_cache::machine_cache;
use super::request::{BODY_LIMIT, Bearer, Body, PeerAddress, bad_json, span};
use super::state::RouteState;
use crate::base::clock;
use crate::keys::Keys;
use crate::keys::{seal, secret_hash};
use crate::net::Segment;

/// The calls of machines, for the TLS port on one LAN.
pub fn router(api: Arc<NodeApi>, segment: Arc<Segment>) -> Router {
    Router::new()
        .route("/node/v1/claim", post(claim))
        .route("/node/v1/discovered", post(discovered))
        .route("/node/v1/plan", post(plan))
        .route("/node/v1/report", post(report))
        .route("/node/v1/secrets", post(secrets))
        .route("/node/v1/secrets/received", post(received))
        .route("/node/v1/disk-key", post(disk_key::disk_key))
        .route("/node/v1/unlock", post(disk_key::unlock))
        .route("/node/v1/installed", post(installed))
        .route("/node/v1/boot", post(boot))
        .fallback(no_such_route)
        .method_not_allowed_fallback(no_such_route)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn(span))
        .with_state(RouteState { api, segment })
}

/// The answer of a call that has no content.
fn noted() -> JsonResult<Value> {
    Ok(Json(json!({})))
}

async fn claim(
    State(api): State<Arc<NodeApi>>,
    PeerAddress(from): PeerAddress,
    Body(request): Body<ClaimRequest>,
) -> JsonResult<ClaimAnswer> {
    if request.session.parse::<Digest>().is_err() {
        return Err(bad_json("`session` is not 64 hexadecimal digits"));
    }
    if request.recipient.parse::<age::x25519::Recipient>().is_err() {
        return Err(bad_json("`recipient` is not an age recipient"));
    }
    let session = secret_hash(&request.session);
    let policy = api.policy.clone();
    let decided = api
        .store
        .decide(move |state, now| agent::claim(state, &request, &session, &policy, now, &from))
        .await?;
    tracing::info!(name = %decided.answer.name, attempt = decided.answer.attempt, "claimed");
    Ok(Json(decided.answer))
}

async fn discovered(
    State(api): State<Arc<NodeApi>>,
    PeerAddress(from): PeerAddress,
    Body(request): Body<DiscoveredRequest>,
) -> JsonResult<Value> {
    let DiscoveredRequest { mac, hardware } = request;
    let policy = api.policy.clone();
    api.store
        .decide(move |state, now| agent::discovered(state, mac, &hardware, &policy, now, &from))
        .await?;
    tracing::info!(%mac, "a stranger told its hardware");
    noted()
}

async fn plan(
    State(api): State<Arc<NodeApi>>,
    State(segment): State<Arc<Segment>>,
    Bearer(session): Bearer,
    PeerAddress(from): PeerAddress,
    Body(request): Body<PlanRequest>,
) -> JsonResult<Plan> {
    let profiles = api.settings.profiles();
    let cache = machine_cache(&api.keys, &segment.address);
    let k3s_server = api.settings.config().k3s.server.clone();
    let decided = api
        .store
        .decide(move |state, now| {
            let inputs = PlanInputs {
                profiles: &profiles,
                cache: &cache,
                k3s_server: k3s_server.as_deref(),
            };
            agent::plan(state, &session, &request.hardware, &inputs, now, &from)
        })
        .await?;
    Ok(Json(decided.answer))
}

async fn report(
    State(api): State<Arc<NodeApi>>,
    Bearer(session): Bearer,
    PeerAddress(from): PeerAddress,
    Body(report): Body<Report>,
) -> JsonResult<Value> {
    let policy = api.policy.clone();
    let progress = match report.outcome {
        StepOutcome::Progress { done, total } => Some((report.step, done, total)),
        _ => None,
    };
    let machine = api
        .store
        .decide(move |state, now| agent::report(state, &session, &report, &policy, now, &from))
        .await?
        .answer;
    // Progress in bytes is not worth an fsync: it is only sent to those who watch.
    if let Some((step, done, total)) = progress {
        api.store.tell(EventLine::Progress {
            at: clock::now(),
            machine,
            step,
            done,
            total,
        });
    }
    noted()
}

async fn secrets(
    State(api): State<Arc<NodeApi>>,
    Bearer(session): Bearer,
    PeerAddress(from): PeerAddress,
) -> JsonResult<SealedAnswer> {
    let asked = {
        let (session, from) = (session.clone(), from.clone());
        api.store
            .decide(move |state, now| agent::secrets(state, &session, now, &from))
            .await?
            .answer
    };
    let (host_name, role, recipient) = match asked {
        ToSeal::Again(sealed) => return Ok(Json(SealedAnswer { sealed })),
        ToSeal::Fresh {
            host_name,
            role,
            recipient,
        } => (host_name, role, recipient),
    };
    let secrets = secrets_for(&api.keys, &host_name, role);
    let node_key = secret_hash(&secrets.node_key);
    let sealed = seal::seal(&recipient, &secrets).map_err(|error| broken(&error))?;
    let sealed = api
        .store
        .decide(move |state, now| agent::sealed(state, &session, sealed, node_key, now, &from))
        .await?
        .answer;
    tracing::info!(name = %host_name, "secrets handed out, sealed");
    Ok(Json(SealedAnswer { sealed }))
}

/// The secrets that a machine of this role needs, and no others: only servers get the token that makes servers.
fn secrets_for(keys: &Keys, name: &HostName, role: Option<Role>) -> InstallSecrets {
    let k3s = role.map(|role| {
        let (token, agent_token) = match role {
            Role::ServerInit | Role::Server => (keys.server_token(), Some(keys.agent_token())),
            Role::Agent => (keys.agent_token(), None),
        };
        K3sSecrets {
            token: token.to_owned(),
            agent_token: agent_token.map(ToOwned::to_owned),
            node_password: keys.node_password(name),
        }
    });
    InstallSecrets {
        node_key: clock::secret(),
        k3s,
    }
}

async fn received(
    State(api): State<Arc<NodeApi>>,
    Bearer(session): Bearer,
    PeerAddress(from): PeerAddress,
) -> JsonResult<Value> {
    api.store
        .decide(move |state, now| agent::received(state, &session, now, &from))
        .await?;
    noted()
}

async fn installed(
    State(api): State<Arc<NodeApi>>,
    Bearer(session): Bearer,
    PeerAddress(from): PeerAddress,
    Body(request): Body<InstalledRequest>,
) -> JsonResult<Value> {
    api.store
        .decide(move |state, now| agent::installed(state, &session, &request, now, &from))
        .await?;
    noted()
}

async fn boot(
    State(api): State<Arc<NodeApi>>,
    Bearer(node_key): Bearer,
    PeerAddress(from): PeerAddress,
    Body(request): Body<BootRequest>,
) -> JsonResult<Value> {
    let (name, key) = (request.name.clone(), node_key.clone());
    api.store
        .decide(move |state, now| agent::booted(state, &node_key, &request, now, &from))
        .await?;
    api.local_boot.came_up(&key).await;
    tracing::info!(%name, "booted from its own disk");
    noted()
}

#[cfg(test)]
mod tests;
