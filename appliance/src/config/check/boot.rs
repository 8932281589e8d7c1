//! `[boot]`: what machines get that nobody enrolled, how often a boot is tried, and where the loaders lie.

use std::path::{Path, PathBuf};
use std::time::Duration;

use netboot::base::toml_reader::{Placed, Reader, Section};
use netboot::machine::decide::UnknownPolicy;

use super::paths::{PathKind, exists, or, path};
use crate::config::values;
use crate::files::loaders;

/// `[boot]`, with its defaults.
pub(super) struct BootSettings {
    pub(super) unknown: Placed<UnknownPolicy>,
    pub(super) attempts: u32,
    pub(super) armed_for: Duration,
    pub(super) ipxe_dir: PathBuf,
    pub(super) grub_dir: PathBuf,
    pub(super) raspberry_pi_dir: Option<PathBuf>,
}

pub(super) fn read(reader: &mut Reader<'_>, top: &mut Section<'_>, folder: &Path) -> BootSettings {
    let mut section = top.section(reader, "boot");
    let unknown = section.parsed(reader, "unknown", values::unknown);
    let attempts = section.number(reader, "attempts", &(1..=100));
    let armed_for = section.parsed(reader, "armed-for", values::duration);
    let ipxe_dir = path(reader, &mut section, "ipxe-dir", folder);
    let grub_dir = path(reader, &mut section, "grub-dir", folder);
    loaders_in(reader, ipxe_dir.as_ref(), loaders::no_ipxe, "ipxe");
    loaders_in(
        reader,
        grub_dir.as_ref(),
        loaders::no_grub,
        "shim-signed grub-efi-amd64-signed",
    );
    let raspberry_pi_dir = path(reader, &mut section, "raspberry-pi-dir", folder);
    let raspberry_pi_dir = raspberry_pi_dir
        .filter(|dir| exists(reader, dir, PathKind::Folder))
        .map(|dir| dir.value);
    section.finish(reader);
    BootSettings {
        unknown: unknown.unwrap_or(Placed {
            value: UnknownPolicy::Ignore,
            at: 0..0,
        }),
        attempts: attempts.map_or(3, |n| n.value),
        armed_for: armed_for.map_or(24 * values::HOUR, |d| d.value),
        ipxe_dir: or(ipxe_dir, "/usr/lib/ipxe"),
        grub_dir: or(grub_dir, "/usr/lib/grub"),
        raspberry_pi_dir,
    }
}

/// A folder that was named for its loaders must have one. `packages` are Debian's.
fn loaders_in(
    reader: &mut Reader<'_>,
    dir: Option<&Placed<PathBuf>>,
    lack: fn(&Path) -> Option<String>,
    packages: &str,
) {
    if let Some(dir) = dir
        && exists(reader, dir, PathKind::Folder)
        && let Some(wanted) = lack(&dir.value)
    {
        let message = format!(
            "`{}` has no boot loader; looked for {wanted}",
            dir.value.display()
        );
        let tip = format!("on Debian: apt install {packages}");
        reader.problem_with_tip(&dir.at, message, tip);
    }
}
