//! `doctor`: where a machine's boot is stuck and what to try; or what is wrong with the appliance itself.

use netboot::api::types::{BootsAnswer, DoctorReport};
use netboot::doctor::boot_trace::{Cause, Diagnosis, Finding};
use netboot::doctor::checks::{Check, CheckResult};
use serde_json::json;

use crate::boot_table::boot_table;
use crate::cli::{DoctorArgs, Who};
use crate::client::AdminClient;
use crate::failure::Failure;
use crate::format::indented;
use crate::output::CommandResult;

/// Exit code if something is wrong; the same as that of `pxe-appliance check`.
const PROBLEMS: u8 = 1;

pub(crate) async fn doctor(
    client: &AdminClient,
    args: &DoctorArgs,
) -> Result<CommandResult, Failure> {
    match &args.who {
        Some(who) => machine(client, who).await,
        None => {
            let checkup: DoctorReport = client.get(&["doctor"]).await?;
            Ok(of_the_appliance(&checkup))
        }
    }
}

async fn machine(client: &AdminClient, who: &Who) -> Result<CommandResult, Failure> {
    let boots: BootsAnswer = client.get(&["machines", who.as_ref(), "boots"]).await?;
    Ok(of_a_machine(&boots))
}

fn of_a_machine(boots: &BootsAnswer) -> CommandResult {
    let title = &boots.title;
    let last = boots.boots.last();
    let table = last.filter(|boot| !boot.is_order_only()).map(|boot| {
        let begun = boot
            .begun()
            .map_or_else(String::new, |at| format!(", {at}"));
        format!("\nlast boot{begun}\n{}", indented(&boot_table(boot)))
    });
    let (head, exit) = match &boots.finding {
        Finding::Well { why } => (format!("{title} is well: {why}"), 0),
        Finding::UnderWay {
            awaited,
            quiet,
            patience,
        } => {
            let text = format!(
                "{title} is under way: next comes {awaited} (quiet for {quiet} s; up to {patience} s are usual)"
            );
            (text, 0)
        }
        Finding::Stuck(diagnosis) => (stuck(title, diagnosis), PROBLEMS),
        Finding::Amiss(diagnosis) => (amiss(title, diagnosis), PROBLEMS),
    };
    let json = json!({"title": title, "finding": boots.finding, "boot": last});
    let text = format!("{head}{}", table.unwrap_or_default());
    CommandResult::new(&json, text).exit(exit)
}

fn stuck(title: &str, diagnosis: &Diagnosis) -> String {
    let Diagnosis {
        after,
        missing,
        since,
        causes,
    } = diagnosis;
    let since = since.map_or_else(String::new, |at| format!(", since {at}"));
    format!(
        "{title} is stuck{since}: {after}; {missing}\n{}",
        usual(causes)
    )
}

fn amiss(title: &str, diagnosis: &Diagnosis) -> String {
    let (after, missing) = (&diagnosis.after, &diagnosis.missing);
    format!(
        "{title} is not ready for its next boot: {after}; {missing}\n{}",
        usual(&diagnosis.causes)
    )
}

fn usual(causes: &[Cause]) -> String {
    let causes: Vec<String> = causes.iter().enumerate().map(cause).collect();
    format!("usual causes, and what to try\n{}", causes.join("\n"))
}

fn cause((at, cause): (usize, &Cause)) -> String {
    let tips = cause.tips.iter().map(|tip| format!("     tip: {tip}"));
    std::iter::once(format!("  {}. {}", at + 1, cause.what))
        .chain(tips)
        .collect::<Vec<_>>()
        .join("\n")
}

fn of_the_appliance(checkup: &DoctorReport) -> CommandResult {
    let widest = checkup
        .checks
        .iter()
        .map(|c| c.name.len())
        .max()
        .unwrap_or(0);
    let lines: Vec<String> = checkup
        .checks
        .iter()
        .map(|check| of_a_check(check, widest))
        .collect();
    let with = |verdict| {
        checkup
            .checks
            .iter()
            .filter(|c| c.verdict == verdict)
            .count()
    };
    let (problems, warnings) = (with(CheckResult::Problem), with(CheckResult::Warning));
    let answer = CommandResult::new(checkup, lines.join("\n"));
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    match (problems, warnings) {
        (0, 0) => answer,
        (0, _) => answer.note(count(warnings, "warning")),
        (_, 0) => answer.note(count(problems, "problem")).exit(PROBLEMS),
        _ => answer
            .note(format!(
                "{}, {}",
                count(problems, "problem"),
                count(warnings, "warning")
            ))
            .exit(PROBLEMS),
    }
}

/// `problem  cache  …`, more findings below it, then the tips.
fn of_a_check(check: &Check, widest: usize) -> String {
    let Check {
        name,
        verdict,
        what,
        tips,
    } = check;
    let verdict = verdict.to_string();
    let margin = " ".repeat(7 + 2 + widest + 2);
    let mut lines = Vec::new();
    for (at, found) in what.iter().enumerate() {
        match at {
            0 => lines.push(format!("{verdict:7}  {name:widest$}  {found}")),
            _ => lines.push(format!("{margin}{found}")),
        }
    }
    lines.extend(tips.iter().map(|tip| format!("{margin}tip: {tip}")));
    lines.join("\n")
}

#[cfg(test)]
mod tests;
