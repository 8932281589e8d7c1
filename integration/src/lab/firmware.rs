//! Which firmware a machine has, and the files of it.

use std::path::PathBuf;
use std::{env, fmt};

use anyhow::bail;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Firmware {
    /// OVMF, with EDK2's own PXE.
    Uefi,
    /// SeaBIOS, with iPXE in the network card's ROM.
    Bios,
}

impl fmt::Display for Firmware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uefi => "UEFI",
            Self::Bios => "BIOS",
        })
    }
}

/// OVMF's code and the template of its variables. `OVMF_DIR` says where, if not where Debian has it.
pub fn ovmf() -> anyhow::Result<(PathBuf, PathBuf)> {
    let dir =
        env::var_os("OVMF_DIR").map_or_else(|| PathBuf::from("/usr/share/OVMF"), PathBuf::from);
    for (code, vars) in [
        ("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"),
        ("OVMF_CODE.fd", "OVMF_VARS.fd"),
    ] {
        let pair = (dir.join(code), dir.join(vars));
        if pair.0.exists() && pair.1.exists() {
            return Ok(pair);
        }
    }
    bail!(
        "no OVMF_CODE_4M.fd and OVMF_VARS_4M.fd in `{}` (package ovmf; or set OVMF_DIR)",
        dir.display()
    )
}
