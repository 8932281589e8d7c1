//! Which installer a machine boots: that of its profile's architecture, if its firmware can start it.

use crate::base::arch::CpuArch;
use crate::base::name::ProfileName;
use crate::machine::Machine;
use crate::profile::Profiles;

/// Why a machine that is to be installed gets no installer: the words on its screen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoImage {
    #[error("it has no profile")]
    NoProfile,
    #[error("its profile {0} does not exist any more")]
    ProfileGone(ProfileName),
    #[error("its profile {profile} is for {wanted}, and this machine boots as {boots}")]
    OtherArch {
        profile: ProfileName,
        wanted: CpuArch,
        boots: String,
    },
    #[error("no installer image for {0} is configured")]
    NotConfigured(String),
}

/// The architecture of the installer that a machine gets.
///
/// # Errors
/// It has no profile, or one for machines of another kind.
pub fn wanted(machine: Option<&Machine>, profiles: &Profiles) -> Result<CpuArch, NoImage> {
    let profile = machine
        .and_then(|m| m.profile.as_ref())
        .ok_or(NoImage::NoProfile)?;
    let found = profiles.by_name.get(profile);
    let wanted = found.map(|p| p.arch.clone());
    let wanted = wanted.ok_or_else(|| NoImage::ProfileGone(profile.clone()))?;
    let boots = machine.and_then(|m| m.facts.arch);
    match boots {
        Some(arch) if arch.kernel().as_ref() != Some(&wanted) => Err(NoImage::OtherArch {
            profile: profile.clone(),
            wanted,
            boots: arch.to_string(),
        }),
        _ => Ok(wanted),
    }
}

/// The architecture of the installer that looks at a stranger: what its firmware runs, or what most boxes are.
///
/// # Errors
/// Its firmware starts no kernel that there is an installer for.
pub fn for_stranger(machine: Option<&Machine>) -> Result<CpuArch, NoImage> {
    match machine.and_then(|m| m.facts.arch) {
        Some(arch) => arch
            .kernel()
            .ok_or_else(|| NoImage::NotConfigured(arch.to_string())),
        None => Ok(CpuArch::X86_64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::agent::tests::Story;
    use crate::base::arch::Arch;

    #[test]
    fn a_machine_never_gets_the_kernel_of_another_architecture() {
        let story = Story::enrolled();
        let (profiles, mut machine) = (&story.profiles, story.machine().clone());
        for (arch, want) in [
            (None, Ok("x86_64")),
            (Some(Arch::Bios), Ok("x86_64")),
            (Some(Arch::X64), Ok("x86_64")),
            (Some(Arch::X86), Ok("x86_64")),
            (Some(Arch::Arm64), Err("64-bit ARM")),
            (Some(Arch::Arm32), Err("32-bit ARM")),
            (Some(Arch::Riscv64), Err("64-bit RISC-V")),
            (Some(Arch::Other(37)), Err("architecture 37")),
        ] {
            machine.facts.arch = arch;
            let got = wanted(Some(&machine), profiles).map_err(|e| e.to_string());
            match want {
                Ok(want) => assert_eq!(got, Ok(CpuArch::from(want)), "{arch:?}"),
                Err(words) => {
                    let said = got.expect_err("another architecture");
                    assert!(said.ends_with(&format!("boots as {words}")), "{said}");
                }
            }
        }
        machine.profile = None;
        assert_eq!(wanted(Some(&machine), profiles), Err(NoImage::NoProfile));
        assert_eq!(wanted(None, profiles), Err(NoImage::NoProfile));
    }
}
