//! The components of the service, opened and put together: the one place that knows all of them. Each door has what it needs.

use std::sync::Arc;

use anyhow::Context;

use crate::base::clock::Clock;
use crate::base::counters::Counters;
use crate::boot::BootService;
use crate::boot::log::BootLog;
use crate::boot::traces::BootTraces;
use crate::cache::Cache;
use crate::config::Config;
use crate::config::settings::Settings;
use crate::dhcp::Responder;
use crate::doctor::Doctor;
use crate::files::budget::DiskBudget;
use crate::files::loaders::Loaders;
use crate::http::admin::AdminApi;
use crate::http::node::NodeApi;
use crate::http::public::PublicApi;
use crate::installers::Installers;
use crate::keys::Keys;
use crate::lan_scan::LanScan;
use crate::publish::Publisher;
use crate::publish::follow::FollowStatus;
use crate::store::Store;
use crate::tftp::BootFiles;

/// What `state-dir` holds, opened.
pub(crate) struct StateDir {
    pub(crate) keys: Keys,
    cache: Cache,
    store: Store,
    traces: BootTraces,
    installers: Installers,
}

impl StateDir {
    /// Blocks while it reads and locks files.
    ///
    /// # Errors
    /// The first part that cannot be opened, by name.
    pub(crate) fn open(config: &Config, clock: Clock) -> anyhow::Result<Self> {
        let dir = &config.state_dir;
        let keys = Keys::open(dir, &config.k3s).context("cannot open the keys")?;
        let room = DiskBudget::default();
        let cache = Cache::open(dir, keys.cache_secret_file(), room.clone());
        let cache = cache.context("cannot open the cache")?;
        let store = Store::open(dir, clock).context("cannot open the store")?;
        let traces = BootTraces::open(dir, clock);
        let installers = Installers::open(dir, &config.images, room)?;
        Ok(Self {
            keys,
            cache,
            store,
            traces,
            installers,
        })
    }
}

/// The components, for whoever binds, runs and stops them.
pub(crate) struct Components {
    pub(crate) settings: Settings,
    pub(crate) store: Store,
    pub(crate) keys: Arc<Keys>,
    pub(crate) cache: Cache,
    pub(crate) installers: Arc<Installers>,
    pub(crate) boot: BootService,
    pub(crate) counters: Arc<Counters>,
    pub(crate) scan: Arc<LanScan>,
    pub(crate) follow: Arc<FollowStatus>,
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) dhcp: Arc<Responder>,
    pub(crate) tftp: Arc<BootFiles>,
    pub(crate) public: Arc<PublicApi>,
    pub(crate) node: Arc<NodeApi>,
    pub(crate) admin: Arc<AdminApi>,
    #[cfg(test)]
    pub(crate) doctor: Arc<Doctor>,
}

impl Components {
    pub(crate) fn new(
        settings: Settings,
        state_dir: StateDir,
        loaders: Loaders,
        scan: Arc<LanScan>,
    ) -> Self {
        let StateDir {
            keys,
            cache,
            store,
            traces,
            installers,
        } = state_dir;
        let (keys, installers) = (Arc::new(keys), Arc::new(installers));
        let counters = Arc::new(Counters::default());
        let follow = Arc::new(FollowStatus::default());
        let log = BootLog::new(store.clone(), traces);
        let boot = BootService::new(&settings, &store, installers.clone(), loaders, log);
        let publisher = Arc::new(Publisher::new(
            store.clone(),
            cache.clone(),
            keys.cache_public().to_owned(),
            installers.clone(),
            boot.decisions.clone(),
        ));
        let doctor = Arc::new(Doctor::new(
            settings.clone(),
            store.clone(),
            cache.clone(),
            keys.clone(),
            &boot,
            scan.clone(),
            follow.clone(),
        ));
        let dhcp = Responder::new(&settings, store.clone(), &boot, counters.clone());
        let tftp = BootFiles::new(&settings, store.clone(), &boot, counters.clone());
        let public = PublicApi::new(
            store.clone(),
            cache.clone(),
            &boot,
            scan.clone(),
            counters.clone(),
        );
        let node = NodeApi::new(settings.clone(), store.clone(), keys.clone(), &boot);
        let admin = AdminApi::new(
            settings.clone(),
            store.clone(),
            cache.clone(),
            keys.clone(),
            &boot,
            publisher.clone(),
            doctor.clone(),
        );
        Self {
            settings,
            store,
            keys,
            cache,
            installers,
            boot,
            counters,
            scan,
            follow,
            publisher,
            dhcp: Arc::new(dhcp),
            tftp: Arc::new(tftp),
            public: Arc::new(public),
            node: Arc::new(node),
            admin: Arc::new(admin),
            #[cfg(test)]
            doctor,
        }
    }
}
