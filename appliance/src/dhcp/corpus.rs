//! The packet corpus of the core, through the appliance's own doors: each packet has one outcome, in every mode and
//! whoever sends it, and the log of it is text.

use std::io::Write;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use netboot::base::mac::Mac;

use super::*;
use crate::base::counters::Counter;
use crate::run::components::Components;
use crate::testing::{TestConfig, boot, enroll_as};

/// One packet: its name, the door that it was sent to, its octets.
type CorpusPacket = (String, DhcpPort, Vec<u8>);

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder of the corpus");
    entries
        .map(|entry| entry.expect("an entry").path())
        .collect()
}

/// The packets as `netboot/tests/packets/README.md` describes them.
fn corpus() -> Vec<CorpusPacket> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../netboot/tests/packets");
    let folders = files(&folder).into_iter().filter(|path| path.is_dir());
    let mut hex: Vec<PathBuf> = folders.flat_map(|folder| files(&folder)).collect();
    hex.retain(|file| file.extension().is_some_and(|ending| ending == "hex"));
    hex.sort();
    assert!(hex.len() > 80, "the corpus is not where it should be");
    let packet = |file: &PathBuf| {
        let text = std::fs::read_to_string(file).expect("reads");
        let lines = || text.lines().filter(|line| !line.starts_with('#'));
        let door = match lines().any(|line| line == "port 4011") {
            true => DhcpPort::Binl,
            false => DhcpPort::Dhcp,
        };
        let octets = lines().filter(|line| !line.starts_with("port "));
        let octets = octets.flat_map(str::split_whitespace);
        let octets = octets.map(|octet| u8::from_str_radix(octet, 16).expect("an octet"));
        (file.display().to_string(), door, octets.collect())
    };
    hex.iter().map(packet).collect()
}

/// All packets, those that are their sender's first enrolled or not.
async fn house(
    mode: &str,
    enrolled: bool,
    packets: &[CorpusPacket],
) -> (TestConfig, Arc<Components>) {
    let house = TestConfig::new(&format!("{}{mode}", boot("")));
    let components = house.bind().await.components().clone();
    let cards = packets.iter().filter_map(|(_, _, octets)| {
        let request = netboot::dhcp::request::read(octets).ok()?;
        Some(request.mac)
    });
    let cards: std::collections::BTreeSet<Mac> = cards.filter(|_| enrolled).collect();
    for (number, card) in cards.into_iter().enumerate() {
        enroll_as(&components, card, "worker", format!("node{number}").leak()).await;
    }
    (house, components)
}

const SERVER: &str = "[dhcp]\nmode = \"server\"\nrange = [\"127.1.0.10\", \"127.1.0.40\"]\n";

/// The whole log, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// What was written since the last call.
    fn take(&self) -> String {
        let mut log = self.0.lock();
        String::from_utf8(std::mem::take(&mut *log)).expect("the log is text")
    }
}

/// Whether a line says what became of a packet.
fn is_outcome(line: &str) -> bool {
    ["ignored", "answered", "could not answer"]
        .iter()
        .any(|word| line.contains(&format!("appliance::dhcp: {word} ")))
}

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        let mut log = self.0.lock();
        log.extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Kea 0.9.2 fell over a packet only where it wrote everything down: so everything is written down here.
#[tokio::test]
async fn every_packet_of_the_corpus_has_one_outcome_at_every_door() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let packets = corpus();
    let (mut answered, mut whole) = (0, String::new());
    for (mode, enrolled) in [("", false), ("", true), (SERVER, false), (SERVER, true)] {
        let (_house, components) = house(mode, enrolled, &packets).await;
        let total = || {
            let counts = &components.counters.packets;
            let all = [
                &counts.sent,
                &counts.ignored,
                &counts.unreadable,
                &counts.failed,
                &counts.panicked,
                &counts.dropped,
            ];
            all.map(Counter::get).iter().sum::<u64>()
        };
        let segment = components.settings.segments()[0].clone();
        let socket = match LanSocket::bind(&segment.lan, 0) {
            Ok(socket) => socket,
            Err(error) => {
                return crate::testing::skipped(&format!(
                    "this user may not bind to an interface: {error}"
                ));
            }
        };
        for (name, sent_to, packet) in &packets {
            for door in [DhcpPort::Dhcp, DhcpPort::Binl] {
                let answering = answer::answer(&components.dhcp, &segment, door, packet, None);
                let outcome = AssertUnwindSafe(answering).catch_unwind().await;
                let outcome = outcome.unwrap_or_else(|_| panic!("{name} on {door:?}"));
                let answers = match &outcome.answers {
                    Ok(answers) => answers.len() as u64,
                    Err(_) => 1,
                };
                assert!((1..=2).contains(&answers), "{name} on {door:?}: {answers}");
                answered += u64::from(outcome.answers.is_ok());
                let before = total();
                whole += &log.take();
                let from = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 68);
                let here = segment.address.ip;
                boot_log::record_packet(&components.boot.log, here, door, packet, from, &outcome);
                finish(&components.dhcp, here, &socket, door, &outcome, from, None).await;
                let text = log.take();
                let lines = text.lines().filter(|line| is_outcome(line)).count();
                assert_eq!(lines, 1, "{name} on {door:?}: {text}");
                whole += &text;
                assert_eq!(
                    total() - before,
                    answers,
                    "{name} on {door:?}, sent to {sent_to:?}"
                );
            }
        }
        assert_eq!(components.counters.packets.panicked.get(), 0);
    }
    assert!(answered > 100, "only {answered} were answered");
    whole += &log.take();
    assert!(whole.contains("ignored"), "nothing was written down");
    let odd = whole
        .lines()
        .find(|line| line.chars().any(char::is_control));
    assert_eq!(odd, None, "what a packet says is escaped");
}
