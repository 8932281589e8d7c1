//! The calls that change machines: enroll, reimage, confirm, forget.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use netboot::api::admin::{self, About};
use netboot::api::machine_view::MachineView;
use netboot::api::types::{Changed, ConfirmRequest, EnrollRequest, RecoveryKey, ReimageRequest};
use netboot::base::refusal::{Code, Refusal};
use netboot::base::timestamp::Timestamp;
use netboot::machine::Machine;
use netboot::machine::event::Verdict;
use netboot::machine::state::World;

use super::api::AdminApi;
use super::operator::Operator;
use crate::base::clock;
use crate::http::error::{Refused, broken, changed};
use crate::http::request::Body;

pub(super) async fn enroll(
    State(api): State<Arc<AdminApi>>,
    operator: Operator,
    Body(request): Body<EnrollRequest>,
) -> Result<Response, Refused> {
    let answer = command(&api, operator, "enroll", move |world, operator| {
        admin::enroll(world, operator, &request)
    })
    .await?;
    Ok(changed(answer.changed, answer))
}

pub(super) async fn reimage(
    State(api): State<Arc<AdminApi>>,
    Path(who): Path<String>,
    operator: Operator,
    Body(request): Body<ReimageRequest>,
) -> Result<Response, Refused> {
    let answer = command(&api, operator, "reimage", move |world, operator| {
        admin::reimage(world, operator, &who, request.release)
    })
    .await?;
    Ok(changed(answer.changed, answer))
}

pub(super) async fn confirm(
    State(api): State<Arc<AdminApi>>,
    Path(who): Path<String>,
    operator: Operator,
    Body(request): Body<ConfirmRequest>,
) -> Result<Response, Refused> {
    let answer = command(&api, operator, "confirm", move |world, operator| {
        admin::confirm(world, operator, &who, &request.seen)
    })
    .await?;
    Ok(changed(answer.changed, answer))
}

pub(super) async fn forget(
    State(api): State<Arc<AdminApi>>,
    Path(who): Path<String>,
    operator: Operator,
) -> Result<Response, Refused> {
    let answer = command(&api, operator, "forget", move |world, operator| {
        admin::forget(world, operator, &who)
    })
    .await?;
    Ok(changed(answer.changed, answer))
}

/// The journal has who asked before the key leaves.
pub(super) async fn key(
    State(api): State<Arc<AdminApi>>,
    Path(who): Path<String>,
    Operator { by, .. }: Operator,
) -> Result<Json<RecoveryKey>, Refused> {
    let asks = by.clone();
    let decision = move |world: &World, _| admin::key(world, &asks, &who);
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
    operator: Operator,
    name: &'static str,
    order: F,
) -> Result<Changed, Refused>
where
    F: FnOnce(&World, &admin::Operator<'_>) -> Verdict<About> + Send + 'static,
{
    let profiles = api.settings.profiles();
    let armed_for = api.settings.config().armed_for;
    let by = operator.by.clone();
    let ticket = clock::ticket();
    let decision = {
        let profiles = profiles.clone();
        move |world: &World, now: Timestamp| {
            let operator = admin::Operator {
                profiles: &profiles,
                armed_for,
                now,
                ticket,
                by: &by,
            };
            let Verdict { answer, drafts } = order(world, &operator);
            // What is forgotten is not in the world afterwards: remember it as it was.
            let answer = answer.map(|About(id)| (id, world.by_mac(id).cloned()));
            Verdict { answer, drafts }
        }
    };
    let decided = api.store.decide(decision).await?;
    let (id, before) = decided.answer;
    let machine: Machine = decided
        .world
        .by_mac(id)
        .cloned()
        .or(before)
        .ok_or_else(|| Refusal::new(Code::Internal, "a command was about no machine"))?;
    tracing::info!(command = name, machine = %id, by = operator.by, changed = decided.changed);
    let profile = machine.profile.as_ref();
    Ok(Changed {
        changed: decided.changed,
        profile_file: profile
            .and_then(|name| profiles.by_name.get(name))
            .map(|profile| profile.file.clone()),
        warnings: match profile {
            Some(profile) if decided.world.by_mac(id).is_some() => {
                admin::warnings(&decided.world, &profiles, profile, machine.name.as_ref())
            }
            _ => Vec::new(),
        },
        machine: MachineView::of(&machine),
    })
}
