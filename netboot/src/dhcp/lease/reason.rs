//! Why the lease rules refuse a client or stay silent: the texts of log lines and of NAKs.

use std::net::Ipv4Addr;

/// Why a client must start again (RFC 2131 §4.3.2). The text is also the NAK's message (option 56).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NakReason {
    /// SELECTING: the address is outside of what this client may have, or is taken.
    #[error("this address is not for you")]
    NotForClient,
    /// The address is not in any network that the client can be in.
    #[error("this address is not of this network")]
    WrongNetwork,
    /// The client has another address, or only another may be given to it.
    #[error("you hold another address")]
    HoldsAnother,
    /// The client's lease ended, and another client has the address or was offered it.
    #[error("this address was given to another")]
    GivenToAnother,
}

/// Why a message gets no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SilenceReason {
    #[error("relayed from a subnet that is not served")]
    SubnetNotServed,
    /// The pool between these two addresses is used up.
    #[error("no address is free in {first} to {last}")]
    PoolExhausted { first: Ipv4Addr, last: Ipv4Addr },
    /// A REQUEST with neither `ciaddr` nor option 50.
    #[error("asks for no address")]
    NoAddressRequested,
    #[error("chose another server")]
    ChoseAnotherServer,
    /// RFC 2131 §4.3.2: a server without a record of the client stays silent, so that several servers can be on one
    /// LAN.
    #[error("no lease is known; another server may know it")]
    NoLeaseKnown,
    #[error("declined {0}; it rests")]
    Declined(Ipv4Addr),
    #[error("declined an address that it does not hold")]
    DeclinedUnheld,
    #[error("released {0}")]
    Released(Ipv4Addr),
    #[error("released an address that it does not hold")]
    ReleasedUnheld,
    /// The ARP question could not be sent.
    #[error("could not ask who has {address}: {error}")]
    ProbeFailed { address: Ipv4Addr, error: String },
    /// Every address that was tried for one DISCOVER is in use; this is how many were tried.
    #[error("{0} free addresses in a row are in use by others")]
    FreeAddressesInUse(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Operators search logs for these, and clients show the texts of NAKs.
    #[test]
    fn each_reason_has_its_text() {
        let (first, last) = (Ipv4Addr::new(10, 77, 0, 50), Ipv4Addr::new(10, 77, 0, 59));
        for (reason, text) in [
            (NakReason::NotForClient, "this address is not for you"),
            (
                NakReason::WrongNetwork,
                "this address is not of this network",
            ),
            (NakReason::HoldsAnother, "you hold another address"),
            (
                NakReason::GivenToAnother,
                "this address was given to another",
            ),
        ] {
            assert_eq!(reason.to_string(), text);
        }
        for (reason, text) in [
            (
                SilenceReason::SubnetNotServed,
                "relayed from a subnet that is not served",
            ),
            (
                SilenceReason::PoolExhausted { first, last },
                "no address is free in 10.77.0.50 to 10.77.0.59",
            ),
            (SilenceReason::NoAddressRequested, "asks for no address"),
            (SilenceReason::ChoseAnotherServer, "chose another server"),
            (
                SilenceReason::NoLeaseKnown,
                "no lease is known; another server may know it",
            ),
            (
                SilenceReason::Declined(first),
                "declined 10.77.0.50; it rests",
            ),
            (
                SilenceReason::DeclinedUnheld,
                "declined an address that it does not hold",
            ),
            (SilenceReason::Released(first), "released 10.77.0.50"),
            (
                SilenceReason::ReleasedUnheld,
                "released an address that it does not hold",
            ),
            (
                SilenceReason::ProbeFailed {
                    address: first,
                    error: "Network is down".to_owned(),
                },
                "could not ask who has 10.77.0.50: Network is down",
            ),
            (
                SilenceReason::FreeAddressesInUse(4),
                "4 free addresses in a row are in use by others",
            ),
        ] {
            assert_eq!(reason.to_string(), text);
        }
    }
}
