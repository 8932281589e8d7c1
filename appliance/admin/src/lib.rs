//! `pxe-admin`: the operator's command line. Commands ask the appliance and return an answer; only
//! `output` prints.
//!
//! | module | is for |
//! |---|---|
//! | `cli` | what can be typed |
//! | `endpoint`, `client`, `stream` | where the appliance is called, calls, and the stream of events |
//! | `commands` | one file for each group of commands |
//! | `upload`, `loopback_proxy` | what was built here on its way to an appliance that is another machine |
//! | `format`, `event_text`, `boot_table` | values, events and boots as people read them |
//! | `output`, `failure` | printing; why there is no answer, and the exit code |

mod boot_table;
mod cli;
mod client;
mod commands;
mod endpoint;
mod event_text;
mod failure;
mod format;
mod loopback_proxy;
mod output;
mod stream;
mod upload;

use std::ffi::OsString;

use clap::{CommandFactory, FromArgMatches};

use cli::{Cli, Command};
use client::AdminClient;
use commands::{
    doctor, enroll, events, generations, key, machines, plan, publish, releases, show, watch,
};
use endpoint::Endpoint;
use failure::Failure;
use output::CommandResult;
pub use output::Output;

/// Runs one command; the number is the exit code.
pub async fn run(args: impl IntoIterator<Item = OsString>, output: &mut Output) -> u8 {
    let mut command = Cli::command();
    if !output.is_terminal() {
        // No terminal, no width to ask it for: the same text everywhere.
        command = command.term_width(100);
    }
    let parsed = command
        .try_get_matches_from_mut(args)
        .and_then(|matches| Cli::from_arg_matches(&matches).map_err(|e| e.format(&mut command)));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return output.usage(&error),
    };
    output.speak(cli.json, cli.verbose);
    match carry_out(cli, output).await {
        Ok(answer) => output.answer(&answer),
        Err(failure) => output.failure(&failure),
    }
}

async fn carry_out(cli: Cli, output: &mut Output) -> Result<CommandResult, Failure> {
    if let Command::Completions { shell } = cli.command {
        return Ok(cli::completions(shell));
    }
    let client = AdminClient::new(Endpoint::resolve(cli.appliance, cli.token_file.as_deref())?)?;
    match cli.command {
        Command::Enroll(args) => enroll::enroll(&client, args).await,
        Command::Reimage(args) => enroll::reimage(&client, args).await,
        Command::Forget(args) => enroll::forget(&client, &args).await,
        Command::Machines => machines::machines(&client).await,
        Command::Show(args) => show::show(&client, &args).await,
        Command::Watch(args) => watch::watch(&client, &args, output).await,
        Command::Events(args) => events::events(&client, &args, output).await,
        Command::Doctor(args) => doctor::doctor(&client, &args).await,
        Command::Plan(args) => plan::plan(&client, &args).await,
        Command::Confirm(args) => enroll::confirm(&client, &args).await,
        Command::Key(args) => key::key(&client, &args).await,
        Command::Publish(args) => publish::publish(&client, args, output).await,
        Command::Releases(args) => releases::releases(&client, &args).await,
        Command::Generations(args) => generations::generations(&client, &args).await,
        Command::Completions { shell } => Ok(cli::completions(shell)),
    }
}
