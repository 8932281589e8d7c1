//! `appliance.toml` and the profiles beside it: read, checked with every problem located, and in force.

mod check;
pub mod hosts;
mod loaded;
mod model;
pub mod settings;
mod source;
pub mod validate;
mod values;

pub use loaded::Loaded;
pub use model::{AdminListen, Config, Dhcp, InstallerImage, K3sConfig, Ports, PublishConfig};
pub use source::{ConfigText, ConfigTrouble, ConfigUnreadable};

#[cfg(test)]
mod tests;
