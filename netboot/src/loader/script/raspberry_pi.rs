//! `config.txt` and `cmdline.txt`: what the firmware of a Raspberry Pi reads before it starts a kernel.

use super::{BootScript, BootTarget};

/// `config.txt`, the same for every board: a 64-bit kernel and its initrd, by the names that TFTP has for them.
pub fn config() -> &'static str {
    "arm_64bit=1
kernel=kernel
initramfs initrd followkernel
enable_uart=1
"
}

/// `cmdline.txt`: one line. `None` for a board that is to boot its own disk: its firmware goes on to the next entry of
/// its boot order when files are missing, and has no screen of ours to wait at.
pub fn cmdline(script: &BootScript<'_>) -> Option<String> {
    match script.entry {
        BootTarget::Installer(installer) => Some(format!("{}\n", script.arguments(installer))),
        BootTarget::Disk { .. } | BootTarget::Wait => None,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::tests::{hostile, installer};
    use super::*;
    use crate::loader::local_boot::LocalBootMethod;
    use crate::test_support::{address, mac};

    #[test]
    fn one_line_or_none() {
        let address = address();
        let said = |entry: &BootTarget| {
            cmdline(&BootScript {
                address: &address,
                mac: mac(0x56),
                entry,
            })
        };
        expect![[r#"
            BOOTIF=01-52-54-00-12-34-56 netboot.url=https://10.77.0.1:8443 netboot.ticket=07070707070707070707070707070707 netboot.pin=sha256/abc= console=serial0,115200
        "#]].assert_eq(&said(&installer("console=serial0,115200")).unwrap_or_default());
        assert_eq!(said(&hostile(LocalBootMethod::NextEntry)), None);
        assert_eq!(said(&BootTarget::Wait), None);
    }
}
