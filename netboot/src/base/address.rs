//! Where a booting machine reaches the appliance.

use std::net::Ipv4Addr;

/// Where the appliance can be reached by a booting machine. All of it comes from the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplianceAddress {
    pub ip: Ipv4Addr,
    pub http_port: u16,
    pub node_port: u16,
    /// `sha256/<base64>` of the node API's public key.
    pub pin: String,
}

impl ApplianceAddress {
    /// `http://10.77.0.1:8080`
    pub fn http(&self) -> String {
        format!("http://{}:{}", self.ip, self.http_port)
    }

    /// `https://10.77.0.1:8443`
    pub fn node(&self) -> String {
        format!("https://{}:{}", self.ip, self.node_port)
    }
}
