//! The calls that change nothing: machines, plans, generations, releases.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use netboot::install::{Shelf, plan_for};
use netboot::machine::Machine;
use netboot::plan::Plan;
use netboot::refusal::{Code, Refusal};
use netboot::wire::{Generations, MachineGenerations, Machines, Releases};

use super::Operator;
use crate::app::App;
use crate::http::error::Refused;
use crate::http::node;

type Answer<T> = Result<Json<T>, Refused>;

pub(super) async fn machines(State(app): State<Arc<App>>, _: Operator) -> Json<Machines> {
    let machines = app.store.world().machines.values().cloned().collect();
    Json(Machines { machines })
}

pub(super) async fn machine(
    State(app): State<Arc<App>>,
    Path(who): Path<String>,
    _: Operator,
) -> Answer<Machine> {
    Ok(Json(app.store.world().find(&who)?.clone()))
}

/// The plan that the attempt was given, or the one that the next attempt would be given on the hardware
/// that the machine had last.
pub(super) async fn plan(
    State(app): State<Arc<App>>,
    Path(who): Path<String>,
    _: Operator,
) -> Answer<Plan> {
    let world = app.store.world();
    let machine = world.find(&who)?;
    if let Some(plan) = machine.attempt.as_ref().and_then(|a| a.plan.clone()) {
        return Ok(Json(plan));
    }
    let Some(hardware) = &machine.hardware else {
        let title = machine.title();
        return Err(Refusal::new(
            Code::WrongState,
            format!("the hardware of {title} is not known yet, so there is no plan for it"),
        )
        .fact("it is known after the machine booted the installer once")
        .tip(format!(
            "network-boot the machine, then `pxe-admin watch {title}`"
        ))
        .into());
    };
    let (profiles, cache) = (app.profiles(), node::cache(&app, app.address()));
    let shelf = Shelf {
        profiles: &profiles,
        cache: &cache,
        k3s_server: app.config.k3s.server.as_deref(),
    };
    Ok(Json(plan_for(&world, machine, hardware, &shelf)?))
}

pub(super) async fn generations_of(
    State(app): State<Arc<App>>,
    Path(who): Path<String>,
    _: Operator,
) -> Answer<Generations> {
    let machines = vec![of(app.store.world().find(&who)?)];
    Ok(Json(Generations { machines }))
}

pub(super) async fn generations(State(app): State<Arc<App>>, _: Operator) -> Json<Generations> {
    let world = app.store.world();
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

pub(super) async fn releases(State(app): State<Arc<App>>, _: Operator) -> Json<Releases> {
    let releases = app.store.world().releases.clone();
    Json(Releases { releases })
}
