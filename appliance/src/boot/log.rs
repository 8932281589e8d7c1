//! What machines were seen doing while they boot: marks for their timelines, and their last packets.

use std::net::SocketAddrV4;

use netboot::api::types::Live;
use netboot::base::mac::Mac;
use netboot::base::timestamp::Timestamp;
use netboot::dhcp::pcap::Packet;
use netboot::doctor::boot_trace::{Mark, Note};
use netboot::machine::State;
use tokio_util::sync::CancellationToken;

use super::packets::RecentPackets;
use super::requester::Requester;
use super::timelines::Timelines;
use crate::store::Store;

/// Only machines on record have one: strangers are bounded in number.
pub struct BootLog {
    store: Store,
    timelines: Timelines,
    packets: RecentPackets,
}

impl BootLog {
    pub fn new(store: Store, timelines: Timelines) -> Self {
        Self {
            store,
            timelines,
            packets: RecentPackets::default(),
        }
    }

    /// The time by the clock that marks are made with.
    pub fn now(&self) -> Timestamp {
        self.timelines.now()
    }

    /// Writes a mark into the timeline of a machine on record, and sends it to everybody who watches if it is new.
    pub fn mark(&self, card: Mac, mark: Mark) {
        let world = self.store.world();
        let Some(machine) = world.by_mac(card) else {
            return;
        };
        let (at, enrolled) = (self.timelines.now(), machine.state != State::Seen);
        let since = machine.since;
        if self.timelines.note(card, enrolled, since, at, mark.clone()) {
            self.store.tell(Live::Boot {
                at,
                machine: machine.id,
                mark,
            });
        }
    }

    /// Writes down what was done in a machine's name: as its own step only where the requester is verified.
    pub fn mark_of(&self, requester: &Requester, mark: Mark) {
        if let Some(mark) = requester.attributed(mark) {
            self.mark(requester.mac, mark);
        }
    }

    /// Keeps a packet from or to a machine on record.
    pub fn keep_packet(&self, card: Mac, from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) {
        if let Some(machine) = self.store.world().by_mac(card) {
            let packet = Packet {
                at: self.timelines.now(),
                from,
                to,
                payload: payload.to_vec(),
            };
            let enrolled = machine.state != State::Seen;
            self.packets.note(card, enrolled, packet);
        }
    }

    /// Everything that these cards were seen doing.
    pub fn marks_of(&self, cards: &[Mac]) -> Vec<Note> {
        self.timelines.of(cards)
    }

    /// The last packets of these cards, in the order of time.
    pub fn packets_of(&self, cards: &[Mac]) -> Vec<Packet> {
        self.packets.of(cards)
    }

    /// Keeps the files of the timelines up to date until `stop`, and once more then.
    pub async fn keep(&self, stop: CancellationToken) {
        self.timelines.keep(stop).await;
    }
}
