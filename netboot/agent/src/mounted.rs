//! What is mounted below the new system's root, and whether all of it lies on disks that the plan names: looked up
//! below each mount, through arrays, volumes and pools; what the script says of it is not used.

use std::fs;
use std::path::{Path, PathBuf};

use netboot::base::refusal::{Refusal, RefusalCode};
use netboot::disk::hardware::{Hardware, SignatureKind};

use crate::access::Roots;
use crate::busy::unescaped;
use crate::inventory::names;
use crate::real::text;
use crate::target::{Target, Targets};

/// A line of mountinfo (proc(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MountEntry {
    pub at: PathBuf,
    /// `254:1`
    number: String,
    kind: String,
    source: String,
}

/// Filesystems that lie in RAM.
const ON_NOTHING: [&str; 2] = ["tmpfs", "ramfs"];

/// At the target's root and below it, in the order in which it was mounted.
pub(crate) fn below(roots: &Roots) -> Vec<MountEntry> {
    let mountinfo = text(roots.proc.join("self/mountinfo")).unwrap_or_default();
    let read = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(2);
        let (number, at) = (left.next()?, left.nth(1)?);
        let mut right = right.split(' ');
        Some(MountEntry {
            at: PathBuf::from(unescaped(at)),
            number: number.to_owned(),
            kind: right.next()?.to_owned(),
            source: unescaped(right.next()?),
        })
    };
    let all = mountinfo.lines().filter_map(read);
    all.filter(|mounted| mounted.at.starts_with(&roots.target))
        .collect()
}

/// # Errors
/// There is no mount on `/`, or a mount lies, or may lie, on a disk that the plan does not name.
pub(crate) fn on_planned_disks(
    roots: &Roots,
    targets: &Targets,
    hardware: &Hardware,
) -> Result<(), Refusal> {
    let all = below(roots);
    for mounted in &all {
        if let Some(other) = elsewhere(mounted, roots, targets, hardware) {
            let at = inside(roots, &mounted.at);
            let message = format!("what disko's script mounted on `{at}` lies {other}");
            return Err(Refusal::new(RefusalCode::PlanRefused, message)
                .fact(format!(
                    "mounted there: {} ({})",
                    mounted.source, mounted.kind
                ))
                .fact("nothing is installed there"));
        }
    }
    let root = all.iter().find(|mounted| mounted.at == roots.target);
    if root.is_none_or(|root| ON_NOTHING.contains(&root.kind.as_str())) {
        let message = "disko's script mounted nothing of a disk on `/`";
        return Err(Refusal::new(RefusalCode::PlanRefused, message)
            .tip("give a filesystem of the table mountpoint = \"/\""));
    }
    Ok(())
}

/// The path as seen from the new system.
fn inside(roots: &Roots, at: &Path) -> String {
    let path = at.strip_prefix(&roots.target).unwrap_or(at);
    format!("/{}", path.display())
}

/// The device outside of the plan's disks that a mount lies on, in words; `None` if it lies on the plan's disks alone.
fn elsewhere(
    mounted: &MountEntry,
    roots: &Roots,
    targets: &Targets,
    hardware: &Hardware,
) -> Option<String> {
    if ON_NOTHING.contains(&mounted.kind.as_str()) {
        return None;
    }
    if mounted.kind == "zfs" {
        return pool_elsewhere(mounted, targets, hardware);
    }
    let nodes = nodes(mounted, roots);
    if nodes.is_empty() {
        return Some("on nothing that is known here".to_owned());
    }
    let other = nodes.iter().find_map(|node| targets.elsewhere(roots, node));
    other.map(|other| format!("on `{other}` as well, which the plan does not name"))
}

/// The kernel's names of what it is mounted from.
fn nodes(mounted: &MountEntry, roots: &Roots) -> Vec<String> {
    let class = roots.sys.join("class/block");
    let numbered =
        |name: &String| text(class.join(name).join("dev")).as_ref() == Some(&mounted.number);
    let mut nodes: Vec<String> = names(&class).into_iter().filter(numbered).collect();
    if nodes.is_empty() && mounted.source.starts_with('/') {
        // Filesystems on several devices have a number of their own; bcachefs names all of them.
        let named = mounted.source.split(':').filter_map(|path| {
            let real = fs::canonicalize(path).ok()?;
            let name = real.file_name()?.to_string_lossy().into_owned();
            class.join(&name).exists().then_some(name)
        });
        nodes.extend(named);
        if nodes.len() != mounted.source.split(':').count() {
            return Vec::new();
        }
    }
    // btrfs names one of its devices in mountinfo, and here all of them.
    let btrfs = roots.sys.join("fs/btrfs");
    for filesystem in names(&btrfs) {
        let members = names(&btrfs.join(filesystem).join("devices"));
        if members.iter().any(|member| nodes.contains(member)) {
            nodes.extend(members);
        }
    }
    nodes
}

/// A pool does not show in sysfs, so its disks are found by their signatures.
fn pool_elsewhere(mounted: &MountEntry, targets: &Targets, hardware: &Hardware) -> Option<String> {
    let pool = mounted.source.split('/').next().unwrap_or_default();
    let has = |disk: &&netboot::disk::hardware::Disk| {
        let mut holds = disk.holds.iter();
        holds.any(|held| held.kind == SignatureKind::ZfsMember && held.label == pool)
    };
    let own = |node: &str| targets.iter().map(Target::name).any(|name| name == node);
    let mut members = hardware.disks.iter().filter(has).peekable();
    if members.peek().is_none() {
        return Some(format!("in the pool `{pool}`, which no disk shows"));
    }
    let other = members.find(|disk| !own(&disk.node))?;
    Some(format!(
        "on `{}` as well, which the plan does not name",
        other.node
    ))
}
