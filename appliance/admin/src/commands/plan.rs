//! `plan`: what an installation does to a machine's disks.

use netboot::api::types::Preview;
use netboot::install::plan::{Device, DiskAction, Plan, PlannedDisk, SeenDisk};

use super::show::asked;
use crate::cli::PlanArgs;
use crate::client::AdminClient;
use crate::failure::Failure;
use crate::format::{bytes, fields, indented, or_dash, table};
use crate::output::CommandResult;

pub(crate) async fn plan(client: &AdminClient, args: &PlanArgs) -> Result<CommandResult, Failure> {
    let path = ["machines", args.who.as_ref(), "plan"];
    let profile = args.profile.as_ref();
    let query = profile.map(|profile| ("profile", profile.to_string()));
    let preview: Preview = client.ask(&path, query.as_slice()).await?;
    let mut text = described(&preview.plan);
    if !preview.asks.is_empty() {
        let asked = asked(preview.plan.host_name.as_str(), &preview.asks);
        text = format!("{text}\n{asked}");
    }
    Ok(CommandResult::new(&preview, text))
}

fn described(plan: &Plan) -> String {
    let mut rows: Vec<(&str, String)> = Vec::new();
    for (number, disk) in plan.disks.iter().enumerate() {
        let label = if number == 0 { "disk" } else { "" };
        rows.push((label, planned_disk(&disk.disk)));
    }
    rows.extend([
        ("layout", plan.layout.clone()),
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
    ]);
    rows.push(match &plan.k3s {
        Some(k3s) => {
            let server = k3s.server.as_ref();
            let at = server.map_or_else(String::new, |server| format!(" of {server}"));
            ("k3s", format!("{}{at}", k3s.role))
        }
        None => ("k3s", "no part in a cluster".to_owned()),
    });
    let mut text = format!("plan for {}\n{}\n", plan.host_name, fields(&rows));
    let mut part = |head: &str, body: &str| {
        text.push_str(&format!("{head}\n{}\n", indented(body.trim_end())));
    };
    part("sees", &seen(&plan.seen));
    match plan.destroys.as_slice() {
        [] => part("destroys", "nothing: the disk is blank"),
        all => part("destroys", &all.join("\n")),
    }
    if !plan.keeps.is_empty() {
        part("keeps", &plan.keeps.join("\n"));
    }
    if !plan.warnings.is_empty() {
        part("warnings", &plan.warnings.join("\n"));
    }
    match plan.script {
        Some(_) => part(
            "writes",
            "what disko's own script makes of `[disk.devices]`",
        ),
        None => part("writes", &partitions(plan)),
    }
    let commands = plan.commands.iter();
    let commands: Vec<String> = commands
        .map(|one| with_input(&one.command_line(plan)))
        .collect();
    part("runs", &commands.join("\n"));
    text.trim_end().to_owned()
}

/// A command, and below it what it reads: further in, so that nobody takes that for commands.
fn with_input(command_line: &str) -> String {
    let (command, input) = command_line.split_once('\n').unwrap_or((command_line, ""));
    let input = input.lines().filter(|line| !line.trim().is_empty());
    let input = input.map(|line| format!("\n    {}", line.trim()));
    std::iter::once(command.to_owned()).chain(input).collect()
}

fn planned_disk(disk: &PlannedDisk) -> String {
    let rows = [
        ("model", &disk.model),
        ("serial", &disk.serial),
        ("wwn", &disk.wwn),
    ];
    let rows: Vec<String> = rows
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name} `{value}`"))
        .collect();
    format!("{}, {}, {}", disk.node, bytes(disk.size), rows.join(", "))
        .trim_end_matches([',', ' '])
        .to_owned()
}

/// Every disk of the machine, and what becomes of it.
fn seen(seen: &[SeenDisk]) -> String {
    let rows: Vec<[String; 7]> = seen
        .iter()
        .map(|seen| {
            let disk = &seen.disk;
            let holds: Vec<&str> = disk.holds.iter().map(|held| held.kind.as_str()).collect();
            [
                disk.node.clone(),
                bytes(disk.size),
                or_dash(Some(disk.bus.as_str()).filter(|bus| !bus.is_empty())),
                or_dash(Some(&disk.serial).filter(|serial| !serial.is_empty())),
                or_dash(Some(holds.join(", ")).filter(|holds| !holds.is_empty())),
                match seen.action {
                    DiskAction::Written => "written",
                    DiskAction::Kept => "kept",
                    DiskAction::Left => "left alone",
                }
                .to_owned(),
                seen.why.clone(),
            ]
        })
        .collect();
    table(
        ["DISK", "SIZE", "BUS", "SERIAL", "HOLDS", "IS", "BECAUSE"],
        &rows,
    )
}

fn partitions(plan: &Plan) -> String {
    let rows = plan.disks.iter().flat_map(|disk| {
        disk.partitions.iter().map(move |partition| {
            let device = Device::Partition {
                disk: disk.name.clone(),
                number: partition.number,
            };
            let at = plan.mounts.iter().find(|mount| mount.device == device);
            let kept = if partition.kept { ", kept" } else { "" };
            [
                plan.path(&device),
                partition.label.clone(),
                partition.purpose.description().to_owned(),
                bytes(partition.start),
                bytes(partition.size),
                or_dash(
                    Some(format!("{}{kept}", partition.holds)).filter(|holds| !holds.is_empty()),
                ),
                or_dash(at.map(|mount| mount.at.clone())),
            ]
        })
    });
    let rows: Vec<[String; 7]> = rows.collect();
    let head = [
        "PARTITION",
        "LABEL",
        "PURPOSE",
        "START",
        "SIZE",
        "HOLDS",
        "MOUNTPOINT",
    ];
    table(head, &rows)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    #[test]
    fn of_a_script_it_is_told_what_is_run_and_not_what_comes_of_it() {
        let path = |name: &str| format!("/nix/store/0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq-{name}");
        let script = path("disko-format-mount");
        let plan = json!({
            "host_name": "node1", "firmware": "uefi", "layout": "[disk.devices] by disko",
            "disks": [{"name": "main", "partitions": [], "disk": {"node": "vda",
                "size": 8_589_934_592_u64, "sector": 512, "model": "", "serial": "root", "wwn": ""}}],
            "destroys": ["vda1: ext4 \"old\", 1.0 GiB"],
            "script": script,
            "commands": [
                {"step": "format", "program": format!("{script}/bin/disko-format-mount"), "args": []},
                {"step": "unmount", "program": "umount", "args": ["--recursive", {"below": "/"}]},
            ],
            "release": {"system": "worker", "number": 3, "toplevel": path("nixos-system-worker"),
                "closure_size": 1_073_741_824},
            "cache": {"url": "http://10.77.0.1:8080/cache", "public_key": "k:AA=="},
        });
        let plan: Plan = serde_json::from_value(plan).expect("a plan");
        expect![[r#"
            plan for node1
              disk    vda, 8.0 GiB, serial `root`
              layout  [disk.devices] by disko
              system  release 3 of `worker` (1.0 GiB)
                      /nix/store/0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq-nixos-system-worker
              from    http://10.77.0.1:8080/cache
                      signed by k:AA==
              k3s     no part in a cluster
            sees
              DISK  SIZE  BUS  SERIAL  HOLDS  IS  BECAUSE
            destroys
              vda1: ext4 "old", 1.0 GiB
            writes
              what disko's own script makes of `[disk.devices]`
            runs
              /nix/store/0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq-disko-format-mount/bin/disko-format-mount
              umount --recursive /mnt"#]]
        .assert_eq(&described(&plan));
    }
}
