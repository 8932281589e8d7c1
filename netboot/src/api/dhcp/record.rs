//! What is written down of a packet: its log line, and the marks in its machine's boot trace.

use std::borrow::Cow;
use std::fmt::Display;

use super::{Door, Outcome};
use crate::base::refusal::Refusal;
use crate::dhcp::lease::SilenceReason;
use crate::dhcp::reply::{Answer, AnswerError};
use crate::dhcp::request::{self, Kind, Request};
use crate::doctor::boot_trace::{Mark, Why};
use crate::machine::decide;

/// Why a packet gets no answer, or none with a boot file: the text of its log line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
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

impl Unanswered {
    /// Whether every phone in the house sets it off: its line is written only where somebody looks for it.
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
    fn why(&self) -> Why {
        match self {
            Self::Decided(
                decide::Reason::Unknown
                | decide::Reason::Discovered
                | decide::Reason::Undiscovered(_),
            ) => Why::Stranger,
            Self::Decided(decide::Reason::State(_)) => Why::Disk,
            Self::Decided(decide::Reason::Expired(_)) => Why::Expired,
            Self::Decided(decide::Reason::AttemptsUsed(_)) => Why::AttemptsUsed,
            Self::NoLoader(_) | Self::LoaderMissing(_) => Why::NoLoader,
            Self::Unreadable(_)
            | Self::Own
            | Self::NotNetboot
            | Self::ForTheServer
            | Self::NotForBinl
            | Self::NotArmed
            | Self::Lease(_)
            | Self::Refused(_)
            | Self::NotWritten(_) => Why::Trouble,
        }
    }

    fn mark(&self, reason: String) -> Mark {
        Mark::Silence {
            why: self.why(),
            reason,
        }
    }
}

/// What a question says of a boot; `None` for a machine that does not want to netboot.
pub(super) fn asked(request: &Request, door: Door) -> Option<Mark> {
    let boot = request.boot?;
    match (door, request.kind) {
        (Door::Dhcp, Kind::Discover) => Some(Mark::Discover {
            client: boot.client,
            arch: boot.arch,
        }),
        (Door::Dhcp, Kind::Request) => Some(Mark::TookAddress {
            server: request.server,
            address: request.requested,
        }),
        (Door::Binl, Kind::Request | Kind::Inform) => Some(Mark::Asked4011),
        _ => None,
    }
}

impl Outcome {
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
    pub fn marks(&self) -> impl Iterator<Item = Mark> {
        let silence = match &self.answers {
            // What another server answers is no silence.
            Ok(_) | Err(Unanswered::ForTheServer | Unanswered::Own) => None,
            Err(why) => Some(why.mark(why.to_string())),
        };
        let silence = silence.filter(|_| self.asked.is_some());
        self.asked.clone().into_iter().chain(silence)
    }

    /// The mark that one of the answers leaves once it was sent, or could not be.
    pub fn mark_of(
        &self,
        answer: &Answer,
        door: Door,
        sent: Result<(), impl Display>,
    ) -> Option<Mark> {
        self.asked.as_ref()?;
        let given = answer.given.clone();
        Some(match (sent, &self.no_file, door) {
            (Err(error), ..) => Mark::Silence {
                why: Why::Trouble,
                reason: format!("the answer could not be sent: {error}"),
            },
            // `given` says why already.
            (Ok(()), Some(why), _) => why.mark(given),
            (Ok(()), None, Door::Dhcp) => Mark::Answered { given },
            (Ok(()), None, Door::Binl) => Mark::Answered4011 { given },
        })
    }
}
