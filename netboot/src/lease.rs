//! Server mode: which address a client gets. A table and pure rules (RFC 2131 §4.3); keyed by MAC,
//! because one machine shows three client identifiers in one boot.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::mac::Mac;
use crate::name::HostName;
use crate::request::Request;
use crate::timestamp::Timestamp;

/// An address in somebody's hands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub address: Ipv4Addr,
    pub mac: Mac,
    pub until: Timestamp,
    /// An address that a client declined rests until `until` (RFC 2131 §4.3.3).
    #[serde(default)]
    pub declined: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_name: Option<HostName>,
}

/// The configuration of server mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    pub first: Ipv4Addr,
    pub last: Ipv4Addr,
    pub netmask: Ipv4Addr,
    /// The appliance's own address: never leased, and option 54.
    pub server: Ipv4Addr,
    pub lease_time: Duration,
    pub reservations: BTreeMap<Mac, Ipv4Addr>,
}

/// All bindings. Offers live here too, but only acknowledged ones are written down.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Leases {
    pub by_address: BTreeMap<Ipv4Addr, Lease>,
    /// Offered, not yet asked for; forgotten after a minute and at every restart.
    pub offers: BTreeMap<Mac, (Ipv4Addr, Timestamp)>,
}

/// What the rules settled on.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// Answer a DISCOVER. Holds no durable state.
    Offer {
        address: Ipv4Addr,
        lease_time: Duration,
    },
    /// Answer a REQUEST, once the lease is durable.
    Ack {
        address: Ipv4Addr,
        lease_time: Duration,
    },
    /// Answer an INFORM: options only.
    Inform,
    /// The client must start again.
    Nak(String),
    /// Stay silent: meant for another server, or nothing is known (RFC 2131 §4.3.2).
    Silence(String),
}

/// What must be durable before the answer goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Put(Lease),
    Drop(Ipv4Addr),
}

/// Settles one message and changes the table accordingly; the changes must be durable before an answer.
pub fn settle(
    leases: &mut Leases,
    pool: &Pool,
    request: &Request,
    now: Timestamp,
) -> (Settled, Vec<Change>) {
    let _ = (leases, pool, request, now);
    unimplemented!()
}
