//! A file on its way to a machine, whichever protocol carries it → the marks of its beginning and its end.

use std::time::Duration;

use super::{Mark, Part, Via};

/// What goes out, as what, and over what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub part: Part,
    pub file: String,
    pub via: Via,
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    /// Bytes that arrived, as far as that is known.
    pub bytes: u64,
    pub took: Duration,
    /// Packets that went out more than once.
    pub resent: u64,
    /// Why it ended before its end, in the words of the log; nothing if it did not.
    pub broken: Option<String>,
}

impl Delivery {
    pub fn begun(&self) -> Mark {
        let Self { part, file, via } = self.clone();
        Mark::Begun { part, file, via }
    }

    pub fn ended(&self, course: Course) -> Mark {
        let Self { part, file, via } = self.clone();
        let Course { bytes, resent, .. } = course;
        let millis = u64::try_from(course.took.as_millis()).unwrap_or(u64::MAX);
        match course.broken {
            None => Mark::Sent {
                part,
                file,
                via,
                bytes,
                millis,
                resent,
            },
            Some(why) => Mark::Broken {
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
