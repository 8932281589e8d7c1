//! `show`: all that is known of one machine, and how far it is as an exit code.

use netboot::api::machine_view::{AttemptView, MachineView};
use netboot::api::types::BootsAnswer;
use netboot::disk::hardware::Hardware;
use netboot::doctor::boot_trace::Finding;
use netboot::install::report::StepOutcome;
use netboot::loader::uefi::boot_order;
use netboot::machine::wipe_confirmation::DiskContents;
use netboot::machine::{AttemptWait, Generation, State};
use serde_json::{Value, json};

use super::generations::listed;
use crate::boot_table::boot_table;
use crate::cli::WhoArgs;
use crate::client::AdminClient;
use crate::event_text::inventory;
use crate::failure::Failure;
use crate::format::{arch, bytes, fields, indented, or_dash, table};
use crate::output::CommandResult;

/// Exit codes of `show` and `watch`; 1 to 3 are what they are everywhere, and 0 is "arrived".
pub(crate) const NOT_STARTED: u8 = 4;
pub(crate) const IN_PROGRESS: u8 = 5;
pub(crate) const FAILED: u8 = 6;

pub(crate) async fn show(client: &AdminClient, args: &WhoArgs) -> Result<CommandResult, Failure> {
    let who = args.who.as_ref();
    let machine: MachineView = client.get(&["machines", who]).await?;
    let boots: BootsAnswer = client.get(&["machines", who, "boots"]).await?;
    let last = boots.boots.last().filter(|boot| !boot.is_order_only());
    let mut text = described(&machine);
    if let Some(boot) = last {
        let begun = boot
            .begun()
            .map_or_else(String::new, |at| format!(", {at}"));
        text = format!("{text}\nlast boot{begun}\n{}", indented(&boot_table(boot)));
    }
    let mut answer = CommandResult::new(&machine, text).exit(progress_of(&machine));
    if let Value::Object(json) = &mut answer.json {
        json.insert("boot".to_owned(), json!(last));
    }
    Ok(match (&boots.finding, last) {
        (Finding::Stuck(stuck), Some(_)) => answer.note(format!(
            "stuck: {}; {}. Run `pxe-admin doctor {}`",
            stuck.after, stuck.missing, boots.title
        )),
        (Finding::Amiss(amiss), _) => answer.note(format!(
            "not ready for its next boot: {}. Run `pxe-admin doctor {}`",
            amiss.missing, boots.title
        )),
        _ => answer,
    })
}

/// How far a machine is. One without a part in a cluster has arrived when it runs.
pub(crate) fn progress_of(machine: &MachineView) -> u8 {
    let attempt_failed = machine
        .attempt
        .as_ref()
        .is_some_and(|attempt| attempt.progress.ended());
    match machine.state {
        State::Seen | State::Enrolled => NOT_STARTED,
        State::Installing if attempt_failed => FAILED,
        State::Installing | State::Installed => IN_PROGRESS,
        State::Running if joins(machine) => IN_PROGRESS,
        State::Running | State::Joined | State::Retired => 0,
        State::Failed => FAILED,
    }
}

/// Whether it is to join a cluster, by the plan that it was installed with.
pub(crate) fn joins(machine: &MachineView) -> bool {
    let plan = machine.attempt.as_ref().and_then(|a| a.plan.as_ref());
    plan.is_some_and(|plan| plan.k3s.is_some())
}

fn described(machine: &MachineView) -> String {
    let title = machine.title();
    let head = format!("{title} is {} since {}", machine.state, machine.since);
    let mut parts = vec![head, fields(&facts(machine))];
    if let Some(AttemptWait::Wipe { disks }) = machine.waiting() {
        parts.push(asked(&title, disks));
    }
    if let Some(attempt) = &machine.attempt {
        parts.push(format!("attempt\n{}", fields(&of_attempt(attempt))));
    }
    if !machine.failure.is_empty() {
        parts.push(format!("failed\n{}", indented(&machine.failure.join("\n"))));
    }
    if let Some(hardware) = &machine.hardware {
        parts.push(format!("hardware\n{}", of_hardware(hardware)));
    }
    if !machine.generations.is_empty() {
        let rows: Vec<(&str, &Generation)> = machine
            .generations
            .iter()
            .map(|generation| (title.as_str(), generation))
            .collect();
        parts.push(format!("generations\n{}", indented(&listed(&rows))));
    }
    parts.join("\n")
}

/// What is asked of the operator before anything is written; `plan` says the same.
pub(crate) fn asked(title: &str, disks: &[DiskContents]) -> String {
    let disks: Vec<String> = disks.iter().map(ToString::to_string).collect();
    format!(
        "waits\n  this appliance did not put there what would be wiped:\n{}\n  to have it wiped: pxe-admin confirm {title}",
        indented(&indented(&disks.join("\n")))
    )
}

fn facts(machine: &MachineView) -> Vec<(&'static str, String)> {
    let macs: Vec<String> = machine.macs.iter().map(ToString::to_string).collect();
    let facts = &machine.facts;
    let mut rows = vec![
        ("macs", macs.join(", ")),
        ("profile", or_dash(machine.profile.as_ref())),
        ("arch", or_dash(facts.arch.map(arch))),
        ("vendor class", or_dash(facts.vendor_class.as_ref())),
        ("uuid", or_dash(facts.uuid.as_ref())),
        ("serial", or_dash(facts.serial.as_ref())),
        ("first seen", machine.first_seen.to_string()),
        ("enrolled", or_dash(machine.enrolled)),
        ("installed", or_dash(machine.installed)),
        ("ssh host key", or_dash(machine.ssh_host_key.as_ref())),
    ];
    if let Some(trouble) = boot_order::misorder(&machine.boot_order) {
        rows.push(("boot order", trouble));
    }
    if let Some(known) = &machine.local_boot {
        rows.push(("local boot", known.description()));
    }
    if let Some(armed) = &machine.armed {
        let release = armed.release;
        let release = release.map_or_else(
            || "the newest release".to_owned(),
            |n| format!("release {n}"),
        );
        let order = format!("install {release}, in force until {}", armed.until);
        rows.push(("order", order));
    }
    rows
}

fn of_attempt(attempt: &AttemptView) -> Vec<(&'static str, String)> {
    let mut rows = vec![
        ("number", attempt.number.to_string()),
        ("script sent", or_dash(attempt.served)),
        (
            "claimed",
            or_dash(attempt.claim.as_ref().map(|claim| claim.at)),
        ),
    ];
    if let Some(step) = attempt.progress.step {
        let outcome = match &attempt.progress.outcome {
            Some(StepOutcome::Failed { .. }) => " (failed)",
            Some(StepOutcome::Done) => " (done)",
            Some(StepOutcome::Retry { .. }) => " (again)",
            _ => "",
        };
        let step = format!(
            "{}/{} {}{outcome}",
            step.number(),
            netboot::install::report::InstallStep::ALL.len(),
            step.sentence()
        );
        rows.push(("step", step));
    }
    rows
}

fn of_hardware(hardware: &Hardware) -> String {
    let made: Vec<&str> = [hardware.vendor.as_str(), hardware.product.as_str()]
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect();
    let mut lines = vec![format!("  {}", inventory(hardware))];
    if !made.is_empty() {
        lines.push(format!("  {}", made.join(" ")));
    }
    let disks: Vec<[String; 6]> = hardware
        .disks
        .iter()
        .map(|disk| {
            let holds: Vec<&str> = disk
                .holds
                .iter()
                .map(|held| held.kind.as_str())
                .filter(|kind| !kind.is_empty())
                .collect();
            [
                disk.node.clone(),
                bytes(disk.size),
                or_dash(Some(disk.bus.as_str())),
                or_dash(Some(disk.model.trim())),
                or_dash(Some(disk.serial.trim())),
                or_dash(Some(holds.join(", "))),
            ]
        })
        .collect();
    if !disks.is_empty() {
        let head = ["DISK", "SIZE", "BUS", "MODEL", "SERIAL", "HOLDS"];
        lines.push(indented(&table(head, &disks)));
    }
    let nics: Vec<[String; 3]> = hardware
        .nics
        .iter()
        .map(|nic| {
            let link = if nic.link { "up" } else { "down" };
            [nic.name.clone(), nic.mac.to_string(), link.to_owned()]
        })
        .collect();
    if !nics.is_empty() {
        lines.push(indented(&table(["CARD", "MAC", "LINK"], &nics)));
    }
    lines.join("\n")
}
