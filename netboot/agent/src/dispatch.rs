//! The commands, with the real world plugged in. Two change something; the others are views for a broken machine.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

use crate::access::{ReadAccess as _, Roots};
use crate::cmdline::{AgentMode, DiscoveryOrder};
use crate::node::{self, Node};
use crate::real::{self, RealMachine};
use crate::unlock::{self, Volume};
use crate::{cmdline, run};

/// Does not return from an install that began: a machine that failed is held, so that a second try does not wipe the
/// traces, and one that is done reboots.
///
/// # Errors
/// The install could not begin; no disk was touched.
pub(crate) fn install(file: &Path, root: &Path) -> anyhow::Result<()> {
    let roots = Roots::new(Path::new("/"), root);
    let orders = match read_errand(file)? {
        AgentMode::Install(orders) => orders,
        AgentMode::Discover(discovery) => return discover(&roots, &discovery),
    };
    let mut real = RealMachine::new(&orders.url, orders.pin)?;
    if crate::install::install(&mut real, &roots, &orders).is_ok() {
        real.say("installed; rebooting into it");
        print_error(&real::reboot(&mut real));
    }
    loop {
        std::thread::park();
    }
}

/// The machine is not ours to hold: it goes on to its own disk whether or not the appliance was told. The appliance
/// limits how often it asks a machine.
fn discover(roots: &Roots, discovery: &DiscoveryOrder) -> anyhow::Result<()> {
    let mut real = RealMachine::new(&discovery.url, discovery.pin)?;
    if let Err(error) = crate::discover::discover(&mut real, roots, discovery) {
        print_error(&error);
    }
    real.say("rebooting into its own disk");
    Err(real::reboot(&mut real))
}

fn read_errand(file: &Path) -> anyhow::Result<AgentMode> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    Ok(cmdline::agent_mode(&text)?)
}

pub(crate) fn report(identity: &Path) -> anyhow::Result<()> {
    let node = Node::read(identity)?;
    let url = cmdline::appliance(&node.identity.appliance).map_err(|why| {
        anyhow::anyhow!(
            "the appliance `{}` of node.json {why}",
            node.identity.appliance
        )
    })?;
    let pin = node
        .identity
        .pin
        .parse()
        .context("the pin of node.json is not one")?;
    let kernel = nix::sys::utsname::uname().context("the kernel does not say its version")?;
    let kernel = kernel.release().to_string_lossy().into_owned();
    let boot = node::boot(Path::new("/"), &node, kernel)?;
    let mut real = RealMachine::new(&url, pin)?;
    node::report(&mut real, &node, &boot)?;
    real.say(&format!(
        "reported: {} runs generation {} ({})",
        boot.name, boot.generation, boot.store_path
    ));
    Ok(())
}

/// # Errors
/// Some volumes are still closed; the console says which and why.
pub(crate) fn unlock(volumes: &[Volume], patience: u32) -> anyhow::Result<()> {
    let roots = Roots::new(Path::new("/"), Path::new("/mnt"));
    let mut real = RealMachine::alone();
    let mut closed = unlock::closed(&mut real, &roots, volumes);
    unlock::by_tpm(&mut real, &roots, &mut closed);
    if let Some(token) = unlock::token(&closed) {
        let (url, pin) = unlock::place(&token)?;
        let mut real = RealMachine::new(&url, pin)?;
        let patience = Duration::from_secs(patience.into());
        unlock::by_appliance(&mut real, &roots, &mut closed, &token, patience)?;
    }
    let names: Vec<&str> = closed.iter().map(unlock::LockedVolume::name).collect();
    anyhow::ensure!(names.is_empty(), "closed still: {}", names.join(", "));
    Ok(())
}

pub(crate) fn inventory() -> anyhow::Result<()> {
    let roots = Roots::new(Path::new("/"), Path::new("/mnt"));
    let hardware = crate::inventory::inventory(&mut RealMachine::alone(), &roots);
    let json = serde_json::to_string_pretty(&hardware).context("cannot write the inventory")?;
    RealMachine::alone().say(&json);
    Ok(())
}

pub(crate) fn orders(file: &Path) -> anyhow::Result<()> {
    let mut console = RealMachine::alone();
    let orders = match read_errand(file)? {
        AgentMode::Install(orders) => orders,
        AgentMode::Discover(DiscoveryOrder { url, pin, mac }) => {
            console.say(&format!("appliance  {url}"));
            console.say(&format!("pin        {pin}"));
            console.say(&format!("discover   {mac}"));
            return Ok(());
        }
    };
    console.say(&format!("appliance  {}", orders.url));
    console.say(&format!("pin        {}", orders.pin));
    console.say(&format!("ticket     {}", orders.ticket));
    if let Some(mac) = orders.booted_from {
        console.say(&format!("card       {mac}"));
    }
    Ok(())
}

pub(crate) fn busy(disk: &str) -> anyhow::Result<()> {
    let roots = Roots::new(Path::new("/"), Path::new("/mnt"));
    let mut console = RealMachine::alone();
    for release in crate::busy::release(&roots, &[disk])? {
        console.say(&release.command.to_string());
    }
    Ok(())
}

/// The outermost cause first, the others below it.
pub(crate) fn print_error(error: &anyhow::Error) {
    let causes = run::causes(error);
    let mut causes = causes.iter();
    let mut err = std::io::stderr();
    // The install goes on without a console.
    let _ = writeln!(
        err,
        "error: {}",
        causes.next().map_or("unknown", String::as_str)
    );
    for cause in causes {
        let _ = writeln!(err, "  {cause}");
    }
}
