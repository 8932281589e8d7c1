//! Collects the problems of one file while it is taken apart.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use crate::base::problem::{Problem, did_you_mean};

/// A value, and the bytes of the text that it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed<T> {
    pub value: T,
    pub at: Range<usize>,
}

/// Collects the problems of one file while it is taken apart.
pub struct Reader<'t> {
    file: &'t str,
    text: &'t str,
    problems: Vec<Problem>,
}

impl<'t> Reader<'t> {
    pub fn new(file: &'t str, text: &'t str) -> Self {
        Self {
            file,
            text,
            problems: Vec::new(),
        }
    }

    /// A problem without a message, for what is judged when the file has been read.
    pub fn place(&self, at: &Range<usize>) -> Problem {
        Problem::at(self.file, self.text, at, "")
    }

    pub fn problem(&mut self, at: &Range<usize>, message: impl Into<String>) {
        self.note(at, message, None);
    }

    pub fn problem_with_tip(
        &mut self,
        at: &Range<usize>,
        message: impl Into<String>,
        tip: impl Into<String>,
    ) {
        self.note(at, message, Some(tip.into()));
    }

    /// A problem that may have a tip.
    pub fn note(&mut self, at: &Range<usize>, message: impl Into<String>, tip: Option<String>) {
        let problem = Problem::at(self.file, self.text, at, message);
        self.problems.push(Problem { tip, ..problem });
    }

    /// How many problems were noted: where it grew, something that was just read is wrong.
    pub fn problem_count(&self) -> usize {
        self.problems.len()
    }

    /// All problems in the order of the text, those of one place in the order in which they were noted.
    pub fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems;
        problems.sort_by_key(|problem| (problem.line, problem.column));
        problems
    }

    /// Whether something begins here that has a problem already.
    pub(super) fn is_refused(&self, at: &Range<usize>) -> bool {
        let Problem { line, column, .. } = self.place(at);
        let mut problems = self.problems.iter();
        problems.any(|problem| (problem.line, problem.column) == (line, column))
    }

    /// A text that means something. `what` it is comes first in the message, such as `the name`.
    pub fn parse<T: FromStr<Err: fmt::Display>>(
        &mut self,
        text: &Placed<&str>,
        what: &str,
    ) -> Option<T> {
        let value = self.meaning(text, &format!("{what} "), str::parse::<T>)?;
        Some(value.value)
    }

    /// One of a few words. `what` they are comes into the message, such as `role`.
    pub fn word<T: Clone>(
        &mut self,
        text: &Placed<&str>,
        what: &str,
        words: &[(&str, T)],
    ) -> Option<T> {
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text.value) {
            return Some(value.clone());
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let message = format!(
            "no {what} is called `{}`, expected {}",
            text.value,
            one_of(&known)
        );
        self.note(&text.at, message, did_you_mean(text.value, known));
        None
    }

    /// A text that means something: `read` says what is wrong with one that does not, in words that follow on the text
    /// itself. `before` comes first in the message.
    pub fn meaning<T, E: fmt::Display>(
        &mut self,
        text: &Placed<&str>,
        before: &str,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Placed<T>> {
        let at = text.at.clone();
        match read(text.value) {
            Ok(value) => Some(Placed { value, at }),
            Err(why) => {
                let message = format!("{before}`{}` {why}", text.value);
                self.problem(&at, message);
                None
            }
        }
    }
}

/// ``one of `a`, `b` ``, for messages.
pub(super) fn one_of(words: &[&str]) -> String {
    match words {
        [] => "none".to_owned(),
        [only] => format!("`{only}`"),
        all => format!("one of `{}`", all.join("`, `")),
    }
}
