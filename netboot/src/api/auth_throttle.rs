//! The rate limit of failed authentication, by address: whether another attempt is looked at, and which attempts are
//! worth a log line.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::base::timestamp::Timestamp;

/// The number of failed attempts in one [`WINDOW`] after which an address is blocked for the rest of it.
pub const LIMIT: u32 = 10;

/// The window begins with the first attempt that failed.
pub const WINDOW: Duration = Duration::from_secs(60);

/// The most addresses that are remembered at once. While that many have failed attempts, every other address is blocked
/// as well.
const ADDRESSES: usize = 1024;

/// The addresses whose last attempts failed.
#[derive(Debug, Default)]
pub struct AuthThrottle {
    by: BTreeMap<IpAddr, FailureWindow>,
}

#[derive(Debug)]
struct FailureWindow {
    since: Timestamp,
    failed: u32,
}

/// What a failed attempt is, for the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailedAttempt {
    /// The first for a while: worth a log line.
    First,
    /// One of several.
    Again,
    /// The one after which the address is blocked: worth a log line.
    Last,
}

impl AuthThrottle {
    /// How long this address is still blocked; `None` if it is not.
    pub fn blocked_for(&mut self, from: IpAddr, now: Timestamp) -> Option<Duration> {
        self.by.retain(|_, window| window.left(now).is_some());
        match self.by.get(&from) {
            Some(window) if window.failed >= LIMIT => window.left(now),
            None if self.by.len() >= ADDRESSES => Some(WINDOW),
            _ => None,
        }
    }

    /// Counts an attempt that failed.
    pub fn failed(&mut self, from: IpAddr, now: Timestamp) -> FailedAttempt {
        let fresh = || FailureWindow {
            since: now,
            failed: 0,
        };
        let window = self.by.entry(from).or_insert_with(fresh);
        window.failed = window.failed.saturating_add(1);
        match window.failed {
            1 => FailedAttempt::First,
            LIMIT => FailedAttempt::Last,
            _ => FailedAttempt::Again,
        }
    }
}

impl FailureWindow {
    /// How much of the window is left; `None` if it is over, or if the clock was put back.
    fn left(&self, now: Timestamp) -> Option<Duration> {
        let over = self.since.plus(WINDOW);
        (now >= self.since && now < over).then(|| over.since(now))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn address(n: u32) -> IpAddr {
        Ipv4Addr::from(0x0a4d_0000 + n).into()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn after_ten_an_address_is_not_listened_to_for_the_rest_of_the_minute() {
        let mut attempts = AuthThrottle::default();
        let (thief, other) = (address(9), address(10));
        for n in 1..=10 {
            assert_eq!(attempts.blocked_for(thief, at(n)), None, "{n}");
            let want = match n {
                1 => FailedAttempt::First,
                10 => FailedAttempt::Last,
                _ => FailedAttempt::Again,
            };
            assert_eq!(attempts.failed(thief, at(n)), want, "{n}");
        }
        assert_eq!(
            attempts.blocked_for(thief, at(11)),
            Some(Duration::from_secs(50))
        );
        assert_eq!(
            attempts.blocked_for(other, at(11)),
            None,
            "others are listened to"
        );
        assert_eq!(
            attempts.blocked_for(thief, at(60)),
            Some(Duration::from_secs(1))
        );
        assert_eq!(attempts.blocked_for(thief, at(61)), None);
        assert_eq!(
            attempts.failed(thief, at(61)),
            FailedAttempt::First,
            "a new minute"
        );
    }

    #[test]
    fn a_clock_that_was_put_back_shuts_nobody_out() {
        let mut attempts = AuthThrottle::default();
        for _ in 0..20 {
            attempts.failed(address(9), at(1000));
        }
        assert!(attempts.blocked_for(address(9), at(1001)).is_some());
        assert_eq!(attempts.blocked_for(address(9), at(10)), None);
    }

    #[test]
    fn a_flood_of_addresses_takes_no_more_memory() {
        let mut attempts = AuthThrottle::default();
        for n in 0..10_000 {
            if attempts.blocked_for(address(n), at(1)).is_none() {
                attempts.failed(address(n), at(1));
            }
        }
        assert_eq!(attempts.by.len(), ADDRESSES);
        assert_eq!(
            attempts.blocked_for(address(3), at(2)),
            None,
            "who came early is heard"
        );
        assert!(attempts.blocked_for(address(9999), at(2)).is_some());
        assert_eq!(
            attempts.blocked_for(address(9999), at(70)),
            None,
            "it passes"
        );
    }
}
