//! Who has connections open: not too many, and not too many of one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections at once with one address. Nix opens up to 25 (`http-connections`), and machines behind a router that
/// translates addresses share one.
pub(super) const OF_ONE: usize = 64;

#[derive(Debug)]
pub(super) struct Seats {
    all: Arc<Semaphore>,
    taken: Mutex<HashMap<IpAddr, One>>,
}

/// The connections of one address.
#[derive(Debug, Default)]
struct One {
    open: usize,
    /// It was said in the log that it has too many.
    told: bool,
}

impl Seats {
    pub(super) fn new(all: usize) -> Arc<Self> {
        Arc::new(Self {
            all: Arc::new(Semaphore::new(all)),
            taken: Mutex::default(),
        })
    }

    /// Waits until there is room for one more.
    pub(super) async fn room(&self) -> OwnedSemaphorePermit {
        let room = self.all.clone().acquire_owned().await;
        room.expect("nobody closes it")
    }

    /// The seat of a connection that was taken; nothing if this address has enough.
    pub(super) fn take(self: &Arc<Self>, room: OwnedSemaphorePermit, peer: IpAddr) -> Option<Seat> {
        let mut taken = self.taken();
        let one = taken.entry(peer).or_default();
        if one.open >= OF_ONE {
            if !one.told {
                one.told = true;
                tracing::warn!(%peer, most = OF_ONE, "has too many connections open: more are hung up on");
            }
            return None;
        }
        one.open += 1;
        Some(Seat {
            seats: self.clone(),
            peer,
            _room: room,
        })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<IpAddr, One>> {
        // Whoever panicked left a whole map.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to one connection. Dropping it gives it back.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    peer: IpAddr,
    _room: OwnedSemaphorePermit,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        if let Some(one) = taken.get_mut(&self.peer) {
            one.open -= 1;
            if one.open == 0 {
                taken.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_address_has_64_and_leaves_room_for_others() {
        let seats = Seats::new(128);
        let one = IpAddr::from([10, 77, 0, 1]);
        let mut held = Vec::new();
        for _ in 0..OF_ONE {
            let room = seats.room().await;
            held.push(seats.take(room, one).expect("has room"));
        }
        for _ in 0..200 {
            let room = seats.room().await;
            assert!(seats.take(room, one).is_none());
        }
        let room = seats.room().await;
        let other = seats.take(room, IpAddr::from([10, 77, 0, 2]));
        assert!(other.is_some());
        held.pop();
        let room = seats.room().await;
        assert!(seats.take(room, one).is_some(), "one was given back");
        drop((held, other));
        assert!(seats.taken().is_empty());
        assert_eq!(seats.all.available_permits(), 128);
    }
}
