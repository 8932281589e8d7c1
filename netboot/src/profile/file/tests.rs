//! Profiles that are fine, and every way in which they are not.

use expect_test::{Expect, expect};

use super::*;

const WORKER: &str = r#"
system = "x86_64-linux"
description = "k3s worker on any mini PC"

[[machine]]
name = "node1"
mac = ["52:54:00:12:34:56", "52-54-00-12-34-57"]

[match]
mac = ["b8:27:eb:*", "b8:27:*"]

[disk]
select = { smallest = true, min-size = "20G" }
layout = "ext4"

[k3s]
role = "agent"
labels = { tier = "worker" }

[nixos]
modules = ["roles/worker.nix"]
kernel-params = ["console=ttyS0"]
"#;

fn read(files: &[(&str, &str)]) -> Result<Profiles, Vec<Problem>> {
    let files = files
        .iter()
        .map(|(name, text)| (format!("hosts/profiles/{name}"), (*text).to_owned()));
    Profiles::read(&files.collect::<Vec<_>>())
}

#[track_caller]
fn problems(files: &[(&str, &str)], want: Expect) {
    let problems = read(files).expect_err("has problems");
    let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
    want.assert_eq(&(text.join("\n") + "\n"));
}

#[test]
fn the_example_of_the_contract_is_read() {
    let profiles = read(&[("worker.toml", WORKER)]).expect("is fine");
    let worker = profiles.by_name.values().next().expect("one");
    assert_eq!(worker.name.as_str(), "worker");
    assert_eq!(worker.system.as_str(), "worker");
    assert_eq!(worker.role, Some(Role::Agent));
    assert_eq!(worker.select[0].min_size, Some(20 << 30));
    let mac = |text: &str| text.parse().expect("a MAC");
    for (name, asked, found) in [
        ("listed", "52:54:00:12:34:57", true),
        ("by pattern", "b8:27:eb:00:00:01", true),
        ("nobody's", "52:54:00:00:00:01", false),
    ] {
        assert_eq!(profiles.for_mac(mac(asked)).is_some(), found, "{name}");
    }
}

#[test]
fn the_most_specific_pattern_wins() {
    let pi = WORKER
        .replace("node1", "pi1")
        .replace("52", "56")
        .replace("b8:27:eb:*", "b8:27:eb:01:*");
    let pi = pi.replace(", \"b8:27:*\"", "");
    let profiles = read(&[("worker.toml", WORKER), ("pi.toml", &pi)]).expect("is fine");
    let name = |mac: &str| {
        profiles
            .for_mac(mac.parse().expect("a MAC"))
            .map(|p| p.name.to_string())
    };
    assert_eq!(name("b8:27:eb:01:00:01").as_deref(), Some("pi"));
    assert_eq!(name("b8:27:eb:02:00:01").as_deref(), Some("worker"));
}

#[test]
fn a_pattern_is_whole_octets_from_the_first() {
    for (text, want) in [
        ("b8:27:eb:*", Some(vec![0xb8, 0x27, 0xeb])),
        ("B8:*", Some(vec![0xb8])),
        ("+a:*", None),
        ("b8:-1:*", None),
        ("b:*", None),
        ("0b8:*", None),
        (":*", None),
        ("*", None),
    ] {
        let read = text.parse::<Pattern>().ok();
        assert_eq!(read.map(|pattern| pattern.0), want, "{text}");
    }
}

#[test]
fn every_problem_is_reported_with_its_place() {
    let bad = r#"
system = "x86-linux"
description = "a\u0000b"
confirm = "code"

[[machine]]
name = "Node_1"
mac = ["52:54:00:12:34", "01:00:5e:00:00:01"]

[[machine]]
name = "empty"
mac = []

[match]
mac = ["b8-27"]

[disk]
select = { min-size = "20 gigs", smallest = true, largest = true }
layout = "etx4"

[k3s]
role = "agnet"
"#;
    problems(
        &[("bad.toml", bad)],
        expect![[r#"
            hosts/profiles/bad.toml:2:10: no system is called `x86-linux`, expected one of `x86_64-linux`, `aarch64-linux`
            hosts/profiles/bad.toml:3:15: holds a NUL character, which Nix refuses to read
            hosts/profiles/bad.toml:4:11: no available way to confirm is called `code`, expected `auto`
            hosts/profiles/bad.toml:7:8: the name `Node_1` has the character 'N'; allowed are a-z, 0-9 and -
            hosts/profiles/bad.toml:8:8: the MAC `52:54:00:12:34` has 5 octets, a MAC address has 6 (like 52:54:00:12:34:56)
            hosts/profiles/bad.toml:8:26: the MAC `01:00:5e:00:00:01` is a group address; network cards do not have one
            hosts/profiles/bad.toml:12:7: a machine needs at least one MAC
            hosts/profiles/bad.toml:15:8: the pattern `b8-27` is not a MAC pattern; write the first octets and `*`, like b8:27:eb:*
            hosts/profiles/bad.toml:18:10: a disk cannot be the smallest and the largest
            hosts/profiles/bad.toml:18:23: `20 gigs` is not a size; write it like 20G or 512M
            hosts/profiles/bad.toml:19:10: no layout is called `etx4`, expected one of `ext4`, `xfs`, `btrfs`, `luks-ext4`, `luks-btrfs`, `mirror`, `zfs`
              tip: did you mean `ext4`?
            hosts/profiles/bad.toml:22:8: no role is called `agnet`, expected one of `server-init`, `server`, `agent`, `none`
              tip: did you mean `agent`?
        "#]],
    );
}

#[test]
fn a_file_that_is_not_toml_does_not_hide_the_others() {
    problems(
        &[
            ("a.toml", "system = \n"),
            ("b.toml", &WORKER.replace("[disk]", "[dsik]")),
            ("c.toml", &WORKER.replace("smallest = true", "smallest = 1")),
            ("D_.toml", WORKER),
        ],
        expect![[r#"
            hosts/profiles/D_.toml:1:1: the file name `D_` has the character 'D'; allowed are a-z, 0-9, -, _ and .
            hosts/profiles/a.toml:1:10: invalid string: expected `"`, `'`
            hosts/profiles/b.toml:1:1: the profile has no table `[disk]`
              tip: add [disk] with select = { smallest = true } and layout = "ext4"
            hosts/profiles/b.toml:12:2: unknown field `dsik`, expected one of `confirm`, `description`, `disk`, `k3s`, `machine`, `match`, `nixos`, `system`
              tip: did you mean `disk`?
            hosts/profiles/c.toml:13:23: `smallest` must be true or false, found an integer
        "#]],
    );
}

#[test]
fn what_two_files_say_differently_names_both_places() {
    problems(
        &[("a.toml", WORKER), ("b.toml", WORKER)],
        expect![[r#"
        hosts/profiles/b.toml:6:8: the name `node1` is also in hosts/profiles/a.toml:6:8
        hosts/profiles/b.toml:7:8: 52:54:00:12:34:56 is also in hosts/profiles/a.toml:7:8
        hosts/profiles/b.toml:7:29: 52:54:00:12:34:57 is also in hosts/profiles/a.toml:7:29
        hosts/profiles/b.toml:10:8: this pattern is also in hosts/profiles/a.toml:10:8
        hosts/profiles/b.toml:10:22: this pattern is also in hosts/profiles/a.toml:10:22
    "#]],
    );
}

#[test]
fn a_machine_with_modules_of_its_own_has_a_system_of_its_own() {
    let own = WORKER.replace(
        "mac = [\"52",
        "modules = [\"machines/node1.nix\"]\nmac = [\"52",
    );
    let profiles = read(&[("worker.toml", &own)]).expect("is fine");
    let worker = profiles.by_name.values().next().expect("one");
    let name = |text: &str| text.parse::<HostName>().expect("a name");
    for (machine, system) in [
        (Some(name("node1")), "node1"),
        (Some(name("node2")), "worker"),
        (None, "worker"),
    ] {
        assert_eq!(worker.system_of(machine.as_ref()).as_str(), system);
    }
}

#[test]
fn a_system_is_one_machine_s_or_one_profile_s() {
    let own = WORKER.replace("node1", "db").replace(
        "mac = [\"52",
        "modules = [\"machines/db.nix\"]\nmac = [\"52",
    );
    let db =
        "system = \"x86_64-linux\"\ndisk = { select = { smallest = true }, layout = \"ext4\" }\n";
    problems(
        &[("worker.toml", &own), ("db.toml", db)],
        expect![[r#"
            hosts/profiles/worker.toml:6:8: `db` has modules of its own, but its system's name is that of hosts/profiles/db.toml
              tip: give the machine another name
        "#]],
    );
}

#[test]
fn a_table_may_be_written_with_dotted_keys() {
    let inline = "select = { smallest = true, min-size = \"20G\" }";
    assert!(WORKER.contains(inline));
    for (name, dotted) in [
        (
            "in its table",
            "select.smallest = true\nselect.min-size = \"20G\"",
        ),
        (
            "over two lines",
            "select.smallest = true\n\nselect.min-size = '20G'",
        ),
    ] {
        let text = WORKER.replace(inline, dotted);
        let whole = read(&[("worker.toml", WORKER)]).expect("is fine");
        assert_eq!(
            read(&[("worker.toml", &text)]).expect(name),
            whole,
            "{name}"
        );
    }
    let both = WORKER.replace(inline, "select.smallest = true\nselect.largest = true");
    problems(
        &[("a.toml", &both)],
        expect![[r#"
            hosts/profiles/a.toml:13:1: a disk cannot be the smallest and the largest
        "#]],
    );
}

/// Many disks have no serial number or WWN: an empty word would select each of them.
#[test]
fn a_disk_is_not_named_by_nothing() {
    let inline = "select = { smallest = true, min-size = \"20G\" }";
    for key in ["serial", "wwn", "model", "by-id", "bus"] {
        let empty = WORKER.replace(inline, &format!("select = {{ {key} = \" \" }}"));
        let said = read(&[("a.toml", &empty)]).expect_err(key);
        let wanted = format!("`{key}` is empty");
        assert!(said.iter().any(|one| one.message == wanted), "{said:?}");
    }
}

#[test]
fn what_goes_into_the_system_is_what_it_takes_there() {
    let bad = WORKER
        .replace(
            "{ tier = \"worker\" }",
            "{ \"bad key !\" = \"x y\", rack = \"-1\", none = \"\", \"node-role.kubernetes.io/worker\" = \"true\" }",
        )
        .replace(
            "[\"console=ttyS0\"]",
            "[\"quiet\", \"a b\", \"\", \"dyndbg=\\\"file x +p\\\"\", \"x=\\\"y\"]",
        );
    problems(
        &[("a.toml", &bad)],
        expect![[r#"
        hosts/profiles/a.toml:18:12: the label `bad key !` has the character ' '; allowed are letters, digits, -, _ and .
          tip: write it like tier, or example.org/tier
        hosts/profiles/a.toml:18:26: the label's value `x y` has the character ' '; allowed are letters, digits, -, _ and .
        hosts/profiles/a.toml:18:40: the label's value `-1` must begin and end with a letter or a digit
        hosts/profiles/a.toml:18:57: a node may not give itself the label `node-role.kubernetes.io/worker`: the kubelet would not start
          tip: take another name, or give it once the node has joined: kubectl label node NAME 'node-role.kubernetes.io/worker=true'
        hosts/profiles/a.toml:22:27: `a b` is more than one kernel parameter
          tip: write each by itself: "a", "b"
        hosts/profiles/a.toml:22:34: is empty; a kernel parameter is one word
        hosts/profiles/a.toml:22:62: `x="y` has a quote that is not closed
    "#]],
    );
    let dotted = WORKER
        .replace("labels = { tier = \"worker\" }", "labels.tier = \"x y\"")
        .replace("[\"console=ttyS0\"]", "[\"dyndbg=\\\"file x +p\\\"\"]");
    problems(
        &[("a.toml", &dotted)],
        expect![[r#"
        hosts/profiles/a.toml:18:15: the label's value `x y` has the character ' '; allowed are letters, digits, -, _ and .
    "#]],
    );
}

#[test]
fn modules_are_named_with_their_places() {
    let own = WORKER.replace(
        "mac = [\"52",
        "modules = [\"machines/db.nix\"]\nmac = [\"52",
    );
    let named: Vec<String> = Profiles::modules("a.toml", &own)
        .iter()
        .map(|(module, place)| format!("{module} {place}"))
        .collect();
    assert_eq!(
        named,
        [
            "machines/db.nix a.toml:7:12: ",
            "roles/worker.nix a.toml:22:12: "
        ]
    );
    assert_eq!(Profiles::modules("a.toml", "["), []);
}

#[test]
fn a_disk_must_be_selected() {
    let none = WORKER.replace("smallest = true, min-size = \"20G\"", "");
    problems(
        &[("a.toml", &none)],
        expect![[r#"
            hosts/profiles/a.toml:13:10: `select` describes no disk
              tip: say which disk is meant, like { smallest = true, min-size = "20G" }
        "#]],
    );
}

#[test]
fn what_nix_refuses_is_refused_here() {
    for (name, text) in [
        (
            "a date",
            WORKER.replace("\"k3s worker on any mini PC\"", "2024-01-01"),
        ),
        (
            "a newline in an inline table",
            WORKER.replace("{ smallest", "{\n smallest"),
        ),
        (
            "a trailing comma in an inline table",
            WORKER.replace("\"20G\" }", "\"20G\", }"),
        ),
        (
            "an integer over 64 bits",
            WORKER.replace("\"20G\"", "99999999999999999999"),
        ),
        ("the escape \\e", WORKER.replace("k3s worker", "\\e")),
    ] {
        assert!(read(&[("a.toml", &text)]).is_err(), "{name}");
    }
}

#[test]
fn an_unknown_key_in_any_table_is_refused() {
    let tables = WORKER.lines().filter(|line| line.starts_with('['));
    for table in tables.chain(["system"]) {
        let bogus = match table {
            "system" => format!("bogus = 1\n{WORKER}"),
            table => WORKER.replacen(table, &format!("{table}\nbogus = 1"), 1),
        };
        let problems = read(&[("a.toml", &bogus)]).expect_err(table);
        assert!(
            problems[0].message.starts_with("unknown field `bogus`"),
            "{table}: {problems:?}"
        );
    }
}
