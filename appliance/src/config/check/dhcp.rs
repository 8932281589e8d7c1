//! `[dhcp]`: how the appliance stands beside other DHCP servers, and what it leases.

use netboot::base::toml_reader::{Reader, Section};
use netboot::dhcp::other_servers::DhcpMode;

use super::{safety, server};
use crate::config::Dhcp;
use crate::net::Lan;

/// The other DHCP servers that the appliance may run beside.
pub(super) struct OtherServerRules {
    /// One on this host, which has the port.
    pub(super) share_port: bool,
    /// One on the LAN, in server mode.
    pub(super) second_server: bool,
}

/// Off is no mode.
const MODES: &[(&str, Option<DhcpMode>)] = &[
    ("proxy", Some(DhcpMode::Proxy)),
    ("server", Some(DhcpMode::Server)),
    ("off", None),
];

/// The mode, `None` if it is wrong or cannot be judged without a LAN; and what it may stand beside.
pub(super) fn read(
    reader: &mut Reader<'_>,
    top: &mut Section<'_>,
    lans: Option<&[Lan]>,
) -> (Option<Dhcp>, OtherServerRules) {
    let mut section = top.section(reader, "dhcp");
    let share_port = section.flag(reader, "share-port");
    let mut beside = OtherServerRules {
        share_port: share_port.is_some_and(|share| share.value),
        second_server: false,
    };
    let dhcp = match mode(reader, &mut section) {
        // The other keys cannot be checked without knowing the mode, but they are not unknown keys.
        None => {
            safety::read(reader, &mut section, &[]);
            server::read(reader, &mut section, &[]);
            None
        }
        Some(Some(DhcpMode::Server)) => {
            let lans = lans.unwrap_or_default();
            beside.second_server = safety::read(reader, &mut section, lans);
            server::read(reader, &mut section, lans)
        }
        Some(Some(DhcpMode::Proxy)) => {
            refuse_servers_keys(reader, &mut section, "proxy");
            Some(Dhcp::Proxy)
        }
        Some(None) => {
            refuse_servers_keys(reader, &mut section, "off");
            Some(Dhcp::Off)
        }
    };
    section.finish(reader);
    (dhcp, beside)
}

/// `None` if it is wrong.
fn mode(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Option<Option<DhcpMode>> {
    let written = section.text(reader, "mode");
    if section.has("mode") {
        reader.word(&written?, "mode", MODES)
    } else {
        Some(Some(DhcpMode::Proxy))
    }
}

fn refuse_servers_keys(reader: &mut Reader<'_>, section: &mut Section<'_>, mode: &str) {
    let tip = "set mode = \"server\", or take the line out";
    let keys = server::KEYS.iter().chain(&safety::KEYS);
    let why = format!("has no effect in {mode} mode");
    section.refuse(reader, keys.map(|key| (*key, tip)), &why);
}
