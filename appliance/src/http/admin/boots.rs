//! What happened: the boots of a machine, their packets, and the appliance's own health.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use netboot::api::types::{BootsAnswer, DoctorReport};
use netboot::base::mac::Mac;
use netboot::base::refusal::{Refusal, RefusalCode};
use netboot::dhcp::pcap;
use netboot::doctor::boot_trace::{
    BootEvent, DiagnosisContext, TraceEntry, boots as told, diagnose,
};
use netboot::machine::state::ApplianceState;
use netboot::machine::{Machine, State as MachineState};

use super::api::AdminApi;
use super::operator::AuthenticatedOperator;
use crate::config::Dhcp;
use crate::http::error::{Refused, broken};

/// Events of one machine that are read at once.
const PAGE: usize = 1024;

pub(super) async fn boots(
    State(api): State<Arc<AdminApi>>,
    Path(who): Path<String>,
    _: AuthenticatedOperator,
) -> Result<Json<BootsAnswer>, Refused> {
    let state = api.store.state();
    let setting = setting(&api, &state, &who)?;
    let cards = cards(&state, &setting);
    // As long as the machine's history.
    let (reading, mac) = (api.clone(), setting.mac);
    let journal = tokio::task::spawn_blocking(move || journal(&reading, mac)).await;
    let journal = journal.map_err(|error| broken(&error.into()))??;
    let boots = told(api.log.marks_of(&cards), journal);
    let finding = diagnose(boots.last(), &setting);
    Ok(Json(BootsAnswer {
        title: setting.title,
        boots,
        finding,
    }))
}

/// Everything that the journal says of this machine's boots.
fn journal(api: &AdminApi, machine: Mac) -> Result<Vec<TraceEntry>, Refusal> {
    let mut notes = Vec::new();
    let mut after = 0;
    loop {
        let page = api.store.events(Some(machine), after, PAGE)?;
        let marks = page
            .iter()
            .filter_map(|e| Some(TraceEntry::once(e.at, BootEvent::of(e)?)));
        notes.extend(marks);
        match page.last() {
            Some(last) if page.len() == PAGE => after = last.seq,
            _ => return Ok(notes),
        }
    }
}

/// A MAC that never asked for anything is no error here: that is what is asked about.
fn setting(
    api: &AdminApi,
    appliance_state: &ApplianceState,
    who: &str,
) -> Result<DiagnosisContext, Refusal> {
    let (machine, mac) = match (appliance_state.find(who), who.parse()) {
        (Ok(machine), _) => (Some(machine), machine.id),
        (Err(_), Ok(mac)) => (None, mac),
        (Err(refusal), Err(_)) => return Err(refusal),
    };
    let plan = machine.and_then(|m| m.attempt.as_ref()?.plan.as_ref());
    Ok(DiagnosisContext {
        now: api.log.now(),
        title: machine.map_or_else(|| mac.to_string(), Machine::title),
        mac,
        state: machine.map_or(MachineState::Seen, |m| m.state),
        failure: machine.map_or_else(Vec::new, |m| m.failure.clone()),
        joins: plan.is_some_and(|plan| plan.k3s.is_some()),
        boot_order: machine.map_or_else(Vec::new, |m| m.boot_order.clone()),
        local_boot: machine.and_then(|m| m.local_boot.clone()),
        proxy: matches!(api.settings.config().dhcp, Dhcp::Proxy),
        address: api.settings.address().ip,
        http_port: api.settings.address().http_port,
        node_port: api.settings.address().node_port,
    })
}

fn cards(state: &ApplianceState, setting: &DiagnosisContext) -> Vec<Mac> {
    let machine = state.by_mac(setting.mac);
    machine.map_or_else(|| vec![setting.mac], |m| m.macs.clone())
}

/// The last packets between this machine and the appliance, as a capture file.
pub(super) async fn packets(
    State(api): State<Arc<AdminApi>>,
    Path(who): Path<String>,
    _: AuthenticatedOperator,
) -> Result<Response, Refused> {
    let state = api.store.state();
    let setting = setting(&api, &state, &who)?;
    let packets = api.log.packets_of(&cards(&state, &setting));
    if packets.is_empty() {
        let title = &setting.title;
        let refusal = Refusal::new(
            RefusalCode::NotFound,
            format!("there are no packets of {title}"),
        )
        .fact("packets are kept since the appliance was started, of machines on record only")
        .tip(format!(
            "have it boot from the network, then `pxe-admin doctor {title}`"
        ));
        return Err(refusal.into());
    }
    let kind = [(CONTENT_TYPE, "application/vnd.tcpdump.pcap")];
    Ok((kind, pcap::file(&packets)).into_response())
}

pub(super) async fn checkup(
    State(api): State<Arc<AdminApi>>,
    _: AuthenticatedOperator,
) -> Json<DoctorReport> {
    Json(api.doctor.checkup().await)
}
