//! The text of `appliance.toml`, and what can be wrong with it.

use std::path::{Path, PathBuf};

use netboot::base::problem::Problem;

use crate::net::NoLan;

/// A file's text and the name to show for it; the name is empty for the built-in defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigText {
    pub file: String,
    pub text: String,
}

/// Everything that is wrong, so that one run of `check` shows it all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigTrouble {
    pub problems: Vec<Problem>,
    /// Nothing says which interface is the LAN, so there is no place to point at.
    pub lan: Option<NoLan>,
    /// Where the profiles are, if that much could be read.
    pub hosts_dir: Option<PathBuf>,
}

/// Why the file could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{file}`")]
pub struct ConfigUnreadable {
    pub file: String,
    #[source]
    pub source: std::io::Error,
}

impl ConfigText {
    /// The name looked for when none is given.
    const FILE: &str = "appliance.toml";

    /// The file named, else `appliance.toml` in the working directory if there is one, else the built-in
    /// defaults (an empty text).
    pub fn read(wanted: Option<&Path>) -> Result<Self, ConfigUnreadable> {
        let path = wanted.unwrap_or(Path::new(Self::FILE));
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Self {
                file: path.display().to_string(),
                text,
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && wanted.is_none() => {
                Ok(Self::default())
            }
            Err(source) => Err(ConfigUnreadable {
                file: path.display().to_string(),
                source,
            }),
        }
    }

    pub fn is_built_in(&self) -> bool {
        self.file.is_empty()
    }

    /// Paths in the file are relative to its folder.
    pub(super) fn folder(&self) -> &Path {
        Path::new(&self.file).parent().unwrap_or(Path::new(""))
    }
}
