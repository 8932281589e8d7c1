//! The sections of `appliance.toml`, one after the other → the configuration, or all that is wrong.

mod admin;
mod boot;
mod dhcp;
mod http;
mod images;
mod k3s;
mod lans;
mod paths;
mod publish;
mod safety;
mod server;

use std::ops::Range;

use netboot::base::toml_reader::{Document, Reader};

use super::{Config, ConfigText, ConfigTrouble, Ports};
use crate::net::Interface;
use paths::{PathKind, exists, or, path};

/// Beside the file; in the working directory where there is none.
const HOSTS: &str = "hosts/profiles";

pub(super) fn check(
    source: &ConfigText,
    interfaces: &[Interface],
) -> Result<(Config, Range<usize>), ConfigTrouble> {
    let document =
        Document::parse(&source.file, &source.text).map_err(|problem| ConfigTrouble {
            problems: vec![problem],
            ..ConfigTrouble::default()
        })?;
    let mut reader = Reader::new(&source.file, &source.text);
    let folder = source.folder();
    let mut top = document.top();

    let state_dir = path(&mut reader, &mut top, "state-dir", folder);
    let hosts_dir = path(&mut reader, &mut top, "hosts-dir", folder);
    if let Some(dir) = &hosts_dir {
        exists(&mut reader, dir, PathKind::Folder);
    }
    let flake = paths::flake(&mut reader, &mut top, folder);
    let lans = lans::read(&mut reader, &mut top, interfaces);
    let (dhcp, beside) = dhcp::read(&mut reader, &mut top, lans.as_deref().ok());
    let boot = boot::read(&mut reader, &mut top, folder);
    let (http_port, node_port) = http::read(&mut reader, &mut top);
    let taken = [("http.port", http_port), ("http.node-port", node_port)];
    let (admin_socket, admin_listen) = admin::read(&mut reader, &mut top, folder, &taken);
    let images = images::read(&mut reader, &mut top, folder);
    let k3s = k3s::read(&mut reader, &mut top, folder);
    let publish = publish::read(&mut reader, &mut top, flake.is_some());
    top.finish(&mut reader);

    let hosts_dir = hosts_dir.map_or_else(|| folder.join(HOSTS), |dir| dir.value);
    let problems = reader.into_problems();
    match (lans, dhcp, problems.as_slice()) {
        (Ok(lans), Some(dhcp), []) => {
            let config = Config {
                state_dir: or(state_dir, "/var/lib/pxe-appliance"),
                hosts_dir,
                flake,
                lans,
                dhcp,
                share_port: beside.share_port,
                allow_second_server: beside.second_server,
                unknown: boot.unknown.value,
                attempts: boot.attempts,
                armed_for: boot.armed_for,
                ipxe_dir: boot.ipxe_dir,
                grub_dir: boot.grub_dir,
                raspberry_pi_dir: boot.raspberry_pi_dir,
                http_port,
                node_port,
                ports: Ports::default(),
                admin_socket,
                admin_listen,
                images,
                k3s,
                publish,
            };
            Ok((config, boot.unknown.at))
        }
        (lans, _, _) => Err(ConfigTrouble {
            problems,
            lan: lans.err().flatten(),
            hosts_dir: Some(hosts_dir),
        }),
    }
}
