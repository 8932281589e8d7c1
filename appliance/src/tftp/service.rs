//! What the files for machines take from the rest of the service.

use std::path::PathBuf;
use std::sync::Arc;

use crate::base::counters::Counters;
use crate::boot::BootService;
use crate::boot::decisions::Decisions;
use crate::boot::identify::Identification;
use crate::boot::loaders::BootLoaders;
use crate::boot::log::BootLog;
use crate::boot::script::Scripts;
use crate::config::settings::Settings;
use crate::installers::Installers;
use crate::store::Store;

/// Shared by the servers of all LANs.
pub struct BootFiles {
    pub(super) store: Store,
    pub(super) decisions: Arc<Decisions>,
    pub(super) identification: Arc<Identification>,
    pub(super) installers: Arc<Installers>,
    pub(super) loaders: Arc<BootLoaders>,
    pub(super) log: Arc<BootLog>,
    pub(super) scripts: Arc<Scripts>,
    pub(super) counters: Arc<Counters>,
    /// The firmware of Raspberry Pi boards, if there is any.
    pub(super) raspberry_pi_dir: Option<PathBuf>,
}

impl BootFiles {
    pub fn new(
        settings: &Settings,
        store: Store,
        boot: &BootService,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            store,
            decisions: boot.decisions.clone(),
            identification: boot.identification.clone(),
            installers: boot.installers.clone(),
            loaders: boot.loaders.clone(),
            log: boot.log.clone(),
            scripts: boot.scripts.clone(),
            counters,
            raspberry_pi_dir: settings.config().raspberry_pi_dir.clone(),
        }
    }
}
