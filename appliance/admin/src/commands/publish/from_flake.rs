//! `publish` of what the flake declares: evaluate, build what is new, then hand it over. A failure before the
//! last step leaves the appliance as it was.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use netboot::api::types::{Closure, InstallerPublished, PublishTargets, Published};
use netboot::base::name::SystemName;
use netboot::base::problem::nearest;
use netboot::base::refusal::Refusal;
use netboot::base::release::PublishedInstaller;
use netboot::publish::closure::{self, ClosureChanges};
use netboot::publish::nix_log::{BuildLog, BuildUpdate};
use nix_publish::closure::closure as closure_here;
use nix_publish::flake::{self, BuildResult, Evaluated, Flake, FlakeOutputs};
use nix_publish::run::Host;
use nix_publish::selection::{Omission, Selection};
use nix_publish::{installer, publish_failed, system};

use super::hand_over;
use super::manifest::UploadManifest;
use super::summary::{self, Forecast, InstallerForecast, Summary, SystemForecast};
use crate::cli::PublishArgs;
use crate::client::AdminClient;
use crate::failure::Failure;
use crate::format::bytes;
use crate::output::{CommandResult, Output};

/// How often a progress line is written over.
const EVERY: Duration = Duration::from_millis(100);

/// An output that may be handed over, and what the appliance has of it.
struct Candidate {
    evaluated: Evaluated,
    on_appliance: OnAppliance,
}

enum OnAppliance {
    System(SystemName, Box<Closure>),
    /// An architecture, and the installer that was published for it before.
    Installer(String, Option<PublishedInstaller>),
}

impl Candidate {
    /// Whether the appliance has this very path, whole.
    fn is_there(&self) -> bool {
        let path = &self.evaluated.path;
        match &self.on_appliance {
            OnAppliance::System(_, closure) => {
                let newest = closure.release.as_ref();
                closure.whole && newest.is_some_and(|release| release.toplevel == *path)
            }
            OnAppliance::Installer(_, before) => before.as_ref().is_some_and(|b| b.path == *path),
        }
    }
}

pub(crate) async fn publish(
    client: &AdminClient,
    args: &PublishArgs,
    output: &mut Output,
) -> Result<CommandResult, Failure> {
    let mut publishing: PublishTargets = client.get(&["publishing"]).await?;
    if client.is_elsewhere() {
        // A path in the appliance's configuration names a folder of the appliance's machine.
        publishing.flake.take_if(|flake| flake.starts_with('/'));
    }
    let reference = args.flake.as_deref().or(publishing.flake.as_deref());
    let reference = reference.ok_or_else(no_flake)?;
    output.progress(&format!("looking at {reference}"));
    let flake = Flake::open(reference).await.map_err(Failure::here)?;
    let offers = flake.offers().await.map_err(Failure::here)?;
    let outputs = select(args, &publishing, &offers, &flake, output)?;
    output.progress(&format!("evaluating {}", listed(&outputs)));
    let evaluation = flake.evaluate(&outputs).await.map_err(Failure::here)?;
    let candidates = candidates(client, &publishing, evaluation.outputs).await?;
    let new: Vec<&Evaluated> = candidates
        .iter()
        .filter(|candidate| !candidate.is_there())
        .map(|candidate| &candidate.evaluated)
        .collect();
    let built = build(&new, output).await?;
    note_warnings(evaluation.warnings.iter().chain(&built.warnings), output);
    let answer = if args.dry_run {
        inspect(&new)?;
        summary::forecast(&forecast(candidates).await?)
    } else {
        let manifest = manifest(client, &new).await?;
        summary::published(&hand_over(client, candidates, &manifest, &flake, output).await?)
    };
    output.progress_over();
    Ok(match flake.source().dirty {
        true => answer.note("the flake has changes that are not committed"),
        false => answer,
    })
}

/// What is to be published: the systems that were named, or all that profiles use, with the installers for them.
fn select(
    args: &PublishArgs,
    publishing: &PublishTargets,
    offers: &FlakeOutputs,
    flake: &Flake,
    output: &mut Output,
) -> Result<Vec<flake::FlakeOutput>, Failure> {
    if let Some(unknown) = args.systems.iter().find(|name| !offers.has(name)) {
        return Err(Failure::here(no_system(unknown, offers, flake)));
    }
    if !args.systems.is_empty() {
        let mut named = args.systems.clone();
        named.sort();
        named.dedup();
        return Ok(named.into_iter().map(flake::FlakeOutput::System).collect());
    }
    let Selection { outputs, omissions } = Selection::new(
        offers,
        publishing.systems.iter().cloned(),
        &publishing.installers,
    );
    for omission in omissions {
        output.note(&match omission {
            Omission::NoSystem { .. } => {
                format!("warning: {omission}; `git add` what is new in hosts/")
            }
            Omission::NoInstaller { .. } => format!("warning: {omission}"),
            Omission::Configured { .. } => format!("note: {omission}"),
        });
    }
    if outputs.is_empty() {
        return Err(Failure::here(
            publish_failed("no profile uses a system of the flake")
                .fact(format!("flake: {}", flake.reference()))
                .fact(format!("its systems: {}", names(&offers.systems)))
                .fact("nothing was changed")
                .tip("pxe-admin publish SYSTEM, for one that no profile uses yet"),
        ));
    }
    Ok(outputs)
}

/// Asks what the appliance has of each output.
async fn candidates(
    client: &AdminClient,
    publishing: &PublishTargets,
    outputs: Vec<Evaluated>,
) -> Result<Vec<Candidate>, Failure> {
    let mut candidates = Vec::new();
    for evaluated in outputs {
        let on_appliance = match &evaluated.output {
            flake::FlakeOutput::System(name) => {
                let call = ["releases", name.as_str(), "closure"];
                OnAppliance::System(name.clone(), Box::new(client.get(&call).await?))
            }
            flake::FlakeOutput::Installer(arch) => {
                let known = publishing.installers.iter().find(|i| i.arch == *arch);
                OnAppliance::Installer(arch.clone(), known.and_then(|i| i.published.clone()))
            }
        };
        candidates.push(Candidate {
            evaluated,
            on_appliance,
        });
    }
    Ok(candidates)
}

fn note_warnings<'a>(warnings: impl Iterator<Item = &'a String>, output: &mut Output) {
    for warning in warnings {
        // `publish` reports a flake with changes at its end.
        if !(warning.starts_with("warning: Git tree '") && warning.ends_with("is dirty")) {
            output.note(&format!("nix: {warning}"));
        }
    }
}

/// Refuses what was built and is neither a system nor an installer: all of them, before the first is handed over.
fn inspect(new: &[&Evaluated]) -> Result<(), Failure> {
    for Evaluated { path, output, .. } in new {
        match output {
            flake::FlakeOutput::System(_) => system::inspect(path).map(drop),
            flake::FlakeOutput::Installer(_) => installer::inspect(path).map(drop),
        }
        .map_err(Failure::here)?;
    }
    Ok(())
}

/// Measures what is sent, and asks the appliance whether all of it fits. The manifest is empty where the appliance takes
/// what was built from the Nix store of the same machine.
async fn manifest(client: &AdminClient, new: &[&Evaluated]) -> Result<UploadManifest, Failure> {
    inspect(new)?;
    let mut manifest = UploadManifest::new()?;
    if !client.is_elsewhere() {
        return Ok(manifest);
    }
    for Evaluated { path, output, .. } in new {
        match output {
            flake::FlakeOutput::System(_) => manifest.system(path).await?,
            flake::FlakeOutput::Installer(_) => {
                let files = installer::inspect(path).map_err(Failure::here)?;
                manifest.installer(path, files).await?;
            }
        }
    }
    manifest.ask(client).await?;
    Ok(manifest)
}

fn names(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    }
}

fn no_system(unknown: &SystemName, offers: &FlakeOutputs, flake: &Flake) -> Refusal {
    let refusal = publish_failed(format!("the flake has no system `{unknown}`"))
        .fact(format!("flake: {}", flake.reference()))
        .fact(format!("its systems: {}", names(&offers.systems)))
        .fact("nothing was changed");
    match nearest(unknown.as_str(), offers.systems.iter().map(String::as_str)) {
        Some(near) => refusal.tip(format!("did you mean `{near}`?")),
        None => refusal.tip("a file that Git does not know does not exist for Nix: `git add` it"),
    }
}

fn no_flake() -> Failure {
    Failure::here(
        publish_failed("it is not known which flake to build")
            .fact("appliance.toml has no `flake`")
            .fact("nothing was changed")
            .tip("in the flake's folder: pxe-admin publish --flake .")
            .tip("or once and for all, in appliance.toml: flake = \"/path/or/url\"")
            .tip("for a system that is built already: pxe-admin publish SYSTEM --toplevel PATH"),
    )
}

fn listed(outputs: &[flake::FlakeOutput]) -> String {
    let outputs: Vec<String> = outputs.iter().map(ToString::to_string).collect();
    outputs.join(", ")
}

async fn build(new: &[&Evaluated], output: &mut Output) -> Result<BuildResult, Failure> {
    let mut shown = Instant::now();
    let mut listener = |log: &BuildLog, news: &BuildUpdate| {
        if output.shows_progress() {
            if shown.elapsed() >= EVERY {
                shown = Instant::now();
                output.progress(&progress_text(log));
            }
        } else if let BuildUpdate::Builds(name) = news {
            output.note(&format!("building {name}"));
        }
    };
    let built = flake::build(new, None, &mut listener)
        .await
        .map_err(Failure::here)?;
    output.progress_over();
    Ok(built)
}

/// `built 3 of 12: nixos-system-worker; fetched 7 of 40 paths, 120 MiB`
fn progress_text(log: &BuildLog) -> String {
    let mut parts = Vec::new();
    let (builds, copies) = (log.builds(), log.copies());
    if builds.expected > 0 {
        let name = log
            .building()
            .map_or_else(String::new, |name| format!(": {name}"));
        parts.push(format!(
            "built {} of {}{name}",
            builds.done, builds.expected
        ));
    }
    if copies.expected > 0 {
        let fetched = bytes(log.fetched());
        let (done, expected) = (copies.done, copies.expected);
        parts.push(format!("fetched {done} of {expected} paths, {fetched}"));
    }
    parts.join("; ")
}

async fn hand_over(
    client: &AdminClient,
    candidates: Vec<Candidate>,
    manifest: &UploadManifest,
    flake: &Flake,
    output: &mut Output,
) -> Result<Summary, Failure> {
    let mut summary = Summary::default();
    let ended = each(client, candidates, manifest, flake, output, &mut summary).await;
    if ended.is_err() {
        for line in summary::changed(&summary) {
            output.note(&format!("done before, and it stays: {line}"));
        }
    }
    ended.map(|()| summary)
}

/// Hands the outputs over one after the other; each goes into the summary once the appliance has it.
async fn each(
    client: &AdminClient,
    candidates: Vec<Candidate>,
    manifest: &UploadManifest,
    flake: &Flake,
    output: &mut Output,
    summary: &mut Summary,
) -> Result<(), Failure> {
    for candidate in candidates {
        let there = candidate.is_there();
        let (path, source) = (&candidate.evaluated.path, flake.source().clone());
        output.progress(&format!(
            "copying {} to the appliance",
            candidate.evaluated.output
        ));
        match candidate.on_appliance {
            OnAppliance::System(_, closure) if there => {
                summary
                    .systems
                    .extend(closure.release.map(|release| Published {
                        release,
                        changed: false,
                    }));
            }
            OnAppliance::System(name, _) => {
                let published =
                    hand_over::system(client, &name, path, manifest, source, output).await?;
                summary.systems.push(published);
            }
            OnAppliance::Installer(_, Some(installer)) if there => {
                summary.installers.push(InstallerPublished {
                    installer,
                    changed: false,
                });
            }
            OnAppliance::Installer(..) => {
                let published =
                    hand_over::installer(client, path, manifest, source, output).await?;
                summary.installers.push(published);
            }
        }
    }
    Ok(())
}

/// What handing over would change.
async fn forecast(candidates: Vec<Candidate>) -> Result<Forecast, Failure> {
    let mut forecast = Forecast::default();
    for candidate in candidates {
        let there = candidate.is_there();
        let path = candidate.evaluated.path;
        match candidate.on_appliance {
            OnAppliance::System(system, before) => {
                let mut after = match there {
                    true => before.paths.clone(),
                    false => closure_here(&path, Host::Here)
                        .await
                        .map_err(Failure::here)?,
                };
                after.sort_by(|one, other| one.path.cmp(&other.path));
                let has: BTreeSet<_> = before.paths.iter().map(|m| &m.path).collect();
                let to_copy = after.iter().filter(|member| !has.contains(&member.path));
                let newest = before.release.as_ref();
                forecast.systems.push(SystemForecast {
                    changed: newest.is_none_or(|release| release.toplevel != path),
                    closure_size: closure::size(&after),
                    to_copy: to_copy.map(|member| member.size).sum(),
                    changes: ClosureChanges::between(&before.paths, &after),
                    newest: newest.cloned(),
                    system,
                    toplevel: path,
                });
            }
            OnAppliance::Installer(arch, before) => {
                let files = installer::inspect(&path).map_err(Failure::here)?;
                let size = |file: &Path| std::fs::metadata(file).map_or(0, |about| about.len());
                forecast.installers.push(InstallerForecast {
                    arch,
                    changed: !there,
                    size: size(&files.kernel) + size(&files.initrd),
                    before: before.map(|before| before.path),
                    path,
                });
            }
        }
    }
    Ok(forecast)
}
