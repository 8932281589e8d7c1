//! A value whose kind is not known beforehand, and what to call each kind.

use std::ops::Range;

use toml_edit::{Item, Value};

use super::{Placed, Reader, Section};

/// A value of any kind.
pub enum Node<'d> {
    Text(&'d str),
    List(Vec<Placed<Node<'d>>>),
    Table(Section<'d>),
    /// A number, a boolean, or a date.
    Other,
}

impl<'d> Node<'d> {
    /// `path`: that of its key. `at`: where it stands.
    pub(super) fn of(path: &str, item: &'d Item, at: &Range<usize>) -> Self {
        let table = |table, at| Node::Table(Section::new(path.to_owned(), Some(table), at));
        match item {
            Item::None => Node::Other,
            Item::Value(value) => Node::of_value(path, value, at),
            Item::Table(one) => table(one, at.clone()),
            Item::ArrayOfTables(all) => {
                let tables = all.iter().map(|one| {
                    let at = one.span().unwrap_or(at.clone());
                    Placed {
                        value: table(one, at.clone()),
                        at,
                    }
                });
                Node::List(tables.collect())
            }
        }
    }

    fn of_value(path: &str, value: &'d Value, at: &Range<usize>) -> Self {
        match value {
            Value::String(text) => Node::Text(text.value()),
            Value::InlineTable(table) => {
                Node::Table(Section::new(path.to_owned(), Some(table), at.clone()))
            }
            Value::Array(all) => {
                let values = all.iter().map(|one| {
                    let at = one.span().unwrap_or(at.clone());
                    Placed {
                        value: Node::of_value(path, one, &at),
                        at,
                    }
                });
                Node::List(values.collect())
            }
            Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {
                Node::Other
            }
        }
    }
}

/// One that has a problem already needs no second one about its kind: Nix refuses a date wherever it stands.
pub(super) fn wrong_kind(reader: &mut Reader<'_>, at: &Range<usize>, message: &str, found: &str) {
    if !reader.is_refused(at) {
        reader.problem(at, format!("{message}, found {found}"));
    }
}

pub(super) fn kind(item: &Item) -> &'static str {
    match item {
        Item::None => "nothing",
        Item::Value(value) => kind_of_value(value),
        Item::Table(_) => "a table",
        Item::ArrayOfTables(_) => "a list of tables",
    }
}

pub(super) fn kind_of_value(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a string",
        Value::Integer(_) => "an integer",
        Value::Float(_) => "a float",
        Value::Boolean(_) => "a boolean",
        Value::Datetime(_) => "a date or a time",
        Value::Array(_) => "a list",
        Value::InlineTable(_) => "a table",
    }
}
