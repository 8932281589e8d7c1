//! A TFTP client by hand, one packet at a time, and a whole one.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::UdpSocket;

pub const LIMIT: Duration = Duration::from_secs(10);

/// A client on a port of its own.
pub struct TestClient {
    socket: UdpSocket,
    server: SocketAddr,
}

impl TestClient {
    pub async fn of(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("binds");
        Self { socket, server }
    }

    /// To port 69, as it were.
    pub async fn ask(&self, packet: &[u8]) {
        self.say(packet, self.server).await;
    }

    pub async fn say(&self, packet: &[u8], to: SocketAddr) {
        self.socket.send_to(packet, to).await.expect("sends");
    }

    pub async fn acknowledge(&self, number: u16, to: SocketAddr) {
        let [high, low] = number.to_be_bytes();
        self.say(&[0, 4, high, low], to).await;
    }

    /// The next packet, and who sent it.
    #[track_caller]
    pub fn hear(&self) -> impl Future<Output = (Vec<u8>, SocketAddr)> {
        let at = std::panic::Location::caller();
        async move {
            let mut buffer = vec![0; 70_000];
            let received = tokio::time::timeout(LIMIT, self.socket.recv_from(&mut buffer)).await;
            let received = received.unwrap_or_else(|_| panic!("{at}: no answer in {LIMIT:?}"));
            let (length, from) = received.expect("receives");
            buffer.truncate(length);
            (buffer, from)
        }
    }

    /// Asks, and gives the answer as text: `OACK blksize 1468`, `DATA 1, 512 bytes`, `ERROR 1: not found`.
    pub async fn begin(&self, packet: &[u8]) -> String {
        self.ask(packet).await;
        said(&self.hear().await.0)
    }

    /// The same, and breaks off.
    pub async fn answer(&self, packet: &[u8]) -> String {
        self.ask(packet).await;
        let (answer, from) = self.hear().await;
        if from != self.server {
            self.say(BREAK_OFF, from).await;
        }
        said(&answer)
    }
}

/// What EDK2 says when it has learnt the size of a file.
pub const BREAK_OFF: &[u8] = b"\0\x05\0\x08User aborted the transfer\0";

/// A packet in words.
pub fn said(packet: &[u8]) -> String {
    let texts = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes)
            .replace('\0', " ")
            .trim_end()
            .to_owned()
    };
    match packet {
        [0, 3, high, low, data @ ..] => {
            format!(
                "DATA {}, {} bytes",
                u16::from_be_bytes([*high, *low]),
                data.len()
            )
        }
        [0, 5, _, code, text @ ..] => format!("ERROR {code}: {}", texts(text)),
        [0, 6, options @ ..] => format!("OACK {}", texts(options)),
        other => panic!("{other:?}"),
    }
}

/// RRQ (1) or WRQ (2).
pub fn request(operation: u8, name: &str, mode: &str, options: &[(&str, &str)]) -> Vec<u8> {
    let mut packet = vec![0, operation];
    let options = options.iter().flat_map(|(option, value)| [*option, *value]);
    for text in [name, mode].into_iter().chain(options) {
        packet.extend(text.as_bytes());
        packet.push(0);
    }
    packet
}

/// RRQ in the mode that everybody uses.
pub fn read(name: &str, options: &[(&str, &str)]) -> Vec<u8> {
    request(1, name, "octet", options)
}

/// Gets a whole file as RFC 1350, 2347, 2348 and 7440 say; or the number of the error.
pub async fn fetch(
    server: SocketAddr,
    name: &str,
    options: &[(&str, &str)],
) -> Result<Vec<u8>, u8> {
    let client = TestClient::of(server).await;
    client.ask(&read(name, options)).await;
    let (mut file, mut length, mut window) = (Vec::new(), 512, 1);
    let (mut has, mut in_window) = (0_u16, 0);
    loop {
        let (packet, from) = client.hear().await;
        match &packet[..] {
            [0, 5, _, code, ..] => return Err(*code),
            [0, 6, options @ ..] => {
                let text = String::from_utf8_lossy(options).into_owned();
                let mut words = text.split('\0');
                while let (Some(option), Some(value)) = (words.next(), words.next()) {
                    match option {
                        "blksize" => length = value.parse().expect("a number"),
                        "windowsize" => window = value.parse().expect("a number"),
                        _ => {}
                    }
                }
                client.acknowledge(0, from).await;
            }
            [0, 3, high, low, data @ ..] => {
                let number = u16::from_be_bytes([*high, *low]);
                if number != has.wrapping_add(1) {
                    client.acknowledge(has, from).await;
                    in_window = 0;
                    continue;
                }
                has = number;
                file.extend(data);
                in_window += 1;
                let last = data.len() < length;
                if last || in_window == window {
                    in_window = 0;
                    client.acknowledge(has, from).await;
                }
                if last {
                    return Ok(file);
                }
            }
            other => panic!("{other:?}"),
        }
    }
}
