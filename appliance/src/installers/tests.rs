//! Installers that are published into a folder of their own.

use crate::installers::record::InstallerRecord;
use netboot::api::types::InstallerRequest;
use netboot::base::refusal::RefusalCode;
use netboot::base::release::FlakeSource;
use netboot::base::timestamp::Timestamp;
use netboot::loader::script::BootImage;
use netboot::publish::installer::InstallerManifest;
use nix_publish::installer::KERNEL;
use std::fs;

use sha2::{Digest as _, Sha256};

use super::*;

mod power;

/// A folder as a store path holds it.
fn built(folder: &Path, files: &[(&str, &str)]) {
    fs::create_dir_all(folder).expect("makes");
    for (name, text) in files {
        fs::write(folder.join(name), text).expect("writes");
    }
}

fn opened(state: &Path, configured: &[InstallerImage]) -> Installers {
    Installers::open(state, configured, DiskBudget::default()).expect("opens")
}

/// The journal takes it down.
fn on_record(_: &PublishedInstaller) -> Result<(), Refusal> {
    Ok(())
}

fn path(letter: char) -> StorePath {
    let hash = letter.to_string().repeat(32);
    format!("/nix/store/{hash}-installer")
        .parse()
        .expect("a store path")
}

/// A file as a workstation sends it.
async fn send(installers: &Installers, octets: &[u8]) -> ImageFile {
    let part = ImageFile {
        sha256: Digest::new(Sha256::digest(octets).into()),
        size: octets.len() as u64,
    };
    let receiving = installers.receive(&part.sha256, part.size, None).await;
    let mut receiving = receiving.expect("space");
    for octets in octets.chunks(3) {
        receiving.take(octets).await.expect("takes");
    }
    receiving.finish().await.expect("whole");
    part
}

/// An installer whose files say which one it is.
async fn request(installers: &Installers, letter: char) -> InstallerRequest {
    InstallerRequest {
        path: path(letter),
        source: FlakeSource::default(),
        parts: Some(InstallerManifest {
            arch: "x86_64".to_owned(),
            cmdline: format!("init={letter}"),
            kernel: send(installers, format!("kernel {letter}").as_bytes()).await,
            initrd: send(installers, format!("initrd {letter}").as_bytes()).await,
        }),
    }
}

async fn publish(installers: &Installers, letter: char) -> bool {
    let request = request(installers, letter).await;
    let open = || installers.begun(|_| true);
    let published = installers.publish(request, open, Timestamp::default(), on_record);
    published.expect("publishes").changed
}

/// What an image consists of, if all of it is of one build.
#[track_caller]
fn letter_of(image: &InstallerImage) -> String {
    let read = |file: &Path| fs::read_to_string(file).expect("reads");
    let letter = image.image.cmdline.trim_start_matches("init=").to_owned();
    assert_eq!(read(&image.kernel), format!("kernel {letter}"));
    assert_eq!(read(&image.initrd), format!("initrd {letter}"));
    letter
}

fn folders(state: &Path) -> Vec<String> {
    let entries = fs::read_dir(state.join("installers/x86_64")).expect("lists");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = names.map(|n| n.into_string().expect("UTF-8")).collect();
    names.sort();
    names.iter().map(|name| name[..1].to_owned()).collect()
}

#[tokio::test]
async fn what_was_sent_is_booted_at_once_and_after_a_restart_and_so_is_the_one_before_it() {
    let state = tempfile::tempdir().expect("a folder");
    let open = || opened(state.path(), &[]);
    let installers = open();
    assert!(installers.all().is_empty());
    for letter in ['1', '2', '3'] {
        assert!(publish(&installers, letter).await);
        let image = installers.for_arch("x86_64").expect("is there");
        assert_eq!(letter_of(&image), letter.to_string());
    }
    assert!(!publish(&installers, '3').await, "it is so already");
    // Half a copy, as a power cut leaves it.
    let folder = state.path().join("installers/x86_64");
    built(&folder.join("4.new"), &[(KERNEL, "kernel")]);
    built(
        &state.path().join("installers/incoming"),
        &[("0123456789abcdef.half", "half")],
    );

    for installers in [installers, open()] {
        let image = installers.for_arch("x86_64").expect("is there");
        assert_eq!(image.image.name, "installer-33333333");
        assert_eq!(letter_of(&image), "3");
        assert!(installers.for_arch("aarch64").is_none());
        for (name, there) in [
            ("installer-33333333", true),
            ("installer-22222222", true),
            ("installer-11111111", false),
            ("installer", false),
        ] {
            assert_eq!(installers.named(name, "x86_64").is_some(), there, "{name}");
        }
        let about = installers.about("x86_64");
        assert_eq!(about.published.map(|i| i.path), Some(path('3')));
        assert_eq!(about.configured, None);
    }
    assert_eq!(folders(state.path()), ["2", "3"]);
    // Of the one that was sent in vain, whole files wait for whoever sent them; halves do not.
    let waiting = fs::read_dir(state.path().join("installers/incoming")).expect("lists");
    let names: Vec<_> = waiting.map(|e| e.expect("an entry").file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[tokio::test]
async fn an_installer_stays_for_a_machine_that_has_begun_with_it() {
    let state = tempfile::tempdir().expect("a folder");
    let installers = opened(state.path(), &[]);
    let mac: Mac = "52:54:00:12:34:56".parse().expect("a MAC");
    publish(&installers, '1').await;
    installers.begin(mac, "installer-11111111");
    for letter in ['2', '3', '4'] {
        publish(&installers, letter).await;
        let begun = installers.begun_by(mac).expect("it has begun");
        let image = installers.named(&begun, "x86_64").expect("is still there");
        assert_eq!(letter_of(&image), "1");
    }
    assert_eq!(folders(state.path()), ["1", "3", "4"]);
    // The same build comes back, under its name.
    publish(&installers, '1').await;
    let newest = installers.for_arch("x86_64").expect("is there");
    assert_eq!(letter_of(&newest), "1");
    publish(&installers, '5').await;

    // It is done: what it began with goes with the next one but one.
    let done = || installers.begun(|_| false);
    for letter in ['6', '7'] {
        let request = request(&installers, letter).await;
        let published = installers.publish(request, done, Timestamp::default(), on_record);
        assert!(published.expect("publishes").changed);
    }
    assert_eq!(folders(state.path()), ["6", "7"]);
    assert_eq!(installers.begun_by(mac), None);
}

#[tokio::test]
async fn what_is_sent_is_what_it_should_be_or_nothing() {
    let state = tempfile::tempdir().expect("a folder");
    let installers = opened(state.path(), &[]);
    let incoming = || {
        fs::read_dir(state.path().join("installers/incoming"))
            .expect("lists")
            .count()
    };
    let name = Digest::new(Sha256::digest(b"kernel").into());
    let refusal = installers.receive(&name, 1 << 60, None).await;
    let refusal = refusal.expect_err("no machine has so much memory");
    assert_eq!(refusal.code, RefusalCode::TooLarge, "{refusal}");

    let mut receiving = installers.receive(&name, 6, None).await.expect("space");
    receiving.take(b"kern").await.expect("takes");
    assert_eq!(incoming(), 1);
    drop(receiving);
    assert_eq!(incoming(), 0, "the client left");
    let mut receiving = installers.receive(&name, 6, None).await.expect("space");
    receiving.take(b"kernle").await.expect("takes");
    let refusal = receiving.finish().await.expect_err("another file");
    assert!(
        refusal.message.contains("not the file that its name says"),
        "{refusal}"
    );
    assert_eq!(incoming(), 0);

    let good = request(&installers, '1').await;
    let changed = |change: &dyn Fn(&mut InstallerManifest)| {
        let mut request = good.clone();
        change(request.parts.as_mut().expect("parts"));
        request
    };
    let absent = ImageFile {
        sha256: name,
        size: 6,
    };
    for (what, request, want) in [
        (
            "a kernel that nobody sent",
            changed(&|p| p.kernel = absent.clone()),
            "the installer's kernel is not here",
        ),
        (
            "another size",
            changed(&|p| p.initrd.size += 1),
            "the installer's initrd is not here",
        ),
        (
            "no machine of this kind",
            changed(&|p| p.arch = "../x86_64".to_owned()),
            "its arch is `../x86_64`, not x86_64 or aarch64",
        ),
        (
            "more than a command line",
            changed(&|p| p.cmdline = "a\n#!ipxe".to_owned()),
            "its cmdline has the character",
        ),
    ] {
        let none = BTreeSet::default;
        let refusal = installers.publish(request, none, Timestamp::default(), on_record);
        let refusal = refusal.expect_err(what);
        let said = format!("{refusal} {:?}", refusal.facts);
        assert!(said.contains(want), "{what}: {said}");
        assert!(said.contains("nothing was changed"), "{what}: {said}");
        assert!(installers.all().is_empty(), "{what}");
    }
    let published = installers.publish(good, BTreeSet::default, Timestamp::default(), on_record);
    assert!(published.expect("publishes").changed, "nothing was used up");
}

#[tokio::test]
async fn a_damaged_record_serves_nothing_and_removes_nothing() {
    let state = tempfile::tempdir().expect("a folder");
    let installers = opened(state.path(), &[]);
    publish(&installers, '1').await;
    let record = state.path().join("installers/x86_64.json");
    let good = fs::read(&record).expect("reads");
    fs::write(&record, &good[..good.len() / 2]).expect("cuts");
    assert!(opened(state.path(), &[]).all().is_empty());
    fs::write(&record, good).expect("mends");
    assert_eq!(opened(state.path(), &[]).all().len(), 1);
}

#[tokio::test]
async fn an_installer_of_the_configuration_goes_first() {
    let state = tempfile::tempdir().expect("a folder");
    let installers = opened(state.path(), &[]);
    publish(&installers, '1').await;
    let own = InstallerImage {
        kernel: "/srv/kernel".into(),
        initrd: "/srv/initrd".into(),
        image: BootImage {
            name: "own".to_owned(),
            arch: "x86_64".to_owned(),
            cmdline: String::new(),
        },
    };
    let installers = opened(state.path(), &[own]);
    assert_eq!(
        installers.for_arch("x86_64").expect("is there").image.name,
        "own"
    );
    assert_eq!(installers.all().len(), 1);
    assert_eq!(
        installers.about("x86_64").configured.as_deref(),
        Some("own")
    );
    let request = request(&installers, '2').await;
    let refusal = installers.publish(request, BTreeSet::default, Timestamp::default(), on_record);
    let refusal = refusal.expect_err("it would not be booted");
    assert_eq!(refusal.code, RefusalCode::WrongState, "{refusal}");
    assert!(refusal.facts[0].contains("[images.own]"), "{refusal:?}");
}

/// What was recorded, for an appliance that starts.
fn agreed(state: &Path, recorded: char) -> Installers {
    let installers = opened(state, &[]);
    installers.agree(|arch| (arch == "x86_64").then(|| path(recorded)));
    installers
}

#[track_caller]
fn assert_boots(installers: &Installers, what: &str, letter: char) {
    let image = installers.for_arch("x86_64").expect(what);
    assert_eq!(letter_of(&image), letter.to_string(), "{what}");
    let known: Vec<_> = installers.published().into_iter().map(|i| i.path).collect();
    assert_eq!(known, [path(letter)], "{what}");
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_booted_and_what_cannot_be_booted_is_not_recorded() {
    let state = tempfile::tempdir().expect("a folder");
    let installers = opened(state.path(), &[]);
    publish(&installers, '1').await;
    for what in [
        "the journal cannot be written",
        "its file cannot be written",
    ] {
        let in_the_way = state.path().join("installers/x86_64.json.new");
        let is_written = what.starts_with("the journal");
        if !is_written {
            fs::create_dir(&in_the_way).expect("makes");
        }
        let mut asked = false;
        let refuse = |_: &PublishedInstaller| {
            asked = true;
            Err(Refusal::new(
                RefusalCode::StoreUnavailable,
                "the disk is full",
            ))
        };
        let request = request(&installers, '2').await;
        let open = || installers.begun(|_| true);
        let published = installers.publish(request, open, Timestamp::default(), refuse);
        published.expect_err(what);
        assert_eq!(asked, is_written, "{what}");
        assert_boots(&installers, what, '1');
        assert_boots(&agreed(state.path(), '1'), what, '1');
        assert_eq!(folders(state.path()), ["1"], "{what}");
        let _ = fs::remove_dir(&in_the_way);
    }
    assert!(publish(&installers, '2').await, "sent again, it is booted");
    assert_boots(&installers, "again", '2');
}

#[tokio::test]
async fn a_service_that_ends_before_or_after_an_installer_is_recorded_boots_what_is_on_record() {
    let state = tempfile::tempdir().expect("a folder");
    let installers = opened(state.path(), &[]);
    for letter in ['1', '2'] {
        publish(&installers, letter).await;
    }
    // A new one, and one that machines booted before.
    for (before, letter) in [('2', '3'), ('3', '2')] {
        let request = request(&installers, letter).await;
        let mut looked = false;
        let look = |installer: &PublishedInstaller| {
            looked = true;
            assert_eq!(installer.path, path(letter));
            assert_boots(&installers, "not yet", before);
            assert_boots(&agreed(state.path(), before), "ended before", before);
            assert_boots(&agreed(state.path(), letter), "ended after", letter);
            Ok(())
        };
        let open = || installers.begun(|_| true);
        let published = installers.publish(request, open, Timestamp::default(), look);
        assert!(published.expect("publishes").changed && looked);
        assert_boots(&installers, "in force", letter);
    }
    // A journal from a backup knows another: what is here is booted.
    assert_boots(&agreed(state.path(), '9'), "unknown", '2');
}

/// `installers/x86_64.json` of an older version is read by a newer one.
#[test]
fn a_record_is_stored_as_it_always_was() {
    let installer = |letter, seconds: i64| PublishedInstaller {
        arch: "x86_64".to_owned(),
        path: path(letter),
        published: Timestamp::from_millis(1000 * seconds),
        source: FlakeSource::default(),
    };
    let record = InstallerRecord {
        current: installer('2', 2),
        earlier: vec![installer('1', 1)],
    };
    let stored = r#"{"current":{"arch":"x86_64","path":"/nix/store/22222222222222222222222222222222-installer","published":"1970-01-01T00:00:02.000Z","source":{}},"earlier":[{"arch":"x86_64","path":"/nix/store/11111111111111111111111111111111-installer","published":"1970-01-01T00:00:01.000Z","source":{}}]}"#;
    assert_eq!(serde_json::to_string(&record).expect("writes"), stored);
    let again: InstallerRecord = serde_json::from_str(stored).expect("reads");
    assert_eq!(
        again.all().collect::<Vec<_>>(),
        record.all().collect::<Vec<_>>()
    );
}
