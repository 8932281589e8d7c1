//! Files of hosts/ that Git does not know: the service reads them, and a flake does not see them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Those in the folder of the profiles, and beside it where roles and modules are, sorted. None where there is no Git, or
/// no repository.
pub fn untracked(hosts_dir: &Path) -> Vec<PathBuf> {
    // `systemsFrom ./hosts` reads hosts/profiles.
    let profiles = hosts_dir.file_name().is_some_and(|name| name == "profiles");
    let folder = match hosts_dir.parent() {
        Some(hosts) if profiles && hosts.as_os_str().is_empty() => Path::new("."),
        Some(hosts) if profiles => hosts,
        _ => hosts_dir,
    };
    let Some(top) = git(folder, &["rev-parse", "--show-toplevel"]) else {
        return Vec::new();
    };
    let status = [
        "status",
        "--porcelain=v1",
        "-z",
        "--ignored",
        "--untracked-files=all",
        "--",
        ".",
    ];
    let Some(listed) = git(folder, &status) else {
        return Vec::new();
    };
    let top = Path::new(top.trim_end_matches('\n'));
    let here = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let mut files: Vec<PathBuf> = listed
        .split('\0')
        .filter_map(unknown)
        .map(|name| {
            let whole = top.join(name);
            let below = whole.strip_prefix(&here).map(|name| folder.join(name));
            below.unwrap_or(whole)
        })
        .collect();
    files.sort();
    files
}

/// The name in a line of `git status`, if it is of a file that a flake would want. Hidden files are editors' drafts; of
/// those that are ignored only what hosts/ is made of counts.
fn unknown(line: &str) -> Option<&str> {
    let (ignored, name) = match (line.strip_prefix("?? "), line.strip_prefix("!! ")) {
        (Some(name), _) => (false, name),
        (_, Some(name)) => (true, name),
        (None, None) => return None,
    };
    let hidden = name.split('/').any(|part| part.starts_with('.'));
    let ours = [".toml", ".nix"].iter().any(|end| name.ends_with(end));
    (!hidden && (ours || !ignored) && !name.ends_with('/')).then_some(name)
}

fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_counts_if_a_flake_would_want_it() {
        for (line, want) in [
            (
                "?? hosts/profiles/new.toml",
                Some("hosts/profiles/new.toml"),
            ),
            ("?? hosts/keys.pub", Some("hosts/keys.pub")),
            ("!! hosts/roles/own.nix", Some("hosts/roles/own.nix")),
            ("!! hosts/notes.txt", None),
            ("?? hosts/profiles/.#new.toml", None),
            ("!! hosts/result/", None),
            (" M hosts/common.nix", None),
            (" A hosts/intended.nix", None),
            ("", None),
        ] {
            assert_eq!(unknown(line), want, "{line}");
        }
    }

    #[test]
    fn git_is_asked_about_the_whole_of_hosts() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let profiles = at("lab/hosts/profiles");
        std::fs::create_dir_all(&profiles).expect("makes");
        std::fs::create_dir_all(at("lab/hosts/roles")).expect("makes");
        std::fs::write(profiles.join("old.toml"), "").expect("writes");
        std::fs::write(at("lab/outside.nix"), "").expect("writes");
        assert_eq!(untracked(&profiles), Vec::<PathBuf>::new(), "no repository");
        if git(folder.path(), &["init", "-q", "lab"]).is_none() {
            eprintln!("skipped: there is no Git here");
            return;
        }
        git(&at("lab"), &["add", "hosts"]).expect("adds");
        assert_eq!(untracked(&profiles), Vec::<PathBuf>::new());
        for new in [profiles.join("new.toml"), at("lab/hosts/roles/x y.nix")] {
            std::fs::write(new, "").expect("writes");
        }
        assert_eq!(
            untracked(&profiles),
            [profiles.join("new.toml"), at("lab/hosts/roles/x y.nix")]
        );
        // Known is enough: a flake sees what is staged, and also the intent to add.
        git(&at("lab"), &["add", "-N", "hosts"]).expect("adds");
        assert_eq!(untracked(&profiles), Vec::<PathBuf>::new());
    }
}
