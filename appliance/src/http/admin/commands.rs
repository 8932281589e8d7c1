//! The calls that change machines: enroll, reimage, confirm, forget.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use netboot::api::admin::{self, CommandTarget};
use netboot::api::machine_view::MachineView;
use netboot::api::types::{Changed, ConfirmRequest, EnrollRequest, RecoveryKey, ReimageRequest};
use netboot::base::refusal::{Refusal, RefusalCode};
use netboot::base::timestamp::Timestamp;
use netboot::machine::Machine;
use netboot::machine::event::Decided;
use netboot::machine::state::ApplianceState;

use super::api::AdminApi;
use super::operator::AuthenticatedOperator;
use crate::base::clock;
use crate::http::error::{Refused, broken, changed};
use crate::http::request::Body;

pub(super) async fn enroll(
    State(api): State<Arc<AdminApi>>,
    operator: AuthenticatedOperator,
    Body(request): Body<EnrollRequest>,
) -> Result<Response, Refused> {
    let answer = command(&api, operator, "enroll", move |state, operator| {
        admin::enroll(state, operator, &request)
    })
    .await?;
    Ok(changed(answer.changed, answer))
}

pub(super) async fn reimage(
    State(api): State<Arc<AdminApi>>,
    Path(who): Path<String>,
    operator: AuthenticatedOperator,
    Body(request): Body<ReimageRequest>,
) -> Result<Response, Refused> {
    let answer = command(&api, operator, "reimage", move |state, operator| {
        admin::reimage(state, operator, &who, request.release)
    })
    .await?;
    Ok(changed(answer.changed, answer))
}

pub(super) async fn confirm(
    State(api): State<Arc<AdminApi>>,
    Path(who): Path<String>,
    operator: AuthenticatedOperator,
    Body(request): Body<ConfirmRequest>,
) -> Result<Response, Refused> {
    let answer = command(&api, operator, "confirm", move |state, operator| {
        admin::confirm(state, operator, &who, &request.seen)
    })
    .await?;
    Ok(changed(answer.changed, answer))
}

pub(super) async fn forget(
    State(api): State<Arc<AdminApi>>,
    Path(who): Path<String>,
    operator: AuthenticatedOperator,
) -> Result<Response, Refused> {
    let answer = command(&api, operator, "forget", move |state, operator| {
        admin::forget(state, operator, &who)
    })
    .await?;
    Ok(changed(answer.changed, answer))
}

/// The journal has who asked before the key leaves.
pub(super) async fn key(
    State(api): State<Arc<AdminApi>>,
    Path(who): Path<String>,
    AuthenticatedOperator { by, .. }: AuthenticatedOperator,
) -> Result<Json<RecoveryKey>, Refused> {
    let asks = by.clone();
    let decision = move |state: &ApplianceState, _| admin::key(state, &asks, &who);
    let (name, kept) = api.store.decide(decision).await?.answer;
    let key = api.keys.open_disk_key(&kept.kept);
    let key = key.map_err(|error| broken(&error))?;
    tracing::info!(command = "key", %name, by);
    let made = kept.made;
    Ok(Json(RecoveryKey { name, key, made }))
}

/// Puts a command to the core on the latest state, durable before it returns, and tells what came of it.
async fn command<F>(
    api: &AdminApi,
    operator: AuthenticatedOperator,
    name: &'static str,
    order: F,
) -> Result<Changed, Refused>
where
    F: FnOnce(&ApplianceState, &admin::Operator<'_>) -> Decided<CommandTarget> + Send + 'static,
{
    let profiles = api.settings.profiles();
    let armed_for = api.settings.config().armed_for;
    let by = operator.by.clone();
    let ticket = clock::ticket();
    let decision = {
        let profiles = profiles.clone();
        move |state: &ApplianceState, now: Timestamp| {
            let operator = admin::Operator {
                profiles: &profiles,
                armed_for,
                now,
                ticket,
                by: &by,
            };
            let Decided { answer, events } = order(state, &operator);
            // What is forgotten is not in the world afterwards: remember it as it was.
            let answer = answer.map(|CommandTarget(id)| (id, state.by_mac(id).cloned()));
            Decided { answer, events }
        }
    };
    let decided = api.store.decide(decision).await?;
    let (id, before) = decided.answer;
    let machine: Machine = decided
        .state
        .by_mac(id)
        .cloned()
        .or(before)
        .ok_or_else(|| Refusal::new(RefusalCode::Internal, "a command was about no machine"))?;
    tracing::info!(command = name, machine = %id, by = operator.by, changed = decided.changed);
    let profile = machine.profile.as_ref();
    Ok(Changed {
        changed: decided.changed,
        profile_file: profile
            .and_then(|name| profiles.by_name.get(name))
            .map(|profile| profile.file.clone()),
        warnings: match profile {
            Some(profile) if decided.state.by_mac(id).is_some() => {
                admin::warnings(&decided.state, &profiles, profile, machine.name.as_ref())
            }
            _ => Vec::new(),
        },
        machine: MachineView::of(&machine),
    })
}
