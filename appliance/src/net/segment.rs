//! A LAN as a machine on it sees the appliance.

use netboot::base::address::ApplianceAddress;

use super::interfaces::Lan;

/// What a machine is told to call depends on where it asks: the address on another LAN may be out of its reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    pub lan: Lan,
    pub address: ApplianceAddress,
}
