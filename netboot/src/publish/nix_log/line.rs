//! One line of Nix's stderr → what it says.

use serde::Deserialize;
use serde_json::Value;

/// Activity types: "a path is copied", "paths are copied", "things are built", "one is built" (nix,
/// `src/libutil/logging.hh`).
pub(super) const COPY_PATH: u64 = 100;
pub(super) const COPY_PATHS: u64 = 103;
pub(super) const BUILDS: u64 = 104;
pub(super) const BUILD: u64 = 105;
/// Result types "a line of the builder" and "progress".
const BUILD_LOG: u64 = 101;
const PROGRESS: u64 = 105;
/// Errors and warnings.
pub(super) const WARNING: u64 = 1;

/// What a line says, as far as it is of use here.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LogMessage {
    /// An activity begins; `about` is its first field, such as the path that is copied.
    Start {
        id: u64,
        kind: u64,
        about: String,
    },
    Progress {
        id: u64,
        done: u64,
        expected: u64,
    },
    Stop {
        id: u64,
    },
    /// What the builder of this activity printed.
    Log {
        id: u64,
        text: String,
    },
    /// A message; 0 is an error. Lines that are not JSON are errors, too: Nix broke before it could say so properly.
    Word {
        level: u64,
        text: String,
    },
    Other,
}

#[derive(Deserialize)]
struct LogLine {
    action: String,
    #[serde(default)]
    id: u64,
    #[serde(rename = "type", default)]
    kind: u64,
    #[serde(default)]
    fields: Vec<Value>,
    #[serde(default)]
    level: u64,
    #[serde(default)]
    msg: String,
}

impl LogMessage {
    pub(super) fn read(text: &str) -> Self {
        let Some(json) = text.strip_prefix("@nix ") else {
            return Self::Word {
                level: 0,
                text: text.to_owned(),
            };
        };
        let Ok(line) = serde_json::from_str::<LogLine>(json) else {
            return Self::Other;
        };
        let id = line.id;
        let number = |n: usize| line.fields.get(n).and_then(Value::as_u64);
        let text = || line.fields.first().and_then(Value::as_str);
        match line.action.as_str() {
            "start" => Self::Start {
                id,
                kind: line.kind,
                about: text().unwrap_or_default().to_owned(),
            },
            "result" if line.kind == BUILD_LOG => Self::Log {
                id,
                text: text().unwrap_or_default().to_owned(),
            },
            "result" if line.kind == PROGRESS => match (number(0), number(1)) {
                (Some(done), Some(expected)) => Self::Progress { id, done, expected },
                _ => Self::Other,
            },
            "stop" => Self::Stop { id },
            "msg" => Self::Word {
                level: line.level,
                text: line.msg,
            },
            _ => Self::Other,
        }
    }
}

/// Without colours (ECMA-48 `ESC [ … letter`).
pub(super) fn without_colours(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part
            .find(|c: char| c.is_ascii_alphabetic())
            .map_or(part.len(), |n| n + 1);
        out.push_str(&part[end..]);
    }
    out
}

/// Without colours, on one line.
pub(super) fn on_one_line(text: &str) -> String {
    without_colours(text)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}
