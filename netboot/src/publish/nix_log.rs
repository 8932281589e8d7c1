//! What Nix says with `--log-format internal-json` → how far it is, and the words for a failure.
//!
//! | module | is for |
//! |---|---|
//! | `line` | one line of it |
//! | [`BuildLog`] | a person who waits for a build |
//! | [`CacheLog`] | a person who waits for a copy into the cache |
//! | [`CopyLog`] | the agent, which copies a system and tries again |

mod build;
mod cache;
mod copy;
mod line;

pub use build::{BuildLog, BuildUpdate, ProgressCount};
pub use cache::CacheLog;
pub use copy::{CopyFailure, CopyLog};
