//! `enroll`, `reimage`, `confirm`, `forget`.

use netboot::api::machine_view::MachineView;
use netboot::api::types::{Changed, ConfirmRequest, EnrollRequest, ReimageRequest};
use netboot::machine::{AttemptWait, State};
use serde_json::json;

use crate::cli::{EnrollArgs, ReimageArgs, WhoArgs};
use crate::client::{AdminClient, refused_here};
use crate::failure::Failure;
use crate::format::or_dash;
use crate::output::CommandResult;

pub(crate) async fn enroll(
    client: &AdminClient,
    args: EnrollArgs,
) -> Result<CommandResult, Failure> {
    let EnrollArgs { mac, profile, name } = args;
    let request = EnrollRequest { mac, profile, name };
    let perhaps = format!("enrolled {mac}");
    let changed: Changed = client.post(&["enroll"], &request, None, &perhaps).await?;
    let profile = or_dash(changed.machine.profile.as_ref());
    let text = if changed.changed {
        let file = changed.profile_file.as_ref();
        let file = file.map_or_else(String::new, |file| format!(" ({file})"));
        let title = changed.machine.title();
        format!("enrolled {mac} with profile `{profile}`{file} as `{title}`")
    } else {
        format!("{mac} is already enrolled with profile `{profile}`; nothing changed")
    };
    Ok(next(
        CommandResult::new(&changed, text),
        &changed,
        "network-boot the machine",
    ))
}

pub(crate) async fn reimage(
    client: &AdminClient,
    args: ReimageArgs,
) -> Result<CommandResult, Failure> {
    let who = args.who.as_ref();
    if args.now {
        return Err(refused_here(
            "`--now` needs power control, which this version does not have",
            &[
                format!("pxe-admin reimage {who}"),
                "then switch the machine off and on by hand, and have it boot from the network"
                    .to_owned(),
            ],
        ));
    }
    let request = ReimageRequest {
        release: args.release,
    };
    let perhaps = format!("ordered {who} to be installed again");
    let path = ["machines", who, "reimage"];
    let changed: Changed = client.post(&path, &request, None, &perhaps).await?;
    let title = changed.machine.title();
    let text = if changed.changed {
        let release = changed
            .machine
            .armed
            .as_ref()
            .and_then(|armed| armed.release);
        let release = release.map_or_else(String::new, |n| format!(" with release {n}"));
        format!(
            "{title} will be installed again{release} at its next network boot; that wipes its disk"
        )
    } else {
        format!("{title} is already to be installed at its next network boot; nothing changed")
    };
    Ok(next(
        CommandResult::new(&changed, text),
        &changed,
        "switch the machine off and on, booting from the network",
    ))
}

pub(crate) async fn confirm(
    client: &AdminClient,
    args: &WhoArgs,
) -> Result<CommandResult, Failure> {
    let who = args.who.as_ref();
    let perhaps = format!("let {who} wipe what it asked about");
    let machine: MachineView = client.get(&["machines", who]).await?;
    let asked = machine
        .waiting()
        .map(|AttemptWait::Wipe { disks }| disks.clone());
    // Sent even if the machine does not ask at the moment: what it may come to ask meanwhile is then not confirmed.
    let seen = asked.unwrap_or_default();
    let path = ["machines", who, "confirm"];
    let request = ConfirmRequest { seen };
    let changed: Changed = client.post(&path, &request, None, &perhaps).await?;
    let title = changed.machine.title();
    let disks = changed.machine.confirmed.iter();
    let disks: Vec<String> = disks.map(|disk| format!("\n  {disk}")).collect();
    let text = if changed.changed {
        format!("{title} may wipe what is on{}", disks.concat())
    } else {
        let disks = disks.concat();
        format!("nothing changed: {title} may wipe already what is on{disks}")
    };
    let next = format!("next: `pxe-admin watch {title}`; if it is off, switch it on");
    Ok(CommandResult::new(&changed, text).note(next))
}

pub(crate) async fn forget(client: &AdminClient, args: &WhoArgs) -> Result<CommandResult, Failure> {
    let who = args.who.as_ref();
    let perhaps = format!("forgotten {who}");
    let path = ["machines", who, "forget"];
    let changed: Changed = client.post(&path, &json!({}), None, &perhaps).await?;
    let MachineView { id, name, .. } = &changed.machine;
    let text = match name {
        Some(name) => format!("forgot {name} ({id})"),
        None => format!("forgot {id}"),
    };
    let answer = CommandResult::new(&changed, text)
        .note("its disk was not touched; if it network-boots again, it is a stranger");
    Ok(match &changed.machine.disk_key {
        Some(_) => answer.note(format!(
            "its encrypted disks open only with their recovery key now: `pxe-admin key {id}`"
        )),
        None => answer,
    })
}

/// What will keep it from working, and what to do next.
fn next(answer: CommandResult, changed: &Changed, act: &str) -> CommandResult {
    let warned = changed.warnings.iter().fold(answer, |answer, warning| {
        answer.note(format!("warning: {warning}"))
    });
    let title = changed.machine.title();
    match changed.machine.state {
        State::Enrolled => warned.note(format!("next: {act}, then `pxe-admin watch {title}`")),
        // It was enrolled before, and its installation has begun.
        state => warned.note(format!(
            "{title} is {state}; to install it again, run `pxe-admin reimage {title}`"
        )),
    }
}
