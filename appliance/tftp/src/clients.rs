//! Which clients have a transfer under way: not too many, not too many of one machine, and one for each port.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use netboot_listen::admission::{self, Admission, AdmissionKey};
use parking_lot::Mutex;

/// The most transfers at once: each holds a socket.
const ALL: usize = 256;

/// The most transfers at once with one address. A machine reads one file at a time, but a transfer that broke off
/// without a packet is counted until it times out.
const OF_ONE: usize = 8;

/// The address of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct ClientAddress(Ipv4Addr);

impl AdmissionKey for ClientAddress {
    fn limit(&self) -> usize {
        OF_ONE
    }
}

/// A request that came again waits for its transfer to hear of it.
type RepeatedRequests = SyncSender<Vec<u8>>;

#[derive(Debug)]
pub(crate) struct Clients {
    admission: Arc<Admission<ClientAddress>>,
    under_way: Mutex<HashMap<SocketAddrV4, RepeatedRequests>>,
}

/// What becomes of a request.
#[derive(Debug)]
#[must_use]
pub(crate) enum Admitted {
    /// It may begin a transfer.
    New(TransferPermit),
    /// That client and port have a transfer, which was told.
    Repeated,
    /// A limit is reached; this is the text for the client.
    Full(&'static str),
}

impl Clients {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            admission: Admission::new(ALL),
            under_way: Mutex::default(),
        })
    }

    pub(crate) fn admit(self: &Arc<Self>, client: SocketAddrV4, request: &[u8]) -> Admitted {
        let mut under_way = self.under_way.lock();
        if let Some(again) = under_way.get(&client) {
            // Full: an earlier repeat is waiting to be heard already.
            let _ = again.try_send(request.to_vec());
            return Admitted::Repeated;
        }
        let permit = match self.admission.try_admit([ClientAddress(*client.ip())]) {
            Ok(permit) => permit,
            Err(full) if full.source.is_none() => {
                return Admitted::Full("too many transfers are under way");
            }
            Err(_) => return Admitted::Full("this machine has too many transfers under way"),
        };
        let (tell, again) = sync_channel(1);
        under_way.insert(client, tell);
        Admitted::New(TransferPermit {
            clients: self.clone(),
            client,
            again,
            permit: Some(permit),
        })
    }
}

/// The right of one client and port to one transfer. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct TransferPermit {
    clients: Arc<Clients>,
    pub(crate) client: SocketAddrV4,
    again: Receiver<Vec<u8>>,
    /// Absent once it is given back: the port may have another since.
    permit: Option<admission::Permit<ClientAddress>>,
}

impl TransferPermit {
    /// A request from the same client and port, if there was one.
    pub(crate) fn asked_again(&mut self) -> Option<Vec<u8>> {
        self.again.try_recv().ok()
    }

    /// Gives the permit back, unless one more request came in before: then that is to be served.
    pub(crate) fn leave(&mut self) -> Option<Vec<u8>> {
        let mut under_way = self.clients.under_way.lock();
        let late = self.again.try_recv().ok();
        if late.is_none() && self.permit.take().is_some() {
            under_way.remove(&self.client);
        }
        late
    }
}

impl Drop for TransferPermit {
    fn drop(&mut self) {
        let mut under_way = self.clients.under_way.lock();
        if self.permit.take().is_some() {
            under_way.remove(&self.client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(machine: u8, port: u16) -> SocketAddrV4 {
        SocketAddrV4::new([10, 77, 0, machine].into(), port)
    }

    fn permit(admitted: Admitted) -> TransferPermit {
        match admitted {
            Admitted::New(permit) => permit,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_machine_has_eight_and_all_have_256() {
        let clients = Clients::new();
        let mut held: Vec<_> = (0..8)
            .map(|n| permit(clients.admit(client(1, 1000 + n), b"")))
            .collect();
        assert!(
            matches!(clients.admit(client(1, 2000), b""), Admitted::Full(why) if why.starts_with("this machine"))
        );
        for machine in 2..=32 {
            held.extend((0..8).map(|n| permit(clients.admit(client(machine, 1000 + n), b""))));
        }
        assert_eq!(held.len(), ALL);
        assert!(
            matches!(clients.admit(client(99, 1), b""), Admitted::Full(why) if why.starts_with("too many"))
        );
        held.truncate(1);
        let _one = permit(clients.admit(client(99, 1), b""));
        assert_eq!(clients.under_way.lock().len(), 2);
    }

    #[test]
    fn a_request_that_comes_again_is_told_to_its_transfer() {
        let clients = Clients::new();
        let mut first = permit(clients.admit(client(1, 1000), b"first"));
        assert!(matches!(
            clients.admit(client(1, 1000), b"again"),
            Admitted::Repeated
        ));
        assert!(matches!(
            clients.admit(client(1, 1000), b"and again"),
            Admitted::Repeated
        ));
        assert_eq!(first.asked_again().as_deref(), Some(&b"again"[..]));
        assert_eq!(first.asked_again(), None);
        assert_eq!(first.leave(), None);
        let second = permit(clients.admit(client(1, 1000), b"later"));
        drop(first);
        assert!(
            matches!(clients.admit(client(1, 1000), b""), Admitted::Repeated),
            "the second has its permit still"
        );
        drop(second);
        assert!(clients.under_way.lock().is_empty());
        assert_eq!(clients.admission.free(), ALL);
    }

    #[test]
    fn a_request_in_the_last_moment_is_not_lost() {
        let clients = Clients::new();
        let mut permit = permit(clients.admit(client(1, 1000), b"first"));
        assert!(matches!(
            clients.admit(client(1, 1000), b"late"),
            Admitted::Repeated
        ));
        assert_eq!(permit.leave().as_deref(), Some(&b"late"[..]));
        assert_eq!(permit.leave(), None);
        assert!(clients.under_way.lock().is_empty());
        assert_eq!(clients.admission.free(), ALL);
    }
}
