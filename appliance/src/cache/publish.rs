//! One publication: look at the system, measure it, make sure that it fits, let Nix copy and sign it.

use std::fs::File;
use std::path::Path;

use netboot::closure::Member;
use netboot::refusal::Refusal;
use netboot::store_path::StorePath;

use super::command::{refused, run};
use super::{Cache, Measured};
use crate::durable;

/// What makes a store path a NixOS toplevel: without these, an install ends in a machine that does not
/// boot, and Nix would not mind.
pub(super) const PARTS: [&str; 4] = [
    "init",
    "kernel",
    "nixos-version",
    "bin/switch-to-configuration",
];

/// Left free for the journal and the index, which share the filesystem.
const RESERVE: u64 = 64 << 20;

pub(super) async fn publish(cache: &Cache, toplevel: &StorePath) -> Result<Measured, Refusal> {
    let label = look_at(toplevel)?;
    let members = closure(toplevel).await?;
    fits(cache, missing(cache, &members))?;
    let to = format!(
        "file://{}?secret-key={}&compression=zstd&parallel-compression=true",
        cache.dir.display(),
        cache.secret_key_file.display()
    );
    let arguments = [
        "--extra-experimental-features",
        "nix-command",
        "copy",
        "--to",
        &to,
        toplevel.as_str(),
    ];
    run("nix", arguments, "copying into the cache").await?;
    verify(cache, toplevel)?;
    Ok(Measured {
        closure_size: netboot::closure::size(&members),
        label,
    })
}

/// The system's label, if it is a system.
pub(super) fn look_at(toplevel: &StorePath) -> Result<String, Refusal> {
    let path = Path::new(toplevel.as_str());
    if !path.exists() {
        return Err(
            refused(&format!("`{toplevel}` is not in this machine's Nix store"))
                .fact("nothing was changed")
                .tip("build it here, or copy it here with `nix copy --to ssh://…`"),
        );
    }
    let absent: Vec<&str> = PARTS
        .into_iter()
        .filter(|part| !path.join(part).exists())
        .collect();
    if !absent.is_empty() {
        return Err(not_a_system(toplevel, &absent));
    }
    let text = std::fs::read_to_string(path.join("nixos-version"))
        .map_err(|error| refused(&format!("its `nixos-version` cannot be read: {error}")))?;
    Ok(label(&text))
}

/// The text of `nixos-version`, fit to be printed.
pub(super) fn label(text: &str) -> String {
    let printable = text.trim().chars().filter(|c| !c.is_control());
    printable.take(128).collect()
}

pub(super) fn not_a_system(toplevel: &StorePath, absent: &[&str]) -> Refusal {
    refused(&format!("`{toplevel}` is not a NixOS system"))
        .fact(format!("it has no {}", absent.join(", ")))
        .fact("nothing was changed")
        .tip("give the path of `config.system.build.toplevel`")
}

pub(super) async fn closure(toplevel: &StorePath) -> Result<Vec<Member>, Refusal> {
    let arguments = ["--query", "--requisites", toplevel.as_str()];
    let text = run("nix-store", arguments, "asking for the closure").await?;
    let mut paths: Vec<StorePath> = text
        .lines()
        .map(|line| {
            line.parse()
                .map_err(|error| refused(&format!("`nix-store` named `{line}`, which {error}")))
        })
        .collect::<Result<_, _>>()?;
    paths.sort();
    let arguments = ["--query", "--size"]
        .into_iter()
        .chain(paths.iter().map(StorePath::as_str));
    let text = run("nix-store", arguments, "measuring the closure").await?;
    let sizes: Vec<u64> = text
        .lines()
        .filter_map(|line| line.trim().parse().ok())
        .collect();
    if sizes.len() != paths.len() {
        return Err(refused("`nix-store` did not give one size for each path"));
    }
    let members = paths.into_iter().zip(sizes);
    Ok(members.map(|(path, size)| Member { path, size }).collect())
}

/// Bytes of all NARs that the cache does not have.
fn missing(cache: &Cache, closure: &[Member]) -> u64 {
    let missing = closure.iter().filter(|member| {
        let narinfo = format!("{}.narinfo", member.path.hash());
        cache.file(&narinfo).is_none()
    });
    missing.map(|member| member.size).sum()
}

/// zstd leaves about a third of a NixOS system; half of it free is a fair demand.
fn fits(cache: &Cache, missing: u64) -> Result<(), Refusal> {
    let free = durable::free_space(&cache.dir)
        .map_err(|error| refused(&format!("the cache's filesystem cannot be asked: {error}")))?;
    let needed = missing / 2 + RESERVE;
    if free >= needed {
        return Ok(());
    }
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    Err(refused("the cache's filesystem has too little space")
        .fact(format!(
            "{} MiB are to be copied; about {} MiB must be free, {} MiB are",
            mib(missing),
            mib(needed),
            mib(free)
        ))
        .fact("nothing was changed")
        .tip("free some space in the appliance's `state-dir`, or move it to a larger disk"))
}

/// Nix said that it is done: the toplevel must be there under our signature, and survive a power cut.
fn verify(cache: &Cache, toplevel: &StorePath) -> Result<(), Refusal> {
    let narinfo = format!("{}.narinfo", toplevel.hash());
    let text = cache
        .file(&narinfo)
        .and_then(|file| std::fs::read_to_string(file).ok())
        .ok_or_else(|| refused("Nix copied the system, but the cache does not have it"))?;
    let signer = std::fs::read_to_string(&cache.secret_key_file)
        .ok()
        .and_then(|key| Some(key.split_once(':')?.0.to_owned()))
        .ok_or_else(|| refused("the cache's secret key cannot be read"))?;
    let signature = format!("Sig: {signer}:");
    if !text.lines().any(|line| line.starts_with(&signature)) {
        return Err(
            refused("the cache has the system without this appliance's signature")
                .fact(format!("it should be signed by `{signer}`"))
                .tip(format!(
                    "remove `{narinfo}` from the cache and publish again"
                )),
        );
    }
    // Nix syncs nothing that it writes into a cache.
    let synced = File::open(&cache.dir).and_then(|dir| Ok(nix::unistd::syncfs(&dir)?));
    synced.map_err(|error| refused(&format!("the cache cannot be synced to disk: {error}")))
}
