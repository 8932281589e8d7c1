//! The NixOS modules that profiles name, each with its place. Whether they are there is for who may look.

use serde::Deserialize;
use toml::Spanned;

use crate::base::problem::Problem;

/// Only what names modules: what else is wrong in the file is told by who reads all of it.
#[derive(Deserialize)]
struct File {
    #[serde(default)]
    machine: Vec<Modules>,
    #[serde(default)]
    nixos: Modules,
}

#[derive(Deserialize, Default)]
struct Modules {
    #[serde(default)]
    modules: Vec<Spanned<String>>,
}

/// In the order of the file, with a problem that has no message yet.
pub(in crate::profile) fn modules(file: &str, text: &str) -> Vec<(String, Problem)> {
    let Ok(written) = toml::from_str::<File>(text) else {
        return Vec::new();
    };
    let named = written.machine.into_iter().chain([written.nixos]);
    let named = named.flat_map(|table| table.modules);
    named
        .map(|module| {
            let place = Problem::at(file, text, &module.span(), "");
            (module.into_inner(), place)
        })
        .collect()
}
