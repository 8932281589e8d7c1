//! One publication of an installer: where its files come from, how they come into place, and what is written down.

use std::collections::BTreeSet;

use netboot::api::types::{InstallerPublished, InstallerRequest};
use netboot::base::refusal::{Refusal, RefusalCode};
use netboot::base::release::PublishedInstaller;
use netboot::base::store_path::StorePath;
use netboot::base::timestamp::Timestamp;
use netboot::loader::script::BootImage;
use netboot::publish::installer::{ImageFile, InstallerManifest, bootable};
use nix_publish::installer::{INITRD, InstallerFiles, KERNEL, inspect};
use nix_publish::publish_failed;

use super::Installers;
use super::folder::{Placement, fits, place};
use super::record::{CurrentInstaller, InstallerRecord, load, name, sweep, write};
use crate::config::InstallerImage;

impl Installers {
    /// Puts an installer in place and has machines boot it from now on; durable when this returns. It is taken out of
    /// the Nix store, or of what was sent. `begun` names those that boots under way need; `record` writes down for good
    /// that machines boot it, and it is the last that can fail: what is on record and what machines boot is the same.
    ///
    /// # Errors
    /// It is no installer, does not fit, the configuration has one for its architecture, or it cannot be written down.
    /// Machines boot what they booted before.
    pub fn publish(
        &self,
        request: InstallerRequest,
        begun: impl FnOnce() -> BTreeSet<String>,
        now: Timestamp,
        record: impl FnOnce(&PublishedInstaller) -> Result<(), Refusal>,
    ) -> Result<InstallerPublished, Refusal> {
        let _turn = self.turn.lock();
        let (built, placement) = match &request.parts {
            Some(parts) => (self.sent(parts, &request.path)?, Placement::Move),
            None => (inspect(&request.path)?, Placement::Copy),
        };
        if let Some(own) = self.configured.iter().find(|i| i.image.arch == built.arch) {
            return Err(shadowed(own));
        }
        let before = self.published.lock().get(&built.arch).cloned();
        if let Some(published) = &before
            && published.record.current.path == request.path
        {
            let installer = published.record.current.clone();
            record(&installer)?;
            return Ok(InstallerPublished {
                installer,
                changed: false,
            });
        }
        self.put_in_place(&request, &built, placement, before.as_ref())?;
        let installer = PublishedInstaller {
            arch: built.arch,
            path: request.path,
            published: now,
            source: request.source,
        };
        let after = InstallerRecord {
            current: installer.clone(),
            earlier: still_needed(before.as_ref(), &installer.path, &begun()),
        };
        self.write_down(after, before.as_ref(), record)?;
        self.incoming.sweep_old();
        Ok(InstallerPublished {
            installer,
            changed: true,
        })
    }

    /// Puts the files where machines fetch them, unless they are there from an earlier publication.
    fn put_in_place(
        &self,
        request: &InstallerRequest,
        built: &InstallerFiles,
        placement: Placement,
        before: Option<&CurrentInstaller>,
    ) -> Result<(), Refusal> {
        let to = self.dir.join(&built.arch).join(request.path.hash());
        let known = |p: &CurrentInstaller| p.earlier.iter().any(|i| i.kernel.parent() == Some(&to));
        if before.is_some_and(known) {
            return Ok(());
        }
        let _space = match placement {
            Placement::Copy => Some(fits(&self.dir, built, &self.room)?),
            Placement::Move => {
                self.are_there(request.parts.as_ref())?;
                None
            }
        };
        place(built, placement, &to).map_err(not_in_place)
    }

    /// Writes the record, then has it written down for good, and only then lets machines boot the new installer. What
    /// cannot be loaded is not written, and what cannot be written is not recorded.
    fn write_down(
        &self,
        after: InstallerRecord,
        before: Option<&CurrentInstaller>,
        record: impl FnOnce(&PublishedInstaller) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let arch = after.current.arch.clone();
        let published = load(&self.dir, &arch, after).map_err(not_in_place)?;
        let written = write(&self.dir, &arch, Some(&published.record)).map_err(not_in_place);
        if let Err(refusal) = written.and_then(|()| record(&published.record.current)) {
            self.take_back(&arch, before);
            return Err(refusal);
        }
        let mut current = self.published.lock();
        current.insert(arch.clone(), published.clone());
        drop(current);
        sweep(&self.dir.join(&arch), Some(&published));
        Ok(())
    }

    /// Restores the record from before.
    fn take_back(&self, arch: &str, before: Option<&CurrentInstaller>) {
        match write(&self.dir, arch, before.map(|before| &before.record)) {
            Ok(()) => sweep(&self.dir.join(arch), before),
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(arch, error, "an installer that nobody boots stays for now");
            }
        }
    }

    /// The files of an installer that a workstation has sent, by their sizes and hashes.
    fn sent(&self, parts: &InstallerManifest, path: &StorePath) -> Result<InstallerFiles, Refusal> {
        bootable(&parts.arch, &parts.cmdline).map_err(|why| {
            publish_failed(format!("`{path}` is not an installer"))
                .fact(format!("its {why}"))
                .fact("nothing was changed")
        })?;
        let file = |part: &ImageFile| self.incoming.file(part).unwrap_or_default();
        Ok(InstallerFiles {
            arch: parts.arch.clone(),
            cmdline: parts.cmdline.clone(),
            kernel: file(&parts.kernel),
            initrd: file(&parts.initrd),
        })
    }

    fn are_there(&self, parts: Option<&InstallerManifest>) -> Result<(), Refusal> {
        let named = parts
            .into_iter()
            .flat_map(|p| [(KERNEL, &p.kernel), (INITRD, &p.initrd)]);
        for (what, part) in named {
            if !self.has(part) {
                return Err(
                    publish_failed(format!("the installer's {what} is not here"))
                        .fact(format!("its SHA-256 is {}", part.sha256))
                        .fact("nothing was changed")
                        .tip("publish it again: what is missing is sent again"),
                );
            }
        }
        Ok(())
    }
}

/// The installer before, and of those before it the ones that boots under way have `begun` with.
fn still_needed(
    before: Option<&CurrentInstaller>,
    path: &StorePath,
    begun: &BTreeSet<String>,
) -> Vec<PublishedInstaller> {
    let Some(before) = before else {
        return Vec::new();
    };
    let InstallerRecord { current, earlier } = before.record.clone();
    let needed = |i: &PublishedInstaller| begun.contains(&name(&i.path)) && i.path != *path;
    let earlier = earlier.into_iter().filter(needed);
    std::iter::once(current).chain(earlier).collect()
}

fn not_in_place(error: anyhow::Error) -> Refusal {
    publish_failed(format!("the installer cannot be put in place: {error:#}"))
        .fact("machines boot the one from before")
}

fn shadowed(own: &InstallerImage) -> Refusal {
    let BootImage { name, arch, .. } = &own.image;
    Refusal::new(
        RefusalCode::WrongState,
        format!("appliance.toml has an installer for {arch} of its own"),
    )
    .fact(format!("[images.{name}]: `{}`", own.kernel.display()))
    .fact("nothing was changed")
    .tip(format!(
        "to boot the flake's, take [images.{name}] out, then systemctl restart pxe-appliance"
    ))
}
