//! Frames on the link itself, below UDP: datagrams to clients that have no address yet, and the question whether an
//! address is in use.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use netboot::base::mac::Mac;
use netboot::dhcp::ethernet::{self, Datagram};
use netboot::dhcp::lease::ClientClass;
use netboot_listen::admission::{Admission, AdmissionKey};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::net::{CaptureFilter, PacketSocket};

/// How often the link is asked for an address, and how long an answer is waited for each time. Together this is far shorter
/// than the second after which iPXE asks again; telephones that sleep answer within 100 ms.
const QUESTIONS: u32 = 3;
const PATIENCE: Duration = Duration::from_millis(100);

/// The most probes at once. A flood of invented clients must not become a flood of broadcasts.
const AT_ONCE: usize = 256;

/// How many of these probes may be for strangers.
const OF_STRANGERS: usize = 192;

/// All strangers together, as one source of the admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Strangers;

impl AdmissionKey for Strangers {
    fn limit(&self) -> usize {
        OF_STRANGERS
    }
}

pub(super) struct ArpLink {
    out: PacketSocket,
    arp: PacketSocket,
    waiting: Mutex<HashMap<Ipv4Addr, Vec<oneshot::Sender<Mac>>>>,
    admission: Arc<Admission<Strangers>>,
}

impl ArpLink {
    /// # Errors
    /// As [`PacketSocket::open`].
    pub(super) fn open(interface: &str) -> io::Result<Self> {
        Ok(Self {
            out: PacketSocket::open(interface, CaptureFilter::Nothing)?,
            arp: PacketSocket::open(interface, CaptureFilter::Arp)?,
            waiting: Mutex::default(),
            admission: Admission::new(AT_ONCE),
        })
    }

    /// Sends a datagram to a card, whoever the kernel believes to be behind that address.
    pub(super) async fn send(
        &self,
        payload: &[u8],
        from: SocketAddrV4,
        to: SocketAddrV4,
        card: [u8; 6],
    ) -> io::Result<()> {
        let datagram = Datagram {
            from_card: self.out.card.octets(),
            to_card: card,
            from,
            to,
            payload,
        };
        let too_long = || io::Error::other("the packet is too long");
        self.out.send(&datagram.frame().ok_or_else(too_long)?).await
    }

    /// The card that answers for an address, if one does (RFC 5227 §2.1.1).
    ///
    /// # Errors
    /// The question could not be sent, or too many are under way.
    pub(super) async fn who_has(
        &self,
        address: Ipv4Addr,
        client_class: ClientClass,
    ) -> io::Result<Option<Mac>> {
        let strangers = (client_class == ClientClass::Stranger).then_some(Strangers);
        let busy = |_| io::Error::other("too many addresses are being asked for");
        let _permit = self.admission.try_admit(strangers).map_err(busy)?;
        let (heard, mut answer) = oneshot::channel();
        self.waiting().entry(address).or_default().push(heard);
        let question = ethernet::arp_probe(self.arp.card, address);
        for _ in 0..QUESTIONS {
            if let Err(error) = self.arp.send(&question).await {
                self.give_up(address, answer);
                return Err(error);
            }
            if let Ok(Ok(card)) = tokio::time::timeout(PATIENCE, &mut answer).await {
                return Ok(Some(card));
            }
        }
        self.give_up(address, answer);
        Ok(None)
    }

    fn give_up(&self, address: Ipv4Addr, answer: oneshot::Receiver<Mac>) {
        drop(answer);
        let mut waiting = self.waiting();
        if let Some(all) = waiting.get_mut(&address) {
            all.retain(|heard| !heard.is_closed());
            if all.is_empty() {
                waiting.remove(&address);
            }
        }
    }

    fn waiting(&self) -> parking_lot::MutexGuard<'_, HashMap<Ipv4Addr, Vec<oneshot::Sender<Mac>>>> {
        self.waiting.lock()
    }

    /// Listens for answers until the future is dropped.
    pub(super) async fn listen(&self) {
        let mut buffer = [0; 128];
        loop {
            let length = match self.arp.receive(&mut buffer).await {
                Ok(length) => length,
                Err(error) => {
                    // The cable is out, or memory is short: it may come back.
                    tracing::debug!(%error, "could not receive ARP");
                    tokio::time::sleep(PATIENCE).await;
                    continue;
                }
            };
            if let Some((address, card)) = ethernet::arp_sender(&buffer[..length])
                && card != self.arp.card
                && let Some(all) = self.waiting().remove(&address)
            {
                for heard in all {
                    // The task that asked may have given up.
                    let _ = heard.send(card);
                }
            }
        }
    }
}
