//! Systems that the real Nix builds, and a cache to publish them into.

use super::*;
use crate::files::budget::DiskBudget;
use netboot::base::store_path::StorePath;
use std::path::Path;
use std::path::PathBuf;

/// Nix, whatever the machine's own configuration says, without the internet.
pub(super) fn nix(program: &str) -> Command {
    let mut nix = Command::new(program);
    for (name, value) in [
        ("experimental-features", "nix-command"),
        ("sandbox", "false"),
        ("build-users-group", ""),
        ("substituters", ""),
    ] {
        nix.args(["--option", name, value]);
    }
    nix
}

/// A machine that has a Nix store it may write to, or why not.
pub(super) fn build(expression: &str) -> Result<StorePath, String> {
    let output = nix("nix-build")
        .args(["--no-out-link", "-E", expression])
        .output()
        .map_err(|error| format!("cannot start `nix-build`: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let path = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match output.status.success() {
        true => path.parse().map_err(|error| format!("`{path}` {error}")),
        false => Err(format!("`nix-build` failed here: {said}")),
    }
}

/// A system that needs these paths of about a megabyte each. The same names are the same paths.
pub(super) fn system_of(name: &str, needs: &[&str]) -> Result<StorePath, String> {
    let needs: Vec<String> = needs
        .iter()
        .map(|need| format!("\"cache-test-{need}\""))
        .collect();
    let needs = needs.join(" ");
    build(&format!(
        r#"let
            line = name: i: builtins.hashString "sha256" "${{name}} ${{toString i}}";
            noise = name: builtins.toFile name (builtins.concatStringsSep "" (builtins.genList (line name) 30000));
        in derivation {{
            name = "nixos-system-{name}"; system = builtins.currentSystem; builder = "/bin/sh";
            needs = map noise [ {needs} ];
            args = [ "-c" "PATH=/bin:/usr/bin; mkdir -p $out/bin; cd $out; echo $needs > needs; echo 25.05 > nixos-version; touch init kernel bin/switch-to-configuration" ];
        }}"#
    ))
}

/// A cache with its keys, in a folder of its own.
pub(super) struct Kept {
    pub(super) cache: Cache,
    pub(super) key: String,
    pub(super) dir: PathBuf,
    pub(super) _folder: Option<tempfile::TempDir>,
}

impl Kept {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let kept = Self::at(folder.path());
        Self {
            _folder: Some(folder),
            ..kept
        }
    }

    /// In a `state-dir`.
    pub(super) fn at(state_dir: &Path) -> Self {
        let keys = Keys::open(state_dir, &K3sConfig::default()).expect("keys");
        Self {
            cache: Cache::open(state_dir, keys.cache_secret_file(), DiskBudget::default())
                .expect("opens"),
            key: keys.cache_public().to_owned(),
            dir: state_dir.join("cache"),
            _folder: None,
        }
    }

    pub(super) async fn publish(&self, toplevel: &StorePath) -> MeasuredPath {
        let turn = self.cache.turn().await;
        let measured = turn.publish(toplevel).await;
        measured.unwrap_or_else(|refusal| panic!("publishes: {refusal} {:?}", refusal.facts))
    }

    /// Whether Nix finds each path of the closure there, signed, with a NAR of its hash; what it says if not.
    pub(super) fn verified(&self, toplevel: &StorePath) -> Result<(), String> {
        let output = nix("nix")
            .args(["store", "verify", "--recursive", "--store"])
            .arg(format!("file://{}", self.dir.display()))
            .args([
                "--option",
                "trusted-public-keys",
                &self.key,
                toplevel.as_str(),
            ])
            .output()
            .expect("runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        output.status.success().then_some(()).ok_or(said)
    }

    #[track_caller]
    pub(super) fn assert_whole(&self, what: &str, toplevel: &StorePath) {
        if let Err(said) = self.verified(toplevel) {
            panic!("{what}: {said}");
        }
    }

    /// Names of files, below the cache's folder.
    pub(super) fn files(&self, below: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.join(below))
            .into_iter()
            .flatten();
        let entries = entries.map(|entry| entry.expect("an entry"));
        let files = entries.filter(|entry| entry.metadata().expect("is there").is_file());
        let mut names: Vec<String> = files
            .map(|e| e.file_name().into_string().expect("a name"))
            .collect();
        names.sort();
        names
    }
}
