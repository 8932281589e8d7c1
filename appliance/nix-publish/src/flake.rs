//! The user's flake: what it declares, and what Nix builds of it.
//!
//! The flake is never written to: a lock file that is absent or out of date stays so.

mod git;

#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::path::Path;

use netboot::base::name::SystemName;
use netboot::base::refusal::Refusal;
use netboot::base::release::FlakeSource;
use netboot::base::store_path::StorePath;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tempfile::TempDir;

use crate::publish_failed;
use crate::run::{BuildListener, BuildLogReader, Host, LogReader, RunError, program, run};

/// A flake as it is now. If it has a revision, everything is built of that revision, even if the flake changes meanwhile.
#[derive(Debug, Clone)]
pub struct Flake {
    /// A flake reference that Nix takes from any folder.
    reference: String,
    source: FlakeSource,
}

/// What a flake declares.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct FlakeOutputs {
    /// `nixosConfigurations.<name>`
    pub systems: Vec<String>,
    /// Architectures with `packages.<architecture>-linux.installer`, as `uname -m` says them.
    pub installers: Vec<String>,
}

impl FlakeOutputs {
    /// Whether it declares a system of this name.
    pub fn has(&self, name: &SystemName) -> bool {
        self.systems.iter().any(|system| system == name.as_str())
    }
}

/// What to build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlakeOutput {
    System(SystemName),
    /// The installer for an architecture.
    Installer(String),
}

/// An output that was evaluated: its store path is known, and it may not be built yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluated {
    pub output: FlakeOutput,
    pub path: StorePath,
    derivation: StorePath,
}

/// Outputs that were evaluated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evaluation {
    /// Systems first, else in the order in which they were asked for.
    pub outputs: Vec<Evaluated>,
    /// Warnings of Nix and of modules.
    pub warnings: Vec<String>,
}

/// Built outputs; Nix deletes none of them while this lives.
#[derive(Debug)]
pub struct BuildResult {
    /// Warnings of Nix.
    pub warnings: Vec<String>,
    _roots: TempDir,
}

#[derive(Deserialize)]
struct FlakeMetadata {
    url: String,
    #[serde(rename = "resolvedUrl")]
    resolved_url: String,
    revision: Option<String>,
    /// Since Nix 2.17: `<revision>-dirty`.
    #[serde(rename = "dirtyRevision")]
    dirty_revision: Option<String>,
}

#[derive(Deserialize)]
struct OutputPaths {
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
            return Err(
                publish_failed(format!("`{reference}` does not name a flake"))
                    .fact("nothing was changed")
                    .tip("give a path or a flake URL, without `#` and an output: `--flake .`"),
            );
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
        let ran = nix("nix", arguments, &mut |_, _| {}).await;
        let ran = ran.map_err(|error| {
            let what = format!("Nix finds no flake that it can read at `{reference}`");
            error.refusal(&what, Host::Here)
        })?;
        let found: FlakeMetadata = read(&ran.stdout)?;
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

    /// The names of the outputs that it declares. The outputs are not evaluated.
    ///
    /// # Errors
    /// It does not evaluate, in Nix's own words.
    pub async fn offers(&self) -> Result<FlakeOutputs, Refusal> {
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
        let ran = nix("nix", arguments, &mut |_, _| {}).await;
        let ran = ran.map_err(|error| error.refusal("the flake does not evaluate", Host::Here))?;
        read(&ran.stdout)
    }

    /// What these outputs will be, without building them.
    ///
    /// # Errors
    /// One does not evaluate, in Nix's own words.
    pub async fn evaluate(&self, outputs: &[FlakeOutput]) -> Result<Evaluation, Refusal> {
        let systems = outputs
            .iter()
            .filter(|o| matches!(o, FlakeOutput::System(_)));
        let installers = outputs
            .iter()
            .filter(|o| matches!(o, FlakeOutput::Installer(_)));
        let mut all = self.places("nixosConfigurations", systems).await?;
        let more = self.places("packages", installers).await?;
        all.outputs.extend(more.outputs);
        all.warnings.extend(more.warnings);
        Ok(all)
    }

    /// Evaluates the outputs below one attribute of the flake, all at once.
    async fn places(
        &self,
        below: &str,
        outputs: impl Iterator<Item = &FlakeOutput>,
    ) -> Result<Evaluation, Refusal> {
        let outputs: Vec<&FlakeOutput> = outputs.collect();
        if outputs.is_empty() {
            return Ok(Evaluation::default());
        }
        let mut list = String::new();
        for output in &outputs {
            let attribute = match output {
                FlakeOutput::System(name) => {
                    format!("{}.config.system.build.toplevel", quoted(name.as_str()))
                }
                FlakeOutput::Installer(arch) => {
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
            // Two evaluations at once break each other's cache, and `--apply` is never cached.
            "--no-eval-cache",
            &installable,
            "--apply",
            &apply,
        ];
        let ran = nix("nix", arguments, &mut |_, _| {}).await;
        let ran = ran.map_err(|error| error.refusal("the flake does not evaluate", Host::Here))?;
        let places: Vec<OutputPaths> = read(&ran.stdout)?;
        if places.len() != outputs.len() {
            return Err(publish_failed(
                "Nix evaluated another number of outputs than it was asked for",
            ));
        }
        let evaluated = outputs.into_iter().zip(places);
        let evaluated = evaluated.map(|(output, OutputPaths { derivation, path })| Evaluated {
            output: output.clone(),
            path,
            derivation,
        });
        Ok(Evaluation {
            outputs: evaluated.collect(),
            warnings: ran.warnings,
        })
    }
}

/// Builds or fetches these outputs. Links in a new folder keep Nix's garbage collector from them: in `roots`, or among the
/// temporary files. A service with a private `/tmp` needs `roots`: Nix's daemon does not find links in that `/tmp`, and
/// takes them for deleted.
///
/// # Errors
/// A build failed, in Nix's own words with the last lines of the builder.
pub async fn build(
    wanted: &[&Evaluated],
    roots: Option<&Path>,
    listener: BuildListener<'_>,
) -> Result<BuildResult, Refusal> {
    let folder = match roots {
        Some(roots) => std::fs::create_dir_all(roots).and_then(|()| tempfile::tempdir_in(roots)),
        None => tempfile::tempdir(),
    };
    let roots = folder
        .map_err(|error| publish_failed(format!("a temporary folder cannot be made: {error}")))?;
    if wanted.is_empty() {
        return Ok(BuildResult {
            warnings: Vec::new(),
            _roots: roots,
        });
    }
    let root = roots.path().join("result").display().to_string();
    // How `nix build` names derivations depends on its version; `nix-store` has always named them so.
    let arguments = ["--realise", "--add-root", &root].into_iter();
    let arguments = arguments.chain(wanted.iter().map(|built| built.derivation.as_str()));
    let ran = nix("nix-store", arguments, listener).await;
    let ran = ran.map_err(|error| {
        let names: Vec<String> = wanted.iter().map(|w| w.output.to_string()).collect();
        error.refusal(&format!("{} cannot be built", names.join(", ")), Host::Here)
    })?;
    let absent = wanted
        .iter()
        .find(|built| !Path::new(built.path.as_str()).exists());
    if let Some(absent) = absent {
        return Err(publish_failed(format!(
            "Nix said that it built `{}`, but it is not in this machine's Nix store",
            absent.path
        )));
    }
    Ok(BuildResult {
        warnings: ran.warnings,
        _roots: roots,
    })
}

/// Removes the links of builds that a crash or a power cut ended.
///
/// # Errors
/// The folder cannot be removed; one that is not there is fine.
pub fn let_go(roots: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(roots) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl std::fmt::Display for FlakeOutput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::System(name) => write!(f, "`{name}`"),
            Self::Installer(arch) => write!(f, "the installer for {arch}"),
        }
    }
}

fn read<T: DeserializeOwned>(stdout: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(stdout).map_err(|error| {
        publish_failed(format!(
            "Nix answered with something else than was asked for: {error}"
        ))
        .fact("this may be a version of Nix that is not known yet")
    })
}

/// What a run of Nix that succeeded left.
struct NixResult {
    stdout: Vec<u8>,
    warnings: Vec<String>,
}

async fn nix<'a>(
    name: &str,
    arguments: impl IntoIterator<Item = &'a str>,
    listener: BuildListener<'_>,
) -> Result<NixResult, RunError> {
    let mut command = program(name);
    command.args(arguments);
    let mut log = BuildLogReader::new(listener);
    let stdout = run(command, &mut log).await?;
    let warnings = log.messages().map(str::to_owned).collect();
    Ok(NixResult { stdout, warnings })
}

/// A string of the Nix language.
fn quoted(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace("${", "\\${");
    format!("\"{escaped}\"")
}
