//! What an installer consists of when it is sent to an appliance, and which one is on record.

use serde::{Deserialize, Serialize};

use crate::base::arch::CpuArch;
use crate::base::release::PublishedInstaller;
use crate::base::token::Digest;
use crate::loader::script::is_portable_cmdline;
use crate::machine::event::Decided;
use crate::machine::event::{EventKind, NewEvent};
use crate::machine::state::ApplianceState;

/// Bytes of the longest command line that is taken: more than any kernel takes (x86: 2048).
pub const LONGEST_CMDLINE: usize = 8192;

/// A whole installer: its command line as text, its kernel and initrd by size and hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallerManifest {
    /// As `uname -m` says it.
    pub arch: String,
    pub cmdline: String,
    pub kernel: ImageFile,
    pub initrd: ImageFile,
}

/// One file of an installer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageFile {
    pub sha256: Digest,
    /// In bytes.
    pub size: u64,
}

/// Whether there are machines that could boot this.
///
/// # Errors
/// What is wrong with it, as the end of a sentence that begins with "its".
pub fn bootable(arch: &str, cmdline: &str) -> Result<(), String> {
    if cmdline.len() > LONGEST_CMDLINE {
        return Err("cmdline is too long".to_owned());
    }
    is_portable_cmdline(cmdline).map_err(|why| format!("cmdline {why}"))?;
    match CpuArch::from(arch) {
        CpuArch::X86_64 | CpuArch::Aarch64 => Ok(()),
        CpuArch::Other(other) => Err(format!(
            "arch is `{}`, not x86_64 or aarch64",
            other.escape_debug()
        )),
    }
}

/// Writes down that machines boot this installer from now on, unless that is on record.
pub fn published(state: &ApplianceState, installer: PublishedInstaller) -> Decided<()> {
    let of_its_kind = |other: &&PublishedInstaller| other.arch == installer.arch;
    let last = state.installers.iter().rfind(of_its_kind);
    let known = last.is_some_and(|last| last.path == installer.path);
    let event = (!known).then_some(NewEvent {
        machine: None,
        what: EventKind::InstallerPublished { installer },
    });
    Decided {
        answer: Ok(()),
        events: event.into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::release::FlakeSource;
    use crate::base::timestamp::Timestamp;
    use crate::machine::event::Event;

    #[test]
    fn what_no_machine_could_boot_is_told_from_what_one_could() {
        let long = "a".repeat(LONGEST_CMDLINE + 1);
        for (name, arch, cmdline, want) in [
            ("the usual", "x86_64", "console=ttyS0 quiet", None),
            ("nothing to say", "aarch64", "", None),
            (
                "another machine",
                "riscv64",
                "",
                Some("arch is `riscv64`, not x86_64 or aarch64"),
            ),
            (
                "a way out",
                "../x86_64",
                "",
                Some("arch is `../x86_64`, not x86_64 or aarch64"),
            ),
            ("a book", "x86_64", &long, Some("cmdline is too long")),
            (
                "two lines",
                "x86_64",
                "a\nb",
                Some("cmdline has the character '\\n'; it must be one line of ASCII"),
            ),
        ] {
            let got = bootable(arch, cmdline).err();
            assert_eq!(got.as_deref(), want, "{name}");
        }
    }

    #[test]
    fn an_installer_is_on_record_once_and_again_after_another() {
        let mut state = ApplianceState::default();
        let mut publish = |arch: &str, letter: &str| {
            let path = format!("/nix/store/{}-installer", letter.repeat(32));
            let installer = PublishedInstaller {
                arch: arch.to_owned(),
                path: path.parse().expect("a store path"),
                published: Timestamp::default(),
                source: FlakeSource::default(),
            };
            let events = published(&state, installer).events;
            for new_event in &events {
                let event = Event {
                    seq: state.seq + 1,
                    at: Timestamp::default(),
                    machine: new_event.machine,
                    what: new_event.what.clone(),
                };
                state.apply(&event);
            }
            events.len()
        };
        for (arch, letter, news) in [
            ("x86_64", "1", 1),
            ("x86_64", "1", 0),
            ("aarch64", "1", 1),
            ("x86_64", "2", 1),
            ("aarch64", "1", 0),
            ("x86_64", "1", 1),
        ] {
            assert_eq!(publish(arch, letter), news, "{arch} {letter}");
        }
        assert_eq!(state.installers.len(), 4);
    }
}
