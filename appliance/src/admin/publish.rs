//! `publish` and `releases`.

use std::path::Path;

use netboot::store_path::StorePath;
use netboot::wire::{PublishRequest, Published, Releases};

use super::cli::PublishArgs;
use super::client::{Client, PUBLISH_WITHIN};
use super::failure::Failure;
use super::output::Answer;
use super::words::{bytes, or_dash, table};

pub(super) async fn publish(client: &Client, args: PublishArgs) -> Result<Answer, Failure> {
    let PublishArgs { system, toplevel } = args;
    let request = PublishRequest {
        toplevel: store_path(&toplevel)?,
        system,
    };
    let perhaps = format!("published {}", request.toplevel);
    let answer: Published = client
        .post(&["publish"], &request, Some(PUBLISH_WITHIN), &perhaps)
        .await?;
    let release = &answer.release;
    let text = if answer.changed {
        format!(
            "release {} of `{}`: {} ({})",
            release.number,
            release.system,
            release.toplevel,
            bytes(release.closure_size)
        )
    } else {
        format!(
            "{} is release {} of `{}` already; nothing changed",
            release.toplevel, release.number, release.system
        )
    };
    let answer = Answer::new(&answer, text);
    Ok(answer
        .note("next: machines install it from now on; for one that runs, `pxe-admin reimage NAME`"))
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
        tip: "build the system first: `nix build .#nixosConfigurations.NAME.config.system.build.toplevel`, then `--toplevel ./result`"
            .to_owned(),
    })
}

pub(super) async fn releases(client: &Client) -> Result<Answer, Failure> {
    let answer: Releases = client.get(&["releases"]).await?;
    if answer.releases.is_empty() {
        return Ok(Answer::new(&answer, String::new())
            .note("nothing was published yet")
            .note("next: `pxe-admin publish SYSTEM --toplevel PATH`"));
    }
    let rows: Vec<[String; 7]> = answer
        .releases
        .iter()
        .map(|release| {
            [
                release.system.to_string(),
                release.number.to_string(),
                or_dash(Some(&release.label)),
                bytes(release.closure_size),
                release.published.to_string(),
                or_dash(release.revision.as_ref()),
                release.toplevel.to_string(),
            ]
        })
        .collect();
    let head = [
        "SYSTEM",
        "RELEASE",
        "LABEL",
        "SIZE",
        "PUBLISHED",
        "REVISION",
        "TOPLEVEL",
    ];
    Ok(Answer::new(&answer, table(head, &rows)))
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
