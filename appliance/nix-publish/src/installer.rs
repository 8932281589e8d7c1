//! An installer as the Nix store has it: a folder with kernel, initrd, command line and architecture.

use std::fs;
use std::path::{Path, PathBuf};

use netboot::base::refusal::Refusal;
use netboot::base::store_path::StorePath;
use netboot::publish::installer::{LONGEST_CMDLINE, bootable};

use crate::publish_failed;

pub const KERNEL: &str = "kernel";
pub const INITRD: &str = "initrd";
pub const CMDLINE: &str = "cmdline";
pub const ARCH: &str = "arch";

/// What an installer's folder holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallerFiles {
    /// As `uname -m` says it.
    pub arch: String,
    pub cmdline: String,
    pub kernel: PathBuf,
    pub initrd: PathBuf,
}

/// The installer at a path of this machine's Nix store.
///
/// # Errors
/// It is not there, or no installer.
pub fn inspect(path: &StorePath) -> Result<InstallerFiles, Refusal> {
    inspect_folder(Path::new(path.as_str()), path)
}

/// The installer in `folder`, which a refusal calls `path`.
///
/// # Errors
/// The folder is not there, or no installer.
pub fn inspect_folder(folder: &Path, path: &StorePath) -> Result<InstallerFiles, Refusal> {
    if !folder.exists() {
        return Err(
            publish_failed(format!("`{path}` is not in this machine's Nix store"))
                .fact("nothing was changed")
                .tip("build it here, or copy it here with `nix copy --to ssh://…`"),
        );
    }
    let no = |why: &str| {
        publish_failed(format!("`{path}` is not an installer"))
            .fact(why)
            .fact("nothing was changed")
            .tip("`packages.<system>.installer` is a folder with kernel, initrd, cmdline and arch")
    };
    let parts = [KERNEL, INITRD, CMDLINE, ARCH];
    let is_file = |part: &&&str| fs::metadata(folder.join(part)).is_ok_and(|m| m.is_file());
    let absent: Vec<&str> = parts.iter().filter(|p| !is_file(p)).copied().collect();
    if !absent.is_empty() {
        return Err(no(&format!("it has no {}", absent.join(", "))));
    }
    for part in [KERNEL, INITRD] {
        if fs::metadata(folder.join(part)).is_ok_and(|m| m.len() == 0) {
            return Err(no(&format!("its {part} is empty")));
        }
    }
    let text = |part: &str| -> Result<String, Refusal> {
        let file = folder.join(part);
        // The newline at its end does not count.
        let long = fs::metadata(&file).is_ok_and(|m| m.len() > LONGEST_CMDLINE as u64 + 1);
        if long {
            return Err(no(&format!("its {part} is too long")));
        }
        let text = fs::read_to_string(file).map_err(|error| no(&format!("its {part}: {error}")))?;
        Ok(text.trim().to_owned())
    };
    let (arch, cmdline) = (text(ARCH)?, text(CMDLINE)?);
    bootable(&arch, &cmdline).map_err(|why| no(&format!("its {why}")))?;
    Ok(InstallerFiles {
        arch,
        cmdline,
        kernel: folder.join(KERNEL),
        initrd: folder.join(INITRD),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: [(&str, &str); 4] = [
        (KERNEL, "kernel"),
        (INITRD, "initrd"),
        (CMDLINE, "console=ttyS0\n"),
        (ARCH, "x86_64\n"),
    ];

    fn built(folder: &Path, files: &[(&str, &str)]) {
        fs::create_dir_all(folder).expect("makes");
        for (name, text) in files {
            fs::write(folder.join(name), text).expect("writes");
        }
    }

    fn path(letter: char) -> StorePath {
        let hash = letter.to_string().repeat(32);
        format!("/nix/store/{hash}-installer")
            .parse()
            .expect("a store path")
    }

    #[test]
    fn what_is_no_installer_is_refused_with_what_it_lacks() {
        let folder = tempfile::tempdir().expect("a folder");
        let but = |name: &str, text: &str| -> Vec<(&'static str, String)> {
            let files = WHOLE
                .iter()
                .filter(|(file, _)| text != "-" || *file != name);
            let text_of = |(file, usual): &(&'static str, &str)| {
                let text = if *file == name { text } else { usual };
                (*file, text.to_owned())
            };
            files.map(text_of).collect()
        };
        for (what, files, want) in [
            ("no initrd", but(INITRD, "-"), "it has no initrd"),
            ("an empty kernel", but(KERNEL, ""), "its kernel is empty"),
            (
                "two lines",
                but(CMDLINE, "a\nb"),
                "its cmdline has the character '\\n'; it must be one line of ASCII",
            ),
            (
                "a book",
                but(CMDLINE, &"a".repeat(9000)),
                "its cmdline is too long",
            ),
            (
                "another machine",
                but(ARCH, "riscv64"),
                "its arch is `riscv64`, not x86_64 or aarch64",
            ),
        ] {
            let dir = folder.path().join(what);
            let files: Vec<_> = files
                .iter()
                .map(|(name, text)| (*name, text.as_str()))
                .collect();
            built(&dir, &files);
            let refusal = inspect_folder(&dir, &path('1')).expect_err(what);
            assert_eq!(refusal.facts[0], want, "{what}");
            assert!(
                refusal.message.ends_with("is not an installer"),
                "{refusal}"
            );
        }
        let dir = folder.path().join("whole");
        built(&dir, &WHOLE);
        let whole = inspect_folder(&dir, &path('1')).expect("an installer");
        assert_eq!((&*whole.arch, &*whole.cmdline), ("x86_64", "console=ttyS0"));
        let refusal =
            inspect_folder(&folder.path().join("none"), &path('1')).expect_err("is not there");
        assert!(
            refusal
                .message
                .contains("is not in this machine's Nix store"),
            "{refusal}"
        );
    }
}
