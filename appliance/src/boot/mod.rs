//! What a machine boots, decided once for every door, and what it was seen doing.

pub mod decisions;
pub mod identify;
pub mod loaders;
pub mod local_boot;
pub mod log;
pub mod packets;
pub mod requester;
pub mod script;
pub mod traces;

use std::sync::Arc;

use self::decisions::Decisions;
use self::identify::Identification;
use self::loaders::BootLoaders;
use self::local_boot::LocalBoot;
use self::log::BootLog;
use self::script::Scripts;
use crate::config::settings::Settings;
use crate::files::loaders::Loaders;
use crate::installers::Installers;
use crate::store::Store;

/// The parts of a boot, of which each door takes what it needs.
pub struct BootService {
    pub decisions: Arc<Decisions>,
    pub identification: Arc<Identification>,
    pub installers: Arc<Installers>,
    pub loaders: Arc<BootLoaders>,
    pub local_boot: Arc<LocalBoot>,
    pub log: Arc<BootLog>,
    pub scripts: Arc<Scripts>,
}

impl BootService {
    pub fn new(
        settings: &Settings,
        store: &Store,
        installers: Arc<Installers>,
        loaders: Loaders,
        log: BootLog,
    ) -> Self {
        let log = Arc::new(log);
        let decisions = Arc::new(Decisions::new(store.clone(), settings.clone()));
        let dhcp = &settings.config().dhcp;
        let identification = Identification::new(store.clone(), log.clone(), dhcp);
        let identification = Arc::new(identification);
        let local_boot = Arc::new(LocalBoot::new(store.clone(), log.clone()));
        let scripts = Scripts {
            decisions: decisions.clone(),
            identification: identification.clone(),
            installers: installers.clone(),
            local_boot: local_boot.clone(),
            log: log.clone(),
            policy: settings.config().policy(),
            settings: settings.clone(),
            store: store.clone(),
        };
        Self {
            decisions,
            identification,
            installers,
            loaders: Arc::new(BootLoaders::new(loaders, store.clone())),
            local_boot,
            log,
            scripts: Arc::new(scripts),
        }
    }
}
