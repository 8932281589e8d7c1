//! Where the servers are that ours is measured beside.

use std::path::{Path, PathBuf};

/// Where `integration/benches/peers` put it, or where commands are.
pub fn find(program: &str) -> Option<PathBuf> {
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers/usr/sbin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin".into(), "/sbin".into()];
    let mut folders = [peers]
        .into_iter()
        .chain(std::env::split_paths(&path))
        .chain(usual);
    folders.find_map(|folder| {
        let file = folder.join(program);
        file.exists().then_some(file)
    })
}
