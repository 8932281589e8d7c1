//! What happened → one sentence for a person.

use netboot::base::release::FlakeSource;
use netboot::dhcp::offer_fallback::Manner;
use netboot::dhcp::request::Facts;
use netboot::disk::hardware::{Disk, Hardware};
use netboot::install::plan::Plan;
use netboot::install::report::{Outcome, Report};
use netboot::loader::uefi::boot_order::{self, Entry};
use netboot::machine::event::Happening;
use netboot::machine::wipe_confirmation::Found;
use netboot::machine::{Generation, Waits};

use crate::format::{arch, bytes, bytes_of, revision};

/// One line, lower case, values in backquotes.
pub(crate) fn event_text(what: &Happening) -> String {
    match what {
        Happening::Seen { facts } => seen(facts),
        Happening::Enrolled {
            name,
            profile,
            until,
            by,
            ..
        } => {
            format!("enrolled as `{name}` with profile `{profile}` by {by}, in force until {until}")
        }
        Happening::Reimaged {
            release, until, by, ..
        } => {
            let release = release.map_or_else(String::new, |n| format!(" with release {n}"));
            format!("to be installed again{release}, by {by}, in force until {until}")
        }
        Happening::Forgotten { by } => format!("forgotten by {by}"),
        Happening::Attempt { number, .. } => format!("attempt {number} begins"),
        Happening::Reached { manner } => reached(manner),
        Happening::Served { .. } => "boot script sent, with the ticket".to_owned(),
        Happening::Claimed { .. } => "an agent holds the ticket".to_owned(),
        Happening::Discovering => {
            "boot script sent, to tell its hardware; nothing is written".to_owned()
        }
        Happening::Discovered { hardware } => {
            format!("a stranger's hardware: {}", inventory(hardware))
        }
        Happening::Inventoried { hardware } => format!("hardware: {}", inventory(hardware)),
        Happening::Planned { plan } => planned(plan),
        Happening::Waits {
            waits: Waits::Wipe { disks },
        } => format!(
            "waits: this appliance did not put there what is on {}",
            found(disks)
        ),
        Happening::Confirmed { disks, until, by } => format!(
            "may be wiped, by {by}: {}; in force until {until}",
            found(disks)
        ),
        Happening::Reported { report } => reported(report),
        Happening::Sealed { .. } => "secrets handed out, sealed to the agent's key".to_owned(),
        Happening::Received => "secrets received".to_owned(),
        Happening::DiskKeyMade { .. } => {
            "a disk key was made and handed out, sealed to the agent's key".to_owned()
        }
        Happening::Unlocked { from } => {
            format!("its disk key was handed to {from}, sealed, so that it can boot")
        }
        Happening::KeyShown { by } => format!("its recovery key was shown to {by}"),
        Happening::Installed { generation, .. } => format!(
            "installed {}; it boots from its own disk now",
            of_generation(generation)
        ),
        Happening::GaveUp { reason } => format!("gave up: {reason}; it boots its own disk"),
        Happening::Booted { generation } => format!("running {}", of_generation(generation)),
        Happening::BootOrder { order } => match boot_order::misorder(order) {
            Some(trouble) => format!("boot order: {trouble}"),
            None => format!("boot order: {}", in_order(order)),
        },
        Happening::LeftToDisk { left } => format!("came to its disk by {left}"),
        Happening::CameBack { left } => {
            format!("did not get to its disk by {left}: it asked the network again")
        }
        Happening::Joined { node } => format!("joined: k3s says that node `{node}` is Ready"),
        Happening::Refused {
            code, reason, from, ..
        } => {
            format!("refused to {from}: {reason} ({code})")
        }
        Happening::PoolExhausted { first, last } => format!(
            "no address is free in {first} to {last}; who asks for one gets none until one is free"
        ),
        Happening::PoolRecovered { first, last } => {
            format!("addresses are free again in {first} to {last}")
        }
        Happening::AddressInUse { address, by } => {
            format!(
                "{address} is used by {by}, which has no lease of it; the address rests for an hour"
            )
        }
        Happening::AddressDeclined { address } => {
            format!("declined {address}: another machine uses it; the address rests for an hour")
        }
        Happening::Followed { revision, trouble } if trouble.is_empty() => {
            format!("commit {} of the flake is published", short(revision))
        }
        Happening::Followed { revision, trouble } => {
            format!(
                "commit {} of the flake is not published: {}",
                short(revision),
                trouble.join(": ")
            )
        }
        Happening::Pruned { system, number, by } => {
            format!("release {number} of `{system}` was taken out of the cache by {by}")
        }
        Happening::InstallerPublished { installer } => {
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
        Happening::Released { release } => format!(
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

fn reached(manner: &Manner) -> String {
    let loader = manner.loader.as_deref().unwrap_or("its loader");
    format!(
        "its firmware came to the boot script by {loader}{}",
        manner.form.log_suffix()
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

fn found(disks: &[Found]) -> String {
    let disks: Vec<String> = disks.iter().map(ToString::to_string).collect();
    disks.join(", and ")
}

fn in_order(order: &[Entry]) -> String {
    let entries: Vec<String> = order.iter().map(ToString::to_string).collect();
    entries.join(", ")
}

fn reported(report: &Report) -> String {
    let step = report.step.sentence();
    match &report.outcome {
        Outcome::Started => step.to_owned(),
        Outcome::Progress { done, total } => format!("{step}  {}", bytes_of(*done, *total)),
        Outcome::Retry { attempt, cause } => {
            format!("retry {attempt}: {cause}; {step} again")
        }
        Outcome::Done => format!("{step}: done"),
        Outcome::Warning { causes } => format!("warning while {step}: {}", causes.join(": ")),
        Outcome::Failed { causes } => format!("failed while {step}: {}", causes.join(": ")),
        Outcome::Unknown => format!("{step}: a report of a newer agent"),
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
