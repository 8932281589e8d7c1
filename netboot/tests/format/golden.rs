//! The comparison of samples with their file, and what makes a list of samples whole.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// One document under its name.
pub(crate) struct Sample {
    name: String,
    json: String,
    /// Reads JSON as the sample's type and writes it again.
    again: fn(&str) -> serde_json::Result<String>,
}

pub(crate) fn sample<T: Serialize + DeserializeOwned>(name: &str, value: &T) -> Sample {
    Sample {
        name: name.to_owned(),
        json: serde_json::to_string_pretty(value).expect("writes"),
        again: |text| serde_json::to_string_pretty(&serde_json::from_str::<T>(text)?),
    }
}

/// Two samples of a type: all that it may hold, and only what it must.
pub(crate) fn both<T: Serialize + DeserializeOwned>(
    name: &str,
    make: impl Fn(bool) -> T,
) -> [Sample; 2] {
    [
        sample(name, &make(true)),
        sample(&format!("{name}, the least"), &make(false)),
    ]
}

/// The samples are what `tests/format/<file>.json` says, in its order, and its documents are read as what they were.
#[track_caller]
pub(crate) fn check(file: &str, samples: impl IntoIterator<Item = Sample>) {
    let samples: Vec<Sample> = samples.into_iter().collect();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/format")
        .join(file)
        .with_extension("json");
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    let members = samples.iter().map(|sample| {
        let name = Value::from(sample.name.clone());
        format!("  {name}: {}", sample.json.replace('\n', "\n  "))
    });
    let text = format!("{{\n{}\n}}\n", members.collect::<Vec<_>>().join(",\n"));
    if text != stored && std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &text).expect("writes");
        panic!("tests/format/{file}.json was written anew; look at the difference");
    }

    let documents: BTreeMap<String, Value> = serde_json::from_str(&stored)
        .unwrap_or_else(|error| panic!("tests/format/{file}.json: {error}"));
    let names: BTreeSet<&String> = samples.iter().map(|sample| &sample.name).collect();
    assert_eq!(names.len(), samples.len(), "{file}: a name is there twice");
    assert_eq!(
        documents.keys().collect::<BTreeSet<_>>(),
        names,
        "{file}: left, the file; right, the samples"
    );
    for sample in &samples {
        let document = documents[&sample.name].to_string();
        let again = (sample.again)(&document)
            .unwrap_or_else(|error| panic!("{file}: `{}` is not read: {error}", sample.name));
        assert_eq!(again, sample.json, "{file}: `{}` as read", sample.name);
    }
    for (number, (want, got)) in stored.lines().zip(text.lines()).enumerate() {
        assert_eq!(got, want, "tests/format/{file}.json:{}", number + 1);
    }
    assert_eq!(text, stored, "tests/format/{file}.json: its length");
}

/// `variants!(Type: A, B)` is all of the type's variants by name, and a function that names the variant of a value.
/// It does not compile while one is missing.
macro_rules! variants {
    ($type:ident: $($variant:ident),* $(,)?) => {{
        let name = |value: &$type| match value {
            $($type::$variant { .. } => stringify!($variant),)*
        };
        ([$(stringify!($variant)),*], name)
    }};
}

/// `every!(Type: A, B)` is all values of a type whose variants hold nothing. It does not compile while one is missing.
macro_rules! every {
    ($type:ident: $($variant:ident),* $(,)?) => {{
        let all = vec![$($type::$variant),*];
        for value in &all {
            match value {
                $($type::$variant => {})*
            }
        }
        all
    }};
}

pub(crate) use {every, variants};

/// Each of `all` is the variant of at least one value.
#[track_caller]
pub(crate) fn covers<'a, T: 'a, const N: usize>(
    (all, name): ([&'static str; N], impl Fn(&T) -> &'static str),
    values: impl IntoIterator<Item = &'a T>,
) {
    let there: BTreeSet<&str> = values.into_iter().map(name).collect();
    let missing: Vec<&str> = all.into_iter().filter(|one| !there.contains(one)).collect();
    assert!(missing.is_empty(), "no sample of {missing:?}");
}
