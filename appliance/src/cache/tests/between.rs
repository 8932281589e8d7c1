//! Stands between a client and the appliance: counts what goes through, cuts it off, or holds it.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What happens to an answer on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Pass,
    /// The connection ends after this many bytes.
    Cut(u64),
    /// No more than this many bytes until it is let go.
    Hold(u64),
}

/// A request that came by: what was asked for, from which byte on, and how much of the answer has gone through.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) path: String,
    pub(super) range: Option<String>,
    pub(super) passed: u64,
    pub(super) ended: bool,
}

/// Between a client and the appliance.
pub(super) struct Between {
    pub(super) at: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    /// Lets go of what is held.
    pub(super) go: watch::Sender<bool>,
}

impl Between {
    /// `action` is asked with the path and how often that was asked for before.
    pub(super) async fn new(to: SocketAddr, action: fn(&str, usize) -> Fate) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let at = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (go, gone) = watch::channel(false);
        let all = asked.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, to, all.clone(), gone.clone(), action));
            }
        });
        Self { at, asked, go }
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }
}

/// One request and its answer; the connection ends with it.
async fn relay(
    mut client: TcpStream,
    to: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    mut go: watch::Receiver<bool>,
    action: fn(&str, usize) -> Fate,
) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut octet = [0];
        if client.read(&mut octet).await? == 0 {
            return Ok(());
        }
        head.push(octet[0]);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
    let range = text.lines().find_map(|l| {
        l.to_ascii_lowercase()
            .strip_prefix("range: ")
            .map(str::to_owned)
    });
    let (place, action) = {
        let mut all = asked.lock().expect("no panic");
        let before = all.iter().filter(|other| other.path == path).count();
        let action = action(&path, before);
        all.push(Asked {
            path,
            range,
            passed: 0,
            ended: false,
        });
        (all.len() - 1, action)
    };
    let mut server = TcpStream::connect(to).await?;
    let end = text.len() - 2;
    server
        .write_all(format!("{}Connection: close\r\n\r\n", &text[..end]).as_bytes())
        .await?;
    let mut passed = 0;
    loop {
        let room = match action {
            Fate::Cut(most) if passed == most => return Ok(()),
            Fate::Hold(most) if passed == most && !*go.borrow() => {
                let _ = go.wait_for(|go| *go).await;
                continue;
            }
            Fate::Cut(most) | Fate::Hold(most) if passed < most => most - passed,
            _ => u64::MAX,
        };
        let mut octets = vec![0; usize::try_from(room.min(1 << 16)).expect("small")];
        let read = server.read(&mut octets).await?;
        asked.lock().expect("no panic")[place].ended = read == 0;
        if read == 0 {
            return Ok(());
        }
        client.write_all(&octets[..read]).await?;
        passed += read as u64;
        asked.lock().expect("no panic")[place].passed = passed;
    }
}
