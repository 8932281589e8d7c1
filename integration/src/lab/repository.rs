//! A lab as its owner keeps it: a folder in Git with appliance.toml, profiles, and the flake that makes systems of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::command::{output, run};
use super::products::Products;

pub struct Repository {
    dir: PathBuf,
}

impl Repository {
    /// The practice flake in a repository without commits and profiles.
    pub fn begin(dir: &Path, products: &Products) -> anyhow::Result<Self> {
        fs::create_dir_all(dir)?;
        run(Command::new("cp").arg("-rT").arg(products.flake()).arg(dir))?;
        let repository = Self {
            dir: dir.to_owned(),
        };
        run(repository.git().args(["init", "-q"]))?;
        Ok(repository)
    }

    /// Writes a file, and lets Git know it.
    pub fn write(&self, file: &str, text: &str) -> anyhow::Result<()> {
        let path = self.dir.join(file);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
        run(self.git().args(["add", "-N", file]))
    }

    /// Commits everything; the revision.
    pub fn commit(&self, why: &str) -> anyhow::Result<String> {
        run(self.git().args(["add", "-A"]))?;
        run(self
            .git()
            .args(["commit", "-q", "--allow-empty", "-m", why]))?;
        Ok(output(self.git().args(["rev-parse", "HEAD"]))?
            .trim()
            .to_owned())
    }

    fn git(&self) -> Command {
        let mut git = Command::new("git");
        git.current_dir(&self.dir)
            .args(["-c", "user.name=owner", "-c", "user.email=owner@lab"]);
        git
    }
}
