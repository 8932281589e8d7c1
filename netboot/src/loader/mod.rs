//! What boot loaders read, and how a machine gets from them to its own disk.

pub mod local_boot;
pub mod script;
pub mod uefi;
