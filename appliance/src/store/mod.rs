//! What the appliance remembers. Nothing is acknowledged before it is durable.
//!
//! | file | holds |
//! |---|---|
//! | `journal.jsonl` | every event, the truth ([`journal`]) |
//! | `index/` | the same laid out for look-up, and the leases ([`index`]) |
//! | `sentinel` | how far the leases must have come ([`sentinel`]) |
//!
//! One thread writes ([`committer`], [`write`]); everybody else reads what it has published.

mod committer;
mod compare;
mod files;
mod handle;
mod index;
mod index_records;
mod job;
mod journal;
mod line;
mod open;
mod record;
mod recover;
mod sentinel;
mod shared;
mod write;

#[cfg(test)]
mod tests;

pub use self::handle::{Committed, Store};
