//! Datagrams of one interface and one port: broadcasts too, answered from one address. Through the kernel's
//! own UDP, or, beside another DHCP server of this host, off the wire.

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use netboot::dhcp::ethernet::{self, Datagram};
use nix::libc::{in_addr, in_pktinfo};
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn, sendmsg};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::link::ArpLink;
use crate::net::Lan;
use crate::net::{CaptureFilter, PacketSocket};

/// Bound to `INADDR_ANY`, because broadcasts go to no address of ours, and to the LAN's interface, because
/// answers to other networks would disturb them (`SO_BINDTODEVICE`, socket(7)).
pub struct LanSocket {
    heard: ReceiveSocket,
    /// `None` where the appliance may not open packet sockets, or need not.
    link: Option<Arc<ArpLink>>,
    from: SocketAddrV4,
    interface: i32,
}

enum ReceiveSocket {
    Port(UdpSocket),
    /// Copies of what goes to the port, whoever else is bound to it.
    Wire(PacketSocket),
}

/// A datagram that came in.
pub(super) struct Received {
    pub(super) payload: Vec<u8>,
    pub(super) from: SocketAddrV4,
    /// The card it came from, the client's or the last router's; known off the wire only.
    pub(super) card: Option<[u8; 6]>,
}

/// Where a datagram goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Destination {
    pub(super) address: SocketAddrV4,
    /// The card, where ARP would ask an address that nobody has yet.
    pub(super) card: Option<[u8; 6]>,
}

impl LanSocket {
    /// # Errors
    /// The port is in use, also by a socket that would share it: two servers would answer in turn.
    pub fn bind(lan: &Lan, port: u16) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_broadcast(true)?;
        socket.bind_device(Some(lan.interface.as_bytes()))?;
        socket.set_nonblocking(true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        let port = socket.local_addr()?.port();
        Self::new(lan, port, ReceiveSocket::Port(socket), None)
    }

    /// Beside another server of this host that has the port. Sharing it (`SO_REUSEADDR`) would do for
    /// broadcasts, which reach all sockets, but one socket alone gets each unicast: we would take the other
    /// server's renewals away from it, or it ours.
    ///
    /// # Errors
    /// No `CAP_NET_RAW`, or the interface is no Ethernet.
    pub fn beside(lan: &Lan, port: u16) -> io::Result<Self> {
        let heard = ReceiveSocket::Wire(PacketSocket::open(
            &lan.interface,
            CaptureFilter::Udp(port),
        )?);
        let link = ArpLink::open(&lan.interface)?;
        Self::new(lan, port, heard, Some(Arc::new(link)))
    }

    fn new(
        lan: &Lan,
        port: u16,
        heard: ReceiveSocket,
        link: Option<Arc<ArpLink>>,
    ) -> io::Result<Self> {
        let index = nix::net::if_::if_nametoindex(lan.interface.as_str())?;
        Ok(Self {
            heard,
            link,
            from: SocketAddrV4::new(lan.address, port),
            interface: i32::try_from(index).map_err(io::Error::other)?,
        })
    }

    /// Reaches clients that have no address yet, and can ask who has one.
    ///
    /// # Errors
    /// No `CAP_NET_RAW`, or the interface is no Ethernet.
    pub fn open_link(&mut self, lan: &Lan) -> io::Result<()> {
        if self.link.is_none() {
            self.link = Some(Arc::new(ArpLink::open(&lan.interface)?));
        }
        Ok(())
    }

    pub(super) fn link(&self) -> Option<&Arc<ArpLink>> {
        self.link.as_ref()
    }

    pub fn port(&self) -> u16 {
        self.from.port()
    }

    pub(super) async fn receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        loop {
            match &self.heard {
                ReceiveSocket::Port(socket) => {
                    if let (length, SocketAddr::V4(from)) = socket.recv_from(buffer).await? {
                        return Ok(Received {
                            payload: buffer[..length].to_vec(),
                            from,
                            card: None,
                        });
                    }
                }
                ReceiveSocket::Wire(socket) => {
                    let length = socket.receive(buffer).await?;
                    let Some(datagram) = Datagram::read(&buffer[..length]) else {
                        continue;
                    };
                    // A card that hears everything passes on what is for others.
                    let meant = [ethernet::EVERYBODY, socket.card.octets()];
                    if datagram.to.port() == self.port() && meant.contains(&datagram.to_card) {
                        return Ok(Received {
                            payload: datagram.payload.to_vec(),
                            from: datagram.from,
                            card: Some(datagram.from_card),
                        });
                    }
                }
            }
        }
    }

    /// Sends from the LAN address, whatever the routing table would choose. `asked` is the card that the
    /// question came from: off the wire, an answer to an address goes back there.
    pub(super) async fn send(
        &self,
        bytes: &[u8],
        to: Destination,
        asked: Option<[u8; 6]>,
    ) -> io::Result<()> {
        match (&self.heard, &self.link, to.card) {
            (_, Some(link), Some(card)) => link.send(bytes, self.from, to.address, card).await,
            // Without a packet socket, a broadcast is what reaches it.
            (ReceiveSocket::Port(socket), None, Some(_)) => {
                let everybody = SocketAddrV4::new(Ipv4Addr::BROADCAST, to.address.port());
                self.send_udp(socket, bytes, everybody).await
            }
            (ReceiveSocket::Port(socket), _, None) => {
                self.send_udp(socket, bytes, to.address).await
            }
            (ReceiveSocket::Wire(_), Some(link), None) => {
                let card = match asked {
                    Some(card) if !to.address.ip().is_broadcast() => card,
                    _ => ethernet::EVERYBODY,
                };
                link.send(bytes, self.from, to.address, card).await
            }
            (ReceiveSocket::Wire(_), None, _) => Err(io::Error::other("the link is not open")),
        }
    }

    /// `IP_PKTINFO`, ip(7).
    async fn send_udp(&self, socket: &UdpSocket, bytes: &[u8], to: SocketAddrV4) -> io::Result<()> {
        let source = in_pktinfo {
            ipi_ifindex: self.interface,
            ipi_spec_dst: in_addr {
                s_addr: u32::from_ne_bytes(self.from.ip().octets()),
            },
            ipi_addr: in_addr { s_addr: 0 },
        };
        let send = || {
            let sent = sendmsg(
                socket.as_raw_fd(),
                &[IoSlice::new(bytes)],
                &[ControlMessage::Ipv4PacketInfo(&source)],
                MsgFlags::empty(),
                Some(&SockaddrIn::from(to)),
            );
            sent.map_err(io::Error::from)
        };
        let sent = socket.async_io(Interest::WRITABLE, send).await?;
        if sent == bytes.len() {
            Ok(())
        } else {
            Err(io::Error::other("the packet was cut"))
        }
    }
}
