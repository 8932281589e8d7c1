//! `hosts/profiles/*.toml` → the profiles and the machines they are for, or every problem in them.
//!
//! The files are TOML 1.0 exactly, because Nix reads them too; what Nix would refuse is refused here.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::layout::Layout;
use crate::mac::Mac;
use crate::name::{HostName, ProfileName, SystemName};
use crate::problem::{Problem, nearest};

/// A node's part in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The first server: makes the cluster.
    ServerInit,
    Server,
    Agent,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ServerInit => "server-init",
            Self::Server => "server",
            Self::Agent => "agent",
        })
    }
}

/// Which disk is meant. Everything said must hold, and exactly one disk must be left.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Select {
    pub by_id: Option<String>,
    pub serial: Option<String>,
    pub wwn: Option<String>,
    pub model: Option<String>,
    pub bus: Option<String>,
    /// Bytes.
    pub min_size: Option<u64>,
    /// Bytes.
    pub max_size: Option<u64>,
    pub smallest: bool,
    pub largest: bool,
}

/// A machine that a profile names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    pub name: HostName,
    pub macs: Vec<Mac>,
}

/// One profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    pub name: ProfileName,
    /// As it was given to the reader, for messages.
    pub file: String,
    pub description: String,
    /// `x86_64` or `aarch64`.
    pub arch: String,
    /// The system that its machines share.
    pub system: SystemName,
    pub machines: Vec<Listed>,
    pub patterns: Vec<Pattern>,
    pub select: Select,
    pub layout: Layout,
    /// Nothing: not part of a cluster.
    pub role: Option<Role>,
    pub kernel_params: Vec<String>,
}

/// A MAC pattern such as `b8:27:eb:*`: the octets that must be equal, from the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pattern(pub Vec<u8>);

/// All profiles of `hosts/profiles`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Profiles {
    pub by_name: BTreeMap<ProfileName, Profile>,
}

impl Profiles {
    /// Reads all files (path as it is to be shown, text), reporting every problem in them.
    ///
    /// # Errors
    /// All problems, sorted by place.
    pub fn read(files: &[(String, String)]) -> Result<Self, Vec<Problem>> {
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
            Ok(Self {
                by_name: by_name.collect(),
            })
        } else {
            problems.sort();
            Err(problems)
        }
    }

    /// The profile that is for this machine: the one that lists it, else the most specific pattern.
    pub fn for_mac(&self, mac: Mac) -> Option<&Profile> {
        let lists = |p: &&Profile| p.machines.iter().any(|m| m.macs.contains(&mac));
        let length = |p: &Profile| {
            let fitting = p.patterns.iter().filter(|pattern| pattern.fits(mac));
            fitting.map(|pattern| pattern.0.len()).max()
        };
        let fitting = || self.by_name.values().filter(|p| length(p).is_some());
        self.by_name
            .values()
            .find(lists)
            .or_else(|| fitting().max_by_key(|p| length(p)))
    }
}

impl Pattern {
    pub fn fits(&self, mac: Mac) -> bool {
        mac.octets().starts_with(&self.0)
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || "is not a MAC pattern; write the first octets and `*`, like b8:27:eb:*".to_owned();
        if let Ok(mac) = text.parse::<Mac>() {
            return Ok(Self(mac.octets().to_vec()));
        }
        let start = text.strip_suffix(":*").ok_or_else(wrong)?;
        let octets: Option<Vec<u8>> = start
            .split(':')
            .map(|octet| {
                u8::from_str_radix(octet, 16)
                    .ok()
                    .filter(|_| octet.len() == 2)
            })
            .collect();
        octets
            .filter(|octets| (1..6).contains(&octets.len()))
            .map(Self)
            .ok_or_else(wrong)
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

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    system: Spanned<String>,
    #[serde(default)]
    description: String,
    confirm: Option<Spanned<String>>,
    #[serde(default)]
    machine: Vec<MachineTable>,
    #[serde(default)]
    r#match: MatchTable,
    disk: DiskTable,
    #[serde(default)]
    k3s: K3sTable,
    #[serde(default)]
    nixos: NixosTable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct MachineTable {
    name: Spanned<String>,
    mac: Spanned<Vec<Spanned<String>>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct MatchTable {
    #[serde(default)]
    mac: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct DiskTable {
    select: Spanned<SelectTable>,
    layout: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct SelectTable {
    by_id: Option<String>,
    serial: Option<String>,
    wwn: Option<String>,
    model: Option<String>,
    bus: Option<String>,
    min_size: Option<Spanned<String>>,
    max_size: Option<Spanned<String>>,
    #[serde(default)]
    smallest: bool,
    #[serde(default)]
    largest: bool,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct K3sTable {
    role: Option<Spanned<String>>,
    /// Read by the flake, which puts them into the system.
    #[serde(default)]
    #[allow(dead_code)]
    labels: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct NixosTable {
    /// Read by the flake.
    #[serde(default)]
    #[allow(dead_code)]
    modules: Vec<String>,
    #[serde(default)]
    kernel_params: Vec<String>,
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
    let written: File =
        toml::from_str(text).map_err(|e| vec![Problem::from_toml(file, text, &e)])?;
    let mut reader = Reader {
        file,
        text,
        problems: refused_by_nix(file, text),
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
    let layout = reader.word(&written.disk.layout, "layout", &[("ext4", Layout::Ext4)]);
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
    let select = selection(&mut reader, &written.disk.select);
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
    match (name, system, arch, layout) {
        (Some(name), Some(system), Some(arch), Some(layout)) if reader.problems.is_empty() => {
            let profile = Profile {
                name,
                file: file.to_owned(),
                description: written.description,
                arch: arch.to_owned(),
                system,
                machines,
                patterns: patterns
                    .iter()
                    .map(|(pattern, _)| pattern.clone())
                    .collect(),
                select,
                layout,
                role,
                kernel_params: written.nixos.kernel_params,
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
            listed.push(Listed {
                name,
                macs: of_this,
            });
        }
    }
    (listed, macs, names)
}

fn selection(reader: &mut Reader<'_>, table: &Spanned<SelectTable>) -> Select {
    let written = table.get_ref();
    let mut size = |text: &Option<Spanned<String>>| {
        let text = text.as_ref()?;
        let bytes = bytes(text.get_ref());
        if bytes.is_none() {
            let message = format!(
                "`{}` is not a size; write it like 20G or 512M",
                text.get_ref()
            );
            reader.wrong(&text.span(), message);
        }
        bytes
    };
    let select = Select {
        by_id: written.by_id.clone(),
        serial: written.serial.clone(),
        wwn: written.wwn.clone(),
        model: written.model.clone(),
        bus: written.bus.clone(),
        min_size: size(&written.min_size),
        max_size: size(&written.max_size),
        smallest: written.smallest,
        largest: written.largest,
    };
    if select == Select::default() {
        let tip = "say which disk is meant, like { smallest = true, min-size = \"20G\" }";
        reader.wrong(&table.span(), "selects no disk").tip = Some(tip.to_owned());
    }
    if select.smallest && select.largest {
        reader.wrong(
            &table.span(),
            "a disk cannot be the smallest and the largest",
        );
    }
    select
}

/// `20G`, `512M`, `1T`, `1048576`: powers of 1024, as disk tools mean them.
fn bytes(text: &str) -> Option<u64> {
    let (digits, unit) = text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    );
    let shift = match unit {
        "" => 0,
        "K" | "KiB" => 10,
        "M" | "MiB" => 20,
        "G" | "GiB" => 30,
        "T" | "TiB" => 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// A NUL character, which this TOML reader takes and Nix's does not: one such file would break the
/// evaluation of every host. (Dates, the other such thing, fit no key here.)
fn refused_by_nix(file: &str, text: &str) -> Vec<Problem> {
    fn has_nul(value: &toml::Value) -> bool {
        match value {
            toml::Value::String(text) => text.contains('\0'),
            toml::Value::Array(all) => all.iter().any(has_nul),
            toml::Value::Table(all) => all
                .iter()
                .any(|(key, value)| key.contains('\0') || has_nul(value)),
            _ => false,
        }
    }
    if !toml::from_str::<toml::Value>(text).is_ok_and(|whole| has_nul(&whole)) {
        return Vec::new();
    }
    let start = text
        .find("\\u0000")
        .or_else(|| text.find("\\U00000000"))
        .unwrap_or(0);
    vec![Problem::at(
        file,
        text,
        &(start..start),
        "holds a NUL character, which Nix refuses to read",
    )]
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    const WORKER: &str = r#"
system = "x86_64-linux"
description = "k3s worker on any mini PC"

[[machine]]
name = "node1"
mac = ["52:54:00:12:34:56", "52-54-00-12-34-57"]

[match]
mac = ["b8:27:eb:*", "b8:27:*"]

[disk]
select = { smallest = true, min-size = "20G" }
layout = "ext4"

[k3s]
role = "agent"
labels = { tier = "worker" }

[nixos]
modules = ["roles/worker.nix"]
kernel-params = ["console=ttyS0"]
"#;

    fn read(files: &[(&str, &str)]) -> Result<Profiles, Vec<Problem>> {
        let files = files
            .iter()
            .map(|(name, text)| (format!("hosts/profiles/{name}"), (*text).to_owned()));
        Profiles::read(&files.collect::<Vec<_>>())
    }

    #[track_caller]
    fn problems(files: &[(&str, &str)], want: Expect) {
        let problems = read(files).expect_err("has problems");
        let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
        want.assert_eq(&(text.join("\n") + "\n"));
    }

    #[test]
    fn the_example_of_the_contract_is_read() {
        let profiles = read(&[("worker.toml", WORKER)]).expect("is fine");
        let worker = profiles.by_name.values().next().expect("one");
        assert_eq!(worker.name.as_str(), "worker");
        assert_eq!(worker.system.as_str(), "worker");
        assert_eq!(worker.role, Some(Role::Agent));
        assert_eq!(worker.select.min_size, Some(20 << 30));
        let mac = |text: &str| text.parse().expect("a MAC");
        for (name, asked, found) in [
            ("listed", "52:54:00:12:34:57", true),
            ("by pattern", "b8:27:eb:00:00:01", true),
            ("nobody's", "52:54:00:00:00:01", false),
        ] {
            assert_eq!(profiles.for_mac(mac(asked)).is_some(), found, "{name}");
        }
    }

    #[test]
    fn the_most_specific_pattern_wins() {
        let pi = WORKER
            .replace("node1", "pi1")
            .replace("52", "56")
            .replace("b8:27:eb:*", "b8:27:eb:01:*");
        let pi = pi.replace(", \"b8:27:*\"", "");
        let profiles = read(&[("worker.toml", WORKER), ("pi.toml", &pi)]).expect("is fine");
        let name = |mac: &str| {
            profiles
                .for_mac(mac.parse().expect("a MAC"))
                .map(|p| p.name.to_string())
        };
        assert_eq!(name("b8:27:eb:01:00:01").as_deref(), Some("pi"));
        assert_eq!(name("b8:27:eb:02:00:01").as_deref(), Some("worker"));
    }

    #[test]
    fn every_problem_is_reported_with_its_place() {
        let bad = r#"
system = "x86-linux"
description = "a\u0000b"
confirm = "code"

[[machine]]
name = "Node_1"
mac = ["52:54:00:12:34", "01:00:5e:00:00:01"]

[[machine]]
name = "empty"
mac = []

[match]
mac = ["b8-27"]

[disk]
select = { min-size = "20 gigs", smallest = true, largest = true }
layout = "etx4"

[k3s]
role = "agnet"
"#;
        problems(
            &[("bad.toml", bad)],
            expect![[r#"
                hosts/profiles/bad.toml:2:10: no system is called `x86-linux`, expected one of `x86_64-linux`, `aarch64-linux`
                hosts/profiles/bad.toml:3:17: holds a NUL character, which Nix refuses to read
                hosts/profiles/bad.toml:4:11: no available way to confirm is called `code`, expected one of `auto`
                hosts/profiles/bad.toml:7:8: the name `Node_1` has the character 'N'; allowed are a-z, 0-9 and -
                hosts/profiles/bad.toml:8:8: the MAC `52:54:00:12:34` has 5 octets, a MAC address has 6 (like 52:54:00:12:34:56)
                hosts/profiles/bad.toml:8:26: the MAC `01:00:5e:00:00:01` is a group address; network cards do not have one
                hosts/profiles/bad.toml:12:7: a machine needs at least one MAC
                hosts/profiles/bad.toml:15:8: the pattern `b8-27` is not a MAC pattern; write the first octets and `*`, like b8:27:eb:*
                hosts/profiles/bad.toml:18:10: a disk cannot be the smallest and the largest
                hosts/profiles/bad.toml:18:23: `20 gigs` is not a size; write it like 20G or 512M
                hosts/profiles/bad.toml:19:10: no layout is called `etx4`, expected one of `ext4`
                  tip: did you mean `ext4`?
                hosts/profiles/bad.toml:22:8: no role is called `agnet`, expected one of `server-init`, `server`, `agent`, `none`
                  tip: did you mean `agent`?
            "#]],
        );
    }

    #[test]
    fn a_file_that_is_not_toml_does_not_hide_the_others() {
        problems(
            &[
                ("a.toml", "system = \n"),
                ("b.toml", &WORKER.replace("[disk]", "[dsik]")),
                ("c.toml", &WORKER.replace("smallest = true", "smallest = 1")),
                ("D_.toml", WORKER),
            ],
            expect![[r#"
                hosts/profiles/D_.toml:1:1: the file name `D_` has the character 'D'; allowed are a-z, 0-9, -, _ and .
                hosts/profiles/a.toml:1:10: invalid string
                hosts/profiles/b.toml:12:2: unknown field `dsik`, expected one of `system`, `description`, `confirm`, `machine`, `match`, `disk`, `k3s`, `nixos`
                  tip: did you mean `disk`?
                hosts/profiles/c.toml:13:23: invalid type: integer `1`, expected a boolean
            "#]],
        );
    }

    #[test]
    fn what_two_files_say_differently_names_both_places() {
        problems(
            &[("a.toml", WORKER), ("b.toml", WORKER)],
            expect![[r#"
            hosts/profiles/b.toml:6:8: the name `node1` is also in hosts/profiles/a.toml:6:8
            hosts/profiles/b.toml:7:8: 52:54:00:12:34:56 is also in hosts/profiles/a.toml:7:8
            hosts/profiles/b.toml:7:29: 52:54:00:12:34:57 is also in hosts/profiles/a.toml:7:29
            hosts/profiles/b.toml:10:8: this pattern is also in hosts/profiles/a.toml:10:8
            hosts/profiles/b.toml:10:22: this pattern is also in hosts/profiles/a.toml:10:22
        "#]],
        );
    }

    #[test]
    fn a_disk_must_be_selected() {
        let none = WORKER.replace("smallest = true, min-size = \"20G\"", "");
        problems(
            &[("a.toml", &none)],
            expect![[r#"
            hosts/profiles/a.toml:13:10: selects no disk
              tip: say which disk is meant, like { smallest = true, min-size = "20G" }
        "#]],
        );
    }

    #[test]
    fn what_nix_refuses_is_refused_here() {
        for (name, text) in [
            (
                "a date",
                WORKER.replace("\"k3s worker on any mini PC\"", "2024-01-01"),
            ),
            (
                "a newline in an inline table",
                WORKER.replace("{ smallest", "{\n smallest"),
            ),
            (
                "a trailing comma in an inline table",
                WORKER.replace("\"20G\" }", "\"20G\", }"),
            ),
            (
                "an integer over 64 bits",
                WORKER.replace("\"20G\"", "99999999999999999999"),
            ),
            ("the escape \\e", WORKER.replace("k3s worker", "\\e")),
        ] {
            assert!(read(&[("a.toml", &text)]).is_err(), "{name}");
        }
    }

    #[test]
    fn an_unknown_key_in_any_table_is_refused() {
        let tables = WORKER.lines().filter(|line| line.starts_with('['));
        for table in tables.chain(["system"]) {
            let bogus = match table {
                "system" => format!("bogus = 1\n{WORKER}"),
                table => WORKER.replacen(table, &format!("{table}\nbogus = 1"), 1),
            };
            let problems = read(&[("a.toml", &bogus)]).expect_err(table);
            assert!(
                problems[0].message.starts_with("unknown field `bogus`"),
                "{table}: {problems:?}"
            );
        }
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, want) in [
            ("20G", Some(20 << 30)),
            ("512M", Some(512 << 20)),
            ("7", Some(7)),
            ("x", None),
            ("1.5T", None),
        ] {
            assert_eq!(bytes(text), want, "{text}");
        }
        assert_eq!(bytes("99999999999T"), None);
    }
}
