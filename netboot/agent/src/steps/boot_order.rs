//! UEFI: the network stays first and the installed disk comes next, so that the machine can be installed again from afar.

use anyhow::Context as _;
use netboot::boot_order::{Esp, guid};
use netboot::layout::Purpose;

use crate::commands;
use crate::efi;
use crate::outside::run;
use crate::run::Run;
use crate::target::{Target, TargetPartition};

/// Never fails the install: see [`efi`].
pub(crate) fn boot_order(install: &mut Run<'_>, target: &Target, partitions: &[TargetPartition]) {
    let esp = partitions
        .iter()
        .find(|partition| partition.planned.purpose == Purpose::Esp);
    let Some(partition) = esp else {
        return;
    };
    if let Some(folder) = &partition.planned.mountpoint {
        let folder = install.roots.target.join(folder.trim_start_matches('/'));
        match efi::fallback(&folder) {
            Ok(true) => {}
            Ok(false) => install.say("  warning: there is no loader at EFI/BOOT; firmware that forgets its boot entries will not start this disk"),
            Err(error) => install.say(&format!("  warning: the loader cannot be put at EFI/BOOT: {error}")),
        }
    }
    if !efi::has_variables(install.roots) {
        install
            .say("  warning: the firmware shows no boot entries here; its order is left as it is");
        return;
    }
    let ordered =
        named(install, target, partition).and_then(|esp| efi::network_then(install.roots, &esp));
    match ordered {
        Ok(order) => {
            for entry in order {
                install.say(&format!("  boots {entry}"));
            }
        }
        Err(error) => install.say(&format!(
            "  warning: the boot order is left as it is: {error:#}"
        )),
    }
}

/// The partition as a boot entry names it.
fn named(
    install: &mut Run<'_>,
    target: &Target,
    partition: &TargetPartition,
) -> anyhow::Result<Esp> {
    let number = partition.planned.number;
    let said = run(install.outside, &commands::partition_id(target, number))?;
    let id = guid(said.trim()).context("the EFI system partition does not say its GUID")?;
    let sector = u64::from(target.sector());
    Ok(Esp {
        number,
        start: partition.planned.start / sector,
        size: partition.planned.size / sector,
        id,
    })
}
