//! The calls of `publish`: what there is to publish for, what a release consists of, a system, an installer.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use netboot::api::types::{Closure, InstallerRequest, PublishRequest, Publishing};
use netboot::base::name::SystemName;
use netboot::base::refusal::{Code, Refusal};

use super::Operator;
use crate::app::App;
use crate::http::error::{Refused, broken, changed};
use crate::http::request::Body;

pub(super) async fn publishing(State(app): State<Arc<App>>, _: Operator) -> Json<Publishing> {
    let kernels = app.kernels();
    Json(Publishing {
        flake: app.config.flake.clone(),
        systems: app.profiles().systems(),
        installers: kernels.iter().map(|a| app.installers.about(a)).collect(),
        copying: app.cache.copying(),
    })
}

pub(super) async fn closure(
    State(app): State<Arc<App>>,
    Path(system): Path<String>,
    _: Operator,
) -> Result<Json<Closure>, Refused> {
    let system: SystemName = system
        .parse()
        .map_err(|error| Refusal::new(Code::BadName, format!("the system's name {error}")))?;
    let Some(release) = app.store.world().newest(&system).cloned() else {
        return Ok(Json(Closure {
            release: None,
            whole: false,
            paths: Vec::new(),
        }));
    };
    // Thousands of small files.
    let looking = tokio::task::spawn_blocking(move || {
        let (paths, whole) = app.cache.closure(&release.toplevel);
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
    State(app): State<Arc<App>>,
    operator: Operator,
    Body(request): Body<PublishRequest>,
) -> Result<Response, Refused> {
    let published = app.publish(request).await?;
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
    State(app): State<Arc<App>>,
    operator: Operator,
    Body(request): Body<InstallerRequest>,
) -> Result<Response, Refused> {
    let published = app.publish_installer(request).await?;
    tracing::info!(
        command = "publish",
        installer = published.installer.arch,
        path = %published.installer.path,
        by = operator.by,
        changed = published.changed,
    );
    Ok(changed(published.changed, published))
}
