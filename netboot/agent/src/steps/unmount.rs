//! Leaves the disk complete, written out and unmounted; then reports that it is installed.

use netboot::api::types::InstalledRequest;
use netboot::install::plan::Plan;
use netboot::install::report::InstallStep;

use super::copy::InstalledSystem;
use crate::perform::perform;
use crate::run::{AttemptEnd, InstallAttempt};
use crate::target::Targets;

pub(crate) fn unmount(
    install: &mut InstallAttempt<'_>,
    targets: &Targets,
    plan: &Plan,
) -> anyhow::Result<()> {
    let unmount =
        |install: &mut InstallAttempt<'_>| perform(install, targets, plan, InstallStep::Unmount);
    match plan.script {
        Some(_) => super::script::leave(install, targets, unmount),
        None => unmount(install),
    }
}

/// Sent until it is answered; a repeat is harmless.
pub(crate) fn installed(
    install: &mut InstallAttempt<'_>,
    plan: &Plan,
    system: InstalledSystem,
    ssh_host_key: String,
) -> Result<(), AttemptEnd> {
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
            install.stop(InstallStep::Unmount, &error)
        })
}
