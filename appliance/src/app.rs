//! What every door holds: the store, the keys, the configuration in force.

use std::sync::Arc;

use netboot::decide::{Address, Policy};
use netboot::profile::Profiles;
use tokio::sync::watch;

use crate::cache::Cache;
use crate::config::Config;
use crate::keys::Keys;
use crate::store::Store;

/// Shared by all listeners.
pub struct App {
    pub config: Config,
    pub store: Store,
    pub keys: Keys,
    pub cache: Cache,
    /// The last good set of `hosts/profiles`.
    pub profiles: watch::Receiver<Arc<Profiles>>,
    pub policy: Policy,
    pub address: Address,
}

impl App {
    pub fn profiles(&self) -> Arc<Profiles> {
        self.profiles.borrow().clone()
    }
}
