//! UEFI: the network stays first and the installed disks come next, so that the machine can be installed again from afar.

use anyhow::Context as _;
use netboot::boot_order::{Esp, guid};
use netboot::hardware::Firmware;
use netboot::layout::Purpose;
use netboot::plan::{Device, Partition, Plan};

use crate::commands;
use crate::efi;
use crate::outside::run;
use crate::run::Run;
use crate::target::{Target, Targets};

/// Never fails the install: see [`efi`]. Each disk of a mirror has an entry, so that it starts when the other is gone. BIOS
/// has no entries and no fallback place; its partition for `/boot` may be of the same kind all the same.
pub(crate) fn boot_order(install: &mut Run<'_>, targets: &Targets, plan: &Plan) {
    if plan.firmware == Firmware::Bios {
        return;
    }
    let esps: Vec<(&Target, &Partition)> = targets
        .iter()
        .flat_map(|target| {
            let partitions = target.planned().partitions.iter();
            partitions.map(move |partition| (target, partition))
        })
        .filter(|(_, partition)| partition.purpose == Purpose::Esp)
        .collect();
    for (target, partition) in &esps {
        let device = Device::Partition {
            disk: target.planned().name.clone(),
            number: partition.number,
        };
        let Some(mount) = plan.mounts.iter().find(|mount| mount.device == device) else {
            continue;
        };
        let folder = install.roots.target.join(mount.at.trim_start_matches('/'));
        match efi::fallback(&folder) {
            Ok(true) => {}
            Ok(false) => install.say("  warning: there is no loader at EFI/BOOT; firmware that forgets its boot entries will not start this disk"),
            Err(error) => install.say(&format!("  warning: the loader cannot be put at EFI/BOOT: {error}")),
        }
    }
    if esps.is_empty() {
        return;
    }
    if !efi::has_variables(install.roots) {
        install
            .say("  warning: the firmware shows no boot entries here; its order is left as it is");
        return;
    }
    let named: anyhow::Result<Vec<Esp>> = esps
        .iter()
        .map(|(target, partition)| named(install, target, partition))
        .collect();
    let ordered = named.and_then(|esps| efi::network_then(install.roots, &esps));
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
fn named(install: &mut Run<'_>, target: &Target, partition: &Partition) -> anyhow::Result<Esp> {
    let number = partition.number;
    let said = run(install.outside, &commands::partition_id(target, number))?;
    let id = guid(said.trim()).context("the EFI system partition does not say its GUID")?;
    let sector = u64::from(target.planned().disk.sector);
    Ok(Esp {
        number,
        start: partition.start / sector,
        size: partition.size / sector,
        id,
    })
}
