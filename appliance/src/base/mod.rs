//! What all other folders use: the clock, randomness, counters.

pub mod clock;
pub mod counters;
