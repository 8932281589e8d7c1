//! The API server: listens, answers, keeps what must outlive a restart.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::agent::{read_secret, token};
use super::certs::{self, Authority};
use super::cluster::{Cluster, ClusterRecords, ClusterTokens};
use super::config::K3sServerConfig;
use super::http::{HttpRequest, HttpResponse};
use super::routes::answer;
use super::token::Token;

const LIMIT: Duration = Duration::from_secs(10);

/// A server that is bound and not yet serving.
pub struct K3sServer {
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    cluster: Mutex<Cluster>,
    kept_file: PathBuf,
}

impl K3sServer {
    /// Reads `token-file`, `agent-token-file`, `bind-address`, `https-listen-port`, `tls-san`, `data-dir` as
    /// k3s does, and `stand-in-api-token-file`, which k3s has not: there it would be a service account.
    pub fn bind(config: &K3sServerConfig) -> anyhow::Result<Self> {
        let ip: IpAddr = match config.get("bind-address") {
            Some(text) => text
                .parse()
                .with_context(|| format!("`{text}` is no address"))?,
            None => Ipv4Addr::UNSPECIFIED.into(),
        };
        let port = match config.get("https-listen-port") {
            Some(text) => text
                .parse()
                .with_context(|| format!("`{text}` is no port"))?,
            None => 6443,
        };
        let secret = |key: &str| {
            config
                .get(key)
                .map(|file| read_secret(Path::new(file)))
                .transpose()
        };
        let password = |text: String| Token::read(&text).map(|token| token.password);
        let tokens = ClusterTokens {
            server: password(token(config)?)?,
            agent: secret("agent-token-file")?.map(password).transpose()?,
            api: secret("stand-in-api-token-file")?,
        };
        let dir =
            Path::new(config.get("data-dir").unwrap_or("/var/lib/rancher/k3s")).join("stand-in");
        let authority = Authority::open(&dir)?;
        let kept_file = dir.join("kept.json");
        let kept = match fs::read(&kept_file) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .with_context(|| format!("cannot read `{}`", kept_file.display()))?,
            Err(_) => ClusterRecords::default(),
        };
        let address = SocketAddr::new(ip, port);
        let listener =
            TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
        Ok(Self {
            listener,
            tls: authority.serve(certs::names(ip, config.all("tls-san")))?,
            cluster: Mutex::new(Cluster {
                tokens,
                authority,
                kept,
            }),
            kept_file,
        })
    }

    /// Where it listens; the port may have been 0.
    pub fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Never returns. Each connection has a thread, so that a slow client does not hold up the others.
    pub fn run(self, say: fn(&str)) -> ! {
        let server = Arc::new(self);
        loop {
            match server.listener.accept() {
                Ok((tcp, _)) => {
                    let server = Arc::clone(&server);
                    // What a client does wrong is its own business; k3s logs it at a level nobody reads.
                    std::thread::spawn(move || server.serve(tcp, say).ok());
                }
                Err(error) => {
                    say(&format!("cannot accept a connection: {error}"));
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
        }
    }

    fn serve(&self, tcp: TcpStream, say: fn(&str)) -> anyhow::Result<()> {
        tcp.set_read_timeout(Some(LIMIT))?;
        tcp.set_write_timeout(Some(LIMIT))?;
        tcp.set_nodelay(true)?;
        let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&self.tls))?, tcp);
        let Some(request) = HttpRequest::read(&mut stream)? else {
            return Ok(());
        };
        let certificate = stream
            .conn
            .peer_certificates()
            .and_then(|c| c.first())
            .map(|c| c.to_vec());
        self.decide(&request, certificate.as_deref(), say)
            .write(&mut stream)?;
        stream.conn.send_close_notify();
        stream.conn.complete_io(&mut stream.sock)?;
        Ok(())
    }

    fn decide(
        &self,
        request: &HttpRequest,
        certificate: Option<&[u8]>,
        say: fn(&str),
    ) -> HttpResponse {
        let mut cluster = self.cluster.lock().unwrap_or_else(PoisonError::into_inner);
        let peer = certificate
            .and_then(|c| cluster.node_of(c))
            .map(str::to_owned);
        let answer = answer(&mut cluster, request, peer.as_deref(), now());
        if answer.changed
            && let Err(error) = self.keep(&cluster.kept)
        {
            say(&format!(
                "cannot write `{}`: {error:#}",
                self.kept_file.display()
            ));
            return HttpResponse::new(500, "text/plain", "the stand-in cannot keep its state");
        }
        if let Some(note) = &answer.note {
            say(note);
        }
        answer.response
    }

    fn keep(&self, kept: &ClusterRecords) -> anyhow::Result<()> {
        let part = self.kept_file.with_extension("part");
        fs::write(&part, serde_json::to_vec(kept)?)?;
        Ok(fs::rename(&part, &self.kept_file)?)
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
