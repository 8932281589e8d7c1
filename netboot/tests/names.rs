//! Each type of this crate has a name of its own, so that a name says what it is wherever it stands.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The name of the type that is defined on the line, if one is: `pub(super) struct Name<T> {`.
fn defined(line: &str) -> Option<&str> {
    let line = line
        .strip_prefix("pub")
        .map_or(Some(line), |rest| Some(rest.split_once(' ')?.1))?;
    let kinds = ["struct ", "enum ", "trait ", "type "];
    let rest = kinds.iter().find_map(|kind| line.strip_prefix(kind))?;
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    (end > 0).then(|| &rest[..end])
}

fn gather(folder: &Path, found: &mut BTreeMap<String, Vec<String>>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            gather(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).expect("a file");
            for name in text.lines().filter_map(defined) {
                let places = found.entry(name.to_owned()).or_default();
                places.push(path.display().to_string());
            }
        }
    }
}

#[test]
fn no_two_types_have_one_name() {
    let mut found = BTreeMap::new();
    gather(Path::new("src"), &mut found);
    assert!(found.contains_key("Machine"), "src was read");
    found.retain(|_, places| places.len() > 1);
    assert!(found.is_empty(), "defined more than once: {found:#?}");
}
