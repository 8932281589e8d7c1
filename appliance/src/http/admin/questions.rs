//! The read-only calls: machines, plans, generations, releases.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::Uri;
use netboot::api::admin;
use netboot::api::agent::PlanInputs;
use netboot::api::machine_view::MachineView;
use netboot::api::types::{Generations, MachineGenerations, MachineList, Preview, Releases};
use netboot::base::name::ProfileName;
use netboot::machine::Machine;
use serde::Deserialize;

use super::api::AdminApi;
use super::operator::AuthenticatedOperator;
use crate::http::error::JsonResult;
use crate::http::machine_cache::machine_cache;
use crate::http::request::query;

pub(super) async fn machines(
    State(api): State<Arc<AdminApi>>,
    _: AuthenticatedOperator,
) -> Json<MachineList> {
    let state = api.store.state();
    let machines = state.machines.values().map(MachineView::of).collect();
    Json(MachineList { machines })
}

pub(super) async fn machine(
    State(api): State<Arc<AdminApi>>,
    Path(who): Path<String>,
    _: AuthenticatedOperator,
) -> JsonResult<MachineView> {
    Ok(Json(MachineView::of(api.store.state().find(&who)?)))
}

/// `?profile=worker`
#[derive(Deserialize)]
pub(super) struct ProfileQuery {
    profile: Option<ProfileName>,
}

/// See [`admin::preview`].
pub(super) async fn plan(
    State(api): State<Arc<AdminApi>>,
    Path(who): Path<String>,
    uri: Uri,
    _: AuthenticatedOperator,
) -> JsonResult<Preview> {
    let as_if: ProfileQuery = query(&uri)?;
    let state = api.store.state();
    let machine = state.find(&who)?;
    let (profiles, cache) = (
        api.settings.profiles(),
        machine_cache(&api.keys, api.settings.address()),
    );
    let inputs = PlanInputs {
        profiles: &profiles,
        cache: &cache,
        k3s_server: api.settings.config().k3s.server.as_deref(),
    };
    let preview = admin::preview(&state, machine, as_if.profile.as_ref(), &inputs)?;
    Ok(Json(preview))
}

pub(super) async fn generations_of(
    State(api): State<Arc<AdminApi>>,
    Path(who): Path<String>,
    _: AuthenticatedOperator,
) -> JsonResult<Generations> {
    let machines = vec![of(api.store.state().find(&who)?)];
    Ok(Json(Generations { machines }))
}

pub(super) async fn generations(
    State(api): State<Arc<AdminApi>>,
    _: AuthenticatedOperator,
) -> Json<Generations> {
    let state = api.store.state();
    let ran = state
        .machines
        .values()
        .filter(|m| !m.generations.is_empty());
    Json(Generations {
        machines: ran.map(of).collect(),
    })
}

fn of(machine: &Machine) -> MachineGenerations {
    MachineGenerations {
        name: machine.title(),
        generations: machine.generations.clone(),
    }
}

pub(super) async fn releases(
    State(api): State<Arc<AdminApi>>,
    _: AuthenticatedOperator,
) -> Json<Releases> {
    let state = api.store.state();
    Json(Releases {
        releases: state.releases.clone(),
        installers: state.installers.clone(),
    })
}
