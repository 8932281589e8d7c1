//! `releases`: what was published, and what of it leaves the cache.

use netboot::api::types::{PruneAnswer, PruneRequest, Releases};
use netboot::base::release::FlakeSource;
use netboot::base::release::PublishedInstaller;
use netboot::publish::retention::{KeepReason, ReleaseRetention};

use crate::cli::ReleasesArgs;
use crate::client::{AdminClient, PUBLISH_WITHIN};
use crate::failure::Failure;
use crate::format::{bytes, or_dash, revision, table};
use crate::output::CommandResult;

pub(crate) async fn releases(
    client: &AdminClient,
    args: &ReleasesArgs,
) -> Result<CommandResult, Failure> {
    if args.prune {
        prune(client, args).await
    } else {
        list(client).await
    }
}

async fn list(client: &AdminClient) -> Result<CommandResult, Failure> {
    let answer: Releases = client.get(&["releases"]).await?;
    if answer.releases.is_empty() && answer.installers.is_empty() {
        return Ok(CommandResult::new(&answer, String::new())
            .note("nothing was published yet")
            .note("next: `pxe-admin publish`"));
    }
    let rows: Vec<[String; 8]> = answer
        .releases
        .iter()
        .map(|release| {
            [
                release.system.to_string(),
                release.number.to_string(),
                or_dash(Some(&release.label)),
                bytes(release.closure_size),
                release.published.to_string(),
                release.pruned.map_or("yes", |_| "pruned").to_owned(),
                revision(release.revision.as_deref(), release.dirty),
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
        "IN CACHE",
        "REVISION",
        "TOPLEVEL",
    ];
    let mut parts = Vec::new();
    if !rows.is_empty() {
        parts.push(table(head, &rows));
    }
    if !answer.installers.is_empty() {
        parts.push(installers(&answer.installers));
    }
    Ok(CommandResult::new(&answer, parts.join("\n\n")))
}

/// The last of each architecture is the one that machines boot.
fn installers(installers: &[PublishedInstaller]) -> String {
    let row = |(place, installer): (usize, &PublishedInstaller)| {
        let later = &installers[place + 1..];
        let replaced = later.iter().any(|other| other.arch == installer.arch);
        let FlakeSource {
            revision: commit,
            dirty,
        } = &installer.source;
        [
            installer.arch.clone(),
            installer.published.to_string(),
            if replaced { "replaced" } else { "yes" }.to_owned(),
            revision(commit.as_deref(), *dirty),
            installer.path.to_string(),
        ]
    };
    let rows: Vec<[String; 5]> = installers.iter().enumerate().map(row).collect();
    let head = ["INSTALLER", "PUBLISHED", "NEWEST", "REVISION", "PATH"];
    table(head, &rows)
}

async fn prune(client: &AdminClient, args: &ReleasesArgs) -> Result<CommandResult, Failure> {
    let request = PruneRequest {
        keep: args.keep,
        dry_run: args.dry_run,
    };
    let path = ["releases", "prune"];
    // It waits for a publication that is under way.
    let answer: PruneAnswer = client
        .post(&path, &request, Some(PUBLISH_WITHIN), "pruned the cache")
        .await?;
    let PruneAnswer {
        paths,
        bytes: freed,
        ..
    } = answer;
    let freed = format!(
        "{} in {paths} store path{}",
        bytes(freed),
        if paths == 1 { "" } else { "s" }
    );
    let (goes, freed) = match (args.dry_run, paths) {
        (true, _) => (
            "would be deleted",
            format!("{freed} would be freed; nothing was changed"),
        ),
        (false, _) => ("deleted", format!("{freed} freed")),
    };
    let rows: Vec<[String; 5]> = answer
        .releases
        .iter()
        .map(|judged| row(judged, goes))
        .collect();
    let head = ["SYSTEM", "RELEASE", "LABEL", "CACHE", "WHY"];
    let text = if rows.is_empty() {
        freed
    } else {
        format!("{}\n\n{freed}", table(head, &rows))
    };
    let mut printed = CommandResult::new(&answer, text);
    if answer.spared > 0 {
        printed = printed.note(format!(
            "{} store path(s) of no release stay for now: they came within the last hour, perhaps for a release",
            answer.spared
        ));
    }
    Ok(answer.warnings.iter().fold(printed, |printed, warning| {
        printed.note(format!("warning: {warning}"))
    }))
}

fn row(judged: &ReleaseRetention, goes: &str) -> [String; 5] {
    let ReleaseRetention { release, why } = judged;
    let why: Vec<String> = why.iter().map(KeepReason::to_string).collect();
    [
        release.system.to_string(),
        release.number.to_string(),
        or_dash(Some(&release.label)),
        if why.is_empty() { goes } else { "kept" }.to_owned(),
        or_dash(Some(why.join(", "))),
    ]
}
