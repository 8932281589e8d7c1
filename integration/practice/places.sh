# Sourced (bash): says where the firmware, loaders and parts of systemd lie that the practice world and the lab use.
# shellcheck shell=bash
#
# Each variable can be set by whoever calls (a nix dev shell does). Where it is not, and the usual place has no such file, the
# package is asked where it put it, since Debian moves files between its releases.

# VARIABLE USUAL-PLACE FILE PACKAGE…: the folder that has FILE; with `-` for FILE, the usual place is a file itself.
while read -r variable usual file packages; do
    wanted=$usual/$file
    [ "$file" != - ] || wanted=$usual
    if [ -n "${!variable:-}" ] || [ -e "$wanted" ] || ! command -v dpkg >/dev/null; then continue; fi
    [ "$file" != - ] || file=${usual##*/}
    # shellcheck disable=SC2086
    found=$(dpkg -L $packages 2>/dev/null | while read -r path; do
        case $path in */"$file") [ ! -f "$path" ] || echo "$path" ;; esac
    done | head -n 1) || true
    [ -n "$found" ] || continue
    [ "$wanted" = "$usual" ] || found=${found%"/$file"}
    export "$variable=$found"
done <<'PLACES'
OVMF_DIR /usr/share/OVMF OVMF_CODE_4M.fd ovmf
IPXE_DIR /usr/lib/ipxe snponly.efi ipxe
AAVMF_DIR /usr/share/AAVMF AAVMF_CODE.fd qemu-efi-aarch64
U_BOOT_DIR /usr/lib/u-boot qemu_arm64/u-boot.bin u-boot-qemu
GRUB_PC_DIR /usr/lib/grub/i386-pc boot.img grub-pc-bin
UDEV_DIR /lib/udev rules.d/60-persistent-storage.rules udev
SYSTEMD_BOOT_EFI /usr/lib/systemd/boot/efi/systemd-bootx64.efi - systemd-boot-efi
SYSTEMD_NETWORKD /lib/systemd/systemd-networkd - systemd
SYSTEMD_CRYPTSETUP /lib/systemd/systemd-cryptsetup - systemd-cryptsetup systemd
PLACES
unset variable usual file packages wanted found

# Which package brings these libraries, and so where they are, depends on the release; the loader knows.
if [ -z "${TSS2_DIR:-}" ] && found=$(PATH=$PATH:/sbin:/usr/sbin ldconfig -p 2>/dev/null | sed -n 's,.*libtss2-esys\.so\.0 .*=> \(/.*\)/[^/]*$,\1,p' | head -n 1) && [ -n "$found" ]; then
    export TSS2_DIR=$found
fi
unset found
