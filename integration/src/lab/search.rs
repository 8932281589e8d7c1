//! Looks for secrets where none may be: in a capture, in logs, in a cache, on an installed disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use memchr::memmem;
use serde::Deserialize;

use super::command::output;

/// A secret and how it could look on its way: as it is, and in base64 at each of the three offsets.
pub struct Canary {
    pub name: &'static str,
    forms: Vec<Vec<u8>>,
}

impl Canary {
    pub fn new(name: &'static str, secret: &str) -> Self {
        let encoded = (0..3_usize).map(|offset| {
            let text = STANDARD_NO_PAD.encode([&vec![0; offset][..], secret.as_bytes()].concat());
            // The first and last characters are mixed with their neighbours.
            let (from, to) = (if offset == 0 { 0 } else { 4 }, text.len() - 4);
            text.as_bytes()[from..to].to_vec()
        });
        let forms = std::iter::once(secret.as_bytes().to_vec())
            .chain(encoded)
            .collect();
        Self { name, forms }
    }

    pub fn is_in(&self, bytes: &[u8]) -> bool {
        self.forms
            .iter()
            .any(|form| memmem::find(bytes, form).is_some())
    }
}

/// `file: canary` for each file below `dir` that holds one. Compressed NARs are unpacked first.
pub fn below(dir: &Path, canaries: &[Canary]) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for file in files(dir)? {
        let bytes = contents(&file)?;
        for canary in canaries.iter().filter(|canary| canary.is_in(&bytes)) {
            found.push(format!("{}: {}", file.display(), canary.name));
        }
    }
    Ok(found)
}

/// All regular files, without following links.
pub fn files(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(path) = todo.pop() {
        let meta = fs::symlink_metadata(&path)
            .with_context(|| format!("cannot look at `{}`", path.display()))?;
        if meta.is_dir() {
            for entry in fs::read_dir(&path)? {
                todo.push(entry?.path());
            }
        } else if meta.is_file() {
            all.push(path);
        }
    }
    Ok(all)
}

fn contents(file: &Path) -> anyhow::Result<Vec<u8>> {
    if file.extension().is_none_or(|e| e != "zst") {
        return fs::read(file).with_context(|| format!("cannot read `{}`", file.display()));
    }
    let unpacked = Command::new("zstd")
        .args(["-qdc", "--"])
        .arg(file)
        .output()
        .context("cannot run `zstd`")?;
    anyhow::ensure!(
        unpacked.status.success(),
        "`{}` cannot be unpacked",
        file.display()
    );
    Ok(unpacked.stdout)
}

#[derive(Deserialize)]
struct Sfdisk {
    partitiontable: SfdiskTable,
}

#[derive(Deserialize)]
struct SfdiskTable {
    sectorsize: u64,
    partitions: Vec<Slice>,
}

#[derive(Deserialize)]
struct Slice {
    start: u64,
    size: u64,
    name: String,
}

/// Copies a partition of a raw image, by its GPT name, into a file. False if there is no partition of that name.
pub fn partition(image: &Path, name: &str, to: &Path) -> anyhow::Result<bool> {
    let text = output(Command::new("sfdisk").arg("--json").arg(image))?;
    let table = serde_json::from_str::<Sfdisk>(&text)?.partitiontable;
    let Some(slice) = table.partitions.iter().find(|slice| slice.name == name) else {
        return Ok(false);
    };
    let bytes = |sectors: u64| sectors * table.sectorsize;
    output(
        Command::new("dd")
            .args(["bs=1M", "conv=sparse", "status=none"])
            .args([
                format!("if={}", image.display()),
                format!("of={}", to.display()),
                "iflag=skip_bytes,count_bytes".to_owned(),
                format!("skip={}", bytes(slice.start)),
                format!("count={}", bytes(slice.size)),
            ]),
    )?;
    Ok(true)
}

/// Copies all of an ext4 file system's files into a folder, with their modes. Nothing is mounted, which an
/// ordinary user could not do. The journal is replayed first.
pub fn unpack(filesystem: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    // e2fsck says 1 when it repaired something, which replaying the journal is.
    let check = Command::new("e2fsck")
        .args(["-p"])
        .arg(filesystem)
        .output()
        .context("cannot run `e2fsck`")?;
    let code = check.status.code();
    anyhow::ensure!(
        matches!(code, Some(0 | 1)),
        "e2fsck: {}",
        String::from_utf8_lossy(&check.stdout)
    );
    let request = format!("rdump / \"{}\"", to.display());
    output(
        Command::new("debugfs")
            .args(["-R", &request])
            .arg(filesystem),
    )
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_plain_and_in_base64_wherever_it_stands() {
        let canary = Canary::new("token", "0123456789abcdef0123456789abcdef");
        for before in ["", "n", "no", "nod", "node:"] {
            let text = format!("{before}0123456789abcdef0123456789abcdef and more");
            assert!(canary.is_in(text.as_bytes()), "{before}");
            assert!(
                canary.is_in(STANDARD_NO_PAD.encode(text).as_bytes()),
                "{before} in base64"
            );
        }
        assert!(!canary.is_in(b"0123456789abcdef0123456789abcde"));
    }

    #[test]
    fn files_are_named_with_what_is_in_them() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        fs::write(dir.path().join("sub/log"), "token=hunter2hunter2").unwrap();
        fs::write(dir.path().join("clean"), "nothing").unwrap();
        let found = below(dir.path(), &[Canary::new("password", "hunter2hunter2")]).unwrap();
        assert_eq!(
            found,
            [format!(
                "{}: password",
                dir.path().join("sub/log").display()
            )]
        );
    }
}
