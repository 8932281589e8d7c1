//! Disks as a machine tells them, the keys of encrypted ones, and layouts.

pub mod disk_key;
pub mod hardware;
pub mod layout;
