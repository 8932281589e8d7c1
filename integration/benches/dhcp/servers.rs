//! The servers under load, each in a room of its own with an empty folder on the disk for its leases.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use integration::lab::appliance::RunningAppliance;
use integration::lab::lan::{APPLIANCE, LanNamespace};
use integration::lab::peers;
use integration::lab::process::Process;
use integration::lab::products::Products;
use integration::lab::wait::wait_for;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Appliance,
    Kea,
    Dnsmasq,
}

/// Ends when it is dropped, and its room with it.
pub(crate) struct Server {
    _appliance: Option<RunningAppliance>,
    _process: Option<Process>,
    _room: Option<LanNamespace>,
    end: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        // The next server has the same address, so this one's cable must go.
        let _ = Command::new("ip")
            .args(["link", "delete", &self.end])
            .status();
    }
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Appliance => "appliance",
            Self::Kea => "kea",
            Self::Dnsmasq => "dnsmasq",
        }
    }

    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Appliance => "pxe-appliance",
            Self::Kea => "kea-dhcp4",
            Self::Dnsmasq => "dnsmasq",
        }
    }
}

const APPLIANCE_TOML: &str = r#"
state-dir = "state"
[admin]
socket = "admin.sock"
[dhcp]
mode = "server"
range = ["10.77.0.100", "10.77.0.199"]
allow-default-route = true
[[dhcp.subnet]]
network = "10.80.0.0/16"
range = ["10.80.1.0", "10.80.250.0"]
router = "10.80.0.1"
lease-time = "1h"
"#;

/// Leases in memory and appended to a file, as it comes; no fsync.
const KEA: &str = r#"{ "Dhcp4": {
    "interfaces-config": { "interfaces": [ "eth0" ], "dhcp-socket-type": "udp" },
    "lease-database": { "type": "memfile", "persist": true, "name": "LEASES" },
    "valid-lifetime": 3600,
    "subnet4": [ { "id": 1, "subnet": "10.80.0.0/16", "pools": [ { "pool": "10.80.1.0 - 10.80.250.0" } ] } ],
    "loggers": [ { "name": "kea-dhcp4", "severity": "WARN", "output_options": [ { "output": "stdout" } ] } ]
} }"#;

pub(crate) fn start(kind: Kind, dir: &Path) -> anyhow::Result<Server> {
    let name = kind.name();
    let room = LanNamespace::new(name, APPLIANCE, &dir.join("rooms"))?;
    room.ip("route add 10.80.0.0/16 dev eth0")?;
    let own = dir.join(name);
    fs::create_dir_all(&own)?;
    let log = own.join("log");
    let leases = own.join("leases");
    let mut server = Server {
        _appliance: None,
        _process: None,
        _room: None,
        end: name.to_owned(),
    };
    let program = peers::find(kind.program()).unwrap_or_else(|| kind.program().into());
    let (mut command, ready) = match kind {
        Kind::Appliance => {
            let products = Products::find()?;
            let mut appliance = RunningAppliance::configured(room, &products, APPLIANCE_TOML, own)?;
            appliance.start()?;
            server._appliance = Some(appliance);
            return Ok(server);
        }
        Kind::Kea => {
            let config = own.join("kea.json");
            fs::write(
                &config,
                KEA.replace("LEASES", &leases.display().to_string()),
            )?;
            let mut command = room.command(&program);
            command
                .env("KEA_PIDFILE_DIR", &own)
                .env("KEA_LOCKFILE_DIR", &own);
            command.arg("-c").arg(&config);
            (command, None)
        }
        Kind::Dnsmasq => {
            let mut command = room.command(&program);
            command
                .args(
                    "--no-daemon --conf-file=/dev/null --port=0 --interface=eth0 --log-facility=-"
                        .split(' '),
                )
                .args("--no-ping --dhcp-lease-max=100000".split(' '))
                .arg("--dhcp-range=10.80.1.0,10.80.250.0,255.255.0.0,1h")
                .arg(format!("--dhcp-leasefile={}", leases.display()));
            (command, Some("started"))
        }
    };
    let mut process = Process::start(name, &mut command, &log)?;
    wait_for(&format!("{name} to start"), Duration::from_secs(15), || {
        process.still_runs()?;
        match ready {
            Some(word) => Ok(fs::read_to_string(&log)?.contains(word)),
            // It logs warnings only, but binds its port.
            None => {
                let ports = room.command("ss").args(["-Huln", "sport = :67"]).output()?;
                Ok(!ports.stdout.is_empty())
            }
        }
    })?;
    server._process = Some(process);
    server._room = Some(room);
    Ok(server)
}
