//! The files of `toml/`: what Nix's reader takes and what it refuses, and that ours does the same. `integration/nix/test`
//! asks Nix; the values that it read are the `.json` beside each good file.

use std::fs;
use std::path::{Path, PathBuf};

use netboot::base::toml_reader::nix;
use serde_json::Value as Json;
use toml_edit::{DocumentMut, Item, Value};

fn files(folder: &str) -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/toml")
        .join(folder);
    let entries = fs::read_dir(&folder).expect("the folder is there");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "toml"));
    files.sort();
    assert!(!files.is_empty(), "{} holds no file", folder.display());
    files
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).expect("is text");
            (path, text)
        })
        .collect()
}

#[test]
fn what_nix_takes_is_taken_and_means_the_same() {
    for (path, text) in files("good") {
        let name = path.display();
        assert_eq!(nix::check("file", &text), [], "{name}");
        let ours: DocumentMut = text.parse().expect("is TOML");
        let ours = json(ours.as_item());
        let json = fs::read_to_string(path.with_extension("json")).expect("Nix's value is there");
        let nix: serde_json::Value = serde_json::from_str(&json).expect("is JSON");
        assert!(same(&ours, &nix), "{name}\nours: {ours}\n Nix: {nix}");
    }
}

#[test]
fn what_nix_refuses_is_refused() {
    for folder in ["bad", "bad/accepted-by-old-nix", "bad/accepted-by-nix"] {
        for (path, text) in files(folder) {
            assert_ne!(nix::check("file", &text), [], "{}", path.display());
        }
    }
}

fn json(item: &Item) -> Json {
    match item {
        Item::None => Json::Null,
        Item::Value(value) => json_of_value(value),
        Item::Table(table) => table
            .iter()
            .map(|(key, item)| (key.to_owned(), json(item)))
            .collect(),
        Item::ArrayOfTables(all) => all
            .iter()
            .cloned()
            .map(|one| json(&Item::Table(one)))
            .collect(),
    }
}

fn json_of_value(value: &Value) -> Json {
    match value {
        Value::String(text) => text.value().as_str().into(),
        Value::Integer(number) => (*number.value()).into(),
        Value::Float(number) => (*number.value()).into(),
        Value::Boolean(truth) => (*truth.value()).into(),
        Value::Datetime(date) => panic!("{date} is none of Nix's values"),
        Value::Array(all) => all.iter().map(json_of_value).collect(),
        Value::InlineTable(table) => table
            .iter()
            .map(|(key, value)| (key.to_owned(), json_of_value(value)))
            .collect(),
    }
}

/// Nix writes the float 500.0 as 500.
fn same(ours: &Json, nix: &Json) -> bool {
    use Json::{Array, Number, Object};
    match (ours, nix) {
        (Number(ours), Number(nix)) => {
            ours == nix || ours.is_f64() && ours.as_f64() == nix.as_f64()
        }
        (Array(ours), Array(nix)) => {
            ours.len() == nix.len() && ours.iter().zip(nix).all(|(ours, nix)| same(ours, nix))
        }
        (Object(ours), Object(nix)) => {
            ours.len() == nix.len()
                && ours
                    .iter()
                    .all(|(key, ours)| nix.get(key).is_some_and(|nix| same(ours, nix)))
        }
        (ours, nix) => ours == nix,
    }
}
