//! Opens the state directory and binds every socket.

use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use netboot::dhcp::other_servers::DhcpMode;
use tokio::sync::{Notify, watch};

use super::components::{Components, StateDir};
use super::listeners::LanSockets;
use super::remote::RemoteSocket;
use super::service::Service;
use crate::base::clock;
use crate::config::Config;
use crate::config::settings::Settings;
use crate::config::validate::Checked;
use crate::files::loaders::Loaders;
use crate::http::tls;
use crate::http::unix::AdminSocket;
use crate::lan_scan::{self, LanScan};

/// Looks whether server mode is alone, reads the loaders, binds every socket, and opens the keys, the cache and the store.
///
/// # Errors
/// The first thing that is not as it must be, by name.
pub async fn bind(checked: Checked) -> anyhow::Result<Service> {
    let Checked {
        config: loaded,
        profiles,
        ..
    } = checked;
    let config = loaded.config.clone();
    // This comes before any file is made and any socket bound: beside another DHCP server, none is.
    let scan = no_second_server(&config).await?;
    make_private(&config.state_dir)?;

    let mut sockets = Vec::new();
    for lan in &config.lans {
        sockets.push(LanSockets::bind(&config, lan).await?);
    }
    let loaders = Loaders::read(&config.ipxe_dir, &config.grub_dir)?;
    let admin = admin_socket(&config.admin_socket)?;
    let remote = match &config.admin_listen {
        Some(listen) => Some(RemoteSocket::bind(listen).await?),
        None => None,
    };

    let opening = config.clone();
    let opened =
        tokio::task::spawn_blocking(move || StateDir::open(&opening, clock::now)).await??;
    let segments = sockets.iter().map(|s| s.segment(opened.keys.pin()));
    let segments = segments.collect::<anyhow::Result<Vec<_>>>()?;
    let (sender, receiver) = watch::channel(Arc::new(profiles));
    let settings = Settings::new(config, segments.clone(), receiver);
    let components = Components::new(settings, opened, loaders, Arc::new(scan));
    let remote = remote.map(|socket| socket.open(&components)).transpose()?;
    let tls = tls::server_config(&components.keys)?;
    let mut listeners = Vec::new();
    for (sockets, segment) in sockets.into_iter().zip(segments) {
        listeners.push(sockets.open(&components, segment)?);
    }
    Ok(Service {
        components: Arc::new(components),
        listeners,
        tls,
        admin,
        remote,
        config: loaded,
        profiles: sender,
        reload: Arc::new(Notify::new()),
    })
}

/// What the scan before server mode found; an empty scan in the other modes.
async fn no_second_server(config: &Config) -> anyhow::Result<LanScan> {
    let scan = LanScan::default();
    if config.mode() == Some(DhcpMode::Server) && !config.allow_second_server {
        lan_scan::probe::alone(&config.lans, &scan).await?;
    }
    Ok(scan)
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
