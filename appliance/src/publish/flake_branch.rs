//! The branch of the flake that the configuration names: its commits, built by the Nix of the appliance's machine.

use std::path::PathBuf;
use std::sync::Arc;

use netboot::api::types::{InstallerRequest, PublishRequest};
use netboot::base::refusal::Refusal;
use nix_publish::flake::{Flake, FlakeOutput, FlakeOutputs, build, let_go};
use nix_publish::selection::{Omission, Selection};
use nix_publish::{publish_failed, system};

use super::follow::BranchSource;
use crate::config::settings::Settings;
use crate::installers::Installers;
use crate::publish::publisher::Publisher;

pub struct FlakeBranch {
    settings: Settings,
    installers: Arc<Installers>,
    publisher: Arc<Publisher>,
    reference: String,
    /// The folder with the links that keep what is being built from Nix's garbage collector.
    roots: PathBuf,
}

impl FlakeBranch {
    pub fn new(
        settings: Settings,
        installers: Arc<Installers>,
        publisher: Arc<Publisher>,
        reference: &str,
    ) -> Self {
        let roots = settings.config().state_dir.join("nix-roots");
        if let Err(error) = let_go(&roots) {
            tracing::warn!(%error, roots = %roots.display(), "what an earlier build held cannot be let go");
        }
        Self {
            settings,
            installers,
            publisher,
            reference: reference.to_owned(),
            roots,
        }
    }

    /// What is to be published of a flake that offers this: as `pxe-admin publish` without a name selects it.
    fn selection(&self, offers: &FlakeOutputs) -> Selection {
        let kernels = self.settings.kernels();
        let installers: Vec<_> = kernels
            .iter()
            .map(|arch| self.installers.about(arch))
            .collect();
        Selection::new(offers, self.settings.profiles().systems(), &installers)
    }
}

impl BranchSource for FlakeBranch {
    type Commit = Flake;

    async fn head(&self) -> Result<(String, Flake), Refusal> {
        let flake = Flake::open(&self.reference).await?;
        let source = flake.source();
        match (&source.revision, source.dirty) {
            (Some(revision), false) => Ok((revision.clone(), flake)),
            (_, true) => Err(
                publish_failed("the flake has changes that are not committed")
                    .fact("only commits are published without being asked to"),
            ),
            (None, false) => Err(publish_failed(
                "the flake is not in a Git repository, and so has no commits",
            )),
        }
    }

    async fn publish(&self, flake: Flake) -> Result<(), Refusal> {
        let Selection { outputs, omissions } = self.selection(&flake.offers().await?);
        for omission in omissions {
            match omission {
                // The configuration says so.
                Omission::Configured { .. } => {}
                omission => tracing::warn!(flake = self.reference, "{omission}"),
            }
        }
        let evaluation = flake.evaluate(&outputs).await?;
        for word in &evaluation.warnings {
            tracing::warn!(word, "Nix says of the flake");
        }
        let evaluated = evaluation.outputs;
        // Nix deletes none of it until all is handed over.
        let all: Vec<_> = evaluated.iter().collect();
        let _built = build(&all, Some(&self.roots), &mut |_, _| {}).await?;
        for made in &evaluated {
            if let FlakeOutput::System(_) = made.output {
                system::inspect(&made.path)?;
            }
        }
        for made in evaluated {
            let source = flake.source().clone();
            match made.output {
                FlakeOutput::System(system) => {
                    let request = PublishRequest {
                        system,
                        toplevel: made.path,
                        source,
                    };
                    let published = self.publisher.system(request).await?;
                    if published.changed {
                        let release = published.release;
                        tracing::info!(system = %release.system, number = release.number, "published");
                    }
                }
                FlakeOutput::Installer(_) => {
                    let request = InstallerRequest {
                        path: made.path,
                        source,
                        parts: None,
                    };
                    self.publisher.installer(request).await?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::bench::Bench;

    #[tokio::test]
    async fn what_the_flake_lacks_is_told() {
        let bench = Bench::new();
        let branch = bench.branch("/srv/lab");
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let systems = names(&["plain", "server", "worker"]);
        let installer = FlakeOutput::Installer("x86_64".to_owned());
        for (name, systems, installers, with_installer, want) in [
            ("nothing", &systems[..], names(&["x86_64"]), true, &[][..]),
            (
                "an installer",
                &systems[..],
                names(&["aarch64"]),
                false,
                &[
                    "x86_64 machines have no installer to boot: the flake has no packages.x86_64-linux.installer; in the outputs of a lab's flake.nix, write: inherit (netboot) packages;",
                ],
            ),
            (
                "a system",
                &systems[1..],
                names(&["x86_64"]),
                true,
                &["profiles use the system `plain`, which the flake does not have"],
            ),
        ] {
            let offers = FlakeOutputs {
                systems: systems.to_vec(),
                installers,
            };
            let Selection { outputs, omissions } = branch.selection(&offers);
            let omissions: Vec<_> = omissions.iter().map(ToString::to_string).collect();
            assert_eq!(omissions, want, "{name}");
            assert_eq!(outputs.contains(&installer), with_installer, "{name}");
        }
    }
}
