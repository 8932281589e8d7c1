//! `hosts/profiles/*.toml` → profiles, or every problem in them.
//!
//! The files are TOML 1.0 exactly, because Nix reads them too; what Nix would refuse is refused here.

mod clashes;
mod devices;
mod disk;
mod modules;
mod node_options;

pub(super) use modules::modules;

use super::{Pattern, Profile, ProfileMachine, Profiles, Role};
use crate::base::arch::CpuArch;
use crate::base::mac::Mac;
use crate::base::name::{HostName, ProfileName};
use crate::base::problem::Problem;
use crate::base::toml_reader::{Document, Placed, Reader, Section, nix};

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
    problems.extend(clashes::find(&read));
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

/// A profile, and where in the file that stands which must be unique among all files.
struct Read {
    profile: Profile,
    macs: Vec<(Mac, ProblemPlace)>,
    names: Vec<(HostName, ProblemPlace)>,
    patterns: Vec<(Pattern, ProblemPlace)>,
}

/// A problem without its message: where something stands.
type ProblemPlace = Problem;

fn read_one(file: &str, text: &str) -> Result<Read, Vec<Problem>> {
    let document = Document::parse(file, text).map_err(|problem| vec![problem])?;
    let mut reader = Reader::new(file, text);
    nix::refuse(&mut reader, &document);
    let mut top = document.top();

    let name = name_of(&mut reader, file);
    let description = top.text(&mut reader, "description");
    let arch = arch(&mut reader, &mut top);
    confirm(&mut reader, &mut top);
    let machines = machines(&mut reader, &mut top);
    let patterns = patterns(&mut reader, &mut top);
    let disk = disk::read(&mut reader, &mut top, arch.as_ref());
    let role = k3s(&mut reader, &mut top);
    let kernel_params = nixos(&mut reader, &mut top);
    top.finish(&mut reader);

    let problems = reader.into_problems();
    let system = name.as_ref().and_then(|name| name.as_str().parse().ok());
    let (Some(name), Some(system), Some(arch), Some(disk), []) =
        (name, system, arch, disk, problems.as_slice())
    else {
        return Err(problems);
    };
    let profile = Profile {
        name,
        file: file.to_owned(),
        description: description.map_or_else(String::new, |text| text.value.to_owned()),
        arch,
        system,
        machines: machines.listed,
        patterns: patterns.iter().map(|(one, _)| one.clone()).collect(),
        select: disk.select,
        keep: disk.keep,
        layout: disk.layout,
        wipe: disk.wipe,
        role,
        kernel_params,
    };
    Ok(Read {
        profile,
        macs: machines.macs,
        names: machines.names,
        patterns,
    })
}

/// The profile is called as its file.
fn name_of(reader: &mut Reader<'_>, file: &str) -> Option<ProfileName> {
    let name = file.rsplit('/').next().unwrap_or(file);
    let name = Placed {
        value: name.trim_end_matches(".toml"),
        at: 0..0,
    };
    reader.parse(&name, "the file name")
}

/// `system`, as Nix says it.
fn arch(reader: &mut Reader<'_>, top: &mut Section<'_>) -> Option<CpuArch> {
    const SYSTEMS: &[(&str, CpuArch)] = &[
        ("x86_64-linux", CpuArch::X86_64),
        ("aarch64-linux", CpuArch::Aarch64),
    ];

    let written = top.text(reader, "system");
    if !top.has("system") {
        let tip = "write system = \"x86_64-linux\", or \"aarch64-linux\"";
        reader.problem_with_tip(&top.at(), "the profile has no `system`", tip);
    }
    reader.word(&written?, "system", SYSTEMS)
}

/// The other two words, `code` and `known-key`, are refused until they have an effect.
fn confirm(reader: &mut Reader<'_>, top: &mut Section<'_>) {
    if let Some(confirm) = top.text(reader, "confirm") {
        reader.word(&confirm, "available way to confirm", &[("auto", ())]);
    }
}

#[derive(Default)]
struct MachinesByMac {
    listed: Vec<ProfileMachine>,
    macs: Vec<(Mac, ProblemPlace)>,
    names: Vec<(HostName, ProblemPlace)>,
}

fn machines(reader: &mut Reader<'_>, top: &mut Section<'_>) -> MachinesByMac {
    let mut machines = MachinesByMac::default();
    for mut table in top.tables(reader, "machine") {
        machine(reader, &mut table, &mut machines);
        table.finish(reader);
    }
    machines
}

fn machine(reader: &mut Reader<'_>, table: &mut Section<'_>, machines: &mut MachinesByMac) {
    let name = table.text(reader, "name");
    let cards = table.texts(reader, "mac");
    // The flake reads them; here it matters that there are any.
    let modules = table.texts(reader, "modules");

    if !table.has("name") {
        let tip = "write name = \"web-01\": its host name, and what `pxe-admin` calls it";
        reader.problem_with_tip(&table.at(), "the machine has no `name`", tip);
    }
    if !table.has("mac") {
        let tip = "write mac = [\"52:54:00:12:34:56\"], with each of its network cards";
        reader.problem_with_tip(&table.at(), "the machine has no `mac`", tip);
    }
    let mut macs = Vec::new();
    if let Some(cards) = cards {
        if cards.value.is_empty() {
            reader.problem(&cards.at, "a machine needs at least one MAC");
        }
        for card in &cards.value {
            if let Some(mac) = reader.parse::<Mac>(card, "the MAC") {
                macs.push(mac);
                machines.macs.push((mac, reader.place(&card.at)));
            }
        }
    }
    let Some(written) = name else { return };
    let Some(name) = reader.parse::<HostName>(&written, "the name") else {
        return;
    };
    machines
        .names
        .push((name.clone(), reader.place(&written.at)));
    // The flake calls such a machine's system as the machine.
    let has_own = modules.is_some_and(|modules| !modules.value.is_empty());
    let system = has_own.then(|| name.as_str().parse().ok()).flatten();
    machines.listed.push(ProfileMachine { name, macs, system });
}

fn patterns(reader: &mut Reader<'_>, top: &mut Section<'_>) -> Vec<(Pattern, ProblemPlace)> {
    let mut section = top.section(reader, "match");
    let written = section.texts(reader, "mac");
    section.finish(reader);
    let written = written.map_or_else(Vec::new, |list| list.value);
    let mut patterns = Vec::new();
    for text in &written {
        if let Some(pattern) = reader.parse::<Pattern>(text, "the pattern") {
            patterns.push((pattern, reader.place(&text.at)));
        }
    }
    patterns
}

/// The role; the labels are read by the flake, which puts them into the system.
fn k3s(reader: &mut Reader<'_>, top: &mut Section<'_>) -> Option<Role> {
    const ROLES: &[(&str, Option<Role>)] = &[
        ("server-init", Some(Role::ServerInit)),
        ("server", Some(Role::Server)),
        ("agent", Some(Role::Agent)),
        ("none", None),
    ];

    let mut section = top.section(reader, "k3s");
    let role = section.text(reader, "role");
    let labels = section.section(reader, "labels").pairs(reader);
    section.finish(reader);
    node_options::labels(reader, &labels);
    reader.word(&role?, "role", ROLES).flatten()
}

/// The kernel's parameters; the modules are read by the flake, and by `modules.rs`.
fn nixos(reader: &mut Reader<'_>, top: &mut Section<'_>) -> Vec<String> {
    let mut section = top.section(reader, "nixos");
    section.texts(reader, "modules");
    let params = section.texts(reader, "kernel-params");
    section.finish(reader);
    let params = params.map_or_else(Vec::new, |list| list.value);
    node_options::kernel_params(reader, &params);
    params.iter().map(|one| one.value.to_owned()).collect()
}

#[cfg(test)]
mod tests;
