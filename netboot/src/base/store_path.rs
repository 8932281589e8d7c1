//! A path in the Nix store: the identity of everything built, checked before it reaches a command line.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// `/nix/store/<32 characters of hash>-<name>`; no file below it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StorePath(String);

/// A text that is not a path of the Nix store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not a path of the Nix store (like /nix/store/<hash>-<name>)")]
pub struct StorePathError;

/// The letters of Nix's base 32: no e, o, u, t.
pub const BASE32: &str = "0123456789abcdfghijklmnpqrsvwxyz";

impl StorePath {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The 32 characters that name its narinfo in a binary cache.
    pub fn hash(&self) -> &str {
        &self.0["/nix/store/".len()..][..32]
    }

    /// What stands behind the hash.
    pub fn name(&self) -> &str {
        &self.0["/nix/store/".len() + 33..]
    }
}

impl FromStr for StorePath {
    type Err = StorePathError;

    fn from_str(text: &str) -> Result<Self, StorePathError> {
        let base = text.strip_prefix("/nix/store/").ok_or(StorePathError)?;
        let (hash, name) = base.split_once('-').ok_or(StorePathError)?;
        let name_ok = |c: char| c.is_ascii_alphanumeric() || "+-._?=".contains(c);
        let good = hash.len() == 32
            && hash.chars().all(|c| BASE32.contains(c))
            && (1..=211).contains(&name.len())
            && !name.starts_with('.')
            && name.chars().all(name_ok);
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(StorePathError)
        }
    }
}

impl TryFrom<String> for StorePath {
    type Error = StorePathError;

    fn try_from(text: String) -> Result<Self, StorePathError> {
        text.parse()
    }
}

impl From<StorePath> for String {
    fn from(path: StorePath) -> Self {
        path.0
    }
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_store_path_is_one() {
        let good = "/nix/store/0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq-nixos-system-worker-25.05";
        let path: StorePath = good.parse().expect("a store path");
        assert_eq!(path.hash(), "0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq");
        assert_eq!(path.name(), "nixos-system-worker-25.05");
        for (name, text) in [
            ("a path below", format!("{good}/init")),
            ("another store", good.replace("/nix/store", "/gnu/store")),
            ("dots", "/nix/store/../etc/shadow".to_owned()),
            ("a short hash", "/nix/store/0c3x-name".to_owned()),
            ("a letter base 32 lacks", good.replace("0c3x", "0e3x")),
            ("a blank", format!("{good} --option")),
            (
                "no name",
                "/nix/store/0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq-".to_owned(),
            ),
            ("empty", String::new()),
        ] {
            assert_eq!(text.parse::<StorePath>(), Err(StorePathError), "{name}");
        }
    }
}
