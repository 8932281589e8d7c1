//! What a booting machine is, and what it gets.
//!
//! Pure: no sockets, files, clock or randomness. Folders are layers: a module imports only from its own layer and from
//! those that stand earlier in this file. `tests/layers.rs` reads the `use` lines and names each import that points the
//! other way.

/// The words that all others are made of: MAC, name, store path, timestamp, token, refusal.
pub mod base;

/// A request for a file → its blocks, in time (RFC 1350, 2347 to 2349, 7440).
pub mod tftp;

/// What boot loaders read, how a machine gets from a loader to its disk, and UEFI's boot order.
pub mod loader;

/// Packets → requests; decisions and leases → answers.
pub mod dhcp;

/// Disks as a machine tells them, the keys of encrypted ones, and layouts.
pub mod disk;

/// The files in `hosts/profiles/`.
pub mod profile;

/// Hardware, profile and release → a plan: what is written to which disk; and the agent's reports.
pub mod install;

/// Events → what is known of each machine, what it boots, and what an operator must confirm.
pub mod machine;

/// Systems and installers on their way from the flake into the cache.
pub mod publish;

/// What was seen of boots and found on the appliance → what is wrong, and what to try.
pub mod doctor;

/// DHCP packets, and calls of machines and operators → events and answers, or a refusal.
pub mod api;

#[cfg(test)]
mod test_support;
