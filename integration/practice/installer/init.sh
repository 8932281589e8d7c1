#!/bin/sh
# Pid 1 of the practice installer: what systemd does in NixOS's installer, then `netboot-agent install` on the console.
export PATH=/bin HOME=/root TERM=linux
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
# As systemd makes them.
ln -s /proc/self/fd /dev/fd
ln -s /proc/self/fd/0 /dev/stdin
mkdir -p /dev/pts /dev/shm /run /tmp /mnt
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
exec </dev/console >/dev/console 2>&1
echo "<<< practice installer (a stand-in for the NixOS installer) >>> $(cut -d' ' -f1 /proc/uptime) s after the kernel"

# Its own notices of this are below the console's level.
dmesg | grep -o -i -E 'secure boot enabled|kernel is locked down.*'
if [ -d /sys/firmware/efi ]; then
    modprobe efivarfs && mount -t efivarfs efivarfs /sys/firmware/efi/efivars
fi
/lib/systemd/systemd-udevd --daemon
# Only what leads to disks and network cards: an emulated machine takes seconds over the terminals and the rest.
udevadm trigger --action=add --subsystem-match=pci --subsystem-match=virtio --subsystem-match=usb --subsystem-match=scsi --subsystem-match=block --subsystem-match=net
udevadm settle
ip link set lo up
hostname installer
# Where the image has it, as NixOS does.
modprobe -q zfs

# As if somebody had looked what is on the old disks.
case " $(cat /proc/cmdline) " in
    *" practice.start-arrays "*)
        MDADM_NO_UDEV=1 mdadm --assemble --scan --run
        vgchange --activate y
        udevadm settle
        ;;
esac
for word in $(cat /proc/cmdline); do
    case $word in practice.error-target=*) error-target "${word#*=}" ;; esac
done

if . /bin/network; then
    echo "installer: starting netboot-agent install, $(cut -d' ' -f1 /proc/uptime) s after the kernel"
    netboot-agent install
    echo "installer: netboot-agent ended with status $?; this machine is held here and nothing more is done to it"
else
    echo "installer: this machine is held here and nothing was done to it"
fi
# A shell as pid 1 must not end, and reaps what is left to it while it waits.
sleep infinity &
while :; do wait; done
