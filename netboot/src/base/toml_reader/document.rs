//! The text of a file as a tree, or where it stops being TOML 1.0.

use toml_edit::ImDocument;

use super::section::Section;
use crate::base::problem::Problem;

/// The text as a tree.
pub struct Document<'t> {
    pub(super) tree: ImDocument<&'t str>,
}

impl<'t> Document<'t> {
    /// # Errors
    /// The one place where the text stops being TOML 1.0. A key that an inline table has twice is told at the beginning of
    /// the table.
    pub fn parse(file: &str, text: &'t str) -> Result<Self, Problem> {
        match ImDocument::parse(text) {
            Ok(tree) => Ok(Self { tree }),
            // What it says besides its message quotes the file, and a quoted line may hold what must not reach a log.
            Err(error) => {
                let message = error.message().lines().collect::<Vec<_>>().join(": ");
                let at = error.span().unwrap_or(0..0);
                Err(Problem::at(file, text, &at, message))
            }
        }
    }

    /// The keys above all tables, and the tables.
    pub fn top(&self) -> Section<'_> {
        Section::top(self.tree.as_table())
    }
}
