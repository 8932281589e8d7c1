//! One table of a file while it is taken apart: its values by their keys, and every key that was not asked for.

use std::ops::{Range, RangeInclusive};

use toml_edit::{Array, Item, TableLike, Value};

use super::item::{key_at, kind, kind_of_value, value_at, wrong_kind};
use super::reader::{Placed, Reader, one_of};
use crate::base::problem::did_you_mean;

/// A table, however it is written: below a header, in braces, or with dotted keys. One that is absent reads as empty.
pub struct Section<'d> {
    /// `dhcp.subnet`; empty at the top.
    name: String,
    table: Option<&'d dyn TableLike>,
    at: Range<usize>,
    known: Vec<&'static str>,
    /// Known, and not to be recommended.
    refused: Vec<&'static str>,
}

/// A value of any kind.
pub enum Node<'d> {
    Text(&'d str),
    List(Vec<Placed<Node<'d>>>),
    Table(Section<'d>),
    /// A number, a boolean, or a date.
    Other,
}

/// The value of a key.
struct Field<'d> {
    key: &'static str,
    item: &'d Item,
    at: Range<usize>,
}

impl<'d> Section<'d> {
    pub(super) fn top(table: &'d dyn TableLike) -> Self {
        Self::new(String::new(), Some(table), 0..0)
    }

    fn new(name: String, table: Option<&'d dyn TableLike>, at: Range<usize>) -> Self {
        Self {
            name,
            table,
            at,
            known: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// Where the table stands: at its braces or its key; one of several at its braces or its header. The top, and a table
    /// that is absent, stand at the beginning of the file.
    pub fn at(&self) -> Range<usize> {
        self.at.clone()
    }

    /// Whether the key is written, with a value of whatever kind.
    pub fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Where the key stands, if it is written.
    pub fn key_span(&self, key: &str) -> Option<Range<usize>> {
        let table = self.table.filter(|table| table.contains_key(key))?;
        Some(key_at(table, key))
    }

    /// A string.
    pub fn text(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Option<Placed<&'d str>> {
        self.typed(reader, key, "a string in quotes", Item::as_str)
    }

    /// `true` or `false`.
    pub fn flag(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Option<Placed<bool>> {
        self.typed(reader, key, "true or false", Item::as_bool)
    }

    pub fn integer(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Option<Placed<i64>> {
        self.typed(reader, key, "a whole number", Item::as_integer)
    }

    /// A whole number within `range`.
    pub fn number(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
        range: &RangeInclusive<u32>,
    ) -> Option<Placed<u32>> {
        let Placed { value: number, at } = self.integer(reader, key)?;
        let value = u32::try_from(number).ok().filter(|n| range.contains(n));
        if value.is_none() {
            let (least, most) = (range.start(), range.end());
            reader.problem(&at, format!("`{number}` is not between {least} and {most}"));
        }
        value.map(|value| Placed { value, at })
    }

    /// A string that `read` turns into a value, or says what is wrong with it.
    pub fn parsed<T>(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Placed<T>> {
        let text = self.text(reader, key)?;
        reader.meaning(&text, "", read)
    }

    /// A list of strings. `None` if one of them is something else.
    pub fn texts(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
    ) -> Option<Placed<Vec<Placed<&'d str>>>> {
        let kind = "a list of strings in brackets";
        let list: Placed<&Array> = self.typed(reader, key, kind, Item::as_array)?;
        let all: Vec<Option<Placed<&str>>> = list
            .value
            .iter()
            .map(|value| {
                let at = value.span().unwrap_or(list.at.clone());
                if let Some(text) = value.as_str() {
                    return Some(Placed { value: text, at });
                }
                let message = format!("each of `{key}` must be a string in quotes");
                wrong_kind(reader, &at, &message, kind_of_value(value));
                None
            })
            .collect();
        Some(Placed {
            value: all.into_iter().collect::<Option<_>>()?,
            at: list.at,
        })
    }

    /// A list of strings that `read` turns into values. `None` if one of them does not.
    pub fn list<T>(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Placed<Vec<Placed<T>>>> {
        let texts = self.texts(reader, key)?;
        let all: Vec<Option<Placed<T>>> = texts
            .value
            .iter()
            .map(|text| reader.meaning(text, "", &read))
            .collect();
        Some(Placed {
            value: all.into_iter().collect::<Option<_>>()?,
            at: texts.at,
        })
    }

    /// The table at `key`, if one is written there.
    pub fn table(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Option<Section<'d>> {
        let field = self.field(key)?;
        self.table_of(reader, key, field.item, field.at)
    }

    /// The table at `key`, empty if it is absent.
    pub fn section(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Section<'d> {
        let read = self.table(reader, key);
        read.unwrap_or_else(|| Section::new(self.path(key), None, 0..0))
    }

    /// The tables of a list, each written `[[key]]` or in braces.
    pub fn tables(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Vec<Section<'d>> {
        let Some(Field { item, at, .. }) = self.field(key) else {
            return Vec::new();
        };
        let name = self.path(key);
        match item {
            Item::ArrayOfTables(all) => {
                let of_header = |table: &'d toml_edit::Table| {
                    let at = table.span().unwrap_or(at.clone());
                    Section::new(name.clone(), Some(table), at)
                };
                all.iter().map(of_header).collect()
            }
            Item::Value(Value::Array(all)) => all
                .iter()
                .filter_map(|value| {
                    let at = value.span().unwrap_or(at.clone());
                    let Some(table) = value.as_inline_table() else {
                        let message = format!("each of `{name}` must be a table");
                        wrong_kind(reader, &at, &message, kind_of_value(value));
                        return None;
                    };
                    Some(Section::new(name.clone(), Some(table), at))
                })
                .collect(),
            other => {
                let message = format!("`{name}` must be tables, each written [[{name}]]");
                wrong_kind(reader, &at, &message, kind(other));
                Vec::new()
            }
        }
    }

    /// The table at `key`, or several; none if the key is absent.
    pub fn one_or_several(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
    ) -> Vec<Section<'d>> {
        match self.table.and_then(|table| table.get(key)) {
            Some(Item::ArrayOfTables(_) | Item::Value(Value::Array(_))) => self.tables(reader, key),
            _ => self.table(reader, key).into_iter().collect(),
        }
    }

    /// The tables in this one, by names that the user chose; no other value may stand in it. Each stands at its name.
    pub fn sections(&self, reader: &mut Reader<'_>) -> Vec<(Placed<&'d str>, Section<'d>)> {
        let fields = self.fields().into_iter();
        fields
            .filter_map(|(name, item)| {
                let at = value_at(name.at.clone(), item);
                let mut section = self.table_of(reader, name.value, item, at)?;
                section.at = name.at.clone();
                Some((name, section))
            })
            .collect()
    }

    /// The strings in this table, by keys that the user chose; no other value may stand in it.
    pub fn pairs(&self, reader: &mut Reader<'_>) -> Vec<(Placed<&'d str>, Placed<&'d str>)> {
        let fields = self.fields().into_iter();
        fields
            .filter_map(|(key, item)| {
                let at = value_at(key.at.clone(), item);
                if let Some(value) = item.as_str() {
                    return Some((key, Placed { value, at }));
                }
                let message = format!("`{}` must be a string in quotes", key.value);
                wrong_kind(reader, &at, &message, kind(item));
                None
            })
            .collect()
    }

    /// All keys and values, whatever they are.
    pub fn nodes(&self) -> Vec<(Placed<&'d str>, Placed<Node<'d>>)> {
        let fields = self.fields().into_iter();
        fields
            .map(|(key, item)| {
                let at = value_at(key.at.clone(), item);
                let value = Node::of(&self.path(key.value), item, &at);
                (key, Placed { value, at })
            })
            .collect()
    }

    /// Keys that may not stand here although they have a meaning elsewhere, each with its tip: silence about them would be a
    /// trap. `why` follows on the key in the message.
    pub fn refuse<'k>(
        &mut self,
        reader: &mut Reader<'_>,
        keys: impl IntoIterator<Item = (&'static str, &'k str)>,
        why: &str,
    ) {
        for (key, tip) in keys {
            if let Some(at) = self.key_span(key) {
                reader.problem_with_tip(&at, format!("`{key}` {why}"), tip);
            }
            self.refused.push(key);
        }
    }

    /// Reports every key that was not asked for as unknown.
    pub fn finish(&self, reader: &mut Reader<'_>) {
        let mut known = self.known.clone();
        known.sort_unstable();
        known.dedup();
        for (key, _) in self.fields() {
            if known.contains(&key.value) || self.refused.contains(&key.value) {
                continue;
            }
            let message = format!("unknown field `{}`, expected {}", key.value, one_of(&known));
            reader.note(
                &key.at,
                message,
                did_you_mean(key.value, known.iter().copied()),
            );
        }
    }

    fn field(&mut self, key: &'static str) -> Option<Field<'d>> {
        self.known.push(key);
        let table = self.table?;
        let item = table.get(key)?;
        let at = value_at(key_at(table, key), item);
        Some(Field { key, item, at })
    }

    fn typed<T>(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
        wanted: &str,
        read: impl FnOnce(&'d Item) -> Option<T>,
    ) -> Option<Placed<T>> {
        let Field { key, item, at } = self.field(key)?;
        let value = read(item);
        if value.is_none() {
            wrong_kind(
                reader,
                &at,
                &format!("`{key}` must be {wanted}"),
                kind(item),
            );
        }
        value.map(|value| Placed { value, at })
    }

    fn table_of(
        &self,
        reader: &mut Reader<'_>,
        key: &str,
        item: &'d Item,
        at: Range<usize>,
    ) -> Option<Section<'d>> {
        let name = self.path(key);
        let table = item.as_table_like();
        if table.is_none() {
            let message = format!("`{name}` must be a table, written [{name}]");
            wrong_kind(reader, &at, &message, kind(item));
        }
        table.map(|table| Section::new(name, Some(table), at))
    }

    /// In the order of the file.
    fn fields(&self) -> Vec<(Placed<&'d str>, &'d Item)> {
        let Some(table) = self.table else {
            return Vec::new();
        };
        let placed = |(key, item): (&'d str, &'d Item)| {
            let at = key_at(table, key);
            (Placed { value: key, at }, item)
        };
        table.iter().map(placed).collect()
    }

    fn path(&self, key: &str) -> String {
        if self.name.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.name)
        }
    }
}

impl<'d> Node<'d> {
    /// `path`: that of its key. `at`: where it stands.
    fn of(path: &str, item: &'d Item, at: &Range<usize>) -> Self {
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
