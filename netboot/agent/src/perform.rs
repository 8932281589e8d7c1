//! The plan's commands of one step, run in order: each device looked at once more, then exactly what the plan says.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use netboot::base::refusal::{Refusal, RefusalCode};
use netboot::install::plan::{Arg, Device, Input, Plan, PlannedCommand};
use netboot::install::report::{InstallStep, StepOutcome};

use crate::access::{CommandError, HostCommand, Roots, run};
use crate::disk_facts::children;
use crate::run::{InstallAttempt, causes};
use crate::target::{Targets, named};

/// How long the kernel and udev may take to show what was made.
const LIMIT: Duration = Duration::from_secs(30);
/// How often the release of a device is tried: a program that scans new filesystems may hold it open.
const TRIES: u32 = 10;

pub(crate) fn perform(
    install: &mut InstallAttempt<'_>,
    targets: &Targets,
    plan: &Plan,
    step: InstallStep,
) -> anyhow::Result<()> {
    for planned in plan.commands.iter().filter(|one| one.step == step) {
        let command = ready(install, targets, planned)?;
        targets.still_they(install.roots)?;
        if planned.program == "mount"
            && let Some(Arg::Below(path)) = planned.args.last()
        {
            let folder = below(install.roots, path);
            fs::create_dir_all(&folder)
                .with_context(|| format!("cannot make `{}`", folder.display()))?;
        }
        let done = match lets_go(planned) {
            true => patiently(install, &command),
            false => run(install.access, &command).map(drop),
        };
        let done = done.with_context(|| subject(plan, planned, step));
        match done {
            Err(error) if planned.may_fail => warn(install, step, &error)?,
            done => done?,
        }
        if let Some(device) = &planned.makes {
            shown(install, targets, device)?;
        }
    }
    Ok(())
}

/// For the person at the console, and on record.
fn warn(
    install: &mut InstallAttempt<'_>,
    step: InstallStep,
    error: &anyhow::Error,
) -> anyhow::Result<()> {
    let causes = causes(error);
    for cause in &causes {
        install.say(&format!("  warning: {cause}"));
    }
    Ok(install.report(step, StepOutcome::Warning { causes })?)
}

/// Waits until the kernel shows exactly the planned partitions.
pub(crate) fn partitioned(
    install: &mut InstallAttempt<'_>,
    targets: &Targets,
) -> anyhow::Result<()> {
    for target in targets.iter() {
        let until = install.access.elapsed() + LIMIT;
        while !target.is_partitioned(install.roots) {
            if install.access.elapsed() >= until {
                let message = format!(
                    "the kernel does not show the planned partitions of `{}` after {} s",
                    target.name(),
                    LIMIT.as_secs()
                );
                let refusal = Refusal::new(RefusalCode::PlanRefused, message);
                let seen = children(install.roots, target.name());
                let fact = |c: &crate::disk_facts::Child| {
                    format!("it shows {}, {} bytes from {}", c.node, c.size, c.start)
                };
                return Err(seen.iter().map(fact).fold(refusal, Refusal::fact).into());
            }
            install.access.sleep(Duration::from_millis(100));
        }
    }
    Ok(())
}

/// The command with the devices' names of this boot.
fn ready(
    install: &mut InstallAttempt<'_>,
    targets: &Targets,
    planned: &PlannedCommand,
) -> anyhow::Result<HostCommand> {
    let mut command = HostCommand::new(planned.program.as_str());
    if planned.program == "mdadm" {
        // mdadm leaves the array's name to udev, and NixOS has the udev rules for it only where it also starts the
        // arrays that it finds.
        command = command.env("MDADM_NO_UDEV", "1");
    }
    for arg in &planned.args {
        command = match arg {
            Arg::Text(text) => command.arg(text.as_str()),
            Arg::Below(path) => command.path(&below(install.roots, path)),
            Arg::Device(device) if planned.makes.as_ref() == Some(device) => {
                command.path(&absent(install.roots, device)?)
            }
            Arg::Device(device) => command.path(&shown(install, targets, device)?),
        };
    }
    if let Some(made) = &planned.makes {
        absent(install.roots, made)?;
    }
    Ok(match &planned.input {
        None => command,
        Some(Input::Text(text)) => command.stdin(text.clone()),
        Some(input @ (Input::DiskKey | Input::UnlockToken)) => {
            let keys = install.volume_keys.as_ref();
            let keys = keys.context("the plan needs a disk key, and none was handed out")?;
            command.stdin(match input {
                Input::DiskKey => keys.key.clone(),
                _ => keys.token.clone(),
            })
        }
    })
}

fn below(roots: &Roots, path: &str) -> PathBuf {
    match path.trim_matches('/') {
        "" => roots.target.clone(),
        inside => roots.target.join(inside),
    }
}

/// The path of a device that must not exist yet: another one of its name would be taken for it.
fn absent(roots: &Roots, device: &Device) -> Result<PathBuf, Refusal> {
    let path = named(roots, device);
    if fs::symlink_metadata(&path).is_err() {
        return Ok(path);
    }
    let message = format!("`{}` is there already", path.display());
    Err(Refusal::new(RefusalCode::PlanRefused, message)
        .fact("it is not of this install, so it is not touched")
        .tip("take the disk out that it lies on, or have it stopped"))
}

/// The path of a device, as soon as the kernel shows it as planned.
fn shown(
    install: &mut InstallAttempt<'_>,
    targets: &Targets,
    device: &Device,
) -> anyhow::Result<PathBuf> {
    let until = install.access.elapsed() + LIMIT;
    loop {
        if let Some(path) = targets.path(install.roots, device)? {
            return Ok(path);
        }
        if install.access.elapsed() >= until {
            let path = named(install.roots, device);
            anyhow::bail!(
                "`{}` does not show after {} s",
                path.display(),
                LIMIT.as_secs()
            );
        }
        install.access.sleep(Duration::from_millis(100));
    }
}

fn lets_go(planned: &PlannedCommand) -> bool {
    let first = match planned.args.first() {
        Some(Arg::Text(text)) => text.as_str(),
        _ => "",
    };
    matches!(
        (planned.program.as_str(), first),
        ("umount", _) | ("cryptsetup", "close") | ("mdadm", "--stop") | ("zpool", "export")
    )
}

fn patiently(install: &mut InstallAttempt<'_>, command: &HostCommand) -> Result<(), CommandError> {
    let mut tries = 1;
    loop {
        match run(install.access, command) {
            Ok(_) => return Ok(()),
            Err(error) if tries == TRIES => return Err(error),
            Err(_) => tries += 1,
        }
        install.access.sleep(Duration::from_millis(500));
    }
}

/// The subject of an error: which command, which device, which disk.
fn subject(plan: &Plan, planned: &PlannedCommand, step: InstallStep) -> String {
    let device = planned.args.iter().find_map(|arg| match arg {
        Arg::Device(device) => Some(device),
        _ => None,
    });
    let of = match device {
        Some(device @ Device::Partition { .. }) => {
            let label = plan.partition(device).map_or("", |p| p.label.as_str());
            format!(" of `{label}`")
        }
        Some(Device::Array(name) | Device::Volume(name) | Device::Dataset(name)) => {
            format!(" of `{name}`")
        }
        Some(Device::Disk(_)) | None => String::new(),
    };
    let disk = match device {
        Some(Device::Disk(name) | Device::Partition { disk: name, .. }) => {
            let found = plan.disks.iter().find(|disk| disk.name == *name);
            found.map_or_else(String::new, |disk| {
                format!(" on {} (serial `{}`)", disk.disk.node, disk.disk.serial)
            })
        }
        _ => String::new(),
    };
    format!("{}{of}{disk} does not succeed", step.sentence())
}
