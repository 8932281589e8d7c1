//! Every way in which a table is not read, as it is told.

use expect_test::expect_file;

use crate::profile::Profiles;

const TABLE: &str = r#"system = "x86_64-linux"

[disk]
select = { min-size = "1G" }

[disk.devices.disk.main.content]
type = "gpt"

[disk.devices.disk.main.content.partitions]
core = { type = "EF02", size = "1M" }
ESP = { type = "EF00", size = "1G", content = { type = "filesystem", format = "vfat", mountpoint = "/boot" } }
root = { size = "20G", content = { type = "filesystem", format = "ext4", mountpoint = "/" } }
home = { size = "100%", content = { type = "btrfs", subvolumes = { "/home" = { mountpoint = "/home" } } } }

[disk.devices.disk.data.content]
type = "gpt"
partitions.files = { size = "10G", content = { type = "filesystem", format = "xfs", mountpoint = "/srv" } }
partitions.half = { size = "10G", content = { type = "mdraid", name = "both" } }

[disk.devices.disk.more.content]
type = "gpt"
partitions.half = { size = "10G", content = { type = "mdraid", name = "both" } }

[disk.devices.mdadm.both]
content = { type = "luks", name = "secret", content = { type = "filesystem", format = "ext4", mountpoint = "/secret" } }
"#;

/// Name, what is replaced, and by what.
const ROWS: &[(&str, &str, &str)] = &[
    // --- keys ---
    (
        "a disk by its path",
        "[disk.devices.disk.main.content]",
        "[disk.devices.disk.main]\ndevice = \"/dev/sda\"\n[disk.devices.disk.main.content]",
    ),
    (
        "a script",
        "type = \"gpt\"\n\n",
        "type = \"gpt\"\npostCreateHook = \"rm -rf /\"\n\n",
    ),
    (
        "a key with a slip",
        "mountpoint = \"/boot\"",
        "mountpiont = \"/boot\"",
    ),
    (
        "a key of another type",
        "root = { size = \"20G\"",
        "root = { size = 20",
    ),
    (
        "a table where a string stands",
        "mountpoint = \"/srv\"",
        "mountpoint = { at = \"/srv\" }",
    ),
    (
        "numbers for words",
        "mountpoint = \"/srv\"",
        "mountOptions = [1]",
    ),
    (
        "keys of partitions that are left out",
        "root = { size",
        "root = { uuid = \"809b3a2b-828a-4730-95e1-75b6343e415a\", attributes = [2], hybrid = {}, alignment = 1, device = \"x\", name = \"r\", size",
    ),
    (
        "LVM",
        "type = \"mdraid\", name = \"both\" } }\n\n[disk.devices.disk.more",
        "type = \"lvm_pv\", vg = \"pool\" } }\n\n[disk.devices.disk.more",
    ),
    (
        "a volume group and a pool",
        "[disk.devices.mdadm.both]",
        "[disk.devices.lvm_vg.pool]\n[disk.devices.zpool.tank]\n[disk.devices.nodev.\"/tmp\"]\n[disk.devices.mdadm.both]",
    ),
    (
        "an old partition table",
        "type = \"gpt\"\n\n",
        "type = \"table\"\n\n",
    ),
    (
        "a disk without a table",
        "[disk.devices.disk.more.content]\ntype = \"gpt\"\n",
        "[disk.devices.disk.more.content]\n",
    ),
    (
        "content of no kind",
        "content = { type = \"filesystem\", format = \"xfs\", mountpoint = \"/srv\" }",
        "content = { type = \"flesystem\" }",
    ),
    (
        "content without a type",
        "content = { type = \"filesystem\", format = \"xfs\", mountpoint = \"/srv\" }",
        "content = { format = \"xfs\" }",
    ),
    (
        "a filesystem that is not made",
        "format = \"xfs\"",
        "format = \"f2fs\"",
    ),
    ("a filesystem without a format", "format = \"xfs\", ", ""),
    ("a date", "size = \"20G\"", "size = 2024-01-01"),
    // --- arguments and options ---
    (
        "an argument that names a file",
        "format = \"xfs\"",
        "extraArgs = [\"-d\", \"file,name=/dev/sdb\"], format = \"xfs\"",
    ),
    (
        "an argument without its value",
        "format = \"xfs\"",
        "extraArgs = [\"-L\"], format = \"xfs\"",
    ),
    (
        "a value that is an argument",
        "format = \"xfs\"",
        "extraArgs = [\"-L\", \"-f\"], format = \"xfs\"",
    ),
    (
        "arguments in one string",
        "format = \"xfs\"",
        "extraArgs = [\"-L data\"], format = \"xfs\"",
    ),
    (
        "an option that mounts something else",
        "format = \"xfs\"",
        "mountOptions = [\"logdev=/dev/sdb\"], format = \"xfs\"",
    ),
    (
        "options in one string",
        "format = \"xfs\"",
        "mountOptions = [\"noatime,ro\"], format = \"xfs\"",
    ),
    // --- places ---
    ("half of a disk", "size = \"100%\"", "size = \"50%\""),
    ("sectors", "size = \"20G\"", "size = \"2048\""),
    ("no whole MiB", "size = \"20G\"", "size = \"1500K\""),
    ("no size in words", "size = \"20G\"", "size = \"big\""),
    ("nothing", "size = \"20G\"", "size = \"0M\""),
    (
        "more than there is",
        "size = \"20G\"",
        "size = \"99999999P\"",
    ),
    ("no size", "root = { size = \"20G\", ", "root = { "),
    (
        "size and end",
        "size = \"20G\"",
        "size = \"20G\", end = \"-1G\"",
    ),
    ("an end somewhere", "size = \"20G\"", "end = \"20G\""),
    ("two that take all", "size = \"20G\"", "size = \"100%\""),
    (
        "two that take all but some",
        "size = \"20G\"",
        "end = \"-2G\"",
    ),
    (
        "one in another, really",
        "core = { type = \"EF02\", size = \"1M\" }",
        "core = { type = \"EF02\", size = \"1M\", start = \"5G\" }\nin = { size = \"10G\", start = \"2G\" }",
    ),
    // --- names ---
    (
        "a label too long",
        "root = { size",
        "root = { label = \"a-label-that-is-longer-than-any-gpt-takes\", size",
    ),
    (
        "a name too long for a label",
        "root = { size",
        "root-of-the-system-that-runs = { size",
    ),
    (
        "a label with a blank",
        "root = { size",
        "root = { label = \"my data\", size",
    ),
    (
        "a label twice",
        "root = { size",
        "root = { label = \"disk-data-files\", size",
    ),
    (
        "a disk with a blank",
        "[disk.devices.disk.more.content]",
        "[disk.devices.disk.\"one more\".content]",
    ),
    ("an unknown type", "type = \"EF00\"", "type = \"8304\""),
    // --- the whole ---
    ("no root", "mountpoint = \"/\"", "mountpoint = \"/old\""),
    ("two roots", "mountpoint = \"/srv\"", "mountpoint = \"/\""),
    (
        "mounted twice, once as a subvolume",
        "mountpoint = \"/srv\"",
        "mountpoint = \"/home\"",
    ),
    (
        "a relative mount point",
        "mountpoint = \"/srv\"",
        "mountpoint = \"srv/\"",
    ),
    (
        "nothing at all to start from",
        "core = { type = \"EF02\", size = \"1M\" }\nESP = { type = \"EF00\", ",
        "ESP = { ",
    ),
    ("an ESP with ext4", "format = \"vfat\"", "format = \"ext4\""),
    (
        "content for GRUB",
        "type = \"EF02\", size = \"1M\"",
        "type = \"EF02\", size = \"1M\", content = { type = \"swap\" }",
    ),
    (
        "an array that nobody made",
        "type = \"mdraid\", name = \"both\" } }\n\n[disk.devices.disk.more",
        "type = \"mdraid\", name = \"bth\" } }\n\n[disk.devices.disk.more",
    ),
    (
        "an array with one member",
        "[disk.devices.disk.more.content]\ntype = \"gpt\"\npartitions.half = { size = \"10G\", content = { type = \"mdraid\", name = \"both\" } }",
        "[disk.devices.disk.more.content]\ntype = \"gpt\"\npartitions.half = { size = \"10G\" }",
    ),
    (
        "an array on one disk",
        "partitions.files = { size = \"10G\", content = { type = \"filesystem\", format = \"xfs\", mountpoint = \"/srv\" } }",
        "partitions.files = { size = \"10G\", content = { type = \"mdraid\", name = \"both\" } }",
    ),
    (
        "an array without parts",
        "[disk.devices.mdadm.both]",
        "[disk.devices.mdadm.none]\ncontent = { type = \"swap\" }\n[disk.devices.mdadm.both]",
    ),
    (
        "an array of a level that is not made",
        "[disk.devices.mdadm.both]",
        "[disk.devices.mdadm.both]\nlevel = 5\nmetadata = \"1.0\"\nextraArgs = []",
    ),
    (
        "an array without content",
        "content = { type = \"luks\", name = \"secret\"",
        "#content = { type = \"luks\", name = \"secret\"",
    ),
    (
        "LUKS around nothing",
        "name = \"secret\", content = { type = \"filesystem\", format = \"ext4\", mountpoint = \"/secret\" }",
        "name = \"secret\"",
    ),
    ("LUKS without a name", "name = \"secret\", ", ""),
    (
        "LUKS in LUKS",
        "content = { type = \"filesystem\", format = \"ext4\", mountpoint = \"/secret\" }",
        "content = { type = \"luks\", name = \"more\" }",
    ),
    (
        "a key in a file",
        "name = \"secret\"",
        "passwordFile = \"/tmp/key\", settings = { keyFile = \"/key\", allowDiscards = true }, name = \"secret\"",
    ),
    (
        "a subvolume in one that is none",
        "\"/home\" = { mountpoint",
        "\"/users/ann\" = {}, \"/home\" = { mountpoint",
    ),
    (
        "a subvolume twice",
        "\"/home\" = { mountpoint",
        "home = {}, \"/home\" = { mountpoint",
    ),
    (
        "a swap file",
        "\"/home\" = { mountpoint",
        "\"/swap\" = { swap = {} }, \"/home\" = { mountpoint",
    ),
    (
        "encrypted swap without LUKS",
        "content = { type = \"filesystem\", format = \"xfs\", mountpoint = \"/srv\" }",
        "content = { type = \"swap\", randomEncryption = true, discardPolicy = \"never\", priority = -1 }",
    ),
    // --- what is preserved ---
    (
        "preserved without a label",
        "files = { size",
        "files = { preserve = true, size",
    ),
    (
        "a root that is preserved",
        "root = { size",
        "root = { label = \"root\", preserve = true, size",
    ),
    (
        "a store that is preserved",
        "files = { size = \"10G\", content = { type = \"filesystem\", format = \"xfs\", mountpoint = \"/srv\" }",
        "files = { size = \"10G\", label = \"nix\", preserve = true, content = { type = \"filesystem\", format = \"xfs\", mountpoint = \"/nix\" }",
    ),
    (
        "an ESP that is preserved",
        "ESP = { type",
        "ESP = { label = \"esp\", preserve = true, type",
    ),
    (
        "part of an array that is preserved",
        "partitions.half = { size = \"10G\", content = { type = \"mdraid\", name = \"both\" } }\n\n[disk.devices.disk.more",
        "partitions.half = { size = \"10G\", label = \"half\", preserve = true, content = { type = \"mdraid\", name = \"both\" } }\n\n[disk.devices.disk.more",
    ),
    (
        "nothing that is preserved",
        "files = { size = \"10G\", content = { type = \"filesystem\", format = \"xfs\", mountpoint = \"/srv\" }",
        "files = { size = \"10G\", label = \"files\", preserve = true",
    ),
    // --- beside the table ---
    (
        "a layout by name as well",
        "[disk]\n",
        "[disk]\nlayout = \"ext4\"\n",
    ),
    (
        "swap as for a layout by name",
        "[disk]\n",
        "[disk]\nswap = \"4G\"\n",
    ),
    (
        "one disk for three",
        "select = { min-size = \"1G\" }",
        "select = [{ serial = \"A\" }, { serial = \"B\" }]",
    ),
];

fn read(text: &str) -> Result<Profiles, String> {
    Profiles::read(&[("a.toml".to_owned(), text.to_owned())]).map_err(|problems| {
        let lines = problems.iter().map(|problem| format!("{problem}\n"));
        lines.collect()
    })
}

#[test]
fn every_problem_of_a_table_is_told_with_its_place_and_what_to_do() {
    assert_eq!(read(TABLE).map(drop), Ok(()));
    let mut text = String::new();
    for (name, from, to) in ROWS {
        let table = TABLE.replacen(from, to, 1);
        assert_ne!(table, TABLE, "{name}: changes nothing");
        let problems = match read(&table) {
            Ok(_) => "no problem\n".to_owned(),
            Err(problems) => problems,
        };
        text.push_str(&format!("{name}\n{problems}\n"));
    }
    let bios = TABLE.replacen("ESP = { type = \"EF00\", ", "ESP = { ", 1);
    let bios = bios.replace("mountpoint = \"/boot\"", "mountpoint = \"/b\"");
    let btrfs = "\"filesystem\", format = \"btrfs\", mountpoint = \"/\"";
    let bios = bios.replacen(
        "\"filesystem\", format = \"ext4\", mountpoint = \"/\"",
        btrfs,
        1,
    );
    let problems = read(&bios).expect_err("is refused");
    text.push_str(&format!("a root that GRUB does not read\n{problems}"));
    let arm = TABLE.replacen("x86_64", "aarch64", 1);
    let problems = read(&arm.replacen("type = \"EF00\", ", "", 1)).expect_err("is refused");
    text.push_str(&format!("\nan ARM machine without an ESP\n{problems}"));
    assert!(!text.contains("no problem\n"), "{text}");
    expect_file!["problems.txt"].assert_eq(&text);
}

#[test]
fn without_a_layout_nothing_is_installed() {
    let text = "system = \"x86_64-linux\"\n[disk]\nselect = { smallest = true }\n";
    let problems = read(text).expect_err("is refused");
    assert_eq!(
        problems,
        "a.toml:2:2: `[disk]` needs either `layout` or `devices`\n  \
         tip: write layout = \"ext4\", or the whole table under [disk.devices]\n"
    );
}
