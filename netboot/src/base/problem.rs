//! One thing wrong in a file a person wrote: where, what, and what to do. All are reported, not the first.

use std::fmt;
use std::ops::Range;

/// Prints as `hosts/profiles/a.toml:4:1: unknown field …`, with the tip on a line of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    pub file: String,
    /// From 1; columns count characters.
    pub line: usize,
    pub column: usize,
    pub message: String,
    pub tip: Option<String>,
}

impl Problem {
    /// A problem at the bytes `span` of `text`.
    pub fn at(file: &str, text: &str, span: &Range<usize>, message: impl Into<String>) -> Self {
        let before = text.get(..span.start.min(text.len())).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |n| n + 1);
        Self {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: message.into(),
            tip: None,
        }
    }

    #[must_use]
    pub fn tip(mut self, tip: impl Into<String>) -> Self {
        self.tip = Some(tip.into());
        self
    }

    /// What the TOML reader found. Only the first line of its message: the rest quotes the file, and a
    /// quoted line may hold what must not reach a log.
    pub fn from_toml(file: &str, text: &str, error: &toml::de::Error) -> Self {
        let span = error.span().unwrap_or(0..0);
        let message = error.message().lines().next().unwrap_or_default();
        let problem = Self::at(file, text, &span, message);
        match unknown_field(message) {
            Some((odd, known)) => match nearest(odd, known) {
                Some(near) => problem.tip(format!("did you mean `{near}`?")),
                None => problem,
            },
            None => problem,
        }
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
        write!(f, "{file}:{line}:{column}: {message}")?;
        match tip {
            Some(tip) => write!(f, "\n  tip: {tip}"),
            None => Ok(()),
        }
    }
}

/// Takes serde's "unknown field `x`, expected one of `a`, `b`" apart.
fn unknown_field(message: &str) -> Option<(&str, Vec<&str>)> {
    let rest = message.strip_prefix("unknown field `")?;
    let (odd, rest) = rest.split_once('`')?;
    let known = rest.split('`').skip(1).step_by(2).collect();
    Some((odd, known))
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
