//! A NixOS system as its toplevel says it: what makes a store path one, its version, and disko's script where it has one.

use std::path::Path;

use netboot::base::refusal::Refusal;
use netboot::base::store_path::StorePath;

use crate::publish_failed;

/// Files that a NixOS toplevel must have. Nix would install a path without them, and the machine would not boot.
pub const PARTS: [&str; 4] = [
    "init",
    "kernel",
    "nixos-version",
    "bin/switch-to-configuration",
];

/// The link in a toplevel whose profile wants disko to lay the disks out. It leads to the store path of disko's script,
/// which has what the script needs in its closure.
pub const SCRIPT_LINK: &str = "netboot/format";

/// Characters of the longest version that is kept.
const LONGEST_LABEL: usize = 128;

/// What a system says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NixosSystem {
    /// Its `nixos-version`.
    pub label: String,
    /// Disko's own script that lays out its disks.
    pub script: Option<StorePath>,
}

/// What a built system says of itself.
///
/// # Errors
/// It is not in this machine's Nix store, or not a NixOS toplevel.
pub fn inspect(toplevel: &StorePath) -> Result<NixosSystem, Refusal> {
    let path = Path::new(toplevel.as_str());
    if !path.exists() {
        return Err(
            publish_failed(format!("`{toplevel}` is not in this machine's Nix store"))
                .fact("nothing was changed")
                .tip("build it here, or copy it here with `nix copy --to ssh://…`"),
        );
    }
    let absent: Vec<&str> = PARTS
        .into_iter()
        .filter(|part| !path.join(part).exists())
        .collect();
    if !absent.is_empty() {
        return Err(not_a_system(toplevel, &absent));
    }
    let text = std::fs::read_to_string(path.join("nixos-version"))
        .map_err(|error| publish_failed(format!("its `nixos-version` cannot be read: {error}")))?;
    let link = std::fs::read_link(path.join(SCRIPT_LINK)).ok();
    let script = link.map(|link| script(toplevel, &link.to_string_lossy()));
    Ok(NixosSystem {
        label: label(&text),
        script: script.transpose()?,
    })
}

/// The text of `nixos-version`, fit to be printed.
pub fn label(text: &str) -> String {
    let printable = text.trim().chars().filter(|c| !c.is_control());
    printable.take(LONGEST_LABEL).collect()
}

/// The store path that [`SCRIPT_LINK`] leads to.
///
/// # Errors
/// It leads elsewhere, so that an install could not fetch it.
pub fn script(toplevel: &StorePath, target: &str) -> Result<StorePath, Refusal> {
    target.parse().map_err(|error| {
        publish_failed(format!(
            "`{SCRIPT_LINK}` of `{toplevel}` leads to `{target}`, which {error}"
        ))
        .fact("nothing was changed")
        .tip("link it to the path of `config.system.build.formatMount`")
    })
}

/// The refusal of a store path that lacks some of [`PARTS`].
pub fn not_a_system(toplevel: &StorePath, absent: &[&str]) -> Refusal {
    publish_failed(format!("`{toplevel}` is not a NixOS system"))
        .fact(format!("it has no {}", absent.join(", ")))
        .fact("nothing was changed")
        .tip("give the path of `config.system.build.toplevel`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_to_a_whole_store_path() {
        let path = |name: &str| format!("/nix/store/0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq-{name}");
        let system = path("system").parse().expect("a path");
        let linked = path("disko-format-mount");
        let found = script(&system, &linked).expect("is one");
        assert_eq!(found.as_str(), linked);
        for target in [
            format!("{linked}/bin/disko-format-mount"),
            "../x".to_owned(),
        ] {
            let refusal = script(&system, &target).expect_err("is none");
            assert!(refusal.to_string().contains(&target), "{refusal}");
        }
    }
}
