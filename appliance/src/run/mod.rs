//! Binds everything, runs it, stops it.

use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use futures_lite::FutureExt;
use netboot::dhcp::other_servers::Mode;
use netboot::doctor::checks;
use netboot::profile::Profiles;
use parking_lot::Mutex;
use sd_notify::NotifyState;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::base::clock;
use crate::base::counters::Counters;
use crate::boot::packets::Packets;
use crate::boot::timelines::Timelines;
use crate::cache::Cache;
use crate::cluster;
use crate::config::hosts;
use crate::config::validate::Checked;
use crate::config::{Config, Loaded};
use crate::files::budget::Room;
use crate::files::loaders::Loaders;
use crate::http::unix::{AdminSocket, serve_unix};
use crate::http::{admin, tls};
use crate::installers::Installers;
use crate::keys::Keys;
use crate::lan_scan::{self, Findings};
use crate::net::Segment;
use crate::publish::follow::{FlakeBranch, Looks, follow};
use crate::store::Store;

mod listeners;
pub mod log;
pub mod notify;
mod remote;

use listeners::{Doors, Sockets};
use remote::Remote;

/// How long the listeners have to end. With [`STORE`], 2 s in all.
const LISTENERS: Duration = Duration::from_millis(1300);

/// How long the store has to write what is pending.
const STORE: Duration = Duration::from_millis(600);

/// Everything opened and bound, nothing served yet.
pub struct Bound {
    app: Arc<App>,
    /// Of each LAN, in the order of the configuration.
    doors: Vec<Doors>,
    tls: Arc<rustls::ServerConfig>,
    admin: AdminSocket,
    /// The operators' door on the network, if there is one.
    remote: Option<Remote>,
    config: Loaded,
    profiles: watch::Sender<Arc<Profiles>>,
    reload: Arc<Notify>,
}

/// Looks whether server mode is alone, opens the store, the keys and the cache, reads the loaders, and binds every
/// socket.
///
/// # Errors
/// The first thing that is not as it must be, by name.
pub async fn bind(checked: Checked) -> anyhow::Result<Bound> {
    let Checked {
        config: loaded,
        profiles,
        ..
    } = checked;
    let config = loaded.config.clone();
    // Before anything is made or bound: beside another server, nothing is.
    let findings = Findings::default();
    if config.mode() == Some(Mode::Server) && !config.allow_second_server {
        lan_scan::probe::alone(&config.lans, &findings).await?;
    }
    make_private(&config.state_dir)?;

    let mut sockets = Vec::new();
    for lan in &config.lans {
        sockets.push(Sockets::bind(&config, lan).await?);
    }
    let loaders = Loaders::read(&config.ipxe_dir, &config.grub_dir)?;
    let admin = admin_socket(&config.admin_socket)?;
    let remote = match &config.admin_listen {
        Some(listen) => Some(remote::Bound::bind(listen).await?),
        None => None,
    };

    let opening = config.clone();
    let open = move || -> anyhow::Result<_> {
        let dir = &opening.state_dir;
        let keys = Keys::open(dir, &opening.k3s).context("cannot open the keys")?;
        let room = Room::default();
        let cache = Cache::open(dir, keys.cache_secret_file(), room.clone());
        let cache = cache.context("cannot open the cache")?;
        let store = Store::open(dir, clock::now).context("cannot open the store")?;
        let timelines = Timelines::open(dir, clock::now);
        let installers = Installers::open(dir, &opening.images, room)?;
        Ok((keys, cache, store, timelines, installers))
    };
    let (keys, cache, store, timelines, installers) = tokio::task::spawn_blocking(open).await??;

    let remote = remote.map(|bound| bound.open(&config, &keys, &cache));
    let remote = remote.transpose()?;
    let segments = sockets.iter().map(|s| s.segment(keys.pin()));
    let segments = segments.collect::<anyhow::Result<Vec<_>>>()?;
    let tls = tls::server_config(&keys)?;
    let (sender, receiver) = watch::channel(Arc::new(profiles));
    let app = Arc::new(App {
        policy: config.policy(),
        config,
        store,
        keys,
        cache,
        profiles: receiver,
        segments: segments.clone(),
        loaders,
        installers,
        unlocks: Mutex::default(),
        trials: Mutex::default(),
        departures: Mutex::default(),
        findings,
        counters: Counters::default(),
        looks: Looks::default(),
        timelines,
        packets: Packets::default(),
    });
    let mut doors = Vec::new();
    for (sockets, segment) in sockets.into_iter().zip(segments) {
        doors.push(sockets.open(&app, segment)?);
    }
    Ok(Bound {
        app,
        doors,
        tls,
        admin,
        remote,
        config: loaded,
        profiles: sender,
        reload: Arc::new(Notify::new()),
    })
}

impl Bound {
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Where TFTP is asked on the first LAN.
    pub fn tftp(&self) -> SocketAddr {
        self.doors[0].tftp()
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
        let Config { dhcp, .. } = &self.app.config;
        tracing::info!(version = env!("CARGO_PKG_VERSION"), "pxe-appliance");
        tracing::info!(mode = %dhcp, "DHCP");
        for doors in &self.doors {
            let Segment { lan, address } = doors.segment();
            tracing::info!(interface = lan.interface, address = %lan, why = lan.why, "LAN");
            let (iface, tftp_port) = (&lan.interface, doors.tftp().port());
            let (http_port, node_port) = (address.http_port, address.node_port);
            tracing::info!(iface, http_port, node_port, tftp_port, "listening");
        }
        tracing::info!(socket = %self.app.config.admin_socket.display(), "admin API");
        if let Some(remote) = &self.remote {
            remote.announce();
        }
        tracing::info!(profiles = self.app.profiles().by_name.len(), "profiles");
        let images = self.app.installers.all();
        for image in &images {
            let (name, arch) = (&image.image.name, &image.image.arch);
            tracing::info!(name, arch, "installer image");
        }
        if images.is_empty() {
            tracing::warn!(
                "there is no installer image: nothing can be installed before `pxe-admin publish`"
            );
        }
        if self.app.config.k3s.has_one_token() {
            tracing::warn!(tip = checks::TWO_TOKENS, "{}", checks::ONE_TOKEN);
        }
        self.announce_loaders();
    }

    /// Those that are missing, for the architectures that profiles are for: nobody needs all there are.
    fn announce_loaders(&self) {
        let loaders = &self.app.loaders;
        tracing::info!(found = loaders.found().join(" "), "boot loaders");
        for kernel in self.app.kernels() {
            for missing in loaders.missing(&kernel) {
                let (loader, purpose) = (missing.name, missing.purpose);
                tracing::info!(loader, purpose, "boot loader is not there");
            }
            for firmware in loaders.unserved(&kernel) {
                let (ipxe, grub) = (
                    self.app.config.ipxe_dir.display(),
                    self.app.config.grub_dir.display(),
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
        let Self {
            app,
            doors,
            tls,
            admin: admin_socket,
            remote,
            config,
            profiles,
            reload,
        } = self;
        let all = stop.child_token();
        if let Err(refusal) = app.record_installers().await {
            tracing::warn!(%refusal, "which installers machines boot is not on record");
        }
        let mut tasks = Tasks::default();
        for doors in doors {
            doors.serve(&app, &tls, &mut tasks, &all);
        }
        let served = serve_unix(admin_socket, admin::router(app.clone()), all.clone());
        tasks.add("admin.socket", async { Ok(served.await?) });
        if let Some(remote) = remote {
            remote.serve(&app, &tls, &mut tasks, &all);
        }
        let watched = hosts::watch(config, profiles, hosts::EVERY, reload, all.clone());
        tasks.add("the watch over hosts-dir", async {
            watched.await;
            Ok(())
        });
        let watched = lan_scan::watch(app.clone(), all.clone());
        tasks.add("the watch over the LANs", async {
            watched.await;
            Ok(())
        });
        let (keeper, told) = (app.clone(), all.clone());
        tasks.add("the record of boots", async move {
            keeper.timelines.keep(told).await;
            Ok(())
        });
        let following = &app.config.publish;
        if let (Some(every), Some(flake)) = (following.watch, &app.config.flake) {
            let (app, told) = (app.clone(), all.clone());
            let branch = FlakeBranch::new(app.clone(), flake);
            tasks.add("the watch over the flake", async move {
                follow(&app.store, &branch, every, (&app.looks, clock::now), &told).await;
                Ok(())
            });
        }
        let watched = cluster::watch(app.clone(), all.clone());
        tasks.add("the watch over the cluster", async {
            watched.await;
            Ok(())
        });
        let (store, told) = (app.store.clone(), all.clone());
        tasks.add("the store", async move {
            tokio::select! {
                () = store.ended() => Err(anyhow!("nothing can be written down any more")),
                () = told.cancelled() => Ok(()),
            }
        });

        if let Some(period) = sd_notify::watchdog_enabled() {
            let beating = notify::beat(app.store.clone(), period, notify::tell, all.clone());
            tasks.add("the sign of life", async {
                beating.await;
                Ok(())
            });
        }

        // Once told to stop, listeners that end are no news.
        let ended = tokio::select! {
            biased;
            () = stop.cancelled() => Ok(()),
            died = tasks.first_to_end() => Err(died),
        };
        all.cancel();
        notify::tell(NotifyState::Stopping);
        if tokio::time::timeout(LISTENERS, tasks.all_ended())
            .await
            .is_err()
        {
            tracing::warn!("some listeners did not end in time; cut off");
        }
        drop(tasks);
        if tokio::time::timeout(STORE, app.store.close())
            .await
            .is_err()
        {
            tracing::warn!("the store did not close in time; what was acknowledged is safe");
        }
        ended
    }
}

/// The listeners by name. Dropping it ends them.
#[derive(Default)]
struct Tasks {
    set: JoinSet<(String, anyhow::Result<()>)>,
}

impl Tasks {
    fn add(
        &mut self,
        name: impl Into<String>,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        let name = name.into();
        self.set.spawn(async move {
            let ended = AssertUnwindSafe(task).catch_unwind().await;
            (name, ended.unwrap_or_else(|_| Err(anyhow!("it panicked"))))
        });
    }

    /// Waits for a listener to end, which none should, and says which it was.
    async fn first_to_end(&mut self) -> anyhow::Error {
        match self.set.join_next().await {
            Some(Ok((name, Err(error)))) => error.context(format!("{name} died")),
            Some(Ok((name, Ok(())))) => anyhow!("{name} ended by itself"),
            Some(Err(error)) => anyhow::Error::new(error).context("a listener died"),
            None => anyhow!("nothing is served"),
        }
    }

    async fn all_ended(&mut self) {
        while let Some(ended) = self.set.join_next().await {
            if let Ok((name, Err(error))) = ended {
                tracing::warn!(
                    listener = name,
                    error = format!("{error:#}"),
                    "did not end well"
                );
            }
        }
    }
}

fn admin_socket(path: &Path) -> anyhow::Result<AdminSocket> {
    if let Some(folder) = path.parent()
        && !folder.as_os_str().is_empty()
        && !folder.exists()
    {
        // The service's umask would shut out the group that may open the socket.
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::set_permissions(folder, open))
            .with_context(|| format!("cannot make {}", folder.display()))?;
    }
    AdminSocket::bind(path).with_context(|| format!("cannot listen on {}", path.display()))
}

/// Keys and tokens live below it: nobody else may look in.
fn make_private(folder: &Path) -> anyhow::Result<()> {
    let mut make = std::fs::DirBuilder::new();
    let made = make.recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("cannot make {} (state-dir)", folder.display()))
}

#[cfg(test)]
mod tests;
