//! What the calls of agents and nodes take from the rest of the service.

use std::sync::Arc;

use axum::extract::FromRef;
use netboot::api::auth_throttle::AuthThrottle;
use netboot::machine::decide::Policy;
use parking_lot::Mutex;

use crate::boot::BootService;
use crate::boot::local_boot::LocalBoot;
use crate::config::settings::Settings;
use crate::http::state::RouteState;
use crate::keys::Keys;
use crate::store::Store;

/// Shared by the listeners of all LANs.
pub struct NodeApi {
    pub(super) store: Store,
    pub(super) settings: Settings,
    pub(super) policy: Policy,
    pub(super) keys: Arc<Keys>,
    pub(super) local_boot: Arc<LocalBoot>,
    /// Calls for disk keys that were refused.
    unlocks: Mutex<AuthThrottle>,
}

impl NodeApi {
    pub fn new(settings: Settings, store: Store, keys: Arc<Keys>, boot: &BootService) -> Self {
        Self {
            store,
            policy: settings.config().policy(),
            settings,
            keys,
            local_boot: boot.local_boot.clone(),
            unlocks: Mutex::default(),
        }
    }

    /// The calls for disk keys that were refused.
    pub(super) fn unlocks<T>(&self, of: impl FnOnce(&mut AuthThrottle) -> T) -> T {
        of(&mut self.unlocks.lock())
    }
}

impl FromRef<RouteState<NodeApi>> for Arc<NodeApi> {
    fn from_ref(listener: &RouteState<NodeApi>) -> Self {
        listener.api.clone()
    }
}
