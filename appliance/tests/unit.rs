//! The service as systemd runs it: it tells when it is ready, that it lives, and that it stops.

mod skip;

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const LIMIT: Duration = Duration::from_secs(60);

const CONFIG: &str = "state-dir = \"state\"
hosts-dir = \"profiles\"
[lan]
interface = \"lo\"
address = \"127.0.0.1\"
[dhcp]
mode = \"off\"
[http]
port = 0
node-port = 0
[admin]
socket = \"admin.sock\"
";

/// Ends with the test.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for the service to say this.
fn hear(manager: &UnixDatagram, want: &str) {
    let begun = Instant::now();
    let mut heard = Vec::new();
    while begun.elapsed() < LIMIT {
        let mut said = [0; 256];
        match manager.recv(&mut said) {
            // sd_notify(3): assignments, each on a line.
            Ok(length) => heard.extend(
                String::from_utf8_lossy(&said[..length])
                    .lines()
                    .map(str::to_owned),
            ),
            Err(error) => panic!("nothing is said any more ({error}); heard {heard:?}"),
        }
        if heard.last().is_some_and(|said| said == want) {
            return;
        }
    }
    panic!("`{want}` was not said; heard {heard:?}");
}

fn start(folder: &Path) -> (Service, UnixDatagram) {
    std::fs::create_dir(folder.join("profiles")).expect("makes a folder");
    let config = folder.join("appliance.toml");
    std::fs::write(&config, CONFIG).expect("writes");
    let socket = folder.join("notify");
    let manager = UnixDatagram::bind(&socket).expect("binds");
    manager.set_read_timeout(Some(LIMIT)).expect("has a limit");
    let service = Command::new("unshare")
        .args(["--net", "sh", "-c", "ip link set lo up && exec \"$@\"", "-"])
        .arg(env!("CARGO_BIN_EXE_pxe-appliance"))
        .arg("serve")
        .arg("--config")
        .arg(config)
        .env("NOTIFY_SOCKET", socket)
        .env("WATCHDOG_USEC", "200000")
        .stdin(Stdio::null())
        .spawn()
        .expect("starts");
    (Service(service), manager)
}

#[test]
fn systemd_hears_when_it_is_ready_that_it_lives_and_that_it_stops() {
    if !nix::unistd::geteuid().is_root() {
        return skip::skipped("the port of TFTP needs root");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (mut service, manager) = start(folder.path());
    for want in ["READY=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"] {
        hear(&manager, want);
    }
    let pid = Pid::from_raw(service.0.id().try_into().expect("a pid"));
    kill(pid, Signal::SIGTERM).expect("is told");
    hear(&manager, "STOPPING=1");
    assert!(service.0.wait().expect("ends").success());
}
