//! What unit tests of several modules are made of: a card, the appliance's address, a request, a machine's disks, and a
//! refusal as text. Whoever needs something else changes that one member.

use std::net::Ipv4Addr;

use crate::base::address::ApplianceAddress;
use crate::base::arch::CpuArch;
use crate::base::mac::Mac;
use crate::base::refusal::Refusal;
use crate::dhcp::request::{ClientMessageType, Facts, Request};
use crate::disk::hardware::{Disk, DiskBus, Firmware, Hardware};

pub(crate) const GIB: u64 = 1 << 30;

/// `52:54:00:12:34:00` and what follows it.
pub(crate) fn mac(last: u8) -> Mac {
    Mac::new([0x52, 0x54, 0, 0x12, 0x34, last]).expect("a MAC")
}

/// 10.77.0.1 with the usual ports.
pub(crate) fn address() -> ApplianceAddress {
    ApplianceAddress {
        ip: Ipv4Addr::new(10, 77, 0, 1),
        http_port: 8080,
        node_port: 8443,
        pin: "sha256/abc=".to_owned(),
    }
}

/// The DISCOVER of card 0x56, with as little in it as may be.
pub(crate) fn request() -> Request {
    Request {
        kind: ClientMessageType::Discover,
        xid: 7,
        mac: mac(0x56),
        flags: 0,
        ciaddr: Ipv4Addr::UNSPECIFIED,
        giaddr: Ipv4Addr::UNSPECIFIED,
        requested: None,
        server: None,
        host_name: None,
        client_fqdn: None,
        client_id: None,
        guid: None,
        relay_agent: None,
        wanted: Vec::new(),
        max_size: None,
        lease_time: None,
        boot: None,
        facts: Facts::default(),
    }
}

/// An empty virtio disk with a serial number of its own.
pub(crate) fn disk(node: &str, size: u64) -> Disk {
    Disk {
        node: node.to_owned(),
        size,
        sector: 512,
        model: String::new(),
        serial: format!("serial-{node}"),
        wwn: String::new(),
        bus: DiskBus::Virtio,
        removable: false,
        read_only: false,
        boot_medium: false,
        by_id: vec![format!("virtio-serial-{node}")],
        holds: Vec::new(),
    }
}

/// A virtual machine with these disks.
pub(crate) fn hardware(firmware: Firmware, disks: Vec<Disk>) -> Hardware {
    Hardware {
        firmware,
        arch: CpuArch::X86_64,
        memory: 2 * GIB,
        vendor: String::new(),
        product: String::new(),
        serial: String::new(),
        uuid: String::new(),
        disks,
        nics: Vec::new(),
        tpm2: false,
        zfs: true,
    }
}

/// Message, facts and tips, a line each.
pub(crate) fn refusal_text(refusal: &Refusal) -> String {
    let facts = refusal.facts.iter().map(|fact| format!("  {fact}\n"));
    let tips = refusal.tips.iter().map(|tip| format!("  tip: {tip}\n"));
    let lines: String = facts.chain(tips).collect();
    format!("{}\n{lines}", refusal.message)
}
