//! The configuration and the profiles, read together: good for a start, or everything that is wrong.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use netboot::base::problem::Problem;
use netboot::profile::Profiles;

use crate::config::hosts;
use crate::config::{ConfigText, ConfigTrouble, Loaded};
use crate::net::{Interface, NoLan};

mod modules;
mod untracked;

pub use untracked::untracked;

/// Good for a start.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The file read; empty for the built-in defaults.
    pub file: String,
    pub config: Loaded,
    pub profiles: Profiles,
}

/// Everything that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    pub problems: Vec<Problem>,
    pub lan: Option<NoLan>,
    /// How many files were looked at.
    pub files: usize,
}

/// Reads both, as they hold on a machine with these interfaces. Problems of one do not hide those of the
/// other.
pub fn check(source: ConfigText, interfaces: &[Interface]) -> Result<Checked, Faults> {
    read(source, interfaces, |_| Vec::new())
}

/// And what a service can do without, but a system cannot be built without: the modules that profiles name.
pub fn check_all(source: ConfigText, interfaces: &[Interface]) -> Result<Checked, Faults> {
    read(source, interfaces, modules::absent)
}

/// `more` says what else is wrong in the folder of the profiles.
fn read(
    source: ConfigText,
    interfaces: &[Interface],
    more: fn(&Path) -> Vec<Problem>,
) -> Result<Checked, Faults> {
    let file = source.file.clone();
    let own = usize::from(!source.is_built_in());
    match source.check(interfaces) {
        Ok(config) => {
            let mut problems = more(&config.config.hosts_dir);
            match hosts::load(&config) {
                Ok(profiles) if problems.is_empty() => {
                    return Ok(Checked {
                        file,
                        config,
                        profiles,
                    });
                }
                Ok(_) => {}
                Err(others) => problems.extend(others),
            }
            problems.sort();
            Err(Faults {
                problems,
                lan: None,
                files: own + count(&config.config.hosts_dir),
            })
        }
        Err(ConfigTrouble {
            mut problems,
            lan,
            hosts_dir,
        }) => {
            let mut files = own;
            if let Some(folder) = hosts_dir {
                files += count(&folder);
                let read = hosts::read(&folder).and_then(|f| Profiles::read(&f.texts));
                let mut others = read.err().unwrap_or_default();
                others.extend(more(&folder));
                others.sort();
                problems.extend(others);
            }
            Err(Faults {
                problems,
                lan,
                files,
            })
        }
    }
}

fn count(folder: &Path) -> usize {
    hosts::read(folder).map_or(0, |files| files.texts.len())
}

/// One `error:` a problem, with its tip, and the sum below.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "error: {problem}")?;
        }
        if let Some(lan) = &self.lan {
            writeln!(f, "error: {lan}")?;
            for fact in lan.facts() {
                writeln!(f, "  {fact}")?;
            }
            writeln!(f, "\n  tip: {}", lan.tip())?;
        }
        let with: BTreeSet<&str> = self.problems.iter().map(|p| p.file.as_str()).collect();
        let n = self.problems.len() + usize::from(self.lan.is_some());
        let s = if n == 1 { "" } else { "s" };
        match with.len() {
            0 => write!(f, "{n} problem{s}"),
            m => write!(f, "{n} problem{s} in {m} of {} files", self.files.max(m)),
        }
    }
}

/// `appliance.toml and 3 profiles`
impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = match self.file.as_str() {
            "" => "the built-in configuration",
            file => file,
        };
        let n = self.profiles.by_name.len();
        let s = if n == 1 { "" } else { "s" };
        write!(f, "{file} with {n} profile{s}")
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn lan() -> Vec<Interface> {
        vec![Interface {
            name: "enp1s0".to_owned(),
            up: true,
            loopback: false,
            ethernet: true,
            wireless: false,
            default_route: false,
            part_of: None,
            mac: None,
            addresses: vec![(Ipv4Addr::new(10, 77, 0, 1), Ipv4Addr::new(255, 255, 255, 0))],
        }]
    }

    fn write(folder: &Path, files: &[(&str, &str)]) -> ConfigText {
        for (name, text) in files {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("makes a folder");
            std::fs::write(path, text).expect("writes");
        }
        ConfigText::read(Some(&folder.join("appliance.toml"))).expect("reads")
    }

    const WORKER: &str =
        "system = \"x86_64-linux\"\n[disk]\nselect = { smallest = true }\nlayout = \"ext4\"\n";

    #[test]
    fn problems_of_both_are_told_in_one_go() {
        let folder = tempfile::tempdir().expect("a folder");
        let source = write(
            folder.path(),
            &[
                ("appliance.toml", "bogus = 1\n"),
                ("hosts/profiles/a.toml", "dsik = 1\n"),
                ("hosts/profiles/worker.toml", WORKER),
                ("hosts/profiles/.draft.toml", "["),
                ("hosts/profiles/notes.txt", "["),
            ],
        );
        // By default the profiles are beside the file.
        let faults = check(source, &lan()).expect_err("both are wrong");
        let text = faults.to_string();
        assert!(
            text.contains("appliance.toml:1:1: unknown field `bogus`"),
            "{text}"
        );
        assert!(text.contains("a.toml:1:1: unknown field `dsik`"), "{text}");
        assert!(text.ends_with("in 2 of 3 files"), "{text}");
        assert!(
            text.lines()
                .all(|l| l.starts_with("error: ") || l.starts_with("  ") || l.ends_with("files"))
        );
    }

    #[test]
    fn an_absent_module_is_told_with_the_rest_and_keeps_no_service_from_its_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let with = |more: &str| {
            let worker = format!("{WORKER}[nixos]\nmodules = [\"roles/absent.nix\"]\n{more}");
            let files = [
                ("appliance.toml", "[boot]\nunknown = \"worker\"\n"),
                ("hosts/profiles/worker.toml", &worker),
            ];
            write(folder.path(), &files)
        };
        assert!(check(with(""), &lan()).is_ok());
        let text = check_all(with(""), &lan())
            .expect_err("lacks one")
            .to_string();
        let said = "worker.toml:6:12: the module `roles/absent.nix` is neither in ";
        assert!(text.contains(said), "{text}");
        assert!(text.ends_with("\n1 problem in 1 of 2 files"), "{text}");
        let params = with("kernel-params = [\"\"]\n");
        let text = check_all(params, &lan())
            .expect_err("lacks one")
            .to_string();
        assert!(text.contains(said), "{text}");
        assert!(text.contains("worker.toml:7:18: is empty"), "{text}");
    }

    #[test]
    fn a_good_pair_is_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let source = write(
            folder.path(),
            &[
                ("appliance.toml", "[boot]\nunknown = \"worker\"\n"),
                ("hosts/profiles/worker.toml", WORKER),
            ],
        );
        let checked = check(source, &lan()).unwrap_or_else(|f| panic!("{f}"));
        assert!(
            checked
                .to_string()
                .ends_with("appliance.toml with 1 profile"),
            "{checked}"
        );
    }

    #[test]
    fn no_lan_is_a_problem_without_a_place() {
        let faults = check(ConfigText::default(), &[]).expect_err("there is no interface");
        let text = faults.to_string();
        assert!(
            text.starts_with("error: no network interface can be the LAN\n"),
            "{text}"
        );
        assert!(text.ends_with("\n1 problem"), "{text}");
    }
}
