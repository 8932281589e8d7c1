//! Asks the Kubernetes API whether a node is Ready: the one thing that makes `joined`.

mod api;
mod ready;
mod trust;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use netboot::api::agent;
use netboot::base::name::HostName;
use netboot::profile::Profiles;
use tokio_util::sync::CancellationToken;

use self::api::Api;
use crate::config::settings::Settings;
use crate::keys::Keys;
use crate::store::Store;

/// How often the cluster is asked whether a node is Ready.
const PAUSE: Duration = Duration::from_secs(2);

/// Runs until the token is cancelled.
pub async fn watch(settings: Settings, store: Store, keys: Arc<Keys>, stop: CancellationToken) {
    let k3s = &settings.config().k3s;
    let (Some(server), Some(token_file)) = (&k3s.server, &k3s.api_token_file) else {
        let missing = match k3s.server {
            None => "k3s.server",
            Some(_) => "k3s.api-token-file",
        };
        tracing::warn!(
            missing,
            "nodes cannot be seen to have joined: configure the server, and a file with the token of a \
             service account that may get nodes"
        );
        stop.cancelled().await;
        return;
    };
    let tokens = [keys.server_token(), keys.agent_token()];
    let mut lookout = ReadinessWatch {
        server: server.clone(),
        token_file: token_file.clone(),
        expected: tokens
            .into_iter()
            .find_map(trust::ca_hash)
            .map(str::to_owned),
        api: None,
        pinned: None,
        trouble: None,
    };
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
        let profiles = settings.profiles();
        tokio::select! {
            () = stop.cancelled() => return,
            () = lookout.look(&store, &profiles) => {}
        }
    }
}

/// Whether a k3s server answers at this URL, whoever it is.
pub async fn reachable(url: &str) -> anyhow::Result<()> {
    Api::certificates(url).await.map(|_| ())
}

/// The cluster's URL, and the certificates that are trusted there.
struct ReadinessWatch {
    server: String,
    token_file: PathBuf,
    /// The hash of the cluster's CA, if a token says it.
    expected: Option<String>,
    api: Option<Api>,
    /// The hash of the CA that was there first.
    pinned: Option<String>,
    /// The error that was logged last, so that it is not logged every two seconds.
    trouble: Option<String>,
}

impl ReadinessWatch {
    /// Asks once for every machine that is waited for, if there is any.
    async fn look(&mut self, store: &Store, profiles: &Profiles) {
        let state = store.state();
        let awaited: Vec<_> = agent::awaited(&state, profiles)
            .filter_map(|machine| Some((machine.id, machine.name.clone()?)))
            .collect();
        for (machine, name) in awaited {
            let boot = match self.ready_boot(&name).await {
                Ok(boot) => {
                    self.well();
                    boot
                }
                Err(error) => {
                    // The server may have been made anew: begin again with its certificates.
                    self.api = None;
                    self.complain(&format!("{error:#}"));
                    return;
                }
            };
            let Some(boot) = boot else { continue };
            match store
                .decide(move |state, _| agent::joined(state, machine, &boot))
                .await
            {
                Ok(decided) if decided.changed => tracing::info!(%name, mac = %machine, "joined"),
                Ok(_) => {}
                Err(refusal) => {
                    tracing::warn!(%name, %refusal, "joined, but it cannot be written down");
                }
            }
        }
    }

    /// The boot in which the node is Ready, if it is.
    async fn ready_boot(&mut self, name: &HostName) -> anyhow::Result<Option<String>> {
        let token = token(&self.token_file)?;
        let api = match &self.api {
            Some(api) => api,
            None => {
                let url = self.server.trim_end_matches('/').to_owned();
                let ca = Api::certificates(&url).await?;
                let hash = trust::hash(&ca);
                trust::check(self.expected.as_deref(), self.pinned.as_deref(), &hash)?;
                self.pinned = Some(hash);
                self.api.insert(Api::new(url, &ca)?)
            }
        };
        match api.node(name, &token).await? {
            Some(json) => ready::ready_boot(&json, name).context("the answer is not a node"),
            None => Ok(None),
        }
    }

    fn complain(&mut self, trouble: &str) {
        if self.trouble.as_deref() != Some(trouble) {
            tracing::warn!(
                reason = trouble,
                "the cluster cannot be asked whether nodes are Ready"
            );
            self.trouble = Some(trouble.to_owned());
        }
    }

    fn well(&mut self) {
        if self.trouble.take().is_some() {
            tracing::info!("the cluster answers again");
        }
    }
}

/// Read each time: such tokens are renewed by replacing the file.
fn token(file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the API token in `{}`", file.display()))?;
    let token = text.trim();
    if token.is_empty() || !token.chars().all(|c| c.is_ascii_graphic()) {
        bail!("`{}` does not hold an API token", file.display());
    }
    Ok(token.to_owned())
}
