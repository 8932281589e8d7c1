//! What the public routes take from the rest of the service.

use std::sync::Arc;

use axum::extract::FromRef;

use crate::base::counters::Counters;
use crate::boot::BootService;
use crate::boot::decisions::Decisions;
use crate::boot::identify::Identification;
use crate::boot::loaders::BootLoaders;
use crate::boot::log::BootLog;
use crate::boot::script::Scripts;
use crate::cache::Cache;
use crate::http::state::RouteState;
use crate::installers::Installers;
use crate::lan_scan::LanScan;
use crate::store::Store;

/// Shared by the listeners of all LANs.
pub struct PublicApi {
    pub(super) store: Store,
    pub(super) cache: Cache,
    pub(super) decisions: Arc<Decisions>,
    pub(super) identification: Arc<Identification>,
    pub(super) installers: Arc<Installers>,
    pub(super) loaders: Arc<BootLoaders>,
    pub(super) log: Arc<BootLog>,
    pub(super) scripts: Arc<Scripts>,
    pub(super) scan: Arc<LanScan>,
    pub(super) counters: Arc<Counters>,
}

impl PublicApi {
    pub fn new(
        store: Store,
        cache: Cache,
        boot: &BootService,
        scan: Arc<LanScan>,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            store,
            cache,
            decisions: boot.decisions.clone(),
            identification: boot.identification.clone(),
            installers: boot.installers.clone(),
            loaders: boot.loaders.clone(),
            log: boot.log.clone(),
            scripts: boot.scripts.clone(),
            scan,
            counters,
        }
    }
}

impl FromRef<RouteState<PublicApi>> for Arc<PublicApi> {
    fn from_ref(listener: &RouteState<PublicApi>) -> Self {
        listener.api.clone()
    }
}
