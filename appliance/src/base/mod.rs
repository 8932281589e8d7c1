//! What everything stands on: the clock, randomness, counters.

pub mod clock;
pub mod counters;
