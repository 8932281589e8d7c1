#!@busybox@/bin/sh
# What NixOS calls to make a system the one that boots (`boot`), the one that runs (`test`), or both (`switch`).
#
# With NIXOS_INSTALL_BOOTLOADER=1 the boot loader itself is installed too, not only its menu. UEFI: systemd-boot, on the
# ESP mounted at /boot, firmware variables left alone. BIOS: GRUB, on the disks that /dev/disk/netboot/* points at.
set -eu
export PATH=@busybox@/bin
tools=@bootloaders@
profiles=/nix/var/nix/profiles

# NUMBER LINK for each generation, newest first.
generations() {
    for link in $profiles/system-*-link; do
        [ -L "$link" ] || continue
        number=${link##*/system-}
        echo "${number%-link} $link"
    done | sort -rn
}
default_generation() {
    generations | while read -r number link; do
        if [ "$(readlink "$link")" = @out@ ]; then echo "$number"; break; fi
    done
}
# A file is written beside its name and renamed, so that a power cut leaves the old menu or the new one.
put() { cat >"$1.tmp"; sync "$1.tmp"; mv "$1.tmp" "$1"; }
# The name of a store file on the ESP: what nixpkgs calls it too.
esp_name() { path=$(readlink -f "$1"); path=${path#/nix/store/}; echo "$path" | tr / - | sed 's/$/.efi/'; }

systemd_boot() {
    grep -q " /boot " /proc/mounts || { echo "error: /boot is not mounted; the ESP belongs there" >&2; exit 1; }
    mkdir -p /boot/EFI/nixos /boot/loader/entries
    if [ "${NIXOS_INSTALL_BOOTLOADER:-}" = 1 ]; then
        mkdir -p /boot/EFI/systemd /boot/EFI/BOOT
        cp $tools/systemd-bootx64.efi /boot/EFI/systemd/systemd-bootx64.efi
        cp $tools/systemd-bootx64.efi /boot/EFI/BOOT/BOOTX64.EFI
    fi
    kept=
    for link in $(generations | cut -d' ' -f2); do
        number=${link##*/system-}
        number=${number%-link}
        for file in kernel initrd; do
            name=$(esp_name "$link/$file")
            [ -e "/boot/EFI/nixos/$name" ] || put "/boot/EFI/nixos/$name" <"$link/$file"
            kept="$kept $name"
        done
        put "/boot/loader/entries/nixos-generation-$number.conf" <<CONF
title NixOS
sort-key nixos
version Generation $number $(cat "$link/nixos-version") (practice stand-in)
linux /EFI/nixos/$(esp_name "$link/kernel")
initrd /EFI/nixos/$(esp_name "$link/initrd")
options init=$(readlink -f "$link")/init $(cat "$link/kernel-params")
CONF
        kept="$kept nixos-generation-$number.conf"
    done
    put /boot/loader/loader.conf <<CONF
timeout 0
default nixos-generation-$(default_generation).conf
console-mode keep
CONF
    for file in /boot/EFI/nixos/* /boot/loader/entries/nixos-generation-*.conf; do
        case " $kept " in *" ${file##*/} "*) ;; *) rm -f "$file" ;; esac
    done
}

grub() {
    if [ "${NIXOS_INSTALL_BOOTLOADER:-}" = 1 ]; then
        for link in /dev/disk/netboot/*; do
            disk=$(readlink -f "$link") || disk=
            [ -b "$disk" ] || { echo "error: $link does not name a disk" >&2; exit 1; }
            boot=/boot
            # Each disk of a mirror starts by itself.
            [ "${link##*/}" != second ] || boot=/boot-second
            $tools/bin/grub-install --target=i386-pc --directory=$tools/i386-pc --boot-directory=$boot \
                --locales= --themes= --fonts= --no-floppy "$disk"
        done
    fi
    mkdir -p /boot/grub
    # GRUB reads kernel and initrd from the store itself where that lies on the same file system, else from copies.
    copies=
    kept=
    ! grep -q " /boot " /proc/mounts || copies=/kernels
    for link in $(generations | cut -d' ' -f2); do
        for file in kernel initrd; do
            [ -n "$copies" ] || continue
            mkdir -p /boot/kernels
            name=$(esp_name "$link/$file")
            [ -e "/boot/kernels/$name" ] || put "/boot/kernels/$name" <"$link/$file"
            kept="$kept $name"
        done
    done
    for file in /boot/kernels/*; do
        case " $kept " in *" ${file##*/} "*) ;; *) rm -f "$file" ;; esac
    done
    grub_name() { if [ -n "$copies" ]; then echo "$copies/$(esp_name "$1")"; else readlink -f "$1"; fi; }
    {
        echo "serial --unit=0 --speed=115200"
        echo "terminal_input serial console"
        echo "terminal_output serial console"
        echo "set timeout=0"
        echo "set default=nixos-generation-$(default_generation)"
        echo "search --no-floppy --set=root --file $(grub_name @out@/kernel)"
        generations | while read -r number link; do
            cat <<CONF
menuentry "NixOS - generation $number $(cat "$link/nixos-version") (practice stand-in)" --id nixos-generation-$number {
  linux $(grub_name "$link/kernel") init=$(readlink -f "$link")/init $(cat "$link/kernel-params")
  initrd $(grub_name "$link/initrd")
}
CONF
        done
    } | put /boot/grub/grub.cfg
}

bootloader() {
    if [ -d /sys/firmware/efi ]; then systemd_boot; else grub; fi
    sync
    # The other half of a mirror follows, once the first is whole: what GRUB needs to find itself is each one's own.
    if grep -q " /boot " /proc/mounts && grep -q " /boot-second " /proc/mounts; then
        (cd /boot && find . -type f ! -path "./grub/i386-pc/*") | while read -r file; do
            mkdir -p "/boot-second/${file%/*}"
            cmp -s "/boot/$file" "/boot-second/$file" || put "/boot-second/$file" <"/boot/$file"
        done
        (cd /boot-second && find . -type f ! -path "./grub/i386-pc/*") | while read -r file; do
            [ -e "/boot/$file" ] || rm "/boot-second/$file"
        done
        sync
    fi
}

case ${1:-} in
    boot) bootloader ;;
    switch)
        bootloader
        @out@/activate
        ;;
    test) @out@/activate ;;
    dry-activate) echo "would activate @out@" ;;
    *)
        echo "usage: $0 [switch|boot|test|dry-activate]" >&2
        exit 1
        ;;
esac
