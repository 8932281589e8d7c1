//! Whether a test went away: the number of tests in each file, counted in the sources, against a golden list.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Folders without sources of this project.
const OTHERS: [&str; 3] = ["target", ".git", "result"];

/// Tests of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Count {
    /// Those that the usual run selects.
    usual: u32,
    /// Those that `--run-ignored all` selects besides.
    ignored: u32,
}

/// `#[test]` (which the functions of `proptest!` have too) and `#[tokio::test…]`, each at the beginning of its line.
fn count(source: &str) -> Count {
    let mut count = Count::default();
    let mut lines = source.lines().map(str::trim_start);
    while let Some(line) = lines.next() {
        if !["#[test]", "#[tokio::test]", "#[tokio::test("]
            .iter()
            .any(|attribute| line.starts_with(attribute))
        {
            continue;
        }
        // The function's other attributes stand between this one and the function.
        let attributes = lines.by_ref().take_while(|line| !line.contains("fn "));
        match attributes
            .into_iter()
            .any(|line| line.starts_with("#[ignore"))
        {
            true => count.ignored += 1,
            false => count.usual += 1,
        }
    }
    count
}

/// All Rust sources below a folder.
fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let (path, name) = (entry.path(), entry.file_name());
        let other = OTHERS.iter().any(|other| name == *other);
        match entry.file_type().expect("a type") {
            kind if kind.is_dir() && !other => sources(&path, into),
            kind if kind.is_file() && path.extension().is_some_and(|end| end == "rs") => {
                into.push(path);
            }
            _ => {}
        }
    }
}

/// One line a file that has tests, and all of them at the end.
fn list(root: &Path) -> String {
    let mut files = Vec::new();
    sources(root, &mut files);
    let mut counts = BTreeMap::new();
    for file in files {
        let found = count(&fs::read_to_string(&file).expect("text"));
        let path = file.strip_prefix(root).expect("below").to_owned();
        counts.insert(path.display().to_string(), found);
    }
    let mut text = String::new();
    let mut line = |name: &str, count: Count| {
        if count != Count::default() {
            let _ = write!(text, "{name} {}", count.usual);
            text.push_str(&match count.ignored {
                0 => "\n".to_owned(),
                ignored => format!(" +{ignored} ignored\n"),
            });
        }
    };
    let mut all = Count::default();
    for (name, count) in counts {
        line(&name, count);
        all.usual += count.usual;
        all.ignored += count.ignored;
    }
    line("in all", all);
    text
}

#[test]
fn no_test_went_away_unseen() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the repository");
    let golden = root.join("integration/tests/count.txt");
    let old = fs::read_to_string(&golden).expect("the golden list");
    let comment = |line: &&str| line.starts_with('#');
    let want: String = old
        .lines()
        .filter(|line| !comment(line))
        .map(|line| format!("{line}\n"))
        .collect();
    let got = list(root);
    if got == want {
        return;
    }
    if env::var_os("UPDATE_GOLDEN").is_some() {
        let head: String = old
            .lines()
            .filter(comment)
            .map(|line| format!("{line}\n"))
            .collect();
        fs::write(&golden, head + &got).expect("writes");
    }
    let only = |these: &str, those: &str, sign: char| -> String {
        let those: Vec<&str> = those.lines().collect();
        let differ = these.lines().filter(|line| !those.contains(line));
        differ.map(|line| format!("{sign} {line}\n")).collect()
    };
    panic!(
        "the number of tests is another than in integration/tests/count.txt:\n{}{}\n  \
         tip: if that is meant: UPDATE_GOLDEN=1 cargo nextest run -p integration no_test_went_away; git diff",
        only(&want, &got, '-'),
        only(&got, &want, '+')
    );
}

#[test]
fn each_kind_of_test_is_counted_once() {
    // With another sign, or the tests in it would be counted.
    let source = "
    @[test]
    fn one() {}
    @[tokio::test(flavor = \"multi_thread\")]
    async fn two() {}
    @[test]
    @[ignore = \"long: an hour\"]
    fn three() {}
    proptest! {
        @![proptest_config(few())]
        /// Of any number.
        @[test]
        fn four(n: u8) {}
    }
    // @[test]
    @[cfg(test)]
    mod tests;
"
    .replace('@', "#");
    assert_eq!(
        count(&source),
        Count {
            usual: 3,
            ignored: 1
        }
    );
}

/// The tests that a filter names must exist, or the filter has no effect.
#[test]
fn each_filter_of_the_optional_tests_names_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the repository");
    let mut files = Vec::new();
    sources(root, &mut files);
    let functions: Vec<String> = files
        .iter()
        .flat_map(|file| {
            let text = fs::read_to_string(file).expect("text");
            text.lines()
                .filter(|line| line.contains("fn "))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    let list = include_str!("../tests/optional.txt");
    let rows = list.lines().filter(|line| !line.starts_with('#'));
    for row in rows {
        let mut columns = row.split("  ").map(str::trim).filter(|c| !c.is_empty());
        let (Some(name), Some(filter), Some(_), None) = (
            columns.next(),
            columns.next(),
            columns.next(),
            columns.next(),
        ) else {
            panic!("not three columns: {row}");
        };
        let inside = |word: &'static str| {
            filter
                .split(word)
                .skip(1)
                .map(|rest| rest.split(')').next())
        };
        for part in inside("test(").flatten() {
            assert!(
                functions.iter().any(|function| function.contains(part)),
                "`{name}`: there is no test with `{part}` in its name"
            );
        }
        for binary in inside("binary(").flatten() {
            let file = root.join(format!("integration/tests/{binary}.rs"));
            assert!(file.exists(), "`{name}`: there is no {}", file.display());
        }
        assert!(
            ["test(", "binary(", "none("]
                .iter()
                .any(|f| filter.starts_with(f)),
            "{row}"
        );
    }
}
