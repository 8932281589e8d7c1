//! What machines were seen doing while they boot: marks for their timelines, and their last packets.

use std::net::SocketAddrV4;

use netboot::api::types::EventLine;
use netboot::base::mac::Mac;
use netboot::base::timestamp::Timestamp;
use netboot::dhcp::pcap::CapturedPacket;
use netboot::doctor::boot_trace::{BootEvent, TraceEntry};
use netboot::machine::State;
use tokio_util::sync::CancellationToken;

use super::packets::RecentPackets;
use super::requester::Requester;
use super::traces::BootTraces;
use crate::store::Store;

/// Only machines on record have one: strangers are bounded in number.
pub struct BootLog {
    store: Store,
    traces: BootTraces,
    packets: RecentPackets,
}

impl BootLog {
    pub fn new(store: Store, traces: BootTraces) -> Self {
        Self {
            store,
            traces,
            packets: RecentPackets::default(),
        }
    }

    /// The time by the clock that marks are made with.
    pub fn now(&self) -> Timestamp {
        self.traces.now()
    }

    /// Writes a mark into the timeline of a machine on record, and sends it to everybody who watches if it is new.
    pub fn mark(&self, card: Mac, mark: BootEvent) {
        let state = self.store.state();
        let Some(machine) = state.by_mac(card) else {
            return;
        };
        let (at, enrolled) = (self.traces.now(), machine.state != State::Seen);
        let since = machine.since;
        if self.traces.note(card, enrolled, since, at, mark.clone()) {
            self.store.tell(EventLine::Boot {
                at,
                machine: machine.id,
                mark,
            });
        }
    }

    /// Writes down what was done in a machine's name: as its own step only where the requester is verified.
    pub fn mark_of(&self, requester: &Requester, mark: BootEvent) {
        if let Some(mark) = requester.attributed(mark) {
            self.mark(requester.mac, mark);
        }
    }

    /// Keeps a packet from or to a machine on record.
    pub fn keep_packet(&self, card: Mac, from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) {
        if let Some(machine) = self.store.state().by_mac(card) {
            let packet = CapturedPacket {
                at: self.traces.now(),
                from,
                to,
                payload: payload.to_vec(),
            };
            let enrolled = machine.state != State::Seen;
            self.packets.note(card, enrolled, packet);
        }
    }

    /// Everything that these cards were seen doing.
    pub fn marks_of(&self, cards: &[Mac]) -> Vec<TraceEntry> {
        self.traces.of(cards)
    }

    /// The last packets of these cards, in the order of time.
    pub fn packets_of(&self, cards: &[Mac]) -> Vec<CapturedPacket> {
        self.packets.of(cards)
    }

    /// Keeps the files of the timelines up to date until `stop`, and once more then.
    pub async fn keep(&self, stop: CancellationToken) {
        self.traces.keep(stop).await;
    }
}
