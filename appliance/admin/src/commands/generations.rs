//! `generations`: what machines have run.

use netboot::api::types::Generations;
use netboot::machine::{Generation, GenerationOrigin};

use crate::cli::GenerationsArgs;
use crate::client::AdminClient;
use crate::failure::Failure;
use crate::format::{or_dash, table};
use crate::output::CommandResult;

pub(crate) async fn generations(
    client: &AdminClient,
    args: &GenerationsArgs,
) -> Result<CommandResult, Failure> {
    let answer: Generations = match &args.who {
        Some(who) => {
            client
                .get(&["machines", who.as_ref(), "generations"])
                .await?
        }
        None => client.get(&["generations"]).await?,
    };
    let rows: Vec<(&str, &Generation)> = answer
        .machines
        .iter()
        .flat_map(|m| m.generations.iter().map(|g| (m.name.as_str(), g)))
        .collect();
    if rows.is_empty() {
        return Ok(CommandResult::new(&answer, String::new()).note("nothing was installed yet"));
    }
    Ok(CommandResult::new(&answer, listed(&rows)))
}

/// A table of generations, each with the machine that ran it.
pub(crate) fn listed(rows: &[(&str, &Generation)]) -> String {
    let rows: Vec<[String; 9]> = rows
        .iter()
        .map(|(name, generation)| {
            [
                (*name).to_owned(),
                generation.number.to_string(),
                how(generation.origin).to_owned(),
                or_dash(generation.release),
                or_dash(Some(&generation.label)),
                or_dash(Some(&generation.kernel)),
                generation.activated.to_string(),
                generation
                    .booted
                    .map_or_else(|| "never".to_owned(), |at| at.to_string()),
                generation.store_path.to_string(),
            ]
        })
        .collect();
    let head = [
        "NAME",
        "GENERATION",
        "HOW",
        "RELEASE",
        "LABEL",
        "KERNEL",
        "ACTIVATED",
        "FIRST-RUN",
        "STORE-PATH",
    ];
    table(head, &rows)
}

fn how(origin: GenerationOrigin) -> &'static str {
    match origin {
        GenerationOrigin::Install => "install",
        GenerationOrigin::Switch => "switch",
        GenerationOrigin::Rollback => "rollback",
        GenerationOrigin::Boot => "boot",
    }
}
