//! One boot as a table. Each line says when, how long after the line before, and what happened.

use std::time::Duration;

use netboot::base::arch::Arch;
use netboot::base::timestamp::Timestamp;
use netboot::dhcp::request::Client;
use netboot::doctor::boot_trace::{Boot, Mark, Note, Part, Script, Via};

use crate::format::{arch, bytes, elapsed, or_dash, table};

/// The table of a boot. The order to install comes before the boot and is left out.
pub(crate) fn boot_table(boot: &Boot) -> String {
    let begun = boot.begun().unwrap_or_default();
    let mut before: Option<Timestamp> = None;
    let mut rows = Vec::new();
    for note in &boot.notes {
        if note.mark == Mark::Ordered {
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

fn line(note: &Note) -> String {
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
pub(crate) fn mark_text(mark: &Mark) -> String {
    match mark {
        Mark::Ordered => "ordered to be installed".to_owned(),
        Mark::Discover { client, arch } => format!("DISCOVER: {}", who(*client, *arch)),
        Mark::TookAddress { server, address } => {
            let address = address.map_or_else(String::new, |address| format!(" {address}"));
            let server = server.map_or_else(String::new, |server| format!(" from {server}"));
            format!("took the address{address}{server}")
        }
        Mark::Answered { given } | Mark::Answered4011 { given } => given.clone(),
        Mark::Asked4011 => "asked for its boot file on port 4011".to_owned(),
        Mark::Silence { reason, .. } => format!("not answered: {reason}"),
        Mark::NoFile { file, reason } => {
            format!(
                "asked TFTP for `{}`, which it does not get: {reason}",
                file.escape_debug()
            )
        }
        Mark::Begun { file, via, .. } => format!("{file} begins to go out over {}", over(*via)),
        Mark::Sent {
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
        Mark::Broken {
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
        Mark::Script { given } => script_text(given),
        Mark::Unproven { from, file } => format!(
            "somebody at {from}, not known to be this machine, asked for `{}` in its name",
            file.escape_debug()
        ),
        Mark::Claimed => "an agent holds the ticket".to_owned(),
        Mark::Discovered => "told its hardware".to_owned(),
        Mark::Confirmed => "may wipe what it waited with".to_owned(),
        Mark::Waits => "waits for `pxe-admin confirm`".to_owned(),
        Mark::Step { step } => step.sentence().to_owned(),
        Mark::Retried { step, cause } => format!("{} again: {cause}", step.sentence()),
        Mark::Failed { step, causes } => {
            format!("failed while {}: {}", step.sentence(), causes.join(": "))
        }
        Mark::Installed => "installed; it reboots".to_owned(),
        Mark::GaveUp { reason } => format!("gave up: {reason}"),
        Mark::Booted { generation } => format!("runs generation {generation} from its own disk"),
        Mark::Joined => "joined".to_owned(),
        Mark::Unknown => "something that this version does not know".to_owned(),
    }
}

fn script_text(given: &Script) -> String {
    match given {
        Script::Installer => "sent the boot script of the installer".to_owned(),
        Script::Discover => "sent the boot script that has it tell its hardware".to_owned(),
        Script::Wait => "sent the screen for strangers".to_owned(),
        Script::Disk { reason, way } => {
            let way = way.map_or_else(String::new, |way| format!(" by {way}"));
            format!("sent to its disk{way}: {reason}")
        }
        Script::Unknown => "sent a boot script".to_owned(),
    }
}

fn who(client: Client, arch_: Arch) -> String {
    let arch = arch(arch_);
    match client {
        Client::Pxe if arch_ == Arch::Bios => "a BIOS PXE ROM".to_owned(),
        Client::Pxe => format!("UEFI PXE ({arch})"),
        Client::Http => format!("UEFI HTTP boot ({arch})"),
        Client::Ipxe => format!("iPXE ({arch})"),
        Client::RaspberryPi => "a Raspberry Pi".to_owned(),
        Client::UBoot => format!("U-Boot ({arch})"),
        Client::UBootUefi => format!("U-Boot as UEFI ({arch})"),
    }
}

fn over(via: Via) -> &'static str {
    match via {
        Via::Tftp => "TFTP",
        Via::Http => "HTTP",
        Via::Unknown => "the network",
    }
}

/// Kernel and initrd are called so already.
fn kind(part: Part) -> &'static str {
    match part {
        Part::Loader => "the loader ",
        Part::Kernel | Part::Initrd | Part::Unknown => "",
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
