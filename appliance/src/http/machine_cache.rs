//! Where machines copy systems from.

use netboot::base::address::ApplianceAddress;
use netboot::install::plan::Substituter;

use crate::keys::Keys;

/// The binary cache for machines that reach the appliance at this address.
pub(super) fn machine_cache(keys: &Keys, address: &ApplianceAddress) -> Substituter {
    Substituter {
        url: format!("{}/cache", address.http()),
        public_key: keys.cache_public().to_owned(),
    }
}
