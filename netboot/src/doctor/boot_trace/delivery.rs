//! A file on its way to a machine, whichever protocol carries it → the marks of its beginning and its end.

use std::time::Duration;

use super::{BootEvent, FileRole, TransferProtocol};

/// The file that goes out, its role in the boot, and the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub part: FileRole,
    pub file: String,
    pub via: TransferProtocol,
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Bytes that arrived, as far as that is known.
    pub bytes: u64,
    pub took: Duration,
    /// Packets that went out more than once.
    pub resent: u64,
    /// Why it broke off, in the words of the log; `None` if it did not.
    pub broken: Option<String>,
}

impl Delivery {
    pub fn begun(&self) -> BootEvent {
        let Self { part, file, via } = self.clone();
        BootEvent::Begun { part, file, via }
    }

    pub fn ended(&self, transfer: Transfer) -> BootEvent {
        let Self { part, file, via } = self.clone();
        let Transfer { bytes, resent, .. } = transfer;
        let millis = u64::try_from(transfer.took.as_millis()).unwrap_or(u64::MAX);
        match transfer.broken {
            None => BootEvent::Sent {
                part,
                file,
                via,
                bytes,
                millis,
                resent,
            },
            Some(why) => BootEvent::Broken {
                part,
                file,
                via,
                bytes,
                millis,
                resent,
                why,
            },
        }
    }
}
