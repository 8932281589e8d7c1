//! Two closures → what becomes of each package between them, by name and version.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::base::store_path::StorePath;

/// A path of a closure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosurePath {
    pub path: StorePath,
    /// Bytes of its NAR, unpacked.
    pub size: u64,
}

/// Bytes of all NARs, unpacked; the greatest number of the type where there are more.
pub fn size(closure: &[ClosurePath]) -> u64 {
    let sizes = closure.iter().map(|member| member.size);
    sizes.fold(0, u64::saturating_add)
}

/// What becomes of one package. A closure may hold several versions of it; a version may be empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageChange {
    pub package: String,
    /// Empty: the package is added.
    pub before: Vec<String>,
    /// Empty: the package is removed.
    pub after: Vec<String>,
    /// What the closure grows by, in bytes.
    pub bytes: i64,
}

/// What a newer closure has that an older one has not, and the other way round; sorted by package.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClosureChanges {
    pub added: Vec<PackageChange>,
    pub removed: Vec<PackageChange>,
    /// Another version.
    pub updated: Vec<PackageChange>,
    /// How many packages have the same version, built anew.
    pub rebuilt: usize,
}

impl ClosureChanges {
    pub fn between(before: &[ClosurePath], after: &[ClosurePath]) -> Self {
        let (before, after) = (packages(before), packages(after));
        let names: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
        let mut changes = Self::default();
        for name in names {
            let none = Package::default();
            let old = before.get(name).unwrap_or(&none);
            let new = after.get(name).unwrap_or(&none);
            if old.paths == new.paths {
                continue;
            }
            let texts = |package: &Package<'_>| -> Vec<String> {
                package.versions.iter().map(|v| (*v).to_owned()).collect()
            };
            let change = PackageChange {
                package: name.to_owned(),
                before: texts(old),
                after: texts(new),
                bytes: growth(old.size, new.size),
            };
            if old.paths.is_empty() {
                changes.added.push(change);
            } else if new.paths.is_empty() {
                changes.removed.push(change);
            } else if old.versions == new.versions {
                changes.rebuilt += 1;
            } else {
                changes.updated.push(change);
            }
        }
        changes
    }
}

/// All paths of one package.
#[derive(Default)]
struct Package<'a> {
    versions: BTreeSet<&'a str>,
    paths: BTreeSet<&'a StorePath>,
    size: u64,
}

fn packages(closure: &[ClosurePath]) -> BTreeMap<&str, Package<'_>> {
    let mut packages: BTreeMap<&str, Package<'_>> = BTreeMap::new();
    for ClosurePath { path, size } in closure {
        let (name, version) = split(path.name());
        let package = packages.entry(name).or_default();
        package.versions.insert(version);
        package.paths.insert(path);
        package.size = package.size.saturating_add(*size);
    }
    packages
}

/// The difference of two sizes in bytes, within the bounds of the type.
fn growth(old: u64, new: u64) -> i64 {
    let bytes = i64::try_from(old.abs_diff(new)).unwrap_or(i64::MAX);
    if new < old { -bytes } else { bytes }
}

/// `linux-6.12.21-modules` → `linux`, `6.12.21`. A version begins at the first dash that no letter follows (Nix manual,
/// `builtins.parseDrvName`); a word of small letters behind it is the name of an output.
fn split(name: &str) -> (&str, &str) {
    let bytes = name.as_bytes();
    let dash = |at: &usize| {
        bytes[*at] == b'-'
            && bytes
                .get(at + 1)
                .is_some_and(|next| !next.is_ascii_alphabetic())
    };
    let Some(at) = (0..bytes.len()).find(dash) else {
        return (name, "");
    };
    let (name, version) = (&name[..at], &name[at + 1..]);
    let output = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase());
    match version.rsplit_once('-') {
        Some((version, word)) if output(word) => (name, version),
        _ => (name, version),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(letter: char, name: &str, size: u64) -> ClosurePath {
        let hash = letter.to_string().repeat(32);
        let path = format!("/nix/store/{hash}-{name}");
        ClosurePath {
            path: path.parse().expect("a store path"),
            size,
        }
    }

    #[test]
    fn a_name_ends_where_its_version_begins() {
        for (name, want) in [
            ("linux-6.12.21", ("linux", "6.12.21")),
            ("linux-6.12.21-modules", ("linux", "6.12.21")),
            (
                "nixos-system-worker-25.05",
                ("nixos-system-worker", "25.05"),
            ),
            ("etc", ("etc", "")),
            ("unit-sshd.service", ("unit-sshd.service", "")),
            ("k3s-1.32.4+k3s1", ("k3s", "1.32.4+k3s1")),
            ("python3.12-foo-1.0-lib", ("python3.12-foo", "1.0")),
            ("x-", ("x-", "")),
            ("gcc-13.3.0-libgcc", ("gcc", "13.3.0")),
            ("glibc-2.40-66", ("glibc", "2.40-66")),
        ] {
            assert_eq!(split(name), want, "{name}");
        }
    }

    #[test]
    fn packages_are_added_removed_updated_or_built_anew() {
        let same = member('1', "glibc-2.40", 30);
        let before = [
            same.clone(),
            member('2', "linux-6.12.20", 100),
            member('3', "linux-6.12.20-modules", 50),
            member('4', "nano-8.0", 5),
            member('5', "etc", 1),
            member('6', "two-1", 1),
        ];
        let after = [
            same,
            member('7', "linux-6.12.21", 110),
            member('8', "linux-6.12.21-modules", 45),
            member('9', "vim-9.1", 40),
            member('a', "etc", 2),
            member('6', "two-1", 1),
            member('b', "two-2", 1),
        ];
        let changes = ClosureChanges::between(&before, &after);
        let line =
            |c: &PackageChange| format!("{} {:?} {:?} {:+}", c.package, c.before, c.after, c.bytes);
        let lines = |all: &[PackageChange]| all.iter().map(line).collect::<Vec<_>>();
        assert_eq!(lines(&changes.added), [r#"vim [] ["9.1"] +40"#]);
        assert_eq!(lines(&changes.removed), [r#"nano ["8.0"] [] -5"#]);
        assert_eq!(
            lines(&changes.updated),
            [
                r#"linux ["6.12.20"] ["6.12.21"] +5"#,
                r#"two ["1"] ["1", "2"] +1"#
            ]
        );
        assert_eq!(changes.rebuilt, 1);
        assert_eq!((size(&before), size(&after)), (187, 229));
        assert_eq!(
            ClosureChanges::between(&after, &after),
            ClosureChanges::default()
        );
    }

    /// Sizes are what a narinfo says.
    #[test]
    fn sizes_that_nobody_has_are_survived() {
        let huge = [member('1', "a-1", u64::MAX), member('2', "a-2", u64::MAX)];
        assert_eq!(size(&huge), u64::MAX);
        for (before, after, want) in [
            (&huge[..], &[][..], -i64::MAX),
            (&[], &huge, i64::MAX),
            (&huge[..1], &huge, 0),
        ] {
            let changes = ClosureChanges::between(before, after);
            let mut all = changes.added.iter().chain(&changes.removed);
            let change = all.next().or(changes.updated.first()).expect("one");
            assert_eq!(change.bytes, want);
        }
    }

    #[test]
    fn from_nothing_everything_is_added() {
        let after = [member('1', "a-1", 1), member('2', "b", 2)];
        let changes = ClosureChanges::between(&[], &after);
        assert_eq!(changes.added.len(), 2);
        assert_eq!(ClosureChanges::between(&after, &[]).removed.len(), 2);
    }
}
