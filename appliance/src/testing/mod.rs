//! A whole appliance on loopback, on ports of its own, in a folder of its own; and the packets of machines.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use netboot::api::admin::{self, Operator};
use netboot::api::types::EnrollRequest;
use netboot::base::mac::Mac;
use netboot::doctor::boot_trace::BootEvent;
use netboot::machine::state::ApplianceState;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::base::clock;
use crate::config::validate::{Checked, check};
use crate::config::{ConfigText, Ports};
use crate::net;
use crate::run::components::Components;
use crate::run::{Service, bind};

pub(crate) mod bench;
pub(crate) mod cuts;

#[path = "../../tests/skip/mod.rs"]
mod skip;
pub(crate) use self::skip::skipped;

pub(crate) const MAC: &str = "52:54:00:12:34:56";
pub(crate) const STRANGER: &str = "52:54:00:99:99:99";
/// What must never leave: written into files beside those that are served.
pub(crate) const CANARY: &str = "canary-c5f1";

pub(crate) fn mac(text: &str) -> Mac {
    text.parse().expect("a MAC")
}

/// Bytes of the kernel, more than any socket buffer holds.
pub(crate) const KERNEL: usize = 16 << 20;

pub(crate) struct TestConfig {
    pub(crate) folder: TempDir,
    pub(crate) checked: Checked,
}

impl TestConfig {
    /// `more` is added to the configuration.
    pub(crate) fn new(more: &str) -> Self {
        Self::with(more, &[])
    }

    /// With these files besides, such as `profiles/arm.toml`.
    pub(crate) fn with(more: &str, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for dir in ["profiles", "ipxe", "grub", "pi/overlays"] {
            std::fs::create_dir_all(at(dir)).expect("makes a folder");
        }
        let mut kernel = (0..=250).collect::<Vec<u8>>().repeat(KERNEL / 251 + 1);
        kernel.truncate(KERNEL);
        for (name, bytes) in [
            ("kernel", kernel.as_slice()),
            ("initrd", b"initrd"),
            ("secret", CANARY.as_bytes()),
            ("ipxe/secret", CANARY.as_bytes()),
            ("ipxe/undionly.kpxe", &[1; 70_000]),
            ("ipxe/snponly.efi", &kernel[..290_001]),
            ("grub/shimx64.efi", b"shim"),
            ("grub/grubx64.efi", b"GRUB"),
            ("pi/bootcode.bin", b"bootcode"),
            ("pi/start4.elf", b"start4"),
            ("pi/secret.elf", CANARY.as_bytes()),
            ("pi/overlays/vc4.dtbo", b"overlay"),
            ("profiles/worker.toml", WORKER.as_bytes()),
        ] {
            std::fs::write(at(name), bytes).expect("writes");
        }
        for (name, text) in files {
            std::fs::write(at(name), text).expect("writes");
        }
        let text = format!("{CONFIG}{more}");
        let file = at("appliance.toml").display().to_string();
        let interfaces = net::interfaces().expect("lists interfaces");
        let mut checked = check(ConfigText { file, text }, &interfaces)
            .unwrap_or_else(|faults| panic!("{faults}"));
        checked.config.config.ports = Ports {
            dhcp: 0,
            binl: 0,
            tftp: 0,
        };
        Self { folder, checked }
    }

    pub(crate) async fn bind(&self) -> Service {
        bind(self.checked.clone())
            .await
            .unwrap_or_else(|error| panic!("{error:#}"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

const WORKER: &str = "system = \"x86_64-linux\"
[disk]
select = { smallest = true }
layout = \"ext4\"
";

/// A profile for machines of another architecture, and its installer.
pub(crate) const ARM: (&str, &str) = (
    "profiles/arm.toml",
    "system = \"aarch64-linux\"\n[disk]\nselect = { smallest = true }\nlayout = \"ext4\"\n",
);
pub(crate) const ARM_IMAGE: &str = "[images.arm]
kernel = \"pi/start4.elf\"
initrd = \"initrd\"
cmdline = \"console=ttyAMA0\"
arch = \"aarch64\"
";

const CONFIG: &str = "state-dir = \"state\"
hosts-dir = \"profiles\"
[lan]
interface = \"lo\"
address = \"127.0.0.1\"
[http]
port = 0
node-port = 0
[admin]
socket = \"admin.sock\"
[images.installer]
kernel = \"kernel\"
initrd = \"initrd\"
cmdline = \"console=ttyS0\"
arch = \"x86_64\"
";

/// Keys of `[boot]` that a test wants besides.
pub(crate) fn boot(more: &str) -> String {
    format!("[boot]\nipxe-dir = \"ipxe\"\ngrub-dir = \"grub\"\nraspberry-pi-dir = \"pi\"\n{more}\n")
}

pub(crate) async fn enroll(components: &Components, mac: Mac) {
    enroll_as(components, mac, "worker", "node1").await;
}

pub(crate) async fn enroll_as(
    components: &Components,
    mac: Mac,
    profile: &'static str,
    name: &'static str,
) {
    let profiles = components.settings.profiles();
    let enroll = move |state: &ApplianceState, now| {
        let operator = Operator {
            profiles: &profiles,
            armed_for: Duration::from_secs(3600),
            now,
            ticket: clock::ticket(),
            by: "test",
        };
        let request = EnrollRequest {
            mac,
            profile: Some(profile.parse().expect("a name")),
            name: Some(name.parse().expect("a name")),
        };
        admin::enroll(state, &operator, &request)
    };
    components.store.decide(enroll).await.expect("enrolls");
}

/// A NAR of these strings, blanks between them; `~` is the empty one.
pub(crate) fn archive(words: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    for word in words.split_whitespace() {
        let word = if word == "~" { "" } else { word };
        octets.extend(u64::try_from(word.len()).expect("short").to_le_bytes());
        octets.extend(word.as_bytes());
        octets.resize(octets.len().next_multiple_of(8), 0);
    }
    octets
}

/// The machine has the address that all tests call from: it was seen to take it.
pub(crate) fn at_home(components: &Components, mac: Mac) {
    let took = BootEvent::TookAddress {
        server: None,
        address: Some(Ipv4Addr::LOCALHOST),
    };
    components.boot.log.mark(mac, took);
}

/// Waits until `probe` holds.
#[track_caller]
pub(crate) fn wait_until(
    what: &str,
    limit: Duration,
    mut probe: impl FnMut() -> bool,
) -> impl Future<Output = ()> {
    let at = std::panic::Location::caller();
    async move {
        let waiting = async {
            while !probe() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(limit, waiting).await;
        assert!(
            waited.is_ok(),
            "{at}: {what} did not come about in {limit:?}"
        );
    }
}

/// Sends these bytes and gives the head and the body of what comes back.
pub(crate) async fn http(to: SocketAddr, request: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(to).await.expect("connects");
    stream.write_all(request.as_bytes()).await.expect("sends");
    let mut all = Vec::new();
    let reading = stream.read_to_end(&mut all);
    let read = tokio::time::timeout(Duration::from_secs(20), reading).await;
    read.expect("an answer in time").expect("reads");
    let end = all.windows(4).position(|w| w == b"\r\n\r\n");
    let Some(end) = end else {
        return (String::from_utf8_lossy(&all).into_owned(), Vec::new());
    };
    let body = all.split_off(end + 4);
    (String::from_utf8_lossy(&all).to_lowercase(), body)
}

/// A GET with more header lines, each ended by `\r\n`.
pub(crate) async fn get(to: SocketAddr, path: &str, headers: &str) -> (String, Vec<u8>) {
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: appliance\r\nConnection: close\r\n{headers}\r\n");
    http(to, &request).await
}

/// A DHCP message of a client, with these options after the message type.
pub(crate) fn packet(kind: u8, mac: &str, options: &[(u8, &[u8])]) -> Vec<u8> {
    let mut packet = vec![0; 236];
    packet[..4].copy_from_slice(&[1, 1, 6, 0]);
    packet[4..8].copy_from_slice(&[0xde, 0xad, 0xbe, 0xef]);
    packet[28..34].copy_from_slice(&self::mac(mac).octets());
    packet.extend([99, 130, 83, 99, 53, 1, kind]);
    for (code, value) in options {
        packet.push(*code);
        packet.push(u8::try_from(value.len()).expect("a short option"));
        packet.extend(*value);
    }
    packet.push(255);
    packet
}

pub(crate) const DISCOVER: u8 = 1;
pub(crate) const REQUEST: u8 = 3;
/// What OVMF says of itself.
pub(crate) const UEFI: [(u8, &[u8]); 2] =
    [(60, b"PXEClient:Arch:00007:UNDI:003016"), (93, &[0, 7])];
/// What a BIOS ROM says of itself.
pub(crate) const BIOS: [(u8, &[u8]); 2] =
    [(60, b"PXEClient:Arch:00000:UNDI:002001"), (93, &[0, 0])];
/// iPXE after either.
pub(crate) const IPXE: [(u8, &[u8]); 3] = [
    (60, b"PXEClient:Arch:00007:UNDI:003010"),
    (77, b"iPXE"),
    (93, &[0, 7]),
];
