//! The netboot service: sockets, files, processes and clocks around the decisions of the crate `netboot`.
//!
//! Folders are layers: each imports only those that stand before it here, and a test holds that.
//!
//! | folder | is |
//! |---|---|
//! | `base` | the clock, randomness, counters |
//! | `files` | files of this host: durable writes, the budget of disk space, what is received, the boot loaders |
//! | `net` | the interfaces of this host, the LANs that are served, raw sockets |
//! | `config` | `appliance.toml` and the profiles: read, checked, in force |
//! | `keys` | the appliance's own keys; secrets sealed to one machine |
//! | `store` | the journal and the leases |
//! | `cache` | the signed binary cache that installs copy from |
//! | `installers` | the installers that machines boot |
//! | `boot` | what a machine boots, decided once for every door, and what it was seen doing |
//! | `lan_scan` | other DHCP and PXE servers, and this host's own firewall |
//! | `cluster` | whether Kubernetes says that a node is Ready |
//! | `publish` | how built systems and installers become releases |
//! | `doctor` | the appliance's own health |
//! | `dhcp` | answers on UDP ports 67 and 4011 |
//! | `tftp` | boot loaders and what they load, on UDP port 69 |
//! | `http` | what machines fetch, agents and nodes call, operators command |
//! | `run` | binds everything, runs it, stops it |
//!
//! The operator's side is the crate `pxe-admin`.

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
pub mod tftp;

pub mod http;

pub mod run;

#[cfg(test)]
mod cli_sessions;
#[cfg(test)]
mod testing;
