//! `publish` of what the flake declares: evaluate, build what is new, then hand it over. Whatever fails before the last
//! step leaves the appliance as it was.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use netboot::api::types::{Closure, InstallerPublished, Published, Publishing};
use netboot::base::name::SystemName;
use netboot::base::problem::nearest;
use netboot::base::refusal::{Code, Refusal};
use netboot::publish::closure::{self, Changes};
use netboot::publish::nix_log::{BuildLog, News};

use super::freight::Freight;
use super::hand_over;
use super::told::{self, Document, Forecast, InstallerForecast, SystemForecast};
use crate::admin::cli::PublishArgs;
use crate::admin::client::Client;
use crate::admin::failure::Failure;
use crate::admin::output::{Answer, Output};
use crate::admin::words::bytes;
use crate::cache;
use crate::flake::{self, Evaluated, Flake, Offers};
use crate::installers;

/// How often a line that is written over is.
const EVERY: Duration = Duration::from_millis(100);

/// An output with what the appliance has of it.
struct Item {
    evaluated: Evaluated,
    state: State,
}

enum State {
    System(SystemName, Box<Closure>),
    /// And the installer of before.
    Installer(String, Option<netboot::base::release::PublishedInstaller>),
}

impl Item {
    /// The appliance has this very path, whole.
    fn is_there(&self) -> bool {
        let path = &self.evaluated.path;
        match &self.state {
            State::System(_, closure) => {
                let newest = closure.release.as_ref();
                closure.whole && newest.is_some_and(|release| release.toplevel == *path)
            }
            State::Installer(_, before) => before.as_ref().is_some_and(|b| b.path == *path),
        }
    }
}

pub(super) async fn publish(
    client: &Client,
    args: &PublishArgs,
    output: &mut Output,
) -> Result<Answer, Failure> {
    let mut publishing: Publishing = client.get(&["publishing"]).await?;
    if client.is_elsewhere() {
        // A folder of the appliance's own is no flake here.
        publishing.flake.take_if(|flake| flake.starts_with('/'));
    }
    let reference = args.flake.as_deref().or(publishing.flake.as_deref());
    let reference = reference.ok_or_else(no_flake)?;
    output.progress(&format!("looking at {reference}"));
    let flake = Flake::open(reference).await.map_err(here)?;
    let offers = flake.offers().await.map_err(here)?;
    let outputs = wanted(args, &publishing, &offers, &flake, output)?;
    output.progress(&format!("evaluating {}", listed(&outputs)));
    let evaluation = flake.evaluate(&outputs).await.map_err(here)?;
    let mut items = Vec::new();
    for evaluated in evaluation.outputs {
        let state = match &evaluated.output {
            flake::Output::System(name) => {
                let call = ["releases", name.as_str(), "closure"];
                State::System(name.clone(), Box::new(client.get(&call).await?))
            }
            flake::Output::Installer(arch) => {
                let known = publishing.installers.iter().find(|i| i.arch == *arch);
                State::Installer(arch.clone(), known.and_then(|i| i.published.clone()))
            }
        };
        items.push(Item { evaluated, state });
    }
    let new: Vec<&Evaluated> = items
        .iter()
        .filter(|item| !item.is_there())
        .map(|item| &item.evaluated)
        .collect();
    let built = build(&new, output).await?;
    for word in evaluation.words.iter().chain(&built.words) {
        // Said in our own words at the end.
        if !(word.starts_with("warning: Git tree '") && word.ends_with("is dirty")) {
            output.note(&format!("nix: {word}"));
        }
    }
    // All of them, before the first is handed over.
    let mut freight = Freight::new();
    let sends = client.is_elsewhere() && !args.dry_run;
    for Evaluated { path, output, .. } in new {
        match output {
            flake::Output::System(_) => {
                cache::look_at(path).map_err(here)?;
                if sends {
                    freight.system(path).await?;
                }
            }
            flake::Output::Installer(_) => {
                let built = installers::look_at(path).map_err(here)?;
                if sends {
                    freight.installer(path, built).await?;
                }
            }
        }
    }
    if sends {
        freight.ask(client).await?;
    }
    let answer = if args.dry_run {
        told::forecast(&forecast(items).await?)
    } else {
        told::published(&hand_over(client, items, &freight, &flake, output).await?)
    };
    output.progress_over();
    Ok(match flake.source().dirty {
        true => answer.note("the flake has changes that are not committed"),
        false => answer,
    })
}

/// What is to be built: the systems that were named, or all that profiles use, with the installers for them.
fn wanted(
    args: &PublishArgs,
    publishing: &Publishing,
    offers: &Offers,
    flake: &Flake,
    output: &mut Output,
) -> Result<Vec<flake::Output>, Failure> {
    let has = |name: &SystemName| offers.systems.iter().any(|system| system == name.as_str());
    if let Some(unknown) = args.systems.iter().find(|name| !has(name)) {
        return Err(here(no_system(unknown, offers, flake)));
    }
    if !args.systems.is_empty() {
        let mut named = args.systems.clone();
        named.sort();
        named.dedup();
        return Ok(named.into_iter().map(flake::Output::System).collect());
    }
    let (used, absent): (Vec<_>, Vec<_>) = publishing.systems.iter().cloned().partition(has);
    for system in &absent {
        output.note(&format!(
            "warning: profiles use the system `{system}`, which the flake does not have; `git add` what is new in hosts/"
        ));
    }
    let mut outputs: Vec<_> = used.into_iter().map(flake::Output::System).collect();
    for installer in &publishing.installers {
        let arch = &installer.arch;
        match (&installer.configured, offers.installers.contains(arch)) {
            (Some(name), true) => output.note(&format!(
                "note: [images.{name}] of appliance.toml is the installer for {arch}; that of the flake is left alone"
            )),
            (None, true) => outputs.push(flake::Output::Installer(arch.clone())),
            (_, false) => {
                if let Some(lack) = offers.lacks(installer) {
                    output.note(&format!("warning: {lack}"));
                }
            }
        }
    }
    if outputs.is_empty() {
        return Err(here(
            Refusal::new(Code::PublishFailed, "no profile uses a system of the flake")
                .fact(format!("flake: {}", flake.reference()))
                .fact(format!("its systems: {}", names(&offers.systems)))
                .fact("nothing was changed")
                .tip("pxe-admin publish SYSTEM, for one that no profile uses yet"),
        ));
    }
    Ok(outputs)
}

fn names(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    }
}

fn no_system(unknown: &SystemName, offers: &Offers, flake: &Flake) -> Refusal {
    let refusal = Refusal::new(
        Code::PublishFailed,
        format!("the flake has no system `{unknown}`"),
    )
    .fact(format!("flake: {}", flake.reference()))
    .fact(format!("its systems: {}", names(&offers.systems)))
    .fact("nothing was changed");
    match nearest(unknown.as_str(), offers.systems.iter().map(String::as_str)) {
        Some(near) => refusal.tip(format!("did you mean `{near}`?")),
        None => refusal.tip("a file that Git does not know does not exist for Nix: `git add` it"),
    }
}

fn no_flake() -> Failure {
    here(
        Refusal::new(Code::PublishFailed, "it is not known which flake to build")
            .fact("appliance.toml has no `flake`")
            .fact("nothing was changed")
            .tip("in the flake's folder: pxe-admin publish --flake .")
            .tip("or once and for all, in appliance.toml: flake = \"/path/or/url\"")
            .tip("for a system that is built already: pxe-admin publish SYSTEM --toplevel PATH"),
    )
}

/// A no that did not come from the appliance.
fn here(refusal: Refusal) -> Failure {
    Failure::Refused {
        refusal,
        call: "none".to_owned(),
    }
}

fn listed(outputs: &[flake::Output]) -> String {
    let outputs: Vec<String> = outputs.iter().map(ToString::to_string).collect();
    outputs.join(", ")
}

async fn build(new: &[&Evaluated], output: &mut Output) -> Result<flake::Built, Failure> {
    let mut shown = Instant::now();
    let mut listener = |log: &BuildLog, news: &News| {
        if output.shows_progress() {
            if shown.elapsed() >= EVERY {
                shown = Instant::now();
                output.progress(&sentence(log));
            }
        } else if let News::Builds(name) = news {
            output.note(&format!("building {name}"));
        }
    };
    let built = flake::build(new, None, &mut listener).await.map_err(here)?;
    output.progress_over();
    Ok(built)
}

/// `built 3 of 12: nixos-system-worker; fetched 7 of 40 paths, 120 MiB`
fn sentence(log: &BuildLog) -> String {
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
    client: &Client,
    items: Vec<Item>,
    freight: &Freight,
    flake: &Flake,
    output: &mut Output,
) -> Result<Document, Failure> {
    let mut document = Document::default();
    let ended = each(client, items, freight, flake, output, &mut document).await;
    if ended.is_err() {
        for line in told::changed(&document) {
            output.note(&format!("done before, and it stays: {line}"));
        }
    }
    ended.map(|()| document)
}

/// One after the other, each into the document once it is there.
async fn each(
    client: &Client,
    items: Vec<Item>,
    freight: &Freight,
    flake: &Flake,
    output: &mut Output,
    document: &mut Document,
) -> Result<(), Failure> {
    for item in items {
        let there = item.is_there();
        let (path, source) = (&item.evaluated.path, flake.source().clone());
        output.progress(&format!(
            "copying {} to the appliance",
            item.evaluated.output
        ));
        match item.state {
            State::System(_, closure) if there => {
                document
                    .systems
                    .extend(closure.release.map(|release| Published {
                        release,
                        changed: false,
                    }));
            }
            State::System(name, _) => {
                let published =
                    hand_over::system(client, &name, path, freight, source, output).await?;
                document.systems.push(published);
            }
            State::Installer(_, Some(installer)) if there => {
                document.installers.push(InstallerPublished {
                    installer,
                    changed: false,
                });
            }
            State::Installer(..) => {
                let published = hand_over::installer(client, path, freight, source, output).await?;
                document.installers.push(published);
            }
        }
    }
    Ok(())
}

/// What handing over would change.
async fn forecast(items: Vec<Item>) -> Result<Forecast, Failure> {
    let mut forecast = Forecast::default();
    for item in items {
        let there = item.is_there();
        let path = item.evaluated.path;
        match item.state {
            State::System(system, before) => {
                let after = match there {
                    true => before.paths.clone(),
                    false => cache::in_store(&path).await.map_err(here)?,
                };
                let has: BTreeSet<_> = before.paths.iter().map(|m| &m.path).collect();
                let to_copy = after.iter().filter(|member| !has.contains(&member.path));
                let newest = before.release.as_ref();
                forecast.systems.push(SystemForecast {
                    changed: newest.is_none_or(|release| release.toplevel != path),
                    closure_size: closure::size(&after),
                    to_copy: to_copy.map(|member| member.size).sum(),
                    changes: Changes::between(&before.paths, &after),
                    newest: newest.cloned(),
                    system,
                    toplevel: path,
                });
            }
            State::Installer(arch, before) => {
                let built = installers::look_at(&path).map_err(here)?;
                let size = |file: &Path| std::fs::metadata(file).map_or(0, |about| about.len());
                forecast.installers.push(InstallerForecast {
                    arch,
                    changed: !there,
                    size: size(&built.kernel) + size(&built.initrd),
                    before: before.map(|before| before.path),
                    path,
                });
            }
        }
    }
    Ok(forecast)
}
