//! One file on its way: acknowledgements, errors and time → which blocks go out, or how it ended.
//!
//! # Why nothing multiplies
//!
//! "Sorcerer's apprentice" (RFC 1123 §4.2.3.1): a server that answers each duplicate of an acknowledgement with another
//! block, and a client that acknowledges each, send everything twice for ever after. Without a window, a duplicate is
//! never answered here; the timer alone sends again. With a window a duplicate can be the client's word that the
//! window's first block is missing, and RFC 7440 wants the window again: once for each block that can be next, and not
//! in the window after such a one. Duplicates that come of the resent window therefore do not cause another one.

use std::ops::Range;
use std::time::Duration;

use super::options::NegotiatedOptions;
use super::packet::BREAKS_OFF;
use super::rtt::RetransmissionTimer;

/// How long a client may make no progress. ROMs that ask again every four seconds get several tries.
const PATIENCE: Duration = Duration::from_secs(25);

/// The same when all that is missing is the last acknowledgement: a client that has the file sends it once
/// and goes.
const PATIENCE_AT_THE_END: Duration = Duration::from_secs(8);

/// What to do next.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SenderAction {
    /// Send the OACK.
    Options,
    /// Send these blocks, counted from 1 without wrapping.
    Blocks(Range<u64>),
    /// Nothing until [`Sender::due`].
    Wait,
    Ended(TransferEnd),
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferEnd {
    /// The client acknowledged the last block.
    Complete,
    /// The client learnt the size and broke off, as EDK2 and many ROMs do before they ask in earnest.
    Probed,
    /// The client broke off, with this error code.
    BrokenOff(u16),
    /// All went out, and the last acknowledgement is missing: lost, or the client was gone.
    Unconfirmed,
    /// The client stopped answering.
    Silent,
    /// The client asked anew from the same port: it was reset, or wants something else.
    Anew,
}

/// A repeated request that comes sooner than this after progress is a late duplicate from the network: it is ignored.
const STALE: Duration = Duration::from_secs(1);

/// A transfer. Times are since its begin.
#[derive(Debug, Clone)]
pub struct Sender {
    block: u64,
    window: u64,
    size: u64,
    /// The OACK is not acknowledged yet.
    opening: bool,
    /// The client has acknowledged something.
    answered: bool,
    /// Highest block that the client has with all before it.
    acknowledged: u64,
    /// Highest block that went out.
    sent: u64,
    timer: RetransmissionTimer,
    /// When the last packets went out; `None` before the first.
    went_out: Option<Duration>,
    /// Whether all of these last packets went out for the first time: only then do they measure a round trip.
    fresh: bool,
    due: Duration,
    /// When the client last told that it got something new.
    progress: Duration,
    /// An acknowledgement has had blocks sent again since `acknowledged` changed.
    repeated: bool,
    /// The value of `repeated` before `acknowledged` changed.
    repeated_before: bool,
    resent: u64,
}

impl Sender {
    /// For a file of `size` bytes, and the first step.
    pub fn new(size: u64, options: &NegotiatedOptions, now: Duration) -> (Self, SenderAction) {
        let mut sender = Self {
            block: u64::from(options.block),
            window: u64::from(options.window),
            size,
            opening: !options.accepted.is_empty(),
            answered: false,
            acknowledged: 0,
            sent: 0,
            timer: RetransmissionTimer::new(options.timeout),
            went_out: None,
            fresh: true,
            due: now,
            progress: now,
            repeated: false,
            repeated_before: false,
            resent: 0,
        };
        let step = sender.send(now);
        (sender, step)
    }

    /// When [`Self::expired`] is to be called, if no packet comes before.
    pub fn due(&self) -> Duration {
        self.due
    }

    /// Blocks and OACKs that went out more than once.
    pub fn resent(&self) -> u64 {
        self.resent
    }

    /// Bytes that the client has acknowledged.
    pub fn delivered(&self) -> u64 {
        self.size.min(self.acknowledged * self.block)
    }

    /// The bytes of the file that a block carries; none in a last block that only says that it is the last.
    pub fn bytes(&self, block: u64) -> Range<u64> {
        let start = (block - 1) * self.block;
        start..self.size.min(start + self.block)
    }

    /// ACK.
    pub fn acknowledged(&mut self, number: u16, now: Duration) -> SenderAction {
        if self.opening {
            if number != 0 {
                return SenderAction::Wait;
            }
            self.opening = false;
            return self.advanced(now);
        }
        // The wire has the lower 16 bits only, and a window is far smaller than what they count.
        let ahead = u64::from(number.wrapping_sub(wire(self.acknowledged)));
        if ahead > self.sent - self.acknowledged {
            // An acknowledgement of a block long before, or of one that was never sent.
            return SenderAction::Wait;
        }
        if ahead == 0 {
            if self.window == 1 || self.repeated || self.repeated_before {
                return SenderAction::Wait;
            }
            self.repeated = true;
            return self.send(now);
        }
        self.acknowledged += ahead;
        self.repeated_before = self.repeated;
        self.repeated = self.acknowledged < self.sent;
        if self.acknowledged == self.last() {
            return SenderAction::Ended(TransferEnd::Complete);
        }
        self.advanced(now)
    }

    fn advanced(&mut self, now: Duration) -> SenderAction {
        if let Some(went_out) = self.went_out
            && self.fresh
            && self.acknowledged == self.sent
        {
            self.timer.measure(now.saturating_sub(went_out));
        }
        self.answered = true;
        self.progress = now;
        self.send(now)
    }

    /// ERROR.
    pub fn broken_off(&self, code: u16) -> SenderAction {
        let probed = self.opening && BREAKS_OFF.contains(&code);
        SenderAction::Ended(if probed {
            TransferEnd::Probed
        } else {
            TransferEnd::BrokenOff(code)
        })
    }

    /// A request from the same port; `same` as the one before, byte for byte, or another.
    pub fn asked_again(&mut self, same: bool, now: Duration) -> SenderAction {
        if !same {
            return SenderAction::Ended(TransferEnd::Anew);
        }
        if !self.answered {
            // The answer was lost.
            return self.send(now);
        }
        match now.saturating_sub(self.progress) < STALE {
            true => SenderAction::Wait,
            false => SenderAction::Ended(TransferEnd::Anew),
        }
    }

    /// To be called at [`Self::due`]; called earlier, it has no effect.
    pub fn expired(&mut self, now: Duration) -> SenderAction {
        if now < self.due {
            return SenderAction::Wait;
        }
        let all_sent = self.answered && self.sent == self.last();
        let (patience, end) = match all_sent {
            true => (PATIENCE_AT_THE_END, TransferEnd::Unconfirmed),
            false => (PATIENCE, TransferEnd::Silent),
        };
        if now.saturating_sub(self.progress) >= patience {
            return SenderAction::Ended(end);
        }
        self.timer.expired();
        self.send(now)
    }

    /// The block that is shorter than the others, if only by being empty (RFC 1350 §6).
    fn last(&self) -> u64 {
        self.size / self.block + 1
    }

    /// Sends the blocks that follow those which the client has.
    fn send(&mut self, now: Duration) -> SenderAction {
        let first = self.went_out.replace(now).is_none();
        self.due = now + self.timer.wait();
        if self.opening {
            self.fresh = first;
            self.resent += u64::from(!first);
            return SenderAction::Options;
        }
        let end = self.last().min(self.acknowledged + self.window);
        self.resent += self.sent - self.acknowledged;
        self.fresh = self.sent == self.acknowledged;
        self.sent = end;
        SenderAction::Blocks(self.acknowledged + 1..end + 1)
    }
}

/// A block's number on the wire: after 65 535 comes 0, as all clients of more than 32 MiB expect.
pub fn wire(block: u64) -> u16 {
    (block & 0xffff) as u16
}

#[cfg(test)]
mod tests;
