//! The decision → what a machine's boot loader reads, in the language of that loader. Nothing secret goes in: anybody
//! on the LAN can read it.
//!
//! | module | for |
//! |---|---|
//! | [`ipxe`] | iPXE over HTTP, and the `autoexec.ipxe` of its signed form |
//! | [`grub`] | GRUB behind the signed shim, and where there is no iPXE |
//! | [`extlinux`] | U-Boot |
//! | [`raspberry_pi`] | the ROM and firmware of a Raspberry Pi |

use crate::base::address::ApplianceAddress;
use crate::base::mac::Mac;
use crate::base::token::Ticket;
use crate::loader::local_boot::LocalBootMethod;

pub mod extlinux;
pub mod grub;
pub mod ipxe;
pub mod raspberry_pi;

/// What a machine boots. Every language says the same of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BootTarget {
    Installer(Installer),
    /// Its own disk, by this way, and the reason.
    Disk {
        why: String,
        way: LocalBootMethod,
    },
    /// How to enroll it; asks again, and boots the disk after ten minutes.
    Wait,
}

/// The installer, and what it is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installer {
    /// What the machine is called on its screen.
    pub title: String,
    pub image: BootImage,
    pub mode: InstallerMode,
}

/// What the installer does with the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstallerMode {
    /// Installs it, once, with this ticket.
    Install(Ticket),
    /// Tells the appliance the hardware, and writes to no disk.
    Discover,
}

impl Installer {
    /// Where its files are for TFTP. By the name of the image, so that a machine gets the kernel and the initrd of one
    /// build, whatever is published in between.
    fn folder(&self, mac: Mac) -> String {
        format!("{}/{}", mac.dashed(), self.image.name)
    }

    /// For the machine's screen.
    fn doing(&self, mac: Mac) -> String {
        let title = screen_text(&self.title);
        match self.mode {
            InstallerMode::Install(_) => format!("Installing {title} ({mac})"),
            InstallerMode::Discover => format!("Looking at {mac}, without writing to its disks"),
        }
    }
}

/// An entry for one machine: what each language writes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootScript<'a> {
    pub address: &'a ApplianceAddress,
    pub mac: Mac,
    pub entry: &'a BootTarget,
}

impl BootScript<'_> {
    /// The kernel's command line, without the word that names the initrd, which not every loader needs.
    fn arguments(&self, installer: &Installer) -> String {
        let Installer { image, mode, .. } = installer;
        let address = self.address;
        // BOOTIF names the card which booted; installers with several cards need it.
        let mode = match mode {
            InstallerMode::Install(ticket) => format!("netboot.ticket={ticket}"),
            InstallerMode::Discover => format!("netboot.discover={}", self.mac),
        };
        let ours = format!(
            "BOOTIF=01-{} netboot.url={} {mode} netboot.pin={}",
            self.mac.dashed(),
            address.node(),
            address.pin
        );
        // iPXE makes one space of several, so the other languages get single spaces, too.
        let more = image.cmdline.split(' ').filter(|word| !word.is_empty());
        std::iter::once(ours.as_str())
            .chain(more)
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// A sentence for a screen, without the characters that any of the languages would read as more than text.
fn screen_text(text: &str) -> String {
    text.chars()
        .filter(|c| (' '..='~').contains(c) && !"$'\"\\".contains(*c))
        .collect()
}

/// Whether a kernel command line means the same in every language.
///
/// # Errors
/// The character or word that one of them changes. iPXE expands `${…}` and knows no quotes, so that `||`, `&&` and `;`
/// standing alone end its command; U-Boot expands `${…}` and `$(…)` and takes backslashes and single quotes away; GRUB
/// puts backslashes before both when it hands the line to the kernel.
pub fn is_portable_cmdline(cmdline: &str) -> Result<(), String> {
    if let Some(odd) = cmdline.chars().find(|c| !(' '..='~').contains(c)) {
        return Err(format!(
            "has the character {odd:?}; it must be one line of ASCII"
        ));
    }
    if let Some(odd) = ["${", "$(", "\\", "'"]
        .into_iter()
        .find(|odd| cmdline.contains(odd))
    {
        return Err(format!("has `{odd}`, which boot loaders would change"));
    }
    let mut words = cmdline.split(' ');
    if let Some(odd) =
        words.find(|word| matches!(*word, "||" | "&&" | ";") || word.starts_with('#'))
    {
        return Err(format!(
            "has the word `{odd}`, which iPXE would take for its own"
        ));
    }
    match cmdline.matches('"').count() % 2 {
        0 => Ok(()),
        _ => Err("has a quote that does not end".to_owned()),
    }
}

/// What is booted: `images.<name>` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootImage {
    pub name: String,
    /// As `uname -m` says it: `x86_64`, `aarch64`.
    pub arch: String,
    pub cmdline: String,
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::test_support::{address, mac};

    pub(crate) fn installer(cmdline: &str) -> BootTarget {
        BootTarget::Installer(Installer {
            title: "node1".to_owned(),
            image: BootImage {
                name: "installer".to_owned(),
                arch: "x86_64".to_owned(),
                cmdline: cmdline.to_owned(),
            },
            mode: InstallerMode::Install(Ticket::new([7; 16])),
        })
    }

    /// A reason that tries to be more than text, in every language.
    pub(crate) fn hostile(way: LocalBootMethod) -> BootTarget {
        let why = "joined; boots its own disk\n#!ipxe ${net0/mac}' \"\\\nexit $(id)".to_owned();
        BootTarget::Disk { why, way }
    }

    /// What the kernel makes of a command line: words, with spaces where quotes allow them
    /// (`next_arg` of Linux, lib/cmdline.c).
    pub(crate) fn kernel_words(cmdline: &str) -> Vec<String> {
        let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
        for c in cmdline.chars() {
            match c {
                '"' => quoted = !quoted,
                ' ' if !quoted => words.push(std::mem::take(&mut word)),
                c => word.push(c),
            }
        }
        words.push(word);
        words.retain(|word| !word.is_empty());
        words
    }

    #[test]
    fn what_a_loader_would_change_is_no_command_line() {
        for (name, cmdline, good) in [
            ("nothing", "", true),
            (
                "the usual",
                "init=/nix/store/x-y/init console=ttyS0,115200n8 quiet",
                true,
            ),
            ("a dollar that starts nothing", "memmap=64M$1G", true),
            (
                "spaces in quotes",
                "dyndbg=\"file foo +p; file bar +p\"",
                true,
            ),
            ("a semicolon in a word", "a;b", true),
            ("a variable of iPXE and U-Boot", "a=${net0/mac}", false),
            ("a variable of U-Boot", "a=$(ip)", false),
            ("the end of an iPXE command", "quiet || shell", false),
            ("another", "quiet && shell", false),
            ("and another", "quiet ; shell", false),
            ("a comment", "quiet #x", false),
            ("a second line", "quiet\n#!ipxe", false),
            ("a tab", "quiet\tx", false),
            ("a backslash", "a\\040b", false),
            ("a single quote", "a='b c'", false),
            ("half a quote", "a=\"b c", false),
            ("no ASCII", "a=ä", false),
        ] {
            assert_eq!(
                is_portable_cmdline(cmdline).is_ok(),
                good,
                "{name}: {cmdline}"
            );
        }
    }

    proptest! {
        /// Whatever is allowed on a command line, the kernel is told the same words by every loader.
        #[test]
        fn every_language_hands_over_the_same_words(cmdline in "[ -~]{0,60}") {
            prop_assume!(is_portable_cmdline(&cmdline).is_ok());
            let entry = installer(&cmdline);
            let (address, mac) = (address(), mac(0x56));
            let script = BootScript { address: &address, mac, entry: &entry };
            let BootTarget::Installer(installer) = &entry else { unreachable!() };
            let want = kernel_words(&script.arguments(installer));
            prop_assert_eq!(kernel_words(&ipxe::tests::handed_over(&ipxe::text(&script))), want.clone(), "iPXE");
            prop_assert_eq!(kernel_words(&grub::tests::handed_over(&grub::text(&script))), want.clone(), "GRUB");
            prop_assert_eq!(kernel_words(&extlinux::tests::handed_over(&extlinux::text(&script))), want.clone(), "U-Boot");
            let pi = raspberry_pi::cmdline(&script).unwrap_or_default();
            prop_assert_eq!(kernel_words(pi.trim_end()), want, "Raspberry Pi");
        }
    }
}
