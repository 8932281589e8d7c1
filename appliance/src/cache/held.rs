//! A system that came over the network: it is in the cache, and not in this machine's Nix store. It is inspected and
//! measured like one of this machine's own.

use std::collections::BTreeSet;
use std::path::Path;

use netboot::base::refusal::{Refusal, RefusalCode};
use netboot::base::store_path::StorePath;
use netboot::publish::nar;
use netboot::publish::narinfo::NarInfo;
use nix_publish::publish_failed;
use nix_publish::system::{self, NixosSystem, PARTS, SCRIPT_LINK, not_a_system};

use super::binary_cache::{Cache, MeasuredPath};
use super::unpack;

/// Bytes of the largest toplevel that is looked into: it is a folder of links and a few scripts.
const TOPLEVEL: u64 = 256 << 20;

/// The most paths that a refusal names.
const NAMED: usize = 5;

impl Cache {
    /// What a system that came over the network says of itself; `None` if the cache does not have it. `public` is
    /// `name:base64`.
    ///
    /// # Errors
    /// Its closure is not all there, or it is not a NixOS toplevel.
    pub async fn held(
        &self,
        toplevel: &StorePath,
        public: &str,
    ) -> Result<Option<MeasuredPath>, Refusal> {
        let here = Path::new(toplevel.as_str()).exists();
        if here || self.file(&format!("{}.narinfo", toplevel.hash())).is_none() {
            return Ok(None);
        }
        let (cache, toplevel, public) = (self.clone(), toplevel.clone(), public.to_owned());
        let measured = tokio::task::spawn_blocking(move || measure(&cache, &toplevel, &public));
        let measured = measured.await.map_err(|error| {
            Refusal::new(
                RefusalCode::Internal,
                format!("a system was not looked at: {error}"),
            )
        })?;
        measured.map(Some)
    }

    fn narinfo(&self, path: &StorePath, public: &str) -> Option<NarInfo> {
        if self.fault(path, public).is_some() {
            return None;
        }
        let file = self.file(&format!("{}.narinfo", path.hash()))?;
        std::fs::read_to_string(file).ok()?.parse().ok()
    }
}

fn measure(cache: &Cache, toplevel: &StorePath, public: &str) -> Result<MeasuredPath, Refusal> {
    let mut closure_size = 0_u64;
    let mut absent: Vec<StorePath> = Vec::new();
    let mut seen = BTreeSet::from([toplevel.clone()]);
    let mut next = vec![toplevel.clone()];
    let mut system = None;
    while let Some(path) = next.pop() {
        let Some(info) = cache.narinfo(&path, public) else {
            absent.push(path);
            continue;
        };
        closure_size = closure_size.saturating_add(info.nar_size);
        let news = info
            .references
            .iter()
            .filter(|path| seen.insert((*path).clone()));
        next.extend(news.cloned());
        system = system.or(Some(info));
    }
    let Some(system) = system.filter(|_| absent.is_empty()) else {
        let refusal = publish_failed(format!(
            "the cache has `{toplevel}`, and not {} of the paths that it needs",
            absent.len()
        ));
        let refusal = absent
            .iter()
            .take(NAMED)
            .fold(refusal, |refusal, path| refusal.fact(path.to_string()));
        return Err(refusal
            .fact("nothing was changed")
            .tip("publish it from the machine that built it: what is missing is copied again"));
    };
    Ok(MeasuredPath {
        closure_size,
        system: inspect(cache, &system)?,
    })
}

/// What a system says of itself, if it is one.
fn inspect(cache: &Cache, info: &NarInfo) -> Result<NixosSystem, Refusal> {
    let limit = info.nar_size.min(TOPLEVEL);
    let octets = cache
        .file(&info.file.to_string())
        .ok_or_else(|| publish_failed("its NAR is not in the cache"))
        .and_then(|file| {
            let read = unpack::whole(&file, info.file.packed, limit);
            read.map_err(|error| {
                publish_failed(format!("`{}` cannot be looked into: {error}", info.path))
            })
        })?;
    let root = nar::read(&octets)
        .map_err(|error| publish_failed(format!("what is packed as `{}` {error}", info.path)))?;
    let absent: Vec<&str> = PARTS
        .into_iter()
        .filter(|part| root.at(part).is_none())
        .collect();
    if !absent.is_empty() {
        return Err(not_a_system(&info.path, &absent));
    }
    let version = root.at("nixos-version").and_then(nar::NarNode::content);
    let version = version.ok_or_else(|| not_a_system(&info.path, &["nixos-version"]))?;
    let script = match root.at(SCRIPT_LINK) {
        Some(nar::NarNode::Link { target }) => {
            let target = String::from_utf8_lossy(target);
            Some(system::script(&info.path, &target)?)
        }
        _ => None,
    };
    Ok(NixosSystem {
        label: system::label(&String::from_utf8_lossy(version)),
        script,
    })
}
