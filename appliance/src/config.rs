//! `appliance.toml` → the configuration, with every problem located.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use netboot::decide::Unknown;
use netboot::lease::Pool;
use netboot::reply::Network;
use netboot::script::Image;

/// The configuration, checked, with defaults filled in.
#[derive(Debug, Clone)]
pub struct Config {
    pub state_dir: PathBuf,
    pub hosts_dir: PathBuf,
    pub interface: String,
    pub address: Ipv4Addr,
    pub dhcp: Dhcp,
    pub unknown: Unknown,
    pub attempts: u32,
    pub armed_for: Duration,
    pub ipxe_dir: PathBuf,
    pub http_port: u16,
    pub node_port: u16,
    pub admin_socket: PathBuf,
    /// One per architecture.
    pub images: Vec<InstallerImage>,
    pub k3s: K3sConfig,
}

#[derive(Debug, Clone)]
pub enum Dhcp {
    Proxy,
    Server { pool: Pool, network: Network },
    Off,
}

/// `[images.installer]`
#[derive(Debug, Clone)]
pub struct InstallerImage {
    pub kernel: PathBuf,
    pub initrd: PathBuf,
    pub image: Image,
}

/// `[k3s]`
#[derive(Debug, Clone, Default)]
pub struct K3sConfig {
    /// `https://10.77.0.10:6443`
    pub server: Option<String>,
    /// The server token; made by the appliance if nothing is said.
    pub token_file: Option<PathBuf>,
    /// The agent token. With a `token-file` of the user's own and none of this, agents get that one.
    pub agent_token_file: Option<PathBuf>,
    /// A service account's token that may get nodes; without it `joined` cannot be seen.
    pub api_token_file: Option<PathBuf>,
}
