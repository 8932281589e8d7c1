//! Which outputs of the flake are published when nobody names one: the systems that profiles use, and the installers for
//! their machines.

use std::fmt;

use netboot::api::types::InstallerFor;
use netboot::base::name::SystemName;

use crate::flake::{FlakeOutput, FlakeOutputs};

/// What is to be published, and what an operator should know about what is not.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Systems first.
    pub outputs: Vec<FlakeOutput>,
    pub omissions: Vec<Omission>,
}

/// An output that one might expect to be published, and why it is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Omission {
    /// Profiles use a system that the flake does not have.
    NoSystem { system: SystemName },
    /// Machines of this architecture have no installer, and the flake brings none.
    NoInstaller { arch: String },
    /// The flake has an installer, and `[images.<image>]` of `appliance.toml` goes before it.
    Configured { arch: String, image: String },
}

impl Selection {
    /// What the flake offers of `systems`, which profiles use, and of installers. `installers` says for each architecture
    /// of the profiles what its machines boot now.
    pub fn new<'a>(
        offers: &FlakeOutputs,
        systems: impl IntoIterator<Item = SystemName>,
        installers: impl IntoIterator<Item = &'a InstallerFor>,
    ) -> Self {
        let mut selection = Self::default();
        for system in systems {
            if offers.has(&system) {
                selection.outputs.push(FlakeOutput::System(system));
            } else {
                selection.omissions.push(Omission::NoSystem { system });
            }
        }
        for installer in installers {
            let arch = installer.arch.clone();
            let is_offered = offers.installers.contains(&arch);
            match (&installer.configured, &installer.published) {
                (None, _) if is_offered => selection.outputs.push(FlakeOutput::Installer(arch)),
                (Some(image), _) if is_offered => {
                    let image = image.clone();
                    selection
                        .omissions
                        .push(Omission::Configured { arch, image });
                }
                (None, None) => selection.omissions.push(Omission::NoInstaller { arch }),
                // The flake has none, and its machines boot one all the same.
                (Some(_), _) | (None, Some(_)) => {}
            }
        }
        selection
    }
}

impl fmt::Display for Omission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSystem { system } => write!(
                f,
                "profiles use the system `{system}`, which the flake does not have"
            ),
            Self::NoInstaller { arch } => write!(
                f,
                "{arch} machines have no installer to boot: the flake has no packages.{arch}-linux.installer; \
                 in the outputs of a lab's flake.nix, write: inherit (netboot) packages;"
            ),
            Self::Configured { arch, image } => write!(
                f,
                "[images.{image}] of appliance.toml is the installer for {arch}; that of the flake is left alone"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use netboot::base::release::FlakeSource;
    use netboot::base::release::PublishedInstaller;
    use netboot::base::timestamp::Timestamp;

    use super::*;

    fn installer(arch: &str, configured: Option<&str>, published: bool) -> InstallerFor {
        let published = published.then(|| PublishedInstaller {
            arch: arch.to_owned(),
            path: "/nix/store/0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq-installer"
                .parse()
                .expect("a path"),
            published: Timestamp::from_millis(0),
            source: FlakeSource::default(),
        });
        InstallerFor {
            arch: arch.to_owned(),
            configured: configured.map(ToOwned::to_owned),
            published,
        }
    }

    #[test]
    fn an_installer_comes_from_the_flake_unless_the_configuration_has_one() {
        let offers = |installers: &[&str]| FlakeOutputs {
            systems: vec!["worker".to_owned(), "unused".to_owned()],
            installers: installers.iter().map(ToString::to_string).collect(),
        };
        let arch = || "x86_64".to_owned();
        let configured = Omission::Configured {
            arch: arch(),
            image: "own".to_owned(),
        };
        let none = Omission::NoInstaller { arch: arch() };
        for (name, offered, image, published, want, omitted) in [
            ("offered", true, None, false, true, None),
            ("offered again", true, None, true, true, None),
            (
                "in its place",
                true,
                Some("own"),
                false,
                false,
                Some(&configured),
            ),
            ("there all the same", false, Some("own"), false, false, None),
            ("from before", false, None, true, false, None),
            ("none at all", false, None, false, false, Some(&none)),
        ] {
            let offers = offers(if offered { &["x86_64"] } else { &["aarch64"] });
            let about = installer("x86_64", image, published);
            let systems = ["worker", "plain"].map(|name| name.parse().expect("a name"));
            let Selection { outputs, omissions } = Selection::new(&offers, systems, [&about]);
            assert_eq!(outputs[0].to_string(), "`worker`", "{name}");
            assert_eq!(outputs.len() == 2, want, "{name}: {outputs:?}");
            assert_eq!(
                omissions[0].to_string(),
                "profiles use the system `plain`, which the flake does not have"
            );
            assert_eq!(omissions.get(1), omitted, "{name}");
        }
    }
}
