//! A power cut: what has reached the block device when the plug is pulled is all there is.
//!
//! A child writes to ext4 on a loop device. It is stopped, and the image is copied as it is: everything
//! that was only in memory is missing from the copy, which is then mounted and opened.

use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::kill::{Told, start};
use super::*;

/// An ext4 image that is mounted, until it is dropped.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn new(image: &Path) -> Result<Self, String> {
        let dir = tempfile::tempdir().expect("a folder");
        run(Command::new("mount")
            .args(["-o", "loop"])
            .arg(image)
            .arg(dir.path()))?;
        Ok(Self(dir))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = run(Command::new("umount").arg(self.0.path()));
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Err(format!("{command:?}: {error}")),
    }
}

fn made(image: &Path) -> Result<Mounted, String> {
    let file = std::fs::File::create(image).expect("creates");
    file.set_len(256 << 20).expect("sets the size");
    run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(image))?;
    Mounted::new(image)
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_by_a_power_cut() {
    if !long() || !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: needs root and NETBOOT_LONG=1");
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let (image, copy) = (dir.path().join("image"), dir.path().join("copy"));
    let mounted = match made(&image) {
        Ok(mounted) => mounted,
        Err(why) => {
            eprintln!("skipped: {why}");
            return;
        }
    };
    let state = mounted.0.path().join("state");
    let (mut events, mut addresses, mut rebuilt) = (BTreeSet::new(), BTreeSet::new(), 0);
    for cut in 0..25 {
        let first = events.last().map_or(0, |n| n + 1000);
        let patience = usize::from(u16::from_le_bytes(clock::random())) % 600 + 1;
        let (mut child, mut told) = start(&state, first);
        for told in told.by_ref().take(patience) {
            match told {
                Told::Event(n) => _ = events.insert(n),
                Told::Lease(n) => _ = addresses.insert(address(n)),
            }
        }
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
        kill(pid, Signal::SIGSTOP).expect("is stopped");
        run(Command::new("cp")
            .arg("--sparse=always")
            .arg(&image)
            .arg(&copy))
        .expect("copies");
        child.kill().expect("is killed");
        child.wait().expect("ended");
        // What it was told after the cut may be in the next one.
        drop(told);

        let after = Mounted::new(&copy).expect("the file system heals itself");
        let state = after.0.path().join("state");
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
