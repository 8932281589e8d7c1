//! One thing wrong in a file a person wrote: where, what, and what to do. All are reported, not the first.

use std::fmt;
use std::ops::Range;

/// Prints as `hosts/profiles/a.toml:4:1: unknown field …`, with the tip on a line of its own. What a terminal would obey, and
/// no person would see, is escaped.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    pub file: String,
    /// From 1; columns count characters. A byte order mark is none, a tab is one.
    pub line: usize,
    pub column: usize,
    pub message: String,
    pub tip: Option<String>,
}

impl Problem {
    /// A problem at the bytes `span` of `text`.
    pub fn at(file: &str, text: &str, span: &Range<usize>, message: impl Into<String>) -> Self {
        let before = text.get(..span.start.min(text.len())).unwrap_or(text);
        let line = match before.rfind('\n') {
            Some(end) => &before[end + 1..],
            None => before.trim_start_matches('\u{feff}'),
        };
        Self {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
            message: message.into(),
            tip: None,
        }
    }

    #[must_use]
    pub fn tip(mut self, tip: impl Into<String>) -> Self {
        self.tip = Some(tip.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            column,
            message,
            tip,
        } = self;
        write!(f, "{}:{line}:{column}: {}", shown(file), shown(message))?;
        match tip {
            Some(tip) => write!(f, "\n  tip: {}", shown(tip)),
            None => Ok(()),
        }
    }
}

/// The text without control characters and others that are not seen.
fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\'' | '\\' => shown.push(c),
            other => shown.extend(other.escape_debug()),
        }
    }
    shown
}

/// Edits by which a name may differ from the one that was meant.
const NEAR: usize = 2;

/// The known name that is nearest to `odd`, if it is within two edits: a letter put in, left out, changed, or two
/// neighbours swapped.
pub fn nearest<'a>(odd: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = odd.chars().count();
    known
        .into_iter()
        // A name whose length differs by more needs more edits; and the cost of a comparison is the product of both
        // lengths.
        .filter(|name| name.chars().count().abs_diff(length) <= NEAR)
        .map(|name| (strsim::osa_distance(odd, name), name))
        .filter(|(edits, _)| *edits <= NEAR)
        .min()
        .map(|(_, name)| name)
}

/// The tip that names what was meant, if something is near.
pub fn did_you_mean<'a>(odd: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(odd, known).map(|near| format!("did you mean `{near}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_line_and_column_in_characters() {
        let text = "a = 1\nähm = 2\n";
        let problem = Problem::at("f.toml", text, &(11..12), "odd");
        assert_eq!(problem.to_string(), "f.toml:2:5: odd");
        assert_eq!(Problem::at("f", text, &(999..1000), "x").line, 3);
    }

    #[test]
    fn a_byte_order_mark_is_no_column() {
        let text = "\u{feff}a = 1\r\n\tb = 2\r\n";
        for (at, want) in [
            (0, "f:1:1: x"),
            (3, "f:1:1: x"),
            (7, "f:1:5: x"),
            (11, "f:2:2: x"),
        ] {
            assert_eq!(Problem::at("f", text, &(at..at), "x").to_string(), want);
        }
    }

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        let problem = Problem::at("f\r", "", &(0..0), "`a\u{1b}[2J\n\u{202e}` \"größe\" \\")
            .tip("it's `b\u{7}`");
        assert_eq!(
            problem.to_string(),
            "f\\r:1:1: `a\\u{1b}[2J\\n\\u{202e}` \"größe\" \\\n  tip: it's `b\\u{7}`"
        );
    }

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        for (odd, want) in [
            ("dsik", Some("disk")),
            ("web-1", Some("web-01")),
            ("mca", Some("mac")),
            ("wbe-1", Some("web-01")),
            ("ewb1", None),
            ("zebra", None),
        ] {
            assert_eq!(nearest(odd, ["disk", "web-01", "mac"]), want, "{odd}");
        }
    }
}
