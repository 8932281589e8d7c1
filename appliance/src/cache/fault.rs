//! Whether an install could copy a path from the cache: its narinfo is there, signed with our key, and so is its NAR.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use netboot::store_path::StorePath;
use ring::signature::{ED25519, UnparsedPublicKey};

use super::Cache;

impl Cache {
    /// What is wrong with the entry of this path; nothing if it is whole. `public` is `name:base64`. The paths that it
    /// refers to are not looked at.
    pub fn fault(&self, path: &StorePath, public: &str) -> Option<String> {
        let Some(file) = self.file(&format!("{}.narinfo", path.hash())) else {
            return Some("its narinfo is not in the cache".to_owned());
        };
        let info = match std::fs::read_to_string(file) {
            Ok(info) => info,
            Err(error) => return Some(format!("its narinfo cannot be read: {error}")),
        };
        if field(&info, "StorePath") != Some(path.as_str()) {
            return Some("its narinfo is of another path".to_owned());
        }
        if !signed(&info, public) {
            return Some("its narinfo is not signed with this appliance's key".to_owned());
        }
        match field(&info, "URL").and_then(|url| self.file(url)) {
            Some(_) => None,
            None => Some("its NAR is not in the cache".to_owned()),
        }
    }
}

pub(super) fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// Nix signs `1;path;hash;size;references`, the references as whole paths with commas between them.
fn signed(info: &str, public: &str) -> bool {
    let text = || {
        let references: Vec<String> = field(info, "References")
            .unwrap_or_default()
            .split_ascii_whitespace()
            .map(|name| format!("/nix/store/{name}"))
            .collect();
        Some(format!(
            "1;{};{};{};{}",
            field(info, "StorePath")?,
            field(info, "NarHash")?,
            field(info, "NarSize")?,
            references.join(",")
        ))
    };
    let Some((name, key)) = public.split_once(':') else {
        return false;
    };
    let (Some(text), Ok(key)) = (text(), STANDARD.decode(key)) else {
        return false;
    };
    let key = UnparsedPublicKey::new(&ED25519, key);
    info.lines()
        .filter_map(|line| line.strip_prefix("Sig: ")?.split_once(':'))
        .filter(|(signer, _)| *signer == name)
        .filter_map(|(_, signature)| STANDARD.decode(signature).ok())
        .any(|signature| key.verify(text.as_bytes(), &signature).is_ok())
}

#[cfg(test)]
mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair};

    use super::*;

    const PATH: &str = "/nix/store/0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq-nixos-system-worker-25.05";
    const NAR: &str = "nar/0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq0c3x1m7mlmcnkd5x5bj0.nar";

    fn pair(seed: u8) -> (Ed25519KeyPair, String) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a key");
        let public = format!("ours-1:{}", STANDARD.encode(pair.public_key().as_ref()));
        (pair, public)
    }

    fn narinfo(pair: &Ed25519KeyPair) -> String {
        let hash = "sha256:0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq0c3x1m7mlmcnkd5x5bj0";
        let (a, b) = ("1".repeat(32), "2".repeat(32));
        let text = format!("1;{PATH};{hash};1234;/nix/store/{a}-a,/nix/store/{b}-b");
        let signature = STANDARD.encode(pair.sign(text.as_bytes()));
        format!(
            "StorePath: {PATH}\nURL: {NAR}\nCompression: none\nNarHash: {hash}\nNarSize: 1234\nReferences: {a}-a {b}-b\nSig: cache.nixos.org-1:AAAA\nSig: ours-1:{signature}\n"
        )
    }

    #[test]
    fn an_entry_is_whole_or_says_what_it_lacks() {
        let dir = tempfile::tempdir().expect("a folder");
        let cache = Cache::open(dir.path(), &dir.path().join("key")).expect("opens");
        let root = dir.path().join("cache");
        let path: StorePath = PATH.parse().expect("a path");
        let (pair_, public) = pair(1);
        let file = root.join(format!("{}.narinfo", path.hash()));
        let good = narinfo(&pair_);

        let fault = || cache.fault(&path, &public);
        assert_eq!(fault().as_deref(), Some("its narinfo is not in the cache"));
        std::fs::write(&file, &good).expect("writes");
        assert_eq!(fault().as_deref(), Some("its NAR is not in the cache"));
        std::fs::create_dir_all(root.join("nar")).expect("makes");
        std::fs::write(root.join(NAR), "nar").expect("writes");
        assert_eq!(fault(), None);

        let unsigned = Some("its narinfo is not signed with this appliance's key");
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
                "empty",
                String::new(),
                Some("its narinfo is of another path"),
            ),
        ] {
            std::fs::write(&file, info).expect("writes");
            assert_eq!(fault().as_deref(), want, "{name}");
        }
    }
}
