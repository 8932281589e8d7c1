//! Whether a plan can be carried out as it stands. The appliance made it, but a mistake here costs a disk.

use netboot::hardware::Firmware;
use netboot::layout::Purpose;
use netboot::plan::{Partition, Plan};

const MIB: u64 = 1 << 20;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlanError {
    #[error("the plan is for {planned} firmware, this machine was started by {found}")]
    Firmware {
        planned: &'static str,
        found: &'static str,
    },
    #[error("partition {number} of the plan {why}")]
    Partition { number: u32, why: String },
    #[error("the plan has no partition for `/`")]
    NoRoot,
    #[error("the cache `{0}` of the plan is not an http address")]
    Cache(String),
    #[error("the key `{0}` of the plan's cache is not like name:base64")]
    Key(String),
}

pub(crate) fn check(plan: &Plan, firmware: Firmware) -> Result<(), PlanError> {
    if plan.firmware != firmware {
        return Err(PlanError::Firmware {
            planned: firmware_name(plan.firmware),
            found: firmware_name(firmware),
        });
    }
    let mut free_from = MIB;
    let mut mountpoints = Vec::new();
    for (number, partition) in (1..).zip(&plan.partitions) {
        let wrong = |why: String| PlanError::Partition {
            number: partition.number,
            why,
        };
        if partition.number != number {
            return Err(wrong(format!("stands at place {number}")));
        }
        sound(partition, free_from).map_err(wrong)?;
        free_from = partition.start + partition.size;
        if let Some(mountpoint) = &partition.mountpoint {
            if mountpoints.contains(&mountpoint) {
                return Err(wrong(format!(
                    "is mounted on `{mountpoint}` like another one"
                )));
            }
            mountpoints.push(mountpoint);
        }
    }
    if !mountpoints.iter().any(|m| *m == "/") {
        return Err(PlanError::NoRoot);
    }
    let url = &plan.cache.url;
    let http = url.starts_with("http://") || url.starts_with("https://");
    if !http || url.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(PlanError::Cache(url.clone()));
    }
    let key = &plan.cache.public_key;
    let plain = |c: char| c.is_ascii_graphic();
    match key.split_once(':') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() && key.chars().all(plain) => {
            Ok(())
        }
        _ => Err(PlanError::Key(key.clone())),
    }
}

fn sound(partition: &Partition, free_from: u64) -> Result<(), String> {
    let Partition {
        label,
        purpose,
        start,
        size,
        filesystem,
        mountpoint,
        ..
    } = partition;
    let label_ok = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    // A GPT name has 36 UTF-16 units (UEFI 2.10 §5.3.3).
    if label.is_empty() || label.len() > 36 || !label.chars().all(label_ok) {
        return Err(format!("has the label `{label}`, which is not plain"));
    }
    if *size == 0 || start % MIB != 0 || size % MIB != 0 || start.checked_add(*size).is_none() {
        return Err(format!(
            "has {size} bytes from {start}, which are no whole MiB"
        ));
    }
    if *start < free_from {
        return Err(format!("begins at {start}, before byte {free_from}"));
    }
    match (mountpoint, filesystem) {
        (Some(path), _) if !is_plain_path(path) => Err(format!(
            "has the mount point `{path}`, which is not a plain path"
        )),
        (Some(path), None) => Err(format!("is mounted on `{path}` but has no filesystem")),
        (_, Some(_)) if *purpose == Purpose::BiosBoot => {
            Err("is for the boot loader, which no filesystem may overwrite".to_owned())
        }
        _ => Ok(()),
    }
}

fn is_plain_path(path: &str) -> bool {
    let part_ok = |part: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        !part.is_empty() && part != "." && part != ".." && part.chars().all(plain)
    };
    match path.strip_prefix('/') {
        Some("") => true,
        Some(rest) => rest.split('/').all(part_ok),
        None => false,
    }
}

fn firmware_name(firmware: Firmware) -> &'static str {
    match firmware {
        Firmware::Uefi => "UEFI",
        Firmware::Bios => "BIOS",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::plan;

    #[test]
    fn a_plan_that_cannot_be_carried_out_is_told_from_one_that_can() {
        assert_eq!(check(&plan(Firmware::Uefi), Firmware::Uefi), Ok(()));
        assert_eq!(check(&plan(Firmware::Bios), Firmware::Bios), Ok(()));
        type Change = fn(&mut Plan);
        let rows: [(&str, Change, &str); 14] = [
            (
                "other firmware",
                |p| p.firmware = Firmware::Bios,
                "the plan is for BIOS",
            ),
            (
                "a label that is a script",
                |p| p.partitions[0].label = "a\"\n2 :".into(),
                "not plain",
            ),
            (
                "a start inside a sector",
                |p| p.partitions[0].start += 1,
                "no whole MiB",
            ),
            (
                "over the GPT",
                |p| p.partitions[0].start = 0,
                "before byte 1048576",
            ),
            (
                "overlapping",
                |p| p.partitions[1].start -= MIB,
                "partition 2 of the plan begins",
            ),
            (
                "without end",
                |p| p.partitions[1].size = u64::MAX - MIB + 1,
                "no whole MiB",
            ),
            (
                "numbers in disorder",
                |p| p.partitions[0].number = 2,
                "stands at place 1",
            ),
            (
                "out of the target",
                |p| p.partitions[0].mountpoint = Some("/../etc".into()),
                "not a plain path",
            ),
            (
                "a relative mount point",
                |p| p.partitions[0].mountpoint = Some("boot".into()),
                "not a plain path",
            ),
            (
                "mounted without filesystem",
                |p| p.partitions[0].filesystem = None,
                "has no filesystem",
            ),
            (
                "two roots",
                |p| p.partitions[0].mountpoint = Some("/".into()),
                "like another one",
            ),
            (
                "no root",
                |p| p.partitions[1].mountpoint = None,
                "no partition for `/`",
            ),
            (
                "a cache on disk",
                |p| p.cache.url = "file:///tmp".into(),
                "not an http address",
            ),
            (
                "no key",
                |p| p.cache.public_key = String::new(),
                "not like name:base64",
            ),
        ];
        for (name, change, want) in rows {
            let mut plan = plan(Firmware::Uefi);
            change(&mut plan);
            let error = check(&plan, Firmware::Uefi).expect_err(name).to_string();
            assert!(error.contains(want), "{name}: {error}");
        }
    }
}
