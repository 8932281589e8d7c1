//! Binds everything, runs it, stops it.
