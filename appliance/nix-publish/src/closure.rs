//! The closure of a path: all paths that it needs, as this machine's Nix store has them.

use netboot::base::refusal::Refusal;
use netboot::base::store_path::StorePath;
use netboot::publish::closure::ClosurePath;

use crate::publish_failed;
use crate::run::{Host, LastLines, program, run};

/// The paths of a closure with their sizes, each path after those that it needs.
///
/// # Errors
/// Nix does not know the path, in its own words, or cannot be run on the `host` that is named.
pub async fn closure(toplevel: &StorePath, host: Host) -> Result<Vec<ClosurePath>, Refusal> {
    let toplevel = std::slice::from_ref(toplevel);
    let text = query("--requisites", toplevel, "asking for the closure", host).await?;
    let paths: Vec<StorePath> = text
        .lines()
        .map(|line| {
            line.parse().map_err(|error| {
                publish_failed(format!("`nix-store` named `{line}`, which {error}"))
            })
        })
        .collect::<Result<_, _>>()?;
    let text = query("--size", &paths, "measuring the closure", host).await?;
    let sizes: Vec<u64> = text
        .lines()
        .filter_map(|line| line.trim().parse().ok())
        .collect();
    if sizes.len() != paths.len() {
        return Err(publish_failed(
            "`nix-store` did not give one size for each path",
        ));
    }
    let members = paths.into_iter().zip(sizes);
    Ok(members
        .map(|(path, size)| ClosurePath { path, size })
        .collect())
}

/// What `nix-store --query` prints for these paths; `doing` names the work in a refusal.
async fn query(
    what: &str,
    paths: &[StorePath],
    doing: &str,
    host: Host,
) -> Result<String, Refusal> {
    let mut command = program("nix-store");
    command.args(["--query", what]);
    command.args(paths.iter().map(StorePath::as_str));
    let stdout = run(command, &mut LastLines::default()).await;
    let stdout =
        stdout.map_err(|error| error.refusal(&format!("{doing} failed: {error}"), host))?;
    String::from_utf8(stdout)
        .map_err(|_| publish_failed("`nix-store` answered with something else than text"))
}
