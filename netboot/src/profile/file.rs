//! `hosts/profiles/*.toml` → profiles, or every problem in them.
//!
//! The files are TOML 1.0 exactly, because Nix reads them too; what Nix would refuse is refused here.

mod devices;
mod disk;
mod modules;
mod node_options;
mod tables;
mod tree;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use toml::Spanned;

pub(super) use modules::modules;
use tables::{File, MachineTable};

use super::{Listed, Pattern, Profile, Profiles, Role};
use crate::base::arch::CpuArch;
use crate::base::mac::Mac;
use crate::base::name::{HostName, ProfileName};
use crate::base::nix_toml;
use crate::base::problem::{Problem, nearest};
use crate::profile::Wipe;

/// Reads all files, then looks for what they say differently.
pub(super) fn read(files: &[(String, String)]) -> Result<Profiles, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut read: Vec<Read> = Vec::new();
    for (file, text) in files {
        match read_one(file, text) {
            Ok(one) => read.push(one),
            Err(more) => problems.extend(more),
        }
    }
    problems.extend(clashes(&read));
    if problems.is_empty() {
        let by_name = read
            .into_iter()
            .map(|one| (one.profile.name.clone(), one.profile));
        Ok(Profiles {
            by_name: by_name.collect(),
        })
    } else {
        problems.sort();
        Err(problems)
    }
}

/// A profile, and where its machines and patterns stand in the file.
struct Read {
    profile: Profile,
    macs: Vec<(Mac, Place)>,
    names: Vec<(HostName, Place)>,
    patterns: Vec<(Pattern, Place)>,
}

/// A problem without its message: where something stands.
type Place = Problem;

/// What must be unique among all files and is not. Both places are named.
fn clashes(read: &[Read]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut macs = BTreeMap::new();
    let mut names = BTreeMap::new();
    let mut patterns = BTreeMap::new();
    for one in read {
        for (mac, place) in &one.macs {
            unique(&mut macs, *mac, place, &mac.to_string(), &mut problems);
        }
        for (name, place) in &one.names {
            unique(
                &mut names,
                name.clone(),
                place,
                &format!("the name `{name}`"),
                &mut problems,
            );
        }
        for machine in &one.profile.machines {
            let Some(system) = &machine.system else {
                continue;
            };
            let taken = read.iter().find(|other| other.profile.system == *system);
            let place = one.names.iter().find(|(name, _)| *name == machine.name);
            if let (Some(other), Some((name, place))) = (taken, place) {
                let message = format!(
                    "`{name}` has modules of its own, but its system's name is that of {}",
                    other.profile.file
                );
                let tip = Some("give the machine another name".to_owned());
                problems.push(Problem {
                    message,
                    tip,
                    ..place.clone()
                });
            }
        }
        for (pattern, place) in &one.patterns {
            unique(
                &mut patterns,
                pattern.0.clone(),
                place,
                "this pattern",
                &mut problems,
            );
        }
    }
    problems
}

fn unique<K: Ord>(
    seen: &mut BTreeMap<K, Place>,
    key: K,
    place: &Place,
    what: &str,
    problems: &mut Vec<Problem>,
) {
    match seen.get(&key) {
        Some(first) => {
            let message = format!(
                "{what} is also in {}:{}:{}",
                first.file, first.line, first.column
            );
            problems.push(Problem {
                message,
                ..place.clone()
            });
        }
        None => {
            seen.insert(key, place.clone());
        }
    }
}

/// Collects problems of one file while it is taken apart.
struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn place(&self, span: &Range<usize>) -> Place {
        Problem::at(self.file, self.text, span, "")
    }

    fn wrong(&mut self, span: &Range<usize>, message: impl Into<String>) -> &mut Problem {
        self.problems
            .push(Problem::at(self.file, self.text, span, message));
        let last = self.problems.len() - 1;
        &mut self.problems[last]
    }

    /// Parses a text of the file, reporting what is wrong with it.
    fn parse<T: FromStr<Err: fmt::Display>>(
        &mut self,
        text: &Spanned<String>,
        what: &str,
    ) -> Option<T> {
        match text.get_ref().parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.wrong(&text.span(), format!("{what} `{}` {error}", text.get_ref()));
                None
            }
        }
    }

    /// One of a few words.
    fn word<T: Copy>(
        &mut self,
        text: &Spanned<String>,
        what: &str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let found = words.iter().find(|(word, _)| word == text.get_ref());
        if let Some((_, value)) = found {
            return Some(*value);
        }
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let known = names.join("`, `");
        let near = nearest(text.get_ref(), names).map(|near| format!("did you mean `{near}`?"));
        let message = format!(
            "no {what} is called `{}`, expected one of `{known}`",
            text.get_ref()
        );
        self.wrong(&text.span(), message).tip = near;
        None
    }
}

fn read_one(file: &str, text: &str) -> Result<Read, Vec<Problem>> {
    let problems = nix_toml::check(file, text);
    let written: File = match toml::from_str(text) {
        Ok(written) => written,
        // A date is none of the kinds of values that are expected anywhere; that it is a date says more.
        Err(_) if !problems.is_empty() => return Err(problems),
        Err(error) => return Err(vec![Problem::from_toml(file, text, &error)]),
    };
    let mut reader = Reader {
        file,
        text,
        problems,
    };
    let stem = file
        .rsplit('/')
        .next()
        .unwrap_or(file)
        .trim_end_matches(".toml");
    let name = reader.parse(&Spanned::new(0..0, stem.to_owned()), "the file name");
    let system = name
        .as_ref()
        .and_then(|name: &ProfileName| name.as_str().parse().ok());
    let arch = reader.word(
        &written.system,
        "system",
        &[("x86_64-linux", "x86_64"), ("aarch64-linux", "aarch64")],
    );
    let disk = disk::read(&mut reader, &written.disk, arch);
    let wipe = written.disk.wipe.as_ref().and_then(|wipe| {
        let words = [("allow", Wipe::Allow), ("ask", Wipe::Ask)];
        reader.word(wipe, "answer to `wipe`", &words)
    });
    if let Some(confirm) = &written.confirm {
        // The other two words of the contract are refused until they do what they say.
        reader.word(confirm, "available way to confirm", &[("auto", ())]);
    }
    let role = written
        .k3s
        .role
        .as_ref()
        .and_then(|role| reader.word(role, "role", ROLES))
        .flatten();
    node_options::labels(&mut reader, &written.k3s.labels);
    node_options::kernel_params(&mut reader, &written.nixos.kernel_params);
    let (machines, macs, names) = machines(&mut reader, &written.machine);
    let mut patterns = Vec::new();
    for text in &written.r#match.mac {
        let place = reader.place(&text.span());
        patterns.extend(
            reader
                .parse::<Pattern>(text, "the pattern")
                .map(|pattern| (pattern, place)),
        );
    }
    match (name, system, arch, disk) {
        (Some(name), Some(system), Some(arch), Some(disk)) if reader.problems.is_empty() => {
            let profile = Profile {
                name,
                file: file.to_owned(),
                description: written.description,
                arch: CpuArch::from(arch),
                system,
                machines,
                patterns: patterns
                    .iter()
                    .map(|(pattern, _)| pattern.clone())
                    .collect(),
                select: disk.select,
                keep: disk.keep,
                layout: disk.layout,
                wipe,
                role,
                kernel_params: written
                    .nixos
                    .kernel_params
                    .into_iter()
                    .map(Spanned::into_inner)
                    .collect(),
            };
            Ok(Read {
                profile,
                macs,
                names,
                patterns,
            })
        }
        _ => Err(reader.problems),
    }
}

const ROLES: &[(&str, Option<Role>)] = &[
    ("server-init", Some(Role::ServerInit)),
    ("server", Some(Role::Server)),
    ("agent", Some(Role::Agent)),
    ("none", None),
];

type Machines = (Vec<Listed>, Vec<(Mac, Place)>, Vec<(HostName, Place)>);

fn machines(reader: &mut Reader<'_>, tables: &[MachineTable]) -> Machines {
    let (mut listed, mut macs, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for table in tables {
        let mut of_this = Vec::new();
        for text in table.mac.get_ref() {
            let place = reader.place(&text.span());
            if let Some(mac) = reader.parse::<Mac>(text, "the MAC") {
                of_this.push(mac);
                macs.push((mac, place));
            }
        }
        if table.mac.get_ref().is_empty() {
            reader.wrong(&table.mac.span(), "a machine needs at least one MAC");
        }
        if let Some(name) = reader.parse::<HostName>(&table.name, "the name") {
            names.push((name.clone(), reader.place(&table.name.span())));
            // The flake calls such a machine's system as the machine.
            let own = (!table.modules.is_empty()).then(|| name.as_str().parse().ok());
            listed.push(Listed {
                name,
                macs: of_this,
                system: own.flatten(),
            });
        }
    }
    (listed, macs, names)
}

#[cfg(test)]
mod tests;
