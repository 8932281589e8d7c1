//! `events`: the journal, one line per event.

use netboot::wire::Live;

use super::cli::EventsArgs;
use super::client::Client;
use super::failure::Failure;
use super::follow::{Follow, Heard};
use super::output::{Answer, Output};
use super::sentence::sentence;
use super::words::or_dash;

pub(super) async fn events(
    client: &Client,
    args: &EventsArgs,
    output: &mut Output,
) -> Result<Answer, Failure> {
    let who = args.who.as_ref().map(ToString::to_string);
    let mut follow = Follow::new(client, who, args.after, args.follow);
    while let Some(heard) = follow.next().await? {
        match heard {
            Heard::Live(live, raw) => print(&live, &raw, output)?,
            Heard::Lost => output.note("the appliance is gone; waiting for it"),
            Heard::Back => output.note("the appliance is back"),
        }
    }
    Ok(Answer::printed(0))
}

fn print(live: &Live, raw: &str, output: &mut Output) -> Result<(), Failure> {
    match live {
        Live::Event { .. } | Live::Unknown if output.is_json() => output.line(raw),
        Live::Event { event } => output.line(&format!(
            "{:>6}  {}  {:17}  {}",
            event.seq,
            event.at,
            or_dash(event.machine),
            sentence(&event.what)
        )),
        Live::Unknown => {
            output.note("an event that this version does not know; `--json` prints it");
            Ok(())
        }
        // Not in the journal: `watch` tells those.
        Live::Progress { .. } | Live::Boot { .. } | Live::Alive => Ok(()),
    }
}
