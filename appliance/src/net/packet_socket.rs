//! A packet socket (packet(7)): whole Ethernet frames, in and out of one interface. Needs `CAP_NET_RAW`.

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;

use netboot::base::mac::Mac;
use netboot::dhcp::ethernet;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{LinkAddr, bind};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use tokio::io::unix::AsyncFd;

/// Which frames a packet socket receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CaptureFilter {
    /// It only sends.
    Nothing,
    Arp,
    /// UDP over IPv4, to this port.
    Udp(u16),
}

pub(crate) struct PacketSocket {
    socket: AsyncFd<Socket>,
    /// The interface's own card.
    pub(crate) card: Mac,
}

impl PacketSocket {
    /// # Errors
    /// No `CAP_NET_RAW`; no such interface, or one that is no Ethernet.
    pub(crate) fn open(interface: &str, hears: CaptureFilter) -> io::Result<Self> {
        let link = link(interface)?;
        let no_card = || io::Error::other(format!("`{interface}` has no Ethernet address"));
        let octets = link.addr().ok_or_else(no_card)?;
        let card = Mac::new(octets).map_err(|_| no_card())?;

        let protocol = match hears {
            CaptureFilter::Nothing => 0,
            CaptureFilter::Arp => ethernet::ARP,
            CaptureFilter::Udp(_) => ethernet::IPV4,
        };
        // The kernel wants it in network order.
        let protocol = Protocol::from(i32::from(protocol.to_be()));
        let mut socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol))?;
        if let CaptureFilter::Udp(port) = hears {
            socket.attach_filter(&to_port(port))?;
        }
        socket.set_nonblocking(true)?;
        // `getifaddrs` leaves the protocol in the address empty, and `bind` then keeps the socket's own.
        bind(socket.as_raw_fd(), &link)?;
        // Until then it heard all interfaces.
        while let Ok(1..) = socket.read(&mut [0; 1]) {}
        // Its successor is `unsafe`, because the caller must guarantee that the descriptor is neither closed nor
        // replaced. `Socket` does neither.
        #[expect(deprecated, reason = "the workspace has no unsafe code")]
        let socket = AsyncFd::new(socket)?;
        Ok(Self { socket, card })
    }

    /// The next frame; what is longer than `buffer` is cut.
    pub(crate) async fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.socket.readable().await?;
            if let Ok(received) = ready.try_io(|socket| socket.get_ref().read(buffer)) {
                return received;
            }
        }
    }

    pub(crate) async fn send(&self, frame: &[u8]) -> io::Result<()> {
        loop {
            let mut ready = self.socket.writable().await?;
            if let Ok(sent) = ready.try_io(|socket| socket.get_ref().write(frame)) {
                return sent.map(|_| ());
            }
        }
    }
}

/// The link-layer address of an interface, with its index.
fn link(interface: &str) -> io::Result<LinkAddr> {
    let named = getifaddrs()?.filter(|entry| entry.interface_name == interface);
    let link = named.filter_map(|entry| entry.address?.as_link_addr().copied());
    link.into_iter()
        .next()
        .ok_or_else(|| io::Error::other(format!("there is no interface `{interface}`")))
}

/// Lets pass what goes to a UDP port: an appliance sends gigabytes to other ports, which must not be copied
/// here. A classic BPF program (bpf(4), linux/filter.h), by octets from the start of the frame.
fn to_port(port: u16) -> [SockFilter; 11] {
    const LOAD_HALF: u16 = 0x28;
    const LOAD_BYTE: u16 = 0x30;
    const LOAD_HALF_INDEXED: u16 = 0x48;
    const LOAD_HEADER_LENGTH: u16 = 0xb1;
    const JUMP_EQUAL: u16 = 0x15;
    const JUMP_ANY_BIT: u16 = 0x45;
    const RETURN: u16 = 0x06;
    const UDP: u32 = 17;

    let run = |code, k| SockFilter::new(code, 0, 0, k);
    let jump = |code, k, yes, no| SockFilter::new(code, yes, no, k);
    [
        run(LOAD_HALF, 12),
        jump(JUMP_EQUAL, ethernet::IPV4.into(), 0, 8),
        run(LOAD_BYTE, 23),
        jump(JUMP_EQUAL, UDP, 0, 6),
        // Fragments have no port, except the first, which is not the whole.
        run(LOAD_HALF, 20),
        jump(JUMP_ANY_BIT, 0x3fff, 4, 0),
        run(LOAD_HEADER_LENGTH, 14),
        run(LOAD_HALF_INDEXED, 16),
        jump(JUMP_EQUAL, port.into(), 0, 1),
        run(RETURN, u32::MAX),
        run(RETURN, 0),
    ]
}
