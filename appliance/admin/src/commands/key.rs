//! `key`: the recovery key of a machine's encrypted disks.

use netboot::api::types::RecoveryKey;
use serde_json::json;

use crate::cli::WhoArgs;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::Answer;

pub(crate) async fn key(client: &Client, args: &WhoArgs) -> Result<Answer, Failure> {
    let who = args.who.as_ref();
    let perhaps = format!("written down that the key of {who} was asked for");
    let path = ["machines", who, "key"];
    let answer: RecoveryKey = client.post(&path, &json!({}), None, &perhaps).await?;
    let RecoveryKey { name, key, made } = &answer;
    let note = format!("it opens the disks of {name} since {made}; type it with its dashes");
    Ok(Answer::new(&answer, key.clone()).note(note))
}
