//! What was done so far, in numbers, for `/metrics`. Since the start of the process.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// One number that only rises.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What is counted since the service started.
#[derive(Debug)]
pub struct Counters {
    pub started: Instant,
    pub packets: PacketCounters,
    pub tftp_bytes: Counter,
    pub tftp_sent: Counter,
    pub tftp_refused: Counter,
    pub tftp_broken_off: Counter,
    pub http_bytes: Counter,
    pub http_requests: Counter,
}

/// Packets on UDP 67 and 4011, by what became of them. Each is counted once.
#[derive(Debug, Default)]
pub struct PacketCounters {
    pub sent: Counter,
    pub ignored: Counter,
    /// Not a DHCP message that can be read.
    pub unreadable: Counter,
    /// An answer was made and could not be sent.
    pub failed: Counter,
    /// Over the limit of admission: part of a flood, and not read.
    pub dropped: Counter,
    /// Our own fault: the packet is in the log.
    pub panicked: Counter,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            packets: PacketCounters::default(),
            tftp_bytes: Counter::default(),
            tftp_sent: Counter::default(),
            tftp_refused: Counter::default(),
            tftp_broken_off: Counter::default(),
            http_bytes: Counter::default(),
            http_requests: Counter::default(),
        }
    }
}
