//! What Git knows and older Nix does not say: the revision that a changed flake was changed from.

use std::path::PathBuf;

use tokio::process::Command;

use crate::git;

/// The working tree of a `git+file:///…` reference.
pub(super) fn folder(reference: &str) -> Option<PathBuf> {
    let path = reference.strip_prefix("git+file://")?;
    let path = path.split(['?', '#']).next()?;
    path.starts_with('/').then(|| PathBuf::from(decoded(path)))
}

/// `%20` and the like.
fn decoded(path: &str) -> String {
    let mut octets = Vec::new();
    let mut rest = path.as_bytes();
    while let [first, more @ ..] = rest {
        let code = more.get(..2).filter(|_| *first == b'%');
        let code = code.and_then(|hex| std::str::from_utf8(hex).ok());
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(octet) => {
                octets.push(octet);
                rest = &more[2..];
            }
            None => {
                octets.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

/// The commit that is checked out there; `None` before the first commit, or without Git.
pub(super) async fn head(folder: &std::path::Path) -> Option<String> {
    let arguments = ["rev-parse", "--verify", "--quiet", "HEAD"];
    let output = Command::from(git::command(folder, &arguments))
        .kill_on_drop(true)
        .output()
        .await
        .ok()?;
    let revision = String::from_utf8(output.stdout).ok()?;
    let revision = revision.trim();
    let good = output.status.success() && revision.chars().all(|c| c.is_ascii_hexdigit());
    (good && !revision.is_empty()).then(|| revision.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_local_repository_has_a_folder() {
        for (reference, want) in [
            ("git+file:///srv/lab", Some("/srv/lab")),
            ("git+file:///srv/lab?dir=flake", Some("/srv/lab")),
            ("git+file:///srv/my%20lab?ref=x", Some("/srv/my lab")),
            ("git+file:///srv/100%", Some("/srv/100%")),
            ("git+https://example.org/lab", None),
            ("path:/srv/lab", None),
            ("git+file://lab", None),
        ] {
            assert_eq!(folder(reference), want.map(PathBuf::from), "{reference}");
        }
    }
}
