//! What Nix's reader refuses in a TOML text: one such file breaks the evaluation of every host of the flake.
//!
//! Both readers take TOML 1.0. But dates and NUL characters are TOML too, and Nix has no value for either.

use std::ops::Range;

use toml_edit::{Item, TableLike, Value};

use super::document::Document;
use super::item::{key_at, value_at};
use super::reader::Reader;
use crate::base::problem::Problem;

/// Every date and every NUL character, in the order of the text; of a text that is not TOML 1.0, the first place where
/// it stops being so.
pub fn check(file: &str, text: &str) -> Vec<Problem> {
    let document = match Document::parse(file, text) {
        Ok(document) => document,
        Err(problem) => return vec![problem],
    };
    let mut reader = Reader::new(file, text);
    refuse(&mut reader, &document);
    reader.into_problems()
}

/// Notes every date and every NUL character. To be called before the document is taken apart: a date is of the wrong kind for
/// each key, and that it is a date says more.
pub fn refuse(reader: &mut Reader<'_>, document: &Document<'_>) {
    table(reader, document.tree.as_table());
}

fn table(reader: &mut Reader<'_>, table: &dyn TableLike) {
    for (key, item) in table.iter() {
        let at = key_at(table, key);
        if key.contains('\0') {
            refused(reader, &at, "is a NUL character in a key");
        }
        match item {
            Item::None => {}
            Item::Value(one) => value(reader, one, &value_at(at, item)),
            Item::Table(inner) => self::table(reader, inner),
            Item::ArrayOfTables(all) => all.iter().for_each(|one| self::table(reader, one)),
        }
    }
}

/// `at`: where it stands.
fn value(reader: &mut Reader<'_>, value: &Value, at: &Range<usize>) {
    match value {
        Value::String(text) if text.value().contains('\0') => {
            refused(reader, at, "holds a NUL character");
        }
        Value::Datetime(_) => refused(reader, at, "is a date or a time"),
        Value::Array(all) => {
            for one in all {
                self::value(reader, one, &one.span().unwrap_or(at.clone()));
            }
        }
        Value::InlineTable(inner) => table(reader, inner),
        Value::String(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => {}
    }
}

fn refused(reader: &mut Reader<'_>, at: &Range<usize>, what: &str) {
    reader.problem(at, format!("{what}, which Nix refuses to read"));
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn every_place_that_nix_refuses_is_named() {
        let text = concat!(
            "fine = [1, 2.5, true, \"x\", { y = [] }]\n",
            "since = 2024-01-01 07:32:00Z\n",
            "[a]\n",
            "b = [\"fine\", \"a\\u0000b\", { at = 11:45:00 }]\n",
            "plain = '\\u0000'\n",
            "[[c]]\n",
            "d.e = 2024-01-01\n",
        );
        let problems: Vec<String> = check("a.toml", text)
            .iter()
            .map(ToString::to_string)
            .collect();
        expect![[r#"
            a.toml:2:9: is a date or a time, which Nix refuses to read
            a.toml:4:14: holds a NUL character, which Nix refuses to read
            a.toml:4:33: is a date or a time, which Nix refuses to read
            a.toml:7:7: is a date or a time, which Nix refuses to read"#]]
        .assert_eq(&problems.join("\n"));
        let problems: Vec<String> = check("a.toml", "\"k\\u0000\" = 1")
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            problems,
            ["a.toml:1:1: is a NUL character in a key, which Nix refuses to read"]
        );
    }

    #[test]
    fn a_text_that_only_looks_like_a_date_is_none() {
        assert_eq!(check("a.toml", "d = { date = \"2024-01-01\" }"), []);
    }
}
