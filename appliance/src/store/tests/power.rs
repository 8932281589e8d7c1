//! A power cut: what has reached the block device when the plug is pulled is all there is.
//!
//! A child writes to ext4 on a loop device. It is stopped, and the image is copied as it is: everything
//! that was only in memory is missing from the copy, which is then mounted and opened.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::kill::{AckedLease, start};
use super::*;
use crate::testing::cuts;
use crate::testing::cuts::Mounted;

#[tokio::test]
#[ignore = "long: 25 power cuts, 1 min; as root"]
async fn nothing_acknowledged_is_lost_by_a_power_cut() {
    let dir = tempfile::tempdir().expect("a folder");
    let image = match cuts::blank(dir.path(), 256 << 20) {
        Ok(image) => image,
        Err(why) => return crate::testing::skipped(&why),
    };
    let copy = dir.path().join("copy");
    let mounted = Mounted::new(&image).expect("mounts");
    let state = mounted.state_dir();
    let (mut events, mut addresses, mut rebuilt) = (BTreeSet::new(), BTreeSet::new(), 0);
    for cut in 0..25 {
        let first = events.last().map_or(0, |n| n + 1000);
        let patience = usize::from(u16::from_le_bytes(clock::random())) % 600 + 1;
        let (mut child, mut told) = start(&state, first);
        for told in told.by_ref().take(patience) {
            match told {
                AckedLease::Event(n) => _ = events.insert(n),
                AckedLease::Lease(n) => _ = addresses.insert(address(n)),
            }
        }
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
        kill(pid, Signal::SIGSTOP).expect("is stopped");
        cuts::copy(&image, &copy);
        child.kill().expect("is killed");
        child.wait().expect("ended");
        // What it was told after the cut may be in the next one.
        drop(told);

        let after = Mounted::new(&copy).expect("the file system heals itself");
        let state = after.state_dir();
        let store = open(&state);
        let found = all(noted(&store));
        let lost: Vec<_> = events.difference(&found).collect();
        assert!(lost.is_empty(), "cut {cut}: lost events {lost:?}");
        let leases = leases(&store).await;
        let lost = addresses
            .iter()
            .find(|a| !leases.by_address().contains_key(a));
        assert_eq!(lost, None, "cut {cut}: lost a lease");
        rebuilt += aside(&state).len();
        store.close().await;
    }
    eprintln!(
        "25 cuts: {} events and {} addresses acknowledged, none lost; the index was rebuilt {rebuilt} times",
        events.len(),
        addresses.len()
    );
}
