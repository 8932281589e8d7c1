//! The last packets of each machine, for `events --pcap`. In memory only, within a quota for each card and one for all.

use std::collections::{BTreeMap, VecDeque};

use netboot::base::mac::Mac;
use netboot::dhcp::pcap::CapturedPacket;
use parking_lot::Mutex;

/// The quota of one card, in packets: a dozen boots of DHCP.
const OF_A_CARD: usize = 200;

/// The quota of all cards together, in octets. The packets of the card that was quiet longest are dropped first.
const IN_ALL: usize = 16 << 20;

/// What a packet costs besides its payload.
const OVERHEAD: usize = size_of::<CapturedPacket>();

#[derive(Default)]
pub struct RecentPackets(Mutex<PacketRings>);

#[derive(Default)]
struct PacketRings {
    by_card: BTreeMap<Mac, PacketRing>,
    octets: usize,
    /// Counts packets: says which ring was quiet longest.
    number: u64,
}

#[derive(Default)]
struct PacketRing {
    packets: VecDeque<CapturedPacket>,
    octets: usize,
    /// Whether an operator enrolled the machine: the packets of strangers' cards are dropped first.
    enrolled: bool,
    last: u64,
}

impl RecentPackets {
    pub fn note(&self, card: Mac, enrolled: bool, packet: CapturedPacket) {
        let mut rings = self.0.lock();
        rings.note(card, enrolled, packet);
    }

    /// What went between the appliance and these cards, oldest first.
    pub fn of(&self, cards: &[Mac]) -> Vec<CapturedPacket> {
        let rings = self.0.lock();
        let mut packets: Vec<CapturedPacket> = cards
            .iter()
            .filter_map(|card| rings.by_card.get(card))
            .flat_map(|ring| ring.packets.iter().cloned())
            .collect();
        packets.sort_by_key(|packet| packet.at);
        packets
    }
}

impl PacketRings {
    fn note(&mut self, card: Mac, enrolled: bool, packet: CapturedPacket) {
        let octets = packet.payload.len() + OVERHEAD;
        self.number += 1;
        let ring = self.by_card.entry(card).or_default();
        ring.enrolled = enrolled;
        ring.last = self.number;
        ring.octets += octets;
        self.octets += octets;
        ring.packets.push_back(packet);
        if ring.packets.len() > OF_A_CARD
            && let Some(old) = ring.packets.pop_front()
        {
            let octets = old.payload.len() + OVERHEAD;
            ring.octets -= octets;
            self.octets -= octets;
        }
        while self.octets > IN_ALL {
            let quietest = self
                .by_card
                .iter()
                .min_by_key(|(_, ring)| (ring.enrolled, ring.last));
            let Some(card) = quietest.map(|(card, _)| *card) else {
                return;
            };
            if let Some(ring) = self.by_card.remove(&card) {
                self.octets -= ring.octets;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddrV4};

    use netboot::base::timestamp::Timestamp;

    use super::*;

    fn packet(millis: i64, octets: usize) -> CapturedPacket {
        let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
        CapturedPacket {
            at: Timestamp::from_millis(millis),
            from: any,
            to: any,
            payload: vec![0; octets],
        }
    }

    fn card(n: u16) -> Mac {
        let [high, low] = n.to_be_bytes();
        Mac::new([2, 0, 0, 0, high, low]).expect("a MAC")
    }

    #[test]
    fn the_last_packets_of_all_cards_of_a_machine_are_in_order() {
        let packets = RecentPackets::default();
        for n in 0..300 {
            packets.note(card(1), true, packet(n * 10, 300));
        }
        packets.note(card(2), true, packet(2995, 300));
        let kept = packets.of(&[card(2), card(1)]);
        assert_eq!(kept.len(), OF_A_CARD + 1);
        assert_eq!(kept[0].at.millis(), 1000);
        assert_eq!(kept[kept.len() - 1].at.millis(), 2995);
        assert!(kept.is_sorted_by_key(|packet| packet.at));
    }

    #[test]
    fn a_flood_is_bounded_and_does_not_drive_out_what_is_enrolled() {
        let packets = RecentPackets::default();
        packets.note(card(0), true, packet(0, 1500));
        for n in 1..20_000_u16 {
            packets.note(card(n), false, packet(i64::from(n), 1500));
        }
        let rings = packets.0.lock();
        let held: usize = rings
            .by_card
            .values()
            .flat_map(|ring| &ring.packets)
            .map(|packet| packet.payload.len() + OVERHEAD)
            .sum();
        assert_eq!(held, rings.octets);
        assert!(held <= IN_ALL && held > IN_ALL / 2, "{held}");
        assert!(rings.by_card.contains_key(&card(0)));
        assert!(!rings.by_card.contains_key(&card(1)));
    }
}
