//! A name that a machine asks for → the file, if the one decision lets it have that.

use netboot::base::address::ApplianceAddress;
use std::net::Ipv4Addr;

use bytes::Bytes;
use netboot::base::mac::Mac;
use netboot::doctor::boot_trace::FileRole;
use netboot::loader::local_boot::BootLoader;
use netboot::loader::script::{BootScript, BootTarget, extlinux, grub, ipxe, raspberry_pi as pi};
use netboot::machine::decide::Decision;
use netboot::tftp::path::{self, MachineFile, Owner, RequestedFile};
use netboot_tftp::{FileContent, OpenFile};

use super::raspberry_pi;
use super::service::BootFiles;
use crate::boot::requester::Requester;
use crate::config::InstallerImage;

/// What a file is in somebody's boot.
#[derive(Debug, Clone, Copy)]
pub(super) struct TftpRequestContext {
    /// In whose name it is asked for. `None` for a file that is the same for all machines.
    pub(super) requester: Option<Requester>,
    /// `None` for a script, which is a step of its own.
    pub(super) part: Option<FileRole>,
}

/// `address` is the one on the LAN where the client asks, `from` is the client's.
///
/// # Errors
/// The reason for the log. The client learns only that there is no such file.
pub(super) async fn open(
    boot: &BootFiles,
    address: &ApplianceAddress,
    from: Ipv4Addr,
    name: &[u8],
) -> Result<OpenFile<TftpRequestContext>, String> {
    let (owner, file) = match path::read(name).map_err(|why| why.to_string())? {
        RequestedFile::GrubMenu => return Ok(of_all("grub.cfg", text(grub::menu(address)))),
        RequestedFile::Bootcode => {
            return Ok(of_all("bootcode.bin", raspberry_pi::bootcode(boot)?));
        }
        RequestedFile::OfMachine { owner, file } => (owner, file),
    };
    let mac = match owner {
        Owner::Card(mac) => mac,
        Owner::RaspberryPi(serial) => {
            let state = boot.store.state();
            let machine = state.by_raspberry_pi(&serial);
            machine.ok_or("no Raspberry Pi of this number is known")?.id
        }
    };
    let requester = boot.identification.identify(mac, from);
    let content = of_machine(boot, address, &requester, &file)
        .await
        .map_err(|why| format!("{mac}: {why}"))?;
    let requester = Some(requester);
    let part = part(&file);
    Ok(OpenFile {
        name: shown(file),
        content,
        context: TftpRequestContext { requester, part },
    })
}

/// A file that is the same for all machines.
fn of_all(name: &str, content: FileContent) -> OpenFile<TftpRequestContext> {
    OpenFile {
        name: name.to_owned(),
        content,
        context: TftpRequestContext {
            requester: None,
            part: None,
        },
    }
}

/// What a file is in a boot. `None` for a script, which is a step of its own.
fn part(file: &MachineFile) -> Option<FileRole> {
    match file {
        MachineFile::Loader(_) | MachineFile::Firmware(_) => Some(FileRole::Loader),
        MachineFile::Kernel(_) => Some(FileRole::Kernel),
        MachineFile::Initrd(_) => Some(FileRole::Initrd),
        MachineFile::Autoexec
        | MachineFile::Grub
        | MachineFile::Extlinux
        | MachineFile::Cmdline
        | MachineFile::Config => None,
    }
}

/// The name of a file for the log.
fn shown(file: MachineFile) -> String {
    let name = match file {
        MachineFile::Loader(name) | MachineFile::Firmware(name) => return name,
        MachineFile::Autoexec => "autoexec.ipxe",
        MachineFile::Grub => "its grub.cfg",
        MachineFile::Extlinux => "its pxelinux.cfg",
        MachineFile::Cmdline => "cmdline.txt",
        MachineFile::Config => "config.txt",
        MachineFile::Kernel(_) => "kernel",
        MachineFile::Initrd(_) => "initrd",
    };
    name.to_owned()
}

/// A file of one machine, if the machine may have it.
async fn of_machine(
    boot: &BootFiles,
    address: &ApplianceAddress,
    requester: &Requester,
    file: &MachineFile,
) -> Result<FileContent, String> {
    let mac = requester.mac;
    match file {
        MachineFile::Loader(name) => loader(boot, requester, name),
        MachineFile::Firmware(name) => {
            installs(boot, mac)?;
            raspberry_pi::firmware(boot, name)
        }
        MachineFile::Autoexec => {
            boots(boot, mac)?;
            Ok(text(ipxe::autoexec(address, mac)))
        }
        MachineFile::Grub => {
            boot.loaders.reached(requester).await;
            let write = |script: &BootScript<'_>| Some(grub::text(script));
            written(boot, address, requester, Some(BootLoader::Grub), write).await
        }
        MachineFile::Extlinux => {
            // Unlike GRUB, which was loaded from here, any U-Boot may ask, so a decision of silence is no file.
            if let Decision::Silence(reason) = boot.decisions.decision(mac) {
                return Err(reason.to_string());
            }
            boot.loaders.reached(requester).await;
            let write = |script: &BootScript<'_>| Some(extlinux::text(script));
            written(boot, address, requester, Some(BootLoader::UBoot), write).await
        }
        MachineFile::Cmdline => written(boot, address, requester, None, pi::cmdline).await,
        MachineFile::Config => raspberry_pi_config(boot, mac),
        MachineFile::Kernel(set) => image(boot, mac, set.as_deref(), |image| &image.kernel),
        MachineFile::Initrd(set) => image(boot, mac, set.as_deref(), |image| &image.initrd),
    }
}

/// A boot loader, and the record that this machine asked for it.
fn loader(boot: &BootFiles, requester: &Requester, name: &str) -> Result<FileContent, String> {
    let loader = boot.loaders.get(name);
    let (_, bytes) = loader.ok_or("asks for a file that is not there")?;
    boots(boot, requester.mac)?;
    if requester.verified {
        boot.loaders
            .attempts(|attempts| attempts.taken(requester.mac));
    }
    Ok(FileContent::Memory(bytes))
}

/// `config.txt` is the first file that a board asks for, and the same for all boards: with it, its boot begins.
fn raspberry_pi_config(boot: &BootFiles, mac: Mac) -> Result<FileContent, String> {
    installs(boot, mac)?;
    let image = boot.scripts.image(mac).map_err(|why| why.to_string())?;
    boot.installers.begin(mac, &image.image.name);
    Ok(text(pi::config().to_owned()))
}

/// The machine is to netboot: an installer, or a screen.
fn boots(boot: &BootFiles, mac: Mac) -> Result<(), String> {
    match boot.decisions.decision(mac) {
        Decision::Install | Decision::Wait | Decision::Discover => Ok(()),
        Decision::Disk(reason) | Decision::Silence(reason) => Err(reason.to_string()),
        // A machine is enrolled by its DISCOVER; one that never sent any is unknown.
        Decision::Enroll(_) => Err("not enrolled".to_owned()),
    }
}

/// The machine is to be installed, and there is an installer for it.
fn installs(boot: &BootFiles, mac: Mac) -> Result<(), String> {
    match boot.decisions.image_decision(mac) {
        Decision::Install | Decision::Discover => boot
            .scripts
            .image(mac)
            .map(drop)
            .map_err(|why| why.to_string()),
        Decision::Wait | Decision::Enroll(_) => Err("not enrolled".to_owned()),
        Decision::Disk(reason) | Decision::Silence(reason) => Err(reason.to_string()),
    }
}

/// The script in the language of `write`, which may have no form for some entries.
async fn written(
    boot: &BootFiles,
    address: &ApplianceAddress,
    requester: &Requester,
    loader: Option<BootLoader>,
    write: impl Fn(&BootScript<'_>) -> Option<String>,
) -> Result<FileContent, String> {
    let entry = boot
        .scripts
        .entry(requester, loader)
        .await
        .map_err(|refusal| refusal.to_string())?;
    let script = BootScript {
        address,
        mac: requester.mac,
        entry: &entry,
    };
    write(&script).map(text).ok_or_else(|| match &entry {
        BootTarget::Disk { why, .. } => why.clone(),
        BootTarget::Wait | BootTarget::Installer(_) => "nothing to boot".to_owned(),
    })
}

/// A file of the installer that was named, or else of the one that this machine has begun with.
fn image(
    boot: &BootFiles,
    mac: Mac,
    named: Option<&str>,
    part: impl Fn(&InstallerImage) -> &std::path::Path,
) -> Result<FileContent, String> {
    installs(boot, mac)?;
    let image = boot.scripts.begun(mac).map_err(|why| why.to_string())?;
    let image = match named {
        Some(name) => {
            let found = boot.installers.named(name, &image.image.arch);
            found.ok_or("asks for an installer that is not there any more")?
        }
        None => image,
    };
    FileContent::on_disk(part(&image)).map_err(|error| format!("cannot open the image: {error}"))
}

fn text(text: String) -> FileContent {
    FileContent::Memory(Bytes::from(text))
}
