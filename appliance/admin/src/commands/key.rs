//! `key`: the recovery key of a machine's encrypted disks.

use netboot::api::types::RecoveryKey;
use serde_json::json;

use crate::cli::WhoArgs;
use crate::client::AdminClient;
use crate::failure::Failure;
use crate::output::CommandResult;

pub(crate) async fn key(client: &AdminClient, args: &WhoArgs) -> Result<CommandResult, Failure> {
    let who = args.who.as_ref();
    let perhaps = format!("written down that the key of {who} was asked for");
    let path = ["machines", who, "key"];
    let answer: RecoveryKey = client.post(&path, &json!({}), None, &perhaps).await?;
    let RecoveryKey { name, key, made } = &answer;
    let note = format!("it opens the disks of {name} since {made}; type it with its dashes");
    Ok(CommandResult::new(&answer, key.clone()).note(note))
}
