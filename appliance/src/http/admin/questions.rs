//! The read-only calls: machines, plans, generations, releases.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::Uri;
use netboot::api::admin;
use netboot::api::agent::Shelf;
use netboot::api::machine_view::MachineView;
use netboot::api::types::{Generations, MachineGenerations, Machines, Preview, Releases};
use netboot::base::name::ProfileName;
use netboot::machine::Machine;
use serde::Deserialize;

use super::api::AdminApi;
use super::operator::Operator;
use crate::http::error::JsonResult;
use crate::http::machine_cache::machine_cache;
use crate::http::request::query;

pub(super) async fn machines(State(api): State<Arc<AdminApi>>, _: Operator) -> Json<Machines> {
    let world = api.store.world();
    let machines = world.machines.values().map(MachineView::of).collect();
    Json(Machines { machines })
}

pub(super) async fn machine(
    State(api): State<Arc<AdminApi>>,
    Path(who): Path<String>,
    _: Operator,
) -> JsonResult<MachineView> {
    Ok(Json(MachineView::of(api.store.world().find(&who)?)))
}

/// `?profile=worker`
#[derive(Deserialize)]
pub(super) struct AsIf {
    profile: Option<ProfileName>,
}

/// See [`admin::preview`].
pub(super) async fn plan(
    State(api): State<Arc<AdminApi>>,
    Path(who): Path<String>,
    uri: Uri,
    _: Operator,
) -> JsonResult<Preview> {
    let as_if: AsIf = query(&uri)?;
    let world = api.store.world();
    let machine = world.find(&who)?;
    let (profiles, cache) = (
        api.settings.profiles(),
        machine_cache(&api.keys, api.settings.address()),
    );
    let shelf = Shelf {
        profiles: &profiles,
        cache: &cache,
        k3s_server: api.settings.config().k3s.server.as_deref(),
    };
    let preview = admin::preview(&world, machine, as_if.profile.as_ref(), &shelf)?;
    Ok(Json(preview))
}

pub(super) async fn generations_of(
    State(api): State<Arc<AdminApi>>,
    Path(who): Path<String>,
    _: Operator,
) -> JsonResult<Generations> {
    let machines = vec![of(api.store.world().find(&who)?)];
    Ok(Json(Generations { machines }))
}

pub(super) async fn generations(
    State(api): State<Arc<AdminApi>>,
    _: Operator,
) -> Json<Generations> {
    let world = api.store.world();
    let ran = world
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

pub(super) async fn releases(State(api): State<Arc<AdminApi>>, _: Operator) -> Json<Releases> {
    let world = api.store.world();
    Json(Releases {
        releases: world.releases.clone(),
        installers: world.installers.clone(),
    })
}
