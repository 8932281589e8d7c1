//! Leaves the disk complete: everything written out, nothing mounted; then says that it is installed.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use netboot::plan::Plan;
use netboot::report::Step;
use netboot::wire::InstalledRequest;

use super::copy::System;
use crate::commands;
use crate::outside::{Command, run};
use crate::run::{Run, Stop};
use crate::target::Target;

const TRIES: u32 = 10;

pub(crate) fn unmount(
    install: &mut Run<'_>,
    target: &Target,
    mounts: &[PathBuf],
) -> anyhow::Result<()> {
    for path in mounts {
        // Asked of one filesystem, it says what could not be written since it was mounted (syncfs(2)).
        let write_out = Command::new("sync").arg("-f").path(path);
        run(install.outside, &write_out).context("not everything could be written out")?;
    }
    for path in mounts.iter().rev() {
        let mut tries = 1;
        // A scanner of new filesystems may be looking at it.
        while let Err(error) = run(install.outside, &commands::unmount(path)) {
            if tries == TRIES {
                return Err(error).context("the new system cannot be unmounted");
            }
            tries += 1;
            install.outside.sleep(Duration::from_millis(500));
        }
    }
    run(install.outside, &commands::flush(target))
        .context("the disk does not take what was written")?;
    Ok(())
}

/// Asked until it is answered; a repeat is harmless.
pub(crate) fn installed(
    install: &mut Run<'_>,
    plan: &Plan,
    system: System,
    ssh_host_key: String,
) -> Result<(), Stop> {
    let request = InstalledRequest {
        generation: system.generation,
        store_path: plan.release.toplevel.clone(),
        label: system.label,
        ssh_host_key,
    };
    install
        .tell("/node/v1/installed", &request)
        .map_err(|error| {
            let error = anyhow::Error::new(error)
                .context("the disk is done, but the appliance does not take it for installed");
            install.stop(Step::Unmount, &error)
        })
}
