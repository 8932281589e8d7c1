//! `k3s-stand-in server|agent [--config FILE]`: in place of k3s, under whose name practice systems start it.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use integration::k3s::agent::ClusterMember;
use integration::k3s::config::K3sServerConfig;
use integration::k3s::server::K3sServer;
use integration::k3s::{agent, identity};

const USAGE: &str = "usage: k3s-stand-in server|agent [--config FILE]\n\
    A stand-in for k3s: it speaks the join protocol and runs nothing.";

fn say(line: &str) {
    println!("k3s stand-in: {line}");
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (role, file) = match words.as_slice() {
        [role @ ("server" | "agent")] => (*role, "/etc/rancher/k3s/config.yaml"),
        [role @ ("server" | "agent"), "--config" | "-c", file] => (*role, *file),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let Err(error) = run(role, Path::new(file)) else {
        return ExitCode::SUCCESS;
    };
    say(&format!("error: {error:#}"));
    ExitCode::FAILURE
}

fn run(role: &str, file: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read `{}`", file.display()))?;
    let config = K3sServerConfig::read(&text).with_context(|| format!("`{}`", file.display()))?;
    match (role, config.get("server")) {
        ("agent", _) => ClusterMember::from_config(&config, "node")?.run(&say),
        (_, Some(_)) => {
            say("joins as a further server; a stand-in keeps no copy of the datastore");
            ClusterMember::from_config(&config, "server")?.run(&say)
        }
        _ => first_server(&config),
    }
}

/// Makes the cluster. It is a node of it too, unless `disable-agent` says no.
fn first_server(config: &K3sServerConfig) -> anyhow::Result<()> {
    let server = K3sServer::bind(config)?;
    let address = server.address()?;
    say(&format!("serves on {address}"));
    if config.get("disable-agent") != Some("true") {
        let me = ClusterMember {
            server: format!("https://127.0.0.1:{}", address.port()),
            token: integration::k3s::token::Token::read(&agent::token(config)?)?,
            user: "server",
            name: match config.get("node-name") {
                Some(name) => name.to_owned(),
                None => identity::host_name()?,
            },
            password_file: identity::PASSWORD_FILE.into(),
            labels: config.all("node-label").to_vec(),
        };
        if !address.ip().is_unspecified() && !address.ip().is_loopback() {
            bail!(
                "`bind-address` leaves out 127.0.0.1, where its own node would join; add `disable-agent: true`"
            );
        }
        std::thread::spawn(move || me.run(&say));
    }
    server.run(say)
}
