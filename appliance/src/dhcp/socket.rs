//! A UDP socket that hears one interface only, broadcasts too, and answers from one address.

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::libc::{in_addr, in_pktinfo};
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn, sendmsg};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::lan::Lan;

/// Bound to `INADDR_ANY`, because broadcasts go to no address of ours, and to the LAN's interface, because
/// answers to other networks would disturb them (`SO_BINDTODEVICE`, socket(7)).
pub struct LanSocket {
    socket: UdpSocket,
    from: Ipv4Addr,
    interface: i32,
}

impl LanSocket {
    pub fn bind(lan: &Lan, port: u16) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_reuse_address(true)?;
        socket.set_broadcast(true)?;
        socket.bind_device(Some(lan.interface.as_bytes()))?;
        socket.set_nonblocking(true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
        let index = nix::net::if_::if_nametoindex(lan.interface.as_str())?;
        Ok(Self {
            socket: UdpSocket::from_std(socket.into())?,
            from: lan.address,
            interface: i32::try_from(index).map_err(io::Error::other)?,
        })
    }

    pub fn port(&self) -> io::Result<u16> {
        Ok(self.socket.local_addr()?.port())
    }

    pub(super) async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddrV4)> {
        loop {
            match self.socket.recv_from(buffer).await? {
                (length, SocketAddr::V4(from)) => return Ok((length, from)),
                (_, SocketAddr::V6(_)) => {}
            }
        }
    }

    /// Sends from the LAN address, whatever the routing table would choose (`IP_PKTINFO`, ip(7)).
    pub(super) async fn send(&self, bytes: &[u8], to: SocketAddrV4) -> io::Result<()> {
        let source = in_pktinfo {
            ipi_ifindex: self.interface,
            ipi_spec_dst: in_addr {
                s_addr: u32::from_ne_bytes(self.from.octets()),
            },
            ipi_addr: in_addr { s_addr: 0 },
        };
        let send = || {
            let sent = sendmsg(
                self.socket.as_raw_fd(),
                &[IoSlice::new(bytes)],
                &[ControlMessage::Ipv4PacketInfo(&source)],
                MsgFlags::empty(),
                Some(&SockaddrIn::from(to)),
            );
            sent.map_err(io::Error::from)
        };
        let sent = self.socket.async_io(Interest::WRITABLE, send).await?;
        if sent == bytes.len() {
            Ok(())
        } else {
            Err(io::Error::other("the packet was cut"))
        }
    }
}

/// Whether receiving may work again later: the cable is out, or memory is short.
pub(super) fn passes(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(
            Errno::ECONNREFUSED
                | Errno::EHOSTUNREACH
                | Errno::EINTR
                | Errno::ENETDOWN
                | Errno::ENETUNREACH
                | Errno::ENOBUFS
                | Errno::ENOMEM
        )
    )
}
