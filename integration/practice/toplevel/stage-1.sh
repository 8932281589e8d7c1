#!/bin/sh
# First stage, in the initrd: finds the root partition by its GPT label, mounts it, hands over to `init=`.
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs -o mode=755 tmpfs /run
exec </dev/console >/dev/console 2>&1
echo "<<< practice system (a stand-in for NixOS), stage 1 >>>"

for module in $(cat /lib/modules/*/load-order); do insmod /lib/modules/*/"$module" 2>/dev/null; done

init=
for word in $(cat /proc/cmdline); do
    case $word in init=*) init=${word#init=} ;; esac
done

# The device whose partition is called $1, or nothing.
by_partlabel() {
    for uevent in $(grep -lx "PARTNAME=$1" /sys/class/block/*/uevent 2>/dev/null); do
        sed -n 's,^DEVNAME=,/dev/,p' "$uevent"
        return
    done
}
root=
told=
until [ -n "$root" ]; do
    root=$(by_partlabel disk-main-root)
    [ -n "$root" ] && break
    # Said once, so that a machine with no disk explains itself.
    [ -n "$told" ] || { told=1; echo "stage 1: waiting for a partition labelled disk-main-root"; }
    usleep 50000
done
mount -t ext4 "$root" /sysroot || { echo "stage 1: cannot mount $root"; exec sh; }
for m in proc sys dev run; do
    mkdir -p /sysroot/$m
    mount --move /$m /sysroot/$m
done
echo "stage 1: root is $root, handing over to $init"
exec switch_root /sysroot "$init"
