//! The sockets on one LAN: bound together, each served by its protocol.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use netboot::base::address::ApplianceAddress;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::components::Components;
use super::tasks::Tasks;
use crate::config::{Config, Dhcp};
use crate::dhcp::{self, DhcpPort, LanSocket};
use crate::http::plain::serve_plain;
use crate::http::tls::serve_tls;
use crate::http::{node, public};
use crate::net::{Lan, Segment};
use crate::tftp::Tftp;

/// Bound; the kernel has said which ports they are.
pub(super) struct LanSockets {
    lan: Lan,
    http: TcpListener,
    node: TcpListener,
    tftp: UdpSocket,
    dhcp: Vec<(DhcpPort, LanSocket)>,
}

impl LanSockets {
    /// # Errors
    /// The first port that cannot be had, with the key that names it.
    pub(super) async fn bind(config: &Config, lan: &Lan) -> anyhow::Result<Self> {
        let ip = lan.address;
        let dhcp = match config.dhcp {
            Dhcp::Off => Vec::new(),
            Dhcp::Proxy | Dhcp::Server(_) => vec![
                lan_socket(config, lan, DhcpPort::Dhcp)?,
                lan_socket(config, lan, DhcpPort::Binl)?,
            ],
        };
        Ok(Self {
            lan: lan.clone(),
            http: tcp(ip, config.http_port, "http.port").await?,
            node: tcp(ip, config.node_port, "http.node-port").await?,
            tftp: udp(ip, config.ports.tftp)?,
            dhcp,
        })
    }

    /// What machines on this LAN are told to call.
    pub(super) fn segment(&self, pin: &str) -> anyhow::Result<Arc<Segment>> {
        let address = ApplianceAddress {
            ip: self.lan.address,
            http_port: self.http.local_addr()?.port(),
            node_port: self.node.local_addr()?.port(),
            pin: pin.to_owned(),
        };
        Ok(Arc::new(Segment {
            lan: self.lan.clone(),
            address,
        }))
    }

    pub(super) fn open(
        self,
        components: &Components,
        segment: Arc<Segment>,
    ) -> anyhow::Result<LanListeners> {
        Ok(LanListeners {
            tftp: Tftp::on(self.tftp, components.tftp.clone(), segment.clone())?,
            segment,
            http: self.http,
            node: self.node,
            dhcp: self.dhcp,
        })
    }
}

/// Everything that machines on one LAN can call.
pub(super) struct LanListeners {
    segment: Arc<Segment>,
    http: TcpListener,
    node: TcpListener,
    tftp: Tftp,
    dhcp: Vec<(DhcpPort, LanSocket)>,
}

impl LanListeners {
    pub(super) fn segment(&self) -> &Segment {
        &self.segment
    }

    pub(super) fn tftp(&self) -> SocketAddr {
        self.tftp.address()
    }

    /// Adds a task for each socket.
    pub(super) fn serve(
        self,
        components: &Components,
        tls: &Arc<rustls::ServerConfig>,
        tasks: &mut Tasks,
        stop: &CancellationToken,
    ) {
        let Self {
            segment,
            http,
            node,
            tftp,
            dhcp,
        } = self;
        let named = |door: &str| format!("{door} on {}", segment.lan.interface);
        let routes = public::router(components.public.clone(), segment.clone());
        let served = serve_plain(http, routes, stop.clone());
        tasks.add(named("http.port"), async { Ok(served.await?) });
        let routes = node::router(components.node.clone(), segment.clone());
        let served = serve_tls(node, tls.clone(), routes, stop.clone());
        tasks.add(named("http.node-port"), async { Ok(served.await?) });
        let served = tftp.run(stop.clone());
        tasks.add(named("TFTP"), async { Ok(served.await?) });
        for (door, socket) in dhcp {
            let name = match door {
                DhcpPort::Dhcp => named("DHCP, port 67,"),
                DhcpPort::Binl => named("DHCP, port 4011,"),
            };
            let served = dhcp::serve(
                components.dhcp.clone(),
                segment.clone(),
                socket,
                door,
                stop.clone(),
            );
            tasks.add(name, async { Ok(served.await?) });
        }
    }
}

async fn tcp(ip: Ipv4Addr, port: u16, key: &str) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(SocketAddrV4::new(ip, port)).await;
    listener.with_context(|| format!("cannot listen on {ip}:{port} ({key})"))
}

fn udp(ip: Ipv4Addr, port: u16) -> anyhow::Result<UdpSocket> {
    let socket = UdpSocket::bind(SocketAddrV4::new(ip, port));
    socket.with_context(|| format!("cannot listen on {ip}, UDP port {port} (TFTP)"))
}

fn lan_socket(config: &Config, lan: &Lan, door: DhcpPort) -> anyhow::Result<(DhcpPort, LanSocket)> {
    let (port, shared) = match door {
        DhcpPort::Dhcp => (config.ports.dhcp, config.share_port),
        DhcpPort::Binl => (config.ports.binl, false),
    };
    let interface = &lan.interface;
    let bound = if shared {
        LanSocket::beside(lan, port)
    } else {
        LanSocket::bind(lan, port)
    };
    let mut socket = bound.map_err(|error| {
        let taken = error.kind() == std::io::ErrorKind::AddrInUse;
        let tips = match door {
            DhcpPort::Dhcp if taken => {
                "\n  another program of this host has that port\n\n  tip: to see which: ss -ulpn 'sport = :67'\n  \
                 tip: to listen beside it, write into appliance.toml: [dhcp] share-port = true"
            }
            _ if shared => "\n  `dhcp.share-port` needs CAP_NET_RAW and an Ethernet interface",
            _ => "",
        };
        anyhow!("cannot listen on {interface}, UDP port {port} (DHCP): {error}{tips}")
    })?;
    if door == DhcpPort::Dhcp
        && matches!(config.dhcp, Dhcp::Server(_))
        && let Err(error) = socket.open_link(lan)
    {
        tracing::warn!(
            %error,
            interface,
            "cannot open a packet socket (CAP_NET_RAW): addresses in use by others are not noticed, and \
             clients without an address are answered by broadcast"
        );
    }
    Ok((door, socket))
}
