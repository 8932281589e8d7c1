//! The one place that asks the machine for time and randomness.

use std::time::{SystemTime, UNIX_EPOCH};

use netboot::base::timestamp::Timestamp;
use netboot::base::token::Ticket;

/// Where the time comes from; a test brings its own.
pub type Clock = fn() -> Timestamp;

/// The wall clock in UTC.
pub fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// `N` octets from the OS.
///
/// # Panics
/// If the OS has no randomness to give: no key or ticket may be made without it.
pub fn random<const N: usize>() -> [u8; N] {
    let mut octets = [0; N];
    getrandom::fill(&mut octets).expect("the operating system gives randomness");
    octets
}

/// 256 bits, as 64 hexadecimal digits.
pub fn secret() -> String {
    hex::encode(random::<32>())
}

/// A fresh ticket.
pub fn ticket() -> Ticket {
    Ticket::new(random())
}
