//! The boot loaders of `boot.ipxe-dir`, read at start and served from memory by TFTP and HTTP.

use std::collections::BTreeMap;
use std::path::Path;

use axum::body::Bytes;

/// All that a machine may ask for. Nothing else in the folder is ever served.
pub const NAMES: [&str; 3] = ["undionly.kpxe", "snponly.efi", "ipxe.efi"];

/// The loaders that were found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loaders {
    by_name: BTreeMap<&'static str, Bytes>,
}

/// A loader that is there but cannot be read: better to say so at start than to a machine.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the loader `{name}`")]
pub struct LoaderError {
    name: &'static str,
    #[source]
    source: std::io::Error,
}

impl Loaders {
    pub fn read(folder: &Path) -> Result<Self, LoaderError> {
        let mut by_name = BTreeMap::new();
        for name in NAMES {
            match std::fs::read(folder.join(name)) {
                Ok(bytes) => {
                    by_name.insert(name, Bytes::from(bytes));
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(LoaderError { name, source }),
            }
        }
        Ok(Self { by_name })
    }

    /// A cheap copy of the loader of exactly this name.
    pub fn get(&self, name: &str) -> Option<(&'static str, Bytes)> {
        let (name, bytes) = self.by_name.get_key_value(name)?;
        Some((name, bytes.clone()))
    }

    pub fn found(&self) -> Vec<&'static str> {
        self.by_name.keys().copied().collect()
    }

    pub fn missing(&self) -> Vec<&'static str> {
        let missing = |name: &&str| !self.by_name.contains_key(*name);
        NAMES.into_iter().filter(missing).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_names_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["snponly.efi", "secret.txt"] {
            std::fs::write(folder.path().join(name), name).expect("writes");
        }
        let loaders = Loaders::read(folder.path()).expect("reads");
        assert_eq!(loaders.found(), ["snponly.efi"]);
        assert_eq!(loaders.missing(), ["undionly.kpxe", "ipxe.efi"]);
        assert!(loaders.get("secret.txt").is_none());
        assert!(loaders.get("../snponly.efi").is_none());

        std::fs::create_dir(folder.path().join("ipxe.efi")).expect("makes a folder");
        assert!(
            Loaders::read(folder.path()).is_err(),
            "a folder is no loader"
        );
    }
}
