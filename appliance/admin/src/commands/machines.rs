//! `machines`: all of them, one line each.

use netboot::api::types::MachineList;

use crate::client::AdminClient;
use crate::event_text::disks;
use crate::failure::Failure;
use crate::format::{arch, or_dash, table};
use crate::output::CommandResult;

pub(crate) async fn machines(client: &AdminClient) -> Result<CommandResult, Failure> {
    let answer: MachineList = client.get(&["machines"]).await?;
    if answer.machines.is_empty() {
        return Ok(CommandResult::new(&answer, String::new())
            .note("no machine has asked for anything to boot yet, and none is enrolled"));
    }
    let rows: Vec<[String; 9]> = answer
        .machines
        .iter()
        .map(|machine| {
            [
                or_dash(machine.name.as_ref()),
                machine.id.to_string(),
                machine.state.to_string(),
                machine.since.to_string(),
                or_dash(machine.profile.as_ref()),
                or_dash(machine.facts.arch.map(arch)),
                or_dash(machine.facts.uuid.as_ref()),
                or_dash(machine.facts.vendor_class.as_ref()),
                or_dash(machine.hardware.as_ref().map(disks)),
            ]
        })
        .collect();
    let head = [
        "NAME",
        "MAC",
        "STATE",
        "SINCE",
        "PROFILE",
        "ARCH",
        "UUID",
        "VENDOR-CLASS",
        "DISKS",
    ];
    Ok(CommandResult::new(&answer, table(head, &rows)))
}
