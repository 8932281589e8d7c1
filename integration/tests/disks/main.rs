//! Disks that are not blank, not sound, or not where they were. Whatever happens: the other disks are as they were.

mod dirty;
mod encrypted;
mod faulty;
mod layouts;
mod places;
mod pool;
mod preserved;
mod scripted;
mod tables;
mod zfs;

use anyhow::ensure;
use integration::lab::scene::Scene;

/// All disks but the first, which is the one that is installed on.
fn the_others_are_unchanged(scene: &Scene) -> anyhow::Result<()> {
    let others = &scene.machine.build().disks[1..];
    ensure!(!others.is_empty(), "there is no other disk");
    others.iter().try_for_each(|disk| disk.check_unchanged())
}

/// Whether the tests that take long are to be run; says so if not.
fn is_long() -> bool {
    let long = std::env::var_os("NETBOOT_LONG").is_some();
    if !long {
        println!("skipped: it takes long, and runs with NETBOOT_LONG=1");
    }
    long
}
