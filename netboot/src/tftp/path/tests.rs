//! Names that loaders ask for, and names that they must not get anything by.

use proptest::prelude::*;

use super::*;

fn card(file: MachineFile) -> Result<RequestedFile, UnknownFile> {
    let owner = Owner::Card("52:54:00:12:34:56".parse().expect("a MAC"));
    Ok(RequestedFile::OfMachine { owner, file })
}

fn pi(file: MachineFile) -> Result<RequestedFile, UnknownFile> {
    let owner = Owner::RaspberryPi("6d7e8f90".to_owned());
    Ok(RequestedFile::OfMachine { owner, file })
}

#[test]
fn every_loader_finds_its_files() {
    let loader = |name: &str| card(MachineFile::Loader(name.to_owned()));
    let firmware = |name: &str| pi(MachineFile::Firmware(name.to_owned()));
    for (name, path, want) in [
        (
            "PXE",
            &b"52-54-00-12-34-56/snponly.efi"[..],
            loader("snponly.efi"),
        ),
        (
            "from the root",
            b"/52-54-00-12-34-56/snponly.efi",
            loader("snponly.efi"),
        ),
        (
            "backslash, as WDS clients do",
            b"\\52-54-00-12-34-56\\snponly.efi",
            loader("snponly.efi"),
        ),
        (
            "a NUL left behind",
            b"52-54-00-12-34-56/snponly.efi\0",
            loader("snponly.efi"),
        ),
        (
            "0xff left behind",
            b"52-54-00-12-34-56/snponly.efi\xff",
            loader("snponly.efi"),
        ),
        (
            "shim",
            b"52-54-00-12-34-56/grubx64.efi",
            loader("grubx64.efi"),
        ),
        (
            "shim, with two slashes",
            b"52-54-00-12-34-56//grubx64.efi",
            loader("grubx64.efi"),
        ),
        (
            "iPXE",
            b"52-54-00-12-34-56/autoexec.ipxe",
            card(MachineFile::Autoexec),
        ),
        ("GRUB", b"/grub/grub.cfg", Ok(RequestedFile::GrubMenu)),
        (
            "GRUB of grub-mknetdir",
            b"/boot/grub/grub.cfg",
            Ok(RequestedFile::GrubMenu),
        ),
        (
            "GRUB, the machine's own",
            b"/grub/52:54:00:12:34:56.cfg",
            card(MachineFile::Grub),
        ),
        (
            "GRUB's kernel",
            b"/52-54-00-12-34-56/installer-33333333/kernel",
            card(MachineFile::Kernel(Some("installer-33333333".to_owned()))),
        ),
        (
            "U-Boot",
            b"pxelinux.cfg/01-52-54-00-12-34-56",
            card(MachineFile::Extlinux),
        ),
        (
            "U-Boot's initrd",
            b"52-54-00-12-34-56/installer/initrd",
            card(MachineFile::Initrd(Some("installer".to_owned()))),
        ),
        (
            "Raspberry Pi 3",
            b"bootcode.bin",
            Ok(RequestedFile::Bootcode),
        ),
        (
            "Raspberry Pi 4",
            b"6d7e8f90/start4.elf",
            firmware("start4.elf"),
        ),
        ("its memory", b"6d7e8f90/fixup4.dat", firmware("fixup4.dat")),
        (
            "its device tree",
            b"6d7e8f90/bcm2711-rpi-4-b.dtb",
            firmware("bcm2711-rpi-4-b.dtb"),
        ),
        (
            "an overlay",
            b"6d7e8f90/overlays/vc4-kms-v3d.dtbo",
            firmware("overlays/vc4-kms-v3d.dtbo"),
        ),
        (
            "Raspberry Pi 5",
            b"6d7e8f90/config.txt",
            pi(MachineFile::Config),
        ),
        (
            "its command line",
            b"6d7e8f90/cmdline.txt",
            pi(MachineFile::Cmdline),
        ),
        (
            "its kernel",
            b"6d7e8f90/kernel",
            pi(MachineFile::Kernel(None)),
        ),
    ] {
        assert_eq!(read(path), want, "{name}");
    }
}

#[test]
fn what_loaders_can_do_without_is_told_from_what_is_odd() {
    for path in [
        "52-54-00-12-34-56/revocations_sku.efi",
        "52-54-00-12-34-56/revocations_sbat.efi",
        "52-54-00-12-34-56/shim_certificate_0.efi",
        "/grub/x86_64-efi/command.lst",
        "/grub/x86_64-efi/fs.lst",
        "/grub/grub.cfg-01-52-54-00-12-34-56",
        "/grub/grub.cfg-0A4D0064",
        "/grub/fonts/unicode.pf2",
        "boot.scr.uimg",
        "dtb/",
        "dtb/qemu-arm64.dtb",
        "pxelinux.cfg/0A4D00",
        "pxelinux.cfg/default-arm-qemu",
        "pxelinux.cfg/5e0c1d6a-7a0b-4c3e-9a55-525400123456",
        "6d7e8f90/recovery.elf",
        "6d7e8f90/pieeprom.upd",
        "6d7e8f90/autoboot.txt",
        "start4.elf",
        "config.txt",
    ] {
        assert_eq!(read(path.as_bytes()), Err(UnknownFile::Probe), "{path}");
    }
}

#[test]
fn hostile_names_are_nobodys() {
    let long = format!("52-54-00-12-34-56/{}", "a/".repeat(2048));
    for path in [
        "",
        "/",
        "snponly.efi",
        "52-54-00-12-34-56",
        "52-54-00-12-34-56/",
        "52:54:00:12:34:56/snponly.efi",
        "525400123456/snponly.efi",
        " 52-54-00-12-34-56/snponly.efi",
        "01-00-5e-00-00-01/snponly.efi",
        "52-54-00-12-34-56/../snponly.efi",
        "52-54-00-12-34-56/../installer/kernel",
        "52-54-00-12-34-56/installer/../kernel",
        "52-54-00-12-34-56/installer/cmdline",
        "52-54-00-12-34-56/a/installer/kernel",
        "52-54-00-12-34-56/../../etc/passwd",
        "52-54-00-12-34-56//etc/passwd",
        "52-54-00-12-34-56/a/../snponly.efi",
        "52-54-00-12-34-56/.hidden",
        "52-54-00-12-34-56\\..\\..\\etc\\passwd",
        "../52-54-00-12-34-56/snponly.efi",
        "....//52-54-00-12-34-56/snponly.efi",
        "/etc/passwd",
        "..\\..\\boot.ini",
        "%2e%2e/etc/passwd",
        "52-54-00-12-34-56/%2e%2e%2fetc%2fpasswd",
        "52-54-00-12-34-56/snponly.efi\0.txt",
        "52-54-00-12-34-56/snponly.efi\n",
        "52-54-00-12-34-56/$(id)",
        "C:\\52-54-00-12-34-56\\snponly.efi",
        "grub/../../etc/passwd",
        "grub/52:54:00:12:34:56.cfg/..",
        "pxelinux.cfg/../01-52-54-00-12-34-56",
        "6d7e8f90/../bootcode.bin",
        "6d7e8f90/overlays/../secret",
        "6D7E8F90/start4.elf",
        long.as_str(),
    ] {
        assert_eq!(read(path.as_bytes()), Err(UnknownFile::Form), "{path:?}");
    }
    assert_eq!(read(b"52-54-00-12-34-56/\xc3(.efi"), Err(UnknownFile::Form));
}

proptest! {
    #[test]
    fn no_name_leads_out_of_a_folder(name in prop::collection::vec(any::<u8>(), 0..64)) {
        held(&name)?;
    }

    #[test]
    fn nor_one_that_begins_well(rest in "[a-z0-9./\\\\%:-]{0,40}", pi: bool) {
        let folder = if pi { "6d7e8f90" } else { "52-54-00-12-34-56" };
        held(format!("{folder}/{rest}").as_bytes())?;
    }
}

fn held(name: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(RequestedFile::OfMachine {
        file: MachineFile::Loader(file) | MachineFile::Firmware(file),
        ..
    }) = read(name)
    {
        prop_assert!(
            file.split('/')
                .all(|part| !part.starts_with('.') && !part.is_empty())
        );
        prop_assert!(!file.contains(['\\', '\0']));
        prop_assert!(file.matches('/').count() <= 1);
    }
    Ok(())
}
