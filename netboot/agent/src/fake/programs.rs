//! What programs change in the test machine, as far as the install looks at it afterwards.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::{FakeMachine, TOPLEVEL};
use crate::access::{CommandOutput, HostCommand};
use crate::disk_facts::SYSFS_SECTOR;
use crate::inventory::names;

impl FakeMachine {
    /// What a program changes in this world.
    pub(super) fn effect(&mut self, command: &HostCommand) -> CommandOutput {
        let arg = |n: usize| {
            command
                .args
                .iter()
                .rev()
                .nth(n)
                .cloned()
                .unwrap_or_default()
        };
        let name = |path: String| {
            Path::new(&path)
                .file_name()
                .map_or(String::new(), |n| n.to_string_lossy().into_owned())
        };
        let mut output = CommandOutput {
            status: Some(0),
            stdout: String::new(),
        };
        match command.program.as_str() {
            "wipefs" => {
                let device = name(arg(0));
                if command.args[0] == "--all" {
                    self.signatures.remove(&device);
                } else if let Some(list) = self.signatures.get(&device) {
                    output.stdout.clone_from(list);
                }
            }
            "blockdev" if command.args[0].starts_with("--setr") => {
                let only = command.args[0] == "--setro";
                let file = format!("sys/block/{}/ro", name(arg(0)));
                self.write(&file, if only { "1" } else { "0" });
            }
            "nix-store" => {
                let program = arg(0) + "/bin/disko-format-mount";
                self.write(program.trim_start_matches('/'), "");
            }
            "umount" if command.args[0] == "--recursive" => {
                self.write("proc/self/mountinfo", "");
            }
            "sfdisk" if command.args[0] == "--part-type" => {
                output.stdout.clone_from(&self.partition_type);
            }
            "zpool" if command.args[0] == "list" => output.stdout.clone_from(&self.pools),
            "zpool" if command.args[0] == "version" && !self.zfs => output.status = Some(1),
            "sfdisk" if command.args.iter().any(|arg| arg == "--part-label") => {
                let (disk, number) = (name(arg(2)), arg(1));
                let digit = disk.ends_with(|c: char| c.is_ascii_digit());
                let node = format!("{disk}{}{number}", if digit { "p" } else { "" });
                let uevent = format!("DEVNAME={node}\nPARTNAME={}\n", arg(0));
                self.write(&format!("sys/block/{disk}/{node}/uevent"), &uevent);
            }
            "pvs" => output.stdout.clone_from(&self.physical_volumes),
            "blockdev" if command.args[0] == "--rereadpt" => {
                let disk = self.base().join("sys/block").join(name(arg(0)));
                for entry in fs::read_dir(disk).expect("a disk").flatten() {
                    if entry.path().join("partition").exists() {
                        fs::remove_dir_all(entry.path()).expect("forgets");
                    }
                }
            }
            "sfdisk" => {
                let disk = name(arg(0));
                let sector: u64 = fs::read_to_string(
                    self.base()
                        .join("sys/block")
                        .join(&disk)
                        .join("queue/logical_block_size"),
                )
                .expect("a disk")
                .trim()
                .parse()
                .expect("a number");
                for line in command.stdin.clone().unwrap_or_default().lines() {
                    let Some((number, fields)) = line.split_once(" : ") else {
                        continue;
                    };
                    let field = |key: &str| {
                        let found = fields.split(", ").find_map(|f| f.strip_prefix(key));
                        found.expect("the field").trim_matches('"').to_owned()
                    };
                    let sectors = |key: &str| {
                        field(key).parse::<u64>().expect("a number") * sector / SYSFS_SECTOR
                    };
                    self.add_partition(
                        &disk,
                        number.parse().expect("a number"),
                        sectors("start="),
                        sectors("size="),
                        &field("name="),
                    );
                }
            }
            "cryptsetup" if command.args[0] == "luksDump" => {
                let header = self.headers.get(&name(arg(0)));
                output.stdout = header.cloned().unwrap_or_default();
            }
            "mdadm" | "cryptsetup" => self.stacked(command),
            "dmsetup" => self.unmapped(&arg(0)),
            "nix-env" => self.fetched(&PathBuf::from(arg(2))),
            "ssh-keygen" => {
                fs::write(arg(0), "PRIVATE").expect("writes");
                fs::write(
                    format!("{}.pub", arg(0)),
                    "ssh-ed25519 AAAAkey root@node1\n",
                )
                .expect("writes");
            }
            _ => {}
        }
        output
    }

    /// Arrays and volumes come and go with their names below `/dev`.
    fn stacked(&self, command: &HostCommand) {
        let args: Vec<&str> = command.args.iter().map(String::as_str).collect();
        let node = |path: &str| {
            let file = Path::new(path).file_name().expect("a device");
            file.to_string_lossy().into_owned()
        };
        let (folder, name, kernel, on) = match (command.program.as_str(), args.as_slice()) {
            ("mdadm", ["--create", path, rest @ ..]) => {
                let members = rest.iter().filter(|arg| !arg.starts_with('-'));
                let members: Vec<String> = members.map(|path| node(path)).collect();
                ("md", node(path), format!("md-{}", node(path)), members)
            }
            ("cryptsetup", ["open", .., path, name]) => {
                let kernel = format!("dm-{name}");
                ("mapper", (*name).to_owned(), kernel, vec![node(path)])
            }
            ("mdadm", ["--stop", path]) => {
                return fs::remove_file(path).expect("was there");
            }
            ("cryptsetup", ["close", name]) => {
                let path = self.base().join("dev/mapper").join(name);
                return fs::remove_file(path).expect("was there");
            }
            _ => return,
        };
        let on: Vec<&str> = on.iter().map(String::as_str).collect();
        self.stack(&kernel, &on, None);
        self.write(&format!("dev/{kernel}"), "");
        let folder = self.base().join("dev").join(folder);
        fs::create_dir_all(&folder).expect("makes");
        symlink(self.base().join("dev").join(kernel), folder.join(name)).expect("links");
    }

    /// The device of this mapped name is gone.
    fn unmapped(&self, mapped: &str) {
        let class = self.base().join("sys/class/block");
        let is = |name: &String| {
            let named = fs::read_to_string(class.join(name).join("dm/name"));
            named.is_ok_and(|text| text == mapped)
        };
        for name in names(&class).into_iter().filter(is) {
            for slave in names(&class.join(&name).join("slaves")) {
                fs::remove_file(class.join(slave).join("holders").join(&name)).expect("held");
            }
            fs::remove_dir_all(class.join(name)).expect("was there");
        }
    }

    fn fetched(&self, profile: &Path) {
        for part in [
            "init",
            "kernel",
            "nixos-version",
            "bin/switch-to-configuration",
        ] {
            if Some(part) != self.lacking {
                self.write(&format!("mnt{TOPLEVEL}/{part}"), "25.05\n");
            }
        }
        symlink(TOPLEVEL, profile.with_file_name("system-1-link")).expect("links");
        symlink("system-1-link", profile).expect("links");
    }
}
