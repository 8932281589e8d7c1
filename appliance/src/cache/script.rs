//! Disko's own script in a system, where the profile wants disko to lay the disks out: the system links to it.

use netboot::base::refusal::Refusal;
use netboot::base::store_path::StorePath;

use super::command::refused;

/// The link in a toplevel: to the store path of the script, with what the script needs in its closure.
pub(super) const LINK: &str = "netboot/format";

/// The store path that the link leads to.
///
/// # Errors
/// It leads elsewhere, and so to nothing that an install could fetch.
pub(super) fn linked(toplevel: &StorePath, target: &str) -> Result<StorePath, Refusal> {
    target.parse().map_err(|error| {
        refused(&format!(
            "`{LINK}` of `{toplevel}` leads to `{target}`, which {error}"
        ))
        .fact("nothing was changed")
        .tip("link it to the path of `config.system.build.formatMount`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_to_a_whole_store_path() {
        let path = |name: &str| format!("/nix/store/0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq-{name}");
        let system = path("system").parse().expect("a path");
        let script = path("disko-format-mount");
        let found = linked(&system, &script).expect("is one");
        assert_eq!(found.as_str(), script);
        for target in [
            format!("{script}/bin/disko-format-mount"),
            "../x".to_owned(),
        ] {
            let refusal = linked(&system, &target).expect_err("is none");
            assert!(refusal.to_string().contains(&target), "{refusal}");
        }
    }
}
