//! A TOML text → sections and typed values with their places. Notes every problem and goes on, where
//! serde would stop at the first.

use std::ops::{Range, RangeInclusive};

use netboot::base::problem::{Problem, nearest};
use toml_edit::{ImDocument, Item, Table, TableLike, Value};

/// A value and the bytes of the text it was read from.
#[derive(Debug, Clone)]
pub(super) struct Placed<T> {
    pub(super) value: T,
    pub(super) at: Range<usize>,
}

/// A table of the file; one that is absent reads as empty.
pub(super) struct Section<'d> {
    /// `dhcp`; empty at the top.
    name: String,
    table: Option<&'d dyn TableLike>,
    /// Its header; empty at the top and for one that is absent.
    at: Range<usize>,
    known: Vec<&'static str>,
    /// Known, reported already, and not to be recommended.
    refused: Vec<&'static str>,
}

/// Collects the problems of one file.
pub(super) struct Reader<'t> {
    file: &'t str,
    text: &'t str,
    pub(super) problems: Vec<Problem>,
}

/// The text as a tree, or the one place where it stops being TOML 1.0.
pub(super) fn parse<'t>(file: &str, text: &'t str) -> Result<ImDocument<&'t str>, Problem> {
    ImDocument::parse(text).map_err(|error| {
        let message = error.message().lines().next().unwrap_or("is not TOML");
        Problem::at(file, text, &error.span().unwrap_or(0..0), message)
    })
}

impl<'t> Reader<'t> {
    pub(super) fn new(file: &'t str, text: &'t str) -> Self {
        Self {
            file,
            text,
            problems: Vec::new(),
        }
    }

    /// The top of the file.
    pub(super) fn top<'d>(document: &'d ImDocument<&str>) -> Section<'d> {
        Section {
            name: String::new(),
            table: Some(document.as_table()),
            at: 0..0,
            known: Vec::new(),
            refused: Vec::new(),
        }
    }

    pub(super) fn problem(&mut self, at: &Range<usize>, message: impl Into<String>) {
        self.problems
            .push(Problem::at(self.file, self.text, at, message));
    }

    pub(super) fn problem_with_tip(
        &mut self,
        at: &Range<usize>,
        message: impl Into<String>,
        tip: impl Into<String>,
    ) {
        self.problems
            .push(Problem::at(self.file, self.text, at, message).tip(tip));
    }

    /// The table at `key`.
    pub(super) fn section<'d>(
        &mut self,
        parent: &mut Section<'d>,
        key: &'static str,
    ) -> Section<'d> {
        let table = parent.item(key).and_then(|item| {
            let table = item.as_table_like();
            if table.is_none() {
                let name = parent.path(key);
                self.wrong(item, &format!("`{name}` must be a table, written [{name}]"));
            }
            table
        });
        Section {
            name: parent.path(key),
            table,
            at: parent.key_span(key).unwrap_or_default(),
            known: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// The table at `key`, or several, each written `[[key]]`.
    pub(super) fn one_or_several<'d>(
        &mut self,
        parent: &mut Section<'d>,
        key: &'static str,
    ) -> Vec<Section<'d>> {
        match parent.table.and_then(|table| table.get(key)) {
            Some(Item::ArrayOfTables(_)) => self.tables(parent, key),
            _ => vec![self.section(parent, key)],
        }
    }

    /// The tables below this one, by names that the user chose; nothing else may stand in it.
    pub(super) fn sections<'d>(
        &mut self,
        parent: &Section<'d>,
    ) -> Vec<(Placed<&'d str>, Section<'d>)> {
        let mut sections = Vec::new();
        for (name, item) in parent.entries() {
            match item.as_table_like() {
                Some(table) => sections.push((
                    name.clone(),
                    Section {
                        name: parent.path(name.value),
                        table: Some(table),
                        at: name.at.clone(),
                        known: Vec::new(),
                        refused: Vec::new(),
                    },
                )),
                None => {
                    let path = parent.path(name.value);
                    self.wrong(item, &format!("`{path}` must be a table, written [{path}]"));
                }
            }
        }
        sections
    }

    /// The tables of an array, each written `[[name]]`.
    pub(super) fn tables<'d>(
        &mut self,
        parent: &mut Section<'d>,
        key: &'static str,
    ) -> Vec<Section<'d>> {
        let name = parent.path(key);
        let Some(item) = parent.item(key) else {
            return Vec::new();
        };
        let Some(tables) = item.as_array_of_tables() else {
            self.wrong(item, &format!("must be tables, each written [[{name}]]"));
            return Vec::new();
        };
        let section = |table: &'d Table| Section {
            name: name.clone(),
            table: Some(table),
            at: table.span().unwrap_or_default(),
            known: Vec::new(),
            refused: Vec::new(),
        };
        tables.iter().map(section).collect()
    }

    /// `true` or `false`.
    pub(super) fn flag(
        &mut self,
        section: &mut Section<'_>,
        key: &'static str,
    ) -> Option<Placed<bool>> {
        let item = section.item(key)?;
        let at = item.span().unwrap_or_default();
        let value = item.as_bool();
        if value.is_none() {
            self.wrong(item, "must be true or false");
        }
        value.map(|value| Placed { value, at })
    }

    /// The strings below this table, by keys that the user chose.
    pub(super) fn pairs<'d>(
        &mut self,
        section: &Section<'d>,
    ) -> Vec<(Placed<&'d str>, Placed<&'d str>)> {
        section
            .entries()
            .into_iter()
            .filter_map(|(key, item)| Some((key, self.string(item)?)))
            .collect()
    }

    /// A string.
    pub(super) fn text<'d>(
        &mut self,
        section: &mut Section<'d>,
        key: &'static str,
    ) -> Option<Placed<&'d str>> {
        section.item(key).and_then(|item| self.string(item))
    }

    /// A string that means something; `read` says what is wrong with one that does not.
    pub(super) fn parsed<T>(
        &mut self,
        section: &mut Section<'_>,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Placed<T>> {
        let text = self.text(section, key)?;
        self.meaning(&text, read)
    }

    /// A list of strings that mean something.
    pub(super) fn list<T>(
        &mut self,
        section: &mut Section<'_>,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Placed<Vec<Placed<T>>>> {
        let item = section.item(key)?;
        let Some(array) = item.as_array() else {
            self.wrong(item, "must be a list of strings in brackets");
            return None;
        };
        let all: Vec<Option<Placed<T>>> = array
            .iter()
            .map(|value| match value {
                Value::String(text) => {
                    let at = value.span().unwrap_or_default();
                    let text = Placed {
                        value: text.value().as_str(),
                        at,
                    };
                    self.meaning(&text, &read)
                }
                other => {
                    let found = other.type_name();
                    let at = other.span().unwrap_or_default();
                    self.problem(&at, format!("must be a string in quotes, found {found}"));
                    None
                }
            })
            .collect();
        Some(Placed {
            value: all.into_iter().collect::<Option<_>>()?,
            at: item.span().unwrap_or_default(),
        })
    }

    /// A whole number within `range`.
    pub(super) fn number(
        &mut self,
        section: &mut Section<'_>,
        key: &'static str,
        range: &RangeInclusive<u32>,
    ) -> Option<Placed<u32>> {
        let item = section.item(key)?;
        let at = item.span().unwrap_or_default();
        let Some(number) = item.as_integer() else {
            self.wrong(item, "must be a whole number");
            return None;
        };
        match u32::try_from(number).ok().filter(|n| range.contains(n)) {
            Some(value) => Some(Placed { value, at }),
            None => {
                let (least, most) = (range.start(), range.end());
                self.problem(&at, format!("`{number}` is not between {least} and {most}"));
                None
            }
        }
    }

    /// Keys that stand in the file but would have no effect: silence about them would be a trap.
    pub(super) fn refuse(
        &mut self,
        section: &mut Section<'_>,
        keys: &[&'static str],
        why: &str,
        tip: &str,
    ) {
        for key in keys {
            if let Some(at) = section.key_span(key) {
                self.problem_with_tip(&at, format!("`{key}` {why}"), tip);
            }
            section.refused.push(key);
        }
    }

    /// Every key that nobody asked for is one too many.
    pub(super) fn finish(&mut self, section: &Section<'_>) {
        for (key, _) in section.entries() {
            if section.known.contains(&key.value) || section.refused.contains(&key.value) {
                continue;
            }
            let mut known = section.known.clone();
            known.sort_unstable();
            let list = known
                .iter()
                .map(|k| format!("`{k}`"))
                .collect::<Vec<_>>()
                .join(", ");
            let message = format!("unknown field `{}`, expected one of {list}", key.value);
            match nearest(key.value, known) {
                Some(near) => {
                    self.problem_with_tip(&key.at, message, format!("did you mean `{near}`?"));
                }
                None => self.problem(&key.at, message),
            }
        }
    }

    fn string<'d>(&mut self, item: &'d Item) -> Option<Placed<&'d str>> {
        match item.as_str() {
            Some(value) => Some(Placed {
                value,
                at: item.span().unwrap_or_default(),
            }),
            None => {
                self.wrong(item, "must be a string in quotes");
                None
            }
        }
    }

    fn meaning<T>(
        &mut self,
        text: &Placed<&str>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Placed<T>> {
        match read(text.value) {
            Ok(value) => Some(Placed {
                value,
                at: text.at.clone(),
            }),
            Err(why) => {
                self.problem(&text.at, format!("`{}` {why}", text.value.escape_debug()));
                None
            }
        }
    }

    fn wrong(&mut self, item: &Item, message: &str) {
        let found = item.type_name();
        let at = item.span().unwrap_or_default();
        self.problem(&at, format!("{message}, found {found}"));
    }
}

impl<'d> Section<'d> {
    fn item(&mut self, key: &'static str) -> Option<&'d Item> {
        self.known.push(key);
        self.table?.get(key)
    }

    fn entries(&self) -> Vec<(Placed<&'d str>, &'d Item)> {
        let Some(table) = self.table else {
            return Vec::new();
        };
        table
            .iter()
            .map(|(key, item)| {
                let at = table.get_key_value(key).and_then(|(key, _)| key.span());
                let at = at.or_else(|| item.span()).unwrap_or_default();
                (Placed { value: key, at }, item)
            })
            .collect()
    }

    /// Where the table begins.
    pub(super) fn at(&self) -> Range<usize> {
        self.at.clone()
    }

    pub(super) fn key_span(&self, key: &str) -> Option<Range<usize>> {
        let (key, item) = self.table?.get_key_value(key)?;
        Some(key.span().or_else(|| item.span()).unwrap_or_default())
    }

    fn path(&self, key: &str) -> String {
        if self.name.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.name)
        }
    }
}
