//! Why a command has no answer: the message for a person, the exit code for a script.

use std::time::Duration;

use netboot::base::refusal::{Refusal, RefusalCode};

/// What kept a command from its answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The appliance said no.
    Refused { refusal: Refusal, call: String },
    /// An argument that only turned out to be wrong when it was used.
    Argument { message: String, tip: String },
    /// Nothing was sent.
    Unreachable {
        appliance: String,
        call: String,
        causes: Vec<String>,
        /// The socket is there, but not for this user.
        forbidden: bool,
    },
    /// The request was sent, and no answer came.
    Unanswered {
        appliance: String,
        call: String,
        why: NoConnection,
        /// What may have happened, such as "enrolled 52:54:00:12:34:56"; `None` for a question.
        perhaps: Option<String>,
        causes: Vec<String>,
    },
    /// Somebody answered who is not the appliance that is pinned. Nothing was sent.
    ForeignKey {
        appliance: String,
        call: String,
        what: String,
    },
    /// Something answered, but not an appliance of a version that this one understands.
    Foreign {
        appliance: String,
        call: String,
        what: String,
    },
    /// The reader of the output closed it.
    Closed,
}

#[derive(Debug)]
pub(crate) enum NoConnection {
    Timeout(Duration),
    Cut,
}

/// A failure as it is printed: on stderr, as text or as JSON.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ErrorNotice {
    pub(crate) exit: u8,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) facts: Vec<String>,
    pub(crate) tips: Vec<String>,
    /// Printed only with `--verbose`.
    pub(crate) details: Vec<String>,
}

const REFUSED: u8 = 1;
const USAGE: u8 = 2;
const NO_ANSWER: u8 = 3;

const ANOTHER_ADDRESS: &str =
    "for another address, use `--appliance unix:PATH` or set PXE_APPLIANCE";

impl Failure {
    /// A refusal that did not come from the appliance.
    pub(crate) fn here(refusal: Refusal) -> Self {
        Self::Refused {
            refusal,
            call: "none".to_owned(),
        }
    }

    /// The failure as it is printed; `None` if nobody is left to read it.
    pub(crate) fn notice(&self) -> Option<ErrorNotice> {
        Some(match self {
            Self::Refused { refusal, call } => refused(refusal, call),
            Self::Argument { message, tip } => ErrorNotice {
                exit: USAGE,
                code: "usage".to_owned(),
                message: message.clone(),
                facts: vec!["nothing was sent".to_owned()],
                tips: vec![tip.clone()],
                details: Vec::new(),
            },
            Self::Unreachable {
                appliance,
                call,
                causes,
                forbidden,
            } => unreachable(appliance, call, causes, *forbidden),
            Self::Unanswered {
                appliance,
                call,
                why,
                perhaps,
                causes,
            } => unanswered(appliance, call, why, perhaps.as_deref(), causes),
            Self::ForeignKey {
                appliance,
                call,
                what,
            } => foreign_key(appliance, call, what),
            Self::Foreign {
                appliance,
                call,
                what,
            } => foreign(appliance, call, what),
            Self::Closed => return None,
        })
    }
}

fn refused(refusal: &Refusal, call: &str) -> ErrorNotice {
    let code = serde_json::to_value(refusal.code).unwrap_or_default();
    ErrorNotice {
        exit: match refusal.code {
            // The appliance could not do it, and may later.
            RefusalCode::StoreUnavailable | RefusalCode::Internal | RefusalCode::Unknown => {
                NO_ANSWER
            }
            _ => REFUSED,
        },
        code: code.as_str().unwrap_or_default().to_owned(),
        message: refusal.message.clone(),
        facts: refusal.facts.clone(),
        tips: refusal.tips.clone(),
        details: called(call),
    }
}

fn unreachable(appliance: &str, call: &str, causes: &[String], forbidden: bool) -> ErrorNotice {
    let cause = causes.last().map(|cause| format!("cause: {cause}"));
    let first = if forbidden {
        "run it as root, or as a member of the socket's group"
    } else {
        "on the appliance, run `systemctl status pxe-appliance`"
    };
    ErrorNotice {
        exit: NO_ANSWER,
        code: "unreachable".to_owned(),
        message: format!("no answer from the appliance at {appliance}"),
        facts: cause
            .into_iter()
            .chain(["nothing was sent".to_owned()])
            .collect(),
        tips: vec![first.to_owned(), ANOTHER_ADDRESS.to_owned()],
        details: with_causes(call, causes),
    }
}

fn foreign_key(appliance: &str, call: &str, what: &str) -> ErrorNotice {
    ErrorNotice {
        exit: NO_ANSWER,
        code: "foreign_key".to_owned(),
        message: format!("whoever answers at {appliance} is not your appliance"),
        facts: vec![what.to_owned(), "nothing was sent".to_owned()],
        tips: vec![
            "if the appliance was set up anew, copy its token file to this machine again"
                .to_owned(),
            "if not, find out who has its address: `ip neigh` tells the MAC".to_owned(),
        ],
        details: called(call),
    }
}

fn foreign(appliance: &str, call: &str, what: &str) -> ErrorNotice {
    ErrorNotice {
        exit: NO_ANSWER,
        code: "not_an_appliance".to_owned(),
        message: format!("the server at {appliance} is not an appliance of this version"),
        facts: vec![what.to_owned()],
        tips: vec![
            "`pxe-admin --version` and `pxe-appliance --version` should agree".to_owned(),
            ANOTHER_ADDRESS.to_owned(),
        ],
        details: called(call),
    }
}

fn unanswered(
    appliance: &str,
    call: &str,
    why: &NoConnection,
    perhaps: Option<&str>,
    causes: &[String],
) -> ErrorNotice {
    let (code, message) = match why {
        NoConnection::Timeout(after) => (
            "timeout",
            format!(
                "the appliance at {appliance} did not answer within {} s",
                after.as_secs()
            ),
        ),
        NoConnection::Cut => (
            "cut",
            format!("the appliance at {appliance} hung up before it answered"),
        ),
    };
    let (fact, tip) = match perhaps {
        Some(perhaps) => (
            format!("it may or may not have {perhaps}"),
            "run the same command again; it is safe",
        ),
        None => (
            "nothing was changed".to_owned(),
            "run the same command again",
        ),
    };
    ErrorNotice {
        exit: NO_ANSWER,
        code: code.to_owned(),
        message,
        facts: vec![fact],
        tips: vec![tip.to_owned()],
        details: with_causes(call, causes),
    }
}

fn called(call: &str) -> Vec<String> {
    vec![format!("call: {call}")]
}

fn with_causes(call: &str, causes: &[String]) -> Vec<String> {
    let chain = (!causes.is_empty()).then(|| format!("causes: {}", causes.join(": ")));
    called(call).into_iter().chain(chain).collect()
}
