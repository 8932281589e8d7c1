//! Binds everything, runs it, stops it.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use futures_lite::FutureExt;
use netboot::decide::Address;
use netboot::profile::Profiles;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::cache::Cache;
use crate::check::Checked;
use crate::clock;
use crate::config::{Config, Dhcp, Loaded};
use crate::counters::Counters;
use crate::dhcp::{self, Door, LanSocket};
use crate::http::plain::serve_plain;
use crate::http::tls::{self, serve_tls};
use crate::http::unix::{AdminSocket, serve_unix};
use crate::http::{admin, node, open};
use crate::keys::Keys;
use crate::loaders::Loaders;
use crate::store::Store;
use crate::tftp::Tftp;
use crate::{hosts, k3s};

pub mod notify;

/// How long the listeners have to end. With [`STORE`], 2 s in all.
const LISTENERS: Duration = Duration::from_millis(1300);

/// How long the store has to write what is pending.
const STORE: Duration = Duration::from_millis(600);

/// Everything opened and bound, nothing served yet.
pub struct Bound {
    app: Arc<App>,
    http: TcpListener,
    node: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    admin: AdminSocket,
    tftp: Tftp,
    dhcp: Vec<(Door, LanSocket)>,
    config: Loaded,
    profiles: watch::Sender<Arc<Profiles>>,
    reload: Arc<Notify>,
}

/// Opens the store, the keys and the cache, reads the loaders, and binds every socket.
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
    make_private(&config.state_dir)?;

    let ip = config.lan.address;
    let http = tcp(ip, config.http_port, "http.port").await?;
    let node = tcp(ip, config.node_port, "http.node-port").await?;
    let tftp = udp(ip, config.ports.tftp)?;
    let doors = match config.dhcp {
        Dhcp::Off => Vec::new(),
        Dhcp::Proxy | Dhcp::Server { .. } => vec![
            lan_socket(&config, Door::Dhcp)?,
            lan_socket(&config, Door::Binl)?,
        ],
    };
    let loaders = Loaders::read(&config.ipxe_dir)?;
    let admin = admin_socket(&config.admin_socket)?;

    let opening = config.clone();
    let open = move || -> anyhow::Result<_> {
        let dir = &opening.state_dir;
        let keys = Keys::open(dir, &opening.k3s).context("cannot open the keys")?;
        let cache = Cache::open(dir, keys.cache_secret_file()).context("cannot open the cache")?;
        let store = Store::open(dir, clock::now).context("cannot open the store")?;
        Ok((keys, cache, store))
    };
    let (keys, cache, store) = tokio::task::spawn_blocking(open).await??;

    let address = Address {
        ip,
        http_port: http.local_addr()?.port(),
        node_port: node.local_addr()?.port(),
        pin: keys.pin().to_owned(),
    };
    let tls = tls::server_config(&keys)?;
    let (sender, receiver) = watch::channel(Arc::new(profiles));
    let app = Arc::new(App {
        policy: config.policy(),
        config,
        store,
        keys,
        cache,
        profiles: receiver,
        address,
        loaders,
        counters: Counters::default(),
    });
    Ok(Bound {
        tftp: Tftp::on(tftp, app.clone()).await?,
        app,
        http,
        node,
        tls,
        admin,
        dhcp: doors,
        config: loaded,
        profiles: sender,
        reload: Arc::new(Notify::new()),
    })
}

impl Bound {
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    pub fn tftp(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.tftp.address()?)
    }

    /// Asks for a look at the profiles at once.
    pub fn reload(&self) -> Arc<Notify> {
        self.reload.clone()
    }

    /// One line for each fact that an operator may look for.
    pub fn announce(&self) {
        let Config {
            lan, dhcp, images, ..
        } = &self.app.config;
        let Address {
            http_port,
            node_port,
            ..
        } = self.app.address;
        tracing::info!(version = env!("CARGO_PKG_VERSION"), "pxe-appliance");
        tracing::info!(interface = lan.interface, address = %lan, why = lan.why, "LAN");
        tracing::info!(mode = %dhcp, "DHCP");
        let tftp = self.tftp().map_or(0, |at| at.port());
        tracing::info!(http_port, node_port, tftp_port = tftp, "listening");
        tracing::info!(socket = %self.app.config.admin_socket.display(), "admin API");
        tracing::info!(profiles = self.app.profiles().by_name.len(), "profiles");
        for image in images {
            let (name, arch) = (&image.image.name, &image.image.arch);
            tracing::info!(name, arch, "installer image");
        }
        if images.is_empty() {
            tracing::warn!("no installer image is configured: nothing can be installed");
        }
        let (found, missing) = (self.app.loaders.found(), self.app.loaders.missing());
        tracing::info!(found = found.join(" "), "boot loaders");
        if !missing.is_empty() {
            let folder = self.app.config.ipxe_dir.display();
            tracing::warn!(missing = missing.join(" "), %folder, "boot loaders are missing");
        }
    }

    /// Runs until `stop`, then ends within 2 s, also with transfers in flight.
    ///
    /// # Errors
    /// A listener died: the process must not go on half alive.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let Self {
            app,
            http,
            node,
            tls,
            admin: admin_socket,
            tftp,
            dhcp: doors,
            config,
            profiles,
            reload,
        } = self;
        let all = stop.child_token();
        let mut tasks = Tasks::default();
        let served = serve_plain(http, open::router(app.clone()), all.clone());
        tasks.add("http.port", async { Ok(served.await?) });
        let served = serve_tls(node, tls, node::router(app.clone()), all.clone());
        tasks.add("http.node-port", async { Ok(served.await?) });
        let served = serve_unix(admin_socket, admin::router(app.clone()), all.clone());
        tasks.add("admin.socket", async { Ok(served.await?) });
        let served = tftp.run(all.clone());
        tasks.add("TFTP", async { Ok(served.await?) });
        for (door, socket) in doors {
            let served = dhcp::serve(app.clone(), socket, door, all.clone());
            let name = match door {
                Door::Dhcp => "DHCP on port 67",
                Door::Binl => "DHCP on port 4011",
            };
            tasks.add(name, async { Ok(served.await?) });
        }
        let watched = hosts::watch(config, profiles, hosts::EVERY, reload, all.clone());
        tasks.add("the watch over hosts-dir", async {
            watched.await;
            Ok(())
        });
        let watched = k3s::watch(app.clone(), all.clone());
        tasks.add("the watch over the cluster", async {
            watched.await;
            Ok(())
        });

        // Once told to stop, listeners that end are no news.
        let ended = tokio::select! {
            biased;
            () = stop.cancelled() => Ok(()),
            died = tasks.first_to_end() => Err(died),
        };
        all.cancel();
        notify::tell("STOPPING=1");
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
    set: JoinSet<(&'static str, anyhow::Result<()>)>,
}

impl Tasks {
    fn add(
        &mut self,
        name: &'static str,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
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

async fn tcp(ip: Ipv4Addr, port: u16, key: &str) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(SocketAddrV4::new(ip, port)).await;
    listener.with_context(|| format!("cannot listen on {ip}:{port} ({key})"))
}

fn udp(ip: Ipv4Addr, port: u16) -> anyhow::Result<std::net::UdpSocket> {
    let socket = std::net::UdpSocket::bind(SocketAddrV4::new(ip, port));
    socket.with_context(|| format!("cannot listen on {ip}, UDP port {port} (TFTP)"))
}

fn lan_socket(config: &Config, door: Door) -> anyhow::Result<(Door, LanSocket)> {
    let port = match door {
        Door::Dhcp => config.ports.dhcp,
        Door::Binl => config.ports.binl,
    };
    let socket = LanSocket::bind(&config.lan, port);
    let interface = &config.lan.interface;
    let socket =
        socket.with_context(|| format!("cannot listen on {interface}, UDP port {port} (DHCP)"))?;
    Ok((door, socket))
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
