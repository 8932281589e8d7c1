//! TFTP: ours beside dnsmasq, atftpd, tftpd-hpa and async-tftp, in one run, with one client for all.
//!
//! Everything happens on loopback in a namespace of its own. Packets are cut before they leave, as cards have it, and
//! lost where they come in, in both directions. Without loss, the servers take turns and the median of the rounds
//! counts; with loss, waiting is all that takes time, so the peers run at once.
//!
//! Then come the probes: what firmware does besides reading a file to its end, and what each server makes of it.
//!
//! `cargo bench -p integration --features peers --bench tftp [-- WORD…]`: only the cases whose line has all the words.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use integration::lab::loaders::FOLDER;
use integration::lab::loss::lose;
use integration::lab::namespaces::enter_namespaces;

mod client;
mod probes;
mod servers;

use client::{Terms, Wish, fetch};
use probes::{PROBES, Probe};
use servers::Server;

/// The width of the titles, in characters.
const WIDTH: usize = 49;

/// The rounds of each case without loss.
const ROUNDS: usize = 5;

/// Files one after the other that one client gets where packets are lost: chance evens out.
const IN_A_ROW: usize = 4;

#[derive(Debug, Clone, Copy)]
struct Case {
    block: usize,
    window: u16,
    clients: u8,
    /// How many of 1000 packets are lost, in each direction.
    loss: u32,
}

impl Case {
    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for loss in [0, 5, 25] {
            for clients in [1, 50] {
                for block in [512, 1468] {
                    for window in [1, 16] {
                        all.push(Self {
                            block,
                            window,
                            clients,
                            loss,
                        });
                    }
                }
            }
        }
        all
    }

    fn title(self) -> String {
        let Self {
            block,
            window,
            clients,
            loss,
        } = self;
        let loss = f64::from(loss) / 10.0;
        format!("{loss:>3} % lost  {clients:>2} × blksize {block:>4} window {window:>2}")
    }

    /// What each client gets: enough to measure, not more than a person waits for.
    fn file(self) -> &'static str {
        match (self.loss, self.clients) {
            (0, 1) => "ipxe.efi",
            (0, _) => "snponly.efi",
            _ => "undionly.kpxe",
        }
    }

    fn in_a_row(self) -> usize {
        if self.loss > 0 && self.clients == 1 {
            IN_A_ROW
        } else {
            1
        }
    }
}

/// How one server did in one case.
#[derive(Debug, Clone, Copy)]
struct Time {
    /// The time until the last client had its last file.
    took: Duration,
    terms: Terms,
    failed: usize,
}

fn main() -> anyhow::Result<()> {
    enter_namespaces()?;
    lose(0)?;
    let words: Vec<_> = std::env::args()
        .skip(1)
        .filter(|w| w != "--bench")
        .collect();
    let bytes = |n: usize| -> Vec<u8> { (0..n).map(|n| (n * 31 % 251) as u8).collect() };
    let (brief, middle, long) = (
        bytes(96 * 1024 + 1),
        bytes((1 << 20) + 1),
        bytes((16 << 20) + 1),
    );
    let files = [
        ("undionly.kpxe", &brief[..]),
        ("snponly.efi", &middle),
        ("ipxe.efi", &long),
    ];
    let dir = tempfile::tempdir()?;
    let servers = servers::start(&files, dir.path())?;
    let names: Vec<_> = servers.iter().map(|s| format!("{:>12}", s.name)).collect();
    println!(
        "{:<WIDTH$}{}   ours : best of the others",
        "",
        names.concat()
    );
    let wanted = |title: &str| words.iter().all(|word| title.contains(word.as_str()));
    for case in Case::all() {
        let title = case.title();
        if !wanted(&title) {
            continue;
        }
        let want = files
            .iter()
            .find(|(name, _)| *name == case.file())
            .context("no such file")?
            .1;
        lose(case.loss)?;
        let times = match case.loss {
            0 => in_turn(&servers, case, want)?,
            _ => at_once(&servers, case, want)?,
        };
        lose(0)?;
        show(&title, case, want.len(), &times);
    }
    for probe in PROBES.iter().filter(|probe| wanted(probe.title)) {
        let cells = probed(&servers, probe)?;
        println!("{:<WIDTH$}{}", probe.title, cells.concat());
    }
    Ok(())
}

/// What each server did, all asked at once: waiting is what takes time.
fn probed(servers: &[Server], probe: &Probe) -> anyhow::Result<Vec<String>> {
    std::thread::scope(|scope| {
        let asked: Vec<_> = servers
            .iter()
            .map(|server| scope.spawn(move || (probe.ask)(server)))
            .collect();
        let told = asked
            .into_iter()
            .map(|asked| asked.join().expect("does not panic"));
        told.map(|told| told.map(|told| format!("{told:>12}")))
            .collect()
    })
}

fn in_turn(servers: &[Server], case: Case, want: &[u8]) -> anyhow::Result<Vec<Time>> {
    let mut times = vec![Vec::new(); servers.len()];
    for _ in 0..ROUNDS {
        for (server, times) in servers.iter().zip(&mut times) {
            times.push(run(server, case, want)?);
        }
    }
    let median = |mut times: Vec<Time>| {
        times.sort_by_key(|t| t.took);
        times[times.len() / 2]
    };
    Ok(times.into_iter().map(median).collect())
}

fn at_once(servers: &[Server], case: Case, want: &[u8]) -> anyhow::Result<Vec<Time>> {
    let (ours, peers) = servers.split_first().context("nobody to measure")?;
    let mut times = vec![run(ours, case, want)?];
    std::thread::scope(|scope| {
        let runs: Vec<_> = peers
            .iter()
            .map(|peer| scope.spawn(move || run(peer, case, want)))
            .collect();
        for run in runs {
            times.push(run.join().expect("does not panic")?);
        }
        Ok(times)
    })
}

/// All clients at once, each from an address of its own.
fn run(server: &Server, case: Case, want: &[u8]) -> anyhow::Result<Time> {
    let wish = &Wish {
        name: format!("{FOLDER}/{}", case.file()),
        block: case.block,
        window: case.window,
    };
    let [_, _, _, of_server] = match server.at.ip() {
        std::net::IpAddr::V4(ip) => ip.octets(),
        std::net::IpAddr::V6(_) => anyhow::bail!("IPv4 only"),
    };
    let one = |number: u8| -> anyhow::Result<Option<Terms>> {
        let from = Ipv4Addr::new(127, 1, of_server, number + 1);
        let mut file = Vec::with_capacity(want.len());
        let mut terms = None;
        for _ in 0..case.in_a_row() {
            match fetch(from, server.at, wish, &mut file) {
                Ok(settled) => {
                    ensure!(file == want, "{} sent something else", server.name);
                    terms = Some(settled);
                }
                Err(error) => {
                    eprintln!("{}: {error:#}", server.name);
                    return Ok(None);
                }
            }
        }
        Ok(terms)
    };
    let begun = Instant::now();
    let settled = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..case.clients)
            .map(|n| scope.spawn(move || one(n)))
            .collect();
        let joined = threads
            .into_iter()
            .map(|thread| thread.join().expect("does not panic"));
        joined.collect::<anyhow::Result<Vec<_>>>()
    })?;
    let took = begun.elapsed();
    let failed = settled.iter().filter(|s| s.is_none()).count();
    let terms = settled.into_iter().flatten().next().unwrap_or(Terms {
        block: 0,
        window: 0,
    });
    Ok(Time {
        took,
        terms,
        failed,
    })
}

/// One line: speed without loss, seconds with loss. A window that a server does not know is marked, and so are clients
/// that did not get their file.
fn show(title: &str, case: Case, size: usize, times: &[Time]) {
    let total = size as f64 * f64::from(case.clients) * case.in_a_row() as f64;
    let cells = times.iter().map(|time| {
        let seconds = time.took.as_secs_f64();
        let mut cell = match case.loss {
            0 => format!("{:.1} MB/s", total / seconds / 1e6),
            _ => format!("{seconds:.2} s"),
        };
        if time.failed > 0 {
            cell = format!("{cell} !{}", time.failed);
        }
        if time.terms.window < case.window {
            cell.push('¹');
        }
        format!("{cell:>12}")
    });
    let cells: String = cells.collect();
    let whole = |time: &&Time| time.failed == 0;
    let best = times[1..]
        .iter()
        .filter(whole)
        .map(|t| t.took.as_secs_f64())
        .fold(f64::INFINITY, f64::min);
    let ours = times[0].took.as_secs_f64();
    let (ratio, met) = match case.loss {
        0 => (format!("{:.2} × as fast", best / ours), best / ours >= 1.0),
        _ => (
            format!("{:.2} of the time", ours / best),
            ours / best <= 0.5,
        ),
    };
    let missed = if met { "" } else { "  (missed)" };
    println!("{title:<WIDTH$}{cells}   {ratio}{missed}");
}
