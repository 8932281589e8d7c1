//! A plan → the programs that carry it out, word for word. What is shown before an install is what the agent runs.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::{Device, DiskPlan, Partition, Plan, PlannedFilesystem, PlannedMount, PlannedVolume};
use crate::base::store_path::StorePath;
use crate::disk::layout::{DiskoScript, Format};
use crate::install::report::InstallStep;

/// A program to run, and in which step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedCommand {
    pub step: InstallStep,
    pub program: String,
    pub args: Vec<Arg>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Input>,
    /// The device that this brings into being, and that must not be there before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub makes: Option<Device>,
    /// The install goes on without it: that it failed is a warning.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_fail: bool,
}

/// One word of a command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arg {
    Device(Device),
    /// A path of the new system, `/boot`, below where the agent puts it together.
    Below(String),
    /// As it stands. Never a path.
    #[serde(untagged)]
    Text(String),
}

/// What a program reads from its standard input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Input {
    Text(String),
    /// The machine's disk key, which comes sealed and is in no plan.
    DiskKey,
    /// Where the machine asks for its disk key when it boots, and with what (`UnlockToken` of the agent's API).
    UnlockToken,
}

/// What a TPM looks at before it gives the key out: the state of Secure Boot and whose signatures it took. Among all
/// that a TPM measures, only this is the same in the installer and in the installed system, and stays the same when
/// firmware, boot loader and kernel are renewed (UAPI Linux TPM PCR Registry; systemd-cryptenroll(1)).
const TPM_PCRS: &str = "--tpm2-pcrs=7";

/// How a program reads a key from its standard input that takes keys only from files.
pub const KEY_FROM_STDIN: &str = "--unlock-key-file=/dev/stdin";

/// Where the agent puts the new system together, for people.
const BELOW: &str = "/mnt";

impl PlannedCommand {
    fn new(step: InstallStep, program: &str, args: &[&str]) -> Self {
        Self {
            step,
            program: program.to_owned(),
            args: args
                .iter()
                .map(|arg| Arg::Text((*arg).to_owned()))
                .collect(),
            input: None,
            makes: None,
            may_fail: false,
        }
    }

    fn texts(mut self, args: &[String]) -> Self {
        self.args.extend(args.iter().cloned().map(Arg::Text));
        self
    }

    fn device(mut self, device: &Device) -> Self {
        self.args.push(Arg::Device(device.clone()));
        self
    }

    fn below(mut self, path: &str) -> Self {
        self.args.push(Arg::Below(path.to_owned()));
        self
    }

    fn input(mut self, input: Input) -> Self {
        self.input = Some(input);
        self
    }

    fn makes(mut self, device: Device) -> Self {
        self.makes = Some(device);
        self
    }

    /// As one would type it, with the devices' names of when the plan was made, and its input below it.
    pub fn command_line(&self, plan: &Plan) -> String {
        let mut words = quoted(&self.program);
        for arg in &self.args {
            let word = match arg {
                Arg::Text(text) => text.clone(),
                Arg::Device(device) => plan.path(device),
                Arg::Below(path) => format!("{BELOW}{}", path.trim_end_matches('/')),
            };
            words.push(' ');
            words.push_str(&quoted(&word));
        }
        match &self.input {
            Some(Input::Text(text)) => {
                words.push('\n');
                words.push_str(text.trim_end());
            }
            Some(Input::DiskKey) => words.push_str(" (reads the disk key)"),
            Some(Input::UnlockToken) => words.push_str(" (reads where to ask for the disk key)"),
            None => {}
        }
        words
    }
}

/// A word as a shell takes it.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "+-./:=_,?@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// All commands of a plan, in the order in which they are run.
pub(super) fn commands(plan: &Plan, tpm2: bool) -> Vec<PlannedCommand> {
    if let Some(script) = &plan.script {
        return scripted(script);
    }
    let mut all: Vec<PlannedCommand> = plan.disks.iter().flat_map(partition).collect();
    for array in &plan.arrays {
        let count = array.members.len();
        let command = PlannedCommand::new(InstallStep::Format, "mdadm", &["--create"]);
        let mut command = command
            .device(&Device::Array(array.name.clone()))
            .texts(&[
                // mdadm asks before it overwrites what it takes for old contents; those are wiped already, and there is
                // no one to answer.
                "--run".to_owned(),
                format!("--level={}", array.level),
                format!("--raid-devices={count}"),
                "--metadata=1.2".to_owned(),
                // The new system takes the array for its own, under this name, whatever its host name is.
                "--homehost=any".to_owned(),
                format!("--name={}", array.name),
            ])
            .makes(Device::Array(array.name.clone()));
        if array.level == 1 {
            // No block is read before it was written to all members, so either disk may fail from the first day; a
            // first sync would only copy blanks for hours.
            command = command.texts(&["--bitmap=internal".to_owned(), "--assume-clean".to_owned()]);
        }
        all.push(
            array
                .members
                .iter()
                .fold(command, |command, member| command.device(member)),
        );
    }
    all.extend(plan.volumes.iter().flat_map(|one| encrypt(one, tpm2)));
    all.extend(plan.filesystems.iter().filter(|f| !f.kept).flat_map(format));
    all.extend(plan.disks.iter().flat_map(made));
    all.extend(plan.mounts.iter().map(mount));
    all.extend(leave(plan));
    all
}

fn encrypt(volume: &PlannedVolume, tpm2: bool) -> Vec<PlannedCommand> {
    let step = InstallStep::Format;
    // The key is 256 random bits: what makes guessing slow for a person's passphrase would only slow the boot.
    let format = [
        "luksFormat",
        "--batch-mode",
        "--type=luks2",
        "--pbkdf=pbkdf2",
        "--pbkdf-force-iterations=1000",
        "--key-file=-",
    ];
    let token = ["token", "import", "--json-file=-"];
    let open = ["open", "--type=luks2", "--key-file=-"];
    let mut all = vec![
        PlannedCommand::new(step, "cryptsetup", &format)
            .device(&volume.on)
            .input(Input::DiskKey),
        PlannedCommand::new(step, "cryptsetup", &token)
            .device(&volume.on)
            .input(Input::UnlockToken),
    ];
    if tpm2 {
        let enroll = ["--tpm2-device=auto", TPM_PCRS, KEY_FROM_STDIN];
        let enroll = PlannedCommand::new(step, "systemd-cryptenroll", &enroll)
            .device(&volume.on)
            .input(Input::DiskKey);
        // Without the TPM the volume can still be opened by the appliance and by a person.
        all.push(PlannedCommand {
            may_fail: true,
            ..enroll
        });
    }
    all.push(
        PlannedCommand::new(step, "cryptsetup", &open)
            .device(&volume.on)
            .texts(std::slice::from_ref(&volume.name))
            .input(Input::DiskKey)
            .makes(Device::Volume(volume.name.clone())),
    );
    all
}

/// `--lock` keeps udev from opening the disk between the write and the kernel's reading of it.
fn partition(disk: &DiskPlan) -> Vec<PlannedCommand> {
    let on = Device::Disk(disk.name.clone());
    // Old signatures go as the table is written, so that no instant shows a new partition with old contents.
    // What is preserved has a signature, too: then only the others are wiped, each by itself.
    let wipe = if disk.keeps() { "never" } else { "always" };
    let table = PlannedCommand::new(
        InstallStep::Partition,
        "sfdisk",
        &[
            "--quiet",
            "--lock=yes",
            "--wipe",
            wipe,
            "--wipe-partitions",
            wipe,
        ],
    );
    let mut all = vec![table.device(&on).input(Input::Text(script(disk)))];
    let new = disk.partitions.iter().filter(|p| disk.keeps() && !p.kept);
    all.extend(new.map(|partition| {
        let on = Device::Partition {
            disk: disk.name.clone(),
            number: partition.number,
        };
        PlannedCommand::new(InstallStep::Partition, "wipefs", &["--all", "--quiet"]).device(&on)
    }));
    all
}

/// The input of `sfdisk`: numbers without a unit are the disk's own sectors (sfdisk(8)).
fn script(disk: &DiskPlan) -> String {
    let sector = u64::from(disk.disk.sector).max(1);
    let mut script = "label: gpt\nunit: sectors\n\n".to_owned();
    for partition in &disk.partitions {
        // Writing into a string does not fail.
        let _ = writeln!(
            script,
            "{} : start={}, size={}, type={}, name=\"{}\"",
            partition.number,
            partition.start / sector,
            partition.size / sector,
            partition.purpose.type_guid(),
            partition.made_as.as_ref().unwrap_or(&partition.label)
        );
    }
    script
}

fn format(filesystem: &PlannedFilesystem) -> Vec<PlannedCommand> {
    let label = filesystem.label.as_str();
    let (program, args): (_, &[&str]) = match filesystem.format {
        Format::Vfat => ("mkfs.vfat", &["-F", "32", "-n", label]),
        Format::Ext4 => ("mkfs.ext4", &["-F", "-q", "-L", label]),
        Format::Xfs => ("mkfs.xfs", &["-f", "-q", "-L", label]),
        Format::Btrfs => ("mkfs.btrfs", &["-f", "-q", "-L", label]),
        Format::Swap => ("mkswap", &["-L", label]),
        Format::Zfs => return pool(filesystem),
    };
    let make = PlannedCommand::new(InstallStep::Format, program, args).texts(&filesystem.args);
    let mut all = vec![make.device(&filesystem.on)];
    if !filesystem.subvolumes.is_empty() {
        let top = PlannedCommand::new(
            InstallStep::Format,
            "mount",
            &["-t", "btrfs", "-o", "subvolid=5"],
        );
        all.push(top.device(&filesystem.on).below("/"));
        for name in &filesystem.subvolumes {
            let create =
                PlannedCommand::new(InstallStep::Format, "btrfs", &["subvolume", "create"]);
            all.push(create.below(&format!("/{}", name.trim_start_matches('/'))));
        }
        all.push(PlannedCommand::new(InstallStep::Format, "umount", &[]).below("/"));
    }
    all
}

/// Only the system's fstab mounts the datasets, so ZFS's own mounting is switched off.
fn pool(pool: &PlannedFilesystem) -> Vec<PlannedCommand> {
    // The installer has no cache file of pools (`zpool.cache`).
    let create = ["create", "-f", "-o", "cachefile=none"];
    let create = PlannedCommand::new(InstallStep::Format, "zpool", &create).texts(&pool.args);
    let whole = Device::Dataset(pool.label.clone());
    let mut all = vec![create.device(&whole).device(&pool.on)];
    all.extend(pool.subvolumes.iter().map(|name| {
        let dataset = Device::Dataset(format!("{}/{name}", pool.label));
        let create = ["create", "-o", "mountpoint=legacy"];
        PlannedCommand::new(InstallStep::Format, "zfs", &create).device(&dataset)
    }));
    all
}

/// Partitions that later installs preserve get their final label now that their content is whole. The kernel is not
/// told: other partitions of the disk may be in use.
fn made(disk: &DiskPlan) -> Vec<PlannedCommand> {
    let on = Device::Disk(disk.name.clone());
    let new = disk.partitions.iter().filter(|p| p.made_as.is_some());
    let label = |partition: &Partition| {
        let args = [
            "--quiet",
            "--lock=yes",
            "--no-reread",
            "--no-tell-kernel",
            "--part-label",
            "--",
        ];
        PlannedCommand::new(InstallStep::Format, "sfdisk", &args)
            .device(&on)
            .texts(&[partition.number.to_string(), partition.label.clone()])
    };
    new.map(label).collect()
}

fn mount(mount: &PlannedMount) -> PlannedCommand {
    let mut command =
        PlannedCommand::new(InstallStep::Mount, "mount", &["-t", mount.format.name()]);
    if !mount.options.is_empty() {
        command = command.texts(&["-o".to_owned(), mount.options.join(",")]);
    }
    command.device(&mount.device).below(&mount.at)
}

/// Disko's script makes and mounts everything; the agent then stops what the script built.
fn scripted(script: &StorePath) -> Vec<PlannedCommand> {
    let program = DiskoScript::program(script);
    vec![
        PlannedCommand::new(InstallStep::Format, &program, &[]),
        PlannedCommand::new(InstallStep::Unmount, "umount", &["--recursive"]).below("/"),
    ]
}

/// The commands after which everything is written out and no device is in use any more.
fn leave(plan: &Plan) -> Vec<PlannedCommand> {
    let command = |program, args: &[&str]| PlannedCommand::new(InstallStep::Unmount, program, args);
    // `sync -f` on one filesystem fails if anything could not be written since it was mounted (syncfs(2)).
    let written = plan.mounts.iter();
    let mut all: Vec<PlannedCommand> = written
        .map(|mount| command("sync", &["-f"]).below(&mount.at))
        .collect();
    let mounts = plan.mounts.iter().rev();
    all.extend(mounts.map(|mount| command("umount", &[]).below(&mount.at)));
    let pools = plan.filesystems.iter().filter(|f| f.format == Format::Zfs);
    // A pool must be exported, or another system opens it only with force.
    all.extend(
        pools.map(|p| command("zpool", &["export"]).device(&Device::Dataset(p.label.clone()))),
    );
    let volumes = plan.volumes.iter().rev();
    all.extend(volumes.map(|v| command("cryptsetup", &["close", &v.name])));
    let arrays = plan
        .arrays
        .iter()
        .rev()
        .map(|array| Device::Array(array.name.clone()));
    all.extend(arrays.map(|array| command("mdadm", &["--stop"]).device(&array)));
    let disks = plan
        .disks
        .iter()
        .map(|disk| Device::Disk(disk.name.clone()));
    all.extend(disks.map(|disk| command("blockdev", &["--flushbufs"]).device(&disk)));
    all
}
