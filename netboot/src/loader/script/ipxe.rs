//! A script for iPXE.

use super::{BootScript, BootTarget, Installer, screen_text};
use crate::base::address::ApplianceAddress;
use crate::base::mac::Mac;
use crate::loader::local_boot::LocalBootMethod;

/// `/boot.ipxe`
pub fn text(script: &BootScript<'_>) -> String {
    match script.entry {
        BootTarget::Installer(installer) => install(script, installer),
        BootTarget::Disk { why, way } => format!(
            "#!ipxe\necho Nothing to install: {}.\n{}",
            screen_text(why),
            leave(*way)
        ),
        BootTarget::Wait => wait(script),
    }
}

/// The URL of a machine's script. iPXE fills in the variables before it asks (`expand_settings`).
pub fn url(address: &ApplianceAddress, mac: Mac) -> String {
    let http = address.http();
    format!(
        "{http}/boot.ipxe?mac={mac}&uuid=${{uuid}}&serial=${{serial:uristring}}&arch=${{buildarch}}&platform=${{platform}}"
    )
}

/// `autoexec.ipxe`, which iPXE looks for beside itself: the only script that its signed form has.
///
/// It runs before any DHCP of iPXE's own (ipxe#593), so it does that first, on the card that the machine is known by;
/// where there is none of that address, on the first that has an answer. Then it asks for the real script.
pub fn autoexec(address: &ApplianceAddress, mac: Mac) -> String {
    use std::fmt::Write as _;

    let mut text = "#!ipxe\n".to_owned();
    for card in 0..8 {
        let _ = writeln!(
            text,
            "iseq ${{net{card}/mac}} {mac} && set card net{card} ||"
        );
    }
    let url = url(address, mac);
    let _ = write!(
        text,
        ":again
dhcp ${{card}} || goto failed
chain --replace {url} || goto failed
:failed
echo The boot script did not load; asking again in 5 seconds.
sleep 5
goto again
"
    );
    text
}

fn install(script: &BootScript<'_>, installer: &Installer) -> String {
    let (http, mac) = (script.address.http(), script.mac);
    let Installer { image, .. } = installer;
    let (name, arch) = (&image.name, &image.arch);
    let arguments = script.arguments(installer);
    let doing = installer.doing(mac);
    // UEFI finds the initrd by the name on the command line; a URL with a query is no name, so it gets one.
    format!(
        "#!ipxe
echo {doing}.
imgfree
kernel {http}/images/{name}/{arch}/kernel?mac={mac} initrd=initrd {arguments} || goto again
initrd --name initrd {http}/images/{name}/{arch}/initrd?mac={mac} || goto again
boot || goto again
:again
echo The installer did not load; asking again in 5 seconds.
sleep 5
chain --replace {http}/boot.ipxe?mac={mac} || goto again
"
    )
}

/// On UEFI, `exit 1` makes the boot manager go on to its next entry; after `exit 0` EDK2 shows its menu instead, and HP's
/// goes on. On BIOS, many do not come back from a boot ROM in a useful state, so a disk is started from here. iPXE knows
/// UEFI's own disks (drive 0 is any of them) and `--label` since March 2024: the label is that of a named layout.
fn leave(way: LocalBootMethod) -> &'static str {
    match way {
        LocalBootMethod::FirstDisk => {
            "iseq ${platform} efi && exit 1 ||\nsanboot --no-describe --drive 0x80 || exit 1\n"
        }
        LocalBootMethod::SecondDisk => {
            "iseq ${platform} efi && exit 1 ||\nsanboot --no-describe --drive 0x81 || exit 1\n"
        }
        LocalBootMethod::EspLoader => {
            "sanboot --no-describe --drive 0 --label ESP || sanboot --no-describe --drive 0 || exit 0\n"
        }
        LocalBootMethod::Done => "exit 0\n",
        LocalBootMethod::NextEntry | LocalBootMethod::LocalCommand | LocalBootMethod::Unknown => {
            "exit 1\n"
        }
    }
}

/// Asks again every five seconds, for ten minutes. The count is unset at first: what `set` makes is a text, which `inc`
/// refuses to count.
fn wait(script: &BootScript<'_>) -> String {
    let (http, mac) = (script.address.http(), script.mac);
    let leave = leave(LocalBootMethod::FirstDisk);
    format!(
        "#!ipxe
:again
inc asked
iseq ${{asked}} 120 && goto disk ||
echo This machine is not enrolled. To install it: pxe-admin enroll {mac}
sleep 5
chain --replace {http}/boot.ipxe?mac={mac} || goto again
:disk
echo Nobody enrolled it; going on to its own disk.
{leave}"
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use expect_test::expect;

    use super::super::tests::{hostile, installer};
    use super::*;
    use crate::test_support::{address, mac};

    /// The command line that the kernel gets: iPXE splits at whitespace, ends a command at words of its own, and
    /// joins what is left with single spaces.
    pub(crate) fn handed_over(text: &str) -> String {
        let kernel = text.lines().find_map(|line| line.strip_prefix("kernel "));
        let kernel = kernel.expect("a kernel");
        assert!(!kernel.contains("${"), "a variable: {kernel}");
        let ends = |word: &&str| !matches!(*word, "||" | "&&" | ";") && !word.starts_with('#');
        let words: Vec<&str> = kernel
            .split_ascii_whitespace()
            .skip(1)
            .take_while(ends)
            .collect();
        let words = words.join(" ");
        words
            .strip_prefix("initrd=initrd ")
            .expect("the initrd's name")
            .to_owned()
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
    fn the_installer_script() {
        expect![[r#"
            #!ipxe
            echo Installing node1 (52:54:00:12:34:56).
            imgfree
            kernel http://10.77.0.1:8080/images/installer/x86_64/kernel?mac=52:54:00:12:34:56 initrd=initrd BOOTIF=01-52-54-00-12-34-56 netboot.url=https://10.77.0.1:8443 netboot.ticket=07070707070707070707070707070707 netboot.pin=sha256/abc= console=ttyS0 || goto again
            initrd --name initrd http://10.77.0.1:8080/images/installer/x86_64/initrd?mac=52:54:00:12:34:56 || goto again
            boot || goto again
            :again
            echo The installer did not load; asking again in 5 seconds.
            sleep 5
            chain --replace http://10.77.0.1:8080/boot.ipxe?mac=52:54:00:12:34:56 || goto again
        "#]].assert_eq(&said(&installer("console=ttyS0")));
    }

    #[test]
    fn the_script_of_a_stranger_that_is_to_tell_its_hardware() {
        let BootTarget::Installer(mut installer) = installer("console=ttyS0") else {
            unreachable!()
        };
        installer.mode = super::super::InstallerMode::Discover;
        let said = said(&BootTarget::Installer(installer));
        let told: Vec<&str> = said
            .lines()
            .filter(|l| l.starts_with("echo L") || l.starts_with("kernel"))
            .collect();
        expect![[r#"
            echo Looking at 52:54:00:12:34:56, without writing to its disks.
            kernel http://10.77.0.1:8080/images/installer/x86_64/kernel?mac=52:54:00:12:34:56 initrd=initrd BOOTIF=01-52-54-00-12-34-56 netboot.url=https://10.77.0.1:8443 netboot.discover=52:54:00:12:34:56 netboot.pin=sha256/abc= console=ttyS0 || goto again"#]].assert_eq(&told.join("\n"));
        assert!(!said.contains("ticket"), "{said}");
    }

    #[test]
    fn the_disk_script_takes_no_variables_from_its_reason() {
        expect![[r#"
            #!ipxe
            echo Nothing to install: joined; boots its own disk#!ipxe {net0/mac} exit (id).
            iseq ${platform} efi && exit 1 ||
            sanboot --no-describe --drive 0x80 || exit 1
        "#]]
        .assert_eq(&said(&hostile(LocalBootMethod::FirstDisk)));
    }

    #[test]
    fn each_way_to_the_disk_ends_with_the_script() {
        for (way, want) in [
            (
                LocalBootMethod::SecondDisk,
                "iseq ${platform} efi && exit 1 ||\nsanboot --no-describe --drive 0x81 || exit 1\n",
            ),
            (LocalBootMethod::NextEntry, "exit 1\n"),
            (
                LocalBootMethod::EspLoader,
                "sanboot --no-describe --drive 0 --label ESP || sanboot --no-describe --drive 0 || exit 0\n",
            ),
            (LocalBootMethod::Done, "exit 0\n"),
        ] {
            let said = said(&hostile(way));
            assert_eq!(said.splitn(3, '\n').nth(2), Some(want), "{way}");
        }
    }

    #[test]
    fn the_waiting_script() {
        expect![[r#"
            #!ipxe
            :again
            inc asked
            iseq ${asked} 120 && goto disk ||
            echo This machine is not enrolled. To install it: pxe-admin enroll 52:54:00:12:34:56
            sleep 5
            chain --replace http://10.77.0.1:8080/boot.ipxe?mac=52:54:00:12:34:56 || goto again
            :disk
            echo Nobody enrolled it; going on to its own disk.
            iseq ${platform} efi && exit 1 ||
            sanboot --no-describe --drive 0x80 || exit 1
        "#]]
        .assert_eq(&said(&BootTarget::Wait));
    }

    #[test]
    fn the_script_beside_the_loader_asks_for_an_address_first() {
        expect![[r#"
            #!ipxe
            iseq ${net0/mac} 52:54:00:12:34:56 && set card net0 ||
            iseq ${net1/mac} 52:54:00:12:34:56 && set card net1 ||
            iseq ${net2/mac} 52:54:00:12:34:56 && set card net2 ||
            iseq ${net3/mac} 52:54:00:12:34:56 && set card net3 ||
            iseq ${net4/mac} 52:54:00:12:34:56 && set card net4 ||
            iseq ${net5/mac} 52:54:00:12:34:56 && set card net5 ||
            iseq ${net6/mac} 52:54:00:12:34:56 && set card net6 ||
            iseq ${net7/mac} 52:54:00:12:34:56 && set card net7 ||
            :again
            dhcp ${card} || goto failed
            chain --replace http://10.77.0.1:8080/boot.ipxe?mac=52:54:00:12:34:56&uuid=${uuid}&serial=${serial:uristring}&arch=${buildarch}&platform=${platform} || goto failed
            :failed
            echo The boot script did not load; asking again in 5 seconds.
            sleep 5
            goto again
        "#]]
        .assert_eq(&autoexec(&address(), mac(0x56)));
    }
}
