//! Mounts the new filesystems below the target's root, from the top down.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;

use crate::commands;
use crate::files::folder;
use crate::outside::run;
use crate::run::Run;
use crate::target::{Target, TargetPartition};

/// Gives the mount points, in the order of mounting.
pub(crate) fn mount(
    install: &mut Run<'_>,
    target: &Target,
    partitions: &[TargetPartition],
) -> anyhow::Result<Vec<PathBuf>> {
    target.still_it(install.roots)?;
    let root = install.roots.target.clone();
    let mut mounts = Vec::new();
    for (partition, mountpoint) in commands::in_mount_order(partitions) {
        let path = match mountpoint.trim_matches('/') {
            "" => root.clone(),
            below => root.join(below),
        };
        fs::create_dir_all(&path).with_context(|| format!("cannot make `{}`", path.display()))?;
        run(install.outside, &commands::mount(partition, &path))
            .with_context(|| format!("`{mountpoint}` cannot be mounted"))?;
        mounts.push(path);
    }
    // Nix refuses a store whose parents others may write to; sshd, a home.
    folder(&root, 0o755)?;
    Ok(mounts)
}
