//! A packet's bytes and the mode → a request that this door answers, or the reason why it does not.

use netboot::base::mac::Mac;
use netboot::base::refusal::Refusal;
use netboot::dhcp::request::{self, Kind, Request};
use netboot::machine::decide;

use crate::config::Dhcp;

/// Which port a packet came in on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// UDP 67.
    Dhcp,
    /// UDP 4011, where PXE clients ask for the boot file once more.
    Binl,
}

impl Door {
    pub fn port(self) -> u16 {
        match self {
            Self::Dhcp => 67,
            Self::Binl => 4011,
        }
    }
}

/// Why a packet gets no answer: the text of its log line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("{0}")]
    Unreadable(request::Ignored),
    #[error("sent by the appliance's own card")]
    Own,
    #[error("does not want to netboot")]
    NotNetboot,
    #[error("the network's own DHCP server answers it")]
    ForTheServer,
    #[error("not a question for port 4011")]
    NotForBinl,
    #[error("{0}")]
    Decided(decide::Reason),
    #[error("enrolling it by `boot.unknown` did not arm it")]
    NotArmed,
    #[error("no loader for its architecture ({0})")]
    NoLoader(String),
    #[error("no loader for it is in `boot.ipxe-dir` or `boot.grub-dir`: it needs `{0}`")]
    LoaderMissing(String),
    #[error("{0}")]
    Lease(String),
    #[error("{0}")]
    Refused(Refusal),
}

impl Reason {
    /// What every phone in the house sets off: not worth a line unless somebody looks for it.
    pub fn is_noise(&self) -> bool {
        match self {
            Self::Unreadable(_)
            | Self::Own
            | Self::NotNetboot
            | Self::ForTheServer
            | Self::NotForBinl
            | Self::Lease(_) => true,
            Self::Decided(_)
            | Self::NotArmed
            | Self::NoLoader(_)
            | Self::LoaderMissing(_)
            | Self::Refused(_) => false,
        }
    }
}

/// Which packets a door looks at in each mode. `own` are the cards of the appliance.
pub(super) fn sift(packet: &[u8], door: Door, mode: &Dhcp, own: &[Mac]) -> Result<Request, Reason> {
    let request = request::read(packet).map_err(Reason::Unreadable)?;
    if own.contains(&request.mac) {
        return Err(Reason::Own);
    }
    match (door, mode) {
        // Everything else in the house has another server to talk to; not a word to it.
        (Door::Binl, _) | (Door::Dhcp, Dhcp::Proxy | Dhcp::Off) if request.boot.is_none() => {
            Err(Reason::NotNetboot)
        }
        (Door::Binl, _) => match request.kind {
            Kind::Request | Kind::Inform => Ok(request),
            Kind::Discover | Kind::Decline | Kind::Release => Err(Reason::NotForBinl),
        },
        (Door::Dhcp, Dhcp::Proxy | Dhcp::Off) => match request.kind {
            Kind::Discover => Ok(request),
            Kind::Request | Kind::Inform | Kind::Decline | Kind::Release => {
                Err(Reason::ForTheServer)
            }
        },
        (Door::Dhcp, Dhcp::Server(_)) => Ok(request),
    }
}
