//! What a packet and its answer say of a boot: marks for the timeline, and the packets themselves.

use std::net::{Ipv4Addr, SocketAddrV4};

use netboot::api::dhcp::{DhcpPort, PacketOutcome};
use netboot::dhcp::reply::DhcpReply;

use crate::boot::log::BootLog;

/// Notes a packet that came in, and whether it got no answer.
pub(super) fn record_packet(
    log: &BootLog,
    here: Ipv4Addr,
    door: DhcpPort,
    packet: &[u8],
    from: SocketAddrV4,
    outcome: &PacketOutcome,
) {
    let Some(mac) = outcome.mac else { return };
    // The socket does not tell where it was sent to. A client without an address can only have broadcast it.
    let to = match door {
        DhcpPort::Dhcp if from.ip().is_unspecified() => Ipv4Addr::BROADCAST,
        DhcpPort::Dhcp | DhcpPort::Binl => here,
    };
    log.keep_packet(mac, from, SocketAddrV4::new(to, door.port()), packet);
    for mark in outcome.marks() {
        log.mark(mac, mark);
    }
}

/// Notes an answer of `outcome`, once it was sent or could not be.
pub(super) fn record_answer(
    log: &BootLog,
    here: Ipv4Addr,
    door: DhcpPort,
    outcome: &PacketOutcome,
    answer: &DhcpReply,
    sent: std::io::Result<SocketAddrV4>,
) {
    let Some(mac) = outcome.mac else { return };
    if let Ok(to) = &sent {
        log.keep_packet(
            mac,
            SocketAddrV4::new(here, door.port()),
            *to,
            &answer.bytes,
        );
    }
    let done = sent.as_ref().map(|_| ());
    if let Some(mark) = outcome.mark_of(answer, door, done) {
        log.mark(mac, mark);
    }
}
