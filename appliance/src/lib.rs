//! The netboot service: sockets, files, processes and clocks around the decisions of the crate `netboot`.
//!
//! In groups: what is in force, the doors in the order of one boot, what stands behind them, the
//! service that runs it all, the operator's side.

pub mod app;
pub mod caller;
pub mod check;
pub mod config;
pub mod hosts;
pub mod lan;

pub mod dhcp;
pub mod http;
pub mod leave;
pub mod script;
pub mod tftp;

pub mod cache;
pub mod clock;
pub mod counters;
pub mod doctor;
mod durable;
pub mod flake;
pub mod follow;
mod git;
pub mod installers;
pub mod k3s;
pub mod keys;
pub mod loaders;
pub mod packets;
pub mod receive;
pub mod room;
pub mod seal;
pub mod store;
pub mod timelines;

pub mod serve;

pub mod admin;

#[cfg(test)]
mod cuts;
#[cfg(test)]
mod testing;
