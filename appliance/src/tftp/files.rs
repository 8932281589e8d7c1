//! A name that a machine asks for → the file, if the one decision lets it have that.

use std::net::Ipv4Addr;

use axum::body::Bytes;
use netboot::base::address::Address;
use netboot::base::mac::Mac;
use netboot::doctor::boot_trace::Part;
use netboot::loader::local_boot::Loader;
use netboot::loader::script::{Entry, Script, extlinux, grub, ipxe, raspberry_pi as pi};
use netboot::machine::decide::Decision;
use netboot::tftp::path::{self, Asked, File, Whose};

use super::content::Content;
use super::raspberry_pi;
use super::shelf::Loan;
use crate::app::App;
use crate::caller::Caller;
use crate::config::InstallerImage;
use crate::script;

/// `address` is the one on the LAN where the client asks, `from` is the client's.
///
/// # Errors
/// The reason for the log. The client learns only that there is no such file.
pub(super) async fn open(
    app: &App,
    address: &Address,
    from: Ipv4Addr,
    name: &[u8],
) -> Result<Loan, String> {
    let (of, file) = match path::read(name).map_err(|why| why.to_string())? {
        Asked::GrubMenu => {
            let content = text(grub::menu(address));
            return Ok(loan(None, "grub.cfg", None, content));
        }
        Asked::Bootcode => {
            let content = raspberry_pi::bootcode(app)?;
            return Ok(loan(None, "bootcode.bin", None, content));
        }
        Asked::Own { of, file } => (of, file),
    };
    let mac = match of {
        Whose::Card(mac) => mac,
        Whose::RaspberryPi(serial) => {
            let world = app.store.world();
            let machine = world.by_raspberry_pi(&serial);
            machine.ok_or("no Raspberry Pi of this number is known")?.id
        }
    };
    let part = match &file {
        File::Loader(_) | File::Firmware(_) => Some(Part::Loader),
        File::Kernel(_) => Some(Part::Kernel),
        File::Initrd(_) => Some(Part::Initrd),
        File::Autoexec | File::Grub | File::Extlinux | File::Cmdline | File::Config => None,
    };
    let caller = app.caller(mac, from);
    let (name, content) = own(app, address, &caller, file)
        .await
        .map_err(|why| format!("{mac}: {why}"))?;
    Ok(loan(Some(caller), &name, part, content))
}

async fn own(
    app: &App,
    address: &Address,
    caller: &Caller,
    file: File,
) -> Result<(String, Content), String> {
    let mac = caller.mac;
    let (name, content) = match file {
        File::Loader(name) => {
            let (_, bytes) = app
                .loaders
                .get(&name)
                .ok_or("asks for a file that is not there")?;
            boots(app, mac)?;
            if caller.is_proven {
                app.trials(|trials| trials.taken(mac));
            }
            return Ok((name, Content::Memory(bytes)));
        }
        File::Firmware(name) => {
            installs(app, mac)?;
            return Ok((name.clone(), raspberry_pi::firmware(app, &name)?));
        }
        File::Autoexec => {
            boots(app, mac)?;
            ("autoexec.ipxe", text(ipxe::autoexec(address, mac)))
        }
        File::Grub => {
            app.reached(caller).await;
            (
                "its grub.cfg",
                written(app, address, caller, Some(Loader::Grub), |script| {
                    Some(grub::text(script))
                })
                .await?,
            )
        }
        File::Extlinux => {
            // Unlike GRUB, which was loaded from here, any U-Boot asks: silence is silence.
            if let Decision::Silence(reason) = app.decision(mac) {
                return Err(reason.to_string());
            }
            app.reached(caller).await;
            (
                "its pxelinux.cfg",
                written(app, address, caller, Some(Loader::UBoot), |script| {
                    Some(extlinux::text(script))
                })
                .await?,
            )
        }
        File::Cmdline => (
            "cmdline.txt",
            written(app, address, caller, None, pi::cmdline).await?,
        ),
        // The first that a board asks for, and the same for all: with it, its boot begins.
        File::Config => {
            installs(app, mac)?;
            let image = script::image(app, mac).map_err(|why| why.to_string())?;
            app.installers.begin(mac, &image.image.name);
            ("config.txt", text(pi::config().to_owned()))
        }
        File::Kernel(set) => ("kernel", image(app, mac, set, |image| &image.kernel)?),
        File::Initrd(set) => ("initrd", image(app, mac, set, |image| &image.initrd)?),
    };
    Ok((name.to_owned(), content))
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

/// The script in the language of `write`, which may have no words for some entries.
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
    named: Option<String>,
    part: impl Fn(&InstallerImage) -> &std::path::Path,
) -> Result<Content, String> {
    installs(app, mac)?;
    let image = script::begun(app, mac).map_err(|why| why.to_string())?;
    let image = match named {
        Some(name) => {
            let found = app.installers.named(&name, &image.image.arch);
            found.ok_or("asks for an installer that is not there any more")?
        }
        None => image,
    };
    Content::on_disk(part(&image)).map_err(|error| format!("cannot open the image: {error}"))
}

fn text(text: String) -> Content {
    Content::Memory(Bytes::from(text))
}

fn loan(caller: Option<Caller>, name: &str, part: Option<Part>, content: Content) -> Loan {
    Loan {
        caller,
        name: name.to_owned(),
        part,
        content,
    }
}
