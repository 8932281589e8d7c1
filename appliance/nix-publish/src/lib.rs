//! What the service and `pxe-admin` both need to publish: Nix and Git as programs, the flake, and systems and installers in the
//! Nix store. The service publishes by itself when it follows a branch.
//!
//! | module | is for |
//! |---|---|
//! | [`run`] | the one runner of Nix's programs |
//! | [`git`] | questions to Git about a repository that may be another user's |
//! | [`flake`] | the user's flake: what it declares, evaluating and building it |
//! | [`selection`] | which outputs of the flake are to be published |
//! | [`closure`] | the paths that a path of this machine's Nix store needs |
//! | [`system`] | a NixOS toplevel |
//! | [`installer`] | an installer's folder |

pub mod closure;
pub mod flake;
pub mod git;
pub mod installer;
pub mod run;
pub mod selection;
pub mod system;

use netboot::base::refusal::{Refusal, RefusalCode};

/// A refusal to publish, such as what cannot be built or is not a system.
pub fn publish_failed(message: impl Into<String>) -> Refusal {
    Refusal::new(RefusalCode::PublishFailed, message)
}

/// Says why a test cannot run here. Where all that it takes was set up (`NETBOOT_MUST_NOT_SKIP`), that is a failure.
#[cfg(test)]
#[track_caller]
fn skipped(why: &str) {
    let must_not = std::env::var_os("NETBOOT_MUST_NOT_SKIP").is_some();
    assert!(!must_not, "NETBOOT_MUST_NOT_SKIP is set, and {why}");
    eprintln!("skipped: {why}");
}
