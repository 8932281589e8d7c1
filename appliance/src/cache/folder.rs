//! A folder laid out as a binary cache: the one that is served, and the one that a publication fills.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use netboot::base::store_path::StorePath;
use netboot::publish::narinfo::{NarFile, NarInfo};
use netboot::publish::nix_hash::NixHash;
use ring::signature::{ED25519, UnparsedPublicKey};
use sha2::{Digest, Sha256};

use netboot::base::store_path::BASE32;

#[derive(Debug, Clone, Copy)]
pub(super) struct CacheFolder<'a>(pub(super) &'a Path);

impl CacheFolder<'_> {
    /// The file of this name; `None` for a name that a cache does not have, and if it is not a plain file.
    pub(super) fn file(&self, name: &str) -> Option<PathBuf> {
        let file = self.0.join(name);
        let is_file = |file: &Path| file.symlink_metadata().is_ok_and(|m| m.is_file());
        let is_dir = |dir: &Path| dir.symlink_metadata().is_ok_and(|m| m.is_dir());
        let known = name == "nix-cache-info"
            || is_narinfo(name).is_some()
            || name.parse::<NarFile>().is_ok();
        (known && is_file(&file) && file.parent().is_some_and(is_dir)).then_some(file)
    }

    /// What is wrong with the entry of this path; `None` if it is whole. `public` is `name:base64`. The paths that it
    /// refers to are not looked at, nor what is in the NAR.
    pub(super) fn fault(&self, path: &StorePath, public: &str) -> Option<String> {
        self.whole(path, public).err()
    }

    /// The narinfo of a path, signed, with a NAR of the right length.
    pub(super) fn whole(&self, path: &StorePath, public: &str) -> Result<NarInfo, String> {
        let info = self.signed(path, public)?;
        self.has_nar(&info)?;
        Ok(info)
    }

    /// The narinfo of a path, if the key signed it.
    pub(super) fn signed(&self, path: &StorePath, public: &str) -> Result<NarInfo, String> {
        let Some(file) = self.file(&format!("{}.narinfo", path.hash())) else {
            return Err("its narinfo is not in the cache".to_owned());
        };
        let text = std::fs::read_to_string(file)
            .map_err(|error| format!("its narinfo cannot be read: {error}"))?;
        // Every line has an end; if the last one has not, the file was cut.
        let info = text.parse().ok().filter(|_| text.ends_with('\n'));
        let info: NarInfo = info.ok_or("its narinfo is torn")?;
        if info.path != *path {
            return Err("its narinfo is of another path".to_owned());
        }
        if !signed(&info, public) {
            return Err("its narinfo is not signed with this appliance's key".to_owned());
        }
        Ok(info)
    }

    /// Whether the NAR is there, as far as its length tells.
    pub(super) fn has_nar(&self, info: &NarInfo) -> Result<(), String> {
        let Some(file) = self.file(&info.file.to_string()) else {
            return Err("its NAR is not in the cache".to_owned());
        };
        let about = file.metadata();
        let found = about
            .map_err(|error| format!("its NAR cannot be read: {error}"))?
            .len();
        if found == info.file_size {
            Ok(())
        } else {
            Err(format!(
                "its NAR is torn: {found} of {} bytes",
                info.file_size
            ))
        }
    }

    /// Whether the NAR is what the narinfo says, to the last octet.
    pub(super) fn has_true_nar(&self, info: &NarInfo) -> bool {
        let hash = |file: PathBuf| -> io::Result<NixHash> {
            let mut hasher = Sha256::new();
            io::copy(&mut File::open(file)?, &mut hasher)?;
            Ok(NixHash(hasher.finalize().into()))
        };
        let file = self.file(&info.file.to_string());
        let file = file.filter(|_| self.has_nar(info).is_ok());
        file.and_then(|file| hash(file).ok()) == Some(info.file.hash)
    }
}

/// Whether the key signed it; `public` is `name:base64`.
fn signed(info: &NarInfo, public: &str) -> bool {
    let Some((name, key)) = public.split_once(':') else {
        return false;
    };
    let Ok(key) = STANDARD.decode(key) else {
        return false;
    };
    let (key, text) = (UnparsedPublicKey::new(&ED25519, key), info.fingerprint());
    let signatures = info
        .signatures
        .iter()
        .filter_map(|line| line.split_once(':'));
    signatures
        .filter(|(signer, _)| *signer == name)
        .filter_map(|(_, signature)| STANDARD.decode(signature).ok())
        .any(|signature| key.verify(text.as_bytes(), &signature).is_ok())
}

/// The 32 characters before `.narinfo`.
pub(super) fn is_narinfo(name: &str) -> Option<&str> {
    let hash = name.strip_suffix(".narinfo")?;
    let letters = hash.chars().all(|c| BASE32.contains(c));
    (letters && hash.len() == 32).then_some(hash)
}

#[cfg(test)]
mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair};

    use super::*;

    const PATH: &str = "/nix/store/0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq-nixos-system-worker-25.05";

    fn pair(seed: u8) -> (Ed25519KeyPair, String) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a key");
        let public = format!("ours-1:{}", STANDARD.encode(pair.public_key().as_ref()));
        (pair, public)
    }

    fn hash() -> NixHash {
        NixHash(Sha256::new().chain_update("nar").finalize().into())
    }

    fn nar() -> String {
        let letters = hash().to_string();
        format!("nar/{}.nar", letters.trim_start_matches("sha256:"))
    }

    fn narinfo(pair: &Ed25519KeyPair) -> String {
        let hash = "sha256:0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq0c3x1m7mlmcnkd5x5bj0";
        let (a, b) = ("1".repeat(32), "2".repeat(32));
        let text = format!("1;{PATH};{hash};1234;/nix/store/{a}-a,/nix/store/{b}-b");
        let signature = STANDARD.encode(pair.sign(text.as_bytes()));
        let (nar, file) = (nar(), self::hash());
        format!(
            "StorePath: {PATH}\nURL: {nar}\nCompression: none\nFileHash: {file}\nFileSize: 3\nNarHash: {hash}\n\
             NarSize: 1234\nReferences: {a}-a {b}-b\nSig: cache.nixos.org-1:AAAA\nSig: ours-1:{signature}\n"
        )
    }

    #[test]
    fn an_entry_is_whole_or_says_what_it_lacks() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = CacheFolder(dir.path());
        let path: StorePath = PATH.parse().expect("a path");
        let (pair_, public) = pair(1);
        let file = dir.path().join(format!("{}.narinfo", path.hash()));
        let good = narinfo(&pair_);

        let fault = || folder.fault(&path, &public);
        assert_eq!(fault().as_deref(), Some("its narinfo is not in the cache"));
        std::fs::write(&file, &good).expect("writes");
        assert_eq!(fault().as_deref(), Some("its NAR is not in the cache"));
        std::fs::create_dir_all(dir.path().join("nar")).expect("makes");
        let is_true = || folder.has_true_nar(&folder.signed(&path, &public).expect("signed"));
        for (octets, want, whole) in [
            ("", Some("its NAR is torn: 0 of 3 bytes"), false),
            ("na", Some("its NAR is torn: 2 of 3 bytes"), false),
            ("\0\0\0", None, false),
            ("nar", None, true),
        ] {
            std::fs::write(dir.path().join(nar()), octets).expect("writes");
            assert_eq!((fault().as_deref(), is_true()), (want, whole), "{octets:?}");
        }

        let unsigned = Some("its narinfo is not signed with this appliance's key");
        let torn = Some("its narinfo is torn");
        for (name, info, want) in [
            ("another key of our name", narinfo(&pair(2).0), unsigned),
            ("a changed size", good.replace("1234", "1235"), unsigned),
            (
                "a reference less",
                good.replace(&format!("{}-a ", "1".repeat(32)), ""),
                unsigned,
            ),
            (
                "no signature",
                good.replace("ours-1:", "theirs-1:"),
                unsigned,
            ),
            (
                "of another path",
                good.replace("worker", "server"),
                Some("its narinfo is of another path"),
            ),
            (
                "a NAR elsewhere",
                good.replace(&nar(), "nar/../secret"),
                torn,
            ),
            ("empty", String::new(), torn),
            ("zeros", "\0".repeat(300), torn),
            ("cut", good[..good.len() - 1].to_owned(), torn),
        ] {
            std::fs::write(&file, info).expect("writes");
            assert_eq!(fault().as_deref(), want, "{name}");
        }
    }
}
