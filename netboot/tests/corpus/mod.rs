//! Reads the folder `packets/`, and puts each packet through the function that answers it in the service, mode by mode.

mod facts;
mod text;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use netboot::api::dhcp::{DhcpPort, KnownFacts, MissingFact, PacketContext, PacketOutcome, answer};
use netboot::base::address::ApplianceAddress;
use netboot::base::timestamp::Timestamp;
use netboot::dhcp::lease::{
    LeaseAnswer, NetworkParameters, Reservations, SilenceReason, Site, Subnet,
};
use netboot::dhcp::offer_fallback::LoaderAttempts;
use netboot::dhcp::reply::DhcpReply;
use netboot::dhcp::request::{ClientMessageType, Request, read};
use netboot::machine::decide::Decision;

pub(crate) use text::{decoded, dump};

/// One packet of the corpus.
#[derive(Debug, Clone)]
pub(crate) struct CorpusPacket {
    /// `ovmf/pxe-discover`
    pub(crate) name: String,
    /// The port that it was sent to.
    pub(crate) port: u16,
    pub(crate) bytes: Vec<u8>,
}

/// How the appliance answers the address part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnswerMode {
    Proxy,
    Server,
}

pub(crate) const MODES: [(AnswerMode, &str); 2] = [
    (AnswerMode::Proxy, "beside a home router"),
    (AnswerMode::Server, "as the DHCP server"),
];

impl CorpusPacket {
    pub(crate) fn golden(&self) -> PathBuf {
        folder().join(format!("{}.txt", self.name))
    }
}

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packets")
}

/// All packets, by name.
pub(crate) fn all() -> Vec<CorpusPacket> {
    let packets: Vec<CorpusPacket> = files("hex").iter().map(|file| packet(file)).collect();
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
fn packet(file: &Path) -> CorpusPacket {
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
    CorpusPacket {
        port: port.parse().unwrap_or_else(|e| panic!("{name}: {e}")),
        bytes: octets.map(octet).collect(),
        name,
    }
}

static ADDRESS: LazyLock<ApplianceAddress> = LazyLock::new(|| ApplianceAddress {
    ip: [10, 77, 0, 1].into(),
    http_port: 8080,
    node_port: 8443,
    pin: String::new(),
});

static SITE: LazyLock<Arc<Site>> = LazyLock::new(|| {
    Arc::new(Site {
        server: ADDRESS.ip,
        lan: subnet(77),
        relayed: vec![subnet(78)],
    })
});

fn subnet(third: u8) -> Subnet {
    Subnet {
        first: [10, third, 0, 50].into(),
        last: [10, third, 0, 99].into(),
        lease_time: LEASE_TIME,
        reservations: Reservations::default(),
        network: NetworkParameters {
            netmask: [255, 255, 255, 0].into(),
            router: Some([10, 77, 0, 254].into()),
            dns: vec![[10, 77, 0, 254].into()],
            domain: Some("lan".to_owned()),
        },
    }
}

const LEASE_TIME: Duration = Duration::from_secs(12 * 60 * 60);

/// What becomes of a packet of a machine that is to be installed, with every loader there is at hand.
pub(crate) fn outcome(packet: &CorpusPacket, mode: AnswerMode) -> PacketOutcome {
    let question = PacketContext {
        request: read(&packet.bytes),
        door: match packet.port {
            4011 => DhcpPort::Binl,
            _ => DhcpPort::Dhcp,
        },
        address: &ADDRESS,
        site: (mode == AnswerMode::Server).then_some(&*SITE),
        own: &[],
    };
    let mut known = KnownFacts::new(false);
    loop {
        match answer(&question, &known) {
            Ok(outcome) => return outcome,
            Err(MissingFact::Decision(_)) => known.decided(Ok(Decision::Install)),
            Err(MissingFact::Manner(request, boot)) => {
                let (mut loader_attempts, now) = (LoaderAttempts::default(), Timestamp::default());
                known.tries(question.boot_method(
                    &mut loader_attempts,
                    request,
                    boot,
                    None,
                    |_| true,
                    now,
                ));
            }
            Err(MissingFact::Lease { request, .. }) => known.settled(Ok(settled(request)), None),
            Err(need) => panic!("{}: {need:?}", packet.name),
        }
    }
}

/// The answers alone; none where the outcome is silence.
pub(crate) fn answers(packet: &CorpusPacket, mode: AnswerMode) -> Vec<DhcpReply> {
    outcome(packet, mode).answers.unwrap_or_default()
}

/// What the lease rules settle on where nothing stands against it; they have tests of their own.
fn settled(request: &Request) -> LeaseAnswer {
    let (address, lease_time) = (Ipv4Addr::new(10, 77, 0, 50), LEASE_TIME);
    match request.kind {
        ClientMessageType::Discover => LeaseAnswer::Offer {
            address,
            lease_time,
        },
        ClientMessageType::Request => LeaseAnswer::Ack {
            address,
            lease_time,
        },
        ClientMessageType::Inform => LeaseAnswer::Inform,
        ClientMessageType::Decline => LeaseAnswer::Silence(SilenceReason::Declined(address)),
        ClientMessageType::Release => LeaseAnswer::Silence(SilenceReason::Released(address)),
    }
}

/// What a packet is read as, or the reason to ignore it.
fn reading(packet: &CorpusPacket) -> Result<Request, String> {
    read(&packet.bytes).map_err(|ignored| ignored.to_string())
}
