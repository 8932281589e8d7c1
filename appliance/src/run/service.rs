//! The service, bound: announces itself, runs, stops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use netboot::doctor::checks;
use netboot::profile::Profiles;
use sd_notify::NotifyState;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::components::Components;
use super::listeners::LanListeners;
use super::notify;
use super::remote::RemoteListener;
use super::tasks::Tasks;
use crate::base::clock;
use crate::config::settings::Settings;
use crate::config::{Config, Loaded, hosts};
use crate::http::admin;
use crate::http::unix::{AdminSocket, serve_unix};
use crate::keys::Keys;
use crate::net::Segment;
use crate::publish::FlakeBranch;
use crate::publish::follow::follow;
use crate::{cluster, lan_scan};

/// How long the listeners have to end. With [`STORE`], 2 s in all.
const LISTENERS: Duration = Duration::from_millis(1300);

/// How long the store has to write what is pending.
const STORE: Duration = Duration::from_millis(600);

/// The service with everything opened and bound, before it serves.
pub struct Service {
    pub(super) components: Arc<Components>,
    /// One set for each LAN, in the order of the configuration.
    pub(super) listeners: Vec<LanListeners>,
    pub(super) tls: Arc<rustls::ServerConfig>,
    pub(super) admin: AdminSocket,
    /// The listener for operators on the network, if there is one.
    pub(super) remote: Option<RemoteListener>,
    pub(super) config: Loaded,
    pub(super) profiles: watch::Sender<Arc<Profiles>>,
    pub(super) reload: Arc<Notify>,
}

impl Service {
    #[cfg(test)]
    pub(crate) fn components(&self) -> &Arc<Components> {
        &self.components
    }

    pub fn settings(&self) -> &Settings {
        &self.components.settings
    }

    pub fn keys(&self) -> &Keys {
        &self.components.keys
    }

    /// Where TFTP is asked on the first LAN.
    pub fn tftp(&self) -> SocketAddr {
        self.listeners[0].tftp()
    }

    /// Where operators on the network are heard, if anywhere.
    pub fn remote(&self) -> Option<SocketAddr> {
        self.remote.as_ref()?.address().ok()
    }

    /// Asks for a look at the profiles at once.
    pub fn reload(&self) -> Arc<Notify> {
        self.reload.clone()
    }

    /// One line for each fact that an operator may look for.
    pub fn announce(&self) {
        let Config { dhcp, .. } = self.components.settings.config();
        tracing::info!(version = env!("CARGO_PKG_VERSION"), "pxe-appliance");
        tracing::info!(mode = %dhcp, "DHCP");
        for listeners in &self.listeners {
            let Segment { lan, address } = listeners.segment();
            tracing::info!(interface = lan.interface, address = %lan, why = lan.why, "LAN");
            let (iface, tftp_port) = (&lan.interface, listeners.tftp().port());
            let (http_port, node_port) = (address.http_port, address.node_port);
            tracing::info!(iface, http_port, node_port, tftp_port, "listening");
        }
        tracing::info!(socket = %self.components.settings.config().admin_socket.display(), "admin API");
        if let Some(remote) = &self.remote {
            remote.announce();
        }
        tracing::info!(
            profiles = self.components.settings.profiles().by_name.len(),
            "profiles"
        );
        let images = self.components.installers.all();
        for image in &images {
            let (name, arch) = (&image.image.name, &image.image.arch);
            tracing::info!(name, arch, "installer image");
        }
        if images.is_empty() {
            tracing::warn!(
                "there is no installer image: nothing can be installed before `pxe-admin publish`"
            );
        }
        if self.components.settings.config().k3s.has_one_token() {
            tracing::warn!(tip = checks::TWO_TOKENS, "{}", checks::ONE_TOKEN);
        }
        self.announce_loaders();
    }

    /// Warns of missing loaders, for the architectures that profiles are for only.
    fn announce_loaders(&self) {
        let loaders = self.components.boot.loaders.files();
        tracing::info!(found = loaders.found().join(" "), "boot loaders");
        for kernel in self.components.settings.kernels() {
            for missing in loaders.missing(&kernel) {
                let (loader, purpose) = (missing.name, missing.purpose);
                tracing::info!(loader, purpose, "boot loader is not there");
            }
            for firmware in loaders.unserved(&kernel) {
                let (ipxe, grub) = (
                    self.components.settings.config().ipxe_dir.display(),
                    self.components.settings.config().grub_dir.display(),
                );
                tracing::warn!(%firmware, ipxe_dir = %ipxe, grub_dir = %grub, "machines with this firmware get no boot loader: none is there");
            }
        }
    }

    /// Runs until `stop`, then ends within 2 s, also with transfers in flight.
    ///
    /// # Errors
    /// A listener died: the process must not go on half alive.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let components = self.components.clone();
        if let Err(refusal) = components.publisher.record_installers().await {
            tracing::warn!(%refusal, "which installers machines boot is not on record");
        }
        let all = stop.child_token();
        let mut tasks = Tasks::default();
        self.listen(&mut tasks, &all);
        watch(&components, &mut tasks, &all);

        // After the stop, listeners are expected to end.
        let ended = tokio::select! {
            biased;
            () = stop.cancelled() => Ok(()),
            died = tasks.first_to_end() => Err(died),
        };
        all.cancel();
        wind_down(&components, tasks).await;
        ended
    }

    /// Adds a task for each listener, and the watch over the profiles.
    fn listen(self, tasks: &mut Tasks, all: &CancellationToken) {
        let Self {
            components,
            listeners,
            tls,
            admin: admin_socket,
            remote,
            config,
            profiles,
            reload,
        } = self;
        for listeners in listeners {
            listeners.serve(&components, &tls, tasks, all);
        }
        let served = serve_unix(
            admin_socket,
            admin::router(components.admin.clone()),
            all.clone(),
        );
        tasks.add("admin.socket", async { Ok(served.await?) });
        if let Some(remote) = remote {
            remote.serve(&components, &tls, tasks, all);
        }
        let watched = hosts::watch(config, profiles, hosts::EVERY, reload, all.clone());
        tasks.add_watch("the watch over hosts-dir", watched);
    }
}

/// Adds a task for everything that goes on without being asked to.
fn watch(components: &Arc<Components>, tasks: &mut Tasks, all: &CancellationToken) {
    let (settings, store) = (&components.settings, &components.store);
    let watched = lan_scan::watch(settings.clone(), components.scan.clone(), all.clone());
    tasks.add_watch("the watch over the LANs", watched);
    let (log, told) = (components.boot.log.clone(), all.clone());
    tasks.add_watch("the record of boots", async move { log.keep(told).await });
    let config = settings.config();
    if let (Some(every), Some(flake)) = (config.publish.watch, &config.flake) {
        let branch = FlakeBranch::new(
            settings.clone(),
            components.installers.clone(),
            components.publisher.clone(),
            flake,
        );
        let (store, status, told) = (store.clone(), components.follow.clone(), all.clone());
        tasks.add_watch("the watch over the flake", async move {
            follow(&store, &branch, every, (&status, clock::now), &told).await;
        });
    }
    let watched = cluster::watch(
        settings.clone(),
        store.clone(),
        components.keys.clone(),
        all.clone(),
    );
    tasks.add_watch("the watch over the cluster", watched);
    let (writing, told) = (store.clone(), all.clone());
    tasks.add("the store", async move {
        tokio::select! {
            () = writing.ended() => Err(anyhow!("the store has ended")),
            () = told.cancelled() => Ok(()),
        }
    });
    if let Some(period) = sd_notify::watchdog_enabled() {
        let beating = notify::beat(store.clone(), period, notify::tell, all.clone());
        tasks.add_watch("the sign of life", beating);
    }
}

/// Waits for the tasks that were told to stop, within their time limit.
async fn wind_down(components: &Components, mut tasks: Tasks) {
    notify::tell(NotifyState::Stopping);
    let listeners = tokio::time::timeout(LISTENERS, tasks.all_ended());
    if listeners.await.is_err() {
        tracing::warn!("some listeners did not end in time; cut off");
    }
    drop(tasks);
    let store = tokio::time::timeout(STORE, components.store.close());
    if store.await.is_err() {
        tracing::warn!("the store did not close in time; what was acknowledged is safe");
    }
}
