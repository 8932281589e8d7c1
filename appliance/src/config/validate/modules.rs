//! Modules that profiles name and that do not exist: Nix would say so, but only when the systems are built.

use std::path::Path;

use netboot::base::problem::{Problem, did_you_mean};
use netboot::profile::Profiles;

use crate::config::hosts;

/// What comes with the flake: a lab's hosts/ need not have it.
const SHIPPED: [&str; 5] = [
    "roles/hypervisor.nix",
    "roles/k3s-agent.nix",
    "roles/k3s-server-init.nix",
    "roles/k3s-server.nix",
    "roles/plain.nix",
];

/// Every module that is neither in hosts/ nor comes with the flake. Where the profiles' folder has another name, their
/// modules are not checked.
pub(super) fn absent(hosts_dir: &Path) -> Vec<Problem> {
    let (Some(folder), Ok(files)) = (hosts::around(hosts_dir), hosts::read(hosts_dir)) else {
        return Vec::new();
    };
    let named = files
        .texts
        .iter()
        .flat_map(|(file, text)| Profiles::modules(file, text));
    named
        .filter(|(module, _)| !SHIPPED.contains(&module.as_str()) && !is_in(folder, module))
        .map(|(module, place)| {
            let message = format!(
                "the module `{module}` is neither in {} nor comes with the flake",
                folder.display()
            );
            let near = did_you_mean(&module, SHIPPED);
            let mut file = folder.join(below(&module));
            if file.is_dir() {
                file.push("default.nix");
            }
            let tip = match near {
                _ if module.is_empty() => "take it out".to_owned(),
                Some(near) => near,
                None => format!("write it, then: git add {}", file.display()),
            };
            Problem { message, ..place }.tip(tip)
        })
        .collect()
}

/// As `hosts + "/${module}"` is to Nix.
fn below(module: &str) -> &str {
    module.trim_start_matches('/')
}

fn is_in(folder: &Path, module: &str) -> bool {
    let path = folder.join(below(module));
    path.is_file() || path.join("default.nix").is_file()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::testing::skipped;

    #[test]
    fn what_comes_with_the_flake_is_what_lies_in_its_folder() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hosts/roles");
        let Ok(entries) = std::fs::read_dir(&folder) else {
            return skipped("the sources here are without hosts/");
        };
        let there: BTreeSet<String> = entries
            .map(|entry| entry.expect("an entry").file_name())
            .map(|name| format!("roles/{}", name.to_string_lossy()))
            .collect();
        assert_eq!(there, BTreeSet::from(SHIPPED.map(str::to_owned)));
    }

    #[test]
    fn a_module_that_nobody_has_is_named_with_its_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for made in ["hosts/profiles", "hosts/machines/db", "hosts/roles"] {
            std::fs::create_dir_all(at(made)).expect("makes");
        }
        for file in ["hosts/roles/own.nix", "hosts/machines/db/default.nix"] {
            std::fs::write(at(file), "{ }").expect("writes");
        }
        let text = "[[machine]]\nmodules = [\"machines/db\", \"machines/absent.nix\"]\n\
            [nixos]\nmodules = [\"roles/own.nix\", \"roles/plain.nix\", \"roles/plian.nix\", \"machines\", \"\"]\n";
        std::fs::write(at("hosts/profiles/a.toml"), text).expect("writes");
        let said: Vec<String> = absent(&at("hosts/profiles"))
            .iter()
            .map(|problem| problem.to_string().replace(&*at("").to_string_lossy(), ""))
            .collect();
        expect_test::expect![[r#"
            hosts/profiles/a.toml:2:27: the module `machines/absent.nix` is neither in hosts nor comes with the flake
              tip: write it, then: git add hosts/machines/absent.nix
            hosts/profiles/a.toml:4:48: the module `roles/plian.nix` is neither in hosts nor comes with the flake
              tip: did you mean `roles/plain.nix`?
            hosts/profiles/a.toml:4:67: the module `machines` is neither in hosts nor comes with the flake
              tip: write it, then: git add hosts/machines/default.nix
            hosts/profiles/a.toml:4:79: the module `` is neither in hosts nor comes with the flake
              tip: take it out"#]].assert_eq(&said.join("\n"));

        std::fs::rename(at("hosts/profiles"), at("hosts/elsewhere")).expect("renames");
        assert_eq!(
            absent(&at("hosts/elsewhere")),
            [],
            "they stand by themselves"
        );
    }
}
