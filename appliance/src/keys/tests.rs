//! Keys stay the same, no other user may read them, and damage is reported.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn open(dir: &Path) -> Keys {
    Keys::open(dir, &K3sConfig::default()).unwrap_or_else(|e| panic!("the keys open: {e:#}"))
}

fn refused(dir: &Path, k3s: &K3sConfig) -> String {
    match Keys::open(dir, k3s) {
        Ok(_) => panic!("is refused"),
        Err(error) => format!("{error:#}"),
    }
}

#[test]
fn keys_are_made_once_and_kept() {
    let dir = tempfile::tempdir().expect("a folder");
    let (one, two) = (open(dir.path()), open(dir.path()));
    assert_eq!(one.pin(), two.pin());
    assert_eq!(one.tls().0, two.tls().0);
    assert_eq!(one.cache_public(), two.cache_public());
    assert_eq!(one.server_token(), two.server_token());
    assert_eq!(one.agent_token(), two.agent_token());
    assert_ne!(one.server_token(), one.agent_token());
    assert!(one.server_token().len() >= 64 && one.agent_token().len() >= 64);

    let (node1, node2): (HostName, HostName) = (
        "node1".parse().expect("a name"),
        "node2".parse().expect("a name"),
    );
    assert_eq!(one.node_password(&node1), two.node_password(&node1));
    assert_ne!(one.node_password(&node1), one.node_password(&node2));
    assert_eq!(one.node_password(&node1).len(), 64);

    let other = tempfile::tempdir().expect("a folder");
    let other = open(other.path());
    assert_ne!(one.pin(), other.pin());
    assert_ne!(one.cache_public(), other.cache_public());
    assert_ne!(one.node_password(&node1), other.node_password(&node1));
}

#[test]
fn the_password_is_the_one_that_was_promised() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(dir.path().join("keys")).expect("makes");
    let keys = dir.path().join("keys");
    std::fs::set_permissions(&keys, PermissionsExt::from_mode(0o700)).expect("sets");
    durable::write(&keys.join("master.key"), 0o600, &[7; 32]).expect("writes");
    // printf 'node-password\0node1' | openssl dgst -sha256 -mac hmac -macopt hexkey:0707…07
    assert_eq!(
        open(dir.path()).node_password(&"node1".parse().expect("a name")),
        "bf21f14d740f5e776f45c222b2a8db246019a18f5101a26144b992036de80aa8"
    );
}

#[test]
fn the_pin_is_the_hash_of_the_key_in_the_certificate() {
    use base64::Engine;
    use sha2::Digest;
    let dir = tempfile::tempdir().expect("a folder");
    let keys = open(dir.path());
    let (certificate, key) = keys.tls();
    let end = webpki::EndEntityCert::try_from(&certificate).expect("a certificate");
    let hash = Sha256::digest(end.subject_public_key_info().as_ref());
    let hash = base64::engine::general_purpose::STANDARD.encode(hash);
    assert_eq!(keys.pin(), format!("sha256/{hash}"));
    let provider = rustls::crypto::ring::default_provider();
    rustls::ServerConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a server can use them");
}

#[test]
fn files_are_for_their_owner_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    open(dir.path());
    let keys = dir.path().join("keys");
    let mode = |path: &Path| {
        std::fs::metadata(path)
            .expect("is there")
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode(&keys), 0o700);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&keys).expect("reads") {
        let path = entry.expect("an entry").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        names.push(
            path.file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned(),
        );
    }
    names.sort();
    let wanted = [
        "cache.key",
        "disks.key",
        "k3s-agent-token",
        "k3s-server-token",
        "master.key",
        "tls.crt",
        "tls.key",
    ];
    assert_eq!(names, wanted);
    for name in wanted {
        let path = keys.join(name);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).expect("sets");
        let text = refused(dir.path(), &K3sConfig::default());
        assert!(
            text.contains("chmod go-rwx") && text.contains(name),
            "{text}"
        );
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("sets");
    }
    open(dir.path());
}

#[test]
fn a_damaged_key_is_an_error_and_is_not_replaced() {
    for name in [
        "cache.key",
        "disks.key",
        "master.key",
        "tls.crt",
        "tls.key",
        "k3s-server-token",
    ] {
        let dir = tempfile::tempdir().expect("a folder");
        open(dir.path());
        let path = dir.path().join("keys").join(name);
        let whole = std::fs::read(&path).expect("reads");
        for damaged in [&whole[..whole.len() / 2], b"", b"\xff\xfe\0garbage"] {
            // Half a token is a token still.
            if name == "k3s-server-token" && damaged.len() == whole.len() / 2 {
                continue;
            }
            std::fs::write(&path, damaged).expect("writes");
            let text = refused(dir.path(), &K3sConfig::default());
            assert!(text.contains(name), "{text}");
            assert_eq!(std::fs::read(&path).expect("reads"), damaged, "{name}");
        }
        std::fs::write(&path, whole).expect("writes");
        open(dir.path());
    }
}

#[test]
fn certificate_and_key_must_belong_together() {
    let (one, two) = (tempfile::tempdir(), tempfile::tempdir());
    let (one, two) = (one.expect("a folder"), two.expect("a folder"));
    let pin = open(one.path()).pin().to_owned();
    open(two.path());
    let file = |dir: &Path, name: &str| dir.join("keys").join(name);
    std::fs::copy(file(two.path(), "tls.crt"), file(one.path(), "tls.crt")).expect("copies");
    let text = refused(one.path(), &K3sConfig::default());
    assert!(text.contains("is not the certificate of"), "{text}");
    std::fs::remove_file(file(one.path(), "tls.crt")).expect("removes");
    assert_eq!(
        open(one.path()).pin(),
        pin,
        "a new certificate for the same key"
    );
    std::fs::remove_file(file(one.path(), "tls.key")).expect("removes");
    let text = refused(one.path(), &K3sConfig::default());
    assert!(text.contains("is gone"), "{text}");
}

#[test]
fn tokens_come_from_where_the_configuration_says() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = |name: &str, content: &str, mode| {
        let path = dir.path().join(name);
        durable::write(&path, mode, content.as_bytes()).expect("writes");
        Some(path)
    };
    let server = file("server", " K10ab::server:s3cret\n", 0o640);
    let agent = file("agent", "agent-token", 0o600);
    let k3s = |token_file: &Option<PathBuf>, agent_token_file: &Option<PathBuf>| K3sConfig {
        token_file: token_file.clone(),
        agent_token_file: agent_token_file.clone(),
        ..K3sConfig::default()
    };
    let tokens = |k3s: &K3sConfig| {
        let keys = Keys::open(dir.path(), k3s).unwrap_or_else(|e| panic!("opens: {e:#}"));
        (
            keys.server_token().to_owned(),
            keys.agent_token().to_owned(),
        )
    };
    let alone = (
        "K10ab::server:s3cret".to_owned(),
        "K10ab::server:s3cret".to_owned(),
    );
    assert_eq!(tokens(&k3s(&server, &None)), alone, "as k3s does");
    assert_eq!(tokens(&k3s(&server, &agent)).1, "agent-token");
    let made = tokens(&k3s(&None, &agent));
    assert_eq!(made.1, "agent-token");
    assert_eq!(tokens(&k3s(&None, &None)).0, made.0, "is kept");

    for (name, content, mode, want) in [
        ("empty", "", 0o600, "is empty"),
        ("blank", " \n", 0o600, "is empty"),
        ("two-lines", "a\nb", 0o600, "one word"),
        ("world-readable", "a", 0o644, "chmod o-rwx"),
    ] {
        let text = refused(dir.path(), &k3s(&file(name, content, mode), &None));
        assert!(text.contains(want) && text.contains(name), "{name}: {text}");
    }
    let text = refused(dir.path(), &k3s(&Some(dir.path().join("absent")), &None));
    assert!(text.contains("cannot read the token file"), "{text}");
}

#[test]
fn no_error_quotes_a_secret() {
    let dir = tempfile::tempdir().expect("a folder");
    open(dir.path());
    for name in ["cache.key", "disks.key", "tls.key", "k3s-agent-token"] {
        let path = dir.path().join("keys").join(name);
        let whole = std::fs::read(&path).expect("reads");
        std::fs::write(&path, "canary secret").expect("writes");
        let text = refused(dir.path(), &K3sConfig::default());
        assert!(!text.contains("canary"), "{text}");
        std::fs::write(&path, whole).expect("writes");
    }
}
