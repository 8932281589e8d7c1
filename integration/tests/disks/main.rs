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
use integration::lab::testbed::Testbed;

/// All disks but the first, which is the one that is installed on.
fn the_others_are_unchanged(testbed: &Testbed) -> anyhow::Result<()> {
    let others = &testbed.machine.build().disks[1..];
    ensure!(!others.is_empty(), "there is no other disk");
    others.iter().try_for_each(|disk| disk.check_unchanged())
}
