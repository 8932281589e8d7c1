//! What the cache gives out, and publications with the real Nix where there is one.

mod between;
mod clients;
mod interrupted;
mod kept;
mod mended;
mod moving;
mod power;
mod told;

use super::binary_cache::INFO;
use crate::files::budget::DiskBudget;
use netboot::base::store_path::StorePath;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use netboot::base::refusal::RefusalCode;

use self::kept::{Kept, build, nix, system_of};
use super::*;
use crate::config::K3sConfig;
use crate::keys::Keys;
use crate::testing::skipped;

const HASH: &str = "0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq";
const NAR: &str = "0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq0c3x1m7mlmcnkd5x5bj0";

fn cache(dir: &Path) -> Cache {
    Cache::open(dir, &dir.join("keys/cache.key"), DiskBudget::default()).expect("opens")
}

#[test]
fn the_info_says_what_clients_need_and_is_put_right() {
    let dir = tempfile::tempdir().expect("a folder");
    let info = cache(dir.path()).file("nix-cache-info").expect("is there");
    std::fs::write(&info, "StoreDir: /nix/store\n").expect("writes");
    cache(dir.path());
    assert_eq!(std::fs::read_to_string(info).expect("reads"), INFO);
}

#[test]
fn a_path_that_nix_would_misread_is_refused() {
    for name in ["a b", "a?b", "a&b=c", "a%20b", "a#b", "ä"] {
        let error = Cache::open(
            &Path::new("/nonexistent").join(name),
            Path::new("/key"),
            DiskBudget::default(),
        );
        let error = error.expect_err(name).to_string();
        assert!(error.contains("cannot be given to Nix"), "{name}: {error}");
    }
}

#[test]
fn only_names_of_a_cache_are_given_out() {
    let dir = tempfile::tempdir().expect("a folder");
    let cache = cache(dir.path());
    let root = dir.path().join("cache");
    std::fs::create_dir_all(root.join("nar/sub")).expect("makes");
    std::fs::create_dir(root.join(format!("{}.narinfo", "1".repeat(32)))).expect("makes");
    std::fs::write(dir.path().join("secret"), "canary").expect("writes");
    for name in [
        format!("{HASH}.narinfo"),
        format!("{HASH}.narinfo.tmp.1.0"),
        format!("nar/{NAR}.nar"),
        format!("nar/{NAR}.nar.zst"),
        format!("nar/{NAR}.nar.xz"),
        format!("nar/{NAR}.nar.gz"),
        format!("nar/{NAR}.nar.zst.tmp.1.0"),
        format!("nar/sub/{NAR}.nar"),
        ".hidden".to_owned(),
    ] {
        std::fs::write(root.join(name), "content").expect("writes");
    }
    let linked = "2".repeat(32);
    symlink(
        dir.path().join("secret"),
        root.join(format!("{linked}.narinfo")),
    )
    .expect("links");
    let nar_linked = "2".repeat(52);
    symlink(
        dir.path().join("secret"),
        root.join(format!("nar/{nar_linked}.nar")),
    )
    .expect("links");

    for name in [
        "nix-cache-info".to_owned(),
        format!("{HASH}.narinfo"),
        format!("nar/{NAR}.nar"),
        format!("nar/{NAR}.nar.zst"),
        format!("nar/{NAR}.nar.xz"),
    ] {
        assert_eq!(cache.file(&name), Some(root.join(&name)), "{name}");
    }
    let hostile = [
        String::new(),
        "/".to_owned(),
        ".".to_owned(),
        "..".to_owned(),
        "nar".to_owned(),
        "nar/".to_owned(),
        "nar/.".to_owned(),
        ".hidden".to_owned(),
        "../secret".to_owned(),
        "nar/../../secret".to_owned(),
        "../keys/cache.key".to_owned(),
        "/etc/passwd".to_owned(),
        "//etc/passwd".to_owned(),
        "....//secret".to_owned(),
        "..\\secret".to_owned(),
        "nar\\..\\..\\secret".to_owned(),
        "%2e%2e/secret".to_owned(),
        "..%2fsecret".to_owned(),
        "%252e%252e%252fsecret".to_owned(),
        "nix-cache-info\0".to_owned(),
        "nix-cache-info/".to_owned(),
        "/nix-cache-info".to_owned(),
        "./nix-cache-info".to_owned(),
        "NIX-CACHE-INFO".to_owned(),
        "nix-cache-info?x".to_owned(),
        "nix-cache-info.new".to_owned(),
        format!("{HASH}.narinfo.tmp.1.0"),
        format!("{HASH}.narinfo\n"),
        format!("{HASH}.narinfo/../../secret"),
        format!("{}.narinfo", HASH.to_uppercase()),
        format!("{}e.narinfo", &HASH[..31]),
        format!("{}.narinfo", &HASH[..31]),
        format!("{HASH}0.narinfo"),
        format!("nar/{HASH}.narinfo"),
        format!("{}.narinfo", "1".repeat(32)),
        format!("{}.narinfo", "9".repeat(32)),
        format!("{linked}.narinfo"),
        format!("nar/{nar_linked}.nar"),
        format!("nar/{NAR}.nar.gz"),
        format!("nar/{NAR}.nar.zst.tmp.1.0"),
        format!("nar/sub/{NAR}.nar"),
        format!("nar//{NAR}.nar"),
        format!("nar/./{NAR}.nar"),
        format!("nar/{}.nar", &NAR[..51]),
        format!("nar/../nar/{NAR}.nar"),
        "x".repeat(5000),
    ];
    assert!(hostile.len() >= 40);
    for name in hostile {
        assert_eq!(cache.file(&name), None, "{name:?}");
    }
}

/// A small system of two store paths; `parts` is what it has of a toplevel.
fn system(name: &str, parts: &str) -> Result<StorePath, String> {
    build(&format!(
        r#"let dep = builtins.toFile "kernel-of-{name}" "a kernel"; in derivation {{
            name = "nixos-system-{name}"; system = builtins.currentSystem; builder = "/bin/sh";
            args = [ "-c" "PATH=/bin:/usr/bin; mkdir -p $out/bin; cd $out; {parts}; ln -s ${{dep}} kernel" ];
        }}"#
    ))
}

#[tokio::test]
async fn nix_takes_what_was_published_and_trusts_only_our_key() {
    let whole = "echo 25.05 > nixos-version; touch init bin/switch-to-configuration; \
                 mkdir netboot; ln -s ${dep} netboot/format";
    let toplevel = match system("cache-test", whole) {
        Ok(toplevel) => toplevel,
        Err(why) => return skipped(&why),
    };
    let dir = tempfile::tempdir().expect("a folder");
    let keys = Keys::open(dir.path(), &K3sConfig::default()).expect("keys");
    let cache =
        Cache::open(dir.path(), keys.cache_secret_file(), DiskBudget::default()).expect("opens");
    let (one, two) = {
        let publish = async || cache.turn().await.publish(&toplevel).await;
        tokio::join!(publish(), publish())
    };
    let measured = one.unwrap_or_else(|r| panic!("publishes: {r} {:?}", r.facts));
    assert_eq!(measured.system.label, "25.05");
    let script = measured.system.script.as_ref().expect("carries one");
    assert_eq!(script.name(), "kernel-of-cache-test");
    assert!(measured.closure_size > 500, "{measured:?}");
    assert_eq!(two.expect("a second one waits"), measured);

    let narinfo = cache
        .file(&format!("{}.narinfo", toplevel.hash()))
        .expect("is there");
    let narinfo = std::fs::read_to_string(narinfo).expect("reads");
    let field = |name: &str| {
        let line = narinfo.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{name} in {narinfo}"))
            .to_owned()
    };
    assert_eq!(field("Compression: "), "zstd");
    assert!(field("References: ").contains("kernel-of-cache-test"));
    assert!(
        cache.file(&field("URL: ")).is_some(),
        "the NAR is given out"
    );
    let info = cache.file("nix-cache-info").expect("is there");
    assert_eq!(
        std::fs::read_to_string(info).expect("reads"),
        INFO,
        "Nix kept our lines"
    );

    let other = tempfile::tempdir().expect("a folder");
    let other = Keys::open(other.path(), &K3sConfig::default()).expect("keys");
    for (name, key, works) in [
        ("a stranger's key", other.cache_public(), false),
        ("our key", keys.cache_public(), true),
    ] {
        let root = tempfile::tempdir().expect("a folder");
        let output = Command::new("nix")
            .args([
                "--extra-experimental-features",
                "nix-command",
                "copy",
                "--from",
            ])
            .arg(format!("file://{}", dir.path().join("cache").display()))
            .arg("--to")
            .arg(root.path())
            .args([toplevel.as_str(), "--option", "trusted-public-keys", key])
            .output()
            .expect("runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), works, "{name}: {said}");
        let version = root
            .path()
            .join(&toplevel.as_str()[1..])
            .join("nixos-version");
        assert_eq!(version.exists(), works, "{name}");
        assert!(works || said.contains("signature"), "{name}: {said}");
        // Store paths are read-only, and a folder of them cannot be removed as it is.
        let _ = Command::new("chmod")
            .args(["-R", "u+w"])
            .arg(root.path())
            .status();
    }
}

#[tokio::test]
async fn what_is_not_a_system_is_refused_with_what_it_lacks() {
    let dir = tempfile::tempdir().expect("a folder");
    let cache = cache(dir.path());
    let absent: StorePath = format!("/nix/store/{HASH}-nixos-system-absent")
        .parse()
        .expect("a store path");
    let refusal = cache
        .turn()
        .await
        .publish(&absent)
        .await
        .expect_err("is refused");
    assert_eq!(refusal.code, RefusalCode::PublishFailed);
    assert!(
        refusal
            .message
            .contains("is not in this machine's Nix store")
    );

    let half = match system("half", "touch init") {
        Ok(half) => half,
        Err(why) => return skipped(&why),
    };
    let refusal = cache
        .turn()
        .await
        .publish(&half)
        .await
        .expect_err("is refused");
    assert!(
        refusal.message.contains("is not a NixOS system"),
        "{refusal}"
    );
    let fact = "it has no nixos-version, bin/switch-to-configuration";
    assert!(refusal.facts.iter().any(|f| f == fact), "{refusal:?}");

    // No key was made for this cache.
    let whole = "echo 1 > nixos-version; touch init bin/switch-to-configuration";
    let whole = system("no-key", whole).expect("builds as before");
    let refusal = cache
        .turn()
        .await
        .publish(&whole)
        .await
        .expect_err("is refused");
    assert!(
        refusal
            .message
            .contains("the cache's secret key cannot be used"),
        "{refusal}"
    );
    assert!(
        refusal.facts.iter().any(|f| f.contains("cache.key")),
        "{refusal:?}"
    );
}
