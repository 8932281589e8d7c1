//! One publication: look at the system, measure it, make sure that it fits, let Nix copy and sign it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use netboot::base::refusal::Refusal;
use netboot::base::store_path::StorePath;
use netboot::publish::nix_log::CacheLog;
use nix_publish::closure::closure;
use nix_publish::publish_failed;
use nix_publish::run::{self, Host, program};
use nix_publish::system;

use super::binary_cache::{Cache, CacheWriteLock, MeasuredPath};
use super::folder::CacheFolder;
use super::incoming::{self, Incoming};
use crate::files::budget::NoSpace;

impl CacheWriteLock {
    /// Signs a system's closure into the cache, and mends what is torn of it. Refused if it is not a NixOS toplevel.
    /// Dropping the future ends Nix; what it has copied by then is taken over by the next publication.
    pub async fn publish(&self, toplevel: &StorePath) -> Result<MeasuredPath, Refusal> {
        publish(self, toplevel).await
    }
}

async fn publish(turn: &CacheWriteLock, toplevel: &StorePath) -> Result<MeasuredPath, Refusal> {
    let system = system::inspect(toplevel)?;
    let members = closure(toplevel, Host::Appliance).await?;
    let measured = MeasuredPath {
        closure_size: netboot::publish::closure::size(&members),
        system,
    };
    let paths = members.iter().map(|member| member.path.clone()).collect();
    let public = public_key(&turn.cache)?;
    let looking = move |cache: &Cache| opened(cache, paths, &public);
    let Some(OpenPublication {
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
        .begin(&turn.cache.dir, None, estimated_compressed_size(to_copy));
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
    let mut command = program("nix");
    command.args(["copy", "--to", &to, toplevel.as_str()]);
    let reached = |done| {
        progress.reached(done);
        place.reached(estimated_compressed_size(done));
    };
    let copied = run::run(command, &mut run::CopyLogReader::new(log, reached)).await;
    copied.map_err(|error| {
        error.refusal(
            &format!("copying into the cache failed: {error}"),
            Host::Appliance,
        )
    })?;
    drop(progress);
    let moved = turn
        .aside(move |cache| incoming.promote(&cache.dir, &missing, &public))
        .await?;
    moved.map_err(|error| {
        publish_failed(format!(
            "what Nix copied cannot be taken into the cache: {error:#}"
        ))
    })?;
    place.arrived();
    Ok(measured)
}

struct OpenPublication {
    incoming: Incoming,
    /// The paths that are not in the cache, or not whole there; each after those that it needs.
    missing: Vec<StorePath>,
    public: String,
}

/// `None` if the whole closure is in the cache.
fn opened(
    cache: &Cache,
    closure: Vec<StorePath>,
    public: &str,
) -> Result<Option<OpenPublication>, Refusal> {
    let folder = CacheFolder(&cache.dir);
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
    let cannot = |error| publish_failed(format!("the cache's folder cannot be used: {error}"));
    if missing.is_empty() {
        for folder in incoming::folders(&cache.dir).map_err(cannot)? {
            incoming::delete(&folder).map_err(cannot)?;
        }
        return Ok(None);
    }
    let incoming = Incoming::open(&cache.dir, &present, &missing, public).map_err(cannot)?;
    Ok(Some(OpenPublication {
        incoming,
        missing,
        public: public.to_owned(),
    }))
}

/// `name:base64` of the public half. Nix keeps both halves in the file of the secret one, the public one last.
fn public_key(cache: &Cache) -> Result<String, Refusal> {
    let file = cache.secret_key_file.display();
    let cannot = |why: &str| {
        publish_failed(format!("the cache's secret key cannot be used: {why}"))
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

/// An estimate of the compressed size, from above: half of the NARs. zstd usually leaves less of a NixOS system.
pub(super) fn estimated_compressed_size(size: u64) -> u64 {
    size / 2
}

pub(super) fn no_room(no: &NoSpace) -> Refusal {
    no.refusal("the cache's").fact("nothing was changed")
}
