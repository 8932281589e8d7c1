#!@busybox@/bin/sh
# Second stage, pid 1: activates the system it belongs to and becomes the service manager, as NixOS's stage 2 becomes systemd.
export PATH=@busybox@/bin
export systemConfig=@out@
exec </dev/console >/dev/console 2>&1
echo "<<< practice system (a stand-in for NixOS), stage 2 >>>"
mount -o remount,rw /

# fstab of the layout: the ESP on /boot where there is firmware to read it.
if [ -d /sys/firmware/efi ]; then
    mkdir -p /boot
    for uevent in $(grep -lx PARTNAME=disk-main-ESP /sys/class/block/*/uevent); do
        mount -t vfat -o umask=0077 "$(sed -n 's,^DEVNAME=,/dev/,p' "$uevent")" /boot && break
    done
fi

@out@/activate
ln -sfn @out@ /run/booted-system
[ -s /etc/machine-id ] || tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id
if [ -s /etc/hostname ]; then hostname -F /etc/hostname; else hostname nixos; fi
export PATH=/run/current-system/sw/bin
exec init
