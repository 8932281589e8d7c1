//! The names of what an appliance keeps in its state-dir: a newer version must find them.

use std::path::Path;

use expect_test::expect;

use crate::testing::bench::Bench;

/// Files, and folders with a `/`, in order; what is in the index is its engine's.
fn names(at: &Path, above: &str, into: &mut Vec<String>) {
    for entry in std::fs::read_dir(at).expect("a folder") {
        let entry = entry.expect("is read");
        let name = format!("{above}{}", entry.file_name().display());
        if !entry.file_type().expect("is known").is_dir() {
            into.push(name);
        } else if name == "store/index" {
            into.push(format!("{name}/"));
        } else {
            into.push(format!("{name}/"));
            names(&entry.path(), &format!("{name}/"), into);
        }
    }
}

#[tokio::test]
async fn files_are_where_they_always_were() {
    let bench = Bench::new();
    let mut all = Vec::new();
    names(bench.folder.path(), "", &mut all);
    all.sort();
    expect![[r#"
        cache/
        cache/nix-cache-info
        installers/
        installers/incoming/
        keys/
        keys/cache.key
        keys/disks.key
        keys/k3s-agent-token
        keys/k3s-server-token
        keys/master.key
        keys/tls.crt
        keys/tls.key
        store/
        store/index/
        store/journal.jsonl
        store/lock
        store/sentinel
    "#]]
    .assert_eq(&(all.join("\n") + "\n"));
}
