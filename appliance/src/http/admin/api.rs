//! What the calls of operators take from the rest of the service.

use std::sync::Arc;

use crate::boot::BootService;
use crate::boot::log::BootLog;
use crate::cache::Cache;
use crate::config::settings::Settings;
use crate::doctor::Doctor;
use crate::installers::Installers;
use crate::keys::Keys;
use crate::publish::Publisher;
use crate::store::Store;

/// The same for the admin socket and for the network.
pub struct AdminApi {
    pub(super) settings: Settings,
    pub(super) store: Store,
    pub(super) cache: Cache,
    pub(super) keys: Arc<Keys>,
    pub(super) installers: Arc<Installers>,
    pub(super) log: Arc<BootLog>,
    pub(super) publisher: Arc<Publisher>,
    pub(super) doctor: Arc<Doctor>,
}

impl AdminApi {
    pub fn new(
        settings: Settings,
        store: Store,
        cache: Cache,
        keys: Arc<Keys>,
        boot: &BootService,
        publisher: Arc<Publisher>,
        doctor: Arc<Doctor>,
    ) -> Self {
        Self {
            settings,
            store,
            cache,
            keys,
            installers: boot.installers.clone(),
            log: boot.log.clone(),
            publisher,
            doctor,
        }
    }
}
