//! What is written down of a packet: its log line, and the marks in its machine's boot trace.

use std::borrow::Cow;
use std::fmt::Display;

use super::{DhcpPort, PacketOutcome};
use crate::base::refusal::Refusal;
use crate::dhcp::lease::SilenceReason;
use crate::dhcp::reply::{AnswerError, DhcpReply};
use crate::dhcp::request::{self, ClientMessageType, Request};
use crate::doctor::boot_trace::{BootEvent, NoAnswerReason};
use crate::machine::decide;

/// Why a packet gets no answer, or none with a boot file: the text of its log line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnansweredReason {
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
    Lease(SilenceReason),
    #[error("{0}")]
    Refused(Refusal),
    #[error("{0}")]
    NotWritten(#[from] AnswerError),
}

impl UnansweredReason {
    /// Whether every phone in the house sets it off: such a line is for the log level `debug`.
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
            | Self::Refused(_)
            | Self::NotWritten(_) => false,
        }
    }

    /// The same for the machine's boot trace.
    fn why(&self) -> NoAnswerReason {
        match self {
            Self::Decided(
                decide::Reason::Unknown
                | decide::Reason::Discovered
                | decide::Reason::Undiscovered(_),
            ) => NoAnswerReason::Stranger,
            Self::Decided(decide::Reason::State(_)) => NoAnswerReason::Disk,
            Self::Decided(decide::Reason::Expired(_)) => NoAnswerReason::Expired,
            Self::Decided(decide::Reason::AttemptsUsed(_)) => NoAnswerReason::AttemptsUsed,
            Self::NoLoader(_) | Self::LoaderMissing(_) => NoAnswerReason::NoLoader,
            Self::Unreadable(_)
            | Self::Own
            | Self::NotNetboot
            | Self::ForTheServer
            | Self::NotForBinl
            | Self::NotArmed
            | Self::Lease(_)
            | Self::Refused(_)
            | Self::NotWritten(_) => NoAnswerReason::Trouble,
        }
    }

    fn mark(&self, reason: String) -> BootEvent {
        BootEvent::Silence {
            why: self.why(),
            reason,
        }
    }
}

/// What a question says of a boot; `None` for a machine that does not want to netboot.
pub(super) fn asked(request: &Request, door: DhcpPort) -> Option<BootEvent> {
    let boot = request.boot?;
    match (door, request.kind) {
        (DhcpPort::Dhcp, ClientMessageType::Discover) => Some(BootEvent::Discover {
            client: boot.client,
            arch: boot.arch,
        }),
        (DhcpPort::Dhcp, ClientMessageType::Request) => Some(BootEvent::TookAddress {
            server: request.server,
            address: request.requested,
        }),
        (DhcpPort::Binl, ClientMessageType::Request | ClientMessageType::Inform) => {
            Some(BootEvent::Asked4011)
        }
        _ => None,
    }
}

impl PacketOutcome {
    /// What was given, for the one log line of a packet that is answered.
    pub fn given(&self) -> Cow<'_, str> {
        match self.answers.as_deref() {
            Ok([one]) => Cow::Borrowed(&one.given),
            Ok(all) => {
                let given: Vec<&str> = all.iter().map(|answer| answer.given.as_str()).collect();
                Cow::Owned(given.join(", "))
            }
            Err(_) => Cow::Borrowed(""),
        }
    }

    /// The marks that the packet itself leaves in its machine's boot trace: what it asked, and that it gets no answer.
    pub fn marks(&self) -> impl Iterator<Item = BootEvent> {
        let silence = match &self.answers {
            // A packet that another server answers is not recorded as unanswered.
            Ok(_) | Err(UnansweredReason::ForTheServer | UnansweredReason::Own) => None,
            Err(why) => Some(why.mark(why.to_string())),
        };
        let silence = silence.filter(|_| self.asked.is_some());
        self.asked.clone().into_iter().chain(silence)
    }

    /// The mark that one of the answers leaves once it was sent, or could not be.
    pub fn mark_of(
        &self,
        answer: &DhcpReply,
        door: DhcpPort,
        sent: Result<(), impl Display>,
    ) -> Option<BootEvent> {
        self.asked.as_ref()?;
        let given = answer.given.clone();
        Some(match (sent, &self.no_file, door) {
            (Err(error), ..) => BootEvent::Silence {
                why: NoAnswerReason::Trouble,
                reason: format!("the answer could not be sent: {error}"),
            },
            // `given` says why already.
            (Ok(()), Some(why), _) => why.mark(given),
            (Ok(()), None, DhcpPort::Dhcp) => BootEvent::Answered { given },
            (Ok(()), None, DhcpPort::Binl) => BootEvent::Answered4011 { given },
        })
    }
}
