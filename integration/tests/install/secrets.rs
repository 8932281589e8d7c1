//! Where cluster tokens and node password are after an install, and where they must not be.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context as _, ensure};
use integration::lab::search::{self, Canary, below, files};
use integration::lab::testbed::Testbed;

const NODE_PASSWORD: &str = "etc/rancher/node/password";

fn tokens(testbed: &Testbed) -> Vec<Canary> {
    let tokens = &testbed.tokens;
    vec![
        Canary::new("the server token", &tokens.server),
        Canary::new("the agent token", &tokens.agent),
        Canary::new("the API token", &tokens.api),
    ]
}

/// For a text at hand, such as a boot script.
pub(crate) fn are_in_none_of(testbed: &Testbed, what: &str, bytes: &[u8]) -> anyhow::Result<()> {
    for canary in tokens(testbed) {
        ensure!(!canary.is_in(bytes), "{} is in {what}", canary.name);
    }
    Ok(())
}

/// Searches everything that a run leaves behind. The machine must be off.
pub(crate) fn are_where_they_belong_and_nowhere_else(testbed: &Testbed) -> anyhow::Result<()> {
    let work = tempfile::tempdir_in(&testbed.dir)?;
    let image = &testbed.machine.build().disks[0].file;
    let (root, tree) = (work.path().join("root.img"), work.path().join("root"));
    ensure!(
        search::partition(image, "disk-main-root", &root)?,
        "the disk has no root partition"
    );
    search::unpack(&root, &tree)?;
    fs::remove_file(&root)?;

    let password =
        fs::read_to_string(tree.join(NODE_PASSWORD)).context("no node password on the disk")?;
    let mut canaries = tokens(testbed);
    canaries.push(Canary::new("the node password", password.trim()));

    // On the disk: the agent token and the password are there, for root alone; the others are not.
    let mut holders = Vec::new();
    for found in below(&tree, &canaries)? {
        let (file, name) = found.split_once(": ").context("an odd finding")?;
        let meta = fs::metadata(file)?;
        let mode = meta.permissions().mode() & 0o777;
        ensure!(
            mode == 0o600 && meta.uid() == 0,
            "{found}, with mode {mode:o} of user {}",
            meta.uid()
        );
        holders.push(name.to_owned());
    }
    holders.sort_unstable();
    holders.dedup();
    ensure!(
        holders == ["the agent token", "the node password"],
        "on the disk are: {holders:?}"
    );
    for file in files(&tree.join("nix"))? {
        ensure!(
            !holds(&file, &canaries)?,
            "`{}` in the Nix store holds a secret",
            file.display()
        );
    }
    // The ESP can be read by anybody who has the disk mounted.
    let esp = work.path().join("esp.img");
    if search::partition(image, "disk-main-ESP", &esp)? {
        ensure!(!holds(&esp, &canaries)?, "the ESP holds a secret");
    }

    // On the host, secrets are only in the files that the tokens came from, in the appliance's own keys, and in the
    // cluster's folder.
    for file in files(&testbed.dir)? {
        let inside = |dir: &Path| file.starts_with(dir);
        let state = testbed.appliance.dir().join("state");
        let is_disk = testbed
            .machine
            .build()
            .disks
            .iter()
            .any(|disk| disk.files().contains(&file));
        if is_disk
            || inside(&testbed.tokens.dir)
            || inside(&state.join("keys"))
            || inside(work.path())
            || inside(&testbed.dir.join("rooms"))
        {
            continue;
        }
        let found = below(&file, &canaries)?;
        ensure!(
            found.is_empty(),
            "secrets where none belong: {}",
            found.join(", ")
        );
    }
    match &testbed.capture {
        None => println!("no packets were captured: run as root to have them searched too"),
        Some(capture) => {
            let size = fs::metadata(capture)?.len();
            ensure!(
                size > 10 << 20,
                "the capture has {size} bytes: it cannot be whole"
            );
        }
    }
    Ok(())
}

fn holds(file: &Path, canaries: &[Canary]) -> anyhow::Result<bool> {
    Ok(!below(file, canaries)?.is_empty())
}
