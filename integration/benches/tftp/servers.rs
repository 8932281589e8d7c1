//! The servers that are compared, each on an address of its own on loopback, with the same files.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use integration::lab::enclose::run;
use integration::lab::loaders::{FOLDER, Loaders};
use integration::lab::peers;
use integration::lab::process::Process;
use integration::lab::products::Products;
use integration::lab::wait::wait_for;

use crate::client::{Wish, fetch};

/// Running, until it is dropped.
pub(crate) struct Server {
    pub name: &'static str,
    pub at: SocketAddr,
    _runs: Runs,
}

enum Runs {
    Ours { _loaders: Loaders },
    Peer { _process: Process },
}

/// All that are there: ours first. `files` are in the folder that every server has.
pub(crate) fn start(files: &[(&str, &[u8])], dir: &Path) -> anyhow::Result<Vec<Server>> {
    let root = dir.join("peers");
    fs::create_dir_all(root.join(FOLDER))?;
    for (name, bytes) in files {
        fs::write(root.join(FOLDER).join(name), bytes)?;
    }
    let program = Products::find()?.program("pxe-appliance");
    let loaders = Loaders::serve(&program, Ipv4Addr::LOCALHOST, files, dir)?;
    let mut servers = vec![Server {
        name: "ours",
        at: SocketAddr::V4(loaders.at),
        _runs: Runs::Ours { _loaders: loaders },
    }];
    // tftpd-hpa asks the resolver for its own address, and that knows none where there is but 127.0.0.1.
    run(Command::new("ip").args(["address", "add", "10.77.0.9/32", "dev", "lo"]))?;
    let shown = root.display();
    for (name, program, last, words) in [
        (
            "dnsmasq",
            "dnsmasq",
            2,
            format!(
                "--no-daemon --conf-file=/dev/null --port=0 --user=root --bind-interfaces --listen-address=127.0.0.2 \
                 --enable-tftp --tftp-root={shown} --tftp-max=100"
            ),
        ),
        (
            "atftpd",
            "atftpd",
            3,
            format!(
                "--daemon --no-fork --user root.root --maxthread 100 --bind-address 127.0.0.3 {shown}"
            ),
        ),
        (
            "tftpd-hpa",
            "in.tftpd",
            4,
            format!("-L -u root -a 127.0.0.4:69 -s {shown}"),
        ),
    ] {
        let Some(path) = peers::find(program) else {
            println!(
                "without {name}: `{program}` is not there (integration/benches/peers fetches it)"
            );
            continue;
        };
        let log = dir.join(format!("{name}.log"));
        let mut process = Process::start(
            name,
            Command::new(path).args(words.split_whitespace()),
            &log,
        )?;
        let at = SocketAddr::from(([127, 0, 0, last], 69));
        wait_for(&format!("{name} to serve"), Duration::from_secs(10), || {
            process
                .still_runs()
                .with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
            Ok(listens(at)?)
        })?;
        servers.push(Server {
            name,
            at,
            _runs: Runs::Peer { _process: process },
        });
    }
    if servers.len() == 1 {
        bail!("there is nothing to compare with\n\n  tip: integration/benches/peers");
    }
    for server in &servers {
        let (name, want) = files.first().context("no files")?;
        let wish = Wish {
            name: format!("{FOLDER}/{name}"),
            block: 1468,
            window: 1,
        };
        let mut got = Vec::new();
        fetch(Ipv4Addr::LOCALHOST, server.at, &wish, &mut got).with_context(|| server.name)?;
        if got != *want {
            bail!("{} sends something else", server.name);
        }
    }
    Ok(servers)
}

/// Whether a socket is bound there, as the kernel lists them: address and port in the hexadecimal of the machine.
fn listens(at: SocketAddr) -> std::io::Result<bool> {
    let SocketAddr::V4(at) = at else {
        return Ok(false);
    };
    let want = format!(
        "{:08X}:{:04X}",
        u32::from_ne_bytes(at.ip().octets()),
        at.port()
    );
    Ok(fs::read_to_string("/proc/net/udp")?.contains(&want))
}
