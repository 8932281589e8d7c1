//! One boot as a table. Each line says when, how long after the line before, and what happened.

use std::time::Duration;

use netboot::base::arch::Arch;
use netboot::base::timestamp::Timestamp;
use netboot::dhcp::request::BootClient;
use netboot::doctor::boot_trace::{
    Boot, BootEvent, FileRole, IpxeScript, TraceEntry, TransferProtocol,
};

use crate::format::{arch, bytes, elapsed, or_dash, table};

/// The table of a boot. The order to install comes before the boot and is left out.
pub(crate) fn boot_table(boot: &Boot) -> String {
    let begun = boot.begun().unwrap_or_default();
    let mut before: Option<Timestamp> = None;
    let mut rows = Vec::new();
    for note in &boot.notes {
        if note.mark == BootEvent::Ordered {
            continue;
        }
        let gap = before.map(|before| short(note.at.since(before)));
        rows.push([short(note.at.since(begun)), or_dash(gap), line(note)]);
        before = Some(before.map_or(note.last, |before| before.max(note.last)));
    }
    table(["AT", "GAP", "WHAT"], &rows)
}

/// `0.2 s`, or `02:20` from a minute on.
fn short(time: Duration) -> String {
    if time < Duration::from_secs(60) {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        elapsed(time)
    }
}

fn line(note: &TraceEntry) -> String {
    let text = mark_text(&note.mark);
    if note.times == 1 {
        return text;
    }
    format!(
        "{text} ({} times in {})",
        note.times,
        short(note.last.since(note.at))
    )
}

/// One line, lower case, values in backquotes where they are not numbers.
pub(crate) fn mark_text(mark: &BootEvent) -> String {
    match mark {
        BootEvent::Ordered => "ordered to be installed".to_owned(),
        BootEvent::Discover { client, arch } => format!("DISCOVER: {}", who(*client, *arch)),
        BootEvent::TookAddress { server, address } => {
            let address = address.map_or_else(String::new, |address| format!(" {address}"));
            let server = server.map_or_else(String::new, |server| format!(" from {server}"));
            format!("took the address{address}{server}")
        }
        BootEvent::Answered { given } | BootEvent::Answered4011 { given } => given.clone(),
        BootEvent::Asked4011 => "asked for its boot file on port 4011".to_owned(),
        BootEvent::Silence { reason, .. } => format!("not answered: {reason}"),
        BootEvent::NoFile { file, reason } => {
            format!(
                "asked TFTP for `{}`, which it does not get: {reason}",
                file.escape_debug()
            )
        }
        BootEvent::Begun { file, via, .. } => {
            format!("{file} begins to go out over {}", over(*via))
        }
        BootEvent::Sent {
            part,
            file,
            bytes: count,
            millis,
            resent,
            ..
        } => format!(
            "sent {}{file} ({} in {}{})",
            kind(*part),
            bytes(*count),
            short(Duration::from_millis(*millis)),
            again(*resent)
        ),
        BootEvent::Broken {
            part,
            file,
            bytes: count,
            millis,
            resent,
            why,
            ..
        } => format!(
            "{}{file} broke off after {} and {}: {why}{}",
            kind(*part),
            bytes(*count),
            short(Duration::from_millis(*millis)),
            again(*resent)
        ),
        BootEvent::Script { given } => script_text(given),
        BootEvent::Unproven { from, file } => format!(
            "somebody at {from}, not known to be this machine, asked for `{}` in its name",
            file.escape_debug()
        ),
        BootEvent::Claimed => "an agent holds the ticket".to_owned(),
        BootEvent::Discovered => "told its hardware".to_owned(),
        BootEvent::Confirmed => "may wipe what it waited with".to_owned(),
        BootEvent::Waits => "waits for `pxe-admin confirm`".to_owned(),
        BootEvent::Step { step } => step.sentence().to_owned(),
        BootEvent::Retried { step, cause } => format!("{} again: {cause}", step.sentence()),
        BootEvent::Failed { step, causes } => {
            format!("failed while {}: {}", step.sentence(), causes.join(": "))
        }
        BootEvent::Installed => "installed; it reboots".to_owned(),
        BootEvent::GaveUp { reason } => format!("gave up: {reason}"),
        BootEvent::Booted { generation } => {
            format!("runs generation {generation} from its own disk")
        }
        BootEvent::Joined => "joined".to_owned(),
        BootEvent::Unknown => "something that this version does not know".to_owned(),
    }
}

fn script_text(given: &IpxeScript) -> String {
    match given {
        IpxeScript::Installer => "sent the boot script of the installer".to_owned(),
        IpxeScript::Discover => "sent the boot script that has it tell its hardware".to_owned(),
        IpxeScript::Wait => "sent the screen for strangers".to_owned(),
        IpxeScript::Disk { reason, way } => {
            let way = way.map_or_else(String::new, |way| format!(" by {way}"));
            format!("sent to its disk{way}: {reason}")
        }
        IpxeScript::Unknown => "sent a boot script".to_owned(),
    }
}

fn who(client: BootClient, arch_: Arch) -> String {
    let arch = arch(arch_);
    match client {
        BootClient::Pxe if arch_ == Arch::Bios => "a BIOS PXE ROM".to_owned(),
        BootClient::Pxe => format!("UEFI PXE ({arch})"),
        BootClient::Http => format!("UEFI HTTP boot ({arch})"),
        BootClient::Ipxe => format!("iPXE ({arch})"),
        BootClient::RaspberryPi => "a Raspberry Pi".to_owned(),
        BootClient::UBoot => format!("U-Boot ({arch})"),
        BootClient::UBootUefi => format!("U-Boot as UEFI ({arch})"),
    }
}

fn over(via: TransferProtocol) -> &'static str {
    match via {
        TransferProtocol::Tftp => "TFTP",
        TransferProtocol::Http => "HTTP",
        TransferProtocol::Unknown => "the network",
    }
}

/// Kernel and initrd are called so already.
fn kind(part: FileRole) -> &'static str {
    match part {
        FileRole::Loader => "the loader ",
        FileRole::Kernel | FileRole::Initrd | FileRole::Unknown => "",
    }
}

fn again(resent: u64) -> String {
    match resent {
        0 => String::new(),
        1 => ", 1 block sent again".to_owned(),
        n => format!(", {n} blocks sent again"),
    }
}

#[cfg(test)]
mod tests;
