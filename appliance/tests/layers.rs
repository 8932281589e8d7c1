//! Folders are layers: an import goes to a folder that stands earlier in the table of `src/lib.rs`, and no files import each
//! other in a circle. Tests may import what they like.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A module of the crate, outside tests.
struct Module {
    file: PathBuf,
    /// What it names of this crate, as paths from the root: by `use`, and in its code.
    names: Vec<Vec<String>>,
    /// The names that its `use` lines bring into it, and where they are from.
    imports: BTreeMap<String, Vec<String>>,
}

type Modules = BTreeMap<Vec<String>, Module>;

#[test]
fn folders_import_only_what_stands_before_them() {
    let (modules, layers) = (modules(), layers());
    let place = |name: &str| layers.iter().position(|layer| layer == name);
    let folders: BTreeSet<&str> = modules
        .keys()
        .filter_map(|m| m.first())
        .map(String::as_str)
        .collect();
    let listed: BTreeSet<&str> = layers.iter().map(String::as_str).collect();
    assert_eq!(
        listed, folders,
        "the table in src/lib.rs lists every folder"
    );

    let mut upward = Vec::new();
    for (path, module) in &modules {
        let Some(from) = path.first().and_then(|folder| place(folder)) else {
            continue;
        };
        for name in &module.names {
            let to = name.first().and_then(|folder| place(folder));
            if to.is_some_and(|to| to > from) {
                upward.push(format!(
                    "{}: crate::{}",
                    module.file.display(),
                    name.join("::")
                ));
            }
        }
    }
    assert!(
        upward.is_empty(),
        "imports of a folder that stands later:\n{}",
        upward.join("\n")
    );
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let modules = modules();
    let mut edges: BTreeMap<&[String], BTreeSet<&[String]>> = BTreeMap::new();
    for (path, module) in &modules {
        let targets = module
            .names
            .iter()
            .filter_map(|name| defining(&modules, name, 0));
        let others = targets.filter(|target| *target != path.as_slice() && !target.is_empty());
        edges.insert(path, others.collect());
    }
    // Files that import nothing which is left are part of no circle.
    while let Some(done) = edges
        .iter()
        .find(|(_, to)| to.is_empty())
        .map(|(from, _)| *from)
    {
        edges.remove(done);
        for to in edges.values_mut() {
            to.remove(done);
        }
    }
    let circles: Vec<String> = edges
        .keys()
        .filter_map(|from| circle(&edges, from))
        .collect();
    assert!(
        circles.is_empty(),
        "files import each other:\n{}",
        circles.join("\n")
    );
}

/// The shortest way from a file back to itself.
fn circle(edges: &BTreeMap<&[String], BTreeSet<&[String]>>, start: &[String]) -> Option<String> {
    let mut ways = vec![vec![start]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for to in edges.get(way[way.len() - 1]).into_iter().flatten() {
                if *to == start {
                    let names = way.iter().map(|module| module.join("::"));
                    return Some(
                        names
                            .chain([start.join("::")])
                            .collect::<Vec<_>>()
                            .join(" -> "),
                    );
                }
                if seen.insert(*to) {
                    longer.push([way.as_slice(), &[*to]].concat());
                }
            }
        }
        ways = longer;
    }
    None
}

/// The module that a name is from, through the `use` lines of those that only hand it on.
fn defining<'a>(modules: &'a Modules, name: &[String], depth: usize) -> Option<&'a [String]> {
    for length in (0..=name.len()).rev() {
        let Some((path, module)) = modules.get_key_value(&name[..length]) else {
            continue;
        };
        return match name.get(length).and_then(|item| module.imports.get(item)) {
            Some(from) if depth < 8 => {
                defining(modules, &[from, &name[length + 1..]].concat(), depth + 1)
            }
            _ => Some(path),
        };
    }
    None
}

/// The folders in the order of the table in `src/lib.rs`.
fn layers() -> Vec<String> {
    let text = fs::read_to_string(source().join("lib.rs")).expect("reads");
    let rows = text
        .lines()
        .filter_map(|line| line.strip_prefix("//! | `")?.split('`').next());
    rows.map(str::to_owned).collect()
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn modules() -> Modules {
    let mut texts = BTreeMap::new();
    let mut folders = vec![source()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("reads") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).expect("reads");
                let file = path.strip_prefix(source()).expect("is below").to_owned();
                texts.insert(module_path(&file), (file, text));
            }
        }
    }
    texts.retain(|path, _| path.first().is_none_or(|first| first != "bin"));
    let tests: Vec<Vec<String>> = texts
        .iter()
        .flat_map(|(path, (_, text))| test_modules(path, text))
        .collect();
    texts.retain(|path, _| !tests.iter().any(|test| path.starts_with(test)));
    let known: BTreeSet<Vec<String>> = texts.keys().cloned().collect();
    let read = |(path, (file, text)): (Vec<String>, (PathBuf, String))| {
        let module = read(&known, &path, file, &text);
        (path, module)
    };
    texts.into_iter().map(read).collect()
}

fn module_path(file: &Path) -> Vec<String> {
    let stem = file.with_extension("");
    let mut path: Vec<String> = stem
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if path
        .last()
        .is_some_and(|last| last == "mod" || last == "lib")
    {
        path.pop();
    }
    path
}

/// Modules in files of their own that exist in tests only.
fn test_modules(path: &[String], text: &str) -> Vec<Vec<String>> {
    let declared = text.split("#[cfg(test)]").skip(1).filter_map(|after| {
        let item = after.trim_start().split(['{', ';']).next()?;
        let (_, name) = item.rsplit_once("mod ")?;
        let is_declaration = item.len() < 60 && after.trim_start()[item.len()..].starts_with(';');
        is_declaration.then(|| [path, &[name.to_owned()]].concat())
    });
    declared.collect()
}

/// The text without comments and without items that exist in tests only.
fn production(text: &str) -> String {
    let code = |line: &str| line.split("//").next().unwrap_or_default().to_owned() + "\n";
    let text: String = text.lines().map(code).collect();
    let mut parts = text.split("#[cfg(test)]");
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut depth = 0_u32;
        let end = part.char_indices().find(|(_, c)| match c {
            '{' => {
                depth += 1;
                false
            }
            '}' => {
                depth -= 1;
                depth == 0
            }
            ';' | ',' => depth == 0,
            _ => false,
        });
        kept.push_str(end.map_or("", |(at, _)| &part[at + 1..]));
    }
    kept
}

fn read(known: &BTreeSet<Vec<String>>, path: &[String], file: PathBuf, text: &str) -> Module {
    let mut module = Module {
        file,
        names: Vec::new(),
        imports: BTreeMap::new(),
    };
    let mut code = String::new();
    for statement in production(text).split_inclusive(';') {
        let whole = statement.trim_end_matches(';');
        let used = whole.rsplit_once("use ").filter(|(before, tree)| {
            // A text may have the word as well.
            let begins = before.is_empty() || before.ends_with(['\n', ' ', ';', '}', ')']);
            let of_paths =
                |c: char| c.is_ascii_alphanumeric() || "_:{},*".contains(c) || c.is_whitespace();
            begins
                && tree.chars().all(of_paths)
                && tree.matches('{').count() == tree.matches('}').count()
        });
        match used {
            Some((before, tree)) => {
                code.push_str(before);
                for used in expand(tree) {
                    let (name, alias) = used.split_once(" as ").unwrap_or((&used, ""));
                    let Some(mut name) = absolute(known, path, name) else {
                        continue;
                    };
                    if name.last().is_some_and(|last| last == "self") {
                        name.pop();
                    }
                    let last = name.last().cloned().unwrap_or_default();
                    let called = if alias.is_empty() {
                        last
                    } else {
                        alias.to_owned()
                    };
                    module.imports.insert(called, name.clone());
                    module.names.push(name);
                }
            }
            _ => code.push_str(statement),
        }
    }
    let is_path = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = code
        .split(|c| !is_path(c))
        .filter(|word| word.contains("::"));
    module
        .names
        .extend(words.filter_map(|word| absolute(known, path, word)));
    module
}

/// `a::{b, c::{d}}` → `a::b`, `a::c::d`.
fn expand(tree: &str) -> Vec<String> {
    let tree = tree.split_whitespace().collect::<Vec<_>>().join(" ");
    let Some((before, rest)) = tree.split_once('{') else {
        return vec![tree];
    };
    let inner = rest.trim_end().strip_suffix('}').unwrap_or(rest);
    let (mut depth, mut parts) = (0_u32, vec![String::new()]);
    for c in inner.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().expect("is never empty").push(c);
    }
    let parts = parts
        .iter()
        .map(|part| part.trim())
        .filter(|part| !part.is_empty());
    parts
        .flat_map(expand)
        .map(|part| format!("{before}{part}"))
        .collect()
}

/// A path of this crate from its root; `None` for another crate's.
fn absolute(known: &BTreeSet<Vec<String>>, path: &[String], name: &str) -> Option<Vec<String>> {
    let mut parts: Vec<String> = name
        .split("::")
        .map(|part| part.trim().to_owned())
        .collect();
    let first = parts.first()?.clone();
    match first.as_str() {
        "crate" => Some(parts.split_off(1)),
        "self" => Some([path, &parts[1..]].concat()),
        "super" => {
            let up = parts.iter().take_while(|part| *part == "super").count();
            let base = path.get(..path.len().checked_sub(up)?)?;
            Some([base, &parts[up..]].concat())
        }
        child if known.contains(&[path, &[child.to_owned()]].concat()) => {
            Some([path, &parts].concat())
        }
        _ => None,
    }
}
