//! The address for a DISCOVER, and who may have which (RFC 2131 §4.3.1).

use std::net::Ipv4Addr;

use super::{ClientClass, Leases, Site, Subnet};
use crate::base::mac::Mac;
use crate::base::timestamp::Timestamp;
use crate::dhcp::request::Request;

/// The first of these that the client may have and that is free: the reserved address, its current or former one, the one
/// offered last, the one it asks for, any.
pub(super) fn choose(
    leases: &mut Leases,
    site: &Site,
    subnet: &Subnet,
    request: &Request,
    client_class: ClientClass,
    now: Timestamp,
) -> Option<Ipv4Addr> {
    let mac = request.mac;
    let reserved = subnet.reservations.of(mac);
    let bound = leases.bound(mac, subnet);
    let asked = [leases.offered(mac, subnet), request.requested];
    let known = reserved
        .into_iter()
        .chain(bound)
        .chain(asked.into_iter().flatten());
    let good = |address: &Ipv4Addr| {
        may_have(leases, site, subnet, *address, (mac, client_class), now)
            && leases.is_free(*address, mac, now)
    };
    let known = known.into_iter().find(good);
    known.or_else(|| free(leases, site, subnet, client_class))
}

/// An address of the pool that is neither leased nor reserved.
pub(super) fn free(
    leases: &mut Leases,
    site: &Site,
    subnet: &Subnet,
    client_class: ClientClass,
) -> Option<Ipv4Addr> {
    let last = subnet.last_for(client_class);
    let open = |address| {
        address <= last && address != site.server && subnet.reservations.holder(address).is_none()
    };
    leases.free(subnet, last, open)
}

/// Whether this card may have this address, taken or not. A card with a reservation may have that address and no other,
/// unless somebody else uses it. A card may have an address again that it had before, also in the part of the pool that
/// is kept for enrolled machines.
pub(super) fn may_have(
    leases: &Leases,
    site: &Site,
    subnet: &Subnet,
    address: Ipv4Addr,
    (mac, client_class): (Mac, ClientClass),
    now: Timestamp,
) -> bool {
    let reserved = subnet.reservations.of(mac);
    if let Some(reserved) = reserved
        && (reserved == address || leases.is_free(reserved, mac, now))
    {
        return reserved == address;
    }
    let kept = subnet
        .reservations
        .holder(address)
        .is_some_and(|holder| holder != mac);
    let open = address <= subnet.last_for(client_class) || leases.holds(address, mac);
    (subnet.first..=subnet.last).contains(&address) && open && address != site.server && !kept
}
