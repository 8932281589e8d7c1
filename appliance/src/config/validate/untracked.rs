//! Files of hosts/ that Git does not know: the service reads them, and a flake does not see them.

use std::path::{Path, PathBuf};

use nix_publish::git::{self, GitAnswer};

use crate::config::hosts;

/// Those in the folder of the profiles, and beside it where roles and modules are, sorted. Empty where there is no Git,
/// or no repository.
///
/// # Errors
/// Git does not say, in its own words.
pub fn untracked(hosts_dir: &Path) -> Result<Vec<PathBuf>, String> {
    let folder = hosts::around(hosts_dir).unwrap_or(hosts_dir);
    let mut files = Vec::new();
    for ignored in [false, true] {
        let mut arguments = vec!["ls-files", "-z", "--others", "--exclude-standard"];
        if ignored {
            arguments.push("--ignored");
        }
        match git::ask(folder, &arguments) {
            GitAnswer::Text(listed) => {
                let named = listed.split('\0').filter(|name| is_wanted(name, ignored));
                files.extend(named.map(|name| folder.join(name)));
            }
            GitAnswer::NoRepository => return Ok(Vec::new()),
            GitAnswer::Refused(why) => return Err(why),
        }
    }
    files.sort();
    Ok(files)
}

/// Whether a flake would want it. Hidden files are editors' drafts; of those that are ignored only what hosts/ is made of
/// counts.
fn is_wanted(name: &str, ignored: bool) -> bool {
    let hidden = name.split('/').any(|part| part.starts_with('.'));
    let ours = [".toml", ".nix"].iter().any(|end| name.ends_with(end));
    !name.is_empty() && !hidden && (ours || !ignored) && !name.ends_with('/')
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::testing::skipped;

    #[test]
    fn a_file_counts_if_a_flake_would_want_it() {
        for (name, ignored, want) in [
            ("profiles/new.toml", false, true),
            ("keys.pub", false, true),
            ("roles/own.nix", true, true),
            ("notes.txt", true, false),
            ("profiles/.#new.toml", false, false),
            ("another-repository/", false, false),
            ("", false, false),
        ] {
            assert_eq!(is_wanted(name, ignored), want, "{name}");
        }
    }

    #[test]
    fn git_is_asked_about_the_whole_of_hosts() {
        let folder = tempfile::tempdir().expect("a folder");
        let git = |arguments: &[&str]| {
            let mut git = Command::new("git");
            let git = git.arg("-C").arg(folder.path().join("lab"));
            let output = git.args(arguments).output();
            output.is_ok_and(|output| output.status.success())
        };
        let at = |name: &str| folder.path().join(name);
        let profiles = at("lab/hosts/profiles");
        std::fs::create_dir_all(&profiles).expect("makes");
        std::fs::create_dir_all(at("lab/hosts/roles")).expect("makes");
        std::fs::write(profiles.join("old.toml"), "").expect("writes");
        std::fs::write(at("lab/outside.nix"), "").expect("writes");
        assert_eq!(untracked(&profiles), Ok(Vec::new()), "no repository");
        if !git(&["init", "-q", "."]) {
            return skipped("there is no Git here");
        }
        assert!(git(&["add", "hosts"]));
        assert_eq!(untracked(&profiles), Ok(Vec::new()));
        let ignores = "*.txt\nroles/private/\n";
        std::fs::write(at("lab/hosts/.gitignore"), ignores).expect("writes");
        std::fs::create_dir(at("lab/hosts/roles/private")).expect("makes");
        let new = [
            profiles.join("new.toml"),
            at("lab/hosts/roles/private/p.nix"),
            at("lab/hosts/roles/x y.nix"),
        ];
        for file in new.iter().chain([&at("lab/hosts/notes.txt")]) {
            std::fs::write(file, "").expect("writes");
        }
        assert_eq!(untracked(&profiles).as_deref(), Ok(&new[..]));
        if nix::unistd::geteuid().is_root() {
            // Another user's, as a lab is that a person edits where root runs the check.
            let other = nix::unistd::Uid::from_raw(65534);
            for owned in ["lab", "lab/.git"] {
                nix::unistd::chown(&at(owned), Some(other), None).expect("gives it away");
            }
            assert_eq!(untracked(&profiles).as_deref(), Ok(&new[..]));
        }
        // Known is enough: a flake sees what is staged, and also the intent to add.
        assert!(git(&["-c", "safe.directory=*", "add", "-f", "-N", "hosts"]));
        std::fs::remove_file(at("lab/hosts/notes.txt")).expect("removes");
        assert_eq!(untracked(&profiles), Ok(Vec::new()));
        std::fs::write(at("lab/.git/config"), "[").expect("writes");
        let why = untracked(&profiles).expect_err("Git reads no such configuration");
        assert!(why.contains("config"), "{why}");
    }
}
