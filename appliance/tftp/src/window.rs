//! The packets of one window (RFC 7440), sent in one go.

use std::io::{self, IoSlice};
use std::net::{SocketAddrV4, UdpSocket};
use std::ops::Range;
use std::os::fd::AsRawFd;

use netboot::tftp::{packet, sender};
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn, sendmsg};

/// The DATA packets of one window, one behind the other. All have the same length but the last, which may be shorter.
pub(crate) struct Window {
    bytes: Vec<u8>,
    length: usize,
    /// Whether the kernel has cut windows into packets so far (`UDP_SEGMENT`, udp(7)), with one system call for a
    /// window in place of one for each block.
    cut_by_kernel: bool,
}

impl Window {
    /// For blocks of `block` bytes.
    pub(crate) fn new(block: u16) -> Self {
        Self {
            bytes: Vec::new(),
            length: packet::data(0).len() + usize::from(block),
            cut_by_kernel: true,
        }
    }

    /// Packs `blocks`, whose bytes are `content`.
    pub(crate) fn pack(&mut self, blocks: Range<u64>, content: &[u8]) {
        self.bytes.clear();
        let mut pieces = content.chunks(self.length - packet::data(0).len());
        for block in blocks {
            self.bytes.extend(packet::data(sender::wire(block)));
            // None for a last block that only says that it is the last.
            self.bytes.extend(pieces.next().unwrap_or_default());
        }
    }

    /// Sends what is packed.
    ///
    /// # Errors
    /// A packet could not be sent: it is as if it were lost on the way.
    pub(crate) fn send(&mut self, socket: &UdpSocket, to: SocketAddrV4) -> io::Result<()> {
        if self.bytes.len() > self.length && self.cut_by_kernel {
            match self.send_whole(socket, to) {
                Ok(()) => return Ok(()),
                // The card, the tunnel or the kernel cannot do it. Not one packet was sent, so they are sent one by
                // one.
                Err(error) => {
                    tracing::debug!(%error, "the kernel does not cut windows here");
                    self.cut_by_kernel = false;
                }
            }
        }
        for packet in self.bytes.chunks(self.length) {
            socket.send_to(packet, to)?;
        }
        Ok(())
    }

    fn send_whole(&self, socket: &UdpSocket, to: SocketAddrV4) -> io::Result<()> {
        let length = u16::try_from(self.length).map_err(io::Error::other)?;
        sendmsg(
            socket.as_raw_fd(),
            &[IoSlice::new(&self.bytes)],
            &[ControlMessage::UdpGsoSegments(&length)],
            MsgFlags::empty(),
            Some(&SockaddrIn::from(to)),
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_window_arrives_as_packets_however_it_was_sent() {
        let client = UdpSocket::bind("127.0.0.1:0").expect("binds");
        client
            .set_read_timeout(Some(Duration::from_secs(10)))
            .expect("sets");
        let Ok(SocketAddr::V4(to)) = client.local_addr() else {
            panic!("IPv4")
        };
        let socket = UdpSocket::bind("127.0.0.1:0").expect("binds");
        for cut_by_kernel in [true, false] {
            for (name, blocks, content, want) in [
                ("one", 7..8, 512, vec![512]),
                ("a window", 65_535..65_539, 2048, vec![512, 512, 512, 512]),
                ("the last window", 1..4, 1025, vec![512, 512, 1]),
                ("the last block is empty", 1..3, 512, vec![512, 0]),
                ("an empty file", 1..2, 0, vec![0]),
            ] {
                let content: Vec<u8> = (0..content).map(|n| (n % 251) as u8).collect();
                let mut window = Window::new(512);
                window.cut_by_kernel = cut_by_kernel;
                window.pack(blocks.clone(), &content);
                window.send(&socket, to).expect("sends");
                let mut got: Vec<u8> = Vec::new();
                for (block, length) in blocks.zip(want) {
                    let mut packet = [0; 2000];
                    let (n, _) = client
                        .recv_from(&mut packet)
                        .unwrap_or_else(|e| panic!("{name}: {e}"));
                    assert_eq!(packet[..4], packet::data(sender::wire(block)), "{name}");
                    assert_eq!(n, 4 + length, "{name}");
                    got.extend(&packet[4..n]);
                }
                assert!(got == content, "{name}");
            }
        }
    }
}
