//! How built systems and installers become releases.

pub mod follow;
