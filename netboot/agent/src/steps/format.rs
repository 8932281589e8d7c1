//! Makes arrays, encrypted volumes and filesystems.

use anyhow::Context as _;
use netboot::api::types::{DiskSecrets, SealedAnswer, UnlockToken};
use netboot::install::plan::Plan;
use netboot::install::report::InstallStep;

use super::claim::ClaimKeys;
use crate::cmdline::Orders;
use crate::perform::{partitioned, perform};
use crate::run::{InstallAttempt, VolumeKeys};
use crate::target::Targets;

pub(crate) fn format(
    install: &mut InstallAttempt<'_>,
    orders: &Orders,
    targets: &Targets,
    plan: &Plan,
    keys: &ClaimKeys,
) -> anyhow::Result<()> {
    if !plan.volumes.is_empty() {
        let volume_keys = receive(install, orders, plan, keys);
        install.volume_keys = Some(volume_keys.context("there is no disk key for this machine")?);
    }
    perform(install, targets, plan, InstallStep::Format)?;
    install.volume_keys = None;
    super::settle(install.access);
    // udev, where it runs, has the kernel read a partition table again that was written to, if no partition of the disk
    // is in use.
    partitioned(install, targets)
}

fn receive(
    install: &mut InstallAttempt<'_>,
    orders: &Orders,
    plan: &Plan,
    keys: &ClaimKeys,
) -> anyhow::Result<VolumeKeys> {
    let answer: SealedAnswer = install.ask("/node/v1/disk-key", &())?;
    let DiskSecrets { key, credential } = keys.opened(&answer)?;
    let token = UnlockToken {
        kind: UnlockToken::KIND.to_owned(),
        // A header that was just made has one keyslot.
        keyslots: vec!["0".to_owned()],
        machine: plan.host_name.clone(),
        appliance: orders.url.clone(),
        pin: orders.pin.to_string(),
        credential,
    };
    let token = serde_json::to_string(&token).context("cannot write the token of a volume")?;
    Ok(VolumeKeys { key, token })
}
