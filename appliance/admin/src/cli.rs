//! What can be typed after `pxe-admin`, and what it means.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use netboot::base::mac::Mac;
use netboot::base::name::{HostName, ProfileName, SystemName};
use netboot::base::timestamp::parse_duration;

use crate::endpoint::ApplianceEndpoint;
use crate::output::CommandResult;

/// Install machines over the network, and see what became of them
#[derive(Debug, Parser)]
#[command(name = "pxe-admin", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// Where the appliance listens for operators [default: where the token file says, else
    /// unix:/run/pxe-appliance/admin.sock]
    #[arg(
        long,
        global = true,
        value_name = "URL|unix:PATH",
        env = "PXE_APPLIANCE",
        hide_env_values = true
    )]
    pub(crate) appliance: Option<ApplianceEndpoint>,

    /// A copy of the appliance's admin.token, which opens it from another machine
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "PXE_TOKEN_FILE",
        hide_env_values = true
    )]
    pub(crate) token_file: Option<PathBuf>,

    /// Print JSON: one document, or one per line where a command goes on
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// With an error, also say which call failed and all its causes
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, or already so; 1 refused, nothing was changed; 2 wrong usage; 3 no usable answer.
show and watch: 0 arrived, 4 not started, 5 in progress, 6 failed. doctor: 0 well, 1 something is wrong.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Have a machine installed at its next network boot
    Enroll(EnrollArgs),
    /// Have an enrolled machine installed again at its next network boot; wipes its disk
    Reimage(ReimageArgs),
    /// Take a machine out of the records; what it did stays in the journal
    Forget(WhoArgs),
    /// List all machines
    Machines,
    /// Show all that is known of one machine
    Show(WhoArgs),
    /// Follow an installation until the machine joined, or all machines for ever
    Watch(WatchArgs),
    /// Print the journal, or write a machine's last packets into a file
    Events(EventsArgs),
    /// Say where a machine's boot is stuck and what to try; without a machine, look at the appliance
    Doctor(DoctorArgs),
    /// Show what an installation does, or would do, to a machine's disks
    Plan(PlanArgs),
    /// Let a machine wipe what it waits with, because this appliance did not put it there
    Confirm(WhoArgs),
    /// Print the recovery key of a machine's encrypted disks; who asked is on record
    Key(WhoArgs),
    /// Build the flake's systems and installer, sign them into the cache and make releases of them
    Publish(PublishArgs),
    /// List the releases of all systems, or delete old ones from the cache
    Releases(ReleasesArgs),
    /// List what machines have run, oldest first
    Generations(GenerationsArgs),
    /// Print a completion script for a shell
    Completions { shell: Shell },
}

#[derive(Debug, Args)]
pub(crate) struct EnrollArgs {
    /// Any MAC of the machine, in any common spelling
    pub(crate) mac: Mac,
    /// The profile to install [default: the one that lists this MAC]
    #[arg(long)]
    pub(crate) profile: Option<ProfileName>,
    /// Its host name [default: as listed in the profile, or made from profile and MAC]
    #[arg(long)]
    pub(crate) name: Option<HostName>,
}

#[derive(Debug, Args)]
pub(crate) struct ReimageArgs {
    /// The machine's name, or any of its MACs
    #[arg(value_name = "NAME|MAC")]
    pub(crate) who: Who,
    /// The number of the release to install [default: the newest]
    #[arg(long)]
    pub(crate) release: Option<u32>,
    /// Power-cycle the machine at once
    #[arg(long)]
    pub(crate) now: bool,
}

#[derive(Debug, Args)]
pub(crate) struct WhoArgs {
    /// The machine's name, or any of its MACs
    #[arg(value_name = "NAME|MAC")]
    pub(crate) who: Who,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// The machine's name, or any of its MACs
    #[arg(value_name = "NAME|MAC")]
    pub(crate) who: Who,
    /// As if it were enrolled with this profile [default: its own, or the one that is for this MAC]
    #[arg(long)]
    pub(crate) profile: Option<ProfileName>,
}

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// The machine's name, or any of its MACs [default: all machines]
    #[arg(value_name = "NAME|MAC")]
    pub(crate) who: Option<Who>,
    /// Stop watching after this long, such as 90s, 15m or 1h
    #[arg(long, value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// Only of this machine
    #[arg(value_name = "NAME|MAC")]
    pub(crate) who: Option<Who>,
    /// Go on with what happens from now on
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Only events after this number
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    pub(crate) after: u64,
    /// Write the packets of this machine's last boots into a file, for tcpdump or Wireshark
    #[arg(
        long,
        num_args = 2,
        value_names = ["NAME|MAC", "FILE"],
        conflicts_with_all = ["who", "follow", "after"]
    )]
    pub(crate) pcap: Option<Vec<String>>,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// The machine's name, or any of its MACs [default: the appliance itself]
    #[arg(value_name = "NAME|MAC")]
    pub(crate) who: Option<Who>,
}

#[derive(Debug, Args)]
pub(crate) struct PublishArgs {
    /// Names as in `nixosConfigurations.<name>` [default: all that profiles use, and the installers]
    #[arg(value_name = "SYSTEM")]
    pub(crate) systems: Vec<SystemName>,
    /// The flake: a path or a URL, as `nix build` takes it [default: `flake` of appliance.toml]
    #[arg(long, value_name = "REF")]
    pub(crate) flake: Option<String>,
    /// Build, and say what publishing would change; on the appliance nothing changes
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Build nothing: one system's toplevel, a store path or a link to one such as ./result
    #[arg(long, value_name = "PATH", conflicts_with_all = ["flake", "dry_run"])]
    pub(crate) toplevel: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ReleasesArgs {
    /// Delete from the cache what no machine runs or is to get and is not among the last of its system
    #[arg(long)]
    pub(crate) prune: bool,
    /// How many releases of each system stay in any case [default: publish.keep, 3]
    #[arg(long, value_name = "N", requires = "prune", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) keep: Option<u32>,
    /// Say what would be deleted, and change nothing
    #[arg(long, requires = "prune")]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct GenerationsArgs {
    /// Only of this machine
    #[arg(value_name = "NAME|MAC")]
    pub(crate) who: Option<Who>,
}

/// A machine as a person names it. Kept as typed: the appliance knows whether it is a name or a MAC.
#[derive(Debug, Clone)]
pub(crate) struct Who(String);

impl FromStr for Who {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.parse::<HostName>().is_ok() {
            return Ok(Self(text.to_owned()));
        }
        match (text.parse::<Mac>(), text.parse::<HostName>()) {
            (Ok(mac), _) => Ok(Self(mac.to_string())),
            (Err(error), _) if text.contains(':') => Err(error.to_string()),
            (_, Err(error)) => Err(error.to_string()),
            (_, Ok(name)) => Ok(Self(name.to_string())),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Who {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// `90`, `90s`, `15m` or `1h`.
fn duration(text: &str) -> Result<Duration, &'static str> {
    let is_bare = text.ends_with(|c: char| c.is_ascii_digit());
    let span = match is_bare {
        true => parse_duration(&format!("{text}s")),
        false => parse_duration(text),
    };
    span.ok_or("is not a time such as 90s, 15m or 1h")
}

pub(crate) fn completions(shell: Shell) -> CommandResult {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "pxe-admin", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    CommandResult::new(&script, script.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_machine_is_named_by_name_or_mac() {
        for (text, want) in [
            ("node1", "node1"),
            ("52-54-00-12-34-56", "52-54-00-12-34-56"),
            ("52:54:0:12:34:56", "52:54:00:12:34:56"),
            ("5254.0012.3456", "52:54:00:12:34:56"),
            (
                "52:54:00",
                "has 3 octets, a MAC address has 6 (like 52:54:00:12:34:56)",
            ),
            ("..", "has the character '.'; allowed are a-z, 0-9 and -"),
            ("a/b", "has the character '/'; allowed are a-z, 0-9 and -"),
            ("", "is empty"),
        ] {
            let got = text
                .parse::<Who>()
                .map_or_else(|e| e, |who| who.to_string());
            assert_eq!(got, want, "{text}");
        }
    }

    #[test]
    fn times_are_read_with_a_unit_or_without() {
        for (text, want) in [
            ("90", Some(90)),
            ("90s", Some(90)),
            ("15m", Some(900)),
            ("1h", Some(3600)),
            ("", None),
            ("m", None),
            ("1.5h", None),
            ("-1s", None),
            ("5é", None),
            ("99999999999999999999h", Some(u64::MAX)),
        ] {
            let got = duration(text).ok().map(|d| d.as_secs());
            assert_eq!(got, want, "{text}");
        }
    }
}
