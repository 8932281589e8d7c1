//! What firmware does besides reading a file to its end: every server is asked the same, and the answers stand side by side.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use integration::lab::loaders::FOLDER;

use crate::servers::Server;

/// How long a server is listened to where the answer may be silence.
const LISTENS: Duration = Duration::from_secs(10);

/// No server here needs longer for its first answer.
const ANSWERS: Duration = Duration::from_secs(3);

/// Requests from one address that are begun and left, each from a port of its own.
const GREEDY: usize = 300;

pub(crate) struct Probe {
    pub title: &'static str,
    /// What the server did, in a word or two.
    pub ask: fn(&Server) -> anyhow::Result<String>,
}

/// The last one leaves transfers behind.
pub(crate) static PROBES: [Probe; 5] = [
    Probe {
        title: "probe: packets in 10 s after the client's ERROR",
        ask: packets_after_an_error,
    },
    Probe {
        title: "probe: next request from that port answered in",
        ask: next_request_from_the_same_port,
    },
    Probe {
        title: "probe: a request padded with NULs",
        ask: padded,
    },
    Probe {
        title: "probe: packets in 10 s to one that vanished",
        ask: packets_to_a_client_that_vanished,
    },
    Probe {
        title: "probe: transfers of one address, of 300 begun",
        ask: transfers_of_one_address,
    },
];

/// EDK2 and many ROMs ask for the size, break off with an ERROR, and ask again from the same port.
fn packets_after_an_error(server: &Server) -> anyhow::Result<String> {
    let client = Client::of(server)?;
    client.probe_the_size(server)?;
    Ok(client.packets_within(LISTENS)?.to_string())
}

fn next_request_from_the_same_port(server: &Server) -> anyhow::Result<String> {
    let client = Client::of(server)?;
    let first = client.probe_the_size(server)?;
    let begun = Instant::now();
    client.socket.send_to(&sized(), server.at)?;
    while let Some((_, from)) = client.hear(LISTENS.saturating_sub(begun.elapsed()))? {
        // A packet from the first transfer's port is not an answer.
        if from != first {
            return Ok(format!("{:.1} ms", begun.elapsed().as_secs_f64() * 1e3));
        }
    }
    Ok("never".to_owned())
}

/// Some ROMs fill the request up to 512 bytes.
fn padded(server: &Server) -> anyhow::Result<String> {
    let client = Client::of(server)?;
    let mut request = sized();
    request.resize(512, 0);
    client.socket.send_to(&request, server.at)?;
    let Some((packet, from)) = client.hear(ANSWERS)? else {
        return Ok("silence".to_owned());
    };
    client.socket.send_to(BREAKS_OFF, from)?;
    Ok(match packet.as_slice() {
        [0, 3, ..] => "DATA".to_owned(),
        [0, 5, _, code, ..] => format!("ERROR {code}"),
        [0, 6, ..] => "OACK".to_owned(),
        other => bail!("{} says {other:?}", server.name),
    })
}

fn packets_to_a_client_that_vanished(server: &Server) -> anyhow::Result<String> {
    let client = Client::of(server)?;
    client.socket.send_to(&sized(), server.at)?;
    let packets = client.packets_within(LISTENS)?;
    Ok(packets.to_string())
}

fn transfers_of_one_address(server: &Server) -> anyhow::Result<String> {
    let clients = (0..GREEDY).map(|_| Client::of(server));
    let clients: Vec<_> = clients.collect::<anyhow::Result<_>>()?;
    let mut begun = 0;
    for client in &clients {
        client.socket.send_to(&sized(), server.at)?;
    }
    let until = Instant::now() + ANSWERS;
    for client in &clients {
        let left = until.saturating_duration_since(Instant::now());
        if let Some((packet, _)) = client.hear(left)? {
            begun += usize::from(packet.starts_with(&[0, 6]));
        }
    }
    Ok(begun.to_string())
}

/// ERROR 8, in EDK2's words.
const BREAKS_OFF: &[u8] = b"\0\x05\0\x08User aborted the transfer\0";

/// A request with the option that asks for the size.
fn sized() -> Vec<u8> {
    format!("\0\u{1}{FOLDER}/snponly.efi\0octet\0tsize\x000\0").into_bytes()
}

/// One that asks from a port of its own.
struct Client {
    socket: UdpSocket,
}

impl Client {
    fn of(server: &Server) -> anyhow::Result<Self> {
        let SocketAddr::V4(at) = server.at else {
            bail!("IPv4 only");
        };
        let [_, _, _, of_server] = at.ip().octets();
        let socket = UdpSocket::bind((Ipv4Addr::new(127, 2, of_server, 1), 0))?;
        Ok(Self { socket })
    }

    /// Asks for the size and breaks off. Gives the port of the transfer.
    fn probe_the_size(&self, server: &Server) -> anyhow::Result<SocketAddr> {
        self.socket.send_to(&sized(), server.at)?;
        let heard = self.hear(ANSWERS)?;
        let (packet, from) = heard.with_context(|| format!("{} is silent", server.name))?;
        ensure!(packet.starts_with(&[0, 6]), "{} sends no OACK", server.name);
        self.socket.send_to(BREAKS_OFF, from)?;
        Ok(from)
    }

    /// The next packet and who sent it. `None` if there is none within `limit`.
    fn hear(&self, limit: Duration) -> anyhow::Result<Option<(Vec<u8>, SocketAddr)>> {
        self.socket
            .set_read_timeout(Some(limit.max(Duration::from_millis(1))))?;
        let mut packet = vec![0; 2048];
        match self.socket.recv_from(&mut packet) {
            Ok((length, from)) => {
                packet.truncate(length);
                Ok(Some((packet, from)))
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error).context("cannot receive"),
        }
    }

    fn packets_within(&self, limit: Duration) -> anyhow::Result<usize> {
        let until = Instant::now() + limit;
        let mut packets = 0;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.hear(left)?.is_none() {
                return Ok(packets);
            }
            packets += 1;
        }
    }
}
