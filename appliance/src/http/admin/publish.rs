//! The calls of `publish`: what there is to publish for, what a release consists of, a system, an installer.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use netboot::api::types::{Closure, InstallerRequest, PublishRequest, PublishTargets};
use netboot::base::name::SystemName;
use netboot::base::refusal::{Refusal, RefusalCode};

use super::api::AdminApi;
use super::operator::AuthenticatedOperator;
use crate::http::error::{Refused, broken, changed};
use crate::http::request::Body;

pub(super) async fn publishing(
    State(api): State<Arc<AdminApi>>,
    _: AuthenticatedOperator,
) -> Json<PublishTargets> {
    let kernels = api.settings.kernels();
    Json(PublishTargets {
        flake: api.settings.config().flake.clone(),
        systems: api.settings.profiles().systems(),
        installers: kernels.iter().map(|a| api.installers.about(a)).collect(),
        copying: api.cache.copying(),
    })
}

pub(super) async fn closure(
    State(api): State<Arc<AdminApi>>,
    Path(system): Path<String>,
    _: AuthenticatedOperator,
) -> Result<Json<Closure>, Refused> {
    let system: SystemName = system.parse().map_err(|error| {
        Refusal::new(RefusalCode::BadName, format!("the system's name {error}"))
    })?;
    let Some(release) = api.store.state().newest(&system).cloned() else {
        return Ok(Json(Closure {
            release: None,
            whole: false,
            paths: Vec::new(),
        }));
    };
    // Thousands of small files.
    let looking = tokio::task::spawn_blocking(move || {
        let (paths, whole) = api.cache.closure(&release.toplevel);
        Closure {
            release: Some(release),
            whole,
            paths,
        }
    });
    let looked = looking.await.map_err(|error| broken(&error.into()))?;
    Ok(Json(looked))
}

pub(super) async fn system(
    State(api): State<Arc<AdminApi>>,
    operator: AuthenticatedOperator,
    Body(request): Body<PublishRequest>,
) -> Result<Response, Refused> {
    let published = api.publisher.system(request).await?;
    let release = &published.release;
    tracing::info!(
        command = "publish",
        system = %release.system,
        number = release.number,
        by = operator.by,
        changed = published.changed,
    );
    Ok(changed(published.changed, published))
}

pub(super) async fn installer(
    State(api): State<Arc<AdminApi>>,
    operator: AuthenticatedOperator,
    Body(request): Body<InstallerRequest>,
) -> Result<Response, Refused> {
    let published = api.publisher.installer(request).await?;
    tracing::info!(
        command = "publish",
        installer = published.installer.arch,
        path = %published.installer.path,
        by = operator.by,
        changed = published.changed,
    );
    Ok(changed(published.changed, published))
}
