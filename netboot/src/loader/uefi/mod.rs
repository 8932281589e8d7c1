//! UEFI's boot entries: how they are written down, and in which order they are tried.

pub mod boot_order;
mod device_path;
pub mod load_option;
