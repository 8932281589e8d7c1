//! Where a key and its value stand, and what to call the kinds of values.

use std::ops::Range;

use toml_edit::{Item, TableLike, Value};

use super::reader::Reader;

/// Where a key stands; one that is part of several headers or dotted keys stands in the first of them.
pub(super) fn key_at(table: &dyn TableLike, key: &str) -> Range<usize> {
    let found = table.get_key_value(key);
    let at = found.and_then(|(key, item)| key.span().or_else(|| item.span()));
    at.unwrap_or_default()
}

/// Where the value of the key at `key` stands. A table that has headers or dotted keys is in more than one place, and stands
/// at its key.
pub(super) fn value_at(key: Range<usize>, item: &Item) -> Range<usize> {
    item.as_value().and_then(Value::span).unwrap_or(key)
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
