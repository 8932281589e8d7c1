//! `publish`: of what the flake declares, or of one system that was built already.

mod from_flake;
mod hand_over;
mod manifest;
mod summary;

use std::path::Path;

use netboot::base::release::FlakeSource;
use netboot::base::store_path::StorePath;

use crate::cli::PublishArgs;
use crate::client::AdminClient;
use crate::failure::Failure;
use crate::output::{CommandResult, Output};
use crate::upload;
use manifest::UploadManifest;

pub(crate) async fn publish(
    client: &AdminClient,
    args: PublishArgs,
    output: &mut Output,
) -> Result<CommandResult, Failure> {
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
    let mut manifest = UploadManifest::new()?;
    if client.is_elsewhere() && upload::is_here(&toplevel).await? {
        manifest.system(&toplevel).await?;
        manifest.ask(client).await?;
    }
    let source = FlakeSource::default();
    let published = hand_over::system(client, system, &toplevel, &manifest, source, output).await?;
    Ok(summary::published(&summary::Summary {
        systems: vec![published],
        ..summary::Summary::default()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_a_store_path() {
        let path = "/nix/store/0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq-nixos-system-worker-25.05";
        let taken = store_path(Path::new(path)).expect("taken as typed, be it here or not");
        assert_eq!(taken.as_str(), path);

        let folder = tempfile::tempdir().expect("a folder");
        let link = folder.path().join("result");
        std::os::unix::fs::symlink(folder.path(), &link).expect("a link");
        for wrong in [link.as_path(), Path::new("/nix/store"), Path::new("absent")] {
            let failure = store_path(wrong).expect_err("not a store path");
            let notice = failure.notice().expect("words");
            assert_eq!(notice.exit, 2);
            assert!(
                notice
                    .message
                    .ends_with("is neither a path of the Nix store nor a link to one")
            );
        }
    }
}
