//! The machine of somebody who keeps the lab's repository: on the LAN, with a Nix store of its own. Of the appliance it
//! has only the token file.

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::appliance::ApplianceLog;
use super::command::run;
use super::lan::LanNamespace;
use super::products::Products;
use super::repository::Repository;

/// Its address on the LAN.
pub const WORKSTATION: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 20);

pub struct Workstation {
    room: LanNamespace,
    dir: PathBuf,
    programs: PathBuf,
    env: Vec<(String, String)>,
    pub repository: Repository,
}

impl Workstation {
    /// With what the practice flake is built from in its store, and the flake in `dir`. `token_file` is the appliance's.
    pub fn new(
        room: LanNamespace,
        products: &Products,
        dir: PathBuf,
        token_file: &Path,
    ) -> anyhow::Result<Self> {
        let lab = dir.join("lab");
        let repository = Repository::begin(&lab, products)?;
        fs::copy(token_file, dir.join("token")).context("cannot copy the token file")?;
        let env: Vec<_> = products.env.clone().into_iter().collect();
        let mut copy = Command::new("nix");
        copy.args(["copy", "--no-check-sigs", "--to"])
            .arg(dir.join("root"))
            .args(parts(&lab.join("parts.json"))?)
            .envs(env.clone());
        run(&mut copy)?;
        Ok(Self {
            room,
            programs: products.programs(),
            env,
            dir,
            repository,
        })
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The folder that holds its flake.
    pub fn lab(&self) -> PathBuf {
        self.dir.join("lab")
    }

    /// A program that sees the workstation's Nix store and network, and no other.
    fn command(&self, program: &Path) -> Command {
        // The room gives each of its commands mounts of their own.
        let mut command = self.room.command("sh");
        command
            .args(["-euc", r#"mount --bind "$0" /nix; exec "$@""#])
            .arg(self.dir.join("root/nix"))
            .arg(program)
            .current_dir(self.lab())
            .envs(self.env.clone())
            .env("PXE_TOKEN_FILE", self.dir.join("token"))
            .env_remove("PXE_APPLIANCE");
        command
    }

    /// `pxe-admin WORDS`, ready to run.
    pub fn admin_command(&self, words: &str) -> Command {
        let mut command = self.command(&self.programs.join("pxe-admin"));
        command.args(words.split(' '));
        command
    }

    /// `pxe-admin WORDS`
    pub fn admin(&self, words: &str) -> anyhow::Result<ApplianceLog> {
        let output = self.admin_command(words).output();
        let output = output.context("cannot run pxe-admin")?;
        let said = ApplianceLog {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        println!(
            "workstation$ pxe-admin {words}\n{}{}",
            said.stdout, said.stderr
        );
        Ok(said)
    }
}

/// The store paths that the practice flake is made of.
fn parts(file: &Path) -> anyhow::Result<BTreeSet<String>> {
    fn paths(value: &serde_json::Value, into: &mut BTreeSet<String>) {
        match value {
            serde_json::Value::Object(fields) => {
                if let Some(path) = fields.get("path").and_then(serde_json::Value::as_str) {
                    into.insert(path.to_owned());
                }
                fields.values().for_each(|value| paths(value, into));
            }
            serde_json::Value::Array(values) => {
                values.iter().for_each(|value| paths(value, into));
            }
            _ => {}
        }
    }
    let text = fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    let mut all = BTreeSet::new();
    paths(&serde_json::from_slice(&text)?, &mut all);
    Ok(all)
}

/// Store paths are read-only, and a folder of them cannot be removed as it is.
impl Drop for Workstation {
    fn drop(&mut self) {
        let root = self.dir.join("root");
        let _ = run(Command::new("chmod").args(["-R", "u+w"]).arg(&root));
        let _ = fs::remove_dir_all(root);
    }
}
