//! What answers to DHCP packets take from the rest of the service.

use std::sync::Arc;

use netboot::base::mac::Mac;

use crate::base::counters::Counters;
use crate::boot::BootService;
use crate::boot::decisions::Decisions;
use crate::boot::loaders::BootLoaders;
use crate::boot::log::BootLog;
use crate::config::Dhcp;
use crate::config::settings::Settings;
use crate::store::Store;

/// Shared by the sockets of all LANs.
pub struct Responder {
    pub(super) mode: Dhcp,
    /// The appliance's own network cards: their packets are not a machine's.
    pub(super) own_cards: Vec<Mac>,
    pub(super) store: Store,
    pub(super) decisions: Arc<Decisions>,
    pub(super) loaders: Arc<BootLoaders>,
    pub(super) log: Arc<BootLog>,
    pub(super) counters: Arc<Counters>,
}

impl Responder {
    pub fn new(
        settings: &Settings,
        store: Store,
        boot: &BootService,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            mode: settings.config().dhcp.clone(),
            own_cards: settings.own_cards(),
            store,
            decisions: boot.decisions.clone(),
            loaders: boot.loaders.clone(),
            log: boot.log.clone(),
            counters,
        }
    }
}
