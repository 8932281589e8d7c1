//! The only module that prints. stdout is the answer, stderr the rest.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;
use serde_json::{Value, json};

use crate::failure::{ErrorNotice, Failure};

/// The answer of a command.
#[derive(Debug)]
pub(crate) struct CommandResult {
    /// For a person; empty if there is nothing to list.
    pub(crate) text: String,
    pub(crate) json: Value,
    /// For stderr: warnings and what to do next.
    pub(crate) notes: Vec<String>,
    pub(crate) exit: u8,
}

impl CommandResult {
    pub(crate) fn new(value: &impl Serialize, text: String) -> Self {
        Self {
            text,
            json: serde_json::to_value(value).unwrap_or_default(),
            notes: Vec::new(),
            exit: 0,
        }
    }

    /// An answer that was printed as it came, line by line.
    pub(crate) fn printed(exit: u8) -> Self {
        Self {
            exit,
            ..Self::new(&Value::Null, String::new())
        }
    }

    #[must_use]
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    #[must_use]
    pub(crate) fn exit(mut self, exit: u8) -> Self {
        self.exit = exit;
        self
    }
}

/// Where a command prints.
pub struct Output {
    stdout: Box<dyn Write + Send>,
    stderr: Box<dyn Write + Send>,
    /// stdout is a terminal: a line may be written over.
    terminal: bool,
    json: bool,
    verbose: bool,
    /// The cursor stands behind a line that the next one replaces.
    passing: bool,
    /// The same for stderr, and whether that is a terminal.
    stderr_terminal: bool,
    progress: bool,
}

impl Output {
    /// The process's own stdout and stderr.
    pub fn real() -> Self {
        Self {
            terminal: io::stdout().is_terminal(),
            stderr_terminal: io::stderr().is_terminal(),
            ..Self::to(Box::new(io::stdout()), Box::new(io::stderr()))
        }
    }

    /// Two writers, neither a terminal.
    pub fn to(stdout: Box<dyn Write + Send>, stderr: Box<dyn Write + Send>) -> Self {
        Self {
            stdout,
            stderr,
            terminal: false,
            json: false,
            verbose: false,
            passing: false,
            stderr_terminal: false,
            progress: false,
        }
    }

    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    pub(crate) fn speak(&mut self, json: bool, verbose: bool) {
        self.json = json;
        self.verbose = verbose;
    }

    /// Prints how far something is, beside the answer: only where stderr is a terminal, on a line that the next
    /// progress writes over. A log gets no progress lines.
    pub(crate) fn progress(&mut self, text: &str) {
        if self.stderr_terminal {
            self.progress = true;
            let text = printable(text);
            let _ = write!(self.stderr, "\r\x1b[K{text}").and_then(|()| self.stderr.flush());
        }
    }

    /// Clears the line of the progress.
    pub(crate) fn progress_over(&mut self) {
        if std::mem::take(&mut self.progress) {
            let _ = write!(self.stderr, "\r\x1b[K").and_then(|()| self.stderr.flush());
        }
    }

    pub(crate) fn shows_progress(&self) -> bool {
        self.stderr_terminal
    }

    /// Prints what clap says: help and version are answers, the rest are errors.
    pub(crate) fn usage(&mut self, error: &clap::Error) -> u8 {
        let text = error.render();
        let text = if self.terminal {
            text.ansi().to_string()
        } else {
            text.to_string()
        };
        let to = if error.use_stderr() {
            &mut self.stderr
        } else {
            &mut self.stdout
        };
        let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
        u8::try_from(error.exit_code()).unwrap_or(2)
    }

    pub(crate) fn answer(&mut self, answer: &CommandResult) -> u8 {
        let printed = match (&answer.json, self.json) {
            (Value::Null, _) => Ok(()),
            (json, true) => {
                let text = serde_json::to_string_pretty(json).unwrap_or_default();
                self.line(&text)
            }
            (_, false) if answer.text.is_empty() => Ok(()),
            (_, false) => self.line(&answer.text),
        };
        for note in &answer.notes {
            self.note(note);
        }
        match printed {
            Ok(()) => answer.exit,
            Err(failure) => self.failure(&failure),
        }
    }

    /// Prints a line of the answer.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), Failure> {
        let over = self.write_over();
        let text = printable(text);
        self.write(&format!("{over}{text}\n"))
    }

    /// Prints a line of the answer that the next one replaces if stdout is a terminal.
    pub(crate) fn passing_line(&mut self, text: &str) -> Result<(), Failure> {
        if !self.terminal || self.json {
            return self.line(text);
        }
        let over = self.write_over();
        self.passing = true;
        let text = printable(text);
        self.write(&format!("{over}{text}"))
    }

    /// The control sequence that clears a passing line, if there is one.
    fn write_over(&mut self) -> &'static str {
        if std::mem::take(&mut self.passing) {
            "\r\x1b[K"
        } else {
            ""
        }
    }

    fn write(&mut self, text: &str) -> Result<(), Failure> {
        self.progress_over();
        self.stdout
            .write_all(text.as_bytes())
            .and_then(|()| self.stdout.flush())
            .map_err(|_| Failure::Closed)
    }

    /// Prints a line beside the answer.
    pub(crate) fn note(&mut self, text: &str) {
        if std::mem::take(&mut self.passing) {
            let _ = self.write("\n");
        }
        self.progress_over();
        // If stderr is closed, nobody is left to read it.
        let _ = writeln!(self.stderr, "{}", printable(text));
    }

    pub(crate) fn failure(&mut self, failure: &Failure) -> u8 {
        let Some(notice) = failure.notice() else {
            return 0;
        };
        let text = if self.json {
            as_json(&notice).to_string()
        } else {
            as_text(&notice, self.verbose)
        };
        self.note(&text);
        notice.exit
    }
}

fn as_text(notice: &ErrorNotice, verbose: bool) -> String {
    let mut lines = vec![format!("error: {}", notice.message)];
    lines.extend(notice.facts.iter().map(|fact| format!("  {fact}")));
    if verbose {
        lines.extend(notice.details.iter().map(|detail| format!("  {detail}")));
    }
    if !notice.tips.is_empty() {
        lines.push(String::new());
        lines.extend(notice.tips.iter().map(|tip| format!("  tip: {tip}")));
    }
    lines.join("\n")
}

fn as_json(notice: &ErrorNotice) -> Value {
    json!({"error": {
        "code": notice.code,
        "message": notice.message,
        "facts": notice.facts,
        "tips": notice.tips,
        "details": notice.details,
    }})
}

/// The text without control characters: machines say of themselves what they like, and a terminal would obey.
fn printable(text: &str) -> String {
    let odd = |c: char| c.is_control() && c != '\n';
    text.replace(odd, "?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_machine_says_reaches_the_terminal_as_a_command() {
        assert_eq!(
            printable("vendor\x1b]0;gotcha\x07 \u{9b}31m\r\nnext"),
            "vendor?]0;gotcha? ?31m?\nnext"
        );
    }

    #[test]
    fn facts_come_before_details_before_tips() {
        let notice = ErrorNotice {
            exit: 1,
            code: "wrong_state".to_owned(),
            message: "no".to_owned(),
            facts: vec!["fact".to_owned()],
            tips: vec!["tip 1".to_owned(), "tip 2".to_owned()],
            details: vec!["call: GET /".to_owned()],
        };
        assert_eq!(
            as_text(&notice, false),
            "error: no\n  fact\n\n  tip: tip 1\n  tip: tip 2"
        );
        assert_eq!(
            as_text(&notice, true),
            "error: no\n  fact\n  call: GET /\n\n  tip: tip 1\n  tip: tip 2"
        );
    }
}
