//! The boot loaders that are served, and which of them got a machine's firmware to its script.

use axum::body::Bytes;
use netboot::api::agent;
use netboot::dhcp::offer_fallback::LoaderAttempts;
use netboot::machine::state::ApplianceState;
use parking_lot::Mutex;

use super::requester::Requester;
use crate::files::loaders::Loaders;
use crate::store::Store;

/// The files, and the attempts with firmware that has not got to a script yet.
pub struct BootLoaders {
    files: Loaders,
    attempts: Mutex<LoaderAttempts>,
    store: Store,
}

impl BootLoaders {
    pub(super) fn new(files: Loaders, store: Store) -> Self {
        Self {
            files,
            attempts: Mutex::default(),
            store,
        }
    }

    /// A loader by its name, and its bytes.
    pub fn get(&self, name: &str) -> Option<(&'static str, Bytes)> {
        self.files.get(name)
    }

    /// Every loader that was found, and which are missing.
    pub fn files(&self) -> &Loaders {
        &self.files
    }

    /// The attempts. They stay usable after a panic while they were held.
    pub fn attempts<T>(&self, of: impl FnOnce(&mut LoaderAttempts) -> T) -> T {
        of(&mut self.attempts.lock())
    }

    /// The machine asks for its script: the loader and the form of the answer that got it there are kept with it. If
    /// the store takes no writes, the boot goes on without that. Nothing is learnt from an unverified requester.
    pub async fn reached(&self, requester: &Requester) {
        let mac = requester.mac;
        if !requester.verified {
            tracing::info!(%mac, "somebody who is not known to be it asks for its script");
            return;
        }
        let Some(boot_method) = self.attempts(|attempts| attempts.arrived(mac)) else {
            return;
        };
        let reached = move |state: &ApplianceState, _| agent::reached(state, mac, &boot_method);
        if let Err(refusal) = self.store.decide(reached).await {
            tracing::warn!(%mac, %refusal, "how its firmware got to its script is not kept");
        }
    }
}
