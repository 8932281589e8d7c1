//! Folders of `src` are layers, in the order of `src/lib.rs`: a module imports only from its own layer and from earlier ones.

use std::fs;
use std::path::{Path, PathBuf};

/// Layers from the first to the last, by the `pub mod` lines of `src/lib.rs`.
fn layers(src: &Path) -> Vec<String> {
    let text = fs::read_to_string(src.join("lib.rs")).expect("src/lib.rs");
    let names = text
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod "));
    names
        .map(|name| name.trim_end_matches(';').to_owned())
        .collect()
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// The code without its tests, which may reach for any layer: what they check is the whole.
fn without_tests(text: &str) -> &str {
    let inline = text.match_indices("#[cfg(test)]").find(|(at, _)| {
        text[*at..]
            .lines()
            .nth(1)
            .is_some_and(|line| line.contains("mod ") && line.ends_with('{'))
    });
    inline.map_or(text, |(at, _)| &text[..at])
}

fn is_test(path: &Path) -> bool {
    let mut parts = path.iter().filter_map(|part| part.to_str());
    parts.any(|part| matches!(part, "tests" | "tests.rs" | "model.rs" | "test_support.rs"))
}

/// The layer that each `crate::…` path on the line names.
fn named(line: &str) -> impl Iterator<Item = &str> {
    line.split("crate::").skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        &rest[..end.unwrap_or(rest.len())]
    })
}

/// `file:line: crate::layer` for each import of `text`, a file of the layer at `own`, that points to a later layer.
fn upward(layers: &[String], own: usize, file: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in (1..).zip(without_tests(text).lines()) {
        let later =
            named(line).filter(|name| layers.iter().skip(own + 1).any(|layer| layer == name));
        found.extend(later.map(|name| {
            format!(
                "{file}:{number}: crate::{name}, a later layer than {}",
                layers[own]
            )
        }));
    }
    found
}

#[test]
fn imports_point_to_earlier_layers() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let layers = layers(&src);
    assert_eq!(
        layers.first().map(String::as_str),
        Some("base"),
        "src/lib.rs lists the layers"
    );
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    let mut edges = Vec::new();
    for path in files
        .iter()
        .filter(|path| path.ends_with("lib.rs") || !is_test(path))
    {
        let inside = path.strip_prefix(&src).expect("below src");
        let folder = inside
            .iter()
            .next()
            .and_then(|part| part.to_str())
            .expect("a name");
        let Some(own) = layers.iter().position(|layer| layer == folder) else {
            assert_eq!(folder, "lib.rs", "{} lies in no layer", inside.display());
            continue;
        };
        let text = fs::read_to_string(path).expect("a file");
        edges.extend(upward(&layers, own, &inside.display().to_string(), &text));
    }
    edges.sort();
    assert!(
        edges.is_empty(),
        "imports that point upward:\n{}",
        edges.join("\n")
    );
}

#[test]
fn an_import_that_points_upward_is_named() {
    let layers = ["base", "dhcp", "machine"].map(str::to_owned);
    let text = "use crate::base::mac::Mac;\nuse crate::machine::{State, decide};\nfn f() -> crate::dhcp::X {}\n";
    let inline = format!("{text}#[cfg(test)]\nmod tests {{\n    use crate::machine::State;\n}}\n");
    for text in [text, &inline] {
        let edges = upward(&layers, 1, "dhcp/reply.rs", text);
        assert_eq!(
            edges,
            ["dhcp/reply.rs:2: crate::machine, a later layer than dhcp"]
        );
    }
    assert!(upward(&layers, 2, "machine/mod.rs", text).is_empty());
}
