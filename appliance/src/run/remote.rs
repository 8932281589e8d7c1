//! The listener for operators on the network: bound with the others, opened with the token file.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use netboot_pin::AdminUrl;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::components::Components;
use super::tasks::Tasks;
use crate::config::AdminListen;
use crate::http::admin::{self, AdminAuth, UploadState};
use crate::http::tls::serve_tls;
use crate::keys::admin_token;

/// The name of the token file that the service makes in its `state-dir`.
const TOKEN_FILE: &str = "admin.token";

/// Bound; the token is not known yet.
pub(super) struct RemoteSocket {
    listener: TcpListener,
    listen: AdminListen,
}

/// Bound, and known to those who have the token.
pub(super) struct RemoteListener {
    listener: TcpListener,
    url: AdminUrl,
    token: netboot::base::token::Digest,
    token_file: std::path::PathBuf,
    uploads: UploadState,
}

impl RemoteSocket {
    /// # Errors
    /// The address or the port cannot be had.
    pub(super) async fn bind(listen: &AdminListen) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(listen.address).await;
        let listener = listener
            .with_context(|| format!("cannot listen on {} (admin.listen)", listen.address))?;
        Ok(Self {
            listener,
            listen: listen.clone(),
        })
    }

    /// # Errors
    /// The token file cannot be read or made, or others may read it.
    pub(super) fn open(self, components: &Components) -> anyhow::Result<RemoteListener> {
        let (config, keys) = (components.settings.config(), &components.keys);
        let mut address = self.listener.local_addr()?;
        if address.ip().is_unspecified() {
            // What a workstation is told must be an address.
            address.set_ip(config.lans[0].address.into());
        }
        let url = AdminUrl {
            base: format!("https://{address}"),
            pin: keys.pin().parse().ok(),
        };
        let own = config.state_dir.join(TOKEN_FILE);
        let token_file = self.listen.token_file.clone().unwrap_or(own);
        let of_ours = self.listen.token_file.is_none();
        let token = admin_token::read_or_make(&token_file, of_ours, &url)
            .context("the operators' door on the network stays shut (admin.listen)")?;
        let counters = components.counters.clone();
        let uploads = UploadState::open(components.cache.clone(), keys.clone(), counters)
            .context("cannot make the folder for uploads to the cache")?;
        Ok(RemoteListener {
            listener: self.listener,
            url,
            token,
            token_file,
            uploads,
        })
    }
}

impl RemoteListener {
    pub(super) fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Where it is, for people: the pin is public, the token is in its file.
    pub(super) fn announce(&self) {
        tracing::info!(url = %self.url, token_file = %self.token_file.display(), "admin API over TLS");
    }

    pub(super) fn serve(
        self,
        components: &Components,
        tls: &Arc<rustls::ServerConfig>,
        tasks: &mut Tasks,
        stop: &CancellationToken,
    ) {
        let gate = AdminAuth::new(components.store.clone(), self.token, stop.clone());
        let routes = admin::over_tls(components.admin.clone(), self.uploads, gate);
        let served = serve_tls(self.listener, tls.clone(), routes, stop.clone());
        tasks.add("admin.listen", async { Ok(served.await?) });
    }
}
