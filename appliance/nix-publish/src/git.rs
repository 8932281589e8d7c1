//! Questions to Git about a repository that may be another user's: Git answers, and runs no program that the repository's
//! configuration names.

use std::path::Path;
use std::process::{Command, Stdio};

/// Git's answer.
#[derive(Debug, PartialEq, Eq)]
pub enum GitAnswer {
    Text(String),
    /// The folder is in no repository, or there is no Git.
    NoRepository,
    /// In Git's own words.
    Refused(String),
}

/// Git in this folder. Its arguments must read names and no contents: a file's contents pass the repository's own filters,
/// which are programs (gitattributes(5)). So `git status` must not be asked.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut git = Command::new("git");
    git.arg("-C").arg(folder);
    // Git heeds the first since 2.38; an older one refuses another user's repository.
    for setting in [
        "safe.directory=*",
        "core.fsmonitor=false",
        "core.hooksPath=/dev/null",
    ] {
        git.args(["-c", setting]);
    }
    git.args(arguments)
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("LC_ALL", "C")
        .stdin(Stdio::null());
    git
}

/// Asks Git in this folder, and waits for its answer.
pub fn ask(folder: &Path, arguments: &[&str]) -> GitAnswer {
    let Ok(output) = command(folder, arguments).output() else {
        return GitAnswer::NoRepository;
    };
    if output.status.success() {
        return GitAnswer::Text(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    match said.contains("not a git repository") {
        true => GitAnswer::NoRepository,
        false => GitAnswer::Refused(said.lines().next().unwrap_or_default().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::skipped;

    /// Git as a person uses it.
    fn git(folder: &Path, arguments: &[&str]) -> bool {
        let who = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
        let mut git = Command::new("git");
        git.arg("-C").arg(folder).args(who).args(arguments);
        git.output().is_ok_and(|output| output.status.success())
    }

    #[test]
    fn another_user_s_repository_answers_and_none_of_its_programs_is_run() {
        let folder = tempfile::tempdir().expect("a folder");
        let lab = folder.path().join("lab");
        let at = |name: &str| lab.join(name);
        assert_eq!(ask(folder.path(), &["rev-parse"]), GitAnswer::NoRepository);
        if !git(folder.path(), &["init", "-q", "lab"]) {
            return skipped("there is no Git here");
        }
        std::fs::write(at("known.nix"), "one").expect("writes");
        assert!(git(&lab, &["add", "known.nix"]));
        assert!(git(&lab, &["commit", "-q", "-m", "a revision"]));

        // Each way in which a repository has a program run when it is looked at.
        let program = folder.path().join("program");
        let ran = folder.path().join("ran");
        let script = format!("#!/bin/sh\ntouch {}\n", ran.display());
        std::fs::write(&program, script).expect("writes");
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&program, mode).expect("sets the mode");
        let program = program.to_str().expect("is text");
        for key in ["core.fsmonitor", "filter.own.clean", "filter.own.process"] {
            assert!(git(&lab, &["config", key, program]));
        }
        std::fs::write(at(".gitattributes"), "* filter=own\n").expect("writes");
        std::fs::write(at("known.nix"), "two").expect("writes");
        std::fs::write(at("new.nix"), "").expect("writes");
        git(&lab, &["status"]);
        assert!(ran.exists(), "the trap works");
        std::fs::remove_file(&ran).expect("removes");

        let head: &[&str] = &["rev-parse", "--verify", "--quiet", "HEAD"];
        let others: &[&str] = &["ls-files", "-z", "--others", "--exclude-standard"];
        for (arguments, want) in [(head, ""), (others, ".gitattributes\0new.nix\0")] {
            // As if it were another's.
            let output = command(&lab, arguments)
                .env("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
                .output()
                .expect("runs");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{arguments:?}: {said}");
            let answer = String::from_utf8_lossy(&output.stdout);
            assert!(!answer.is_empty() && answer.ends_with(want), "{answer:?}");
            assert!(
                !ran.exists(),
                "{arguments:?} runs a program of the repository"
            );
        }
        // What Git refuses for another reason is not taken for no repository.
        std::fs::write(at(".git/config"), "[").expect("writes");
        let refused = ask(&lab, head);
        assert!(
            matches!(&refused, GitAnswer::Refused(why) if why.contains("config")),
            "{refused:?}"
        );
    }
}
