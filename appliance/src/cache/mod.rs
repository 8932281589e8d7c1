//! The binary cache: a folder of signed narinfos and NARs, filled by `publish`, read by installs.
//!
//! Every file in the folder is whole and durable. A publication fills a folder of its own below it ([`incoming`]), and
//! moves over what is done: NARs first, then narinfos, each step durable before the next. A power cut at any moment
//! leaves what was there before as it was.

mod binary_cache;
mod closure;
mod folder;
mod held;
mod incoming;
mod missing;
mod pinned;
mod progress;
mod publish;
mod sweep;
mod unpack;
mod upload;

#[cfg(test)]
mod tests;

pub use self::binary_cache::{Cache, CacheWriteLock, MeasuredPath};
pub use self::sweep::SweepResult;
pub use self::upload::Uploads;
