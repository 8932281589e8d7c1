//! `publish`.

mod freight;
mod from_flake;
mod hand_over;
pub(super) mod told;

#[cfg(test)]
mod tests;

use std::path::Path;

use netboot::base::release::FlakeSource;
use netboot::base::store_path::StorePath;

use super::cli::PublishArgs;
use super::client::Client;
use super::failure::Failure;
use super::output::{Answer, Output};
use super::upload;
use freight::Freight;

pub(super) async fn publish(
    client: &Client,
    args: PublishArgs,
    output: &mut Output,
) -> Result<Answer, Failure> {
    let Some(toplevel) = &args.toplevel else {
        return from_flake::publish(client, &args, output).await;
    };
    let [system] = args.systems.as_slice() else {
        return Err(Failure::Argument {
            message: "`--toplevel` is the toplevel of one system".to_owned(),
            tip: "pxe-admin publish SYSTEM --toplevel PATH".to_owned(),
        });
    };
    let toplevel = store_path(toplevel)?;
    let mut freight = Freight::new();
    if client.is_elsewhere() && upload::is_here(&toplevel).await? {
        freight.system(&toplevel).await?;
        freight.ask(client).await?;
    }
    let source = FlakeSource::default();
    let published = hand_over::system(client, system, &toplevel, &freight, source, output).await?;
    Ok(told::published(&told::Document {
        systems: vec![published],
        ..told::Document::default()
    }))
}

/// The store path that was typed, or that a link such as `./result` leads to.
fn store_path(typed: &Path) -> Result<StorePath, Failure> {
    let as_typed = typed.to_str().and_then(|text| text.parse().ok());
    let followed = || {
        let path = std::fs::canonicalize(typed).ok()?;
        path.to_str()?.parse().ok()
    };
    as_typed.or_else(followed).ok_or_else(|| Failure::Argument {
        message: format!(
            "`{}` is neither a path of the Nix store nor a link to one",
            typed.display()
        ),
        tip: "pxe-admin publish SYSTEM --flake ., which builds the system first".to_owned(),
    })
}
