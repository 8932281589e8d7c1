//! A node's part: join with token, name and node password, then say every few seconds that it lives.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::client::K3sClient;
use super::config::K3sServerConfig;
use super::http::{HttpRequest, HttpResponse};
use super::identity;
use super::token::Token;

/// How often the node posts its status. A kubelet does it every 10 s where nothing has changed; half of that keeps
/// tests short.
pub const BEAT: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_secs(2);

/// All that a node joins with.
pub struct ClusterMember {
    pub server: String,
    pub token: Token,
    /// The user of a short token: `node` for agents, `server` for servers.
    pub user: &'static str,
    pub name: String,
    pub password_file: PathBuf,
    pub labels: Vec<String>,
}

impl ClusterMember {
    /// From k3s's own configuration.
    pub fn from_config(config: &K3sServerConfig, user: &'static str) -> anyhow::Result<Self> {
        let server = config
            .get("server")
            .context("the configuration has no `server`")?;
        Ok(Self {
            server: server.trim_end_matches('/').to_owned(),
            token: Token::read(&token(config)?)?,
            user,
            name: match config.get("node-name") {
                Some(name) => name.to_owned(),
                None => identity::host_name()?,
            },
            password_file: PathBuf::from(identity::PASSWORD_FILE),
            labels: config.all("node-label").to_vec(),
        })
    }

    /// Joins, and gives what is needed for heartbeats.
    pub fn join(&self) -> anyhow::Result<Joined> {
        let password = identity::password(&self.password_file)?;
        let cacerts = K3sClient::believing_anybody(&self.server)?
            .send(&HttpRequest::new("GET", "/cacerts"))?;
        let cacerts = expect(cacerts)?.body;
        if !self.token.belongs_to(&cacerts) {
            bail!(
                "token CA hash does not match the CA of {}: another cluster answers there",
                self.server
            );
        }
        let client = K3sClient::trusting(&self.server, &cacerts, None)?;
        let user = self.token.user.as_deref().unwrap_or(self.user);
        let credentials = STANDARD.encode(format!("{user}:{}", self.token.password));
        let ask = |path| {
            let request = HttpRequest::new("GET", path)
                .with("authorization", &format!("Basic {credentials}"))
                .with("k3s-Node-Name", &self.name)
                .with("k3s-Node-Password", &password);
            expect(client.send(&request)?)
        };
        ask("/v1-k3s/serving-kubelet.crt")?;
        let identity = ask("/v1-k3s/client-kubelet.crt")?.body;
        Ok(Joined(K3sClient::trusting(
            &self.server,
            &cacerts,
            Some(&identity),
        )?))
    }

    pub fn beat(&self, joined: &Joined) -> anyhow::Result<()> {
        let labels: Map<_, _> = self
            .labels
            .iter()
            .filter_map(|l| l.split_once('='))
            .map(|(key, value)| (key.to_owned(), Value::from(value)))
            .collect();
        let status = json!({
            "metadata": { "labels": labels },
            "status": { "nodeInfo": identity::node_info() },
        });
        let mut request = HttpRequest::new("PATCH", &format!("/api/v1/nodes/{}/status", self.name));
        request.body = status.to_string().into_bytes();
        expect(joined.0.send(&request)?).map(drop)
    }

    /// Never returns. What goes wrong is said, once for each kind, and tried again.
    pub fn run(&self, say: &dyn Fn(&str)) -> ! {
        let mut told = String::new();
        loop {
            let joined = self
                .join()
                .and_then(|joined| self.beat(&joined).map(|()| joined));
            match joined {
                Ok(joined) => {
                    say(&format!(
                        "{} joined {} as {}",
                        self.name, self.server, self.user
                    ));
                    told.clear();
                    let mut end = None;
                    while end.is_none() {
                        std::thread::sleep(BEAT);
                        end = self.beat(&joined).err();
                    }
                    let end = end.map(|e| format!("{e:#}")).unwrap_or_default();
                    say(&format!("heartbeat failed, joining again: {end}"));
                }
                Err(error) => {
                    let now = format!("{error:#}");
                    if now != told {
                        say(&format!(
                            "cannot join as {}, trying again: {now}",
                            self.name
                        ));
                    }
                    told = now;
                    std::thread::sleep(RETRY);
                }
            }
        }
    }
}

/// A connection that the cluster knows as this node's.
pub struct Joined(K3sClient);

/// `token-file`, else `token`.
pub fn token(config: &K3sServerConfig) -> anyhow::Result<String> {
    if let Some(file) = config.get("token-file") {
        return read_secret(Path::new(file));
    }
    config
        .get("token")
        .map(str::to_owned)
        .context("the configuration has neither `token-file` nor `token`")
}

/// The text of a file without the white space around it.
pub fn read_secret(file: &Path) -> anyhow::Result<String> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    Ok(text.trim().to_owned())
}

/// The answer, or what the server said against it.
fn expect(response: HttpResponse) -> anyhow::Result<HttpResponse> {
    if response.status == 200 {
        return Ok(response);
    }
    let said = serde_json::from_slice::<Value>(&response.body)
        .ok()
        .and_then(|body| body["message"].as_str().map(str::to_owned))
        .unwrap_or_else(|| response.text());
    bail!("{} ({})", said, response.status)
}
