//! Runs on the machine: installs it, and later reports what it boots.

mod access;
mod at_rest;
mod boot_medium;
mod busy;
mod check;
mod cmdline;
mod commands;
mod discover;
mod disk_facts;
mod dispatch;
mod efi;
mod envelope;
#[cfg(test)]
mod fake;
mod files;
mod install;
#[cfg(test)]
mod install_tests;
mod inventory;
mod mounted;
mod node;
mod perform;
mod real;
#[cfg(test)]
mod real_tests;
mod run;
mod shield;
mod signatures;
mod steps;
mod talk;
mod target;
#[cfg(test)]
mod tls_tests;
mod unlock;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "netboot-agent", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Installs this machine as the appliance plans it, and reboots it. Holds the machine if it cannot. If the boot
    /// script only asked what the machine is, tells that and reboots it, and writes to nothing.
    Install {
        /// Where to read what the boot script said.
        #[arg(long, default_value = "/proc/cmdline")]
        cmdline: PathBuf,
        /// Where the new system is mounted.
        #[arg(long, default_value = "/mnt")]
        root: PathBuf,
    },
    /// On an installed node: reports the generation that runs. Waits for the appliance as long as it takes.
    Report {
        #[arg(long, default_value = "/var/lib/netboot")]
        identity: PathBuf,
    },
    /// In the initrd of an installed node: opens its encrypted volumes by the TPM, else with the key that the appliance hands
    /// out. Fails if some stay closed, so that a person is asked.
    Unlock {
        /// `root=/dev/disk/by-partlabel/disk-main-root`
        #[arg(required = true, value_name = "NAME=DEVICE")]
        volumes: Vec<unlock::Volume>,
        /// Seconds for which an appliance that does not answer is asked again.
        #[arg(long, default_value_t = 300)]
        patience: u32,
    },
    /// Prints what is in this machine, as JSON. Changes nothing.
    Inventory,
    /// Prints what an install would be told by the kernel command line. Changes nothing.
    Orders {
        #[arg(long, default_value = "/proc/cmdline")]
        cmdline: PathBuf,
    },
    /// Prints the commands that would make everything let go of a disk (`vda`). Runs none of them.
    Busy { disk: String },
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Install { cmdline, root } => dispatch::install(&cmdline, &root),
        Command::Report { identity } => dispatch::report(&identity),
        Command::Unlock { volumes, patience } => dispatch::unlock(&volumes, patience),
        Command::Inventory => dispatch::inventory(),
        Command::Orders { cmdline } => dispatch::orders(&cmdline),
        Command::Busy { disk } => dispatch::busy(&disk),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            dispatch::print_error(&error);
            ExitCode::FAILURE
        }
    }
}
