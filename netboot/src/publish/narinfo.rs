//! A narinfo: what a binary cache says of one store path, and the text of it that is signed.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::nix_hash::{NixHash, base32};
use crate::base::store_path::StorePath;

/// One entry of a binary cache, as Nix writes it (`src/libstore/nar-info.cc`). References are in the order of Nix, which
/// is that of their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NarInfo {
    pub path: StorePath,
    pub file: NarFile,
    /// Bytes of the file, packed.
    pub file_size: u64,
    pub nar_hash: NixHash,
    /// Bytes of the NAR, unpacked.
    pub nar_size: u64,
    pub references: Vec<StorePath>,
    /// The name of the derivation, without the folder of the store.
    pub deriver: Option<String>,
    /// How the path follows from its content, if it does.
    pub ca: Option<String>,
    /// `name:base64` each.
    pub signatures: Vec<String>,
}

/// `nar/<hash of the file>.nar[.zst|.xz]`: the name that Nix gives to a NAR in a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NarFile {
    pub hash: NixHash,
    pub packed: Compression,
}

/// How a NAR is packed. Nix knows more, which nobody needs on a LAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    Plain,
    Zstd,
    Xz,
}

/// What is wrong with a text that should be a narinfo.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NarInfoError(String);

/// The most signatures that a narinfo keeps; no cache has that many keys.
const SIGNATURES: usize = 16;

impl NarInfo {
    /// `1;path;hash;size;references`: what Nix signs and checks.
    pub fn fingerprint(&self) -> String {
        let references: Vec<&str> = self.references.iter().map(StorePath::as_str).collect();
        format!(
            "1;{};{};{};{}",
            self.path,
            self.nar_hash,
            self.nar_size,
            references.join(",")
        )
    }

    /// Puts a signature in the place of all that have its name.
    pub fn sign(&mut self, signature: String) {
        let name = |text: &str| text.split_once(':').map(|(name, _)| name.to_owned());
        let ours = name(&signature);
        self.signatures.retain(|other| name(other) != ours);
        self.signatures.push(signature);
    }
}

/// The fields of the text, each at most once.
struct NarInfoFields<'a>(Vec<(&'a str, &'a str)>);

impl<'a> NarInfoFields<'a> {
    fn read(text: &'a str) -> Result<Self, NarInfoError> {
        let mut fields: Vec<(&str, &str)> = Vec::new();
        let mut names = BTreeSet::new();
        for line in text.lines() {
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| wrong("a line has no `:`"))?;
            if name != "Sig" && !names.insert(name) {
                return Err(wrong("a field is there twice"));
            }
            fields.push((name, value.trim()));
        }
        Ok(Self(fields))
    }

    fn perhaps(&self, name: &str) -> Option<&'a str> {
        let found = self.0.iter().find(|(field, _)| *field == name);
        found
            .map(|(_, value)| *value)
            .filter(|value| !value.is_empty())
    }

    fn parsed<T: FromStr>(&self, name: &str) -> Result<T, NarInfoError> {
        let value = self
            .perhaps(name)
            .ok_or_else(|| wrong(format!("it has no `{name}`")))?;
        let bad = |_| wrong(format!("its `{name}` is not what it should be"));
        value.parse().map_err(bad)
    }
}

fn wrong(what: impl Into<String>) -> NarInfoError {
    NarInfoError(what.into())
}

impl FromStr for NarInfo {
    type Err = NarInfoError;

    fn from_str(text: &str) -> Result<Self, NarInfoError> {
        let fields = NarInfoFields::read(text)?;
        let file: NarFile = fields.parsed("URL")?;
        if fields.perhaps("Compression").unwrap_or("bzip2") != file.packed.name() {
            return Err(wrong("its `Compression` is not that of its `URL`"));
        }
        if fields.parsed::<NixHash>("FileHash")? != file.hash {
            return Err(wrong("its `FileHash` is not that of its `URL`"));
        }
        let references = fields.perhaps("References").unwrap_or_default();
        let references = references.split_ascii_whitespace().map(|name| {
            let path = format!("/nix/store/{name}").parse::<StorePath>();
            path.map_err(|_| wrong("its `References` are not names of store paths"))
        });
        let mut references = references.collect::<Result<Vec<_>, _>>()?;
        references.sort();
        references.dedup();
        let word = |text: &&str| text.chars().all(|c| c.is_ascii_graphic()) && text.len() <= 512;
        let owned = |name| fields.perhaps(name).filter(word).map(ToOwned::to_owned);
        let signatures = fields.0.iter().filter(|(name, _)| *name == "Sig");
        Ok(Self {
            path: fields.parsed("StorePath")?,
            file,
            file_size: fields.parsed("FileSize")?,
            nar_hash: fields.parsed("NarHash")?,
            nar_size: fields.parsed("NarSize")?,
            references,
            deriver: owned("Deriver").filter(|name| name != "unknown-deriver"),
            ca: owned("CA"),
            signatures: signatures
                .map(|(_, signature)| *signature)
                .filter(|signature| word(signature) && signature.contains(':'))
                .take(SIGNATURES)
                .map(ToOwned::to_owned)
                .collect(),
        })
    }
}

impl fmt::Display for NarInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let below = "/nix/store/".len();
        let references: Vec<&str> = self
            .references
            .iter()
            .map(|path| &path.as_str()[below..])
            .collect();
        writeln!(f, "StorePath: {}", self.path)?;
        writeln!(f, "URL: {}", self.file)?;
        writeln!(f, "Compression: {}", self.file.packed.name())?;
        writeln!(f, "FileHash: {}", self.file.hash)?;
        writeln!(f, "FileSize: {}", self.file_size)?;
        writeln!(f, "NarHash: {}", self.nar_hash)?;
        writeln!(f, "NarSize: {}", self.nar_size)?;
        writeln!(f, "References: {}", references.join(" "))?;
        if let Some(deriver) = &self.deriver {
            writeln!(f, "Deriver: {deriver}")?;
        }
        for signature in &self.signatures {
            writeln!(f, "Sig: {signature}")?;
        }
        if let Some(ca) = &self.ca {
            writeln!(f, "CA: {ca}")?;
        }
        Ok(())
    }
}

impl Compression {
    const ALL: [Self; 3] = [Self::Plain, Self::Zstd, Self::Xz];

    /// As `Compression` says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "none",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
        }
    }

    fn ending(self) -> &'static str {
        match self {
            Self::Plain => ".nar",
            Self::Zstd => ".nar.zst",
            Self::Xz => ".nar.xz",
        }
    }
}

impl FromStr for NarFile {
    type Err = NarInfoError;

    fn from_str(text: &str) -> Result<Self, NarInfoError> {
        let unknown = || wrong("it is not of the form `nar/<hash>.nar`, `.nar.zst` or `.nar.xz`");
        let name = text.strip_prefix("nar/").ok_or_else(unknown)?;
        let read = |packed: Compression| {
            let hash = base32(name.strip_suffix(packed.ending())?)?;
            Some(Self { hash, packed })
        };
        Compression::ALL
            .into_iter()
            .find_map(read)
            .ok_or_else(unknown)
    }
}

impl fmt::Display for NarFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nar/{}{}", self.hash.letters(), self.packed.ending())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PATH: &str = "/nix/store/0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq-nixos-system-worker-25.05";
    const FILE: &str = "0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq0c3x1m7mlmcnkd5x5bj0";
    /// The SHA-256 of no octets, as `nix-hash --type sha256 --base32 --flat /dev/null` says it.
    const NOTHING: &str = "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";

    fn text() -> String {
        let (a, b) = ("1".repeat(32), "2".repeat(32));
        format!(
            "StorePath: {PATH}\nURL: nar/{FILE}.nar.zst\nCompression: zstd\nFileHash: sha256:{FILE}\n\
             FileSize: 77\nNarHash: sha256:{NOTHING}\nNarSize: 1234\nReferences: {a}-a {b}-b\n\
             Deriver: {a}-x.drv\nSig: cache.nixos.org-1:AAAA\nCA: fixed:r:sha256:{NOTHING}\n"
        )
    }

    #[test]
    fn it_prints_as_it_is_read_and_signs_what_nix_signs() {
        let mut info: NarInfo = text().parse().expect("a narinfo");
        assert_eq!(info.to_string(), text());
        let (a, b) = ("1".repeat(32), "2".repeat(32));
        assert_eq!(
            info.fingerprint(),
            format!("1;{PATH};sha256:{NOTHING};1234;/nix/store/{a}-a,/nix/store/{b}-b")
        );
        info.sign("ours-1:BBBB".to_owned());
        info.sign("ours-1:CCCC".to_owned());
        assert_eq!(info.signatures, ["cache.nixos.org-1:AAAA", "ours-1:CCCC"]);
        // The order of references is that of Nix, whatever was sent.
        let swapped = text().replace(&format!("{a}-a {b}-b"), &format!("{b}-b {a}-a {b}-b"));
        let swapped: NarInfo = swapped.parse().expect("a narinfo");
        assert_eq!(swapped.to_string(), text());
    }

    #[test]
    fn what_is_no_narinfo_is_refused_with_the_field_that_is_wrong() {
        let without = |name: &str| {
            let lines = text();
            let kept = lines.lines().filter(|line| !line.starts_with(name));
            kept.map(|line| format!("{line}\n")).collect::<String>()
        };
        let with = |from: &str, to: &str| text().replacen(from, to, 1);
        for (name, text, want) in [
            ("empty", String::new(), "it has no `URL`"),
            ("not fields", "<html>".to_owned(), "a line has no `:`"),
            ("no path", without("StorePath"), "it has no `StorePath`"),
            (
                "not a store path",
                with(PATH, "/etc/passwd"),
                "its `StorePath` is not what it should be",
            ),
            (
                "a way out of the folder",
                with("nar/", "../"),
                "its `URL` is not what it should be",
            ),
            (
                "bzip2, which is what no field means",
                without("Compression"),
                "its `Compression` is not that of its `URL`",
            ),
            (
                "another packing than the name says",
                with("Compression: zstd", "Compression: xz"),
                "its `Compression` is not that of its `URL`",
            ),
            (
                "another file",
                with(
                    &format!("FileHash: sha256:{FILE}"),
                    &format!("FileHash: sha256:{NOTHING}"),
                ),
                "its `FileHash` is not that of its `URL`",
            ),
            (
                "another kind of hash",
                with("NarHash: sha256:", "NarHash: md5:"),
                "its `NarHash` is not what it should be",
            ),
            (
                "a negative size",
                with("NarSize: 1234", "NarSize: -1"),
                "its `NarSize` is not what it should be",
            ),
            (
                "a reference that is a path",
                with("References: ", "References: ../x "),
                "its `References` are not names of store paths",
            ),
            (
                "two sizes",
                format!("{}NarSize: 1\n", text()),
                "a field is there twice",
            ),
        ] {
            let error = text.parse::<NarInfo>().expect_err(name);
            assert_eq!(error.to_string(), want, "{name}");
        }
    }

    /// As many fields as the largest body that is taken has room for. Comparing each with all others would take minutes, and
    /// the runner ends such a test.
    #[test]
    fn many_fields_are_read_in_no_time() {
        let more: String = (0..100_000).map(|n| format!("X{n}: y\n")).collect();
        let info: NarInfo = (text() + &more).parse().expect("a narinfo");
        assert_eq!(info.to_string(), text());
        let twice = (text() + &more + "X7: y\n").parse::<NarInfo>();
        assert_eq!(
            twice.expect_err("is refused").to_string(),
            "a field is there twice"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(?s).{0,400}") {
            let _ = text.parse::<NarInfo>();
        }
    }
}
