//! A TOML table whose keys are names, or depend on its `type` → each value with its place, and every key that nobody asked for.

use std::fmt;
use std::ops::Range;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::Reader;
use crate::base::problem::nearest;

/// Keys and values in the order of the file.
pub(super) struct Table(Vec<(Spanned<String>, Value)>);

/// Places are those of keys: a table that is written with dotted keys has none of its own.
pub(super) enum Value {
    Text(String),
    Whole(i64),
    Truth(bool),
    List(Vec<Value>),
    Table(Table),
    /// Nothing that a layout is made of.
    Float,
}

impl<'de> Deserialize<'de> for Table {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Table;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Table, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Table(pairs))
            }
        }
        input.deserialize_map(Pairs)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_str<E>(self, text: &str) -> Result<Value, E> {
                Ok(Value::Text(text.to_owned()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
                Ok(Value::Whole(number))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
                Ok(Value::Float)
            }

            fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
                Ok(Value::Truth(truth))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Value, A::Error> {
                let mut list = Vec::new();
                while let Some(one) = all.next_element()? {
                    list.push(one);
                }
                Ok(Value::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Value::Table(Table(pairs)))
            }
        }
        input.deserialize_any(Any)
    }
}

impl Table {
    /// Keys, where they stand, and values, in the order of the file.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, Range<usize>, &Value)> {
        self.0
            .iter()
            .map(|(name, value)| (name.get_ref().as_str(), name.span(), value))
    }
}

impl Value {
    /// As serde calls it, for a message.
    fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Whole(_) => "an integer",
            Self::Truth(_) => "a boolean",
            Self::List(_) => "an array",
            Self::Table(_) => "a table",
            Self::Float => "a float",
        }
    }
}

/// A value and where it stands.
pub(super) struct Found<T> {
    pub(super) place: Range<usize>,
    pub(super) value: T,
}

/// Keys that disko knows and a plan has no use for, each with what to do instead.
pub(super) type Outside<'a> = &'a [(&'a str, &'a str)];

/// A table that is being taken apart.
pub(super) struct Fields<'a> {
    pub(super) place: Range<usize>,
    table: &'a Table,
    asked: Vec<&'static str>,
}

/// Scripts of disko's that any of its tables may have.
const HOOKS: [&str; 6] = [
    "preCreateHook",
    "postCreateHook",
    "preMountHook",
    "postMountHook",
    "preUnmountHook",
    "postUnmountHook",
];

impl<'a> Fields<'a> {
    pub(super) fn of(found: &Found<&'a Table>) -> Self {
        Self {
            place: found.place.clone(),
            table: found.value,
            asked: Vec::new(),
        }
    }

    fn get<T>(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
        kind: &str,
        is: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Option<Found<T>> {
        self.asked.push(key);
        let (name, value) = self
            .table
            .0
            .iter()
            .find(|(name, _)| name.get_ref() == key)?;
        let place = value_place(reader.text, &name.span());
        match is(value) {
            Some(value) => Some(Found { place, value }),
            None => {
                let message = format!("`{key}` is {}, expected {kind}", value.kind());
                reader.wrong(&place, message);
                None
            }
        }
    }

    pub(super) fn text(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
    ) -> Option<Found<&'a str>> {
        self.get(reader, key, "a string", |value| match value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    pub(super) fn texts(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
    ) -> Option<Found<Vec<&'a str>>> {
        let text = |value: &'a Value| match value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        };
        self.get(reader, key, "an array of strings", |value| match value {
            Value::List(list) => list.iter().map(text).collect(),
            _ => None,
        })
    }

    pub(super) fn truth(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
    ) -> Option<Found<bool>> {
        self.get(reader, key, "a boolean", |value| match value {
            Value::Truth(truth) => Some(*truth),
            _ => None,
        })
    }

    pub(super) fn whole(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
    ) -> Option<Found<i64>> {
        self.get(reader, key, "an integer", |value| match value {
            Value::Whole(number) => Some(*number),
            _ => None,
        })
    }

    pub(super) fn table(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
    ) -> Option<Found<&'a Table>> {
        self.get(reader, key, "a table", |value| match value {
            Value::Table(table) => Some(table),
            _ => None,
        })
    }

    /// Whether nothing is written under this key; what is, but is of the wrong kind, is told already.
    pub(super) fn lacks(&self, key: &str) -> bool {
        !self.table.0.iter().any(|(name, _)| name.get_ref() == key)
    }

    /// The tables of a table by their names.
    pub(super) fn named(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
    ) -> Vec<(&'a str, Found<&'a Table>)> {
        let Some(found) = self.table(reader, key) else {
            return Vec::new();
        };
        let mut named = Vec::new();
        for (name, value) in &found.value.0 {
            let place = name.span();
            match value {
                Value::Table(value) => {
                    named.push((name.get_ref().as_str(), Found { place, value }));
                }
                other => {
                    let message =
                        format!("`{}` is {}, expected a table", name.get_ref(), other.kind());
                    reader.wrong(&value_place(reader.text, &place), message);
                }
            }
        }
        named
    }

    /// All that was not asked for is a problem.
    pub(super) fn done(self, reader: &mut Reader<'_>, outside: Outside<'_>) {
        for (name, _) in &self.table.0 {
            let (key, place) = (name.get_ref().as_str(), name.span());
            if self.asked.contains(&key) {
                continue;
            }
            if HOOKS.contains(&key) {
                let message = format!("`{key}` is a script of disko's, and no plan runs scripts");
                let tip = "take it out, or write [disk] engine = \"disko\"; what a system needs at its start belongs into a NixOS module";
                reader.wrong(&place, message).tip = Some(tip.to_owned());
            } else if let Some((_, tip)) = outside.iter().find(|(known, _)| *known == key) {
                let message =
                    format!("`{key}` is of disko's schema, but not of the part that is read here");
                reader.wrong(&place, message).tip = Some((*tip).to_owned());
            } else {
                let known = self.asked.join("`, `");
                let message = format!("unknown field `{key}`, expected one of `{known}`");
                let near = nearest(key, self.asked.iter().copied());
                reader.wrong(&place, message).tip =
                    near.map(|near| format!("did you mean `{near}`?"));
            }
        }
    }
}

/// Behind `key =`; the key itself if it is part of a table's header.
pub(super) fn value_place(text: &str, key: &Range<usize>) -> Range<usize> {
    let after = text.get(key.end..).unwrap_or_default();
    let rest = after.trim_start_matches([' ', '\t']).strip_prefix('=');
    match rest.map(|rest| rest.trim_start_matches([' ', '\t']).len()) {
        Some(left) => text.len() - left..text.len(),
        None => key.clone(),
    }
}
