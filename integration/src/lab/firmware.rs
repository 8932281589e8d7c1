//! Which firmware a machine has, and the files of it.

use std::path::PathBuf;
use std::{env, fmt};

use anyhow::bail;

use super::arm::Arm;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum VmFirmware {
    /// OVMF, with EDK2's own PXE.
    Uefi,
    /// OVMF with Secure Boot in force: it runs only what Microsoft's keys signed.
    SecureBoot,
    /// SeaBIOS, with iPXE in the network card's ROM.
    Bios,
    /// The firmware of a machine with an ARM processor.
    #[value(skip)]
    Arm(Arm),
}

impl VmFirmware {
    /// The processor that it is for, as `uname -m` says it.
    pub fn processor(self) -> &'static str {
        match self {
            Self::Uefi | Self::SecureBoot | Self::Bios => "x86_64",
            Self::Arm(_) => "aarch64",
        }
    }
}

impl fmt::Display for VmFirmware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uefi => "UEFI",
            Self::SecureBoot => "UEFI with Secure Boot",
            Self::Bios => "BIOS",
            Self::Arm(arm) => return arm.fmt(f),
        })
    }
}

/// OVMF's code and the template of its variables. `OVMF_DIR` says where, if not where Debian has it. With Secure Boot, the
/// template holds Microsoft's keys.
pub fn ovmf(firmware: VmFirmware) -> anyhow::Result<(PathBuf, PathBuf)> {
    let dir =
        env::var_os("OVMF_DIR").map_or_else(|| PathBuf::from("/usr/share/OVMF"), PathBuf::from);
    let kind = match firmware {
        VmFirmware::SecureBoot => ".ms",
        VmFirmware::Uefi | VmFirmware::Bios | VmFirmware::Arm(_) => "",
    };
    let names = ["_4M", ""].map(|size| {
        let name = |part| format!("OVMF_{part}{size}{kind}.fd");
        (name("CODE"), name("VARS"))
    });
    for (code, vars) in &names {
        let pair = (dir.join(code), dir.join(vars));
        if pair.0.exists() && pair.1.exists() {
            return Ok(pair);
        }
    }
    let [(code, vars), _] = names;
    bail!(
        "no {code} and {vars} in `{}` (package ovmf; or set OVMF_DIR)",
        dir.display()
    )
}
