//! `watch`: follows one machine to its end, or all of them for ever.

mod screen;

use std::time::Duration;

use netboot::api::machine_view::MachineView;
use netboot::api::types::EventLine;
use netboot::base::mac::Mac;
use netboot::machine::State;
use tokio::time::{Instant, timeout_at};

use super::show::{FAILED, joins, progress_of};
use crate::cli::WatchArgs;
use crate::client::AdminClient;
use crate::failure::Failure;
use crate::output::{CommandResult, Output};
use crate::stream::{EventStream, StreamItem};
use screen::{Screen, ScreenLine};

/// How long a watch without `--timeout` goes on: longer than anything that is worth waiting for.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);

pub(crate) async fn watch(
    client: &AdminClient,
    args: &WatchArgs,
    output: &mut Output,
) -> Result<CommandResult, Failure> {
    let machine: Option<Mac> = match &args.who {
        Some(who) => {
            let machine: MachineView = client.get(&["machines", who.as_ref()]).await?;
            Some(machine.id)
        }
        None => None,
    };
    // The clock has no moment that is too far away.
    let until = Instant::now() + args.timeout.map_or(FOR_EVER, |within| within.min(FOR_EVER));
    let mut stream = EventStream::new(client, machine.map(|mac| mac.to_string()), 0, true);
    let mut screen = Screen::new(machine);
    loop {
        // `--timeout` begins after the past was received; the calls until then have limits of their own.
        let item = if screen.is_current() {
            timeout_at(until, stream.next()).await
        } else {
            Ok(stream.next().await)
        };
        let Ok(item) = item else {
            return Ok(out_of_time(&screen, machine));
        };
        match item? {
            Some(StreamItem::Live(live, raw)) => {
                print(&mut screen, &live, &raw, output)?;
                if let Some(answer) = end(&screen, machine) {
                    return Ok(answer);
                }
            }
            Some(StreamItem::Lost) => output.note("the appliance is gone; waiting for it"),
            Some(StreamItem::Back) => output.note("the appliance is back"),
            None => return Ok(CommandResult::printed(0)),
        }
    }
}

fn print(
    screen: &mut Screen,
    live: &EventLine,
    raw: &str,
    output: &mut Output,
) -> Result<(), Failure> {
    let lines = screen.update(live);
    if output.is_json() {
        return match live {
            EventLine::Alive => Ok(()),
            _ => output.line(raw),
        };
    }
    for line in lines {
        match line {
            ScreenLine::Lasting(text) => output.line(&text)?,
            ScreenLine::Passing(text) => output.passing_line(&text)?,
        }
    }
    Ok(())
}

/// The answer, if the machine that is watched has come to its end. Events of the past do not end the watch.
fn end(screen: &Screen, machine: Option<Mac>) -> Option<CommandResult> {
    let mac = machine.filter(|_| screen.is_current())?;
    let Some(machine) = screen.machine(mac) else {
        return Some(CommandResult::printed(FAILED).note(format!("{mac} was forgotten")));
    };
    let title = machine.title();
    let exit = progress_of(&machine);
    let answer = CommandResult::printed(exit);
    match (exit, machine.state) {
        (0, State::Running) if !joins(&machine) => Some(answer.note(format!(
            "{title} runs; its profile has no `[k3s] role`, so it does not join a cluster"
        ))),
        (0, _) => Some(answer),
        (FAILED, State::Failed) => Some(answer.note(format!(
            "next: `pxe-admin show {title}`, mend the cause, then `pxe-admin reimage {title}`"
        ))),
        (FAILED, _) if screen.saw_it_fail(mac) => Some(answer.note(
            "next: the machine holds the message on its console; mend the cause, then switch it off and on for another attempt",
        )),
        _ => None,
    }
}

fn out_of_time(screen: &Screen, machine: Option<Mac>) -> CommandResult {
    let Some(mac) = machine else {
        return CommandResult::printed(0);
    };
    match screen.machine(mac) {
        Some(machine) => {
            let (title, state) = (machine.title(), machine.state);
            CommandResult::printed(progress_of(&machine)).note(format!(
                "time is up: {title} is {state} since {}",
                machine.since
            ))
        }
        None => CommandResult::printed(super::show::NOT_STARTED)
            .note(format!("time is up, and there is no sign of {mac}")),
    }
}
