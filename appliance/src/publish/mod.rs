//! How built systems and installers become releases, by command or by following the flake's branch.

mod flake_branch;
pub mod follow;
mod publisher;

pub use flake_branch::FlakeBranch;
pub use publisher::Publisher;
