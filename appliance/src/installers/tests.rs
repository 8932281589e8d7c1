//! Installers that are published into a folder of their own.

use netboot::wire::Source;

use super::*;

/// A folder as a store path holds it. Publishing reads `/nix/store`, so only what it checks is tried from elsewhere.
fn built(folder: &Path, files: &[(&str, &str)]) {
    fs::create_dir_all(folder).expect("makes");
    for (name, text) in files {
        fs::write(folder.join(name), text).expect("writes");
    }
}

const WHOLE: [(&str, &str); 4] = [
    (KERNEL, "kernel"),
    (INITRD, "initrd"),
    (CMDLINE, "console=ttyS0\n"),
    (ARCH, "x86_64\n"),
];

fn path(letter: char) -> StorePath {
    let hash = letter.to_string().repeat(32);
    format!("/nix/store/{hash}-installer")
        .parse()
        .expect("a store path")
}

#[test]
fn what_is_no_installer_is_refused_with_what_it_lacks() {
    let folder = tempfile::tempdir().expect("a folder");
    let but = |name: &str, text: &str| -> Vec<(&'static str, String)> {
        let files = WHOLE
            .iter()
            .filter(|(file, _)| text != "-" || *file != name);
        let text_of = |(file, usual): &(&'static str, &str)| {
            let text = if *file == name { text } else { usual };
            (*file, text.to_owned())
        };
        files.map(text_of).collect()
    };
    for (what, files, want) in [
        ("no initrd", but(INITRD, "-"), "it has no initrd"),
        ("an empty kernel", but(KERNEL, ""), "its kernel is empty"),
        (
            "two lines",
            but(CMDLINE, "a\nb"),
            "its cmdline has the character '\\n'; it must be one line of ASCII",
        ),
        (
            "a book",
            but(CMDLINE, &"a".repeat(9000)),
            "its cmdline is too long",
        ),
        (
            "another machine",
            but(ARCH, "riscv64"),
            "its arch is `riscv64`, not x86_64 or aarch64",
        ),
    ] {
        let dir = folder.path().join(what);
        let files: Vec<_> = files
            .iter()
            .map(|(name, text)| (*name, text.as_str()))
            .collect();
        built(&dir, &files);
        let refusal = look_at(&dir, &path('1')).expect_err(what);
        assert_eq!(refusal.facts[0], want, "{what}");
        assert!(
            refusal.message.ends_with("is not an installer"),
            "{refusal}"
        );
    }
    let dir = folder.path().join("whole");
    built(&dir, &WHOLE);
    assert_eq!(look_at(&dir, &path('1')).as_deref(), Ok("x86_64"));
    let refusal = look_at(&folder.path().join("none"), &path('1')).expect_err("is not there");
    assert!(
        refusal
            .message
            .contains("is not in this machine's Nix store"),
        "{refusal}"
    );
}

/// As `publish` leaves them, without the Nix store that it takes them from.
fn publish(state: &Path, current: char, before: Option<char>) {
    let installer = |letter| Installer {
        arch: "x86_64".to_owned(),
        path: path(letter),
        published: Timestamp::default(),
        source: Source::default(),
    };
    let from = state.join("from");
    built(&from, &WHOLE);
    let dir = state.join("installers");
    let folder = dir.join("x86_64").join(path(current).hash());
    durable::make_dir(folder.parent().expect("a parent")).expect("makes");
    copy(&from, &folder).expect("copies");
    let record = Record {
        current: installer(current),
        before: before.map(installer),
    };
    let text = serde_json::to_vec(&record).expect("writes");
    durable::write(&dir.join("x86_64.json"), 0o600, &text).expect("writes");
}

#[test]
fn what_was_published_is_there_after_a_restart_and_the_one_before_it() {
    let state = tempfile::tempdir().expect("a folder");
    assert!(
        Installers::open(state.path(), &[])
            .expect("opens")
            .all()
            .is_empty()
    );
    publish(state.path(), '1', None);
    publish(state.path(), '2', Some('1'));
    publish(state.path(), '3', Some('2'));
    // Half a copy, as a power cut leaves it.
    let folder = state.path().join("installers/x86_64");
    built(&folder.join("4.new"), &WHOLE[..1]);

    let installers = Installers::open(state.path(), &[]).expect("opens");
    let image = installers.for_arch("x86_64").expect("is there");
    assert_eq!(image.image.name, "installer-33333333");
    assert_eq!(image.image.cmdline, "console=ttyS0");
    assert_eq!(fs::read_to_string(image.initrd).expect("reads"), "initrd");
    assert!(installers.for_arch("aarch64").is_none());
    for (name, there) in [
        ("installer-33333333", true),
        ("installer-22222222", true),
        ("installer-11111111", false),
        ("installer", false),
    ] {
        assert_eq!(installers.named(name, "x86_64").is_some(), there, "{name}");
    }
    let mut left: Vec<_> = fs::read_dir(&folder)
        .expect("lists")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["2".repeat(32).as_str(), "3".repeat(32).as_str()]);
    let about = installers.about("x86_64");
    assert_eq!(about.published.map(|i| i.path), Some(path('3')));
    assert_eq!(about.configured, None);
}

#[test]
fn a_damaged_record_serves_nothing_and_removes_nothing() {
    let state = tempfile::tempdir().expect("a folder");
    Installers::open(state.path(), &[]).expect("opens");
    publish(state.path(), '1', None);
    let record = state.path().join("installers/x86_64.json");
    let good = fs::read(&record).expect("reads");
    fs::write(&record, &good[..good.len() / 2]).expect("cuts");
    assert!(
        Installers::open(state.path(), &[])
            .expect("opens")
            .all()
            .is_empty()
    );
    fs::write(&record, good).expect("mends");
    assert_eq!(
        Installers::open(state.path(), &[])
            .expect("opens")
            .all()
            .len(),
        1
    );
}

#[test]
fn an_installer_of_the_configuration_goes_first() {
    let state = tempfile::tempdir().expect("a folder");
    Installers::open(state.path(), &[]).expect("opens");
    publish(state.path(), '1', None);
    let own = InstallerImage {
        kernel: "/srv/kernel".into(),
        initrd: "/srv/initrd".into(),
        image: Image {
            name: "own".to_owned(),
            arch: "x86_64".to_owned(),
            cmdline: String::new(),
        },
    };
    let installers = Installers::open(state.path(), &[own]).expect("opens");
    assert_eq!(
        installers.for_arch("x86_64").expect("is there").image.name,
        "own"
    );
    assert_eq!(installers.all().len(), 1);
    assert_eq!(
        installers.about("x86_64").configured.as_deref(),
        Some("own")
    );
}
