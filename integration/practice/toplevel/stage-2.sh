#!@busybox@/bin/sh
# Second stage, pid 1: activates the system it belongs to and becomes the service manager, as NixOS's stage 2 becomes systemd.
export PATH=@busybox@/bin
export systemConfig=@out@
exec </dev/console >/dev/console 2>&1
echo "<<< practice system (a stand-in for NixOS), stage 2 >>>"
mount -o remount,rw /

# fstab of the layout: each disk's FAT partition, which firmware reads on UEFI and GRUB on BIOS, where the layout has one; swap.
labelled() {
    for uevent in $(grep -lxE "PARTNAME=$1" /sys/class/block/*/uevent); do
        sed -n 's,^DEVNAME=,/dev/,p' "$uevent"
    done
}
[ ! -d /sys/firmware/efi ] || mount -t efivarfs efivarfs /sys/firmware/efi/efivars
for part in $(labelled disk-main-ESP); do mkdir -p /boot; mount -t vfat -o umask=0077 "$part" /boot; done
for part in $(labelled disk-second-ESP); do mkdir -p /boot-second; mount -t vfat -o umask=0077 "$part" /boot-second; done
# Encrypted, it was opened in the first stage.
if [ -e /dev/mapper/swap ]; then
    swapon /dev/mapper/swap
else
    for part in $(labelled "disk-[^-]+-swap"); do swapon "$part"; done
fi
while read -r at label format; do
    for part in $(labelled "$label"); do
        mkdir -p "$at"
        mount -t "$format" "$part" "$at" && echo "stage 2: $part is on $at ($format)"
    done
done <@out@/practice/mounts

@out@/activate
ln -sfn @out@ /run/booted-system
[ -s /etc/machine-id ] || tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id
if [ -s /etc/hostname ]; then hostname -F /etc/hostname; else hostname nixos; fi
export PATH=/run/current-system/sw/bin
exec init
