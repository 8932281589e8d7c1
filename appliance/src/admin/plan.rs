//! `plan`: what an installation does to a machine's disks.

use netboot::layout::{Filesystem, Purpose};
use netboot::plan::{Partition, Plan};
use netboot::wire::Preview;

use super::cli::PlanArgs;
use super::client::Client;
use super::failure::Failure;
use super::output::Answer;
use super::show::asked;
use super::words::{bytes, fields, indented, or_dash, table};

pub(super) async fn plan(client: &Client, args: &PlanArgs) -> Result<Answer, Failure> {
    let path = ["machines", args.who.as_ref(), "plan"];
    let profile = args.profile.as_ref();
    let query = profile.map(|profile| ("profile", profile.to_string()));
    let preview: Preview = client.ask(&path, query.as_slice()).await?;
    let mut text = described(&preview.plan);
    if !preview.asks.is_empty() {
        let asked = asked(preview.plan.host_name.as_str(), &preview.asks);
        text = format!("{text}\n{asked}");
    }
    Ok(Answer::new(&preview, text))
}

fn described(plan: &Plan) -> String {
    let disk = &plan.disk;
    let told = [
        ("model", &disk.model),
        ("serial", &disk.serial),
        ("wwn", &disk.wwn),
    ];
    let told: Vec<String> = told
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name} `{value}`"))
        .collect();
    let mut rows = vec![
        (
            "disk",
            format!("{}, {}, {}", disk.node, bytes(disk.size), told.join(", "))
                .trim_end_matches([',', ' '])
                .to_owned(),
        ),
        (
            "system",
            format!(
                "release {} of `{}` ({})",
                plan.release.number,
                plan.release.system,
                bytes(plan.release.closure_size)
            ),
        ),
        ("", plan.release.toplevel.to_string()),
        ("from", plan.cache.url.clone()),
        ("", format!("signed by {}", plan.cache.public_key)),
    ];
    rows.push(match &plan.k3s {
        Some(k3s) => {
            let server = k3s.server.as_ref();
            let at = server.map_or_else(String::new, |server| format!(" of {server}"));
            ("k3s", format!("{}{at}", k3s.role))
        }
        None => ("k3s", "no part in a cluster".to_owned()),
    });
    let destroys = if plan.destroys.is_empty() {
        "  nothing: the disk is blank".to_owned()
    } else {
        indented(&plan.destroys.join("\n"))
    };
    format!(
        "plan for {}\n{}\ndestroys\n{destroys}\nwrites\n{}",
        plan.host_name,
        fields(&rows),
        indented(&partitions(&plan.partitions))
    )
}

fn partitions(partitions: &[Partition]) -> String {
    let rows: Vec<[String; 7]> = partitions
        .iter()
        .map(|partition| {
            [
                partition.number.to_string(),
                partition.label.clone(),
                match partition.purpose {
                    Purpose::Esp => "EFI system",
                    Purpose::BiosBoot => "BIOS boot",
                    Purpose::Linux => "Linux",
                }
                .to_owned(),
                bytes(partition.start),
                bytes(partition.size),
                or_dash(partition.filesystem.map(|filesystem| match filesystem {
                    Filesystem::Vfat => "vfat",
                    Filesystem::Ext4 => "ext4",
                })),
                or_dash(partition.mountpoint.as_ref()),
            ]
        })
        .collect();
    let head = [
        "NUMBER",
        "LABEL",
        "PURPOSE",
        "START",
        "SIZE",
        "FILESYSTEM",
        "MOUNTPOINT",
    ];
    table(head, &rows)
}
