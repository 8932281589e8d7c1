//! `grub.cfg`: what GRUB runs, behind the signed shim or where there is no iPXE.
//!
//! Debian's signed GRUB has no HTTP, so all of it comes by TFTP. The server is named each time: GRUB 2.06 takes its own
//! from the packet that gave it an address, which is the home router's.

use super::{BootScript, BootTarget, Installer, screen_text};
use crate::base::address::ApplianceAddress;
use crate::loader::local_boot::LocalBootMethod;

/// `/grub/grub.cfg`, the same for every machine: leads to the machine's own, again and again for ten minutes, because
/// GRUB cannot count.
pub fn menu(address: &ApplianceAddress) -> String {
    let server = address.ip;
    format!(
        "for minute in 10 9 8 7 6 5 4 3 2 1; do
  for second in 55 50 45 40 35 30 25 20 15 10 5 0; do
    source (tftp,{server})/grub/$net_default_mac.cfg
    sleep 5
  done
done
{LEAVE}"
    )
}

/// `/grub/52:54:00:12:34:56.cfg`. It comes to its end if it did not boot, and is asked for again.
pub fn text(script: &BootScript<'_>) -> String {
    match script.entry {
        BootTarget::Installer(installer) => install(script, installer),
        BootTarget::Disk { why, way } => {
            let leave = match way {
                LocalBootMethod::NextEntry => "exit 1\n",
                _ => LEAVE,
            };
            format!("echo 'Nothing to install: {}.'\n{leave}", screen_text(why))
        }
        BootTarget::Wait => format!(
            "echo 'This machine is not enrolled. To install it: pxe-admin enroll {}'\n",
            script.mac
        ),
    }
}

/// To the disk: its loader at the place that UEFI looks at (UEFI 2.10 §3.5.1.1), started from here, because firmware
/// shows its menu after a loader that ends well, and GRUB 2.06 always ends well. Without one there, back to the firmware.
const LEAVE: &str = "set loader=/EFI/BOOT/BOOTX64.EFI
if [ \"$grub_cpu\" = arm64 ]; then set loader=/EFI/BOOT/BOOTAA64.EFI; fi
if [ \"$grub_cpu\" = i386 ]; then set loader=/EFI/BOOT/BOOTIA32.EFI; fi
if search --no-floppy --set=disk --file $loader; then
  chainloader ($disk)$loader
  boot
fi
exit 1
";

fn install(script: &BootScript<'_>, installer: &Installer) -> String {
    let (server, mac) = (script.address.ip, script.mac);
    let folder = installer.folder(mac);
    let doing = installer.doing(mac);
    let arguments: String = unquoted_words(&script.arguments(installer))
        .map(|word| format!(" '{word}'"))
        .collect();
    format!(
        "echo '{doing}.'
if linux (tftp,{server})/{folder}/kernel{arguments}; then
  if initrd (tftp,{server})/{folder}/initrd; then
    boot
  fi
fi
echo 'The installer did not load; asking again in 5 seconds.'
"
    )
}

/// The words of a kernel command line without their double quotes, which GRUB puts around each word with a space
/// (`grub_create_loader_cmdline`). There are no single quotes in it: see [`super::is_portable_cmdline`].
fn unquoted_words(cmdline: &str) -> impl Iterator<Item = String> {
    let mut quoted = false;
    let split = move |c: char| {
        quoted ^= c == '"';
        c == ' ' && !quoted
    };
    let words = cmdline.split(split).map(|word| word.replace('"', ""));
    words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .into_iter()
}

#[cfg(test)]
pub(crate) mod tests {
    use expect_test::expect;

    use super::super::tests::{hostile, installer};
    use super::*;
    use crate::test_support::{address, mac};

    /// The command line that the kernel gets: GRUB's lexer takes what is between single quotes as it is; the words
    /// go over joined, those with a space in double quotes, with a backslash before what quotes.
    pub(crate) fn handed_over(text: &str) -> String {
        let line = text.lines().find_map(|line| line.strip_prefix("if linux "));
        let line = line
            .and_then(|line| line.strip_suffix("; then"))
            .expect("a kernel");
        let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
        for c in line.chars() {
            match c {
                '\'' => quoted = !quoted,
                ' ' if !quoted => words.push(std::mem::take(&mut word)),
                '$' | ';' | '"' | '\\' | '{' | '}' | '&' | '|' | '<' | '>' if !quoted => {
                    panic!("GRUB reads {c} itself: {line}")
                }
                c => word.push(c),
            }
        }
        words.push(word);
        assert!(!quoted, "{line}");
        let hand = |word: &String| {
            let word = word
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\'', "\\'");
            if word.contains(' ') {
                format!("\"{word}\"")
            } else {
                word
            }
        };
        words[1..].iter().map(hand).collect::<Vec<_>>().join(" ")
    }

    fn said(entry: &BootTarget) -> String {
        let address = address();
        text(&BootScript {
            address: &address,
            mac: mac(0x56),
            entry,
        })
    }

    #[test]
    fn the_way_to_the_machines_own() {
        expect![[r#"
            for minute in 10 9 8 7 6 5 4 3 2 1; do
              for second in 55 50 45 40 35 30 25 20 15 10 5 0; do
                source (tftp,10.77.0.1)/grub/$net_default_mac.cfg
                sleep 5
              done
            done
            set loader=/EFI/BOOT/BOOTX64.EFI
            if [ "$grub_cpu" = arm64 ]; then set loader=/EFI/BOOT/BOOTAA64.EFI; fi
            if [ "$grub_cpu" = i386 ]; then set loader=/EFI/BOOT/BOOTIA32.EFI; fi
            if search --no-floppy --set=disk --file $loader; then
              chainloader ($disk)$loader
              boot
            fi
            exit 1
        "#]]
        .assert_eq(&menu(&address()));
    }

    #[test]
    fn the_installer_and_its_quotes() {
        expect![[r#"
            echo 'Installing node1 (52:54:00:12:34:56).'
            if linux (tftp,10.77.0.1)/52-54-00-12-34-56/installer/kernel 'BOOTIF=01-52-54-00-12-34-56' 'netboot.url=https://10.77.0.1:8443' 'netboot.ticket=07070707070707070707070707070707' 'netboot.pin=sha256/abc=' 'memmap=64M$1G' 'dyndbg=file a +p; file b +p'; then
              if initrd (tftp,10.77.0.1)/52-54-00-12-34-56/installer/initrd; then
                boot
              fi
            fi
            echo 'The installer did not load; asking again in 5 seconds.'
        "#]].assert_eq(&said(&installer("memmap=64M$1G dyndbg=\"file a +p; file b +p\"")));
    }

    #[test]
    fn to_the_disk_with_a_reason_that_is_only_text() {
        expect![[r#"
            echo 'Nothing to install: joined; boots its own disk#!ipxe {net0/mac} exit (id).'
            set loader=/EFI/BOOT/BOOTX64.EFI
            if [ "$grub_cpu" = arm64 ]; then set loader=/EFI/BOOT/BOOTAA64.EFI; fi
            if [ "$grub_cpu" = i386 ]; then set loader=/EFI/BOOT/BOOTIA32.EFI; fi
            if search --no-floppy --set=disk --file $loader; then
              chainloader ($disk)$loader
              boot
            fi
            exit 1
        "#]]
        .assert_eq(&said(&hostile(LocalBootMethod::EspLoader)));
    }

    #[test]
    fn back_to_the_firmware_where_the_disks_loader_led_back_to_the_network() {
        expect![[r#"
            echo 'Nothing to install: joined; boots its own disk#!ipxe {net0/mac} exit (id).'
            exit 1
        "#]]
        .assert_eq(&said(&hostile(LocalBootMethod::NextEntry)));
    }

    #[test]
    fn a_stranger_is_told_how_to_enroll_it() {
        expect![[r#"
            echo 'This machine is not enrolled. To install it: pxe-admin enroll 52:54:00:12:34:56'
        "#]]
        .assert_eq(&said(&BootTarget::Wait));
    }
}
