//! What is in force: the configuration, the LANs that are served, the profiles as they are now.

use std::collections::BTreeSet;
use std::sync::Arc;

use netboot::base::address::ApplianceAddress;
use netboot::base::mac::Mac;
use netboot::profile::Profiles;
use tokio::sync::watch;

use super::Config;
use crate::net::Segment;

/// A clone is another handle on the same settings.
#[derive(Clone)]
pub struct Settings {
    config: Arc<Config>,
    segments: Arc<[Arc<Segment>]>,
    profiles: watch::Receiver<Arc<Profiles>>,
}

impl Settings {
    /// `segments` are the LANs that are served, in the order of the configuration, and there is at least one. `profiles`
    /// receives each good set of `hosts-dir`.
    pub fn new(
        config: Config,
        segments: Vec<Arc<Segment>>,
        profiles: watch::Receiver<Arc<Profiles>>,
    ) -> Self {
        Self {
            config: Arc::new(config),
            segments: segments.into(),
            profiles,
        }
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn segments(&self) -> &[Arc<Segment>] {
        &self.segments
    }

    /// The address on the first LAN, for questions that no machine asked.
    pub fn address(&self) -> &ApplianceAddress {
        &self.segments[0].address
    }

    /// The appliance's own network cards: their packets are not a machine's.
    pub fn own_cards(&self) -> Vec<Mac> {
        self.segments.iter().filter_map(|s| s.lan.mac).collect()
    }

    /// The last good set of `hosts-dir`.
    pub fn profiles(&self) -> Arc<Profiles> {
        self.profiles.borrow().clone()
    }

    /// The kernel architectures that profiles are for, such as `x86_64`, which is also the answer without profiles.
    pub fn kernels(&self) -> BTreeSet<String> {
        let profiles = self.profiles();
        let mut kernels: BTreeSet<_> = profiles
            .by_name
            .values()
            .map(|p| p.arch.to_string())
            .collect();
        if kernels.is_empty() {
            kernels.insert("x86_64".to_owned());
        }
        kernels
    }
}
