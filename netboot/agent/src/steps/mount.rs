//! Mounts the new filesystems below the target's root, from the top down.

use netboot::install::plan::Plan;
use netboot::install::report::InstallStep;

use crate::files::folder;
use crate::perform::perform;
use crate::run::InstallAttempt;
use crate::target::Targets;

pub(crate) fn mount(
    install: &mut InstallAttempt<'_>,
    targets: &Targets,
    plan: &Plan,
) -> anyhow::Result<()> {
    perform(install, targets, plan, InstallStep::Mount)?;
    // Nix refuses a store whose parents others may write to; sshd, a home.
    folder(&install.roots.target.clone(), 0o755)?;
    Ok(())
}
