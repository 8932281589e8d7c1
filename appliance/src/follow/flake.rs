//! The branch of the flake that the configuration names: its commits, built by the Nix of the appliance's machine.

use std::sync::Arc;

use netboot::name::SystemName;
use netboot::refusal::{Code, Refusal};
use netboot::wire::{InstallerRequest, PublishRequest};

use super::Branch;
use crate::app::App;
use crate::cache;
use crate::flake::{Flake, Offers, Output, build};

pub struct FlakeBranch {
    app: Arc<App>,
    reference: String,
}

impl FlakeBranch {
    pub fn new(app: Arc<App>, reference: &str) -> Self {
        Self {
            app,
            reference: reference.to_owned(),
        }
    }

    /// All that profiles use and the flake has, as `pxe-admin publish` takes it.
    fn wanted(&self, offers: &Offers) -> Vec<Output> {
        let has = |name: &SystemName| offers.systems.iter().any(|s| s == name.as_str());
        let (used, absent): (Vec<_>, Vec<_>) =
            self.app.profiles().systems().into_iter().partition(has);
        for system in absent {
            tracing::warn!(%system, flake = self.reference, "profiles use a system that the flake does not have");
        }
        let kernels = self.app.kernels();
        let installers = kernels.iter().filter(|arch| {
            let own = self.app.installers.about(arch).configured.is_some();
            !own && offers.installers.contains(arch)
        });
        let installers = installers.cloned().map(Output::Installer);
        used.into_iter()
            .map(Output::System)
            .chain(installers)
            .collect()
    }
}

impl Branch for FlakeBranch {
    type Commit = Flake;

    async fn head(&self) -> Result<(String, Flake), Refusal> {
        let flake = Flake::open(&self.reference).await?;
        let source = flake.source();
        match (&source.revision, source.dirty) {
            (Some(revision), false) => Ok((revision.clone(), flake)),
            (_, true) => Err(refused("the flake has changes that are not committed")
                .fact("only commits are published without being asked to")),
            (None, false) => Err(refused(
                "the flake is not in a Git repository, and so has no commits",
            )),
        }
    }

    async fn publish(&self, flake: Flake) -> Result<(), Refusal> {
        let wanted = self.wanted(&flake.offers().await?);
        let evaluation = flake.evaluate(&wanted).await?;
        for word in &evaluation.words {
            tracing::warn!(word, "Nix says of the flake");
        }
        let evaluated = evaluation.outputs;
        // Nix deletes none of it until all is handed over.
        let _built = build(&evaluated.iter().collect::<Vec<_>>(), &mut |_, _| {}).await?;
        for made in &evaluated {
            if let Output::System(_) = made.output {
                cache::look_at(&made.path)?;
            }
        }
        for made in evaluated {
            let source = flake.source().clone();
            match made.output {
                Output::System(system) => {
                    let request = PublishRequest {
                        system,
                        toplevel: made.path,
                        source,
                    };
                    let published = self.app.publish(request).await?;
                    if published.changed {
                        let release = published.release;
                        tracing::info!(system = %release.system, number = release.number, "published");
                    }
                }
                Output::Installer(_) => {
                    let request = InstallerRequest {
                        path: made.path,
                        source,
                        parts: None,
                    };
                    self.app.publish_installer(request).await?;
                }
            }
        }
        Ok(())
    }
}

fn refused(message: &str) -> Refusal {
    Refusal::new(Code::PublishFailed, message)
}
