//! Where a DHCP packet comes from, and how many packets of each origin are answered at once on one port: not too many
//! in all, not too many of strangers behind one relay agent, and few of one card.

use std::net::Ipv4Addr;

use netboot::dhcp::lease::ClientClass;
use netboot_listen::admission::AdmissionKey;

/// The most packets that are answered at once. They share the store's writes, and those that probe an address wait for
/// a while.
pub(super) const ALL: usize = 1024;

/// How many of them may be of strangers, whose cards may be invented. The rest is always left to enrolled machines.
const STRANGERS: usize = 896;

/// How many may be of strangers behind one relay agent, or on the LAN itself. The rest is left to other relays.
const OF_ONE_RELAY: usize = 512;

/// How many may be of one card. A client waits for an answer for a second at least.
const OF_ONE_CARD: usize = 8;

/// Where a packet comes from, as far as it says so before anybody reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PacketOrigin {
    /// The relay agent's address; unspecified for the LAN itself.
    relay: Ipv4Addr,
    card: [u8; 6],
    client_class: ClientClass,
}

/// What packets are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum PacketSource {
    Card([u8; 6]),
    Strangers,
    /// Strangers behind this relay agent.
    Relay(Ipv4Addr),
}

impl AdmissionKey for PacketSource {
    fn limit(&self) -> usize {
        match self {
            Self::Card(_) => OF_ONE_CARD,
            Self::Strangers => STRANGERS,
            Self::Relay(_) => OF_ONE_RELAY,
        }
    }
}

impl PacketOrigin {
    /// Whatever these bytes are: the header's `giaddr` and `chaddr` (RFC 2131 §2).
    pub(super) fn of(packet: &[u8], client_class: impl FnOnce([u8; 6]) -> ClientClass) -> Self {
        let octets = |at: usize| packet.get(at..);
        let relay: [u8; 4] = octets(24)
            .and_then(|o| o.first_chunk().copied())
            .unwrap_or_default();
        let card = octets(28)
            .and_then(|o| o.first_chunk().copied())
            .unwrap_or_default();
        Self {
            relay: relay.into(),
            card,
            client_class: client_class(card),
        }
    }

    /// All that the packet is counted by.
    pub(super) fn counted(self) -> impl Iterator<Item = PacketSource> {
        let of_strangers = [PacketSource::Strangers, PacketSource::Relay(self.relay)];
        let is_stranger = self.client_class == ClientClass::Stranger;
        let of_strangers = of_strangers.into_iter().filter(move |_| is_stranger);
        std::iter::once(PacketSource::Card(self.card)).chain(of_strangers)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use netboot_listen::admission::{Admission, Full, Permit};

    use super::*;

    fn origin(relay: u8, card: usize, client_class: ClientClass) -> PacketOrigin {
        let [.., a, b] = card.to_be_bytes();
        PacketOrigin {
            relay: [10, relay, 0, 1].into(),
            card: [2, 0, 0, relay, a, b],
            client_class,
        }
    }

    fn admit(
        admission: &Arc<Admission<PacketSource>>,
        origin: PacketOrigin,
    ) -> Result<Permit<PacketSource>, Full<PacketSource>> {
        admission.try_admit(origin.counted())
    }

    /// As many of these as there is room for.
    fn flood(
        admission: &Arc<Admission<PacketSource>>,
        relay: u8,
        client_class: ClientClass,
    ) -> Vec<Permit<PacketSource>> {
        let all = (0..2 * ALL).map(|card| admit(admission, origin(relay, card, client_class)));
        all.filter_map(Result::ok).collect()
    }

    #[test]
    fn a_flood_behind_one_relay_leaves_room_for_another() {
        let admission = Admission::new(ALL);
        let flood_of_one = flood(&admission, 1, ClientClass::Stranger);
        assert_eq!(flood_of_one.len(), OF_ONE_RELAY);
        let other = admit(&admission, origin(2, 0, ClientClass::Stranger));
        assert!(other.is_ok(), "behind another relay");
        drop(flood_of_one);
        let again = admit(&admission, origin(1, 0, ClientClass::Stranger));
        assert!(again.is_ok(), "when it is over");
    }

    #[test]
    fn no_flood_of_strangers_shuts_out_an_enrolled_machine() {
        let admission = Admission::new(ALL);
        let floods: Vec<Vec<Permit<PacketSource>>> = (1..=4)
            .map(|relay| flood(&admission, relay, ClientClass::Stranger))
            .collect();
        assert_eq!(floods.iter().map(Vec::len).sum::<usize>(), STRANGERS);
        for relay in [1, 9] {
            let stranger = admit(&admission, origin(relay, 5_000, ClientClass::Stranger));
            assert!(stranger.is_err(), "behind relay {relay}");
            let enrolled = admit(&admission, origin(relay, 5_000, ClientClass::Enrolled));
            assert!(enrolled.is_ok(), "behind relay {relay}");
        }
    }

    #[test]
    fn one_card_has_few() {
        for client_class in [ClientClass::Stranger, ClientClass::Enrolled] {
            let admission = Admission::new(ALL);
            let ask = || admit(&admission, origin(1, 7, client_class));
            let all: Vec<Permit<PacketSource>> = (0..100).filter_map(|_| ask().ok()).collect();
            assert_eq!(all.len(), OF_ONE_CARD, "{client_class:?}");
            assert!(admit(&admission, origin(1, 8, client_class)).is_ok());
        }
    }

    #[test]
    fn a_flood_is_told_of_once_in_a_while_and_nothing_is_kept_of_it() {
        let admission = Admission::new(ALL);
        let held = flood(&admission, 1, ClientClass::Stranger);
        // The flood itself was refused, and so it was told of already.
        let refused = admit(&admission, origin(1, 9_000, ClientClass::Stranger));
        let want = Full {
            source: Some(PacketSource::Relay([10, 1, 0, 1].into())),
            is_news: false,
        };
        assert_eq!(refused.expect_err("is full"), want);
        drop(held);
        assert_eq!((admission.sources(), admission.free()), (0, ALL));
    }

    #[test]
    fn any_bytes_come_from_somewhere() {
        for length in 0..300 {
            let packet = vec![7; length];
            let origin = PacketOrigin::of(&packet, |_| ClientClass::Stranger);
            let whole = length >= 34;
            assert_eq!(origin.card == [7; 6], whole, "{length}");
            assert_eq!(origin.relay.is_unspecified(), length < 28, "{length}");
        }
    }
}
