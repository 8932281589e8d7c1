//! The decision → an iPXE script. Nothing secret goes in: anybody on the LAN can read it.

use crate::decide::Address;
use crate::mac::Mac;
use crate::token::Ticket;

/// What the script boots: `images.<name>` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    pub name: String,
    pub arch: String,
    pub cmdline: String,
}

/// Boots the installer with its ticket.
pub fn installer(
    address: &Address,
    mac: Mac,
    title: &str,
    image: &Image,
    ticket: &Ticket,
) -> String {
    let http = address.http();
    let Image {
        name,
        arch,
        cmdline,
    } = image;
    let netboot = format!(
        "netboot.url={} netboot.ticket={ticket} netboot.pin={}",
        address.node(),
        address.pin
    );
    // The kernel parameter that names the card which booted; installers with several cards need it.
    let bootif = format!("BOOTIF=01-{}", mac.dashed());
    // UEFI finds the initrd by the name on the command line; a URL with a query is no name, so it gets one.
    format!(
        "#!ipxe
echo Installing {title} ({mac}).
imgfree
kernel {http}/images/{name}/{arch}/kernel?mac={mac} initrd=initrd {bootif} {netboot} {cmdline} || goto again
initrd --name initrd {http}/images/{name}/{arch}/initrd?mac={mac} || goto again
boot || goto again
:again
echo The installer did not load; asking again in 5 seconds.
sleep 5
chain --replace {http}/boot.ipxe?mac={mac} || goto again
"
    )
}

/// Leaves to the disk, saying why.
///
/// On UEFI, `exit 1` makes the boot manager go on to its next entry; after `exit 0` EDK2 shows its menu
/// instead. On BIOS, SeaBIOS and most others do not come back from a boot ROM in a useful state, so the
/// first disk is started from here.
pub fn disk(why: &str) -> String {
    let why: String = why
        .chars()
        .filter(|c| (' '..='~').contains(c) && *c != '$')
        .collect();
    format!(
        "#!ipxe
echo Nothing to install: {why}.
iseq ${{platform}} efi && exit 1 ||
sanboot --no-describe --drive 0x80 || exit 1
"
    )
}

/// Tells a stranger's owner how to enroll it, asks again, and boots the disk after ten minutes.
pub fn wait(address: &Address, mac: Mac) -> String {
    let http = address.http();
    format!(
        "#!ipxe
isset ${{asked}} || set asked 0
inc asked
iseq ${{asked}} 120 && goto disk ||
echo This machine is not enrolled. To install it: pxe-admin enroll {mac}
:again
sleep 5
chain --replace {http}/boot.ipxe?mac={mac} || goto again
:disk
echo Nobody enrolled it; going on to its own disk.
iseq ${{platform}} efi && exit 1 ||
sanboot --no-describe --drive 0x80 || exit 1
"
    )
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn address() -> Address {
        Address {
            ip: [10, 77, 0, 1].into(),
            http_port: 8080,
            node_port: 8443,
            pin: "sha256/abc=".to_owned(),
        }
    }

    #[test]
    fn the_installer_script() {
        let image = Image {
            name: "installer".to_owned(),
            arch: "x86_64".to_owned(),
            cmdline: "console=ttyS0".to_owned(),
        };
        let mac = "52:54:00:12:34:56".parse().expect("a MAC");
        let script = installer(&address(), mac, "node1", &image, &Ticket::new([7; 16]));
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
        "#]].assert_eq(&script);
    }

    #[test]
    fn the_disk_script_takes_no_variables_from_its_reason() {
        expect![[r#"
            #!ipxe
            echo Nothing to install: joined; boots its own disk#!ipxe {net0/mac}.
            iseq ${platform} efi && exit 1 ||
            sanboot --no-describe --drive 0x80 || exit 1
        "#]]
        .assert_eq(&disk("joined; boots its own disk\n#!ipxe ${net0/mac}"));
    }

    #[test]
    fn the_waiting_script() {
        expect![[r#"
            #!ipxe
            isset ${asked} || set asked 0
            inc asked
            iseq ${asked} 120 && goto disk ||
            echo This machine is not enrolled. To install it: pxe-admin enroll 52:54:00:12:34:56
            :again
            sleep 5
            chain --replace http://10.77.0.1:8080/boot.ipxe?mac=52:54:00:12:34:56 || goto again
            :disk
            echo Nobody enrolled it; going on to its own disk.
            iseq ${platform} efi && exit 1 ||
            sanboot --no-describe --drive 0x80 || exit 1
        "#]]
        .assert_eq(&wait(
            &address(),
            "52:54:00:12:34:56".parse().expect("a MAC"),
        ));
    }
}
