//! On the installed node, at every boot: says which generation of which system runs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use netboot::api::types::{BootRequest, NodeIdentity};
use netboot::base::store_path::StorePath;

use crate::access::{NodeCall, ReadAccess, Roots};
use crate::efi;
use crate::real::text;
use crate::steps::copy::{generation_of, resolve};
use crate::talk::{self, PATIENCE};

/// Who this node is to the appliance. No `Debug`: it holds the node's key.
pub(crate) struct Node {
    pub identity: NodeIdentity,
    key: String,
}

impl Node {
    /// Reads what the install left in `folder` (`/var/lib/netboot`).
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))
        };
        let identity = serde_json::from_str(&read("node.json")?).with_context(|| {
            format!(
                "`{}` is not that of a node",
                folder.join("node.json").display()
            )
        })?;
        Ok(Self {
            identity,
            key: read("node-key")?.trim().to_owned(),
        })
    }
}

/// What runs, found below `root` (`/`).
pub(crate) fn boot(root: &Path, node: &Node, kernel: String) -> anyhow::Result<BootRequest> {
    let store_path = running(root)?;
    let generation = generation(root, &store_path)?;
    let label = resolve(root, &format!("{store_path}/nixos-version")).and_then(text);
    let boot_id =
        text(root.join("proc/sys/kernel/random/boot_id")).context("this boot has no id")?;
    Ok(BootRequest {
        name: node.identity.name.clone(),
        generation,
        store_path,
        label: label.unwrap_or_default(),
        kernel,
        boot_id,
        boot_order: efi::order(&Roots::new(root, root)),
    })
}

/// Sends the report until it is answered.
pub(crate) fn report(
    access: &mut dyn ReadAccess,
    node: &Node,
    boot: &BootRequest,
) -> anyhow::Result<()> {
    let call = NodeCall {
        path: "/node/v1/boot",
        bearer: Some(&node.key),
        body: serde_json::to_string(boot).context("cannot write the report")?,
        patience: PATIENCE,
    };
    talk::tell(access, &call).context("this boot is not taken note of")
}

/// The system that was booted. The current one may be newer, and may not boot.
fn running(root: &Path) -> anyhow::Result<StorePath> {
    for link in ["run/booted-system", "run/current-system"] {
        if let Ok(target) = fs::read_link(root.join(link)) {
            let text = target.to_string_lossy();
            return text
                .parse()
                .with_context(|| format!("`/{link}` leads to `{text}`"));
        }
    }
    anyhow::bail!(
        "neither `/run/booted-system` nor `/run/current-system` is a link: is this NixOS?"
    )
}

/// The highest number whose link leads to this system. Numbers are reused after a rollback, so several links may lead
/// to it.
fn generation(root: &Path, system: &StorePath) -> anyhow::Result<u32> {
    let folder: PathBuf = root.join("nix/var/nix/profiles");
    let entries =
        fs::read_dir(&folder).with_context(|| format!("cannot read `{}`", folder.display()))?;
    let number = |entry: fs::DirEntry| {
        let target = fs::read_link(entry.path()).ok()?;
        (target == Path::new(system.as_str())).then(|| generation_of(&entry.path()))?
    };
    let numbers = entries.flatten().filter_map(number);
    numbers
        .max()
        .with_context(|| format!("no system profile leads to `{system}`"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use netboot::disk::hardware::Firmware;
    use netboot::profile::Role;

    use super::*;
    use crate::fake::{FakeAnswer, FakeMachine, TOPLEVEL, identity};

    const OTHER: &str = "/nix/store/1c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq-nixos-system-next";

    fn node_files(root: &Path) -> Node {
        let folder = root.join("var/lib/netboot");
        fs::create_dir_all(&folder).expect("makes");
        let json = serde_json::to_string(&identity(Role::Agent)).expect("writes");
        fs::write(folder.join("node.json"), json).expect("writes");
        fs::write(folder.join("node-key"), "key-of-the-node\n").expect("writes");
        let profiles = root.join("nix/var/nix/profiles");
        for folder in ["run", "proc/sys/kernel/random", &TOPLEVEL[1..]] {
            fs::create_dir_all(root.join(folder)).expect("makes");
        }
        fs::create_dir_all(&profiles).expect("makes");
        fs::write(root.join("proc/sys/kernel/random/boot_id"), "b007\n").expect("writes");
        fs::write(root.join(&TOPLEVEL[1..]).join("nixos-version"), "25.05").expect("writes");
        for (link, to) in [
            ("system-1-link", TOPLEVEL),
            ("system-3-link", TOPLEVEL),
            ("system-4-link", OTHER),
            ("system", "system-4-link"),
        ] {
            symlink(to, profiles.join(link)).expect("links");
        }
        symlink(TOPLEVEL, root.join("run/booted-system")).expect("links");
        symlink(OTHER, root.join("run/current-system")).expect("links");
        Node::read(&folder).expect("reads")
    }

    #[test]
    fn what_was_booted_is_reported_even_if_something_else_is_current() {
        let dir = tempfile::tempdir().expect("tempdir");
        let node = node_files(dir.path());
        let boot = boot(dir.path(), &node, "6.1".to_owned()).expect("boot");
        assert_eq!((boot.generation, boot.store_path.as_str()), (3, TOPLEVEL));
        assert_eq!(
            (boot.label.as_str(), boot.boot_id.as_str()),
            ("25.05", "b007")
        );
    }

    #[test]
    fn a_report_waits_for_the_appliance_and_takes_no_for_an_answer() {
        let dir = tempfile::tempdir().expect("tempdir");
        let node = node_files(dir.path());
        let boot = boot(dir.path(), &node, String::new()).expect("boot");

        let mut fake = FakeMachine::new(Firmware::Uefi);
        fake.away("/node/v1/boot", 7);
        report(&mut fake, &node, &boot).expect("reported");
        assert_eq!(fake.calls("/node/v1/boot"), 8);
        assert_eq!(fake.bearers("/node/v1/boot"), ["key-of-the-node"]);

        for status in [401, 410] {
            let mut fake = FakeMachine::new(Firmware::Uefi);
            fake.answer("/node/v1/boot", FakeAnswer::Status(status));
            report(&mut fake, &node, &boot).expect_err("refused");
            assert_eq!(fake.calls("/node/v1/boot"), 1, "{status}");
        }
    }

    #[test]
    fn a_node_without_a_profile_for_what_runs_says_so() {
        let dir = tempfile::tempdir().expect("tempdir");
        let node = node_files(dir.path());
        for link in ["system-1-link", "system-3-link"] {
            fs::remove_file(dir.path().join("nix/var/nix/profiles").join(link)).expect("removes");
        }
        let error = boot(dir.path(), &node, String::new()).expect_err("no number");
        assert_eq!(
            error.to_string(),
            format!("no system profile leads to `{TOPLEVEL}`")
        );
    }
}
