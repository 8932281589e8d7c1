//! Receives the secrets of this machine, opens them, and writes names, keys and tokens onto the new system.

use std::fs;
use std::os::unix::fs::symlink;

use anyhow::Context as _;
use netboot::api::types::{InstallSecrets, NodeIdentity, SealedAnswer};
use netboot::base::mac::Mac;
use netboot::install::plan::Plan;

use super::claim::ClaimKeys;
use crate::access::run;
use crate::cmdline::Orders;
use crate::commands;
use crate::files::{self, FOLDERS};
use crate::inventory::inventory;
use crate::run::InstallAttempt;

/// Gives the public half of the machine's SSH host key, `ssh-ed25519 AAAA…`.
pub(crate) fn configure(
    install: &mut InstallAttempt<'_>,
    orders: &Orders,
    plan: &Plan,
    keys: &ClaimKeys,
) -> anyhow::Result<String> {
    let root = install.roots.target.clone();
    let identity = NodeIdentity {
        name: plan.host_name.clone(),
        machine: booted_from(install, orders)?,
        appliance: orders.url.clone(),
        pin: orders.pin.to_string(),
        role: plan.k3s.as_ref().map(|k3s| k3s.role),
    };
    let secrets = receive(install, keys)?;
    for (folder, mode) in FOLDERS {
        files::folder(&root.join(folder), mode)?;
    }
    for file in files::files(plan, &identity, &secrets)? {
        files::place(&root, &file)?;
    }
    mtab(&root).context("cannot make `etc/mtab`")?;

    let private = root.join("etc/ssh/ssh_host_ed25519_key");
    run(
        install.access,
        &commands::host_key(&plan.host_name, &private),
    )
    .context("there is no SSH host key")?;
    let public = private.with_extension("pub");
    let public = fs::read_to_string(&public)
        .with_context(|| format!("cannot read `{}`", public.display()))?;
    // Without its comment.
    let public: Vec<&str> = public.split_whitespace().take(2).collect();
    anyhow::ensure!(public.len() == 2, "the public SSH host key is not one");

    // Acknowledged only now: until here the agent may ask for the same ciphertext again.
    install.tell("/node/v1/secrets/received", &())?;
    Ok(public.join(" "))
}

fn receive(install: &mut InstallAttempt<'_>, keys: &ClaimKeys) -> anyhow::Result<InstallSecrets> {
    let answer: SealedAnswer = install
        .ask("/node/v1/secrets", &())
        .context("this machine's secrets are not handed out")?;
    keys.opened(&answer)
}

/// The card that this machine netbooted from, as far as it is known.
fn booted_from(install: &mut InstallAttempt<'_>, orders: &Orders) -> anyhow::Result<Mac> {
    if let Some(mac) = orders.booted_from {
        return Ok(mac);
    }
    let nics = inventory(install.access, install.roots).nics;
    let card = nics.iter().find(|nic| nic.link).or(nics.first());
    card.map(|nic| nic.mac)
        .context("this machine has no network card")
}

/// Some tools still ask this file what is mounted.
fn mtab(root: &std::path::Path) -> std::io::Result<()> {
    let link = root.join("etc/mtab");
    if fs::symlink_metadata(&link).is_ok() {
        fs::remove_file(&link)?;
    }
    symlink("/proc/mounts", link)
}
