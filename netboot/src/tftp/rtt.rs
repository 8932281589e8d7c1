//! Round trips → how long to wait for an acknowledgement (RFC 1123 §4.2.3.2; the estimator is that of RFC 6298 §2).

use std::time::Duration;

/// The wait before the first measurement.
const FIRST: Duration = Duration::from_millis(250);

/// A LAN answers within a millisecond, but a client that writes its flash does not always: sooner would
/// send again what is on its way.
const SHORTEST: Duration = Duration::from_millis(20);

/// Many ROMs ask again every four seconds: longer pauses would leave the work to them.
const LONGEST: Duration = Duration::from_secs(5);

/// The retransmission timer of one transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetransmissionTimer {
    longest: Duration,
    /// Round trip and its variation, both smoothed.
    measured: Option<(Duration, Duration)>,
    /// How often the wait was doubled since the last measurement.
    doubled: u32,
}

impl RetransmissionTimer {
    /// `asked` is the `timeout` that the client negotiated: no pause is longer than that.
    pub fn new(asked: Option<Duration>) -> Self {
        Self {
            longest: asked.unwrap_or(LONGEST).min(LONGEST),
            measured: None,
            doubled: 0,
        }
    }

    /// How long to wait for an answer to what goes out now.
    pub fn wait(&self) -> Duration {
        let once = match self.measured {
            None => FIRST,
            Some((trip, variation)) => (trip + 4 * variation).max(SHORTEST),
        };
        once.saturating_mul(1 << self.doubled.min(16))
            .min(self.longest)
    }

    /// A packet that was sent once was answered after `trip`. Do not call it for a packet that was sent twice, since it
    /// is not known which of the two was answered (Karn's rule, RFC 6298 §3).
    pub fn measure(&mut self, trip: Duration) {
        self.doubled = 0;
        self.measured = Some(match self.measured {
            None => (trip, trip / 2),
            Some((smooth, variation)) => (
                (7 * smooth + trip) / 8,
                (3 * variation + smooth.abs_diff(trip)) / 4,
            ),
        });
    }

    /// No acknowledgement came within the wait. The next wait is twice as long, until there is a new measurement.
    pub fn expired(&mut self) {
        self.doubled += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn waits(timer: &mut RetransmissionTimer, n: usize) -> Vec<u128> {
        let wait = |_| {
            let wait = timer.wait();
            timer.expired();
            wait.as_millis()
        };
        (0..n).map(wait).collect()
    }

    #[test]
    fn it_backs_off_while_nobody_answers() {
        let mut timer = RetransmissionTimer::new(None);
        assert_eq!(
            waits(&mut timer, 8),
            [250, 500, 1000, 2000, 4000, 5000, 5000, 5000]
        );
        timer.doubled = u32::MAX - 1;
        assert_eq!(waits(&mut timer, 1), [5000]);
    }

    #[test]
    fn it_learns_the_link() {
        for (name, trips, want) in [
            ("one trip", &[40][..], ms(120)),
            ("a LAN", &[1; 20], SHORTEST),
            ("a steady slow link", &[80; 40], ms(80)),
            (
                "an unsteady link waits longer",
                &[20, 120, 20, 120, 20, 120, 20, 120],
                ms(240),
            ),
        ] {
            let mut timer = RetransmissionTimer::new(None);
            for trip in trips {
                timer.measure(ms(*trip));
            }
            let wait = timer.wait();
            assert!(wait >= want && wait < want + ms(40), "{name}: {wait:?}");
        }
    }

    #[test]
    fn a_measurement_ends_the_back_off() {
        let mut timer = RetransmissionTimer::new(None);
        timer.measure(ms(1));
        assert_eq!(waits(&mut timer, 4), [20, 40, 80, 160]);
        timer.measure(ms(1));
        assert_eq!(timer.wait(), SHORTEST);
    }

    #[test]
    fn a_client_may_ask_for_shorter_pauses_only() {
        for (asked, want) in [(1, 1000), (3, 3000), (255, 5000)] {
            let mut timer = RetransmissionTimer::new(Some(Duration::from_secs(asked)));
            assert_eq!(waits(&mut timer, 7)[6], want, "{asked} s");
        }
    }
}
