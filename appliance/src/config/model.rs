//! The configuration as values, with defaults filled in.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use netboot::dhcp::lease::Site;
use netboot::dhcp::other_servers::DhcpMode;
use netboot::loader::script::BootImage;
use netboot::machine::decide::{Policy, UnknownPolicy};

use crate::net::Lan;

/// The configuration, checked, with defaults filled in.
#[derive(Debug, Clone)]
pub struct Config {
    pub state_dir: PathBuf,
    pub hosts_dir: PathBuf,
    /// What `pxe-admin publish` builds: a flake URL, or an absolute path.
    pub flake: Option<String>,
    /// At least one.
    pub lans: Vec<Lan>,
    pub dhcp: Dhcp,
    /// Another DHCP server on this host has UDP port 67: listen beside it.
    pub share_port: bool,
    /// Server mode may begin beside another DHCP server.
    pub allow_second_server: bool,
    pub unknown: UnknownPolicy,
    pub attempts: u32,
    pub armed_for: Duration,
    pub ipxe_dir: PathBuf,
    pub grub_dir: PathBuf,
    /// The firmware of Raspberry Pi boards; without it none is installed.
    pub raspberry_pi_dir: Option<PathBuf>,
    /// 0 lets the kernel choose; `serve` says which it was.
    pub http_port: u16,
    pub node_port: u16,
    pub ports: Ports,
    pub admin_socket: PathBuf,
    /// Where operators call over the network, if they may.
    pub admin_listen: Option<AdminListen>,
    /// One per architecture; they go before those that are published.
    pub images: Vec<InstallerImage>,
    pub k3s: K3sConfig,
    pub publish: PublishConfig,
}

impl Config {
    /// The part that decides.
    pub fn policy(&self) -> Policy {
        Policy {
            unknown: self.unknown.clone(),
            attempts: self.attempts,
        }
    }

    /// What the appliance is beside other DHCP servers; `None` where it answers no DHCP at all.
    pub fn mode(&self) -> Option<DhcpMode> {
        match self.dhcp {
            Dhcp::Proxy => Some(DhcpMode::Proxy),
            Dhcp::Server { .. } => Some(DhcpMode::Server),
            Dhcp::Off => None,
        }
    }
}

/// Ports that the protocols fix. Tests bind others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    pub dhcp: u16,
    pub binl: u16,
    pub tftp: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            dhcp: 67,
            binl: 4011,
            tftp: 69,
        }
    }
}

#[derive(Debug, Clone)]
pub enum Dhcp {
    Proxy,
    /// What each LAN is leased from, in the order of the LANs.
    Server(Vec<Arc<Site>>),
    Off,
}

impl Dhcp {
    /// The site that clients lease from who reach the appliance at its address `here`; `None` where another server leases.
    pub fn site(&self, here: Ipv4Addr) -> Option<&Arc<Site>> {
        match self {
            Self::Server(sites) => sites.iter().find(|site| site.server == here),
            Self::Proxy | Self::Off => None,
        }
    }
}

impl fmt::Display for Dhcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Proxy => "proxy",
            Self::Server(_) => "server",
            Self::Off => "off",
        })
    }
}

/// `[admin] listen`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminListen {
    /// Port 0 lets the kernel choose.
    pub address: SocketAddrV4,
    /// The user's own file; `None`: the appliance makes one in `state-dir`.
    pub token_file: Option<PathBuf>,
}

/// `[images.installer]`
#[derive(Debug, Clone)]
pub struct InstallerImage {
    pub kernel: PathBuf,
    pub initrd: PathBuf,
    pub image: BootImage,
}

/// `[publish]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishConfig {
    /// How many releases of each system a prune leaves in the cache in any case; at least one.
    pub keep: u32,
    /// How often the flake's branch is looked at, to publish its new commits; `None`: the service does not publish by
    /// itself.
    pub watch: Option<Duration>,
}

impl Default for PublishConfig {
    fn default() -> Self {
        Self {
            keep: 3,
            watch: None,
        }
    }
}

/// `[k3s]`
#[derive(Debug, Clone, Default)]
pub struct K3sConfig {
    /// `https://10.77.0.10:6443`
    pub server: Option<String>,
    /// The server token's file; `None`: the appliance makes one.
    pub token_file: Option<PathBuf>,
    /// The agent token's file. `None`: agents get the server token, if that is the user's own.
    pub agent_token_file: Option<PathBuf>,
    /// A service account's token that may get nodes; without it `joined` cannot be seen.
    pub api_token_file: Option<PathBuf>,
}

impl K3sConfig {
    /// Whether agents are given what makes servers: k3s itself takes the one token for both.
    pub fn has_one_token(&self) -> bool {
        self.token_file.is_some() && self.agent_token_file.is_none()
    }
}
