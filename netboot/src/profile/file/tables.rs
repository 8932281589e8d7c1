//! A profile as it is written: one struct for each table, nothing unknown let through.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::de::value::MapAccessDeserializer;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::node_options::Labels;
use super::tree::{Table, value_place};

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct File {
    pub(super) system: Spanned<String>,
    #[serde(default)]
    pub(super) description: String,
    pub(super) confirm: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) machine: Vec<MachineTable>,
    #[serde(default)]
    pub(super) r#match: MatchTable,
    pub(super) disk: DiskTable,
    #[serde(default)]
    pub(super) k3s: K3sTable,
    #[serde(default)]
    pub(super) nixos: NixosTable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct MachineTable {
    pub(super) name: Spanned<String>,
    pub(super) mac: Spanned<Vec<Spanned<String>>>,
    /// Read by the flake, and by `modules.rs`; here it matters that there are any.
    #[serde(default)]
    pub(super) modules: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct MatchTable {
    #[serde(default)]
    pub(super) mac: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct DiskTable {
    pub(super) select: SelectTables,
    pub(super) layout: Option<Spanned<String>>,
    /// In disko's schema, with what it has besides (`preserve`).
    pub(super) devices: Option<Table>,
    pub(super) engine: Option<Spanned<String>>,
    pub(super) swap: Option<Spanned<String>>,
    pub(super) wipe: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) keep: Vec<Spanned<SelectTable>>,
}

/// One table, or one for each disk.
pub(super) struct SelectTables(pub(super) Vec<SelectTable>);

impl<'de> Deserialize<'de> for SelectTables {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct OneOrMore;
        impl<'de> Visitor<'de> for OneOrMore {
            type Value = SelectTables;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table, or an array of tables")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SelectTables, A::Error> {
                let one = SelectTable::deserialize(MapAccessDeserializer::new(map))?;
                Ok(SelectTables(vec![one]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<SelectTables, A::Error> {
                let mut tables = Vec::new();
                while let Some(one) = all.next_element()? {
                    tables.push(one);
                }
                Ok(SelectTables(tables))
            }
        }
        input.deserialize_any(OneOrMore)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct SelectTable {
    pub(super) by_id: Option<String>,
    pub(super) serial: Option<String>,
    pub(super) wwn: Option<String>,
    pub(super) model: Option<String>,
    pub(super) bus: Option<String>,
    pub(super) min_size: Option<Spanned<String>>,
    pub(super) max_size: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) smallest: bool,
    #[serde(default)]
    pub(super) largest: bool,
    #[serde(default)]
    pub(super) not_removable: bool,
}

/// Where a key of `[disk]` stands. Read apart, because a table written with dotted keys (`select.smallest = true`) has no
/// place, and asking for it fails.
#[derive(Deserialize)]
struct Places {
    disk: BTreeMap<Spanned<String>, IgnoredAny>,
}

/// The bytes of what `key` of `[disk]` is; of a table that has a header, or dotted keys, those of the first of them.
pub(super) fn place_in_disk(text: &str, key: &str) -> Range<usize> {
    let Ok(places) = toml::from_str::<Places>(text) else {
        return 0..0;
    };
    let all = places.disk.keys();
    let found = all.into_iter().find(|one| one.get_ref() == key);
    found.map_or(0..0, |found| value_place(text, &found.span()))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct K3sTable {
    pub(super) role: Option<Spanned<String>>,
    /// Read by the flake, which puts them into the system.
    #[serde(default)]
    pub(super) labels: Labels,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct NixosTable {
    /// Read by the flake, and by `modules.rs`.
    #[serde(default)]
    #[allow(dead_code)]
    pub(super) modules: Vec<String>,
    #[serde(default)]
    pub(super) kernel_params: Vec<Spanned<String>>,
}
