//! One publication: look at the system, measure it, make sure that it fits, let Nix copy and sign it.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use netboot::base::refusal::Refusal;
use netboot::base::store_path::StorePath;
use netboot::publish::closure::Member;
use netboot::publish::nix_log::CacheLog;

use super::command::{refused, run, run_telling};
use super::folder::Folder;
use super::incoming::{self, Incoming};
use super::{Cache, Carries, Measured, Turn, script};
use crate::room::NoRoom;

/// What makes a store path a NixOS toplevel: without these, an install ends in a machine that does not
/// boot, and Nix would not mind.
pub(super) const PARTS: [&str; 4] = [
    "init",
    "kernel",
    "nixos-version",
    "bin/switch-to-configuration",
];

pub(super) async fn publish(turn: &Turn, toplevel: &StorePath) -> Result<Measured, Refusal> {
    let carries = look_at(toplevel)?;
    let members = closure(toplevel).await?;
    let measured = Measured {
        closure_size: netboot::publish::closure::size(&members),
        carries,
    };
    let paths = members.iter().map(|member| member.path.clone()).collect();
    let public = public_key(&turn.cache)?;
    let looking = move |cache: &Cache| opened(cache, paths, &public);
    let Some(Opened {
        incoming,
        missing,
        public,
    }) = turn.aside(looking).await??
    else {
        return Ok(measured);
    };
    let absent = members.iter().filter(|member| !incoming.has(&member.path));
    let to_copy = absent.clone().map(|member| member.size).sum();
    let place = turn
        .cache
        .room
        .begin(&turn.cache.dir, None, packed(to_copy));
    let place = place.map_err(|no| no_room(&no))?;
    let (log, progress) = (
        CacheLog::of(absent),
        turn.cache.copying.begin(toplevel, to_copy),
    );
    let to = format!(
        "file://{}?secret-key={}&compression=zstd&parallel-compression=true",
        incoming.dir().display(),
        turn.cache.secret_key_file.display()
    );
    let arguments = [
        "--extra-experimental-features",
        "nix-command",
        "copy",
        "--to",
        &to,
        toplevel.as_str(),
    ];
    let told = |done| {
        progress.reached(done);
        place.reached(packed(done));
    };
    run_telling("nix", arguments, "copying into the cache", log, told).await?;
    drop(progress);
    let moved = turn
        .aside(move |cache| incoming.promote(&cache.dir, &missing, &public))
        .await?;
    moved.map_err(|error| {
        refused(&format!(
            "what Nix copied cannot be taken into the cache: {error:#}"
        ))
    })?;
    place.arrived();
    Ok(measured)
}

struct Opened {
    incoming: Incoming,
    /// What is not in the cache, or not whole there; each path after what it needs.
    missing: Vec<StorePath>,
    public: String,
}

/// Nothing if the whole closure is in the cache.
fn opened(cache: &Cache, closure: Vec<StorePath>, public: &str) -> Result<Option<Opened>, Refusal> {
    let folder = Folder(&cache.dir);
    let mut missing = Vec::new();
    let mut present = Vec::new();
    for path in closure {
        match folder.fault(&path, public) {
            None => present.push(path),
            Some(fault) => {
                tracing::debug!(%path, fault, "to be copied");
                missing.push(path);
            }
        }
    }
    let cannot = |error| refused(&format!("the cache's folder cannot be used: {error}"));
    if missing.is_empty() {
        for folder in incoming::folders(&cache.dir).map_err(cannot)? {
            incoming::delete(&folder).map_err(cannot)?;
        }
        return Ok(None);
    }
    let incoming = Incoming::open(&cache.dir, &present, &missing, public).map_err(cannot)?;
    Ok(Some(Opened {
        incoming,
        missing,
        public: public.to_owned(),
    }))
}

/// `name:base64` of the public half. Nix keeps both halves in the file of the secret one, the public one last.
fn public_key(cache: &Cache) -> Result<String, Refusal> {
    let file = cache.secret_key_file.display();
    let cannot = |why: &str| {
        refused(&format!("the cache's secret key cannot be used: {why}"))
            .fact(format!("it should be in `{file}`"))
            .fact("nothing was changed")
    };
    let text = std::fs::read_to_string(&cache.secret_key_file);
    let text = text.map_err(|error| cannot(&error.to_string()))?;
    let read = || {
        let (name, key) = text.trim().split_once(':')?;
        let octets = STANDARD.decode(key).ok()?;
        let public = octets.get(32..64)?;
        Some(format!("{name}:{}", STANDARD.encode(public)))
    };
    read().ok_or_else(|| cannot("it is not of the form `name:base64`"))
}

/// What the system says of itself, if it is a system.
pub(super) fn look_at(toplevel: &StorePath) -> Result<Carries, Refusal> {
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
    let link = std::fs::read_link(path.join(script::LINK)).ok();
    let script = link.map(|link| script::linked(toplevel, &link.to_string_lossy()));
    Ok(Carries {
        label: label(&text),
        script: script.transpose()?,
    })
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

/// Each path after those that it needs.
pub(super) async fn closure(toplevel: &StorePath) -> Result<Vec<Member>, Refusal> {
    let arguments = ["--query", "--requisites", toplevel.as_str()];
    let text = run("nix-store", arguments, "asking for the closure").await?;
    let paths: Vec<StorePath> = text
        .lines()
        .map(|line| {
            line.parse()
                .map_err(|error| refused(&format!("`nix-store` named `{line}`, which {error}")))
        })
        .collect::<Result<_, _>>()?;
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

/// zstd leaves about a third of a NixOS system; half of it free is a fair demand.
pub(super) fn packed(size: u64) -> u64 {
    size / 2
}

pub(super) fn no_room(no: &NoRoom) -> Refusal {
    no.refusal("the cache's").fact("nothing was changed")
}
