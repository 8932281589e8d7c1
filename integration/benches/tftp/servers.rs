//! The servers that are compared, each on an address of its own on loopback, with the same files.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use integration::lab::command::run;
use integration::lab::loaders::{FOLDER, TestLoaders};
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
    Ours { _loaders: TestLoaders },
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
    let loaders = TestLoaders::serve(&program, Ipv4Addr::LOCALHOST, files, dir)?;
    let mut servers = vec![Server {
        name: "ours",
        at: SocketAddr::V4(loaders.at),
        _runs: Runs::Ours { _loaders: loaders },
    }];
    // tftpd-hpa asks the resolver for its own address, and that knows none where there is but 127.0.0.1.
    run(Command::new("ip").args(["address", "add", "10.77.0.9/32", "dev", "lo"]))?;
    for peer in peers(&root) {
        let (name, last) = (peer.name, peer.last);
        let Some(path) = peer.program else {
            println!("without {name}: {}", peer.tip);
            continue;
        };
        let log = dir.join(format!("{name}.log"));
        let words = peer.words.split_whitespace();
        let mut process = Process::start(name, Command::new(path).args(words), &log)?;
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

/// A server that ours is measured beside.
struct Peer {
    name: &'static str,
    /// `None` if it is not there.
    program: Option<PathBuf>,
    /// How to get it.
    tip: &'static str,
    /// It is to serve on 127.0.0.`last`.
    last: u8,
    words: String,
}

fn peers(root: &Path) -> [Peer; 5] {
    const FETCHED: &str = "integration/benches/peers fetches it";
    const BUILT: &str = "`cargo bench --features peers` builds it";
    let async_tftp = || option_env!("CARGO_BIN_EXE_async-tftp-peer").map(PathBuf::from);
    let root = root.display();
    [
        Peer {
            name: "dnsmasq",
            program: peers::find("dnsmasq"),
            tip: FETCHED,
            last: 2,
            words: format!(
                "--no-daemon --conf-file=/dev/null --port=0 --user=root --bind-interfaces --listen-address=127.0.0.2 \
                 --enable-tftp --tftp-root={root} --tftp-max=100"
            ),
        },
        Peer {
            name: "atftpd",
            program: peers::find("atftpd"),
            tip: FETCHED,
            last: 3,
            words: format!(
                "--daemon --no-fork --user root.root --maxthread 100 --bind-address 127.0.0.3 {root}"
            ),
        },
        Peer {
            name: "tftpd-hpa",
            program: peers::find("in.tftpd"),
            tip: FETCHED,
            last: 4,
            words: format!("-L -u root -a 127.0.0.4:69 -s {root}"),
        },
        Peer {
            name: "async-tftp",
            program: async_tftp(),
            tip: BUILT,
            last: 5,
            words: format!("127.0.0.5:69 {root}"),
        },
        // The same, sending again after 200 ms and not after 3 s: where packets are lost, that is all it lacks.
        Peer {
            name: "async-200ms",
            program: async_tftp(),
            tip: BUILT,
            last: 6,
            words: format!("127.0.0.6:69 {root} 200"),
        },
    ]
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
