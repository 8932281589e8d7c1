//! Makes releases of built systems, and puts installers in place for machines to boot.

use std::sync::Arc;

use netboot::api::admin::{self, BuiltSystem};
use netboot::api::types::{InstallerPublished, InstallerRequest, PublishRequest, Published};
use netboot::base::refusal::{Refusal, RefusalCode};
use netboot::base::release::PublishedInstaller;
use netboot::machine::state::ApplianceState;
use netboot::publish::installer;
use tokio::runtime::Handle;

use crate::base::clock;
use crate::boot::decisions::Decisions;
use crate::cache::Cache;
use crate::installers::Installers;
use crate::store::Store;

/// Publishes into the cache, the installers and the records.
pub struct Publisher {
    store: Store,
    cache: Cache,
    /// What the cache's signatures are checked with.
    cache_public: String,
    installers: Arc<Installers>,
    /// Which machines are not done with the installer that they began with.
    decisions: Arc<Decisions>,
}

impl Publisher {
    pub fn new(
        store: Store,
        cache: Cache,
        cache_public: String,
        installers: Arc<Installers>,
        decisions: Arc<Decisions>,
    ) -> Self {
        Self {
            store,
            cache,
            cache_public,
            installers,
            decisions,
        }
    }

    /// Signs a built system into the cache and makes a release of it, if it is not the newest one already.
    ///
    /// # Errors
    /// It is not in this machine's Nix store, does not fit, or the store takes no writes.
    pub async fn system(&self, request: PublishRequest) -> Result<Published, Refusal> {
        let PublishRequest {
            system,
            toplevel,
            source,
        } = request;
        // The cache lock is held until the release is on record, or a prune would delete its paths.
        let turn = self.cache.turn().await;
        let held = self.cache.held(&toplevel, &self.cache_public);
        let measured = match held.await? {
            Some(measured) => measured,
            None => turn.publish(&toplevel).await?,
        };
        let built = BuiltSystem {
            system,
            toplevel,
            closure_size: measured.closure_size,
            label: measured.system.label,
            script: measured.system.script,
            source,
        };
        let release = move |state: &ApplianceState, now| admin::release(state, built, now);
        let decided = self.store.decide(release).await?;
        drop(turn);
        Ok(Published {
            release: decided.answer,
            changed: decided.changed,
        })
    }

    /// Puts an installer in place, and on record; machines boot it from now on.
    ///
    /// # Errors
    /// As [`Installers::publish`].
    pub async fn installer(
        self: &Arc<Self>,
        request: InstallerRequest,
    ) -> Result<InstallerPublished, Refusal> {
        let (publisher, runtime) = (self.clone(), Handle::current());
        let publish = move || {
            let Self {
                installers,
                decisions,
                ..
            } = &*publisher;
            let begun = || installers.begun(|mac| decisions.boots_installer(mac));
            let record = |installer: &PublishedInstaller| {
                runtime.block_on(publisher.record(installer.clone()))
            };
            installers.publish(request, begun, clock::now(), record)
        };
        let published = tokio::task::spawn_blocking(publish).await;
        published.map_err(|error| {
            let message = format!("publishing an installer ended early: {error}");
            Refusal::new(RefusalCode::Internal, message)
        })?
    }

    /// Has machines boot the installers that are on record, and records what they boot where no installer is on record.
    ///
    /// # Errors
    /// The store takes no writes.
    pub async fn record_installers(&self) -> Result<(), Refusal> {
        let state = self.store.state();
        self.installers.agree(|arch| {
            let last = state.installers.iter().rfind(|i| i.arch == arch);
            last.map(|installer| installer.path.clone())
        });
        for installer in self.installers.published() {
            self.record(installer).await?;
        }
        Ok(())
    }

    async fn record(&self, installer: PublishedInstaller) -> Result<(), Refusal> {
        let record = move |state: &ApplianceState, _| installer::published(state, installer);
        self.store.decide(record).await.map(|_| ())
    }
}
