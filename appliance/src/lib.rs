//! The netboot service: sockets, files, processes and clocks around the decisions of the crate `netboot`.
//!
//! In groups: what everything stands on, what is in force, what is kept, what machines are given, the doors in the order
//! of one boot, the service that runs it all. The operator's side is the crate `pxe-admin`.

pub mod app;

pub mod base;
pub mod files;
pub mod net;

pub mod config;
pub mod keys;
pub mod store;

pub mod cache;
pub mod installers;

pub mod boot;
pub mod cluster;
pub mod lan_scan;
pub mod publish;

pub mod doctor;

pub mod dhcp;
pub mod http;
pub mod tftp;

pub mod run;

#[cfg(test)]
mod cli_sessions;
#[cfg(test)]
mod testing;
