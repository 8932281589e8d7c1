//! What a machine boots, decided for every protocol that hands out a script: the ticket, the attempt, the reason.

use std::sync::Arc;

use netboot::api::agent;
use netboot::base::mac::Mac;
use netboot::base::refusal::{Refusal, RefusalCode};
use netboot::doctor::boot_trace::{BootEvent, IpxeScript as Given};
use netboot::loader::local_boot::{BootLoader, LocalBootMethod};
use netboot::loader::script::{BootTarget, Installer, InstallerMode};
use netboot::machine::State;
use netboot::machine::decide::{Decision, Policy};
use netboot::machine::installer_choice::{self, NoImage};

use super::decisions::Decisions;
use super::identify::Identification;
use super::local_boot::LocalBoot;
use super::log::BootLog;
use super::requester::Requester;
use crate::base::clock;
use crate::config::InstallerImage;
use crate::config::settings::Settings;
use crate::installers::Installers;
use crate::store::Store;

/// Decides scripts, for every protocol that hands one out.
pub struct Scripts {
    pub(super) decisions: Arc<Decisions>,
    pub(super) identification: Arc<Identification>,
    pub(super) installers: Arc<Installers>,
    pub(super) local_boot: Arc<LocalBoot>,
    pub(super) log: Arc<BootLog>,
    pub(super) policy: Policy,
    pub(super) settings: Settings,
    pub(super) store: Store,
}

impl Scripts {
    /// Settles what a machine boots that asks for its script in the language of `loader`, which is `None` for a machine that
    /// finds its disk by itself. Hands out the ticket and counts the attempt, both durable when this returns. A script that is
    /// asked for again within the same boot says the same.
    ///
    /// # Errors
    /// The store refused.
    pub async fn entry(
        &self,
        requester: &Requester,
        loader: Option<BootLoader>,
    ) -> Result<BootTarget, Refusal> {
        match self.decisions.decision(requester.mac) {
            Decision::Install => self.install(requester, loader).await,
            Decision::Discover => self.discover(requester, loader).await,
            other => Ok(self.leave(requester, loader, &other).await),
        }
    }

    /// The installer that this machine has begun with. The newest if the machine has not begun with any, or if that one is
    /// gone.
    ///
    /// # Errors
    /// There is none for it, in words for its screen.
    pub fn begun(&self, mac: Mac) -> Result<InstallerImage, NoImage> {
        let newest = self.image(mac)?;
        let name = self.installers.begun_by(mac);
        let begun = name.and_then(|name| self.installers.named(&name, &newest.image.arch));
        Ok(begun.unwrap_or(newest))
    }

    /// The installer for a script. A machine with a `loader` learns from the script where its files are, so it gets the newest.
    /// A Raspberry Pi has no loader, and began with an installer before it asks for its command line.
    fn image_for_script(
        &self,
        mac: Mac,
        loader: Option<BootLoader>,
    ) -> Result<InstallerImage, NoImage> {
        match loader {
            Some(_) => self.image(mac),
            None => self.begun(mac),
        }
    }

    /// The installer that this machine may boot.
    ///
    /// # Errors
    /// There is none for it, in words for its screen.
    pub fn image(&self, mac: Mac) -> Result<InstallerImage, NoImage> {
        let (state, profiles) = (self.store.state(), self.settings.profiles());
        let machine = state.by_mac(mac);
        let arch = match machine.is_none_or(|m| m.state == State::Seen) {
            true => installer_choice::for_stranger(machine)?,
            false => installer_choice::wanted(machine, &profiles)?,
        };
        let image = self.installers.for_arch(arch.as_str());
        image.ok_or_else(|| NoImage::NotConfigured(arch.to_string()))
    }

    /// The installer with its ticket. The image is looked for first: without one no attempt is counted.
    async fn install(
        &self,
        requester: &Requester,
        loader: Option<BootLoader>,
    ) -> Result<BootTarget, Refusal> {
        let mac = requester.mac;
        let image = match self.image_for_script(mac, loader) {
            Ok(image) => image.image,
            Err(why) => {
                tracing::warn!(%mac, reason = %why, "cannot install");
                return Ok(self.to_disk(requester, loader, why.to_string()).await);
            }
        };
        let (policy, fresh) = (self.policy.clone(), clock::ticket());
        let identity = self.identification.identity(requester);
        let serve = move |state: &_, now| agent::serve(state, mac, &policy, now, identity, fresh);
        let decided = self.store.decide(serve).await?;
        match decided.answer {
            (Decision::Install, Some(ticket)) => {
                let machine = decided.state.by_mac(mac);
                let title = machine.map_or_else(|| mac.to_string(), |m| m.title());
                tracing::info!(%mac, %title, "boot script with a ticket");
                self.installers.begin(mac, &image.name);
                let given = Given::Installer;
                self.log.mark_of(requester, BootEvent::Script { given });
                Ok(BootTarget::Installer(Installer {
                    title,
                    image,
                    mode: InstallerMode::Install(ticket),
                }))
            }
            (Decision::Install, None) => {
                let refusal = Refusal::new(
                    RefusalCode::Internal,
                    "an install was decided without a ticket",
                );
                Err(refusal)
            }
            // Its last attempt ran out, or its order expired, between the two questions.
            (other, _) => Ok(self.leave(requester, loader, &other).await),
        }
    }

    /// The installer that only tells what is in the machine. A stranger that is not on record, because there are too many,
    /// is not asked.
    async fn discover(
        &self,
        requester: &Requester,
        loader: Option<BootLoader>,
    ) -> Result<BootTarget, Refusal> {
        let mac = requester.mac;
        let image = match self.image_for_script(mac, loader) {
            Ok(image) => image.image,
            Err(why) => {
                tracing::warn!(%mac, reason = %why, "cannot find out what it is");
                return Ok(self.to_disk(requester, loader, why.to_string()).await);
            }
        };
        if self.store.state().by_mac(mac).is_none() {
            return Ok(self
                .to_disk(requester, loader, "not on record".to_owned())
                .await);
        }
        let (policy, fresh) = (self.policy.clone(), clock::ticket());
        let identity = self.identification.identity(requester);
        let serve = move |state: &_, now| agent::serve(state, mac, &policy, now, identity, fresh);
        match self.store.decide(serve).await?.answer.0 {
            Decision::Discover => {
                tracing::info!(%mac, "boot script that has it tell its hardware");
                self.installers.begin(mac, &image.name);
                let given = Given::Discover;
                self.log.mark_of(requester, BootEvent::Script { given });
                Ok(BootTarget::Installer(Installer {
                    title: mac.to_string(),
                    image,
                    mode: InstallerMode::Discover,
                }))
            }
            // It told, or was enrolled, between the two questions.
            other => Ok(self.leave(requester, loader, &other).await),
        }
    }

    /// The entry for a machine that is not to be installed. Its loader is talking already, so it gets a script even
    /// where the decision is silence.
    async fn leave(
        &self,
        requester: &Requester,
        loader: Option<BootLoader>,
        decision: &Decision,
    ) -> BootTarget {
        let mac = requester.mac;
        match decision {
            Decision::Wait => {
                tracing::info!(%mac, "screen for strangers");
                let given = Given::Wait;
                self.log.mark_of(requester, BootEvent::Script { given });
                BootTarget::Wait
            }
            Decision::Disk(reason) | Decision::Silence(reason) => {
                tracing::info!(%mac, %reason, "boots its own disk");
                self.to_disk(requester, loader, reason.to_string()).await
            }
            Decision::Install | Decision::Discover | Decision::Enroll(_) => {
                tracing::warn!(%mac, "what it gets changed while it asked");
                self.to_disk(requester, loader, "not enrolled".to_owned())
                    .await
            }
        }
    }

    async fn to_disk(
        &self,
        requester: &Requester,
        loader: Option<BootLoader>,
        reason: String,
    ) -> BootTarget {
        let way = match loader {
            Some(loader) => Some(self.local_boot.chainload_method(requester, loader).await),
            None => None,
        };
        let given = Given::Disk {
            reason: reason.clone(),
            way,
        };
        self.log.mark_of(requester, BootEvent::Script { given });
        BootTarget::Disk {
            why: reason,
            way: way.unwrap_or(LocalBootMethod::NextEntry),
        }
    }
}
