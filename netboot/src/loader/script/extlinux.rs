//! `pxelinux.cfg/01-52-54-00-12-34-56`: what U-Boot runs after `pxe get`, in the words of extlinux.

use super::{BootScript, BootTarget, Installer, screen_text};

/// A menu of one entry.
///
/// U-Boot looks for files below the folder of the boot file that DHCP named; it gets none, so names begin at the top.
/// No device tree is named: it hands over its own.
pub fn text(script: &BootScript<'_>) -> String {
    match script.entry {
        BootTarget::Installer(installer) => install(script, installer),
        BootTarget::Disk { why, .. } => leave(&format!("Nothing to install: {}", screen_text(why))),
        // It has no way to ask again: that is for the next power-on.
        BootTarget::Wait => leave(&format!(
            "This machine is not enrolled. To install it: pxe-admin enroll {}",
            script.mac
        )),
    }
}

fn install(script: &BootScript<'_>, installer: &Installer) -> String {
    let mac = script.mac;
    let folder = installer.folder(mac);
    let doing = installer.doing(mac);
    let arguments = script.arguments(installer);
    format!(
        "MENU TITLE {doing}
DEFAULT install
PROMPT 0
TIMEOUT 1
LABEL install
  KERNEL {folder}/kernel
  INITRD {folder}/initrd
  APPEND {arguments}
"
    )
}

fn leave(why: &str) -> String {
    format!(
        "MENU TITLE {why}
DEFAULT disk
PROMPT 0
TIMEOUT 1
LABEL disk
  LOCALBOOT 1
"
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use expect_test::expect;

    use super::super::tests::{hostile, installer};
    use super::*;
    use crate::loader::local_boot::LocalBootMethod;
    use crate::test_support::{address, mac};

    /// The command line that the kernel gets: the rest of the line, through `cli_simple_process_macros`, which takes
    /// away backslashes and single quotes and fills in variables.
    pub(crate) fn handed_over(text: &str) -> String {
        let append = text.lines().find_map(|line| line.strip_prefix("  APPEND "));
        let append = append.expect("a command line");
        for odd in ["\\", "'", "${", "$("] {
            assert!(!append.contains(odd), "U-Boot would change {odd}: {append}");
        }
        append.to_owned()
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
    fn the_installer() {
        expect![[r#"
            MENU TITLE Installing node1 (52:54:00:12:34:56)
            DEFAULT install
            PROMPT 0
            TIMEOUT 1
            LABEL install
              KERNEL 52-54-00-12-34-56/installer/kernel
              INITRD 52-54-00-12-34-56/installer/initrd
              APPEND BOOTIF=01-52-54-00-12-34-56 netboot.url=https://10.77.0.1:8443 netboot.ticket=07070707070707070707070707070707 netboot.pin=sha256/abc= console=ttyAMA0
        "#]].assert_eq(&said(&installer("console=ttyAMA0")));
    }

    #[test]
    fn to_the_disk_with_a_reason_that_is_only_text() {
        expect![[r#"
            MENU TITLE Nothing to install: joined; boots its own disk#!ipxe {net0/mac} exit (id)
            DEFAULT disk
            PROMPT 0
            TIMEOUT 1
            LABEL disk
              LOCALBOOT 1
        "#]]
        .assert_eq(&said(&hostile(LocalBootMethod::LocalCommand)));
    }

    #[test]
    fn a_stranger_is_told_how_to_enroll_it() {
        expect![[r#"
            MENU TITLE This machine is not enrolled. To install it: pxe-admin enroll 52:54:00:12:34:56
            DEFAULT disk
            PROMPT 0
            TIMEOUT 1
            LABEL disk
              LOCALBOOT 1
        "#]].assert_eq(&said(&BootTarget::Wait));
    }
}
