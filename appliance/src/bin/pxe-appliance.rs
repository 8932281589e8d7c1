//! `pxe-appliance`: parse, check, log, run.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use appliance::config::ConfigText;
use appliance::config::validate::{Checked, Faults, check, check_all, untracked};
use appliance::net::{self, Interface};
use appliance::run::{bind, log, notify};
use clap::{Parser, Subcommand};
use netboot::doctor::checks;
use nix::sys::stat::{Mode, umask};
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Boots the machines of a LAN over the network and installs them.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the service; with no file, beside a home router, on the one obvious interface
    Serve {
        /// Where the configuration is [default: appliance.toml here, if there is one]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Prints every problem in the configuration and in hosts-dir
    Check {
        /// Where the configuration is [default: appliance.toml here, if there is one]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

/// What was asked for is not possible as things are written (`check` and `serve`).
const PROBLEMS: u8 = 1;
/// The service does not start with problems in what it was given.
const NO_START: u8 = 2;

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Check { config } => match read(config.as_deref(), check_all) {
            Ok(checked) => {
                println!("{checked} is valid");
                if checked.config.config.k3s.has_one_token() {
                    eprintln!("warning: {}", checks::ONE_TOKEN);
                    eprintln!("  tip: {}", checks::TWO_TOKENS);
                }
                warn_of_git(&checked.config.config.hosts_dir);
                ExitCode::SUCCESS
            }
            Err(text) => {
                eprintln!("{text}");
                ExitCode::from(PROBLEMS)
            }
        },
        Command::Serve { config } => match read(config.as_deref(), check) {
            Ok(checked) => serve(checked),
            Err(text) => {
                eprintln!("{text}");
                ExitCode::from(NO_START)
            }
        },
    }
}

fn warn_of_git(hosts_dir: &Path) {
    match untracked(hosts_dir) {
        Ok(files) => {
            for file in files {
                let file = file.display();
                eprintln!("warning: {file}: Git does not know it, so a flake does not see it");
                eprintln!("  tip: git add {file}");
            }
        }
        Err(why) => {
            eprintln!("warning: which files a flake does not see is not known: {why}");
            eprintln!("  tip: check as the user whose repository it is");
        }
    }
}

/// Reads the configuration and the profiles with `check`; or all problems in them, as text.
fn read(
    config: Option<&Path>,
    check: fn(ConfigText, &[Interface]) -> Result<Checked, Faults>,
) -> Result<Checked, String> {
    let print = |error: &anyhow::Error| format!("error: {error:#}");
    let source = ConfigText::read(config).map_err(|e| print(&e.into()))?;
    let interfaces = net::interfaces().map_err(|e| print(&e.into()))?;
    check(source, &interfaces).map_err(|faults| faults.to_string())
}

fn serve(checked: Checked) -> ExitCode {
    // No other user may read keys, tokens and the journal.
    umask(Mode::from_bits_truncate(0o077));
    log::start();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(checked)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "stopped");
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(checked: Checked) -> anyhow::Result<()> {
    let (mut term, mut int, mut hup) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
        signal(SignalKind::hangup())?,
    );
    let bound = bind(checked).await?;
    bound.announce();
    notify::tell(NotifyState::Ready);
    let (stop, reload) = (CancellationToken::new(), bound.reload());
    let told = stop.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = term.recv() => break,
                _ = int.recv() => break,
                _ = hup.recv() => reload.notify_one(),
            }
        }
        tracing::info!("told to stop");
        told.cancel();
    });
    bound.run(stop).await
}
