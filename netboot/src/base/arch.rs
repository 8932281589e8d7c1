//! What a machine's firmware can run, by the IANA registry of processor architecture types, and what its kernel is built for.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::open_enum::open_enum;

open_enum! {
    /// What a kernel, an installer and a system are built for, as `uname -m` and Nix say it.
    pub enum CpuArch {
        X86_64 = "x86_64",
        Aarch64 = "aarch64",
    }
}

/// What a machine's firmware can run, as far as policy may see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arch {
    /// x86 BIOS.
    Bios,
    /// 32-bit x86 UEFI, as on some Atom tablets and mini PCs with a 64-bit processor.
    X86,
    /// x86-64 UEFI.
    X64,
    Arm32,
    Arm64,
    /// RISC-V, 64 bits.
    Riscv64,
    /// Anything else, by its number in the IANA registry of processor architecture types.
    #[serde(untagged)]
    Other(u16),
}

impl Arch {
    /// RFC 4578 §2.1 and the IANA registry, where UEFI HTTP boot has numbers of its own. 9 is "EBC" since erratum
    /// 4624 swapped it with 7; firmware that was written by the first text says 9 and means x64. 41 is the ROM of
    /// a Raspberry Pi, which is as old as BIOS to a loader: it takes none.
    pub fn from_registry(number: u16) -> Self {
        match number {
            0 | 20 => Self::Bios,
            6 | 15 => Self::X86,
            7 | 9 | 16 | 17 => Self::X64,
            10 | 18 | 21 | 23 => Self::Arm32,
            11 | 19 | 22 | 24 | 41 => Self::Arm64,
            27 | 28 => Self::Riscv64,
            other => Self::Other(other),
        }
    }

    /// The kernel that this firmware can start; `None` where there is no installer for it. A 64-bit kernel starts from
    /// 32-bit UEFI, too.
    pub fn kernel(self) -> Option<CpuArch> {
        match self {
            Self::Bios | Self::X86 | Self::X64 => Some(CpuArch::X86_64),
            Self::Arm64 => Some(CpuArch::Aarch64),
            Self::Arm32 | Self::Riscv64 | Self::Other(_) => None,
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bios => "x86 BIOS",
            Self::X86 => "32-bit x86 UEFI",
            Self::X64 => "x86-64 UEFI",
            Self::Arm32 => "32-bit ARM",
            Self::Arm64 => "64-bit ARM",
            Self::Riscv64 => "64-bit RISC-V",
            Self::Other(number) => return write!(f, "architecture {number}"),
        })
    }
}
