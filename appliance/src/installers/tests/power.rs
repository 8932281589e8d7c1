//! A power cut while an installer is put in place: what has reached the block device then is all there is.

use super::*;
use crate::testing::cuts::{Mounted, blank, long, power_cut, start_child, uncut};
use netboot::api::types::InstallerRequest;
use netboot::base::timestamp::Timestamp;
use netboot::publish::installer::InstallerManifest;
use std::fs;

const CHILD: &str = "NETBOOT_INSTALLERS_CHILD";

/// Bytes of a file: more than what one write puts on the disk.
const SIZE: usize = 3 << 20;

fn octets(what: &str, letter: char) -> Vec<u8> {
    format!("{what} {letter}\n").repeat(SIZE / 9).into_bytes()
}

async fn large(installers: &Installers, letter: char) -> InstallerRequest {
    InstallerRequest {
        path: path(letter),
        source: FlakeSource::default(),
        parts: Some(InstallerManifest {
            arch: "x86_64".to_owned(),
            cmdline: format!("init={letter}"),
            kernel: send_large(installers, &octets("kernel", letter)).await,
            initrd: send_large(installers, &octets("initrd", letter)).await,
        }),
    }
}

async fn send_large(installers: &Installers, octets: &[u8]) -> ImageFile {
    let part = ImageFile {
        sha256: Digest::new(Sha256::digest(octets).into()),
        size: octets.len() as u64,
    };
    if installers.has(&part) {
        return part;
    }
    let receiving = installers.receive(&part.sha256, part.size, None).await;
    let mut receiving = receiving.expect("space");
    for octets in octets.chunks(1 << 16) {
        receiving.take(octets).await.expect("takes");
    }
    receiving.finish().await.expect("whole");
    part
}

/// The child: not a test by itself. Sends an installer and publishes it.
#[tokio::test]
async fn child() {
    let Ok(state_dir) = std::env::var(CHILD) else {
        return;
    };
    let installers = opened(Path::new(&state_dir), &[]);
    let request = large(&installers, '2').await;
    let published = installers.publish(request, BTreeSet::default, Timestamp::default(), on_record);
    assert!(published.expect("publishes").changed);
}

/// The letter of the installer that machines boot, every octet of it.
#[track_caller]
fn booted(installers: &Installers, what: &str) -> char {
    let image = installers.for_arch("x86_64");
    let image = image.unwrap_or_else(|| panic!("{what}: machines have nothing to boot"));
    let letter = image.image.cmdline.chars().last().expect("a letter");
    for (part, file) in [("kernel", &image.kernel), ("initrd", &image.initrd)] {
        let same = fs::read(file).is_ok_and(|read| read == octets(part, letter));
        assert!(same, "{what}: the {part} of {letter} is torn");
    }
    letter
}

#[tokio::test]
async fn a_power_cut_leaves_the_old_installer_or_the_new_one_and_either_whole() {
    let dir = tempfile::tempdir().expect("a folder");
    let first = match blank(dir.path(), 192 << 20) {
        Ok(first) => first,
        Err(why) => return crate::testing::skipped(&why),
    };
    let cut = dir.path().join("cut");
    let mounted = Mounted::new(&first).expect("mounts");
    let installers = opened(&mounted.state_dir(), &[]);
    let request = large(&installers, '1').await;
    let published = installers.publish(request, BTreeSet::default, Timestamp::default(), on_record);
    assert!(published.expect("publishes").changed);
    drop(mounted);
    let start = |mounted: &Mounted| {
        let state_dir = mounted.state_dir().display().to_string();
        start_child("installers::tests::power::child", (CHILD, &state_dir))
    };
    let took = uncut(&first, start);

    let cuts = if long() { 200 } else { 3 };
    let mut new = 0;
    for n in 0..cuts {
        power_cut(&first, &cut, took, &start).await;

        let after = Mounted::new(&cut).expect("the file system heals itself");
        let installers = opened(&after.state_dir(), &[]);
        new += usize::from(booted(&installers, &format!("cut {n}")) == '2');
        let request = large(&installers, '2').await;
        let published =
            installers.publish(request, BTreeSet::default, Timestamp::default(), on_record);
        published.unwrap_or_else(|refusal| panic!("cut {n}: {refusal} {:?}", refusal.facts));
        assert_eq!(booted(&installers, &format!("cut {n}, again")), '2');
    }
    eprintln!("{cuts} cuts: {new} came after the end");
}
