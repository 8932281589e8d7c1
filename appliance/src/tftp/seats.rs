//! Who has a transfer under way: not too many, not too many of one machine, and one for each port.

use std::collections::HashMap;
use std::net::SocketAddrV4;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Transfers at once: each holds a socket.
const ALL: usize = 256;

/// Transfers at once with one address. A machine reads one file at a time; what broke off without a word
/// sits here until its patience is over.
const OF_ONE: usize = 8;

/// A request that came again waits for its transfer to hear of it.
type Again = SyncSender<Vec<u8>>;

#[derive(Debug, Default)]
pub(super) struct Seats {
    taken: Mutex<HashMap<SocketAddrV4, Again>>,
}

/// What becomes of a request.
#[derive(Debug)]
#[must_use]
pub(super) enum Asked {
    /// It may begin a transfer.
    Seat(Seat),
    /// That client and port have a transfer, and it was told.
    Told,
    /// There is no room; this is the text for the client.
    Full(&'static str),
}

impl Seats {
    pub(super) fn ask(self: &Arc<Self>, client: SocketAddrV4, request: &[u8]) -> Asked {
        let mut taken = self.taken();
        if let Some(again) = taken.get(&client) {
            // Full: it is being told already.
            let _ = again.try_send(request.to_vec());
            return Asked::Told;
        }
        if taken.len() >= ALL {
            return Asked::Full("too many transfers are under way");
        }
        if taken.keys().filter(|c| c.ip() == client.ip()).count() >= OF_ONE {
            return Asked::Full("this machine has too many transfers under way");
        }
        let (tell, again) = sync_channel(1);
        taken.insert(client, tell);
        Asked::Seat(Seat {
            seats: self.clone(),
            client,
            again,
            left: false,
        })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<SocketAddrV4, Again>> {
        // Whoever panicked left a whole map.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to one transfer. Dropping it gives it back.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    pub(super) client: SocketAddrV4,
    again: Receiver<Vec<u8>>,
    /// Given back already; the port may have another since.
    left: bool,
}

impl Seat {
    /// A request from the same client and port, if there was one.
    pub(super) fn asked_again(&mut self) -> Option<Vec<u8>> {
        self.again.try_recv().ok()
    }

    /// Gives the seat back, unless one more request came in before: then that is to be served.
    pub(super) fn leave(&mut self) -> Option<Vec<u8>> {
        let mut taken = self.seats.taken();
        let late = self.again.try_recv().ok();
        if late.is_none() {
            taken.remove(&self.client);
            self.left = true;
        }
        late
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if !self.left {
            self.seats.taken().remove(&self.client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(machine: u8, port: u16) -> SocketAddrV4 {
        SocketAddrV4::new([10, 77, 0, machine].into(), port)
    }

    fn seat(asked: Asked) -> Seat {
        match asked {
            Asked::Seat(seat) => seat,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_machine_has_eight_and_all_have_256() {
        let seats = Arc::<Seats>::default();
        let mut held: Vec<_> = (0..8)
            .map(|n| seat(seats.ask(client(1, 1000 + n), b"")))
            .collect();
        assert!(
            matches!(seats.ask(client(1, 2000), b""), Asked::Full(why) if why.starts_with("this machine"))
        );
        for machine in 2..=32 {
            held.extend((0..8).map(|n| seat(seats.ask(client(machine, 1000 + n), b""))));
        }
        assert_eq!(held.len(), ALL);
        assert!(
            matches!(seats.ask(client(99, 1), b""), Asked::Full(why) if why.starts_with("too many"))
        );
        held.truncate(1);
        let _one = seat(seats.ask(client(99, 1), b""));
        assert_eq!(seats.taken().len(), 2);
    }

    #[test]
    fn a_request_that_comes_again_is_told_to_its_transfer() {
        let seats = Arc::<Seats>::default();
        let mut first = seat(seats.ask(client(1, 1000), b"first"));
        assert!(matches!(seats.ask(client(1, 1000), b"again"), Asked::Told));
        assert!(matches!(
            seats.ask(client(1, 1000), b"and again"),
            Asked::Told
        ));
        assert_eq!(first.asked_again().as_deref(), Some(&b"again"[..]));
        assert_eq!(first.asked_again(), None);
        assert_eq!(first.leave(), None);
        let second = seat(seats.ask(client(1, 1000), b"later"));
        drop(first);
        assert!(
            matches!(seats.ask(client(1, 1000), b""), Asked::Told),
            "the second has its seat still"
        );
        drop(second);
        assert!(seats.taken().is_empty());
    }

    #[test]
    fn a_request_in_the_last_moment_is_not_lost() {
        let seats = Arc::<Seats>::default();
        let mut seat = seat(seats.ask(client(1, 1000), b"first"));
        assert!(matches!(seats.ask(client(1, 1000), b"late"), Asked::Told));
        assert_eq!(seat.leave().as_deref(), Some(&b"late"[..]));
        assert_eq!(seat.leave(), None);
        assert!(seats.taken().is_empty());
    }
}
