//! Where machines copy systems from.

use netboot::base::address::Address;
use netboot::install::plan::Cache;

use crate::keys::Keys;

/// The binary cache for machines that reach the appliance at this address.
pub(super) fn machine_cache(keys: &Keys, address: &Address) -> Cache {
    Cache {
        url: format!("{}/cache", address.http()),
        public_key: keys.cache_public().to_owned(),
    }
}
