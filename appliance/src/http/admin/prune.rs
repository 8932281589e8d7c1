//! `POST /admin/v1/releases/prune`: takes releases that nobody needs out of the records, then their files out of the cache.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use netboot::api::types::{PruneAnswer, PruneRequest};
use netboot::base::store_path::StorePath;
use netboot::machine::state::ApplianceState;
use netboot::publish::retention::{self, ReleaseRetention};

use super::api::AdminApi;
use super::operator::AuthenticatedOperator;
use crate::cache::SweepResult;
use crate::http::error::{Refused, broken, changed};
use crate::http::request::Body;

pub(super) async fn prune(
    State(api): State<Arc<AdminApi>>,
    operator: AuthenticatedOperator,
    Body(request): Body<PruneRequest>,
) -> Result<Response, Refused> {
    let PruneRequest { keep, dry_run } = request;
    let keep = keep.unwrap_or(api.settings.config().publish.keep);
    let profiles = api.settings.profiles();
    // The cache lock is taken first: a publication that is under way must have its release on record before releases
    // are judged.
    let turn = api.cache.turn().await;
    let releases = if dry_run {
        retention::judge(&api.store.state(), &profiles, keep)
    } else {
        let by = operator.by.clone();
        let decision =
            move |state: &ApplianceState, _| retention::prune(state, &profiles, keep, &by);
        api.store.decide(decision).await?.answer
    };
    let toplevels = |stay: bool| -> Vec<StorePath> {
        let those = releases
            .iter()
            .filter(|judged| judged.why.is_empty() != stay);
        those
            .map(|judged| judged.release.toplevel.clone())
            .collect()
    };
    let (kept, gone) = (toplevels(true), toplevels(false));
    let swept = turn.sweep(kept, gone, dry_run).await;
    drop(turn);
    let swept = swept.map_err(|error| broken(&error))?;
    tracing::info!(
        command = "releases --prune",
        dry_run,
        keep,
        paths = swept.paths,
        bytes = swept.bytes,
        by = operator.by
    );
    let did = !dry_run && (swept.bytes > 0 || releases.iter().any(|judged| judged.why.is_empty()));
    Ok(changed(did, answer(releases, swept, dry_run)))
}

fn answer(releases: Vec<ReleaseRetention>, swept: SweepResult, dry_run: bool) -> PruneAnswer {
    let warning = |(toplevel, lacks): &(StorePath, u64)| {
        let of = releases
            .iter()
            .rfind(|judged| judged.release.toplevel == *toplevel)?;
        let (system, number) = (&of.release.system, of.release.number);
        let are = if *lacks == 1 { "is" } else { "are" };
        Some(format!(
            "release {number} of `{system}` cannot be installed: {lacks} of its paths {are} not whole in the cache; run \
             `pxe-admin publish {system} --toplevel {toplevel}`"
        ))
    };
    let mut warnings: Vec<String> = swept.torn.iter().filter_map(warning).collect();
    warnings.dedup();
    PruneAnswer {
        paths: swept.paths,
        bytes: swept.bytes,
        spared: swept.spared,
        dry_run,
        warnings,
        releases,
    }
}
