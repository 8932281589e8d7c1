//! The boot loaders of `boot.ipxe-dir` and `boot.grub-dir`, read at start and served from memory by TFTP and HTTP.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use axum::body::Bytes;
use netboot::base::arch::Arch;
use netboot::dhcp::reply;
use netboot::dhcp::request::{BootClient, NetbootRequest};

/// A loader that is looked for.
struct KnownLoader {
    name: &'static str,
    purpose: &'static str,
    /// The architecture of the machines that it is for.
    arch: Arch,
    folder: LoaderFolder,
    /// Other paths in the folder where it may lie.
    also: &'static [&'static str],
    /// The file that it loads itself and cannot do without.
    beside: Option<&'static str>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LoaderFolder {
    Ipxe,
    Grub,
}

const fn ipxe(
    name: &'static str,
    arch: Arch,
    purpose: &'static str,
    also: &'static [&'static str],
    beside: Option<&'static str>,
) -> KnownLoader {
    KnownLoader {
        name,
        purpose,
        arch,
        folder: LoaderFolder::Ipxe,
        also,
        beside,
    }
}

const fn grub(
    name: &'static str,
    arch: Arch,
    purpose: &'static str,
    also: &'static [&'static str],
    beside: Option<&'static str>,
) -> KnownLoader {
    KnownLoader {
        folder: LoaderFolder::Grub,
        ..ipxe(name, arch, purpose, also, beside)
    }
}

/// Every file that a machine may ask for, in the order in which they are reported. No other file of the folders is ever
/// served.
///
/// Other places: iPXE's own archive has a folder for each architecture. Debian has shim in `/usr/lib/shim`, and GRUB in
/// `/usr/lib/grub`, where the signed one for the network has another name than the one that shim asks for.
const KNOWN: [KnownLoader; 17] = [
    ipxe(
        "undionly.kpxe",
        Arch::Bios,
        "iPXE for machines that boot in BIOS mode",
        &[],
        None,
    ),
    ipxe(
        "snponly.efi",
        Arch::X64,
        "iPXE for UEFI",
        &["x86_64-efi/snponly.efi"],
        None,
    ),
    ipxe(
        "ipxe.efi",
        Arch::X64,
        "iPXE for UEFI whose own network driver fails",
        &["x86_64-efi/ipxe.efi"],
        None,
    ),
    ipxe(
        "snponly-shimx64.efi",
        Arch::X64,
        "iPXE's own shim, with a signed snponly.efi",
        &["x86_64-sb/snponly-shimx64.efi"],
        Some("snponly.efi"),
    ),
    ipxe(
        "ipxe-shimx64.efi",
        Arch::X64,
        "iPXE's own shim, with a signed ipxe.efi",
        &["x86_64-sb/ipxe-shimx64.efi"],
        Some("ipxe.efi"),
    ),
    grub(
        "shimx64.efi",
        Arch::X64,
        "the signed shim, for UEFI with Secure Boot",
        &["shimx64.efi.signed", "../shim/shimx64.efi.signed"],
        Some("grubx64.efi"),
    ),
    grub(
        "grubx64.efi",
        Arch::X64,
        "the signed GRUB that shimx64.efi loads",
        &[
            "grubnetx64.efi.signed",
            "x86_64-efi-signed/grubnetx64.efi.signed",
        ],
        None,
    ),
    ipxe(
        "snponly-i386.efi",
        Arch::X86,
        "iPXE for 32-bit UEFI",
        &["i386-efi/snponly.efi"],
        None,
    ),
    ipxe(
        "ipxe-i386.efi",
        Arch::X86,
        "iPXE for 32-bit UEFI whose own network driver fails",
        &["i386-efi/ipxe.efi"],
        None,
    ),
    grub(
        "shimia32.efi",
        Arch::X86,
        "the signed shim, for 32-bit UEFI with Secure Boot",
        &["shimia32.efi.signed", "../shim/shimia32.efi.signed"],
        Some("grubia32.efi"),
    ),
    grub(
        "grubia32.efi",
        Arch::X86,
        "the signed GRUB that shimia32.efi loads",
        &[
            "grubnetia32.efi.signed",
            "i386-efi-signed/grubnetia32.efi.signed",
        ],
        None,
    ),
    ipxe(
        "snponly-arm64.efi",
        Arch::Arm64,
        "iPXE for 64-bit ARM",
        &["arm64-efi/snponly.efi"],
        None,
    ),
    ipxe(
        "ipxe-arm64.efi",
        Arch::Arm64,
        "iPXE for 64-bit ARM whose own network driver fails",
        &["arm64-efi/ipxe.efi"],
        None,
    ),
    grub(
        "shimaa64.efi",
        Arch::Arm64,
        "the signed shim, for 64-bit ARM with Secure Boot",
        &["shimaa64.efi.signed", "../shim/shimaa64.efi.signed"],
        Some("grubaa64.efi"),
    ),
    grub(
        "grubaa64.efi",
        Arch::Arm64,
        "GRUB for 64-bit ARM, alone or behind shimaa64.efi",
        &[
            "grubnetaa64.efi.signed",
            "arm64-efi-signed/grubnetaa64.efi.signed",
        ],
        None,
    ),
    ipxe(
        "snponly-riscv64.efi",
        Arch::Riscv64,
        "iPXE for 64-bit RISC-V",
        &["riscv64-efi/snponly.efi"],
        None,
    ),
    grub(
        "grubriscv64.efi",
        Arch::Riscv64,
        "GRUB for 64-bit RISC-V",
        &[],
        None,
    ),
];

/// The firmware that machines of a household have. Loaders for others are served too, but are not reported if they are
/// missing.
const USUAL: [Arch; 3] = [Arch::Bios, Arch::X64, Arch::Arm64];

/// A loader by name, and where it was found; `None` if it is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedLoader {
    pub name: &'static str,
    /// For a person: `iPXE for UEFI`.
    pub purpose: &'static str,
    pub arch: Arch,
    pub at: Option<PathBuf>,
}

/// The loaders that were found, and those that were not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loaders {
    by_name: BTreeMap<&'static str, Bytes>,
    listed: Vec<ListedLoader>,
}

/// A loader that is there but cannot be read: the service reports it at start, and does not begin.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the loader `{}`", path.display())]
pub struct LoaderError {
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

impl Loaders {
    /// # Errors
    /// A loader is there and cannot be read.
    pub fn read(ipxe: &Path, grub: &Path) -> Result<Self, LoaderError> {
        let mut loaders = Self::default();
        for known in &KNOWN {
            let folder = match known.folder {
                LoaderFolder::Ipxe => ipxe,
                LoaderFolder::Grub => grub,
            };
            let at = known.places(folder).find(|path| path.exists());
            if let Some(path) = &at {
                match std::fs::read(path) {
                    Ok(bytes) => loaders.by_name.insert(known.name, Bytes::from(bytes)),
                    Err(source) => {
                        let path = path.clone();
                        return Err(LoaderError { path, source });
                    }
                };
            }
            loaders.listed.push(ListedLoader {
                name: known.name,
                purpose: known.purpose,
                arch: known.arch,
                at,
            });
        }
        for known in &KNOWN {
            if known
                .beside
                .is_some_and(|beside| !loaders.by_name.contains_key(beside))
            {
                loaders.by_name.remove(known.name);
            }
        }
        Ok(loaders)
    }

    /// A cheap copy of the loader of exactly this name, if it can be used.
    pub fn get(&self, name: &str) -> Option<(&'static str, Bytes)> {
        let (name, bytes) = self.by_name.get_key_value(name)?;
        Some((name, bytes.clone()))
    }

    /// What the usual firmware of machines with such a kernel is offered, found or not: for `doctor`.
    pub fn usual(&self, kernel: &str) -> impl Iterator<Item = &ListedLoader> {
        let usual = move |listed: &&ListedLoader| {
            let (arch, client) = (listed.arch, BootClient::Pxe);
            runs(arch, kernel)
                && USUAL.contains(&arch)
                && reply::loaders(NetbootRequest { arch, client }).contains(&listed.name)
        };
        self.listed.iter().filter(usual)
    }

    pub fn found(&self) -> Vec<&'static str> {
        self.by_name.keys().copied().collect()
    }

    /// What is missing for machines that need a kernel of this architecture (`x86_64`).
    pub fn missing(&self, kernel: &str) -> Vec<&ListedLoader> {
        let missing = |l: &&ListedLoader| l.at.is_none() && runs(l.arch, kernel);
        self.listed.iter().filter(missing).collect()
    }

    /// The firmware of machines with such a kernel that gets no loader at all by TFTP, because every one for it is
    /// missing.
    pub fn unserved(&self, kernel: &str) -> Vec<Arch> {
        let served = |arch: Arch| {
            let client = BootClient::Pxe;
            let names = reply::loaders(NetbootRequest { arch, client });
            names.iter().any(|name| self.by_name.contains_key(name))
        };
        let unserved = |arch: &Arch| runs(*arch, kernel) && !served(*arch);
        USUAL.into_iter().filter(unserved).collect()
    }
}

/// Whether firmware of this kind can start such a kernel (`x86_64`).
fn runs(arch: Arch, kernel: &str) -> bool {
    arch.kernel().is_some_and(|own| own.as_str() == kernel)
}

impl KnownLoader {
    fn places(&self, folder: &Path) -> impl Iterator<Item = PathBuf> {
        let names = std::iter::once(&self.name).chain(self.also);
        names
            .map(|name| folder.join(name))
            .collect::<Vec<_>>()
            .into_iter()
    }
}

/// The names that are looked for in a folder that has none of them, if it has none.
fn none_of(folder: &Path, which: LoaderFolder) -> Option<String> {
    let mut known = KNOWN.iter().filter(|known| known.folder == which);
    if known
        .clone()
        .any(|known| known.places(folder).any(|path| path.is_file()))
    {
        return None;
    }
    let names: Vec<_> = known
        .by_ref()
        .take(3)
        .map(|known| format!("`{}`", known.name))
        .collect();
    Some(names.join(", "))
}

/// What a folder for `boot.ipxe-dir` lacks; `None` if there is a loader in it.
pub fn no_ipxe(folder: &Path) -> Option<String> {
    none_of(folder, LoaderFolder::Ipxe)
}

/// What a folder for `boot.grub-dir` lacks; `None` if there is a loader in it.
pub fn no_grub(folder: &Path) -> Option<String> {
    none_of(folder, LoaderFolder::Grub)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("makes a folder");
            std::fs::write(path, file).expect("writes");
        }
        folder
    }

    fn read(folder: &tempfile::TempDir, grub: &str) -> Loaders {
        Loaders::read(&folder.path().join("ipxe"), &folder.path().join(grub)).expect("reads")
    }

    #[test]
    fn only_known_names_are_read() {
        let folder = folder(&["ipxe/snponly.efi", "ipxe/secret.txt"]);
        let loaders = read(&folder, "grub");
        assert_eq!(loaders.found(), ["snponly.efi"]);
        let missing: Vec<_> = loaders.missing("x86_64").iter().map(|l| l.name).collect();
        assert!(
            missing.starts_with(&["undionly.kpxe", "ipxe.efi"]),
            "{missing:?}"
        );
        assert_eq!(loaders.unserved("x86_64"), [Arch::Bios]);
        assert_eq!(loaders.unserved("aarch64"), [Arch::Arm64]);
        assert!(loaders.get("secret.txt").is_none());
        assert!(loaders.get("../snponly.efi").is_none());

        std::fs::create_dir(folder.path().join("ipxe/ipxe.efi")).expect("makes a folder");
        let read = Loaders::read(&folder.path().join("ipxe"), folder.path());
        assert!(read.is_err(), "a folder is no loader");
    }

    #[test]
    fn shim_and_grub_are_found_by_plain_names_and_where_debian_has_them() {
        let plain = folder(&["grub/shimx64.efi", "grub/grubx64.efi"]);
        let debian = folder(&[
            "lib/shim/shimx64.efi.signed",
            "lib/grub/x86_64-efi-signed/grubnetx64.efi.signed",
            "lib/grub/arm64-efi-signed/grubnetaa64.efi.signed",
        ]);
        for (name, loaders, want) in [
            (
                "plain",
                read(&plain, "grub"),
                vec!["grubx64.efi", "shimx64.efi"],
            ),
            (
                "Debian",
                read(&debian, "lib/grub"),
                vec!["grubaa64.efi", "grubx64.efi", "shimx64.efi"],
            ),
        ] {
            assert_eq!(loaders.found(), want, "{name}");
            for name in want {
                let listed = loaders
                    .listed
                    .iter()
                    .find(|l| l.name == name)
                    .expect("is listed");
                assert!(listed.at.as_ref().is_some_and(|at| at.is_file()), "{name}");
            }
        }
    }

    #[test]
    fn a_shim_without_what_it_loads_is_not_offered() {
        let folder = folder(&["grub/shimx64.efi"]);
        let loaders = read(&folder, "grub");
        assert_eq!(loaders.get("shimx64.efi"), None);
        let missing: Vec<_> = loaders.missing("x86_64").iter().map(|l| l.name).collect();
        assert!(
            missing.contains(&"grubx64.efi") && !missing.contains(&"shimx64.efi"),
            "{missing:?}"
        );
    }

    #[test]
    fn every_loader_that_firmware_is_told_of_is_looked_for() {
        for arch in [Arch::Bios, Arch::X86, Arch::X64, Arch::Arm64, Arch::Riscv64] {
            for client in [BootClient::Pxe, BootClient::Http, BootClient::UBootUefi] {
                for name in reply::loaders(NetbootRequest { arch, client }) {
                    let known = KNOWN.iter().find(|known| known.name == *name);
                    let known = known.unwrap_or_else(|| panic!("{name} is not looked for"));
                    assert_eq!(known.arch, arch, "{name}");
                }
            }
        }
    }
}
