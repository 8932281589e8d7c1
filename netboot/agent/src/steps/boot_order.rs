//! UEFI: the network stays first and the installed disks come next, so that the machine can be installed again from afar.

use std::path::PathBuf;

use anyhow::Context as _;
use netboot::disk::hardware::Firmware;
use netboot::disk::layout::Purpose;
use netboot::install::plan::{Device, Plan};
use netboot::loader::uefi::load_option::{Esp, guid};

use crate::access::{Roots, run};
use crate::busy::mount_points;
use crate::commands;
use crate::disk_facts::children;
use crate::efi;
use crate::run::InstallAttempt;
use crate::target::{Target, Targets};

/// An EFI system partition of a disk that was just installed. Bytes.
struct InstalledEsp<'a> {
    target: &'a Target,
    number: u32,
    start: u64,
    size: u64,
    /// Where it is mounted now.
    at: Option<PathBuf>,
}

/// Never fails the install: see [`efi`]. Each disk of a mirror has an entry, so that it starts when the other is gone.
/// BIOS has neither entries nor a fallback place, even where its partition for `/boot` is of the same type.
pub(crate) fn boot_order(install: &mut InstallAttempt<'_>, targets: &Targets, plan: &Plan) {
    if plan.firmware == Firmware::Bios {
        return;
    }
    let esps = match plan.script {
        Some(_) => made(install, targets),
        None => planned(install.roots, targets, plan),
    };
    for folder in esps.iter().filter_map(|esp| esp.at.as_ref()) {
        match efi::fallback(folder) {
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
    let named: anyhow::Result<Vec<Esp>> = esps.iter().map(|esp| named(install, esp)).collect();
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

/// The EFI system partitions of the plan.
fn planned<'a>(roots: &Roots, targets: &'a Targets, plan: &Plan) -> Vec<InstalledEsp<'a>> {
    let all = targets.iter().flat_map(|target| {
        let partitions = target.planned().partitions.iter();
        partitions.map(move |partition| (target, partition))
    });
    let esps = all.filter(|(_, partition)| partition.purpose == Purpose::Esp);
    let found = esps.map(|(target, partition)| {
        let device = Device::Partition {
            disk: target.planned().name.clone(),
            number: partition.number,
        };
        let mount = plan.mounts.iter().find(|mount| mount.device == device);
        InstalledEsp {
            target,
            number: partition.number,
            start: partition.start,
            size: partition.size,
            at: mount.map(|mount| roots.target.join(mount.at.trim_start_matches('/'))),
        }
    });
    found.collect()
}

/// The EFI system partitions that a script made, which are in no plan.
fn made<'a>(install: &mut InstallAttempt<'_>, targets: &'a Targets) -> Vec<InstalledEsp<'a>> {
    let mut found = Vec::new();
    for target in targets.iter() {
        for child in children(install.roots, target.name()) {
            let kind = run(
                install.access,
                &commands::partition_type(target, child.number),
            );
            let esp = Purpose::Esp.type_guid();
            if !kind.is_ok_and(|said| said.trim().eq_ignore_ascii_case(esp)) {
                continue;
            }
            let places = mount_points(install.roots, &[&child.node]).into_iter();
            let mut places = places.map(PathBuf::from);
            found.push(InstalledEsp {
                target,
                number: child.number,
                start: child.start,
                size: child.size,
                at: places.find(|at| at.starts_with(&install.roots.target)),
            });
        }
    }
    found
}

/// The partition as a boot entry names it.
fn named(install: &mut InstallAttempt<'_>, found: &InstalledEsp<'_>) -> anyhow::Result<Esp> {
    let (number, target) = (found.number, found.target);
    let said = run(install.access, &commands::partition_id(target, number))?;
    let id = guid(said.trim()).context("the EFI system partition does not say its GUID")?;
    let sector = u64::from(target.planned().disk.sector);
    Ok(Esp {
        number,
        start: found.start / sector,
        size: found.size / sector,
        id,
    })
}
