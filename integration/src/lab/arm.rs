//! Machines with an ARM processor: what their firmware is, where it lies, and how QEMU is told of it.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fmt};

use anyhow::Context as _;

use super::bus::comma;
use super::optional::Optional;
use super::products::Products;

/// QEMU's name for such machines.
pub const QEMU: &str = "qemu-system-aarch64";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arm {
    /// AAVMF, with EDK2's own PXE.
    Uefi,
    /// AAVMF with Secure Boot in force.
    SecureBoot,
    /// U-Boot, as it is made for QEMU.
    UBoot,
}

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uefi => "arm64 UEFI",
            Self::SecureBoot => "arm64 UEFI with Secure Boot",
            Self::UBoot => "U-Boot",
        })
    }
}

impl Arm {
    pub fn is_uefi(self) -> bool {
        self != Self::UBoot
    }

    /// The firmware's code. `AAVMF_DIR` and `U_BOOT_DIR` say where, if not where Debian has it.
    pub fn code(self) -> PathBuf {
        match self {
            Self::Uefi | Self::SecureBoot => aavmf().join("AAVMF_CODE.fd"),
            Self::UBoot => folder("U_BOOT_DIR", "/usr/lib/u-boot").join("qemu_arm64/u-boot.bin"),
        }
    }

    /// Writes the firmware's variables into a file, as they come: with Secure Boot, Microsoft's keys are among them. Of
    /// 64 MiB all but the beginning is empty, and takes no room.
    pub(super) fn variables(self, to: &Path) -> anyhow::Result<()> {
        let kind = if self == Self::SecureBoot { ".ms" } else { "" };
        let template = aavmf().join(format!("AAVMF_VARS{kind}.fd"));
        let all =
            fs::read(&template).with_context(|| format!("cannot read `{}`", template.display()))?;
        let used = all
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        let mut file = File::create(to)?;
        file.write_all(&all[..used])?;
        Ok(file.set_len(u64::try_from(all.len())?)?)
    }

    /// The board, in QEMU's words. An ARM processor is always emulated here.
    pub(super) fn board(self, vars: Option<&Path>) -> Vec<String> {
        let mut args: Vec<String> = ["-machine", "virt", "-cpu", "cortex-a72", "-accel", "tcg"]
            .map(str::to_owned)
            .into();
        let code = self.code();
        if self.is_uefi() {
            let read_only = (code.as_path(), ",readonly=on");
            for (file, more) in [Some(read_only), vars.map(|vars| (vars, ""))]
                .into_iter()
                .flatten()
            {
                args.push("-drive".to_owned());
                args.push(format!("if=pflash,format=raw{more},file={}", comma(file)));
            }
        } else {
            args.push("-bios".to_owned());
            args.push(code.display().to_string());
        }
        args
    }

    /// # Errors
    /// Part of what such a machine needs is absent.
    pub fn must_be_here(self) -> anyhow::Result<()> {
        Optional::Arm.command(QEMU)?;
        for file in [self.code(), Products::find()?.arm("kernel")] {
            let what = format!("`{}`", file.display());
            Optional::Arm.must_be_here(file.exists(), what)?;
        }
        Ok(())
    }
}

fn aavmf() -> PathBuf {
    folder("AAVMF_DIR", "/usr/share/AAVMF")
}

fn folder(variable: &str, usual: &str) -> PathBuf {
    env::var_os(variable).map_or_else(|| usual.into(), PathBuf::from)
}
