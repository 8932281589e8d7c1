//! One LAN in a box: a switch, a home router, the appliance, a cluster, and machines to power on.
//!
//! All of it lives in namespaces ([`namespaces`]) that are made around this process: when the process ends, however it
//! ends, the kernel takes everything down with it. It leaves no trace on the host's network, and can neither reach nor
//! disturb what is there.
//!
//! | module | holds |
//! |---|---|
//! | [`namespaces`] | the namespaces around everything |
//! | [`lan`] | the switch and the rooms (network namespaces) plugged into it |
//! | [`process`], [`command`], [`wait`] | children that end with their guard, and such that are waited for; waiting for a condition, with a limit |
//! | [`services`] | the home router, the cluster of the k3s stand-in, the packet capture |
//! | [`dhcp_client`] | real DHCP clients, each in its room |
//! | [`machine`], [`firmware`], [`arm`], [`nvram`], [`qmp`], [`terminal`], [`disk`], [`bus`], [`tpm`] | a machine in QEMU |
//! | [`scratch_vm`] | a machine with no network where disks are prepared, and looked at afterwards |
//! | [`appliance`] | the real `pxe-appliance`, and the real `pxe-admin` |
//! | [`repository`] | the folder that its owner keeps in Git: configuration, profiles, flake |
//! | [`workstation`] | where that folder may be kept, with a Nix store of its own |
//! | [`loaders`], [`loss`] | an appliance that sends loaders to whoever asks; packets that get lost |
//! | [`testbed`] | all of it together, with its folder |
//! | [`snapshot`] | what an install leaves behind, for tests that begin there |
//! | [`timing`] | how long an install took, step by step |
//! | [`optional`] | what some tests need and a machine may lack |
//! | [`search`] | looking for secrets where none may be |

pub mod appliance;
pub mod arm;
pub mod bus;
pub mod command;
pub mod dhcp_client;
pub mod disk;
pub mod firmware;
pub mod lan;
pub mod loaders;
pub mod loss;
pub mod machine;
pub mod namespaces;
pub mod nvram;
pub mod optional;
pub mod peers;
pub mod process;
pub mod products;
pub mod qmp;
pub mod repository;
pub mod scratch_vm;
pub mod search;
pub mod services;
pub mod snapshot;
pub mod terminal;
pub mod testbed;
pub mod timing;
pub mod tpm;
pub mod wait;
pub mod workstation;
