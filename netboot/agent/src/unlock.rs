//! In the initrd of an installed node: opens its encrypted volumes, by the TPM, else with the key that the appliance
//! has. For what stays closed, systemd asks a person at the console.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context as _;
use netboot::api::types::{SealedAnswer, UnlockRequest, UnlockSecrets, UnlockToken};
use netboot_pin::Pin;
use serde_json::Value;

use crate::access::{HostCommand, NodeCall, Roots, WriteAccess, run};
use crate::cmdline;
use crate::envelope::Envelope;
use crate::run::causes;
use crate::talk::{self, PATIENCE};

/// A TPM whose driver is built into the kernel is there from the beginning; others take a moment.
const TPM_LIMIT: Duration = Duration::from_secs(5);

/// `root=/dev/disk/by-partlabel/disk-main-root`: as what a device is to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Volume {
    name: String,
    device: PathBuf,
}

impl FromStr for Volume {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "is not like root=/dev/disk/by-partlabel/disk-main-root";

        let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        let (name, device) = text.split_once('=').ok_or(FORM)?;
        let sound = !name.is_empty() && name.chars().all(plain) && device.starts_with("/dev/");
        let device = PathBuf::from(device);
        let name = name.to_owned();
        sound.then_some(Self { name, device }).ok_or(FORM)
    }
}

/// A volume that is to be opened, and what its header says of how. No `Debug`.
pub(crate) struct LockedVolume {
    volume: Volume,
    token: Option<UnlockToken>,
    /// Whether the TPM has a key for it.
    tpm: bool,
}

impl LockedVolume {
    pub(crate) fn name(&self) -> &str {
        &self.volume.name
    }
}

/// The volumes that are not open yet, in the order given.
pub(crate) fn closed(
    access: &mut dyn WriteAccess,
    roots: &Roots,
    volumes: &[Volume],
) -> Vec<LockedVolume> {
    let mut closed = Vec::new();
    for volume in volumes.iter().filter(|one| !is_open(roots, one)) {
        // Read by libcryptsetup, which knows a damaged header from a whole one.
        let dump = HostCommand::new("cryptsetup")
            .args(["luksDump", "--dump-json-metadata"])
            .path(&volume.device);
        let header = match run(access, &dump) {
            Ok(json) => serde_json::from_str(&json).unwrap_or_default(),
            Err(error) => {
                complain(access, volume, &error.into());
                Value::Null
            }
        };
        closed.push(LockedVolume {
            volume: volume.clone(),
            token: of_kind(&header, UnlockToken::KIND).and_then(|token| {
                // An agent of another version may have written it.
                serde_json::from_value(token.clone()).ok()
            }),
            tpm: of_kind(&header, "systemd-tpm2").is_some(),
        });
    }
    closed
}

fn is_open(roots: &Roots, volume: &Volume) -> bool {
    roots.dev.join("mapper").join(&volume.name).exists()
}

fn of_kind<'a>(header: &'a Value, kind: &str) -> Option<&'a Value> {
    let mut tokens = header["tokens"].as_object()?.values();
    tokens.find(|token| token["type"] == kind)
}

/// Opens the volumes that the TPM has a key for, with systemd's own program: the key never comes into this process.
pub(crate) fn by_tpm(access: &mut dyn WriteAccess, roots: &Roots, closed: &mut Vec<LockedVolume>) {
    if !closed.iter().any(|one| one.tpm) {
        return;
    }
    let until = access.elapsed() + TPM_LIMIT;
    while !roots.sys.join("class/tpm/tpm0").exists() {
        if access.elapsed() >= until {
            access
                .say("unlock: this machine has no TPM, or another one than when it was installed");
            return;
        }
        access.sleep(Duration::from_millis(100));
    }
    closed.retain(|one| {
        if !one.tpm {
            return true;
        }
        let volume = &one.volume;
        let attach = HostCommand::new("systemd-cryptsetup")
            .args(["attach", &volume.name])
            .path(&volume.device)
            // `headless`: it does not ask for a passphrase.
            .args(["-", "tpm2-device=auto,headless=1"])
            // Else libcryptsetup reads the header's token with a plugin that it loads from a place of its own, which a first
            // stage need not have: systemd can do that by itself (its ENVIRONMENT.md).
            .env("SYSTEMD_CRYPTSETUP_USE_TOKEN_MODULE", "0")
            // Else it complains to the kernel's log alone.
            .env("SYSTEMD_LOG_TARGET", "console");
        match run(access, &attach) {
            Ok(_) => {
                access.say(&format!("unlock: {} is opened by the TPM", volume.name));
                false
            }
            Err(error) => {
                complain(access, volume, &error.into());
                true
            }
        }
    });
}

/// Where to ask for the key of the closed volumes. One key opens all volumes of a machine.
pub(crate) fn token(closed: &[LockedVolume]) -> Option<UnlockToken> {
    closed.iter().find_map(|one| one.token.clone())
}

/// The appliance that a header names.
pub(crate) fn place(token: &UnlockToken) -> anyhow::Result<(String, Pin)> {
    let url = cmdline::appliance(&token.appliance)
        .map_err(|why| anyhow::anyhow!("the appliance `{}` {why}", token.appliance))?;
    let pin = token.pin.parse().context("the pin is not one")?;
    Ok((url, pin))
}

/// Asks the appliance for the key, until `patience` is over if it does not answer, and opens the closed volumes with
/// it.
///
/// # Errors
/// There is no key: the appliance refused, is another one, or was not there.
pub(crate) fn by_appliance(
    access: &mut dyn WriteAccess,
    roots: &Roots,
    closed: &mut Vec<LockedVolume>,
    token: &UnlockToken,
    patience: Duration,
) -> anyhow::Result<()> {
    access.say(&format!(
        "unlock: asking {} for the disk key of {}",
        token.appliance, token.machine
    ));
    let envelope = Envelope::default();
    let request = UnlockRequest {
        recipient: envelope.recipient(),
    };
    let call = NodeCall {
        path: "/node/v1/unlock",
        bearer: Some(&token.credential),
        body: serde_json::to_string(&request).context("cannot write the request")?,
        patience: PATIENCE,
    };
    let answer: SealedAnswer =
        talk::ask_within(access, &call, patience).context("there is no disk key")?;
    let UnlockSecrets { key } = envelope.opened(&answer)?;
    closed.retain(|one| {
        let volume = &one.volume;
        let open = HostCommand::new("cryptsetup")
            .args(["open", "--type=luks2", "--key-file=-"])
            .path(&volume.device)
            .arg(volume.name.as_str())
            .stdin(key.clone());
        match run(access, &open) {
            Ok(_) => {
                let line = format!("unlock: {} is opened by the appliance's key", volume.name);
                access.say(&line);
                false
            }
            // A person opened it at the console meanwhile.
            Err(_) if is_open(roots, volume) => false,
            Err(error) => {
                complain(access, volume, &error.into());
                true
            }
        }
    });
    Ok(())
}

fn complain(access: &mut dyn WriteAccess, volume: &Volume, error: &anyhow::Error) {
    access.say(&format!("unlock: {} stays closed for now", volume.name));
    for cause in causes(error) {
        access.say(&format!("  {cause}"));
    }
}

#[cfg(test)]
mod tests;
