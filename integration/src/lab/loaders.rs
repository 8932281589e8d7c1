//! An appliance on loopback that only sends loaders to strangers: for clients of TFTP.

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use super::process::Process;
use super::wait::wait_for;

/// The folder of a machine nobody knows: its name is a part of what is asked for.
pub const FOLDER: &str = "52-54-00-00-00-99";

pub struct TestLoaders {
    /// Where TFTP is answered.
    pub at: SocketAddrV4,
    process: Process,
}

impl TestLoaders {
    /// Starts `program` with `files` for loaders; their names must be those of loaders.
    pub fn serve(
        program: &Path,
        address: Ipv4Addr,
        files: &[(&str, &[u8])],
        dir: &Path,
    ) -> anyhow::Result<Self> {
        for folder in ["hosts", "ipxe"] {
            fs::create_dir_all(dir.join(folder))?;
        }
        for (name, bytes) in files {
            fs::write(dir.join("ipxe").join(name), bytes)?;
        }
        let configuration = format!(
            "state-dir = \"state\"\nhosts-dir = \"hosts\"\n[lan]\ninterface = \"lo\"\naddress = \"{address}\"\n\
             [dhcp]\nmode = \"off\"\n[boot]\nunknown = \"wait\"\nipxe-dir = \"ipxe\"\n[admin]\nsocket = \"admin.sock\"\n"
        );
        fs::write(dir.join("appliance.toml"), configuration)?;
        let mut command = Command::new(program);
        command
            .args(["serve", "--config", "appliance.toml"])
            .current_dir(dir);
        let log = dir.join("appliance.log");
        let mut process = Process::start("pxe-appliance", &mut command, &log)?;
        wait_for("pxe-appliance to listen", Duration::from_secs(20), || {
            process
                .still_runs()
                .with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
            Ok(fs::read_to_string(&log)?.contains("tftp_port"))
        })?;
        Ok(Self {
            at: SocketAddrV4::new(address, 69),
            process,
        })
    }

    /// The process id of the service.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }
}
