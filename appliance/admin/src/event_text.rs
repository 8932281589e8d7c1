//! What happened → one sentence for a person.

use netboot::base::release::FlakeSource;
use netboot::dhcp::offer_fallback::BootMethod;
use netboot::dhcp::request::Facts;
use netboot::disk::hardware::{Disk, Hardware};
use netboot::install::plan::Plan;
use netboot::install::report::{Report, StepOutcome};
use netboot::loader::uefi::boot_order::{self, BootEntry};
use netboot::machine::event::EventKind;
use netboot::machine::wipe_confirmation::DiskContents;
use netboot::machine::{AttemptWait, Generation};

use crate::format::{arch, bytes, bytes_of, revision};

/// One line, lower case, values in backquotes.
pub(crate) fn event_text(what: &EventKind) -> String {
    match what {
        EventKind::Seen { facts } => seen(facts),
        EventKind::Enrolled {
            name,
            profile,
            until,
            by,
            ..
        } => {
            format!("enrolled as `{name}` with profile `{profile}` by {by}, in force until {until}")
        }
        EventKind::Reimaged {
            release, until, by, ..
        } => {
            let release = release.map_or_else(String::new, |n| format!(" with release {n}"));
            format!("to be installed again{release}, by {by}, in force until {until}")
        }
        EventKind::Forgotten { by } => format!("forgotten by {by}"),
        EventKind::Attempt { number, .. } => format!("attempt {number} begins"),
        EventKind::Reached { boot_method } => reached(boot_method),
        EventKind::Served { .. } => "boot script sent, with the ticket".to_owned(),
        EventKind::Claimed { .. } => "an agent holds the ticket".to_owned(),
        EventKind::Discovering => {
            "boot script sent, to tell its hardware; nothing is written".to_owned()
        }
        EventKind::Discovered { hardware } => {
            format!("a stranger's hardware: {}", inventory(hardware))
        }
        EventKind::Inventoried { hardware } => format!("hardware: {}", inventory(hardware)),
        EventKind::Planned { plan } => planned(plan),
        EventKind::Waits {
            waits: AttemptWait::Wipe { disks },
        } => format!(
            "waits: this appliance did not put there what is on {}",
            found(disks)
        ),
        EventKind::Confirmed { disks, until, by } => format!(
            "may be wiped, by {by}: {}; in force until {until}",
            found(disks)
        ),
        EventKind::Reported { report } => reported(report),
        EventKind::Sealed { .. } => "secrets handed out, sealed to the agent's key".to_owned(),
        EventKind::Received => "secrets received".to_owned(),
        EventKind::DiskKeyMade { .. } => {
            "a disk key was made and handed out, sealed to the agent's key".to_owned()
        }
        EventKind::Unlocked { from } => {
            format!("its disk key was handed to {from}, sealed, so that it can boot")
        }
        EventKind::KeyShown { by } => format!("its recovery key was shown to {by}"),
        EventKind::Installed { generation, .. } => format!(
            "installed {}; it boots from its own disk now",
            of_generation(generation)
        ),
        EventKind::GaveUp { reason } => format!("gave up: {reason}; it boots its own disk"),
        EventKind::Booted { generation } => format!("running {}", of_generation(generation)),
        EventKind::BootOrder { order } => match boot_order::misorder(order) {
            Some(trouble) => format!("boot order: {trouble}"),
            None => format!("boot order: {}", in_order(order)),
        },
        EventKind::LeftToDisk { left } => format!("came to its disk by {left}"),
        EventKind::CameBack { left } => {
            format!("did not get to its disk by {left}: it asked the network again")
        }
        EventKind::Joined { node } => format!("joined: k3s says that node `{node}` is Ready"),
        EventKind::Refused {
            code, reason, from, ..
        } => {
            format!("refused to {from}: {reason} ({code})")
        }
        EventKind::PoolExhausted { first, last } => format!(
            "no address is free in {first} to {last}; who asks for one gets none until one is free"
        ),
        EventKind::PoolRecovered { first, last } => {
            format!("addresses are free again in {first} to {last}")
        }
        EventKind::AddressInUse { address, by } => {
            format!(
                "{address} is used by {by}, which has no lease of it; the address rests for an hour"
            )
        }
        EventKind::AddressDeclined { address } => {
            format!("declined {address}: another machine uses it; the address rests for an hour")
        }
        EventKind::Followed { revision, trouble } if trouble.is_empty() => {
            format!("commit {} of the flake is published", short(revision))
        }
        EventKind::Followed { revision, trouble } => {
            format!(
                "commit {} of the flake is not published: {}",
                short(revision),
                trouble.join(": ")
            )
        }
        EventKind::Pruned { system, number, by } => {
            format!("release {number} of `{system}` was taken out of the cache by {by}")
        }
        EventKind::InstallerPublished { installer } => {
            let FlakeSource {
                revision: commit,
                dirty,
            } = &installer.source;
            let from = match commit {
                Some(_) => format!(", from {}", revision(commit.as_deref(), *dirty)),
                None => String::new(),
            };
            format!(
                "machines boot the installer for {} {} now{from}",
                installer.arch, installer.path
            )
        }
        EventKind::ReleasePublished { release } => format!(
            "release {} of `{}`: {}, {}",
            release.number,
            release.system,
            release.toplevel,
            bytes(release.closure_size)
        ),
    }
}

/// As much of a revision as people read.
fn short(revision: &str) -> &str {
    revision.get(..12).unwrap_or(revision)
}

fn reached(boot_method: &BootMethod) -> String {
    let loader = boot_method.loader.as_deref().unwrap_or("its loader");
    format!(
        "its firmware came to the boot script by {loader}{}",
        boot_method.form.log_suffix()
    )
}

fn seen(facts: &Facts) -> String {
    let known: Vec<String> = [
        facts.arch.map(arch),
        facts
            .vendor_class
            .as_ref()
            .map(|class| format!("`{class}`")),
        facts.uuid.as_ref().map(|uuid| format!("uuid {uuid}")),
        facts
            .serial
            .as_ref()
            .map(|serial| format!("serial {serial}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if known.is_empty() {
        "asked for something to boot".to_owned()
    } else {
        format!("asked for something to boot ({})", known.join(", "))
    }
}

/// The machine in a line: firmware, memory, disks.
pub(crate) fn inventory(hardware: &Hardware) -> String {
    use netboot::disk::hardware::Firmware;

    let firmware = match hardware.firmware {
        Firmware::Uefi => "UEFI",
        Firmware::Bios => "BIOS",
    };
    format!(
        "{firmware} {}, {} of memory, {}",
        hardware.arch,
        bytes(hardware.memory),
        disks(hardware)
    )
}

/// All of them with their sizes.
pub(crate) fn disks(hardware: &Hardware) -> String {
    let disks: Vec<String> = hardware.disks.iter().map(disk).collect();
    match disks.is_empty() {
        true => "no disk".to_owned(),
        false => disks.join(", "),
    }
}

fn disk(disk: &Disk) -> String {
    format!("{} {}", disk.node, bytes(disk.size))
}

fn planned(plan: &Plan) -> String {
    let disks = plan.disks.iter().map(|planned| {
        let disk = &planned.disk;
        let what = [disk.model.trim(), disk.serial.trim()]
            .into_iter()
            .find(|text| !text.is_empty())
            .map_or_else(String::new, |text| format!("{text}, "));
        format!("{} ({what}{})", disk.node, bytes(disk.size))
    });
    let disks: Vec<String> = disks.collect();
    format!(
        "plan: write release {} of `{}` to {}",
        plan.release.number,
        plan.release.system,
        disks.join(" and ")
    )
}

fn found(disks: &[DiskContents]) -> String {
    let disks: Vec<String> = disks.iter().map(ToString::to_string).collect();
    disks.join(", and ")
}

fn in_order(order: &[BootEntry]) -> String {
    let entries: Vec<String> = order.iter().map(ToString::to_string).collect();
    entries.join(", ")
}

fn reported(report: &Report) -> String {
    let step = report.step.sentence();
    match &report.outcome {
        StepOutcome::Started => step.to_owned(),
        StepOutcome::Progress { done, total } => format!("{step}  {}", bytes_of(*done, *total)),
        StepOutcome::Retry { attempt, cause } => {
            format!("retry {attempt}: {cause}; {step} again")
        }
        StepOutcome::Done => format!("{step}: done"),
        StepOutcome::Warning { causes } => format!("warning while {step}: {}", causes.join(": ")),
        StepOutcome::Failed { causes } => format!("failed while {step}: {}", causes.join(": ")),
        StepOutcome::Unknown => format!("{step}: a report of a newer agent"),
    }
}

fn of_generation(generation: &Generation) -> String {
    let about: Vec<&str> = [generation.label.as_str(), generation.kernel.as_str()]
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect();
    let about = match about.len() {
        0 => String::new(),
        _ => format!(" ({})", about.join(", ")),
    };
    format!("generation {}{about}", generation.number)
}
