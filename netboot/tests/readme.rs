//! The tables of the README name the test that holds each rule: these tests exist.

use std::path::{Path, PathBuf};

/// All Rust sources below a folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.ends_with("target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_test_that_the_readme_names_exists() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in [
        "src",
        "tests",
        "../appliance/src",
        "../appliance/tftp/src",
        "../integration/tests",
    ] {
        let folder = here.join(folder);
        // A package of this crate alone has no neighbours.
        if folder.exists() {
            sources(&folder, &mut files);
        }
    }
    let read = |file: &PathBuf| std::fs::read_to_string(file).expect("reads");
    let code: String = files.iter().map(read).collect();
    let readme = read(&here.join("README.md"));
    let rows = readme.lines().filter(|line| line.starts_with("| "));
    let quoted = rows.filter_map(|row| row.rsplit(" | ").next());
    let names = quoted.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let is_test = |name: &&str| name.matches('_').count() >= 3 && !name.contains('/');
    let names: Vec<&str> = names.filter(is_test).collect();
    assert!(names.len() > 60, "the tables are not read: {names:?}");
    let missing = names
        .into_iter()
        .filter(|name| !code.contains(&format!("fn {name}(")));
    assert_eq!(missing.collect::<Vec<_>>(), [""; 0], "named and not there");
}
