//! What some tests need and a machine may lack: where it is absent these tests fail, since a test that passes without
//! running proves nothing. `integration/tests/selected` leaves them out where a person says so.

use std::{env, fmt};

use anyhow::bail;

use super::dhcp_client::is_here;

/// A row for each: name, filter, what to install.
const LIST: &str = include_str!("../../tests/optional.txt");

/// By its name in `integration/tests/optional.txt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Optional {
    Arm,
    Tpm,
    SecureBoot,
    Relay,
    Dhclient,
    Ipxe,
    Zfs,
}

impl Optional {
    fn name(self) -> &'static str {
        match self {
            Self::Arm => "arm",
            Self::Tpm => "tpm",
            Self::SecureBoot => "secure-boot",
            Self::Relay => "relay",
            Self::Dhclient => "dhclient",
            Self::Ipxe => "ipxe",
            Self::Zfs => "zfs",
        }
    }

    /// What to install for it.
    fn source(self) -> &'static str {
        let row = |line: &&str| line.split(' ').next() == Some(self.name());
        let line = LIST.lines().find(row).unwrap_or_default();
        line.rsplit("  ").next().unwrap_or_default().trim()
    }

    /// # Errors
    /// `there` is false: `what` is absent, with what to install.
    pub fn must_be_here(self, there: bool, what: impl fmt::Display) -> anyhow::Result<()> {
        if there {
            return Ok(());
        }
        let (name, source) = (self.name(), self.source());
        bail!(
            "this machine has no {what}\n\n  tip: integration/setup, or install: {source}\n  \
             tip: to leave out what needs it: NETBOOT_WITHOUT={name} integration/test"
        )
    }

    /// # Errors
    /// There is no command of this name in `PATH`.
    pub fn command(self, command: &str) -> anyhow::Result<()> {
        self.must_be_here(is_here(command), format_args!("`{command}`"))
    }

    /// Whether a person said with `NETBOOT_WITHOUT` that it is to be left out.
    pub fn is_left_out(self) -> bool {
        let without = env::var("NETBOOT_WITHOUT").unwrap_or_default();
        without.split(',').any(|name| name == self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_absent_is_a_failure_that_says_what_to_install() {
        for part in [
            Optional::Arm,
            Optional::Tpm,
            Optional::SecureBoot,
            Optional::Relay,
            Optional::Dhclient,
            Optional::Ipxe,
            Optional::Zfs,
        ] {
            part.must_be_here(true, "such thing").unwrap();
            let error = part.must_be_here(false, "such thing").unwrap_err();
            let said = error.to_string();
            assert!(said.starts_with("this machine has no such thing"), "{said}");
            assert!(part.source().len() > 5, "{part:?} has no row");
            for words in [part.source(), &format!("NETBOOT_WITHOUT={}", part.name())] {
                assert!(said.contains(words), "no `{words}` in: {said}");
            }
        }
    }
}
