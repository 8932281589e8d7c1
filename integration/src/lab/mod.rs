//! One LAN in a box: a switch, a home router, the appliance, a cluster, and machines to power on.
//!
//! All of it lives in namespaces that [`enclose`] makes around this process: when the process ends, however
//! it ends, the kernel takes everything down with it. Nothing is left on the host's network, and nothing
//! there can be reached or disturbed.
//!
//! | module | holds |
//! |---|---|
//! | [`enclose`] | the namespaces around everything |
//! | [`lan`] | the switch and the rooms (network namespaces) plugged into it |
//! | [`process`], [`wait`] | children that end with their guard; waiting for a condition, with a limit |
//! | [`services`] | the home router, the cluster of the k3s stand-in, the packet capture |
//! | [`dhcp_client`] | real DHCP clients, each in its room |
//! | [`machine`], [`firmware`], [`arm`], [`nvram`], [`qmp`], [`terminal`], [`disk`], [`drive`], [`tpm`] | a machine in QEMU |
//! | [`workshop`] | a machine with no network where disks are prepared, and looked at afterwards |
//! | [`appliance`] | the real `pxe-appliance`, and the real `pxe-admin` |
//! | [`repository`] | the folder that its owner keeps in Git: configuration, profiles, flake |
//! | [`workstation`] | where that folder may be kept, with a Nix store of its own |
//! | [`loaders`], [`loss`] | an appliance that sends loaders to whoever asks; packets that get lost |
//! | [`scene`] | all of it together, with its folder |
//! | [`course`] | how long an install took, step by step |
//! | [`search`] | looking for secrets where none may be |

pub mod appliance;
pub mod arm;
pub mod course;
pub mod dhcp_client;
pub mod disk;
pub mod drive;
pub mod enclose;
pub mod firmware;
pub mod lan;
pub mod loaders;
pub mod loss;
pub mod machine;
pub mod nvram;
pub mod peers;
pub mod process;
pub mod products;
pub mod qmp;
pub mod repository;
pub mod scene;
pub mod search;
pub mod services;
pub mod terminal;
pub mod tpm;
pub mod wait;
pub mod workshop;
pub mod workstation;
