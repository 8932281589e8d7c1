//! Systems and installers on their way from the flake into the cache, and what stays there.

pub mod branch_watch;
pub mod closure;
pub mod installer;
pub mod nar;
pub mod narinfo;
pub mod nix_hash;
pub mod nix_log;
pub mod retention;
pub mod space_reservation;
