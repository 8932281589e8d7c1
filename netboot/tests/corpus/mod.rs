//! Reads the folder `packets/`, and puts each packet through the pure core, mode by mode.

mod facts;
mod text;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use netboot::base::address::Address;
use netboot::dhcp::lease::{Network, Settled};
use netboot::dhcp::offer_fallback::Form;
use netboot::dhcp::reply::{self, Answer, BootFile};
use netboot::dhcp::request::{Boot, Kind, Request, read};

pub(crate) use text::{decoded, dump};

/// One packet of the corpus.
#[derive(Debug, Clone)]
pub(crate) struct Packet {
    /// `ovmf/pxe-discover`
    pub(crate) name: String,
    /// The port that it was sent to.
    pub(crate) port: u16,
    pub(crate) bytes: Vec<u8>,
}

/// How the appliance answers the address part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Proxy,
    Server,
}

pub(crate) const MODES: [(Mode, &str); 2] = [
    (Mode::Proxy, "beside a home router"),
    (Mode::Server, "as the DHCP server"),
];

impl Packet {
    pub(crate) fn golden(&self) -> PathBuf {
        folder().join(format!("{}.txt", self.name))
    }
}

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packets")
}

/// All packets, by name.
pub(crate) fn all() -> Vec<Packet> {
    let packets: Vec<Packet> = files("hex").iter().map(|file| packet(file)).collect();
    assert!(packets.len() > 80, "the corpus is not where it should be");
    packets
}

/// The files of all folders of the corpus with this ending, by name.
pub(crate) fn files(ending: &str) -> Vec<PathBuf> {
    let entries = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).expect("a folder of the corpus");
        entries
            .map(|entry| entry.expect("an entry").path())
            .collect()
    };
    let folders = entries(&folder()).into_iter().filter(|path| path.is_dir());
    let mut files: Vec<PathBuf> = folders
        .flat_map(|folder| entries(&folder))
        .filter(|file| file.extension().is_some_and(|e| e == ending))
        .collect();
    files.sort();
    files
}

/// `# words`, `port 67`, then octets in hexadecimal.
fn packet(file: &Path) -> Packet {
    let name = file
        .strip_prefix(folder())
        .expect("is inside")
        .with_extension("");
    let name = name.to_str().expect("a plain name").to_owned();
    let text = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{name}: {e}"));
    let lines = || text.lines().filter(|line| !line.starts_with('#'));
    let port = lines().find_map(|line| line.strip_prefix("port "));
    let port = port.unwrap_or_else(|| panic!("{name}: no port"));
    let octets = lines()
        .filter(|line| !line.starts_with("port "))
        .flat_map(str::split_whitespace);
    let octet =
        |text| u8::from_str_radix(text, 16).unwrap_or_else(|e| panic!("{name}: {text}: {e}"));
    Packet {
        port: port.parse().unwrap_or_else(|e| panic!("{name}: {e}")),
        bytes: octets.map(octet).collect(),
        name,
    }
}

pub(crate) fn address() -> Address {
    Address {
        ip: [10, 77, 0, 1].into(),
        http_port: 8080,
        node_port: 8443,
        pin: String::new(),
    }
}

fn network() -> Network {
    Network {
        netmask: [255, 255, 255, 0].into(),
        router: Some([10, 77, 0, 254].into()),
        dns: vec![[10, 77, 0, 254].into()],
        domain: Some("lan".to_owned()),
    }
}

/// The answers to a machine that is to be installed, with every loader there is at hand.
pub(crate) fn judge(packet: &Packet, request: &Request, mode: Mode) -> Vec<Answer> {
    let file = request
        .boot
        .and_then(|boot| Some((boot, file(request, boot)?)));
    match (packet.port, mode) {
        (4011, _) => match file {
            Some((boot, file)) => vec![reply::binl_ack(
                request,
                boot,
                &file,
                Form::Usual,
                &address(),
            )],
            None => Vec::new(),
        },
        (_, Mode::Proxy) => match file {
            Some((boot, file))
                if request.kind == Kind::Discover && !boot.client.follows_its_lease() =>
            {
                vec![reply::proxy_offer(
                    request,
                    boot,
                    &file,
                    Form::Usual,
                    &address(),
                )]
            }
            _ => Vec::new(),
        },
        (_, Mode::Server) => {
            let file = file.as_ref().map(|(boot, file)| (*boot, file, Form::Usual));
            reply::server_answers(
                request,
                &settled(request),
                file,
                &network(),
                None,
                &address(),
            )
        }
    }
}

fn file(request: &Request, boot: Boot) -> Option<BootFile> {
    let loader = reply::loaders(boot).first().copied();
    reply::boot_file(request, boot, loader, &address())
}

/// What the rules of leases settle on where nothing stands against it; they have tests of their own.
fn settled(request: &Request) -> Settled {
    let (address, lease_time) = (
        Ipv4Addr::new(10, 77, 0, 50),
        Duration::from_secs(12 * 60 * 60),
    );
    match request.kind {
        Kind::Discover => Settled::Offer {
            address,
            lease_time,
        },
        Kind::Request => Settled::Ack {
            address,
            lease_time,
        },
        Kind::Inform => Settled::Inform,
        Kind::Decline | Kind::Release => Settled::Silence("wants no answer".to_owned()),
    }
}

/// What a packet is read as, or the reason to ignore it.
fn reading(packet: &Packet) -> Result<Request, String> {
    read(&packet.bytes).map_err(|ignored| ignored.to_string())
}
