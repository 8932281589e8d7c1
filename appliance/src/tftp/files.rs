//! A name that a machine asks for → the file, if the one decision lets it have that.

use netboot::base::address::Address;
use std::net::Ipv4Addr;

use bytes::Bytes;
use netboot::base::mac::Mac;
use netboot::doctor::boot_trace::Part;
use netboot::loader::local_boot::Loader;
use netboot::loader::script::{Entry, Script, extlinux, grub, ipxe, raspberry_pi as pi};
use netboot::machine::decide::Decision;
use netboot::tftp::path::{self, File, Owner, RequestedFile};
use netboot_tftp::{Content, OpenFile};

use super::provider::BootFile;
use super::raspberry_pi;
use crate::app::App;
use crate::boot::requester::Caller;
use crate::boot::script;
use crate::config::InstallerImage;

/// `address` is the one on the LAN where the client asks, `from` is the client's.
///
/// # Errors
/// The reason for the log. The client learns only that there is no such file.
pub(super) async fn open(
    app: &App,
    address: &Address,
    from: Ipv4Addr,
    name: &[u8],
) -> Result<OpenFile<BootFile>, String> {
    let (owner, file) = match path::read(name).map_err(|why| why.to_string())? {
        RequestedFile::GrubMenu => return Ok(of_all("grub.cfg", text(grub::menu(address)))),
        RequestedFile::Bootcode => return Ok(of_all("bootcode.bin", raspberry_pi::bootcode(app)?)),
        RequestedFile::OfMachine { owner, file } => (owner, file),
    };
    let mac = match owner {
        Owner::Card(mac) => mac,
        Owner::RaspberryPi(serial) => {
            let world = app.store.world();
            let machine = world.by_raspberry_pi(&serial);
            machine.ok_or("no Raspberry Pi of this number is known")?.id
        }
    };
    let caller = app.caller(mac, from);
    let content = of_machine(app, address, &caller, &file)
        .await
        .map_err(|why| format!("{mac}: {why}"))?;
    let caller = Some(caller);
    let part = part(&file);
    Ok(OpenFile {
        name: shown(file),
        content,
        context: BootFile { caller, part },
    })
}

/// A file that is the same for all machines.
fn of_all(name: &str, content: Content) -> OpenFile<BootFile> {
    OpenFile {
        name: name.to_owned(),
        content,
        context: BootFile {
            caller: None,
            part: None,
        },
    }
}

/// What a file is in a boot. `None` for a script, which is a step of its own.
fn part(file: &File) -> Option<Part> {
    match file {
        File::Loader(_) | File::Firmware(_) => Some(Part::Loader),
        File::Kernel(_) => Some(Part::Kernel),
        File::Initrd(_) => Some(Part::Initrd),
        File::Autoexec | File::Grub | File::Extlinux | File::Cmdline | File::Config => None,
    }
}

/// The name of a file for the log.
fn shown(file: File) -> String {
    let name = match file {
        File::Loader(name) | File::Firmware(name) => return name,
        File::Autoexec => "autoexec.ipxe",
        File::Grub => "its grub.cfg",
        File::Extlinux => "its pxelinux.cfg",
        File::Cmdline => "cmdline.txt",
        File::Config => "config.txt",
        File::Kernel(_) => "kernel",
        File::Initrd(_) => "initrd",
    };
    name.to_owned()
}

/// A file of one machine, if the machine may have it.
async fn of_machine(
    app: &App,
    address: &Address,
    caller: &Caller,
    file: &File,
) -> Result<Content, String> {
    let mac = caller.mac;
    match file {
        File::Loader(name) => loader(app, caller, name),
        File::Firmware(name) => {
            installs(app, mac)?;
            raspberry_pi::firmware(app, name)
        }
        File::Autoexec => {
            boots(app, mac)?;
            Ok(text(ipxe::autoexec(address, mac)))
        }
        File::Grub => {
            app.reached(caller).await;
            let write = |script: &Script<'_>| Some(grub::text(script));
            written(app, address, caller, Some(Loader::Grub), write).await
        }
        File::Extlinux => {
            // Unlike GRUB, which was loaded from here, any U-Boot asks: silence is silence.
            if let Decision::Silence(reason) = app.decision(mac) {
                return Err(reason.to_string());
            }
            app.reached(caller).await;
            let write = |script: &Script<'_>| Some(extlinux::text(script));
            written(app, address, caller, Some(Loader::UBoot), write).await
        }
        File::Cmdline => written(app, address, caller, None, pi::cmdline).await,
        File::Config => raspberry_pi_config(app, mac),
        File::Kernel(set) => image(app, mac, set.as_deref(), |image| &image.kernel),
        File::Initrd(set) => image(app, mac, set.as_deref(), |image| &image.initrd),
    }
}

/// A boot loader, and the record that this machine asked for it.
fn loader(app: &App, caller: &Caller, name: &str) -> Result<Content, String> {
    let loader = app.loaders.get(name);
    let (_, bytes) = loader.ok_or("asks for a file that is not there")?;
    boots(app, caller.mac)?;
    if caller.is_proven {
        app.trials(|trials| trials.taken(caller.mac));
    }
    Ok(Content::Memory(bytes))
}

/// `config.txt` is the first file that a board asks for, and the same for all boards: with it, its boot begins.
fn raspberry_pi_config(app: &App, mac: Mac) -> Result<Content, String> {
    installs(app, mac)?;
    let image = script::image(app, mac).map_err(|why| why.to_string())?;
    app.installers.begin(mac, &image.image.name);
    Ok(text(pi::config().to_owned()))
}

/// The machine is to netboot: an installer, or a screen.
fn boots(app: &App, mac: Mac) -> Result<(), String> {
    match app.decision(mac) {
        Decision::Install | Decision::Wait | Decision::Discover => Ok(()),
        Decision::Disk(reason) | Decision::Silence(reason) => Err(reason.to_string()),
        // Its DISCOVER enrolls it; a machine that never sent one is none.
        Decision::Enroll(_) => Err("not enrolled".to_owned()),
    }
}

/// The machine is to be installed, and there is an installer for it.
fn installs(app: &App, mac: Mac) -> Result<(), String> {
    match app.image_decision(mac) {
        Decision::Install | Decision::Discover => script::image(app, mac)
            .map(drop)
            .map_err(|why| why.to_string()),
        Decision::Wait | Decision::Enroll(_) => Err("not enrolled".to_owned()),
        Decision::Disk(reason) | Decision::Silence(reason) => Err(reason.to_string()),
    }
}

/// The script in the language of `write`, which may have no form for some entries.
async fn written(
    app: &App,
    address: &Address,
    caller: &Caller,
    loader: Option<Loader>,
    write: impl Fn(&Script<'_>) -> Option<String>,
) -> Result<Content, String> {
    let entry = script::entry(app, caller, loader)
        .await
        .map_err(|refusal| refusal.to_string())?;
    let script = Script {
        address,
        mac: caller.mac,
        entry: &entry,
    };
    write(&script).map(text).ok_or_else(|| match &entry {
        Entry::Disk { why, .. } => why.clone(),
        Entry::Wait | Entry::Installer(_) => "nothing to boot".to_owned(),
    })
}

/// A file of the installer that was named, or else of the one that this machine has begun with.
fn image(
    app: &App,
    mac: Mac,
    named: Option<&str>,
    part: impl Fn(&InstallerImage) -> &std::path::Path,
) -> Result<Content, String> {
    installs(app, mac)?;
    let image = script::begun(app, mac).map_err(|why| why.to_string())?;
    let image = match named {
        Some(name) => {
            let found = app.installers.named(name, &image.image.arch);
            found.ok_or("asks for an installer that is not there any more")?
        }
        None => image,
    };
    Content::on_disk(part(&image)).map_err(|error| format!("cannot open the image: {error}"))
}

fn text(text: String) -> Content {
    Content::Memory(Bytes::from(text))
}
