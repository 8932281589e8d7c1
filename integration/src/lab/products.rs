//! What `integration/build` made: the programs under test and the practice images.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context as _, bail};

pub struct Products {
    dir: PathBuf,
    /// Where the installer image and the system are.
    images: PathBuf,
    /// What a Nix that can publish needs in its environment.
    pub env: BTreeMap<String, String>,
}

/// Installer and practice systems with one kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Images {
    Usual,
    /// Its kernel has drivers for more than most machines here have.
    AllDrivers,
    /// With ZFS. There may be none: see `integration/setup`.
    Zfs,
}

impl Images {
    fn folder(self) -> &'static str {
        match self {
            Self::Usual => "",
            Self::AllDrivers => "all-drivers",
            Self::Zfs => "zfs",
        }
    }
}

impl Products {
    /// `NETBOOT_PRODUCTS`, or where `integration/build` leaves them by default.
    pub fn find() -> anyhow::Result<Self> {
        let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/products");
        let dir = env::var_os("NETBOOT_PRODUCTS").map_or(usual, PathBuf::from);
        let dir = dir.canonicalize().unwrap_or(dir);
        let file = dir.join("env");
        if !file.exists() {
            bail!(
                "nothing was built in `{}`\n\n  tip: integration/build",
                dir.display()
            );
        }
        let text = fs::read_to_string(&file).context("cannot read what was built")?;
        let env = text.lines().filter_map(|line| line.split_once('='));
        let env = env
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let images = dir.clone();
        Ok(Self { dir, images, env })
    }

    /// With other images than most machines here have.
    pub fn with(mut self, images: Images) -> anyhow::Result<Self> {
        self.images = self.dir.join(images.folder());
        if !self.images.exists() {
            bail!(
                "there are no images in `{}`\n\n  tip: export NETBOOT_LONG=1; integration/setup && integration/build",
                self.images.display()
            );
        }
        Ok(self)
    }

    /// Whether these images were built.
    pub fn have(&self, images: Images) -> bool {
        self.dir.join(images.folder()).join("flake").exists()
    }

    /// The folder of all of it.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn program(&self, name: &str) -> PathBuf {
        self.dir.join("bin").join(name)
    }

    /// The folder with all programs.
    pub fn programs(&self) -> PathBuf {
        self.dir.join("bin")
    }

    /// `kernel`, `initrd`, `cmdline`.
    pub fn installer(&self, part: &str) -> PathBuf {
        self.images.join("installer").join(part)
    }

    /// The same for a machine with an ARM processor, and `loaders`, a folder with those that lead there. There may be none.
    pub fn arm(&self, part: &str) -> PathBuf {
        self.dir.join("arm64").join(part)
    }

    /// `snponly.efi` of an iPXE that finds local disks on UEFI. There may be none.
    pub fn new_ipxe(&self) -> PathBuf {
        self.dir.join("ipxe")
    }

    /// The practice lab, without profiles.
    pub fn flake(&self) -> PathBuf {
        self.images.join("flake")
    }
}
