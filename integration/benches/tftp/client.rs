//! A TFTP client that is no bottleneck: blocking, one thread, the same for all servers.
//!
//! It asks again after a second, as the usual clients do, and acknowledges a block that comes twice, as all do.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

/// The wait after which it repeats its last packet.
const IMPATIENT: Duration = Duration::from_secs(1);

/// The wait after which it gives up: no server here needs longer for a new block.
const GIVES_UP: Duration = Duration::from_secs(90);

/// What to ask for.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub name: String,
    pub block: usize,
    pub window: u16,
}

/// What the server agreed to, or did without being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    pub block: usize,
    pub window: u16,
}

/// Gets the file into `file`, which is emptied before.
///
/// # Errors
/// The server sends an error, no answer, or something that is not TFTP.
pub(crate) fn fetch(
    from: Ipv4Addr,
    server: SocketAddr,
    wish: &Wish,
    file: &mut Vec<u8>,
) -> anyhow::Result<Terms> {
    let socket = UdpSocket::bind((from, 0)).context("cannot bind")?;
    socket.set_read_timeout(Some(IMPATIENT))?;
    let mut said = request(wish);
    let mut to = server;
    socket.send_to(&said, to)?;
    file.clear();
    let mut terms = Terms {
        block: 512,
        window: 1,
    };
    let (mut has, mut in_window, mut gap_told) = (0_u64, 0, false);
    let mut news = Instant::now();
    let mut packet = [0; 2048];
    loop {
        let (length, sender) = match socket.recv_from(&mut packet) {
            Ok(received) => received,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ) =>
            {
                ensure!(
                    news.elapsed() < GIVES_UP,
                    "no new block for {} s",
                    GIVES_UP.as_secs()
                );
                socket.send_to(&said, to)?;
                continue;
            }
            Err(error) => return Err(error).context("cannot receive"),
        };
        // The first answer settles the server's port; a packet from another port belongs to the repeat of a request.
        if to == server && sender.ip() == server.ip() {
            to = sender;
        }
        if sender != to {
            continue;
        }
        let told = match &packet[..length] {
            [0, 6, options @ ..] if has == 0 => {
                terms = read(options)?;
                true
            }
            [0, 6, ..] => false,
            [0, 3, high, low, data @ ..] => {
                let number = u16::from_be_bytes([*high, *low]);
                if number == wire(has + 1) {
                    has += 1;
                    news = Instant::now();
                    gap_told = false;
                    file.extend_from_slice(data);
                    in_window += 1;
                    let last = data.len() < terms.block;
                    if last {
                        socket.send_to(&acknowledgement(has), to)?;
                        return Ok(terms);
                    }
                    in_window == terms.window
                } else {
                    // A block came twice, or after a gap. Within a window it is enough to acknowledge that once.
                    let told = terms.window == 1 || !gap_told;
                    gap_told = true;
                    told
                }
            }
            [0, 5, _, code, text @ ..] => {
                bail!("TFTP error {code}: {}", String::from_utf8_lossy(text))
            }
            other => bail!("no TFTP: {other:?}"),
        };
        if told {
            in_window = 0;
            said = acknowledgement(has).to_vec();
            socket.send_to(&said, to)?;
        }
    }
}

fn request(wish: &Wish) -> Vec<u8> {
    let mut packet = [b"\0\x01", wish.name.as_bytes(), b"\0octet\0"].concat();
    let mut option = |name: &str, value: usize| packet.extend(format!("{name}\0{value}\0").bytes());
    option("blksize", wish.block);
    if wish.window > 1 {
        option("windowsize", wish.window.into());
    }
    packet
}

fn read(options: &[u8]) -> anyhow::Result<Terms> {
    let text = String::from_utf8_lossy(options).to_lowercase();
    let mut words = text.split('\0');
    let mut terms = Terms {
        block: 512,
        window: 1,
    };
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        match name {
            "blksize" => terms.block = value.parse().context("blksize")?,
            "windowsize" => terms.window = value.parse().context("windowsize")?,
            _ => {}
        }
    }
    Ok(terms)
}

fn acknowledgement(block: u64) -> [u8; 4] {
    let [high, low] = wire(block).to_be_bytes();
    [0, 4, high, low]
}

fn wire(block: u64) -> u16 {
    (block & 0xffff) as u16
}
