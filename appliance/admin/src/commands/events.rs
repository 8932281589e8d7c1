//! `events`: the journal, one line per event; or the packets of a machine.

use std::path::Path;

use netboot::api::types::EventLine;
use serde_json::json;

use crate::cli::{EventsArgs, Who};
use crate::client::AdminClient;
use crate::event_text::event_text;
use crate::failure::Failure;
use crate::format::or_dash;
use crate::output::{CommandResult, Output};
use crate::stream::{EventStream, StreamItem};

pub(crate) async fn events(
    client: &AdminClient,
    args: &EventsArgs,
    output: &mut Output,
) -> Result<CommandResult, Failure> {
    if let Some([who, file]) = args.pcap.as_deref() {
        return pcap(client, who, Path::new(file)).await;
    }
    let who = args.who.as_ref().map(ToString::to_string);
    let mut stream = EventStream::new(client, who, args.after, args.follow);
    while let Some(item) = stream.next().await? {
        match item {
            StreamItem::Live(live, raw) => print(&live, &raw, output)?,
            StreamItem::Lost => output.note("the appliance is gone; waiting for it"),
            StreamItem::Back => output.note("the appliance is back"),
        }
    }
    Ok(CommandResult::printed(0))
}

/// Writes the packets that the appliance has of a machine.
async fn pcap(client: &AdminClient, who: &str, file: &Path) -> Result<CommandResult, Failure> {
    let who: Who = who.parse().map_err(|error| Failure::Argument {
        message: format!("`{who}` names no machine: it {error}"),
        tip: "pxe-admin machines".to_owned(),
    })?;
    let capture = client
        .octets(&["machines", who.as_ref(), "packets"])
        .await?;
    let name = file.display();
    std::fs::write(file, &capture).map_err(|error| Failure::Argument {
        message: format!("cannot write `{name}`: {error}"),
        tip: format!("pxe-admin events --pcap {who} /tmp/{who}.pcap"),
    })?;
    let said = json!({"file": file, "octets": capture.len()});
    let text = format!("wrote the last packets of {who} to {name}");
    Ok(CommandResult::new(&said, text).note(format!("next: tcpdump -nvr {name}")))
}

fn print(live: &EventLine, raw: &str, output: &mut Output) -> Result<(), Failure> {
    match live {
        EventLine::Event { .. } | EventLine::Unknown if output.is_json() => output.line(raw),
        EventLine::Event { event } => output.line(&format!(
            "{:>6}  {}  {:17}  {}",
            event.seq,
            event.at,
            or_dash(event.machine),
            event_text(&event.what)
        )),
        EventLine::Unknown => {
            output.note("an event that this version does not know; `--json` prints it");
            Ok(())
        }
        // Not in the journal: `watch` tells those.
        EventLine::Progress { .. } | EventLine::Boot { .. } | EventLine::Alive => Ok(()),
    }
}
