//! The netboot service: sockets, files, processes and clocks around the decisions of the crate `netboot`.
//!
//! The modules stand in the order of one boot, then what serves it, then the operator's side.

pub mod app;
pub mod config;

pub mod cache;
pub mod clock;
pub mod dhcp;
mod durable;
pub mod http;
pub mod k3s;
pub mod keys;
pub mod seal;
pub mod serve;
pub mod store;
pub mod tftp;

pub mod admin;
