//! From the network to the own disk, for a boot loader that is talking already: the ways that there are, tried in turn
//! until one worked for this machine.
//!
//! What firmware makes of a loader that ends is its own affair (ipxe#213, #601, #1033), and what a loader finds of the
//! disks is the loader's. The only sign that a way worked is the installed system's own report; the only sign that it
//! did not is that the machine asks the network again instead.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::base::arch::Arch;

/// Who reads the script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BootLoader {
    IpxeBios,
    IpxeUefi,
    Grub,
    UBoot,
    #[serde(other)]
    Unknown,
}

/// How a loader leaves for the disk. Names are for good: they stand in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LocalBootMethod {
    /// BIOS: the boot sector of the disk that BIOS calls 0x80.
    FirstDisk,
    /// BIOS: the boot sector of disk 0x81, where the installed disk is not the first.
    SecondDisk,
    /// It ends with an error, upon which firmware goes on to its next entry.
    NextEntry,
    /// UEFI: the loader at the place that firmware looks at by itself (UEFI 2.10 §3.5.1.1).
    EspLoader,
    /// It ends as if all were well: some firmware goes on only then.
    Done,
    /// U-Boot's variable `localcmd`, or its next boot target.
    LocalCommand,
    #[serde(other)]
    Unknown,
}

impl BootLoader {
    /// iPXE, by what it says of its platform (`${platform}`), or else by what the machine's packets said.
    pub fn ipxe(platform: Option<&str>, arch: Option<Arch>) -> Self {
        match (platform, arch) {
            (Some("efi"), _) => Self::IpxeUefi,
            (Some("pcbios"), _) | (_, None | Some(Arch::Bios)) => Self::IpxeBios,
            (_, Some(_)) => Self::IpxeUefi,
        }
    }

    /// In the order in which they are tried. iPXE finds local disks on UEFI since March 2024; an older one can only
    /// end.
    pub fn ways(self) -> &'static [LocalBootMethod] {
        match self {
            Self::IpxeBios => &[
                LocalBootMethod::FirstDisk,
                LocalBootMethod::NextEntry,
                LocalBootMethod::SecondDisk,
            ],
            Self::IpxeUefi => &[
                LocalBootMethod::NextEntry,
                LocalBootMethod::EspLoader,
                LocalBootMethod::Done,
            ],
            Self::Grub => &[LocalBootMethod::EspLoader, LocalBootMethod::NextEntry],
            Self::UBoot => &[LocalBootMethod::LocalCommand],
            Self::Unknown => &[LocalBootMethod::NextEntry],
        }
    }

    /// The way to try next with a machine, by what is known of it. When every way has failed, the ways are tried in
    /// turn again, beginning after `last`, which just led back to the network.
    pub fn way(
        self,
        known: Option<&LocalBootHistory>,
        last: Option<LocalBootMethod>,
    ) -> LocalBootMethod {
        let known = known.filter(|known| known.loader == self);
        let failed = |way: LocalBootMethod| known.is_some_and(|known| known.failed.contains(&way));
        let mut ways = self.ways().iter().copied();
        let first = ways.clone().next().unwrap_or(LocalBootMethod::NextEntry);
        let worked = known.and_then(|known| known.works);
        let mut open = worked.into_iter().chain(ways.clone());
        open.find(|way| !failed(*way)).unwrap_or_else(|| {
            let after = ways.by_ref().find(|way| Some(*way) == last);
            after.and_then(|_| ways.next()).unwrap_or(first)
        })
    }
}

/// `iPXE on UEFI`
impl fmt::Display for BootLoader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IpxeBios => "iPXE on BIOS",
            Self::IpxeUefi => "iPXE on UEFI",
            Self::Grub => "GRUB",
            Self::UBoot => "U-Boot",
            Self::Unknown => "another loader",
        })
    }
}

/// The end of a sentence that has "by way of" before it.
impl fmt::Display for LocalBootMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FirstDisk => "the first disk's boot sector",
            Self::SecondDisk => "the second disk's boot sector",
            Self::NextEntry => "the firmware's next boot entry",
            Self::EspLoader => "the loader on its EFI system partition",
            Self::Done => "ending without an error",
            Self::LocalCommand => "U-Boot's own command",
            Self::Unknown => "a way that this version does not know",
        })
    }
}

/// A way that a machine was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departure {
    pub loader: BootLoader,
    pub way: LocalBootMethod,
}

/// `the firmware's next boot entry (iPXE on UEFI)`
impl fmt::Display for Departure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.way, self.loader)
    }
}

/// What is known of a machine's ways to its disk: kept with the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalBootHistory {
    /// The loader that this was learnt with. It does not hold for another loader.
    pub loader: BootLoader,
    /// The way that the installed system came up by last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub works: Option<LocalBootMethod>,
    /// The ways that led back to the network since the last time that one worked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<LocalBootMethod>,
}

impl LocalBootHistory {
    /// After the installed system came up by this way.
    pub fn worked(left: Departure) -> Self {
        Self {
            loader: left.loader,
            works: Some(left.way),
            failed: Vec::new(),
        }
    }

    /// After this way led back to the network.
    pub fn came_back(before: Option<&Self>, left: Departure) -> Self {
        let fresh = || Self {
            loader: left.loader,
            works: None,
            failed: Vec::new(),
        };
        let before = before.filter(|known| known.loader == left.loader);
        let mut known = before.cloned().unwrap_or_else(fresh);
        if !known.failed.contains(&left.way) {
            known.failed.push(left.way);
        }
        known
    }

    /// Whether every way that there is led back to the network.
    pub fn is_exhausted(&self) -> bool {
        let mut ways = self.loader.ways().iter();
        ways.all(|way| self.failed.contains(way))
    }

    /// For a person: what worked, what did not, what comes next.
    pub fn description(&self) -> String {
        let failed: Vec<String> = self.failed.iter().map(ToString::to_string).collect();
        let failed = failed.join(", ");
        let loader = self.loader;
        match self.works.filter(|way| !self.failed.contains(way)) {
            _ if self.is_exhausted() => {
                format!("every way of {loader} led back to the network: {failed}")
            }
            Some(way) if failed.is_empty() => format!("by {way} ({loader}), which worked"),
            _ => format!(
                "next by {} ({loader}); led back to the network: {failed}",
                loader.way(Some(self), None)
            ),
        }
    }
}

#[cfg(test)]
mod tests;
