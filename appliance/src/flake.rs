//! The user's flake: what it declares, and what Nix builds of it. For whoever publishes: `pxe-admin`, and the service when
//! it follows a branch.
//!
//! Nothing is written into the flake: a lock that is not there, or does not fit, stays so.

mod git;
mod run;

#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::path::Path;

use netboot::api::types::InstallerFor;
use netboot::base::name::SystemName;
use netboot::base::refusal::{Code, Refusal};
use netboot::base::release::FlakeSource;
use netboot::base::store_path::StorePath;
use netboot::publish::nix_log::{BuildLog, News};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tempfile::TempDir;

use run::{nix, refused};

/// Told about every line of Nix that brought something.
pub type Listener<'a> = &'a mut (dyn FnMut(&BuildLog, &News) + Send);

/// A flake as it is now. If it has a revision, everything is built of that one, whatever happens in it meanwhile.
#[derive(Debug, Clone)]
pub struct Flake {
    /// A flake reference that Nix takes from any folder.
    reference: String,
    source: FlakeSource,
}

/// What a flake declares.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Offers {
    /// `nixosConfigurations.<name>`
    pub systems: Vec<String>,
    /// Architectures with `packages.<architecture>-linux.installer`, as `uname -m` says them.
    pub installers: Vec<String>,
}

impl Offers {
    /// What machines of this architecture lack if they have no installer, and the flake brings none.
    pub fn lacks(&self, about: &InstallerFor) -> Option<String> {
        let InstallerFor {
            arch,
            configured,
            published,
        } = about;
        if configured.is_some() || published.is_some() || self.installers.contains(arch) {
            return None;
        }
        Some(format!(
            "{arch} machines have no installer to boot: the flake has no packages.{arch}-linux.installer; \
             in the outputs of a lab's flake.nix, write: inherit (netboot) packages;"
        ))
    }
}

/// What to build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    System(SystemName),
    /// The installer for an architecture.
    Installer(String),
}

/// An output that was evaluated: what it will be is known, and it may not be built yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluated {
    pub output: Output,
    pub path: StorePath,
    derivation: StorePath,
}

/// Outputs that were evaluated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evaluation {
    /// Systems first, else in the order in which they were asked for.
    pub outputs: Vec<Evaluated>,
    /// What Nix had to say, such as warnings of modules.
    pub words: Vec<String>,
}

/// Built outputs; Nix deletes none of them while this lives.
#[derive(Debug)]
pub struct Built {
    /// What Nix had to say.
    pub words: Vec<String>,
    _roots: TempDir,
}

#[derive(Deserialize)]
struct Metadata {
    url: String,
    #[serde(rename = "resolvedUrl")]
    resolved_url: String,
    revision: Option<String>,
    /// Since Nix 2.17: `<revision>-dirty`.
    #[serde(rename = "dirtyRevision")]
    dirty_revision: Option<String>,
}

#[derive(Deserialize)]
struct Place {
    derivation: StorePath,
    path: StorePath,
}

impl Flake {
    /// Finds out what the reference stands for now. `reference` is a path or a flake URL, as `nix build` takes it, without
    /// an output.
    ///
    /// # Errors
    /// Nix cannot be run, or there is no flake, in Nix's own words.
    pub async fn open(reference: &str) -> Result<Self, Refusal> {
        if reference.contains('#') || reference.is_empty() || reference.starts_with('-') {
            return Err(refused(&format!("`{reference}` does not name a flake"))
                .fact("nothing was changed")
                .tip("give a path or a flake URL, without `#` and an output: `--flake .`"));
        }
        // Nix asks a server again only once an hour, unless it is told to.
        let arguments = [
            "flake",
            "metadata",
            "--json",
            "--no-write-lock-file",
            "--refresh",
        ];
        let arguments = arguments.into_iter().chain([reference]);
        let told = nix("nix", arguments, &mut |_, _| {}).await;
        let told = told.map_err(|failed| {
            failed.refusal(&format!(
                "Nix finds no flake that it can read at `{reference}`"
            ))
        })?;
        let found: Metadata = read(&told.stdout)?;
        let local = git::folder(&found.resolved_url);
        let source = match (found.revision, found.dirty_revision, local) {
            (Some(revision), ..) => FlakeSource {
                revision: Some(revision),
                dirty: false,
            },
            (None, Some(dirty), _) => FlakeSource {
                revision: Some(dirty.trim_end_matches("-dirty").to_owned()),
                dirty: true,
            },
            (None, None, Some(folder)) => FlakeSource {
                revision: git::head(&folder).await,
                dirty: true,
            },
            // Not under version control.
            (None, None, None) => FlakeSource::default(),
        };
        let pinned = source.revision.is_some() && !source.dirty;
        Ok(Self {
            reference: if pinned {
                found.url
            } else {
                found.resolved_url
            },
            source,
        })
    }

    pub fn reference(&self) -> &str {
        &self.reference
    }

    pub fn source(&self) -> &FlakeSource {
        &self.source
    }

    /// What it declares, by name: nothing of it is evaluated further.
    ///
    /// # Errors
    /// It does not evaluate, in Nix's own words.
    pub async fn offers(&self) -> Result<Offers, Refusal> {
        let expression = format!(
            r#"let flake = builtins.getFlake {}; packages = flake.packages or {{ }};
               architecture = system: builtins.head (builtins.split "-" system);
               fits = system: packages.${{system}} ? installer && builtins.match ".*-linux" system != null;
            in {{
              systems = builtins.attrNames (flake.nixosConfigurations or {{ }});
              installers = map architecture (builtins.filter fits (builtins.attrNames packages));
            }}"#,
            quoted(&self.reference)
        );
        // Impure, because a flake with changes cannot be named otherwise. What is built is evaluated purely.
        let arguments = ["eval", "--json", "--impure", "--expr", &expression];
        let told = nix("nix", arguments, &mut |_, _| {}).await;
        let told = told.map_err(|failed| failed.refusal("the flake does not evaluate"))?;
        read(&told.stdout)
    }

    /// What these outputs will be, without building them.
    ///
    /// # Errors
    /// One does not evaluate, in Nix's own words.
    pub async fn evaluate(&self, outputs: &[Output]) -> Result<Evaluation, Refusal> {
        let systems = outputs.iter().filter(|o| matches!(o, Output::System(_)));
        let installers = outputs.iter().filter(|o| matches!(o, Output::Installer(_)));
        let mut all = self.places("nixosConfigurations", systems).await?;
        let more = self.places("packages", installers).await?;
        all.outputs.extend(more.outputs);
        all.words.extend(more.words);
        Ok(all)
    }

    /// Those below one attribute of the flake, in one evaluation.
    async fn places(
        &self,
        below: &str,
        outputs: impl Iterator<Item = &Output>,
    ) -> Result<Evaluation, Refusal> {
        let outputs: Vec<&Output> = outputs.collect();
        if outputs.is_empty() {
            return Ok(Evaluation::default());
        }
        let mut list = String::new();
        for output in &outputs {
            let attribute = match output {
                Output::System(name) => {
                    format!("{}.config.system.build.toplevel", quoted(name.as_str()))
                }
                Output::Installer(arch) => {
                    format!("{}.installer", quoted(&format!("{arch}-linux")))
                }
            };
            let _ = write!(list, "(all.{attribute}) ");
        }
        let apply = format!(
            "all: map (built: {{ derivation = built.drvPath; path = built.outPath; }}) [ {list}]"
        );
        let installable = format!("{}#{below}", self.reference);
        let arguments = [
            "eval",
            "--json",
            "--no-write-lock-file",
            // Two who evaluate at once spoil it for each other, and what is applied is evaluated anew in any case.
            "--no-eval-cache",
            &installable,
            "--apply",
            &apply,
        ];
        let told = nix("nix", arguments, &mut |_, _| {}).await;
        let told = told.map_err(|failed| failed.refusal("the flake does not evaluate"))?;
        let places: Vec<Place> = read(&told.stdout)?;
        if places.len() != outputs.len() {
            return Err(refused(
                "Nix evaluated another number of outputs than it was asked for",
            ));
        }
        let evaluated = outputs.into_iter().zip(places);
        let evaluated = evaluated.map(|(output, Place { derivation, path })| Evaluated {
            output: output.clone(),
            path,
            derivation,
        });
        Ok(Evaluation {
            outputs: evaluated.collect(),
            words: told.words,
        })
    }
}

/// Builds or fetches them all, or says why one cannot be. What holds them against Nix's collector are links in a new
/// folder: in `roots`, or among temporary files. A service whose `/tmp` is its own needs the former: Nix's daemon follows
/// the links, and takes one that it does not find for gone.
///
/// # Errors
/// A build failed, in Nix's own words with the last lines of the builder.
pub async fn build(
    wanted: &[&Evaluated],
    roots: Option<&Path>,
    listener: Listener<'_>,
) -> Result<Built, Refusal> {
    let folder = match roots {
        Some(roots) => std::fs::create_dir_all(roots).and_then(|()| tempfile::tempdir_in(roots)),
        None => tempfile::tempdir(),
    };
    let roots =
        folder.map_err(|error| refused(&format!("a temporary folder cannot be made: {error}")))?;
    if wanted.is_empty() {
        return Ok(Built {
            words: Vec::new(),
            _roots: roots,
        });
    }
    let root = roots.path().join("result").display().to_string();
    // `nix build` has named derivations in two ways; this one is the same in all versions.
    let arguments = ["--realise", "--add-root", &root].into_iter();
    let arguments = arguments.chain(wanted.iter().map(|built| built.derivation.as_str()));
    let told = nix("nix-store", arguments, listener).await;
    let told = told.map_err(|failed| {
        let names: Vec<String> = wanted.iter().map(|w| w.output.to_string()).collect();
        failed.refusal(&format!("{} cannot be built", names.join(", ")))
    })?;
    let absent = wanted
        .iter()
        .find(|built| !Path::new(built.path.as_str()).exists());
    if let Some(absent) = absent {
        return Err(refused(&format!(
            "Nix said that it built `{}`, but it is not in this machine's Nix store",
            absent.path
        )));
    }
    Ok(Built {
        words: told.words,
        _roots: roots,
    })
}

/// Lets go of what builds held that a crash or a power cut ended.
///
/// # Errors
/// The folder cannot be removed; one that is not there is fine.
pub fn let_go(roots: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(roots) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::System(name) => write!(f, "`{name}`"),
            Self::Installer(arch) => write!(f, "the installer for {arch}"),
        }
    }
}

fn read<T: DeserializeOwned>(stdout: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(stdout).map_err(|error| {
        Refusal::new(
            Code::PublishFailed,
            format!("Nix answered with something else than was asked for: {error}"),
        )
        .fact("this may be a version of Nix that is not known yet")
    })
}

/// A string of the Nix language.
fn quoted(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace("${", "\\${");
    format!("\"{escaped}\"")
}
