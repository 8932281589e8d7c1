#!/bin/sh
# Pid 1 of the scratch machine: the practice installer's tools and udev, no network; then the script, and power off.
# Without rules for arrays, mdadm makes their names itself.
export PATH=/bin HOME=/root MDADM_NO_UDEV=1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/shm /run /tmp /mnt
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
exec </dev/null >/dev/console 2>&1
/lib/systemd/systemd-udevd --daemon
udevadm trigger --action=add --subsystem-match=pci --subsystem-match=virtio --subsystem-match=scsi --subsystem-match=block
udevadm settle
echo "scratch-vm: begins"
sh -e /script.sh
echo "scratch-vm: ended with status $?"
sync
exec busybox poweroff -f
