//! The NixOS modules that profiles name, each with its place. Whether they are there is for who may look.

use crate::base::problem::Problem;
use crate::base::toml_reader::{Document, Reader};

/// In the order of the file, with a problem that has no message yet. What else is wrong in the file is told by who reads all
/// of it.
pub(in crate::profile) fn modules(file: &str, text: &str) -> Vec<(String, Problem)> {
    let Ok(document) = Document::parse(file, text) else {
        return Vec::new();
    };
    let mut reader = Reader::new(file, text);
    let mut top = document.top();
    let mut tables = top.tables(&mut reader, "machine");
    tables.push(top.section(&mut reader, "nixos"));
    let lists = tables
        .iter_mut()
        .filter_map(|table| table.texts(&mut reader, "modules"));
    let named: Vec<_> = lists.flat_map(|list| list.value).collect();
    named
        .into_iter()
        .map(|module| (module.value.to_owned(), reader.place(&module.at)))
        .collect()
}
