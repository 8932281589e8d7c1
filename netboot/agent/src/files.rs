//! What is written onto the new system besides the system itself: names, keys, tokens. Which file holds what, who may
//! read it, and how it gets there whole.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use netboot::api::types::{InstallSecrets, K3sSecrets, NodeIdentity};
use netboot::install::plan::{Plan, Substituter};
use netboot::profile::Role;

/// A file below the target's root. No `Debug`: some hold secrets.
pub(crate) struct TargetFile {
    pub path: &'static str,
    pub mode: u32,
    pub contents: String,
}

pub(crate) const IDENTITY: &str = "var/lib/netboot";
const K3S_TOKEN: &str = "var/lib/netboot/k3s-token";
const K3S_AGENT_TOKEN: &str = "var/lib/netboot/k3s-agent-token";
const NODE_PASSWORD: &str = "etc/rancher/node/password";

/// Folders with the access they are made with, parents first.
pub(crate) const FOLDERS: [(&str, u32); 12] = [
    ("etc", 0o755),
    ("etc/nix", 0o755),
    ("etc/ssh", 0o755),
    ("etc/rancher", 0o755),
    ("etc/rancher/node", 0o700),
    ("etc/rancher/k3s", 0o755),
    ("var", 0o755),
    ("var/lib", 0o755),
    (IDENTITY, 0o700),
    ("dev", 0o755),
    ("sys", 0o755),
    ("tmp", 0o1777),
];

/// All files, without the SSH host key, which never leaves the machine.
pub(crate) fn files(
    plan: &Plan,
    identity: &NodeIdentity,
    secrets: &InstallSecrets,
) -> anyhow::Result<Vec<TargetFile>> {
    let file = |path, mode, contents| TargetFile {
        path,
        mode,
        contents,
    };
    let json = serde_json::to_string_pretty(identity).context("cannot write node.json")?;
    let mut files = vec![
        file("etc/hostname", 0o644, format!("{}\n", plan.host_name)),
        // The mark by which NixOS's own tools know their system.
        file("etc/NIXOS", 0o644, String::new()),
        file("var/lib/netboot/node.json", 0o644, json + "\n"),
        file("etc/nix/netboot.conf", 0o644, nix_conf(&plan.cache)?),
        // The whole file is the secret, without a line end, which some readers do not strip.
        file("var/lib/netboot/node-key", 0o600, secrets.node_key.clone()),
    ];
    match (&plan.k3s, &secrets.k3s) {
        (Some(k3s), Some(keys)) => {
            let config = config(plan, k3s.role, k3s.server.as_deref(), keys);
            files.extend([
                file("var/lib/netboot/k3s-role", 0o644, format!("{}\n", k3s.role)),
                file(K3S_TOKEN, 0o600, keys.token.clone()),
                file(NODE_PASSWORD, 0o600, keys.node_password.clone()),
                file("etc/rancher/k3s/config.yaml", 0o600, config),
            ]);
            if let Some(token) = agent_token(k3s.role, keys) {
                files.push(file(K3S_AGENT_TOKEN, 0o600, token.clone()));
            }
        }
        (None, None) => {}
        (Some(_), None) => anyhow::bail!("the plan has a part in a cluster, the secrets have none"),
        (None, Some(_)) => anyhow::bail!("the secrets have a part in a cluster, the plan has none"),
    }
    Ok(files)
}

/// The file that the node's `nix.conf` includes, so that it goes on trusting this appliance's cache. It is readable for
/// all, because the Nix of every user reads it.
fn nix_conf(cache: &Substituter) -> anyhow::Result<String> {
    let Substituter { url, public_key } = cache;
    let one_word = |text: &str| {
        !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control())
    };
    anyhow::ensure!(
        one_word(url) && one_word(public_key),
        "the cache's address and key are not one word each"
    );
    Ok(format!(
        "extra-substituters = {url}\nextra-trusted-public-keys = {public_key}\n"
    ))
}

/// The agents' token, which only servers need to know.
fn agent_token(role: Role, keys: &K3sSecrets) -> Option<&String> {
    keys.agent_token.as_ref().filter(|_| role != Role::Agent)
}

/// `/etc/rancher/k3s/config.yaml`: the names are those of k3s's flags.
fn config(plan: &Plan, role: Role, server: Option<&str>, keys: &K3sSecrets) -> String {
    let mut lines = Vec::new();
    if let Some(server) = server {
        lines.push(format!("server: {}", quoted(server)));
    }
    lines.push(format!("token-file: {}", quoted(&format!("/{K3S_TOKEN}"))));
    if agent_token(role, keys).is_some() {
        lines.push(format!(
            "agent-token-file: {}",
            quoted(&format!("/{K3S_AGENT_TOKEN}"))
        ));
    }
    lines.push(format!("node-name: {}", quoted(plan.host_name.as_str())));
    if role == Role::ServerInit {
        lines.push("cluster-init: true".to_owned());
    }
    lines.join("\n") + "\n"
}

/// A YAML double-quoted scalar. A JSON string is one (YAML 1.2.2 §7.3.1), and is read the same by every reader.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Makes a folder with exactly this mode; a folder that is there already gets it as well.
pub(crate) fn folder(path: &Path, mode: u32) -> anyhow::Result<()> {
    let make = || -> io::Result<()> {
        match DirBuilder::new().mode(mode).create(path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
            other => other?,
        }
        fs::set_permissions(path, Permissions::from_mode(mode))
    };
    make().with_context(|| format!("cannot make `{}`", path.display()))
}

/// Writes a file so that after a power cut it is there whole or not at all, and never readable for others meanwhile.
pub(crate) fn place(root: &Path, file: &TargetFile) -> anyhow::Result<()> {
    let path = root.join(file.path);
    let part = PathBuf::from(format!("{}.part", path.display()));
    let write = || -> io::Result<()> {
        let mut out = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(file.mode)
            .open(&part)?;
        // The mode above holds for a new file only, and the umask is taken off.
        out.set_permissions(Permissions::from_mode(file.mode))?;
        out.write_all(file.contents.as_bytes())?;
        out.sync_all()?;
        fs::rename(&part, &path)?;
        let parent = path.parent().ok_or(io::ErrorKind::NotFound)?;
        File::open(parent)?.sync_all()
    };
    write().with_context(|| format!("cannot write `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use netboot::disk::hardware::Firmware;
    use netboot::install::plan::K3s;

    use super::*;
    use crate::fake::{identity, plan, secrets};

    fn text(role: Role, server: Option<&str>) -> String {
        let mut plan = plan(Firmware::Uefi);
        plan.k3s = Some(K3s {
            role,
            server: server.map(str::to_owned),
        });
        let files = files(&plan, &identity(role), &secrets(role)).expect("files");
        let show =
            |f: &TargetFile| format!("{:04o} {}\n{}\n", f.mode, f.path, f.contents.trim_end());
        files.iter().map(show).collect()
    }

    #[test]
    fn an_agent_is_told_where_to_join_and_nothing_of_servers() {
        expect![[r#"
            0644 etc/hostname
            node1
            0644 etc/NIXOS

            0644 var/lib/netboot/node.json
            {
              "name": "node1",
              "machine": "52:54:00:12:34:56",
              "appliance": "https://10.77.0.1:8443",
              "pin": "sha256/A37o5NhNTzGscNBPrsk6xt+t17SIrH/vTrVYaGg/LIg=",
              "role": "agent"
            }
            0644 etc/nix/netboot.conf
            extra-substituters = http://10.77.0.1:8080/cache
            extra-trusted-public-keys = appliance-1:a2V5
            0600 var/lib/netboot/node-key
            canary-node-key
            0644 var/lib/netboot/k3s-role
            agent
            0600 var/lib/netboot/k3s-token
            canary-token
            0600 etc/rancher/node/password
            canary-password
            0600 etc/rancher/k3s/config.yaml
            server: "https://10.77.0.10:6443"
            token-file: "/var/lib/netboot/k3s-token"
            node-name: "node1"
        "#]]
        .assert_eq(&text(Role::Agent, Some("https://10.77.0.10:6443")));
    }

    #[test]
    fn the_first_server_makes_the_cluster() {
        expect![[r#"
            0644 etc/hostname
            node1
            0644 etc/NIXOS

            0644 var/lib/netboot/node.json
            {
              "name": "node1",
              "machine": "52:54:00:12:34:56",
              "appliance": "https://10.77.0.1:8443",
              "pin": "sha256/A37o5NhNTzGscNBPrsk6xt+t17SIrH/vTrVYaGg/LIg=",
              "role": "server-init"
            }
            0644 etc/nix/netboot.conf
            extra-substituters = http://10.77.0.1:8080/cache
            extra-trusted-public-keys = appliance-1:a2V5
            0600 var/lib/netboot/node-key
            canary-node-key
            0644 var/lib/netboot/k3s-role
            server-init
            0600 var/lib/netboot/k3s-token
            canary-token
            0600 etc/rancher/node/password
            canary-password
            0600 etc/rancher/k3s/config.yaml
            token-file: "/var/lib/netboot/k3s-token"
            agent-token-file: "/var/lib/netboot/k3s-agent-token"
            node-name: "node1"
            cluster-init: true
            0600 var/lib/netboot/k3s-agent-token
            canary-agent-token
        "#]]
        .assert_eq(&text(Role::ServerInit, None));
    }

    #[test]
    fn a_machine_outside_the_cluster_gets_no_k3s_files_and_half_a_cluster_is_refused() {
        let mut plan = plan(Firmware::Uefi);
        plan.k3s = None;
        assert!(files(&plan, &identity(Role::Agent), &secrets(Role::Agent)).is_err());
        let alone = InstallSecrets {
            k3s: None,
            ..secrets(Role::Agent)
        };
        let files = files(&plan, &identity(Role::Agent), &alone).expect("files");
        assert!(
            files
                .iter()
                .all(|f| !f.path.contains("k3s") && !f.path.contains("rancher"))
        );
    }

    #[test]
    fn a_cache_cannot_bring_settings_of_its_own() {
        for (url, key) in [
            ("http://x/cache\nrequire-sigs = false", "k:1"),
            ("http://x/cache", "k:1 other:2"),
            ("", "k:1"),
        ] {
            let mut plan = plan(Firmware::Uefi);
            plan.cache = Substituter {
                url: url.to_owned(),
                public_key: key.to_owned(),
            };
            let files = files(&plan, &identity(Role::Agent), &secrets(Role::Agent));
            assert!(files.is_err(), "{url:?} {key:?}");
        }
    }

    #[test]
    fn a_server_address_cannot_break_out_of_its_line() {
        let evil = "https://x\"\ncluster-init: true\n# 'é\\";
        let config = text(Role::Agent, Some(evil));
        assert!(!config.contains("\ncluster-init"), "{config}");
        assert!(
            config.contains(r#"server: "https://x\"\ncluster-init: true\n# 'é\\""#),
            "{config}"
        );
    }

    #[test]
    fn a_file_has_its_mode_whatever_was_there_before() {
        let dir = tempfile::tempdir().expect("tempdir");
        fs::write(dir.path().join("key.part"), "left over").expect("writes");
        let file = TargetFile {
            path: "key",
            mode: 0o600,
            contents: "secret".to_owned(),
        };
        place(dir.path(), &file).expect("places");
        let path = dir.path().join("key");
        let mode = fs::metadata(&path).expect("there").permissions().mode() & 0o7777;
        assert_eq!(
            (mode, fs::read_to_string(path).expect("reads")),
            (0o600, "secret".to_owned())
        );
        let error = place(&dir.path().join("absent"), &file).expect_err("no such folder");
        assert!(error.to_string().starts_with("cannot write `"), "{error}");
    }
}
