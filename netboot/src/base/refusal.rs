//! "No", in a form that a person can act on: what is wrong, the facts, what to do instead.

use serde::{Deserialize, Serialize};

/// The kind of refusal; stable, for scripts. One module of the appliance turns it into an HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    BadMac,
    BadJson,
    BadName,
    Unauthorized,
    /// Too many calls with a wrong token from this address; later ones are looked at again.
    TooManyAttempts,
    UnknownHost,
    UnknownProfile,
    UnknownInstall,
    UnknownRelease,
    DuplicateMac,
    DuplicateName,
    WrongState,
    /// The ticket is held by somebody else.
    TicketUsed,
    /// The right step for this call has not come.
    TooEarly,
    /// The secret was handed out and received; it is not handed out again.
    AlreadyReceived,
    /// The agent must stop, and must not touch anything any more.
    InstallSuperseded,
    PlanRefused,
    /// An operator must say yes first: asking again later may help.
    ConfirmFirst,
    PublishFailed,
    NotFound,
    TooLarge,
    StoreUnavailable,
    Internal,
    /// A code of a newer version.
    #[serde(other)]
    Unknown,
}

/// A refusal: nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    pub code: RefusalCode,
    /// One lower-case sentence, values in backquotes.
    pub message: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<String>,
    /// Commands to paste, or what to look at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tips: Vec<String>,
}

impl Refusal {
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            facts: Vec::new(),
            tips: Vec::new(),
        }
    }

    #[must_use]
    pub fn fact(mut self, fact: impl Into<String>) -> Self {
        self.facts.push(fact.into());
        self
    }

    #[must_use]
    pub fn tip(mut self, tip: impl Into<String>) -> Self {
        self.tips.push(tip.into());
        self
    }
}
