//! Server mode: which address a client gets (RFC 2131 §4.3). Tables and pure rules; keyed by MAC, because
//! one machine shows three client identifiers in one boot.
//!
//! | module | is |
//! |---|---|
//! | `subnet` | where addresses are leased, and which subnet a message speaks of |
//! | `table` | who has which address, and which one is free the longest |
//! | `select` | the address for a DISCOVER |
//! | `handle` | what becomes of one message |
//! | `reason` | why a client is refused, or not answered |

use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::mac::Mac;
use crate::base::name::HostName;
use crate::base::timestamp::Timestamp;

mod handle;
mod reason;
mod select;
mod subnet;
mod table;

pub use handle::settle;
pub use reason::{NakReason, SilenceReason};
pub use subnet::{NetworkParameters, Reservations, Site, Subnet};
pub use table::Leases;

/// An address and the client that has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub address: Ipv4Addr,
    pub mac: Mac,
    pub until: Timestamp,
    /// The address is not given to anybody before `until`, because a client declined it (RFC 2131 §4.3.3) or a card
    /// without a lease answered for it. `mac` is the client that declined, or the card that answered.
    #[serde(default)]
    pub declined: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_name: Option<HostName>,
}

/// What the appliance knows of a machine apart from its leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientClass {
    /// An operator enrolled it: part of each pool is kept for such machines.
    Enrolled,
    /// No operator enrolled it. MACs are easily invented, so strangers can use up only the rest of a pool.
    Stranger,
}

/// What is known on the wire of the address that is about to be offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeResult {
    /// The wire was not asked yet, but can be.
    NotYet,
    /// The appliance may not send ARP.
    Impossible,
    /// Nobody answered for this address.
    Silent(Ipv4Addr),
    /// This card answered for this address.
    Answered(Ipv4Addr, Mac),
}

/// What the rules settled on.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseAnswer {
    /// Ask the wire whether somebody has this address, then settle again with what it said.
    Probe(Ipv4Addr),
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
    Nak(NakReason),
    /// Stay silent: the message needs no answer, or it is another server's to answer (RFC 2131 §4.3.2).
    Silence(SilenceReason),
}

/// What must be durable before the answer goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseChange {
    Put(Lease),
    Drop(Ipv4Addr),
}

impl LeaseChange {
    pub fn address(&self) -> Ipv4Addr {
        match self {
            Self::Put(lease) => lease.address,
            Self::Drop(address) => *address,
        }
    }
}

/// What an operator should know of the LAN's addresses. The service writes it down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseNotice {
    /// A card answers for an address that was free here (RFC 2131 §2.2).
    AddressInUse { address: Ipv4Addr, by: Mac },
    /// A client found the address that it was given in use (RFC 2131 §4.3.3).
    AddressDeclined { address: Ipv4Addr, by: Mac },
    /// No address is free between these two.
    PoolExhausted { first: Ipv4Addr, last: Ipv4Addr },
    /// There are free addresses again.
    PoolRecovered { first: Ipv4Addr, last: Ipv4Addr },
}

/// The outcome of one message: the answer, the changes that must be durable first, and what an operator should know.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseOutcome<T> {
    pub answer: T,
    pub changes: Vec<LeaseChange>,
    pub notices: Vec<LeaseNotice>,
}

impl<T> LeaseOutcome<T> {
    /// An answer without a change that must be durable first.
    pub fn only(answer: T) -> Self {
        Self {
            answer,
            changes: Vec::new(),
            notices: Vec::new(),
        }
    }
}

/// One of this many addresses of a pool is kept for enrolled machines; they are the pool's last ones. In a pool with
/// fewer addresses none is kept.
pub const KEPT: u32 = 8;

/// How long an offered address is kept for the one it was offered to.
pub const OFFER: Duration = Duration::from_secs(60);

/// How long nobody is given an address that somebody uses without a lease.
pub const REST: Duration = Duration::from_secs(3600);

/// The shortest lease, whatever a client asks for: with a shorter one it would renew all the time.
pub const SHORTEST: Duration = Duration::from_secs(60);

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
